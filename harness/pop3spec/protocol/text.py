"""show(): the one way from wire bytes to readable text."""

_SHOWN = {octet: f"\\x{octet:02x}" for octet in (*range(0x20), *range(0x7F, 0x100))} | {
    ord("\r"): "\\r",
    ord("\n"): "\\n",
    ord("\t"): "\\t",
    ord("\\"): "\\\\",
}
_TABLE = {octet: _SHOWN.get(octet, chr(octet)) for octet in range(0x100)}


def show(octets: bytes, limit: int | None = None) -> str:
    """Octets as printable ASCII; CR, LF, control and 8-bit octets are escaped.

    With a limit, no more than that many octets are shown, then what is left out.
    """
    if limit is not None and len(octets) > limit:
        return f"{show(octets[:limit])}… ({len(octets)} octets in all)"
    return octets.decode("latin-1").translate(_TABLE)
