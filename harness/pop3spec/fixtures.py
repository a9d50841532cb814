"""Fixtures for suites: sessions with the target, and maildrops to fill and to look into.

Every session is judged by the passive rules, and is recorded. What the target withholds
(no account, no door, a lock that stays) skips the test as `blocked`. `plugin` says how to
get at the run, and makes the test's outcome of what the recorders hold.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

import pytest

from pop3spec.accounts import Mailbox
from pop3spec.hooks import HookError
from pop3spec.maildrop import Door, DoorError
from pop3spec.maildrop.journal import own_part
from pop3spec.maildrop.maildir import MaildirDoor
from pop3spec.rulebook.history import Filling
from pop3spec.run import Run
from pop3spec.schedule import Attempt, Job
from pop3spec.session import (
    Recorder,
    Session,
    SessionRefused,
    TooEarly,
    connected,
    open_session,
)
from pop3spec.settings import Settings
from pop3spec.stock import message
from pop3spec.target import Account, Target, Tls, Transport
from pop3spec.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from pop3spec.embedded import Embedded

# What `plugin` offers to the fixtures, and what they leave at a test for it.
READY_RUN = pytest.StashKey[Callable[[], Run]]()
REPLAY = pytest.StashKey[Callable[[Sequence[str]], str]]()
RECORDERS = pytest.StashKey[list[Recorder]]()
_BESIDE = pytest.StashKey[Job | None]()

# Accounts that one test uses at the same time, and that one with many short ones does.
_MOST_MAILDROPS = 8
_FEW_MAILDROPS = 6
# A session that was left is gone in a moment, where the server is near.
_MOMENTS = (0.01, 0.03)
# Without a lock it is not known when that is: seconds between looks at what it left.
_LATER = (0.05, 0.15, 0.3)

Given = TypeVar("Given")


# What `blocked` raises.
BLOCKED: type[BaseException] = pytest.skip.Exception


class RuleBroken(AssertionError):
    """The target broke a rule, in these words behind 'got'."""

    def __init__(self, rule: str, got: str) -> None:
        super().__init__(got)
        self.rule = rule


def blocked(why: object) -> NoReturn:
    """End the test: it cannot be tried."""
    pytest.skip(f"blocked: {why}")


def not_applicable(why: object) -> NoReturn:
    """End the test: the target never offered what it is about."""
    pytest.skip(f"not applicable: {why}")


@dataclass(frozen=True)
class Timer:
    """An autologout timer, in seconds, and how long a test waits for it.

    It does not expire before `shortest`. A session left alone is open after `least`; two
    waits of `nap` are more than the timer, one is not; `patience` ends the wait for it.
    """

    shortest: float
    least: float
    nap: float
    patience: float


# RFC 1939, section 3: at least ten minutes.
TEN_MINUTES = Timer(shortest=600.0, least=590.0, nap=330.0, patience=660.0)
SHORTENED = Timer(shortest=1.8, least=1.0, nap=1.0, patience=6.0)


@dataclass(frozen=True)
class Wait:
    """A session that was left alone: after how many seconds it was closed, and the words."""

    closed: float | None
    said: bytes


@dataclass(frozen=True)
class View:
    """A maildrop as a new session and the door show it; None is what nobody told.

    `contents` has that part of each message which stays the same when servers rewrite it.
    Messages are known by their unique-ids, for the next session may number them otherwise.
    """

    count: int | None
    unique_ids: tuple[bytes, ...] | None
    contents: Counter[bytes]

    def lost(self, after: "View", may_go: Sequence[bytes | None] = ()) -> str:
        """What is gone in a later view, in words.

        `may_go` has the unique-id of each message that may be gone, None where it is not known.
        """
        there = self.contents.total()
        gone = (self.contents - after.contents).total()
        if after.contents - self.contents:  # rewritten by the server, so that numbers alone tell
            gone = there - after.contents.total()
        if gone > len(may_go):
            return f"{gone} of {there} messages gone from the store"
        if after.count is not None and after.count < there - len(may_go):
            return f"a count of {after.count} in the next session, of {there} messages"
        if None not in may_go and self.vanished(after) - set(may_go):
            return f"another message gone than the marked, of {there}"
        return ""

    def left(self, after: "View", marked: int) -> str:
        """How many of so many marked messages are still there in a later view, in words."""
        there = self.contents.total()
        still = after.contents.total() - (there - marked)
        if still > 0:
            return f"{still} of {marked} marked messages still in the store"
        if after.count is not None and after.count > there - marked:
            return f"a count of {after.count} in the next session, of {there} with {marked} marked"
        return ""

    def renamed(self, after: "View") -> str:
        """Unique-ids in a later view of the same messages that were not there, in words."""
        if self.unique_ids is None or after.unique_ids is None:
            return ""
        new = set(after.unique_ids) - set(self.unique_ids)
        return f"{len(new)} unique-ids that were not there before" if new else ""

    def vanished(self, after: "View") -> set[bytes]:
        """The unique-ids that are gone; none where they do not tell which message is which."""
        before, now = set(self.unique_ids or ()), set(after.unique_ids or ())
        is_told = self.unique_ids is not None and after.unique_ids is not None
        tells = is_told and now <= before and len(before) == len(self.unique_ids or ())
        return before - now if tells else set()


@dataclass(eq=False, repr=False)  # what it holds has passwords in it
class Maildrop:
    """The maildrop of one account, for the time of a test: filled, opened and looked into.

    `is_steady` takes it for granted that nobody else uses it, also where its mail is not ours.
    """

    run: Run
    mailbox: Mailbox
    recorder: Recorder = field(default_factory=Recorder)
    timer: Timer = TEN_MINUTES
    is_steady: bool = False
    transport: Transport | None = None  # that of the run, where it is not said
    _is_ours: bool = False
    _is_beyond_ascii: bool = False
    _looks: Iterator[int] = field(default_factory=lambda: count(1))
    _opened: list[Session] = field(default_factory=list)

    @property
    def has_unique_ids(self) -> bool:
        """The target has UIDL."""
        return "UIDL" in self.run.observed.features

    def hold(self, rule: str, broken: str) -> None:
        """The rule was exercised; RuleBroken where there are words for how it was broken."""
        _hold(self.recorder, rule, broken)

    def observe(self, observation: str, value: str) -> None:
        """Record what the target does where the RFCs leave freedom."""
        self.recorder.observe(observation, value)

    def forget_transcript(self) -> None:
        """What was said behind the last finding is not needed."""
        places = [found.exchange for found in self.recorder.findings if found.exchange is not None]
        del self.recorder.transcript[max(places, default=-1) + 1 :]

    # --- The store ---

    def fill(self, messages: Sequence[bytes]) -> None:
        """Make these messages the whole content."""
        door = self._door()
        for each in messages:
            if reason := door.refuses(each):
                blocked(f"the door cannot carry a message of the filling: {reason}")
        self.mailbox.filling += 1
        try:
            door.fill(self.mailbox.account.user, messages)
        except DoorError as error:
            blocked(error)
        self._is_ours = True
        self._is_beyond_ascii = not all(each.isascii() for each in messages)

    def deliver(self, message: bytes, *, name_octets: int = 0) -> None:
        """Put one more message into the store, under a name of so many octets if it has one."""
        door = self._door()
        if reason := door.refuses(message):
            blocked(f"the door cannot carry a message that is to arrive: {reason}")
        try:
            if name_octets and isinstance(door, MaildirDoor):
                door.add_named(self.mailbox.account.user, message, name_octets)
            else:
                door.add(self.mailbox.account.user, message)
        except DoorError as error:
            blocked(error)
        self.mailbox.filling += 1
        for session in self._opened:
            session.expect_change()

    def contents(self) -> Counter[bytes]:
        """How often each message is in the store."""
        try:
            found = self._door().contents(self.mailbox.account.user)
        except DoorError as error:
            blocked(error)
        return Counter(own_part(each) for each in found)

    def marks(self) -> Counter[str]:
        """How often a message stands so in the store, in the door's words."""
        try:
            return Counter(self._door().marks(self.mailbox.account.user))
        except DoorError as error:
            blocked(error)

    def _door(self) -> Door:
        door = self.run.door
        if door is None:
            blocked("no door to fill the maildrop; name one with --maildrop")
        if self.run.observed.door_problem:
            blocked(self.run.observed.door_problem)
        return door

    # --- Sessions ---

    def greeted(
        self,
        name: str,
        *,
        source: str | None = None,
        transport: Transport | None = None,
        is_early: bool = False,
    ) -> Session:
        """A session in the AUTHORIZATION state; SessionRefused where there is none.

        One that `is_early` does not wait for the time that the target wants between logins.
        """
        run = self.run
        layer = transport or self.transport or run.observed.transport
        if run.judge.stopped.is_set():
            blocked("the run was interrupted")
        _need_service(run)
        opened = open_session(
            run.target,
            self.recorder,
            layer,
            name=name,
            account=self.mailbox.account,
            filling=Filling(
                is_clean=self._is_ours,
                is_distinct=self._is_ours,
                is_unusual=self._is_beyond_ascii,
                may_change=not (self._is_ours or self.is_steady),
            ),
            filling_name=self.mailbox.filling_name,
            may_delete=self._is_ours,
            source=source,
            capabilities=run.observed.announced_on(layer),
            logins=None if is_early else run.logins,
        )
        self._opened = [each for each in (*self._opened, opened) if each.is_open]
        return opened

    def close(self) -> None:
        """End every session that is still open, without QUIT."""
        for session in self._opened:
            session.close()

    def log_in(self, session: Session) -> None:
        """Bring a session to the TRANSACTION state; SessionRefused where it fails."""
        session.log_in(self.mailbox.account, use_apop=self.run.observed.use_apop)

    def login_lines(self, session: Session) -> list[bytes]:
        """What `log_in` sends."""
        user, password = self.mailbox.account.user, self.mailbox.account.password
        if self.run.observed.use_apop:
            return [f"APOP {user} {session.apop_digest(password)}\r\n".encode()]
        return [f"USER {user}\r\n".encode(), f"PASS {password}\r\n".encode()]

    def open_once(self, name: str) -> Session:
        """A session in the TRANSACTION state; SessionRefused where there is none.

        Of a login that times out nothing is said until it was tried once more.
        """
        found = len(self.recorder.findings)
        for is_last in (False, True):
            session = self.greeted(name)
            try:
                self.log_in(session)
                return session
            except SessionRefused as error:
                session.close()
                if is_last or not error.timed_out:
                    raise
                self.recorder.forget("rfc1939-3-reply-per-command", found)
        raise AssertionError("unreachable")

    def open(self, name: str) -> Session:
        """A session in the TRANSACTION state, however long the last one keeps its lock."""
        return self.patiently(partial(self.open_once, name))

    def patiently(self, attempt: Callable[[], Given]) -> Given:
        """Try what may be refused, for a while; in the end the test is blocked.

        The credentials are right, so any refusal may be one for now.
        """
        return _patiently(self.run, attempt)

    def eventually(self, problem: Callable[[], str]) -> str:
        """What is still wrong after a while, in words; '' as soon as nothing is."""
        judge = self.run.judge
        for delay in (*_MOMENTS, *judge.back_off):
            if not problem() or judge.stopped.wait(delay):
                return ""
        return problem()

    def look(self) -> View:
        """What a new session shows, and what is in the store behind it."""
        session = self.open(f"look-{next(self._looks)}")
        found = len(self.recorder.findings)
        stat = session.exchange("STAT")
        if stat.reply is not None and not stat.is_ok:
            # That a login was taken too early is judged where two sessions meet.
            self.recorder.forget("rfc1939-5-stat-drop-listing", found)
            blocked("STAT is refused in a session that was to look at the maildrop")
        drop = stat.drop_listing
        unique_ids = self.unique_ids_in(session)
        session.quit()
        return View(
            drop.count if drop is not None else None,
            None if unique_ids is None else tuple(unique_ids.values()),
            self.contents(),
        )

    def looks(self) -> Iterator[View]:
        """Looks over some time, for a server may be slow to work off a session that was left.

        One where the next session cannot begin before the last one has ended.
        """
        yield self.look()
        for delay in () if _is_embedded(self.run) else _LATER:
            self.run.judge.stopped.wait(delay)
            yield self.look()

    def refuse(self, session: Session, *, use_apop: bool | None = None) -> None:
        """A login with a wrong password, which is refused; with APOP where that is asked for."""
        self.count_failed_login()
        wrong = Account(self.mailbox.account.user, "not-the-password")
        try:
            is_apop = self.run.observed.use_apop if use_apop is None else use_apop
            session.log_in(wrong, use_apop=is_apop)
        except SessionRefused as error:
            if error.timed_out:
                blocked(error)
            return
        session.close()
        blocked("a wrong password is let in")

    def count_failed_login(self) -> None:
        """One more login will be refused; the test ends where that is one too many."""
        most = self.run.target.max_failed_logins
        if most is not None and self.mailbox.failed_logins >= most:
            blocked(f"more than {most} wrong logins for an account; raise --max-failed-logins")
        self.mailbox.failed_logins += 1

    def contents_over_time(self) -> Iterator[Counter[bytes]]:
        """What is in the store, now and some time later, with no session to look."""
        yield self.contents()
        for delay in _MOMENTS if _is_embedded(self.run) else _LATER:
            self.run.judge.stopped.wait(delay)
            yield self.contents()

    def unique_ids_in(self, session: Session) -> dict[int, bytes] | None:
        """Which message goes by which number in this session, None where nobody tells."""
        if not self.has_unique_ids:
            return None
        listings = session.exchange("UIDL").unique_id_listings
        return None if listings is None else {each.number: each.unique_id for each in listings}

    def mark(self, session: Session, numbers: Iterable[int]) -> list[bytes | None]:
        """Mark these messages; the unique-id of each, None where it is not known."""
        unique_ids = self.unique_ids_in(session) or {}
        marked = list(numbers)
        for number in marked:
            if not session.exchange(f"DELE {number}").is_ok:
                blocked("DELE is refused")
        return [unique_ids.get(number) for number in marked]

    def leave_alone(self, session: Session, seconds: float) -> Wait:
        """Say nothing for so long, or until the server closes."""
        exchange = session.await_close(seconds)
        waited = exchange.answered_at - exchange.sent_at
        if seconds < self.timer.shortest <= waited:
            blocked("this machine was too busy to keep the time")
        return Wait(waited if exchange.is_closed else None, exchange.partial)


