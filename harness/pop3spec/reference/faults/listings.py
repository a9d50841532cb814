"""Faults in STAT, LIST, message-numbers and sizes (RFC 1939, sections 4, 5 and 11)."""
# ruff: noqa: ARG002 -- a step that replaces another need not use all that it is given

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pop3spec.protocol.commands import State
from pop3spec.protocol.replies import CRLF, stuff
from pop3spec.reference.faults.fault import FaultTable
from pop3spec.reference.maildrops import Maildrops, Message
from pop3spec.reference.session import Session
from pop3spec.reference.stores import Store, ended

TABLE = FaultTable()
fault = TABLE.fault


# The drop listing.


@fault(
    "stat-in-words",
    breaks=["rfc1939-5-stat-drop-listing"],
    copies="the sentence that the RFC shows behind RSET is used for STAT as well",
)
class _StatInWords(Session):
    def drop_listing(self, messages: Sequence[Message]) -> bytes:
        count, octets = super().drop_listing(messages).split()
        return b"%b messages (%b octets)" % (count, octets)


@fault(
    "stat-of-nothing-in-words",
    breaks=["rfc1939-5-stat-drop-listing"],
    copies="an empty maildrop gets a friendly text of its own",
    edge=True,
)
class _StatOfNothingInWords(Session):
    def drop_listing(self, messages: Sequence[Message]) -> bytes:
        return super().drop_listing(messages) if messages else b"no messages"


@fault(
    "stat-groups-thousands",
    breaks=["rfc1939-5-stat-drop-listing"],
    copies="octets are printed in the user's locale, with a comma from 1,000 on",
    edge=True,
)
class _StatGroupsThousands(Session):
    def drop_listing(self, messages: Sequence[Message]) -> bytes:
        count, octets = super().drop_listing(messages).split()
        return b"%b %b" % (count, f"{int(octets):,}".encode())


@fault(
    "stat-counts-one-more",
    breaks=["rfc1939-5-stat-count", "rfc1939-5-rset-unmarks", "rfc1939-5-stat-without-marked"],
    copies="UW ipop3d: the internal first message of the store is counted, and not listed",
)
class _StatCountsOneMore(Session):
    def drop_listing(self, messages: Sequence[Message]) -> bytes:
        count, octets = super().drop_listing(messages).split()
        return b"%d %b" % (int(count) + 1, octets)


@fault(
    "stat-counts-nine-at-most",
    breaks=["rfc1939-5-stat-count", "rfc1939-5-stat-without-marked"],
    copies="the field for the count has room for one digit",
    edge=True,
)
class _StatCountsNineAtMost(Session):
    def drop_listing(self, messages: Sequence[Message]) -> bytes:
        count, octets = super().drop_listing(messages).split()
        return b"%d %b" % (min(9, int(count)), octets)


@fault(
    "refused-dele-counts",
    breaks=["rfc1939-4-count-fixed", "rfc1939-5-stat-without-marked"],
    copies="a running count goes down with each DELE, also of a message that is marked already",
    edge=True,
)
class _RefusedDeleCounts(Session):
    refused = 0

    def dele_command(self, argument: bytes) -> bytes:
        reply = super().dele_command(argument)
        self.refused += self.number(argument) in self.marked and reply.startswith(b"-")
        return reply

    def unmark(self) -> None:
        self.refused = 0
        super().unmark()

    def drop_listing(self, messages: Sequence[Message]) -> bytes:
        count, octets = super().drop_listing(messages).split()
        return b"%d %b" % (max(0, int(count) - self.refused), octets)


@fault(
    "stat-counts-unread",
    breaks=["rfc1939-4-count-fixed", "rfc1939-5-stat-count", "rfc1939-5-rset-unmarks"],
    copies="a client's view of new mail is mistaken for the maildrop: what was read is not counted",
)
class _StatCountsUnread(Session):
    def __init__(self, maildrops: Maildrops, failed_login_delay: float = 0.0) -> None:
        super().__init__(maildrops, failed_login_delay)
        self.read: set[int] = set()

    def retr_reply(self, message: Message, content: bytes) -> bytes:
        self.read.add(message.number)
        return super().retr_reply(message, content)

    def drop_listing(self, messages: Sequence[Message]) -> bytes:
        return super().drop_listing([each for each in messages if each.number not in self.read])


