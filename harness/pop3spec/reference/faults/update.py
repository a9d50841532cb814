"""Faults in marks and in what becomes of them: DELE, RSET, QUIT, UPDATE (sections 4 to 6)."""
# ruff: noqa: ARG002 -- a step that replaces another need not use all that it is given

import threading
from collections.abc import Iterable, Mapping, Sequence

from pop3spec.protocol.commands import State
from pop3spec.reference.faults.fault import FaultTable
from pop3spec.reference.maildrops import Maildrops, Message
from pop3spec.reference.session import Session
from pop3spec.reference.stores import Store

TABLE = FaultTable()
fault = TABLE.fault


# DELE.


@fault(
    "dele-refused",
    breaks=["rfc1939-5-dele"],
    copies="maildrops are opened for reading alone, so nothing can be marked",
)
class _DeleRefused(Session):
    def dele_reply(self, message: Message) -> bytes:
        return self.negative(b"maildrop is read-only")


@fault(
    "dele-of-the-last-refused",
    breaks=["rfc1939-5-dele"],
    copies="the number is asked to be below the count",
    edge=True,
)
class _DeleOfTheLastRefused(Session):
    def dele_reply(self, message: Message) -> bytes:
        if message.number == len(self.messages):
            return self.no_such_message()
        return super().dele_reply(message)


class _RemembersMarks(Session):
    """A session that knows what was ever marked in it."""

    def __init__(self, maildrops: Maildrops, failed_login_delay: float = 0.0) -> None:
        super().__init__(maildrops, failed_login_delay)
        self.ever_marked: set[int] = set()

    def mark(self, message: Message) -> None:
        self.ever_marked.add(message.number)
        super().mark(message)


@fault(
    "dele-again-after-rset-refused",
    breaks=["rfc1939-5-dele"],
    copies="RSET clears the mark, and not the second record that answers 'already deleted'",
    edge=True,
)
class _DeleAgainAfterRsetRefused(_RemembersMarks):
    def dele_reply(self, message: Message) -> bytes:
        if message.number in self.ever_marked:
            return self.negative(b"message already deleted")
        return super().dele_reply(message)


@fault(
    "retr-of-marked",
    breaks=["rfc1939-5-dele-marked"],
    copies="Inbucket before September 2026: RETR and TOP do not ask for the mark",
)
class _RetrOfMarked(Session):
    is_reading = False

    def perform(self, keyword: str, arguments: Sequence[bytes]) -> bytes:
        self.is_reading = keyword in ("RETR", "TOP")
        return super().perform(keyword, arguments)

    def message(self, argument: bytes) -> Message | None:
        if self.is_reading:
            return self.numbered(self.number(argument))
        return super().message(argument)


@fault(
    "listing-of-marked",
    breaks=["rfc1939-5-dele-marked"],
    copies="WildDuck 603ee5bf: LIST and UIDL with a number do not ask for the mark",
    edge=True,
)
class _ListingOfMarked(Session):
    is_listing = False

    def perform(self, keyword: str, arguments: Sequence[bytes]) -> bytes:
        self.is_listing = keyword in ("LIST", "UIDL")
        return super().perform(keyword, arguments)

    def message(self, argument: bytes) -> Message | None:
        if self.is_listing:
            return self.numbered(self.number(argument))
        return super().message(argument)


@fault(
    "second-dele-succeeds",
    breaks=["rfc1939-5-dele-marked"],
    copies="setting a mark that is set does no harm, so nobody asks",
    edge=True,
)
class _SecondDeleSucceeds(Session):
    def dele_command(self, argument: bytes) -> bytes:
        if self.number(argument) in self.marked:
            return self.positive(b"message deleted")
        return super().dele_command(argument)


@fault(
    "dele-removes-at-once",
    breaks=["rfc1939-6-no-quit-no-removal", "rfc1939-6-unmarked-stay", "rfc1939-5-rset-unmarks"],
    copies="smtp4dev 738a75ff, netius 1.64.0: DELE deletes, so nothing can be taken back",
)
class _DeleRemovesAtOnce(Session):
    def mark(self, message: Message) -> None:
        super().mark(message)
        self.maildrops.remove(self.user, [message])