@dataclass(eq=False, repr=False)
class Entrance:
    """What a client without an account reaches: sessions in the clear, behind STLS, in TLS."""

    run: Run
    recorder: Recorder = field(default_factory=Recorder)
    _opened: list[Session] = field(default_factory=list)

    def hold(self, rule: str, broken: str) -> None:
        """The rule was exercised; RuleBroken where there are words for how it was broken."""
        _hold(self.recorder, rule, broken)

    def observe(self, observation: str, value: str) -> None:
        """Record what the target does where the RFCs leave freedom."""
        self.recorder.observe(observation, value)

    @property
    def unverified(self) -> Tls:
        """Any certificate of the server will do, and none of ours is shown."""
        return replace(self.run.target.tls, insecure=True, client_cert=None, client_key=None)

    def announces(self, feature: str, transport: Transport) -> bool:
        """It is announced on this transport before the login."""
        return feature in self.run.observed.features_on(transport)

    def connected(self, transport: Transport, name: str = "first") -> Session:
        """A connection of which nothing was read yet."""
        self._need_port(transport)
        return self._kept(lambda: connected(self.run.target, self.recorder, transport, name=name))

    def greeted(self, transport: Transport, name: str = "first") -> Session:
        """A session in the AUTHORIZATION state."""
        self.need(transport)
        run = self.run
        return self._kept(
            lambda: open_session(
                run.target,
                self.recorder,
                transport,
                name=name,
                capabilities=run.observed.announced_on(transport),
            )
        )

    def before_tls(self, transport: Transport, name: str = "first") -> Session:
        """A connection on which the TLS negotiation is to begin, by STLS or at once."""
        if transport is Transport.TLS:
            return self.connected(transport, name)
        self._need_stls()
        session = self.greeted(Transport.PLAIN, name)
        if not session.exchange("STLS").is_ok:
            blocked("STLS is refused")
        return session

    def close(self) -> None:
        """End every session that is still open, without QUIT."""
        for session in self._opened:
            session.close()

    def need(self, transport: Transport) -> None:
        """There are sessions on this transport; else the test ends."""
        self._need_port(transport)
        if transport is Transport.STLS:
            self._need_stls()
        if problem := self.run.observed.problem_of(transport):
            blocked(problem)

    def _need_stls(self) -> None:
        if not self.announces("STLS", Transport.PLAIN):
            not_applicable("STLS is not offered")

    def _need_port(self, transport: Transport) -> None:
        target = self.run.target
        if transport is Transport.TLS and target.tls_address is None:
            not_applicable("no port with implicit TLS; see --tls-target")
        if transport is not Transport.TLS and target.tls_address == target.address:
            not_applicable("no port without implicit TLS; see --target")

    def _kept(self, attempt: Callable[[], Session]) -> Session:
        session = _patiently(self.run, attempt)
        self._opened.append(session)
        return session