@fault(
    "total-of-stored-octets",
    breaks=["rfc1939-5-stat-total"],
    copies="STAT adds up the sizes of the files, with one octet for each line end",
)
class _TotalOfStoredOctets(Session):
    def drop_listing(self, messages: Sequence[Message]) -> bytes:
        count, octets = super().drop_listing(messages).split()
        line_ends = sum((self.content(message) or b"").count(CRLF) for message in messages)
        return b"%b %d" % (count, int(octets) - line_ends)


@fault(
    "total-in-16-bits",
    breaks=["rfc1939-5-stat-total"],
    copies="Stalwart d72608f in small: the sum is kept in an integer that is too short for it",
    edge=True,
)
class _TotalIn16Bits(Session):
    def drop_listing(self, messages: Sequence[Message]) -> bytes:
        count, octets = super().drop_listing(messages).split()
        return b"%b %d" % (count, int(octets) % (1 << 16))


@fault(
    "total-turns-negative",
    breaks=["rfc1939-5-stat-drop-listing", "rfc1939-5-stat-total"],
    copies="a provider of 20,437 messages, in small: the sum has a sign, and runs over into it",
    edge=True,
)
class _TotalTurnsNegative(Session):
    def drop_listing(self, messages: Sequence[Message]) -> bytes:
        count, octets = super().drop_listing(messages).split()
        return b"%b %d" % (count, (int(octets) + (1 << 15)) % (1 << 16) - (1 << 15))


@fault(
    "total-of-nothing",
    breaks=["rfc1939-5-stat-total"],
    copies="tpop3d 1.3.4: sizes of a Maildir are looked up by LIST alone, so STAT adds up zeros",
)
class _TotalOfNothing(Session):
    def drop_listing(self, messages: Sequence[Message]) -> bytes:
        return b"%d 0" % len(messages)


@fault(
    "stat-counts-marked",
    breaks=["rfc1939-5-stat-without-marked"],
    copies="Dovecot 1.0-test, tpop3d before 1.4.1: STAT gives the totals of the login",
)
class _StatCountsMarked(Session):
    def drop_listing(self, messages: Sequence[Message]) -> bytes:
        return super().drop_listing(self.messages)


@fault(
    "total-with-marked",
    breaks=["rfc1939-5-stat-without-marked", "rfc1939-5-stat-total"],
    copies="DELE corrects the count and forgets the octets",
    edge=True,
)
class _TotalWithMarked(Session):
    def drop_listing(self, messages: Sequence[Message]) -> bytes:
        count, _ = super().drop_listing(messages).split()
        _, octets = super().drop_listing(self.messages).split()
        return b"%b %b" % (count, octets)


# Scan listings.


@fault(
    "list-with-colon",
    breaks=["rfc1939-5-list-scan-listing"],
    copies="a listing for people: '1: 120'",
)
class _ListWithColon(Session):
    def scan_listings(self, messages: Sequence[Message]) -> bytes:
        return self.lines([self.scan_listing(each).replace(b" ", b": ") for each in messages])


@fault(
    "list-in-columns",
    breaks=["rfc1939-5-list-scan-listing"],
    copies="numbers are aligned to the right as soon as there are ten messages",
    edge=True,
)
class _ListInColumns(Session):
    def scan_listings(self, messages: Sequence[Message]) -> bytes:
        width = len(b"%d" % len(self.messages))
        columns = [b"%*d %d" % (width, each.number, each.size) for each in messages]
        return self.lines(columns)


@fault(
    "list-leaves-out-last",
    breaks=["rfc1939-5-list-complete", "rfc1939-5-stat-count"],
    copies="a loop from 1 to below the count",
)
class _ListLeavesOutLast(Session):
    def scan_listings(self, messages: Sequence[Message]) -> bytes:
        last = self.messages[-1] if self.messages else None
        return super().scan_listings([each for each in messages if each is not last])


