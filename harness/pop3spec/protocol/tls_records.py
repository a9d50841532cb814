"""What the first records of TLS look like on the wire (RFC 5246, sections 6.2.1 and 7.4.1).

Enough to offer an old version, to break off a negotiation, and to tell records from lines.
"""

import struct
from collections.abc import Sequence
from enum import IntEnum


class Version(IntEnum):
    """A version as a ClientHello writes it."""

    TLS_1_0 = 0x0301
    TLS_1_1 = 0x0302
    TLS_1_2 = 0x0303
    # None that exists (RFC 8701 keeps it free, too).
    UNKNOWN = 0x7F3A


_ALERT, _HANDSHAKE = 0x15, 0x16
_CLIENT_HELLO, _SERVER_HELLO = 1, 2
# Elliptic curves first, then finite fields, then RSA; AES, 3DES, RC4, and that renegotiation
# is understood: some server of the old versions takes one of them.
_OLD_SUITES = (
    *(0xC00A, 0xC014, 0xC009, 0xC013, 0x0039, 0x0038, 0x0033, 0x0032, 0x0035, 0x002F),
    *(0xC008, 0xC012, 0x0016, 0x0013, 0x000A, 0xC007, 0xC011, 0x0005, 0x0004, 0x00FF),
)
_NO_SUITE = (0x7F3B,)
_SERVER_NAME, _GROUPS, _POINTS, _MASTER_SECRET, _VERSIONS = 0, 10, 11, 23, 43
_ALL_GROUPS = (0x001D, 0x0017, 0x0018, 0x0019)

# handshake_failure, as a fatal alert.
FATAL_ALERT = bytes((_ALERT, 3, 3, 0, 2, 2, 40))


def old_hello(version: Version, server_name: str, random: bytes) -> bytes:
    """A ClientHello that offers no later version than this one."""
    return _hello(version, _OLD_SUITES, _extensions(server_name), random)


def hopeless_hello(random: bytes) -> bytes:
    """A ClientHello with no version and no suite that anybody knows."""
    versions = _extension(_VERSIONS, struct.pack(">BH", 2, Version.UNKNOWN))
    return _hello(Version.TLS_1_2, _NO_SUITE, versions, random)


def _hello(version: int, suites: Sequence[int], extensions: bytes, random: bytes) -> bytes:
    body = struct.pack(">H", version) + random[:32].ljust(32, b"\0")
    body += b"\0"  # no session is resumed
    body += _words(suites) + b"\x01\0" + _long(extensions)
    message = bytes((_CLIENT_HELLO,)) + struct.pack(">I", len(body))[1:] + body
    # Old servers want an old version on the record itself (RFC 5246, appendix E.1).
    return struct.pack(">BHH", _HANDSHAKE, Version.TLS_1_0, len(message)) + message


def _extensions(server_name: str) -> bytes:
    found = [
        _extension(_GROUPS, _words(_ALL_GROUPS)),
        _extension(_POINTS, b"\x01\0"),
        _extension(_MASTER_SECRET, b""),
    ]
    if any(letter.isalpha() for letter in server_name) and ":" not in server_name:
        name = b"\0" + _long(server_name.encode("idna"))
        found.insert(0, _extension(_SERVER_NAME, _long(name)))
    return b"".join(found)


def _extension(kind: int, octets: bytes) -> bytes:
    return struct.pack(">H", kind) + _long(octets)


def _words(values: Sequence[int]) -> bytes:
    return _long(b"".join(struct.pack(">H", value) for value in values))


def _long(octets: bytes) -> bytes:
    return struct.pack(">H", len(octets)) + octets


def is_record(octets: bytes) -> bool:
    """They begin like an alert or a handshake of TLS, and not like a line of POP3."""
    return octets[:1] in (bytes((_ALERT,)), bytes((_HANDSHAKE,))) and octets[1:2] in (b"", b"\x03")


def chosen_version(octets: bytes) -> int | None:
    """The version in a ServerHello, None where they are none."""
    if len(octets) < 11 or octets[0] != _HANDSHAKE or octets[5] != _SERVER_HELLO:
        return None
    return int.from_bytes(octets[9:11], "big")
