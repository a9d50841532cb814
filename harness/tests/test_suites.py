"""The suites: the embedded server passes them, and each of them fails for its fault.

A fault that the reference server does not have is written here, as small as it can be.
"""

import importlib.util
import inspect
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from hashlib import md5
from itertools import takewhile
from pathlib import Path
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

import pytest
from command import apart

from pop3spec.collected import home
from pop3spec.embedded import start_embedded
from pop3spec.fixtures import Maildrop, RuleBroken, short_lived
from pop3spec.protocol.commands import State
from pop3spec.recorder import Recorder
from pop3spec.reference.faults import FAULTS
from pop3spec.reference.faults.fault import Fault
from pop3spec.reference.front import Front
from pop3spec.reference.maildrops import Maildrops, Message
from pop3spec.reference.session import Session
from pop3spec.run import Run
from pop3spec.session import Session as Client
from pop3spec.settings import Settings
from pop3spec.target import Timeouts

NO_REMOVAL = "rfc1939-6-no-quit-no-removal"
UNMARKED_STAY = "rfc1939-6-unmarked-stay"
REMOVES = "rfc1939-6-update-removes"
LIST_COMPLETE = "rfc1939-5-list-complete"
UIDL_COMPLETE = "rfc1939-7-uidl-complete"
SIZE_FIXED = "rfc1939-4-size-fixed"
ID_FIXED = "rfc1939-7-unique-id-fixed"
ID_FORM = "rfc1939-7-unique-id-form"
ID_UNIQUE = "rfc1939-7-unique-id-unique"
ID_PERSISTS = "rfc1939-7-uidl-persistent"
ID_REUSED = "rfc1939-7-uidl-no-reuse"
RETR_SAME = "rfc1939-5-retr-same"
RETR = "rfc1939-5-retr"
NOT_OPENED = "rfc1939-4-not-opened"
NO_MARKS = "rfc1939-4-no-marks-at-login"
RELEASED_BY_REFUSAL = "rfc1939-4-lock-released"
RELEASED_BY_QUIT = "rfc1939-6-lock-released"
RELEASED_BY_BREAK = "practice-lock-released-after-break"
BEFORE_LOGIN = "rfc1939-6-quit-before-login"
PERSISTENT = "rfc1939-7-uidl-persistent"
TIMER = "rfc1939-3-autologout"
RESET = "rfc1939-3-autologout-reset"
SILENT = "rfc1939-3-autologout-silent"

QUIET = ("-p", "no:cacheprovider")


# --- Faults ---


class TheRestIsALine(Session):
    """popa3d 1.0.3, mailutils 3.15: the end of the stream is the end of a line."""

    def end(self) -> None:
        if self._rest and self.state is State.TRANSACTION:
            self.receive(b"\n")
        super().end()


class AnyBeginningOfQuit(Session):
    """Keywords may be abbreviated, and the end of the stream is the end of a line."""

    def end(self) -> None:
        if self._rest and self.state is State.TRANSACTION and b"QUIT".startswith(self._rest):
            self.update()
        super().end()


class ResetUpdates(Session):
    """What happens in a signal handler for lost connections is written for QUIT."""


class TellsOfReset(Front):
    def serve(self, connection: Any) -> None:
        super().serve(connection)

    def talk(self, connection: Any, session: Session) -> None:
        try:
            super().talk(connection, session)
        except ConnectionResetError:
            session.update()


class RemovesFromTheFirstMark(Session):
    """The file is truncated where the first marked message begins."""

    def update(self) -> bool:
        if self.marked:
            self.marked = set(range(min(self.marked), len(self.messages) + 1))
        return super().update()


class NoLock(Maildrops):
    """Honest without an exclusive lock: sessions keep what they were shown."""

    def lock(self, user: str) -> bool:
        return True


class NumbersMoveUp(Session):
    """smtp4dev: each command addresses a list that is made anew."""

    def perform(self, keyword: str, arguments: Sequence[bytes]) -> bytes:
        if self.state is State.TRANSACTION:
            self.messages = self.maildrops.open(self.user)
        return super().perform(keyword, arguments)


class ListingsEndAtAGap(Session):
    """A listing is written until a message cannot be found."""

    def scan_listings(self, messages: Sequence[Message]) -> bytes:
        return super().scan_listings(self.until_a_gap(messages))

    def until_a_gap(self, messages: Sequence[Message]) -> list[Message]:
        return list(takewhile(lambda each: self.content(each) is not None, messages))