@fault(
    "list-stops-at-the-visible-count",
    breaks=["rfc1939-5-list-complete"],
    copies="the loop over all numbers ends at the count, which DELE has made smaller",
    edge=True,
)
class _ListStopsAtTheVisibleCount(Session):
    def scan_listings(self, messages: Sequence[Message]) -> bytes:
        return super().scan_listings([each for each in messages if each.number <= len(messages)])


@fault(
    "list-of-nothing-refused",
    breaks=["rfc1939-5-list-empty"],
    copies="no messages to list is treated as an error (RFC 1939, appendix A clarifies it)",
)
class _ListOfNothingRefused(Session):
    def list_command(self, argument: bytes | None = None) -> bytes:
        if argument is None and not self.messages:
            return self.negative(b"no messages")
        return super().list_command(argument)


@fault(
    "list-n-without-number",
    breaks=["rfc1939-5-list-scan-listing"],
    copies="the client knows the number that it asked for, so only the size is sent",
)
class _ListNWithoutNumber(Session):
    def list_one(self, message: Message) -> bytes:
        return self.positive(b"%d" % message.size)


@fault(
    "list-n-tells-the-first",
    breaks=["rfc1939-5-list-argument"],
    copies="the loop over the listing stops at its first line, whatever number was asked for",
)
class _ListNTellsTheFirst(Session):
    def list_one(self, message: Message) -> bytes:
        return super().list_one(self.messages[0] if message in self.messages else message)


@fault(
    "list-n-lists-all",
    breaks=["rfc1939-5-list-scan-listing", "rfc1939-3-single-line"],
    copies="Mailpit before 1.26.1: the argument is ignored, and the whole listing sent",
)
class _ListNListsAll(Session):
    def list_one(self, message: Message) -> bytes:
        return self.list_command()


@fault(
    "list-n-counts-visible",
    breaks=["rfc1939-5-list-argument"],
    copies="the number is used as an index into the messages that are not marked",
    edge=True,
)
class _ListNCountsVisible(Session):
    def list_one(self, message: Message) -> bytes:
        visible = self.visible()
        if message.number > len(visible):
            return self.no_such_message()
        return super().list_one(visible[message.number - 1])


@fault(
    "list-shows-marked",
    breaks=["rfc1939-5-list-without-marked"],
    copies="the listing is made at login and kept",
)
class _ListShowsMarked(Session):
    def scan_listings(self, messages: Sequence[Message]) -> bytes:
        return super().scan_listings(self.messages)


@fault(
    "list-shows-last-marked",
    breaks=["rfc1939-5-list-without-marked"],
    copies="the last line is written behind the loop, without the question for the mark",
    edge=True,
)
class _ListShowsLastMarked(Session):
    def scan_listings(self, messages: Sequence[Message]) -> bytes:
        last = self.messages[-1:]
        return super().scan_listings([each for each in messages if each not in last] + last)


@fault(
    "marked-stay-visible",
    breaks=[
        "rfc1939-5-stat-without-marked",
        "rfc1939-5-list-without-marked",
        "rfc1939-5-dele-marked",
        "rfc1939-7-uidl-without-marked",
    ],
    copies="Stalwart d72608f: STAT, LIST, UIDL, RETR and TOP ignore the mark",
)
class _MarkedStayVisible(Session):
    def visible(self) -> list[Message]:
        return self.messages

    def message(self, argument: bytes) -> Message | None:
        return self.numbered(self.number(argument))


