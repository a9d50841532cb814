"""Faults that take a sequence of commands, or of sessions, that no script has.

They stand in a table of their own, SEQUENCES: no scenario is made for them, and fuzzing has to
find them without being told.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pop3spec.protocol.commands import State
from pop3spec.reference.faults.fault import FaultTable
from pop3spec.reference.faults.service import EndsService, StopsListening
from pop3spec.reference.front import Front
from pop3spec.reference.maildrops import Maildrops, Message
from pop3spec.reference.session import Session
from pop3spec.reference.wire import Wire

TABLE = FaultTable()
fault = TABLE.fault

# Seconds for which a client waits in vain.
_FOR_EVER = 600.0


@fault(
    "marks-lost-after-an-error",
    breaks=["rfc1939-5-dele-marked", "rfc1939-5-list-without-marked"],
    copies="the session is built anew behind a command that cannot be parsed, without its marks",
)
class _MarksLostAfterAnError(Session):
    def malformed(self, keyword: str) -> bytes:
        if self.state is State.TRANSACTION:
            self.marked.clear()
        return super().malformed(keyword)


@fault(
    "numbers-shifted-after-rset",
    breaks=["rfc1939-4-size-fixed", "rfc1939-7-unique-id-fixed"],
    copies="two marks come back by being appended to the list, which is numbered again",
)
class _NumbersShiftedAfterRset(Session):
    def unmark(self) -> None:
        if len(self.marked) > 1:
            kept = [each for each in self.messages if each.number not in self.marked]
            back = [each for each in self.messages if each.number in self.marked]
            self.messages = [
                replace(each, number=number) for number, each in enumerate([*kept, *back], 1)
            ]
        super().unmark()


@fault(
    "unique-ids-swapped-after-deletion",
    breaks=["rfc1939-7-unique-id-fixed"],
    copies="behind the second mark the index of unique-ids is off by one at its end",
)
class _UniqueIdsSwappedAfterDeletion(Session):
    def unique_id_listings(self, messages: Sequence[Message]) -> bytes:
        if len(self.marked) > 1 and len(messages) > 1:
            *others, last, first = messages
            swapped = (
                replace(last, unique_id=first.unique_id),
                replace(first, unique_id=last.unique_id),
            )
            messages = [*others, *swapped]
        return super().unique_id_listings(messages)


@fault(
    "lock-kept-when-marks-are-dropped",
    breaks=["practice-lock-released-after-break"],
    copies="a session that is broken off with two marks rolls them back, and forgets its lock",
)
class _LockKeptWhenMarksAreDropped(Session):
    def end(self) -> None:
        if len(self.marked) > 1 and self.state is State.TRANSACTION:
            self.user = ""
        super().end()


@fault(
    "stat-behind-the-last-mark",
    breaks=["rfc1939-5-stat-without-marked"],
    copies="a cached drop listing is made anew unless no message is left to count",
)
class _StatBehindTheLastMark(Session):
    _told = b""

    def drop_listing(self, messages: Sequence[Message]) -> bytes:
        if messages or not self.messages or not self._told:
            self._told = super().drop_listing(messages)
        return self._told


class _OneSetOfMarks(Maildrops):
    """Marks by the number of the message alone, whoever set them."""

    def marks(self) -> set[int]:
        if not hasattr(self, "_marks"):
            self._marks: set[int] = set()
        return self._marks


@fault(
    "marks-shared-between-sessions",
    breaks=["rfc1939-5-retr", "rfc1939-5-list-complete"],
    copies="the set of marks is a default value, of which all sessions have the same one",
    parts=(_OneSetOfMarks,),
)
class _MarksSharedBetweenSessions(Session):
    def enter(self, user: str, messages: list[Message]) -> None:
        super().enter(user, messages)
        assert isinstance(self.maildrops, _OneSetOfMarks)
        self.marked = self.maildrops.marks()
        self.marked.clear()


@fault(
    "retr-behind-rset-from-the-cache",
    breaks=["rfc1939-5-retr-same"],
    copies="RSET moves a pointer to the first message, and leaves the buffer as it was",
)
class _RetrBehindRsetFromTheCache(Session):
    _cached: bytes | None = None
    _was_reset = False

    def rset_command(self) -> bytes:
        self._was_reset = bool(self.marked)
        return super().rset_command()

    def content(self, message: Message) -> bytes | None:
        if self._was_reset and self._cached is not None:
            self._was_reset = False
            return self._cached
        self._cached = super().content(message)
        return self._cached


class _KeepsJournals(Maildrops):
    """The messages that were marked in sessions without QUIT, by their keys."""

    def journal(self) -> set[str]:
        """The same set for all sessions."""
        if not hasattr(self, "_journal"):
            self._journal: set[str] = set()
        return self._journal


@fault(
    "second-broken-session-updates",
    breaks=["rfc1939-6-no-quit-no-removal"],
    copies="a journal of marks is played back where an earlier session has left the same mark",
    parts=(_KeepsJournals,),
)
class _SecondBrokenSessionUpdates(Session):
    def end(self) -> None:
        if self.user and self.marked and self.state is State.TRANSACTION:
            assert isinstance(self.maildrops, _KeepsJournals)
            keys = {each.key for each in self.messages if each.number in self.marked}
            if keys & self.maildrops.journal():
                self.update()
            self.maildrops.journal().update(keys)
        super().end()


@fault(
    "dele-marks-what-top-showed",
    breaks=["rfc1939-5-list-complete", "rfc1939-5-list-without-marked"],
    copies="DELE works on the current message, which TOP sets and nothing resets but RETR",
)
class _DeleMarksWhatTopShowed(Session):
    _current: Message | None = None

    def top_reply(self, message: Message, content: bytes, count: int) -> bytes:
        self._current = message
        return super().top_reply(message, content, count)

    def retr_reply(self, message: Message, content: bytes) -> bytes:
        self._current = None
        return super().retr_reply(message, content)

    def mark(self, message: Message) -> None:
        shown, self._current = self._current, None
        is_there = shown is not None and shown.number not in self.marked
        super().mark(shown if is_there and shown is not None else message)


# --- Two accounts at once, and mail that arrives meanwhile ---


class _OneCurrentUser(Maildrops):
    """Whoever logged in last, in a variable of the whole process."""

    _current = ""

    def open(self, user: str) -> list[Message]:
        self._current = user
        return super().open(user)

    def same_number(self, message: Message) -> Message | None:
        """The message with the same number, in the maildrop that was opened last."""
        there = self.numbered(self.store.entries(self._current))
        return there[message.number - 1] if message.number <= len(there) else None


class _ReadsForTheLastLogin(_OneCurrentUser):
    def content(self, user: str, message: Message) -> bytes | None:
        other = self.same_number(message)
        if user == self._current or other is None:
            return super().content(user, message)
        return self.store.content(self._current, other.key)


@fault(
    "retr-reads-where-the-last-login-was",
    breaks=["robust-no-leak", "rfc1939-5-retr", "rfc1939-11-exact-size"],
    copies="the path of the maildrop is kept once for the process, and not for each session",
    parts=(_ReadsForTheLastLogin,),
)
class _RetrReadsWhereTheLastLoginWas(Session):
    pass


class _RemovesForTheLastLogin(_OneCurrentUser):
    def remove(self, user: str, messages: Iterable[Message]) -> bool:
        del user
        others = [self.same_number(each) for each in messages]
        there = [each.key for each in others if each is not None]
        return self.store.remove(self._current, there)


@fault(
    "quit-removes-where-the-last-login-was",
    breaks=["rfc1939-6-update-removes", "rfc1939-6-unmarked-stay", "rfc1939-6-no-quit-no-removal"],
    copies="the directory in which QUIT unlinks is that of the process, which each login changes",
    parts=(_RemovesForTheLastLogin,),
)
class _QuitRemovesWhereTheLastLoginWas(Session):
    pass


@fault(
    "an-arrival-calls-the-update-off",
    breaks=["rfc1939-6-update-removes"],
    copies="a maildrop that is not as it was at the login is left alone, and QUIT answers '+OK'",
)
class _AnArrivalCallsTheUpdateOff(Session):
    def update(self) -> bool:
        there = len(self.maildrops.store.entries(self.user))
        return True if there > len(self.messages) else super().update()


# --- A session that falls silent, and a service that dies ---


class _EndsOthers(Front):
    """A front whose sessions live in one process: what ends it ends all of them."""

    def reply(self, wire: Wire, session: Session, replies: bytes) -> None:
        super().reply(wire, session, replies)
        if isinstance(session, EndsService) and session.ends_service:
            session.ends_service = False
            for other in self.wires():
                if other is not wire:
                    other.cut()


@fault(
    "malformed-number-ends-the-sessions-of-others",
    breaks=["robust-serves-next-client"],
    copies="an error that nobody catches ends a worker with the sessions in it; WildDuck 603ee5bf",
    parts=(_EndsOthers,),
)
class _MalformedNumberEndsTheSessionsOfOthers(EndsService):
    def malformed(self, keyword: str) -> bytes:
        self.ends_service = True
        return super().malformed(keyword)


@fault(
    "silent-after-two-kinds-of-refusal",
    breaks=["rfc1939-3-reply-per-command"],
    copies="an error within the handling of another one leaves the session in a loop",
)
class _SilentAfterTwoKindsOfRefusal(Session):
    _was_unknown = False

    def unknown(self, word: bytes) -> bytes:
        self._was_unknown = True
        return super().unknown(word)

    def no_such_message(self) -> bytes:
        if self._was_unknown:
            self.delay = _FOR_EVER
        return super().no_such_message()


@fault(
    "login-behind-a-mark-stops-listening",
    breaks=["robust-serves-next-client"],
    copies="the table of accounts stays locked by a handler that a mark has sent elsewhere",
    parts=(StopsListening,),
)
class _LoginBehindAMarkStopsListening(EndsService):
    def wrong_state(self, keyword: str) -> bytes:
        self.ends_service = keyword in ("USER", "PASS") and bool(self.marked)
        return super().wrong_state(keyword)


@fault(
    "tls-record-in-the-clear-stops-listening",
    breaks=["robust-serves-next-client"],
    copies="the length of a record is believed, and more memory asked for than there is",
    parts=(StopsListening,),
)
class _TlsRecordInTheClearStopsListening(EndsService):
    def receive(self, octets: bytes) -> bytes:
        if self.state is State.AUTHORIZATION and octets.startswith(b"\x16\x03"):
            self.ends_service = True
        return super().receive(octets)