class UidlEndsAtAGap(ListingsEndAtAGap):
    """The same, where the sizes are kept and the unique-ids are not."""

    def scan_listings(self, messages: Sequence[Message]) -> bytes:
        return super(ListingsEndAtAGap, self).scan_listings(messages)

    def unique_id_listings(self, messages: Sequence[Message]) -> bytes:
        return super().unique_id_listings(self.until_a_gap(messages))


class OnlyTheMarkMovesUp(Session):
    """Listings are remembered, and UPDATE goes by the place in the store."""

    def update(self) -> bool:
        there = self.maildrops.open(self.user)
        return self.maildrops.remove(self.user, [m for m in there if m.number in self.marked])


class ContentByPlace(Maildrops):
    """A message is looked for by its place in the store."""

    def content(self, user: str, message: Message) -> bytes | None:
        entries = self.store.entries(user)[message.number - 1 :]
        return self.store.content(user, entries[0].key) if entries else None


class UpdateKeepsTheLock(Session):
    """The lock is on a file that is written anew, so the new one stays locked."""

    def end(self) -> None:
        if self.state is State.UPDATE and self.marked:
            self.user = ""
        super().end()


class RefusalReleasesTheLock(Session):
    """One clean-up for all logins that fail, also for those that failed for the lock."""

    def log_in(self, user: str) -> bytes:
        reply = super().log_in(user)
        if self.state is State.AUTHORIZATION:
            self.maildrops.unlock(user)
        return reply


class WrongPasswordReleasesTheLock(Session):
    """The clean-up behind a refused login goes by the name that was given."""

    def login_refused(self) -> bytes:
        if self.named is not None:
            self.maildrops.unlock(self.maildrops.user(self.named))
        return super().login_refused()


class LockOfBrokenSessionsStays(Session):
    """The lock is released by QUIT alone."""

    def end(self) -> None:
        if self.state is State.TRANSACTION:
            self.user = ""
        super().end()


# What a server has written down in its store, besides the messages: it outlives the process.
WRITTEN: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()


def written_in(store: Any) -> set[str]:
    return WRITTEN.setdefault(store, set())


class MarksInTheStore(Session):
    """A mark is a flag in the store; QUIT removes what has one, and needs a name alone."""

    def mark(self, message: Message) -> None:
        super().mark(message)
        written_in(self.maildrops.store).add(message.key)

    def unmark(self) -> None:
        super().unmark()
        written_in(self.maildrops.store).clear()

    def enter(self, user: str, messages: list[Message]) -> None:
        super().enter(user, messages)
        flags = written_in(self.maildrops.store)
        self.marked = {message.number for message in messages if message.key in flags}

    def quit_command(self) -> bytes:
        if self.state is State.AUTHORIZATION and self.named is not None:
            user = self.maildrops.user(self.named)
            self.maildrops.store.remove(user, written_in(self.maildrops.store))
        return super().quit_command()


class StartCarriesOutMarks(Maildrops):
    """A journal of DELE is worked off when the server comes up."""

    def __init__(self, store: Any, accounts: Mapping[str, str], stamp: str) -> None:
        super().__init__(store, accounts, stamp)
        for user in accounts:
            store.remove(user, written_in(store))

    def numbered(self, entries: Any) -> list[Message]:
        found = super().numbered(entries)
        written_in(self.store).update(message.key for message in found if message.number == 1)
        return found


class RemovalIsWrittenLater(Maildrops):
    """What was removed is written to the store by and by, and lost with the process."""

    def __init__(self, store: Any, accounts: Mapping[str, str], stamp: str) -> None:
        super().__init__(store, accounts, stamp)
        self.gone: set[str] = set()

    def open(self, user: str) -> list[Message]:
        there = [entry for entry in self.store.entries(user) if entry.key not in self.gone]
        return self.numbered(there)

    def remove(self, user: str, messages: Iterable[Message]) -> bool:
        self.gone |= {message.key for message in messages}
        return True


class IdsOfTheProcess(Maildrops):
    """A unique-id is a number of this process for what it has seen."""

    def __init__(self, store: Any, accounts: Mapping[str, str], stamp: str) -> None:
        super().__init__(store, accounts, stamp)
        self.mine = stamp.encode()[-8:]

    def numbered(self, entries: Any) -> list[Message]:
        return [
            replace(message, unique_id=self.mine + message.unique_id)
            for message in super().numbered(entries)
        ]


