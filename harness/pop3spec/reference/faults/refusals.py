"""Faults that refuse what works elsewhere: a command, or a message (RFC 1939, sections 5 and 7)."""
# ruff: noqa: ARG002 -- a step that replaces another need not use all that it is given

from collections.abc import Sequence

from pop3spec.protocol.commands import COMMANDS
from pop3spec.reference.faults.fault import FaultTable
from pop3spec.reference.maildrops import Message
from pop3spec.reference.session import Session

TABLE = FaultTable()
fault = TABLE.fault


# Commands.


@fault(
    "stat-refused",
    breaks=["rfc1939-5-stat-drop-listing"],
    copies="the totals come from an index that is not there, and nobody makes one",
)
class _StatRefused(Session):
    def stat_command(self) -> bytes:
        return self.negative(b"no index")


@fault(
    "stat-refused-behind-dele",
    breaks=["rfc1939-5-stat-drop-listing"],
    copies="the totals cannot be told while there are changes that were not written",
    edge=True,
)
class _StatRefusedBehindDele(Session):
    def stat_command(self) -> bytes:
        return self.negative(b"changes are pending") if self.marked else super().stat_command()


@fault(
    "list-refused",
    breaks=["rfc1939-5-list-complete", "rfc1939-5-list-empty"],
    copies="LIST has a handler for one message alone, and none is no message-number",
)
class _ListRefused(Session):
    def list_command(self, argument: bytes | None = None) -> bytes:
        return self.no_such_message() if argument is None else super().list_command(argument)


@fault(
    "list-refused-when-all-are-marked",
    breaks=["rfc1939-5-list-complete"],
    copies="a listing without a line is taken for a failed one, once there were messages",
    edge=True,
)
class _ListRefusedWhenAllAreMarked(Session):
    def list_command(self, argument: bytes | None = None) -> bytes:
        if argument is None and self.messages and not self.visible():
            return self.no_such_message()
        return super().list_command(argument)


@fault(
    "list-n-refused",
    breaks=["rfc1939-5-list-argument"],
    copies="LIST is written without its optional argument",
)
class _ListNRefused(Session):
    def list_one(self, message: Message) -> bytes:
        return self.malformed("LIST")


@fault(
    "uidl-refused",
    breaks=["rfc1939-7-uidl-complete", "rfc1939-7-uidl-argument"],
    copies="UIDL is announced by a list in the configuration, and the store has no unique-ids",
)
class _UidlRefused(Session):
    def uidl_command(self, argument: bytes | None = None) -> bytes:
        return self.negative(b"no unique-ids in this maildrop")


@fault(
    "uidl-refused-for-a-message-without-octets",
    breaks=["rfc1939-7-uidl-complete"],
    copies="one message of which no unique-id can be made spoils the whole listing",
    edge=True,
)
class _UidlRefusedForAMessageWithoutOctets(Session):
    def uidl_command(self, argument: bytes | None = None) -> bytes:
        if argument is None and any(not message.size for message in self.visible()):
            return self.negative(b"a message has no unique-id")
        return super().uidl_command(argument)


@fault(
    "uidl-n-refused",
    breaks=["rfc1939-7-uidl-argument"],
    copies="UIDL is written without its optional argument",
)
class _UidlNRefused(Session):
    def uidl_one(self, message: Message) -> bytes:
        return self.malformed("UIDL")


@fault(
    "top-refused",
    breaks=["rfc1939-7-top"],
    copies="TOP is announced, and switched off because it makes work for the server",
)
class _TopRefused(Session):
    def top_command(self, argument: bytes, count: bytes) -> bytes:
        return self.negative(b"TOP is disabled")


@fault(
    "top-refused-without-body",
    breaks=["rfc1939-7-top"],
    copies="the body is looked for behind the blank line, and not to find any is an error",
    edge=True,
)
class _TopRefusedWithoutBody(Session):
    def top_reply(self, message: Message, content: bytes, count: int) -> bytes:
        if self.body_start(content) >= len(content):
            return self.negative(b"the message has no body")
        return super().top_reply(message, content, count)


@fault(
    "big-line-count-refused",
    breaks=["rfc1939-7-top"],
    copies="CompuServe in 1998: a line count of more than 16 bits is no number",
    edge=True,
)
class _BigLineCountRefused(Session):
    def top_command(self, argument: bytes, count: bytes) -> bytes:
        if self.number(count) > 0xFFFF:
            return self.malformed("TOP")
        return super().top_command(argument, count)


@fault(
    "retr-refused",
    breaks=["rfc1939-5-retr"],
    copies="the index is readable, and the files that it speaks of belong to somebody else",
)
class _RetrRefused(Session):
    def retr_reply(self, message: Message, content: bytes) -> bytes:
        return self.negative(b"permission denied")


@fault(
    "retr-of-big-message-refused",
    breaks=["rfc1939-5-retr"],
    copies="a message is read into memory as a whole, and more than half a megabyte is refused",
    edge=True,
)
class _RetrOfBigMessageRefused(Session):
    def retr_reply(self, message: Message, content: bytes) -> bytes:
        if len(content) > 1 << 19:
            return self.negative(b"message too big")
        return super().retr_reply(message, content)


# Messages.


@fault(
    "last-number-refused",
    breaks=[
        "rfc1939-5-list-argument",
        "rfc1939-5-retr",
        "rfc1939-5-dele",
        "rfc1939-7-top",
        "rfc1939-7-uidl-argument",
    ],
    copies="the one function that looks numbers up takes those below the count",
    edge=True,
)
class _LastNumberRefused(Session):
    def numbered(self, number: int) -> Message | None:
        return None if number == len(self.messages) else super().numbered(number)


@fault(
    "numbers-of-two-digits-refused",
    breaks=[
        "rfc1939-5-list-argument",
        "rfc1939-5-retr",
        "rfc1939-5-dele",
        "rfc1939-7-top",
        "rfc1939-7-uidl-argument",
    ],
    copies="the first character of a number has to be its last one",
    edge=True,
)
class _NumbersOfTwoDigitsRefused(Session):
    def is_well_formed(self, keyword: str, arguments: Sequence[bytes]) -> bool:
        names_message = COMMANDS[keyword].names_message and bool(arguments)
        is_long = names_message and arguments[0].isdigit() and len(arguments[0]) > 1
        return super().is_well_formed(keyword, arguments) and not is_long