@fault(
    "listings-renumbered",
    breaks=[
        "rfc1939-4-size-fixed",
        "rfc1939-5-list-complete",
        "rfc1939-5-list-without-marked",
        "rfc1939-7-uidl-complete",
        "rfc1939-7-uidl-without-marked",
        "rfc1939-7-unique-id-fixed",
        "rfc1939-11-exact-size",
    ],
    copies="WildDuck 603ee5bf: after DELE the listings are filtered first and numbered then",
    edge=True,
)
class _ListingsRenumbered(Session):
    def scan_listings(self, messages: Sequence[Message]) -> bytes:
        return super().scan_listings(self._renumbered(messages))

    def unique_id_listings(self, messages: Sequence[Message]) -> bytes:
        return super().unique_id_listings(self._renumbered(messages))

    def _renumbered(self, messages: Sequence[Message]) -> list[Message]:
        return [replace(each, number=number) for number, each in enumerate(messages, 1)]


# Message-numbers.


@fault(
    "last-message-listed-twice",
    breaks=["rfc1939-4-message-numbers"],
    copies="the loop that fills the last buffer and the one that flushes it both write its line",
)
class _LastMessageListedTwice(Session):
    def scan_listings(self, messages: Sequence[Message]) -> bytes:
        return super().scan_listings([*messages, *messages[-1:]])


@fault(
    "number-of-one-digit",
    breaks=["rfc1939-4-message-numbers", "rfc1939-5-list-complete"],
    copies="up to ten one character is printed for a number, so message 10 is listed as 0",
    edge=True,
)
class _NumberOfOneDigit(Session):
    def scan_listings(self, messages: Sequence[Message]) -> bytes:
        return super().scan_listings(
            [replace(each, number=0) if each.number == 10 else each for each in messages]
        )


class _FindsNumbers(Session):
    def numbered(self, number: int) -> Message | None:
        return next((each for each in self.messages if each.number == number), None)


@fault(
    "numbers-kept-over-sessions",
    breaks=["rfc1939-4-message-numbers"],
    copies="numbers are stored with the messages, and a new session does not count again",
    edge=True,
    parts=(_FindsNumbers,),
)
class _NumbersKeptOverSessions(Maildrops):
    def __init__(self, store: Store, accounts: Mapping[str, str], stamp: str) -> None:
        super().__init__(store, accounts, stamp)
        self.numbers: dict[tuple[str, str], int] = {}

    def open(self, user: str) -> list[Message]:
        kept = []
        highest = 0
        for message in super().open(user):
            number = self.numbers.setdefault((user, message.key), highest + 1)
            kept.append(replace(message, number=number))
            highest = number
        return kept


@fault(
    "zero-is-the-last",
    breaks=["rfc1939-5-no-such-message"],
    copies="the index is the number less one, and -1 is the last element",
    edge=True,
)
class _ZeroIsTheLast(Session):
    def numbered(self, number: int) -> Message | None:
        is_zero = number == 0 and bool(self.messages)
        return self.messages[-1] if is_zero else super().numbered(number)


@fault(
    "numbers-in-32-bits",
    breaks=["rfc1939-5-no-such-message"],
    copies="numbers are read into 32 bits, so 2^32 + 1 is message 1",
    edge=True,
)
class _NumbersIn32Bits(Session):
    def numbered(self, number: int) -> Message | None:
        return super().numbered(number & 0xFFFFFFFF)


@fault(
    "dele-beyond-the-count",
    breaks=["rfc1939-5-no-such-message"],
    copies="what is not there counts as deleted, so DELE always succeeds",
)
class _DeleBeyondTheCount(Session):
    def dele_command(self, argument: bytes) -> bytes:
        if self.numbered(self.number(argument)) is None:
            return self.positive(b"message deleted")
        return super().dele_command(argument)


# Arrivals during a session.


@fault(
    "arrivals-appended",
    breaks=["rfc1939-4-no-arrivals"],
    copies="the maildrop is looked at again before each command, and new mail appended",
)
class _ArrivalsAppended(Session):
    def answer(self, line: bytes) -> bytes:
        if self.state is State.TRANSACTION:
            known = {message.key for message in self.messages}
            for message in self.maildrops.open(self.user):
                if message.key not in known:
                    arrived = replace(message, number=len(self.messages) + 1)
                    self.messages = [*self.messages, arrived]
        return super().answer(line)