@fault(
    "listings-clear-marks",
    breaks=[
        "rfc1939-5-dele-marked",
        "rfc1939-5-list-without-marked",
        "rfc1939-5-stat-without-marked",
        "rfc1939-6-update-removes",
        "rfc1939-7-uidl-without-marked",
    ],
    copies="lyrathorpe legacy-email-proxy: listings read the maildrop anew, and its marks are gone",
)
class _ListingsClearMarks(Session):
    def perform(self, keyword: str, arguments: Sequence[bytes]) -> bytes:
        if keyword in ("STAT", "LIST", "UIDL") and not arguments:
            self.unmark()
        return super().perform(keyword, arguments)


@fault(
    "stat-clears-marks-for-update",
    breaks=["rfc1939-6-update-removes"],
    copies="STAT writes the state of the session to a cache, and UPDATE takes it for written",
    edge=True,
)
class _StatClearsMarksForUpdate(Session):
    def __init__(self, maildrops: Maildrops, failed_login_delay: float = 0.0) -> None:
        super().__init__(maildrops, failed_login_delay)
        self.written: set[int] = set()

    def stat_command(self) -> bytes:
        self.written = set(self.marked)
        return super().stat_command()

    def update(self) -> bool:
        self.marked -= self.written
        return super().update()


# RSET.


@fault(
    "rset-missing",
    breaks=["rfc1939-5-rset"],
    copies="Mailpit before 1.18.6: RSET is not implemented",
)
class _RsetMissing(Session):
    def rset_command(self) -> bytes:
        return self.unknown(b"RSET")


@fault(
    "rset-of-nothing-refused",
    breaks=["rfc1939-5-rset"],
    copies="nothing to unmark is reported as an error",
    edge=True,
)
class _RsetOfNothingRefused(Session):
    def rset_command(self) -> bytes:
        return super().rset_command() if self.marked else self.negative(b"nothing to unmark")


@fault(
    "rset-without-effect",
    breaks=["rfc1939-5-rset-unmarks", "rfc1939-5-list-complete", "rfc1939-6-unmarked-stay"],
    copies="smtp4dev 738a75ff: RSET is answered and does nothing",
)
class _RsetWithoutEffect(Session):
    def unmark(self) -> None:
        pass


@fault(
    "rset-forgets-highest-mark",
    breaks=["rfc1939-5-rset-unmarks", "rfc1939-5-list-complete", "rfc1939-6-unmarked-stay"],
    copies="the loop over the marks ends before the last one",
    edge=True,
)
class _RsetForgetsHighestMark(Session):
    def unmark(self) -> None:
        self.marked = {max(self.marked)} if self.marked else set()


@fault(
    "rset-does-not-reach-update",
    breaks=["rfc1939-6-unmarked-stay", "rfc1939-5-rset-unmarks"],
    copies="marks are kept twice, for the listings and for UPDATE, and RSET clears the first",
    edge=True,
)
class _RsetDoesNotReachUpdate(_RemembersMarks):
    def update(self) -> bool:
        self.marked = self.ever_marked
        return super().update()


# Marks over sessions.


class _KeepsMarks(Maildrops):
    def __init__(self, store: Store, accounts: Mapping[str, str], stamp: str) -> None:
        super().__init__(store, accounts, stamp)
        self.left: dict[str, list[str]] = {}


class _MarksSurvive(Session):
    """A session that begins with marks of the one before, if that broke off."""

    def end(self) -> None:
        assert isinstance(self.maildrops, _KeepsMarks)
        if self.user:
            broke_off = self.state is State.TRANSACTION
            kept = [each.key for each in self.messages if each.number in self.marked]
            self.maildrops.left[self.user] = self.surviving(kept) if broke_off else []
        super().end()

    def surviving(self, keys: list[str]) -> list[str]:
        """Which of the marked messages are still marked in the next session."""
        return keys

    def enter(self, user: str, messages: list[Message]) -> None:
        assert isinstance(self.maildrops, _KeepsMarks)
        super().enter(user, messages)
        left = self.maildrops.left.get(user, [])
        self.marked = {message.number for message in messages if message.key in left}


@fault(
    "marks-survive-a-broken-session",
    breaks=[
        "rfc1939-4-no-marks-at-login",
        "rfc1939-6-no-quit-no-removal",
        "rfc1939-4-message-numbers",
    ],
    copies="DELE sets a flag in the store, which only QUIT and RSET would take back",
    parts=(_KeepsMarks,),
)
class _MarksSurviveABrokenSession(_MarksSurvive):
    pass