def _hold(recorder: Recorder, rule: str, broken: str) -> None:
    recorder.exercised.add(rule)
    if broken:
        raise RuleBroken(rule, broken)


def _need_service(run: Run) -> None:
    if run.liveness.why:
        blocked(f"the target went away: {run.liveness.why}")


def _patiently(run: Run, attempt: Callable[[], Given]) -> Given:
    _need_service(run)
    for delay in (*_MOMENTS, *run.judge.back_off, None):
        try:
            return attempt()
        except SessionRefused as error:
            is_hopeless = error.is_full and run.liveness.is_single and delay not in _MOMENTS
            if error.timed_out or delay is None or isinstance(error, TooEarly) or is_hopeless:
                blocked(error)
        if run.judge.stopped.wait(delay):
            break
    blocked("the run was interrupted")


def messages(number: int, word: str = "message") -> list[bytes]:
    """So many messages, with different subjects, bodies and sizes."""
    names = [f"{word}-{place}-of-{number}" for place in range(1, number + 1)]
    return [
        message(name, [f"This is {name}.".encode(), b"=" * place])
        for place, name in enumerate(names, 1)
    ]


def side_by_side(
    work: Callable[[Maildrop], Given], maildrops: Sequence[Maildrop]
) -> Iterable[Given]:
    """Do the same with several maildrops at once; what is broken in one goes before the rest."""
    with ThreadPoolExecutor(len(maildrops)) as threads:
        done = [threads.submit(work, maildrop) for maildrop in maildrops]
    ends = [each.exception() for each in done]
    for end in sorted(filter(None, ends), key=lambda end: not isinstance(end, AssertionError)):
        raise end
    return [each.result() for each in done]


