"""The suites: the embedded server passes them, and each of them fails for its fault.

A fault that the reference server does not have is written here, as small as it can be.
"""

import importlib.util
import inspect
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import takewhile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from command import apart

from pop3spec.collected import home
from pop3spec.embedded import start_embedded
from pop3spec.fixtures import Maildrop, RuleBroken, short_lived
from pop3spec.protocol.commands import State
from pop3spec.reference.faults import FAULTS
from pop3spec.reference.faults.fault import Fault
from pop3spec.reference.front import Front
from pop3spec.reference.maildrops import Maildrops, Message
from pop3spec.reference.session import Session
from pop3spec.run import Run
from pop3spec.session import Recorder
from pop3spec.session import Session as Client
from pop3spec.settings import Settings
from pop3spec.target import Timeouts

NO_REMOVAL = "rfc1939-6-no-quit-no-removal"
UNMARKED_STAY = "rfc1939-6-unmarked-stay"
REMOVES = "rfc1939-6-update-removes"
STAYS_OPEN = "rfc1939-3-stays-open"
LIST_COMPLETE = "rfc1939-5-list-complete"
UIDL_COMPLETE = "rfc1939-7-uidl-complete"
SIZE_FIXED = "rfc1939-4-size-fixed"
ID_FIXED = "rfc1939-7-unique-id-fixed"
RETR_SAME = "rfc1939-5-retr-same"
RETR = "rfc1939-5-retr"
USER_PASS = "rfc1939-7-user-pass"
LOGIN_REFUSED = "rfc1939-4-login-refused"

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


class TextsByNumber(Maildrops):
    """What was read is kept by its number, for all users."""

    texts: Mapping[int, bytes | None] = {}

    def content(self, user: str, message: Message) -> bytes | None:
        if message.number not in self.texts:
            found = super().content(user, message)
            self.texts = {**self.texts, message.number: found}
        return self.texts[message.number]


class ShortTimer(Front):
    """Mailpit before 1.18.6: a timer well below ten minutes."""

    def __init__(self, listener: Any, new_session: Callable[[], Session], autologout: float):
        super().__init__(listener, new_session, autologout / 3)


class TimerFromTheLogin(Front):
    """WildDuck before July 2025: no command resets the timer."""

    def talk(self, connection: Any, session: Session) -> None:
        end = time.monotonic() + self.autologout
        self.send(connection, session.greeting())
        while not session.closing:
            connection.settimeout(max(end - time.monotonic(), 0.001))
            octets = connection.recv(4096)
            if not octets:
                return
            self.reply(connection, session, session.receive(octets))


HERE: Sequence[type] = (
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
    TextsByNumber,
    ShortTimer,
    TimerFromTheLogin,
)


@pytest.fixture(autouse=True)
def faults_of_this_file(monkeypatch: pytest.MonkeyPatch) -> None:
    for part in HERE:
        fault = Fault(part.__name__, frozenset(), part.__doc__ or "", False, (part,))
        monkeypatch.setitem(FAULTS, part.__name__, fault)  # type: ignore[arg-type]


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
    run = Run(Settings(target, Path()), target, embedded.door, back_off=(0.02, 0.05, 0.1))
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
REFUSED = ("sessions", "test_a_refused_login_leaves_the_lock_to_the_session_that_has_it")
USERS = ("sessions", "test_two_users_at_once_see_only_their_own_mail")

CASES = (
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
    case(*FREE, "UpdateKeepsTheLock", USER_PASS, marks=2),
    case(*FREE, "NoLock", marks=0),
    case(*REFUSED, "RefusalReleasesTheLock", LOGIN_REFUSED, leave=Client.close),
    case(*REFUSED, "RefusalReleasesTheLock", LOGIN_REFUSED, leave=Client.quit),
    case(*USERS, "TextsByNumber", RETR),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_suite_accuses_a_fault_of_what_it_breaks(case: Case) -> None:
    test = getattr(suite(case.suite), case.test)

    accused = rules_broken(test, *case.faults, **case.arguments)

    assert accused >= case.rules
    assert bool(accused) == bool(case.rules), accused


# Conversations that begin with the run: work, what else it gets, fault, rule.
SILENCE = (
    ("stays_open", {}, "ShortTimer", STAYS_OPEN),
    ("is_reset", {}, "ShortTimer", STAYS_OPEN),
    ("is_reset", {}, "TimerFromTheLogin", STAYS_OPEN),
    ("removes_nothing", {"begun": b""}, "end-of-stream-updates", NO_REMOVAL),
    ("removes_nothing", {"begun": b"QU"}, "AnyBeginningOfQuit", NO_REMOVAL),
    ("removes_nothing", {"begun": b"QUIT"}, "TheRestIsALine", NO_REMOVAL),
)


def test_silence_accuses_faults_of_the_timer() -> None:
    def accused(work: str, arguments: Mapping[str, bytes], fault: str, rule: str) -> set[str]:
        recorder = Recorder()
        with short_lived(recorder, fault) as maildrop:
            conversation = getattr(suite("autologout"), work)
            return accused_by(lambda: conversation(maildrop, **arguments), [recorder])

    # Side by side, for all that they do is wait.
    with ThreadPoolExecutor(len(SILENCE)) as threads:
        found = list(threads.map(lambda each: accused(*each), SILENCE))

    assert found == [{rule} for *_, rule in SILENCE]


def test_the_embedded_server_passes_every_suite(tmp_path: Path) -> None:
    ended = apart(home(), "-m", "pytest", "-q", f"--report-dir={tmp_path}", "suites", *QUIET)

    rows = json.loads((tmp_path / "results.json").read_text())["scenarios"]
    assert ended.code == 0, ended.text
    assert {row["verdict"] for row in rows} == {"pass"}
    assert {Path(row["file"]).name for row in rows if row["file"]} == {
        path.name for path in (home() / "suites").glob("test_*.py")
    }