@fault(
    "arrivals-come-first",
    breaks=[
        "rfc1939-4-no-arrivals",
        "rfc1939-4-size-fixed",
        "rfc1939-7-unique-id-fixed",
        "rfc1939-5-retr",
        "rfc1939-5-retr-same",
        "rfc1939-6-unmarked-stay",
        "rfc1939-11-exact-size",
    ],
    copies="the maildrop is read anew, newest mail first, and what was 1 is 2 from then on",
    edge=True,
)
class _ArrivalsComeFirst(Session):
    def answer(self, line: bytes) -> bytes:
        if self.state is State.TRANSACTION:
            known = {message.key for message in self.messages}
            arrived = [each for each in self.maildrops.open(self.user) if each.key not in known]
            if arrived:
                self.marked = {number + len(arrived) for number in self.marked}
                self.messages = [
                    replace(each, number=number)
                    for number, each in enumerate([*arrived, *self.messages], 1)
                ]
        return super().answer(line)


@fault(
    "rset-opens-again",
    breaks=["rfc1939-4-no-arrivals"],
    copies="Apache James: RSET reads the maildrop anew, so that new mail appears",
    edge=True,
)
class _RsetOpensAgain(Session):
    def unmark(self) -> None:
        super().unmark()
        self.messages = self.maildrops.open(self.user)


# Sizes.


class _ResizedMessages(Maildrops):
    """Maildrops that note other sizes than RETR sends."""

    def open(self, user: str) -> list[Message]:
        return [
            replace(message, size=self.size(message, self.content(user, message) or b""))
            for message in super().open(user)
        ]

    def size(self, message: Message, stored: bytes) -> int:
        """The size to be noted for a message, given as it is stored."""
        return message.size


@fault(
    "line-ends-counted-once",
    breaks=["rfc1939-11-exact-size"],
    copies="popa3d 0.4.9.3 to 0.5.9 and many Maildir servers: a stored LF counts as one octet",
)
class _LineEndsCountedOnce(_ResizedMessages):
    def size(self, message: Message, stored: bytes) -> int:
        return message.size - ended(stored).count(CRLF)


@fault(
    "stuffed-dots-counted",
    breaks=["rfc1939-11-exact-size"],
    copies="the size is that of what goes out, with the dots that stuffing added",
    edge=True,
)
class _StuffedDotsCounted(_ResizedMessages):
    def size(self, message: Message, stored: bytes) -> int:
        return message.size + len(stuff(stored)) - len(stored)


@fault(
    "final-line-end-not-counted",
    breaks=["practice-final-line-end"],
    copies="the size is noted before RETR adds the final line end that is missing in the store",
    edge=True,
)
class _FinalLineEndNotCounted(_ResizedMessages):
    def size(self, message: Message, stored: bytes) -> int:
        return len(stored)


@fault(
    "size-known-after-retr",
    breaks=["rfc1939-4-size-fixed", "rfc1939-11-exact-size", "rfc1939-5-stat-total"],
    copies="Exchange 5.x to 2003: the store's own size until the text was made for RETR",
)
class _SizeKnownAfterRetr(Session):
    def enter(self, user: str, messages: list[Message]) -> None:
        super().enter(user, messages)
        self.messages = [replace(message, size=message.size + 100) for message in messages]

    def retr_reply(self, message: Message, content: bytes) -> bytes:
        self.messages[message.number - 1] = replace(message, size=len(content))
        return super().retr_reply(message, content)


@fault(
    "size-of-top-kept",
    breaks=["rfc1939-4-size-fixed", "rfc1939-5-stat-total", "rfc1939-11-exact-size"],
    copies="the length of what was rendered last is cached as the size, also after TOP",
    edge=True,
)
class _SizeOfTopKept(Session):
    def top_reply(self, message: Message, content: bytes, count: int) -> bytes:
        rendered = len(self.top_text(content, count))
        self.messages[message.number - 1] = replace(message, size=rendered)
        return super().top_reply(message, content, count)