def merged(recorders: Iterable[Recorder]) -> Recorder:
    """Several recorders of one test as one."""
    recorders = list(recorders)
    whole = Recorder(begun=min((each.begun for each in recorders), default=Recorder().begun))
    for each in recorders:
        shift, late = len(whole.transcript), each.begun - whole.begun
        whole.transcript += [
            replace(said, sent_at=said.sent_at + late, answered_at=said.answered_at + late)
            for said in each.transcript
        ]
        # One finding for each rule and test: the first shows the bytes.
        told = {found.rule for found in whole.findings}
        whole.findings += [
            replace(found, exchange=None if found.exchange is None else found.exchange + shift)
            for found in each.findings
            if found.rule not in told
        ]
        whole.exercised |= each.exercised
        whole.facts += each.facts
        whole.observations |= each.observations
        whole.uses |= each.uses
    return whole


# --- Fixtures ---


def _run_of(request: pytest.FixtureRequest) -> Run:
    return request.config.stash[READY_RUN]()


def _recorder_for(item: pytest.Item) -> Recorder:
    recorder = Recorder()
    item.stash.setdefault(RECORDERS, []).append(recorder)
    return recorder


@contextmanager
def _leased(run: Run, least: int, most: int) -> Iterator[list[Mailbox]]:
    """So many mailboxes, waiting for the least of them; none where there are fewer."""
    pool = run.pool
    taken: list[Mailbox] = []
    if pool.usable >= least and not run.observed.login_problem:
        with pool.changed:
            while len(taken) < most:
                mailbox = pool.take()
                if mailbox is not None:
                    taken.append(mailbox)
                elif len(taken) < least:
                    pool.changed.wait()
                else:
                    break
    try:
        yield taken
    finally:
        for mailbox in taken:
            pool.give_back(mailbox)