@fault(
    "last-mark-survives-a-broken-session",
    breaks=[
        "rfc1939-4-no-marks-at-login",
        "rfc1939-6-no-quit-no-removal",
        "rfc1939-4-message-numbers",
    ],
    copies="cleaning up behind a broken session, the loop over the marks ends one too early",
    edge=True,
    parts=(_KeepsMarks,),
)
class _LastMarkSurvivesABrokenSession(_MarksSurvive):
    def surviving(self, keys: list[str]) -> list[str]:
        return keys[-1:]


# QUIT.


@fault(
    "quit-always-negative",
    breaks=["rfc1939-6-quit"],
    copies="the result of removing is a count, and none is taken for a failure",
)
class _QuitAlwaysNegative(Session):
    def update(self) -> bool:
        super().update()
        return False


@fault(
    "quit-negative-on-empty-maildrop",
    breaks=["rfc1939-6-quit"],
    copies="an empty maildrop has no file, and to close what was not opened fails",
    edge=True,
)
class _QuitNegativeOnEmptyMaildrop(Session):
    def update(self) -> bool:
        return super().update() and bool(self.messages)


@fault(
    "line-behind-farewell",
    breaks=["rfc1939-6-close"],
    copies="the connection reports its own end behind the reply to QUIT",
)
class _LineBehindFarewell(Session):
    def farewell(self) -> bytes:
        return super().farewell() + self.positive(b"connection closed")


@fault(
    "quit-before-login-stays-open",
    breaks=["rfc1939-6-close"],
    copies="WildDuck before October 2023, in small: the close belongs to UPDATE alone",
    edge=True,
)
class _QuitBeforeLoginStaysOpen(Session):
    def quit_command(self) -> bytes:
        reply = super().quit_command()
        self.closing = self.state is not State.AUTHORIZATION
        return reply


@fault(
    "quit-stays-open-behind-update",
    breaks=["rfc1939-6-close"],
    copies="WildDuck before October 2023: behind the removal nobody closes the connection",
    edge=True,
)
class _QuitStaysOpenBehindUpdate(Session):
    def quit_command(self) -> bytes:
        reply = super().quit_command()
        self.closing = not self.marked
        return reply


@fault(
    "commands-behind-quit-answered",
    breaks=["rfc1939-6-close"],
    copies="what was read together with QUIT is worked off before the connection is closed",
    edge=True,
)
class _CommandsBehindQuitAnswered(Session):
    def receive(self, octets: bytes) -> bytes:
        replies = super().receive(octets)
        if not self.closing:
            return replies
        _, _, behind = octets.upper().partition(b"QUIT\r\n")
        return replies + self.positive(b"nothing done") * behind.count(b"\n")


# The UPDATE state.


@fault(
    "update-removes-nothing",
    breaks=["rfc1939-6-update-removes"],
    copies="QUIT is answered at once, and the removal behind it fails without a word",
)
class _UpdateRemovesNothing(Session):
    def update(self) -> bool:
        return True


@fault(
    "update-behind-the-farewell",
    breaks=["rfc1939-6-update-removes"],
    copies="GreenMail, Inbucket and Mailpit of 2026: QUIT is answered, and then mail is removed",
    edge=True,
)
class _UpdateBehindTheFarewell(Session):
    def update(self) -> bool:
        marked = [message for message in self.messages if message.number in self.marked]
        if marked:
            later = threading.Timer(0.5, self.maildrops.remove, (self.user, marked))
            later.daemon = True
            later.start()
        return True


@fault(
    "last-message-is-never-removed",
    breaks=["rfc1939-6-update-removes"],
    copies="a maildrop without a message would have no file, so that UPDATE leaves one in it",
    edge=True,
)
class _LastMessageIsNeverRemoved(Session):
    def update(self) -> bool:
        if self.messages and not self.visible():
            self.marked.discard(len(self.messages))
        return super().update()


