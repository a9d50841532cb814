"""Drop, scan and unique-id listings, capability lists (RFC 1939, RFC 2449).

Each function reads one form and returns None where the octets do not have it.
None of them says whether that is a fault.
"""

import re
from dataclasses import dataclass

from pop3spec.protocol.replies import Reply


@dataclass(frozen=True)
class DropListing:
    """The reply to STAT: how many messages, how many octets (RFC 1939, section 5)."""

    count: int
    octets: int
    more: bytes = b""


@dataclass(frozen=True)
class ScanListing:
    """One message of LIST: its number and its size in octets (RFC 1939, section 5)."""

    number: int
    octets: int
    more: bytes = b""


@dataclass(frozen=True)
class UniqueIdListing:
    """One message of UIDL: its number and its unique-id (RFC 1939, section 7)."""

    number: int
    unique_id: bytes


# Twenty digits hold any 64-bit number; longer ones are no count of anything.
_TWO_NUMBERS = re.compile(rb"([0-9]{1,20}) ([0-9]{1,20})(?: (.*))?", re.DOTALL)
_NUMBER_AND_ID = re.compile(rb"([0-9]{1,20}) ([^ ]*)", re.DOTALL)


def drop_listing(text: bytes) -> DropListing | None:
    """Read the text of a positive reply to STAT: `nn mm`, perhaps a blank and more."""
    found = _TWO_NUMBERS.fullmatch(text)
    if found is None:
        return None
    return DropListing(int(found[1]), int(found[2]), found[3] or b"")


def scan_listing(text: bytes) -> ScanListing | None:
    """Read a scan listing: number, one blank, size, perhaps a blank and more."""
    found = _TWO_NUMBERS.fullmatch(text)
    if found is None:
        return None
    return ScanListing(int(found[1]), int(found[2]), found[3] or b"")


def unique_id_listing(text: bytes) -> UniqueIdListing | None:
    """Read a unique-id listing: number, one blank, unique-id (perhaps none), nothing else."""
    found = _NUMBER_AND_ID.fullmatch(text)
    if found is None:
        return None
    return UniqueIdListing(int(found[1]), found[2])


def capabilities(reply: Reply) -> dict[str, tuple[str, ...]]:
    """The capability list of a positive reply to CAPA: tag in upper case -> all its arguments."""
    listed: dict[str, list[str]] = {}
    for line in reply.lines:
        words = [word.decode("latin-1") for word in line.split()]
        if words:
            listed.setdefault(words[0].upper(), []).extend(words[1:])
    return {tag: tuple(words) for tag, words in listed.items()}


# The form of a timestamp is that of msg-id in RFC 822: <local-part@domain>.
_TIMESTAMP = re.compile(rb"<[^<>@\s]+@[^<>@\s]+>")


def timestamps(greeting: bytes) -> tuple[bytes, ...]:
    """The APOP timestamps in a greeting, angle brackets included (RFC 1939, section 7)."""
    return tuple(_TIMESTAMP.findall(greeting))