class TextsByNumber(Maildrops):
    """What was read is kept by its number, for all users."""

    texts: Mapping[int, bytes | None] = {}

    def content(self, user: str, message: Message) -> bytes | None:
        if message.number not in self.texts:
            found = super().content(user, message)
            self.texts = {**self.texts, message.number: found}
        return self.texts[message.number]


class IdsOfTheContent(Maildrops):
    """A hash of the message is its unique-id, which RFC 1939 allows."""

    def open(self, user: str) -> list[Message]:
        return [
            replace(each, unique_id=self.unique_id(self.content(user, each) or b""))
            for each in super().open(user)
        ]

    def unique_id(self, content: bytes) -> bytes:
        return md5(content, usedforsecurity=False).hexdigest().encode()


class IdsOfTheFirstBlock(IdsOfTheContent):
    """The same of the first 64 KiB, which is what one read gives."""

    def unique_id(self, content: bytes) -> bytes:
        return super().unique_id(content[:65536])


class IdsOfTheHeader(IdsOfTheContent):
    """The Message-ID is the unique-id."""

    def unique_id(self, content: bytes) -> bytes:
        return content.partition(b"Message-ID: <")[2].partition(b">")[0]


class IdsByFreeNumber(Maildrops):
    """Each message gets the lowest number that no other one has."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.numbers: dict[str, dict[str, int]] = {}

    def open(self, user: str) -> list[Message]:
        messages = super().open(user)
        there = {each.key for each in messages}
        numbers = self.numbers.setdefault(user, {})
        numbers = {key: number for key, number in numbers.items() if key in there}
        for key in (each.key for each in messages if each.key not in numbers):
            numbers[key] = min(set(range(1, len(there) + 1)) - set(numbers.values()))
        self.numbers[user] = numbers
        return [replace(each, unique_id=b"%d" % numbers[each.key]) for each in messages]


class TotalIn32Bits(Session):
    """Stalwart d72608f3: the sizes are summed in 32 bits."""

    def drop_listing(self, messages: Sequence[Message]) -> bytes:
        return b"%d %d" % (len(messages), sum(message.size for message in messages) % 2**32)


class TableOf256(Session):
    """The messages of a session are in a table of fixed size."""

    def enter(self, user: str, messages: list[Message]) -> None:
        super().enter(user, messages[:256])


class ListInOneBuffer(Session):
    """A listing is written into a buffer of 64 KiB, as far as that goes."""

    def scan_listings(self, messages: Sequence[Message]) -> bytes:
        listing = super().scan_listings(messages)
        return listing if len(listing) < 65536 else listing[: listing.rfind(b"\n", 0, 65536) + 1]


class UidlWithoutItsLast(Session):
    """What is left of a listing behind the last whole page of 100 lines is forgotten."""

    def unique_id_listings(self, messages: Sequence[Message]) -> bytes:
        whole = len(messages) // 100 * 100
        return super().unique_id_listings(messages[:whole] or messages)


class SixteenMegabytes(Session):
    """The length of a text is kept in 24 bits."""

    def retr_payload(self, text: bytes) -> bytes:
        kept = text[: len(text) % 2**24]
        return super().retr_payload(kept[: kept.rfind(b"\n") + 1])


HERE: Sequence[type] = (
    IdsOfTheContent,
    IdsOfTheFirstBlock,
    IdsOfTheHeader,
    IdsByFreeNumber,
    TotalIn32Bits,
    TableOf256,
    ListInOneBuffer,
    UidlWithoutItsLast,
    SixteenMegabytes,
    TheRestIsALine,
    AnyBeginningOfQuit,
    TellsOfReset,
    RemovesFromTheFirstMark,
    NoLock,
    NumbersMoveUp,
    ListingsEndAtAGap,
    UidlEndsAtAGap,
    OnlyTheMarkMovesUp,
    ContentByPlace,
    UpdateKeepsTheLock,
    RefusalReleasesTheLock,
    WrongPasswordReleasesTheLock,
    LockOfBrokenSessionsStays,
    MarksInTheStore,
    StartCarriesOutMarks,
    RemovalIsWrittenLater,
    IdsOfTheProcess,
    TextsByNumber,
)


@pytest.fixture(autouse=True)
def faults_of_this_file(monkeypatch: pytest.MonkeyPatch) -> None:
    for part in HERE:
        fault = Fault(part.__name__, frozenset(), part.__doc__ or "", False, (part,))
        monkeypatch.setitem(FAULTS, part.__name__, fault)


# --- Running a test of a suite against a fault ---


@cache
def suite(name: str) -> ModuleType:
    path = home() / "suites" / f"test_rfc1939_{name}.py"
    spec = importlib.util.spec_from_file_location(f"suite_of_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look for their module by its name.
    sys.modules[module.__name__] = module
    spec.loader.exec_module(module)
    return module


@contextmanager
def maildrops_on(*faults: str) -> Iterator[list[Maildrop]]:
    embedded = start_embedded(faults=faults, timeouts=Timeouts(5.0, 1.0, 1.0))
    target = replace(embedded.target, accounts=embedded.target.accounts[:4])
    run = Run(
        Settings(target, Path()),
        target,
        embedded.door,
        back_off=(0.02, 0.05, 0.1),
        restart=embedded.server.restart,
    )
    try:
        run.begin()
        maildrops = [Maildrop(run, mailbox, Recorder()) for mailbox in run.mailboxes]
        try:
            yield maildrops
        finally:
            for maildrop in maildrops:
                maildrop.close()
    finally:
        embedded.close()


def rules_broken(work: Callable[..., None], *faults: str, **arguments: object) -> set[str]:
    """What a test of a suite accuses the reference server with these faults of."""
    with maildrops_on(*faults) as maildrops:
        given = {
            "maildrops": maildrops,
            "maildrop": maildrops[0],
            "two_maildrops": tuple(maildrops[:2]),
            "restart": maildrops[0].run.restart,
        }
        wanted = inspect.signature(work).parameters
        fitting = {name: value for name, value in given.items() if name in wanted}
        return accused_by(lambda: work(**fitting, **arguments), [m.recorder for m in maildrops])


def accused_by(test: Callable[[], None], recorders: Sequence[Recorder]) -> set[str]:
    rules: set[str] = set()
    try:
        test()
    except RuleBroken as broken:
        rules.add(broken.rule)
    except pytest.skip.Exception as skipped:
        pytest.fail(f"the test was skipped: {skipped}")
    return rules | {found.rule for recorder in recorders for found in recorder.findings}


@dataclass(frozen=True)
class Case:
    """A test of a suite, the faults to try it against, and what it has to accuse of."""

    suite: str
    test: str
    faults: tuple[str, ...]
    rules: frozenset[str]
    arguments: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.test.removeprefix('test_')[:40]}-{'+'.join(self.faults)}"


def case(suite: str, test: str, faults: str, *rules: str, **arguments: object) -> Case:
    return Case(suite, test, tuple(faults.split()), frozenset(rules), arguments)


CUT = ("update", "test_a_session_cut_before_quit_removes_nothing")
BEHIND = ("update", "test_a_session_cut_behind_quit_removes_all_that_is_marked_or_nothing")
EXACTLY = ("update", "test_quit_removes_exactly_what_is_marked_of_two_hundred_messages")
VIEW = ("sessions", "test_sessions_keep_their_view_while_another_one_removes_mail")
VANISHED = ("sessions", "test_a_message_that_vanished_is_refused_or_still_itself")
FREE = ("sessions", "test_the_maildrop_is_free_when_a_session_has_quit")
DROPPED = ("sessions", "test_the_maildrop_is_free_soon_after_a_session_was_dropped")
IN_USE = ("sessions", "test_a_login_to_a_maildrop_in_use_is_refused_or_works")
WRONG = ("sessions", "test_a_wrong_password_leaves_the_lock_to_the_session_that_has_it")
NEWCOMERS = (
    "sessions",
    "test_what_came_in_place_of_a_vanished_message_is_not_removed_for_it",
)
OPEN_MARKS = ("update", "test_quit_before_login_leaves_the_marks_of_an_open_session")
KILLED_BEFORE = ("update", "test_a_server_killed_between_dele_and_quit_has_removed_nothing")
KILLED_BEHIND = (
    "update",
    "test_a_server_killed_behind_the_reply_to_quit_has_removed_what_was_marked",
)
KILLED_WHILE = (
    "update",
    "test_a_server_killed_while_it_works_off_quit_has_removed_all_that_is_marked_or_nothing",
)
REFUSED = ("sessions", "test_a_refused_login_leaves_the_lock_to_the_session_that_has_it")
USERS = ("sessions", "test_two_users_at_once_see_only_their_own_mail")

MANY = ("large", "test_the_listings_of_so_many_messages_are_complete")
HUNDRED = ("large", "test_of_a_hundred_messages_those_that_are_marked_go")
TEN_THOUSAND = ("large", "test_the_listings_of_ten_thousand_messages_are_complete")
MEGABYTES = ("large", "test_a_message_of_25_megabytes_is_sent_whole")
TOTAL = ("large", "test_a_total_that_needs_more_than_32_bits_is_the_sum")

STAYING = ("unique_ids", "test_unique_ids_stay_with_their_messages_while_others_go_and_come")
LONG = ("unique_ids", "test_long_messages_that_differ_in_one_octet_have_different_unique_ids")
NAMED = ("unique_ids", "test_unique_ids_are_short_whatever_the_messages_are_called")

CASES = (
    case(*STAYING, "IdsOfTheContent", during=True),
    case(*STAYING, "IdsByFreeNumber", ID_REUSED, during=False),
    case(*STAYING, "unique-ids-begin-again", ID_REUSED, during=True),
    case(*STAYING, "unique-id-is-the-number", ID_PERSISTS, during=False),
    case(*STAYING, "unique-ids-saved-at-quit", ID_PERSISTS, during=True),
    case(*LONG, "IdsOfTheContent"),
    case(*LONG, "IdsOfTheFirstBlock", ID_UNIQUE),
    case(*NAMED, "IdsOfTheHeader", ID_FORM),
    case(*MANY, "TableOf256", "rfc1939-5-stat-count", number=257),
    case(*MANY, "TableOf256", number=256),
    case(*MANY, "UidlWithoutItsLast", UIDL_COMPLETE, number=255),
    case(*HUNDRED, "marks-beyond-eight-hit-others", UNMARKED_STAY),
    case(*HUNDRED, "update-skips-neighbours", REMOVES),
    case(*TEN_THOUSAND, "ListInOneBuffer", LIST_COMPLETE),
    case(*MEGABYTES, "SixteenMegabytes", RETR, "rfc1939-11-exact-size"),
    case(*TOTAL, "TotalIn32Bits", "rfc1939-5-stat-total"),
    case(*CUT, "end-of-stream-updates", NO_REMOVAL, cut=Client.close),
    case(*CUT, "end-of-stream-updates", NO_REMOVAL, cut=Client.reset),
    case(*CUT, "end-of-stream-updates NoLock", NO_REMOVAL, cut=Client.close),
    case(*CUT, "marks-survive-a-broken-session", NO_REMOVAL, cut=Client.reset),
    case(*CUT, "last-mark-survives-a-broken-session", NO_REMOVAL, cut=Client.close),
    case(*CUT, "AnyBeginningOfQuit", NO_REMOVAL, cut=Client.close),
    case(*CUT, "TellsOfReset", NO_REMOVAL, cut=Client.reset),
    case(*CUT, "NoLock", cut=Client.close),
    case(*BEHIND, "RemovesFromTheFirstMark", UNMARKED_STAY, cut=Client.close, octets=6),
    case(*BEHIND, "update-skips-neighbours", REMOVES, cut=Client.reset, octets=6),
    case(*BEHIND, "update-removes-nothing", cut=Client.close, octets=6),
    case(*BEHIND, "NoLock", cut=Client.reset, octets=6),
    case(*BEHIND, "TheRestIsALine", cut=Client.close, octets=4),
    case(*EXACTLY, "marks-beyond-eight-hit-others", UNMARKED_STAY),
    case(*EXACTLY, "update-skips-neighbours", REMOVES),
    case(*EXACTLY, "update-removes-nothing", REMOVES),
    case(*EXACTLY, "rset-does-not-reach-update", UNMARKED_STAY),
    case(*VIEW, "NoLock"),
    case(*VIEW, "NoLock NumbersMoveUp", UNMARKED_STAY, SIZE_FIXED, ID_FIXED, RETR_SAME),
    case(*VIEW, "NoLock ListingsEndAtAGap", LIST_COMPLETE),
    case(*VIEW, "NoLock UidlEndsAtAGap", UIDL_COMPLETE),
    case(*VIEW, "NoLock ContentByPlace", RETR, RETR_SAME),
    case(*VIEW, "NoLock OnlyTheMarkMovesUp", UNMARKED_STAY),
    case(*VANISHED, "ContentByPlace", RETR_SAME),
    case(*VANISHED, "NumbersMoveUp", RETR_SAME),
    case(*FREE, "UpdateKeepsTheLock", RELEASED_BY_QUIT, lines=("DELE 1",)),
    case(*FREE, "NoLock", lines=()),
    case(*DROPPED, "LockOfBrokenSessionsStays", RELEASED_BY_BREAK, drop=Client.close),
    case(*DROPPED, "NoLock", drop=Client.reset),
    case(*IN_USE, "NoLock"),
    case(*IN_USE, "NoLock MarksInTheStore", NO_MARKS),
    case(*IN_USE, "login-before-lock", NOT_OPENED),
    case(*KILLED_BEFORE, "marks-survive-a-broken-session"),
    case(*KILLED_BEFORE, "StartCarriesOutMarks", NO_REMOVAL),
    case(*KILLED_BEFORE, "IdsOfTheProcess", PERSISTENT),
    case(*KILLED_BEHIND, "RemovalIsWrittenLater", REMOVES),
    case(*KILLED_WHILE, "RemovalIsWrittenLater"),
    case(*KILLED_WHILE, "RemovesFromTheFirstMark", UNMARKED_STAY),
    case(*NEWCOMERS, "OnlyTheMarkMovesUp", UNMARKED_STAY),
    case(*OPEN_MARKS, "MarksInTheStore", BEFORE_LOGIN, say=suite("update").names_user),
    case(*OPEN_MARKS, "NoLock", say=Maildrop.refuse),
    case(*REFUSED, "RefusalReleasesTheLock", RELEASED_BY_REFUSAL, leave=Client.close),
    case(*REFUSED, "RefusalReleasesTheLock", RELEASED_BY_REFUSAL, leave=Client.quit),
    case(*WRONG, "WrongPasswordReleasesTheLock", RELEASED_BY_REFUSAL),
    case(*USERS, "TextsByNumber", RETR),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_suite_accuses_a_fault_of_what_it_breaks(case: Case) -> None:
    test = getattr(suite(case.suite), case.test)

    accused = rules_broken(test, *case.faults, **case.arguments)

    assert accused >= case.rules
    assert bool(accused) == bool(case.rules), accused


# Conversations that begin with the run: work, what else it gets, fault, rule.
SILENCE: Sequence[tuple[str, Mapping[str, object], str, str]] = (
    ("stays_open", {}, "timer-of-a-third", TIMER),
    ("is_reset", {"line": "NOOP"}, "timer-of-a-third", TIMER),
    ("is_reset", {"line": "LIST 999"}, "timer-from-the-login", RESET),
    ("removes_nothing", {"begun": b""}, "timer-says-why", SILENT),
    ("removes_nothing", {"begun": b""}, "end-of-stream-updates", NO_REMOVAL),
    ("removes_nothing", {"begun": b"QU"}, "AnyBeginningOfQuit", NO_REMOVAL),
    ("removes_nothing", {"begun": b"QUIT"}, "TheRestIsALine", NO_REMOVAL),
)


def test_silence_accuses_faults_of_the_timer() -> None:
    def accused(work: str, arguments: Mapping[str, object], fault: str, rule: str) -> set[str]:
        recorder = Recorder()
        with short_lived(recorder, fault) as maildrop:
            conversation = getattr(suite("autologout"), work)
            return accused_by(lambda: conversation(maildrop, **arguments), [recorder])

    # Side by side, for all that they do is wait.
    with ThreadPoolExecutor(len(SILENCE)) as threads:
        found = list(threads.map(lambda each: accused(*each), SILENCE))

    assert found == [{rule} for *_, rule in SILENCE]


# Why something is not applicable to the embedded server.
ELSEWHERE = {
    "no profile says cleartext-logins: refused",
    "PIPELINING is offered",
    "beside TLS it is judged by rfc2449-6.2-user-in-clear",
    *(f"{way} is accepted in the clear" for way in ("PLAIN", "LOGIN", "USER and PASS")),
    "PLAIN in two steps is accepted in the clear",
}


def test_the_embedded_server_passes_every_suite(tmp_path: Path) -> None:
    words = ("-m", "pytest", "-q", f"--report-dir={tmp_path}", "suites", *QUIET)

    ended = apart(home(), *words, timeout=200.0)

    rows = json.loads((tmp_path / "results.json").read_text())["scenarios"]
    assert ended.code == 0, ended.text
    # What is for servers that this one is not is tried on others.
    verdicts = {row["verdict"] for row in rows}
    assert verdicts == {"pass", "not-applicable"}
    assert {row["detail"] for row in rows if row["verdict"] == "not-applicable"} == ELSEWHERE
    assert {Path(row["file"]).name for row in rows if row["file"]} == {
        path.name for path in (home() / "suites").rglob("test_*.py")
    }