@fault(
    "update-skips-neighbours",
    breaks=["rfc1939-6-update-removes"],
    copies="a list is shortened while it is walked, so every second element is skipped",
    edge=True,
)
class _UpdateSkipsNeighbours(Maildrops):
    def remove(self, user: str, messages: Iterable[Message]) -> bool:
        return super().remove(user, list(messages)[::2])


@fault(
    "retr-implies-dele",
    breaks=["rfc1939-6-unmarked-stay"],
    copies="MercuryP/NLM: what was retrieved is removed at QUIT, with no such policy announced",
)
class _RetrImpliesDele(Session):
    def __init__(self, maildrops: Maildrops, failed_login_delay: float = 0.0) -> None:
        super().__init__(maildrops, failed_login_delay)
        self.retrieved: set[int] = set()

    def retr_reply(self, message: Message, content: bytes) -> bytes:
        self.retrieved.add(message.number)
        return super().retr_reply(message, content)

    def update(self) -> bool:
        self.marked |= self.retrieved
        return super().update()


@fault(
    "top-implies-dele",
    breaks=["rfc1939-6-unmarked-stay"],
    copies="GNU mailutils in 2007: TOP counts as reading, and what was read is removed at QUIT",
    edge=True,
)
class _TopImpliesDele(Session):
    def __init__(self, maildrops: Maildrops, failed_login_delay: float = 0.0) -> None:
        super().__init__(maildrops, failed_login_delay)
        self.seen: set[int] = set()

    def top_reply(self, message: Message, content: bytes, count: int) -> bytes:
        self.seen.add(message.number)
        return super().top_reply(message, content, count)

    def update(self) -> bool:
        self.marked |= self.seen
        return super().update()


@fault(
    "marks-beyond-eight-hit-others",
    breaks=["rfc1939-6-unmarked-stay", "rfc1939-6-update-removes"],
    copies="Dovecot 1.0-test, May 2004: the bitmap of marks is indexed within its first octet",
    edge=True,
)
class _MarksBeyondEightHitOthers(Session):
    def update(self) -> bool:
        self.marked = {(number - 1) % 8 + 1 for number in self.marked}
        return super().update()


@fault(
    "emptied-maildrop-loses-arrivals",
    breaks=["rfc1939-6-unmarked-stay"],
    copies="when all is marked the file is truncated, with the mail that came meanwhile",
    edge=True,
)
class _EmptiedMaildropLosesArrivals(Session):
    def update(self) -> bool:
        complete = super().update()
        if self.marked and not self.visible():
            self.maildrops.remove(self.user, self.maildrops.open(self.user))
        return complete


@fault(
    "end-of-stream-updates",
    breaks=["rfc1939-6-no-quit-no-removal"],
    copies="one function ends the session, whether QUIT came or the connection was lost",
)
class _EndOfStreamUpdates(Session):
    def end(self) -> None:
        if self.state is State.TRANSACTION:
            self.update()
        super().end()


@fault(
    "retr-removes",
    breaks=["rfc1939-6-no-quit-no-removal", "rfc1939-6-unmarked-stay"],
    copies="Gmail: a message that was sent is not in the next session, with or without QUIT",
)
class _RetrRemoves(Session):
    def __init__(self, maildrops: Maildrops, failed_login_delay: float = 0.0) -> None:
        super().__init__(maildrops, failed_login_delay)
        self.sent: list[Message] = []

    def retr_reply(self, message: Message, content: bytes) -> bytes:
        self.sent.append(message)
        return super().retr_reply(message, content)

    def end(self) -> None:
        if self.user:
            self.maildrops.remove(self.user, self.sent)
        super().end()


@fault(
    "broken-session-removes-what-was-read",
    breaks=["rfc1939-6-no-quit-no-removal"],
    copies="a mark on a message that was retrieved is taken for final when the connection is lost",
    edge=True,
)
class _BrokenSessionRemovesWhatWasRead(Session):
    def __init__(self, maildrops: Maildrops, failed_login_delay: float = 0.0) -> None:
        super().__init__(maildrops, failed_login_delay)
        self.final: list[Message] = []

    def retr_reply(self, message: Message, content: bytes) -> bytes:
        self.final.append(message)
        return super().retr_reply(message, content)

    def end(self) -> None:
        if self.state is State.TRANSACTION:
            lost = [message for message in self.final if message.number in self.marked]
            self.maildrops.remove(self.user, lost)
        super().end()
