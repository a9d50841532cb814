"""Lines of a client: which it may send, and what a server may take them for."""

import re

from pop3spec.protocol.commands import MAX_COMMAND, keyword
from pop3spec.protocol.sasl import BASE64, decoded

_CONTROL = re.compile(rb"[\x00-\x1f]")
_ANSWER = re.compile(BASE64 + rb"|\*")
# RFC 6856, section 2.2.
_MAY_BE_UTF8 = ("USER", "PASS", "APOP")


def problem_of_line(line: bytes) -> str:
    """Why no client may send this line, '' if it may (RFC 1939, section 3)."""
    if not line.endswith(b"\r\n"):
        return "it does not end with CRLF"
    if len(line) > MAX_COMMAND:
        return f"{len(line)} octets are more than {MAX_COMMAND}"
    text = line[:-2]
    if keyword(line) == "AUTH" and _has_line_end(text.rpartition(b" ")[2]):
        return "it has a line end in its base64"
    if not text.strip():
        return "it has no keyword"
    if not text.isascii():
        if keyword(line) not in _MAY_BE_UTF8:
            return "it has octets outside of ASCII"
        if not _is_utf8(text):
            return "it is not UTF-8"
    if _CONTROL.search(text) or b"\x7f" in text:
        return "it has control characters"
    return ""


def problem_of_answer(line: bytes) -> str:
    """Why no client may answer a challenge so, '' if it may (RFC 5034, section 4)."""
    if not line.endswith(b"\r\n"):
        return "it does not end with CRLF"
    if _ANSWER.fullmatch(line[:-2]) is None:
        return "it is neither base64 nor '*'"
    return "it has a line end in its base64" if _has_line_end(line[:-2]) else ""


def _has_line_end(text: bytes) -> bool:
    """A server may take what it decodes for several lines; no name or password has one."""
    octets = decoded(text)
    return octets is not None and (b"\r" in octets or b"\n" in octets)


def _is_utf8(octets: bytes) -> bool:
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return True


def may_mean(line: bytes, *keywords: bytes) -> bool:
    """A server may find one of these keywords in the line: anywhere, if it may cut it."""
    seen = line.upper() if may_be_cut(line) else keyword(line).encode("latin-1")
    return any(word in seen for word in keywords)


def may_be_cut(line: bytes) -> bool:
    """A server may take this for several commands, or for one before it has an end."""
    unended = line.rstrip(b"\r\n")
    return len(unended) + 2 > MAX_COMMAND or _CONTROL.search(unended) is not None
