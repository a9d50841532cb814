"""Response codes: what stands in brackets at the beginning of a reply's text (RFC 2449, section 8).

The table has the registered ones. Whether a server may send one is for the rulebook to say.
"""

import re
from collections.abc import Mapping

# RFC 2449, section 3: anything printable but the slash and the closing bracket.
_LEVEL = rb"[\x21-\x2e\x30-\x5c\x5e-\x7f]+"
_CODE = re.compile(rb"\[(" + _LEVEL + rb"(?:/" + _LEVEL + rb")*)\]")

_LOGINS = frozenset({"PASS", "APOP", "AUTH"})
_WITH_USER = _LOGINS | {"USER"}

# A registered code -> the commands that it answers, None where any will do.
REGISTERED: Mapping[str, frozenset[str] | None] = {
    "LOGIN-DELAY": _WITH_USER,
    "IN-USE": _LOGINS,
    "SYS/TEMP": None,
    "SYS/PERM": None,
    "AUTH": _WITH_USER,
    "UTF8": frozenset({"LIST", "TOP", "RETR"}),
}


def response_code(text: bytes) -> str | None:
    """The code at the beginning of a text, in upper case, None where there is none."""
    found = _CODE.match(text)
    return None if found is None else found[1].decode("latin-1").upper()


def registered(code: str | None) -> str | None:
    """The registered code that this one is, or is a detail of; None of another one."""
    levels = (code or "").split("/")
    ways = ("/".join(levels[:length]) for length in range(1, len(levels) + 1))
    return next((way for way in ways if way in REGISTERED), None)