def _without_account(run: Run) -> NoReturn:
    problem = run.observed.login_problem
    blocked(problem or "no account was given; name one with POP3SPEC_ACCOUNT or --account")


@pytest.fixture
def target(request: pytest.FixtureRequest) -> Target:
    """The server under test."""
    return _run_of(request).target


@pytest.fixture
def transport(request: pytest.FixtureRequest) -> Transport:
    """How sessions are opened that do not care; with several transports, each of them in turn."""
    given: Transport | None = getattr(request, "param", None)
    return given or _run_of(request).observed.transport


@pytest.fixture
def restart(request: pytest.FixtureRequest) -> Callable[[], None]:
    """Kills the server and starts it again; no other session is open then.

    To be named before `maildrop`, so that what still runs finds an account.
    """
    run = _run_of(request)
    kill = run.restart
    if kill is None:
        blocked("no hook to restart the server; name one in the profile with hooks: {restart: …}")
    workers = getattr(request.config, "workerinput", {}).get("workercount", 1)
    if not _is_embedded(run) and workers > 1:
        blocked("other processes have sessions with the server; run it without -n")
    run.settle()

    def restarted() -> None:
        try:
            kill()
        except HookError as error:
            blocked(error)

    return restarted


@pytest.fixture
def maildrop(request: pytest.FixtureRequest, transport: Transport) -> Iterator[Maildrop]:
    """The maildrop of an account."""
    run = _run_of(request)
    with _leased(run, 1, 1) as mailboxes:
        if not mailboxes:
            _without_account(run)
        recorder = _recorder_for(request.node)
        with closing(Maildrop(run, mailboxes[0], recorder, transport=transport)) as leased:
            yield leased


