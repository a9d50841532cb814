"""What the lines and messages of a SASL exchange look like (RFC 5034, 5802, 2831).

Each function reads one form and returns None where the octets do not have it.
None of them says whether that is a fault.
"""

import re
from base64 import b64decode
from dataclasses import dataclass

# RFC 4648, section 4, with its padding.
BASE64 = rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"

_BASE64 = re.compile(BASE64)

# RFC 4422, section 3.1.
MECHANISM_NAME = re.compile(r"[A-Z0-9_-]{1,20}")


def decoded(octets: bytes) -> bytes | None:
    """The octets that base64 stands for."""
    return b64decode(octets) if _BASE64.fullmatch(octets) else None


def decoded_challenge(line: bytes) -> bytes | None:
    """What the line of a challenge says, be there one blank, none or several."""
    return decoded(line[1:].strip(b" \t\r\n"))


# --- SCRAM (RFC 5802, section 7) ---

# A value has no comma and no NUL; unknown attributes may follow.
_VALUE = r"[^,\0]+"
_EXTENSIONS = rf"(?:,[A-Za-z]={_VALUE})*"
_TEXT_BASE64 = BASE64.decode()
_PRINTABLE = r"[!-+\--~]+"
_CLIENT_FIRST = re.compile(r"(?P<header>[^,]*,[^,]*,)(?P<bare>.*)", re.DOTALL)
_NONCE = re.compile(rf"(?:^|,)r=({_PRINTABLE})(?:,|$)")
_SERVER_FIRST = re.compile(
    rf"(?:m={_VALUE},)?r=({_PRINTABLE}),s=({_TEXT_BASE64}),i=([1-9][0-9]*){_EXTENSIONS}"
)
_SERVER_FINAL = re.compile(rf"(?:v=(?=[^,]){_TEXT_BASE64}|e=({_VALUE})){_EXTENSIONS}")


@dataclass(frozen=True)
class ServerFirst:
    """The first message of a server that speaks SCRAM."""

    nonce: str
    salt: str
    iterations: int


def client_nonce(client_first: bytes) -> str | None:
    """The nonce in the first message of a SCRAM client, whatever else is wrong with it."""
    found = _CLIENT_FIRST.fullmatch(client_first.decode("utf-8", "replace"))
    nonce = _NONCE.search(found["bare"]) if found else None
    return nonce[1] if nonce else None


def server_first(message: bytes) -> ServerFirst | None:
    """Nonce, salt and iteration count."""
    found = _SERVER_FIRST.fullmatch(message.decode("utf-8", "replace"))
    # A count of a thousand digits is slow to convert.
    if found is None or len(found[3]) > 18:
        return None
    return ServerFirst(found[1], found[2], int(found[3]))


def is_server_final(message: bytes) -> bool:
    """A signature or an error, as the last message of a SCRAM server is."""
    return _SERVER_FINAL.fullmatch(message.decode("utf-8", "replace")) is not None


def server_error(message: bytes) -> str | None:
    """The error that a SCRAM server sends instead of its signature."""
    found = _SERVER_FINAL.fullmatch(message.decode("utf-8", "replace"))
    return found[1] if found else None


# --- DIGEST-MD5 (RFC 2831, section 2.1.1) ---

_DIRECTIVE = re.compile(
    # Nothing is given back once it was taken, or a megabyte of blanks would take hours.
    r'[\s,]*+([A-Za-z0-9-]++)\s*+=\s*+(?:"((?:[^"\\]|\\.)*+)"|([^\s",]*+))\s*+(?:,[\s,]*+|$)',
    re.DOTALL,
)


def directives(challenge: bytes) -> tuple[tuple[str, str], ...] | None:
    """The directives of a challenge in their order, the names in lower case."""
    try:
        text = challenge.decode("utf-8")
    except UnicodeDecodeError:
        return None
    found: list[tuple[str, str]] = []
    place = 0
    while place < len(text):
        match = _DIRECTIVE.match(text, place)
        if match is None:
            return None
        name, quoted, plain = match.groups()
        value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
        found.append((name.lower(), value))
        place = match.end()
    return tuple(found)