@pytest.fixture
def international(request: pytest.FixtureRequest, transport: Transport) -> Iterator[Maildrop]:
    """The maildrop of an account where UTF8 and LANG are to be tried.

    The embedded server has them only when it is asked to: for this test one of its own is.
    """
    run = _run_of(request)
    if _is_embedded(run):
        recorder = _recorder_for(request.node)
        recorder.announces_more = True
        with abroad(recorder, transport=transport) as maildrop:
            yield maildrop
    else:
        yield request.getfixturevalue("maildrop")


@pytest.fixture
def entrance(request: pytest.FixtureRequest) -> Iterator[Entrance]:
    """Sessions with the target on each layer, without an account."""
    with closing(Entrance(_run_of(request), _recorder_for(request.node))) as opened:
        yield opened


@pytest.fixture
def maildrops(request: pytest.FixtureRequest, transport: Transport) -> Iterator[list[Maildrop]]:
    """The maildrops of as many accounts as are free now, one at least."""
    run = _run_of(request)
    with _leased(run, 1, min(_MOST_MAILDROPS, run.width)) as mailboxes:
        if not mailboxes:
            _without_account(run)
        leased = [
            Maildrop(run, mailbox, _recorder_for(request.node), transport=transport)
            for mailbox in mailboxes
        ]
        yield leased
        for each in leased:
            each.close()


@dataclass(eq=False)
class Ground:
    """What a test with many examples needs: maildrops, a recorder, and a place for what it finds.

    `replay` makes the command that runs these paths again; `tell` writes a line at once.
    """

    run: Run
    maildrops: list[Maildrop]
    recorder: Recorder
    directory: Path
    replay: Callable[[Sequence[str]], str]
    tell: Callable[[str], None]


def _say_nothing(line: str) -> None:
    """There is nobody to tell it to."""
    del line


@pytest.fixture
def ground(request: pytest.FixtureRequest, transport: Transport) -> Iterator[Ground]:
    """Some maildrops for a fuzzed property, one at least."""
    run = _run_of(request)
    if not run.settings.examples:
        blocked("fuzzing is switched off with --fuzz=off")
    terminal = request.config.pluginmanager.get_plugin("terminalreporter")
    with _leased(run, 1, min(_FEW_MAILDROPS, run.width)) as mailboxes:
        if not mailboxes:
            _without_account(run)
        recorder = _recorder_for(request.node)
        drops = [Maildrop(run, each, recorder, transport=transport) for each in mailboxes]
        yield Ground(
            run,
            drops,
            recorder,
            run.settings.report_dir / "found",
            request.config.stash[REPLAY],
            terminal.write_line if terminal is not None else _say_nothing,
        )


@pytest.fixture
def two_maildrops(
    request: pytest.FixtureRequest, transport: Transport
) -> Iterator[tuple[Maildrop, Maildrop]]:
    """The maildrops of two accounts."""
    run = _run_of(request)
    with _leased(run, 2, 2) as mailboxes:
        if not mailboxes:
            if run.pool.usable and not run.observed.login_problem:
                blocked("it needs two accounts")
            _without_account(run)
        one, other = (
            Maildrop(run, each, _recorder_for(request.node), transport=transport)
            for each in mailboxes
        )
        with closing(one), closing(other):
            yield one, other


@pytest.fixture
def session(maildrop: Maildrop) -> Session:
    """A session in the TRANSACTION state."""
    return maildrop.open("first")


@pytest.fixture
def new_session(
    request: pytest.FixtureRequest, transport: Transport
) -> Iterator[Callable[[], Session]]:
    """Opens sessions in the AUTHORIZATION state.

    SessionRefused where the target gives no more of them.
    """
    run = _run_of(request)
    recorder = _recorder_for(request.node)
    opened: list[Session] = []

    def open_one() -> Session:
        _need_service(run)
        name = f"session-{len(opened) + 1}"
        session = open_session(run.target, recorder, transport, name=name)
        opened.append(session)
        return session

    yield open_one
    for session in opened:
        session.close()


# --- Tests that wait for minutes, beside all else ---


@pytest.fixture
def beside(request: pytest.FixtureRequest) -> Future[Outcome]:
    """The end of what the marker `beside` names, which was started with the run.

    The result is there when it held; what it raises is raised. It gets a maildrop, of the
    target with --slow, else of a private reference server whose timer is shortened. With
    `login_delay` it is about LOGIN-DELAY, and needs no --slow; the private server wants so
    many seconds.
    """
    run, item = _run_of(request), request.node
    if not _is_embedded(run) and _is_about_logins(item):
        if "LOGIN-DELAY" not in run.observed.features:
            not_applicable("LOGIN-DELAY is not offered")
    elif not _is_embedded(run) and not run.settings.slow:
        blocked("it takes minutes; permit that with --slow")
    if _BESIDE not in item.stash:
        job = _job_beside(run, item)
        with run.pool.lease() as mailbox:
            try:
                job.future.set_result(job.run(mailbox, False).outcome)
            except BaseException as error:
                job.future.set_exception(error)
        return job.future
    started: Job | None = item.stash[_BESIDE]
    if started is None:
        blocked("no account is left for it beside those that wait as long; name more of them")
    return started.future


def jobs_beside(items: Iterable[pytest.Item], run: Run) -> list[Job]:
    """What is to be started with the run, so that all of it waits at the same time.

    One account is left to the scenarios, and one of the connections.
    """
    waiting = [item for item in items if item.get_closest_marker("beside") is not None]
    most = len(waiting)
    if not _is_embedded(run):
        most = max(1, min(run.pool.usable, run.width) - 1)
        has_delay = "LOGIN-DELAY" in run.observed.features
        # What is not started is not applicable, or needs --slow.
        waiting = [
            item for item in waiting if (has_delay if _is_about_logins(item) else run.settings.slow)
        ]
    jobs = []
    for place, item in enumerate(waiting):
        job = item.stash[_BESIDE] = _job_beside(run, item) if place < most else None
        if job is not None:
            jobs.append(job)
    return jobs


def _is_about_logins(item: pytest.Item) -> bool:
    mark = item.get_closest_marker("beside")
    return mark is not None and "login_delay" in mark.kwargs


def _is_embedded(run: Run) -> bool:
    return run.settings.target is None


def _job_beside(run: Run, item: pytest.Item) -> Job:
    mark = item.get_closest_marker("beside")
    assert mark is not None
    work: Callable[[Maildrop], None] = mark.kwargs["work"]
    seconds: int = mark.kwargs.get("login_delay", 0)
    recorder = _recorder_for(item)

    def attempt(mailbox: Mailbox | None, alone: bool) -> Attempt:
        del alone
        if _is_embedded(run):
            with unhurried(recorder, seconds) if seconds else short_lived(recorder) as maildrop:
                work(maildrop)
        elif mailbox is None or run.observed.login_problem:
            _without_account(run)
        else:
            with run.liveness.busy(), closing(Maildrop(run, mailbox, recorder)) as maildrop:
                work(maildrop)
        return Attempt(Outcome(Verdict.PASS))

    scarce = min(run.pool.usable, run.width) < 2
    return Job(attempt, needs_account=not _is_embedded(run), waits=True, late=scarce)


@contextmanager
def short_lived(recorder: Recorder, *faults: str) -> Iterator[Maildrop]:
    """A maildrop on a reference server of its own, whose autologout timer is short."""
    from pop3spec.embedded import start_embedded  # only where it is the target

    with _of_its_own(start_embedded(faults=faults, autologout=SHORTENED.shortest)) as run:
        yield Maildrop(run, run.mailboxes[0], recorder, SHORTENED)


@contextmanager
def unhurried(recorder: Recorder, seconds: int, *faults: str) -> Iterator[Maildrop]:
    """A maildrop on a reference server of its own, which wants time between two logins."""
    from pop3spec.embedded import start_embedded  # only where it is the target

    recorder.announces_more = True
    embedded = start_embedded(faults=faults, login_delay=seconds)
    # One account is there for the run to look around; this one has not logged in yet.
    mailbox = Mailbox(embedded.target.accounts[1])
    with (
        _of_its_own(embedded, has_door=False) as run,
        closing(Maildrop(run, mailbox, recorder)) as maildrop,
    ):
        yield maildrop


@contextmanager
def abroad(
    recorder: Recorder, *faults: str, transport: Transport = Transport.PLAIN
) -> Iterator[Maildrop]:
    """A maildrop on a reference server of its own, which has UTF8 and LANG."""
    from pop3spec.embedded import start_embedded  # only where it is the target

    embedded = start_embedded(faults=faults, is_international=True, transports=(transport,))
    with (
        _of_its_own(embedded) as run,
        closing(Maildrop(run, run.mailboxes[0], recorder)) as maildrop,
    ):
        yield maildrop


@contextmanager
def _of_its_own(embedded: "Embedded", *, has_door: bool = True) -> Iterator[Run]:
    """A run against one account of a server, which is closed behind it."""
    target = replace(embedded.target, accounts=embedded.target.accounts[:1])
    run = Run(Settings(target, Path()), target, embedded.door if has_door else None)
    try:
        run.begin()
        yield run
    finally:
        embedded.close()
