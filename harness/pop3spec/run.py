"""A whole run against one target: probe, accounts, scenarios side by side, the end.

Knows nothing of pytest; `plugin` tells it what was collected and asks for
outcomes.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import wait
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from types import MappingProxyType

from pop3spec.accounts import AccountPool, Mailbox
from pop3spec.connection import ConnectionFailed, connect, tls_context
from pop3spec.hooks import run_hook
from pop3spec.liveness import Liveness, Look
from pop3spec.login_delay import MAX_LOGIN_DELAY, Logins
from pop3spec.maildrop import Door, DoorError
from pop3spec.masking import masker_for
from pop3spec.opening import open_session
from pop3spec.probe import Observed, probe
from pop3spec.recorder import Recorder
from pop3spec.refusals import SessionRefused
from pop3spec.rulebook.rules import rulebook
from pop3spec.runner import BACK_OFF, Judge, attempt
from pop3spec.runner.outcome import command_of
from pop3spec.scenario import Scenario
from pop3spec.schedule import Attempt, Job, Scheduler, settled
from pop3spec.settings import Settings
from pop3spec.target import Account, Target, TargetError, Transport
from pop3spec.transcript import Masker, render
from pop3spec.verdict import Outcome, verdict_of

# Scenarios at the same time where nobody said how many.
_WIDTH = 24
# Logins of one scenario, at most times.
_LOGINS = 2
# Commands that RFC 1939 leaves to the server (section 7), as features.
_OPTIONAL = frozenset({"TOP", "UIDL", "USER", "APOP"})


@dataclass(frozen=True)
class Task:
    """A scenario on a transport: what one pytest item stands for, by its name."""

    scenario: Scenario
    transport: Transport
    name: str = ""


@dataclass
class Run:
    """One run against one target. `begin` first, `end` last."""

    settings: Settings
    target: Target
    door: Door | None
    mailboxes: list[Mailbox] = field(default_factory=list)
    observed: Observed = field(default_factory=Observed)
    introduction: Outcome | None = None
    back_off: tuple[float, ...] = BACK_OFF
    restart: Callable[[], None] | None = None  # kills the server and starts it again
    logins: Logins = field(default_factory=Logins)
    liveness: Liveness = field(default_factory=Liveness)
    _pool: AccountPool | None = None
    _judge: Judge | None = None
    _scheduler: Scheduler | None = None
    _jobs: dict[int, Job] = field(default_factory=dict)
    _beside: tuple[Job, ...] = ()

    def __post_init__(self) -> None:
        """Take the target's own hook where no other way to restart it was given."""
        words = self.target.hooks.restart
        if self.restart is None and words:
            self.restart = partial(run_hook, "restart", words)

    @cached_property
    def masker(self) -> Masker:
        """Hides the secrets of this run."""
        return masker_for((*self.target.accounts, *self.target.sasl_accounts))

    def begin(
        self,
        observed: Observed | None = None,
        share: tuple[int, int] = (0, 1),
        unusable: Collection[str] = (),
        taken: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Look at the target, unless another process has; TargetError if it cannot be judged.

        `share` is which of how many processes this is: accounts are divided. `unusable` are
        the users that the other process found refused, `taken` says of users which other run
        has them.
        """
        index, count = share
        usable = [account for account in self.target.accounts if account.user not in unusable]
        accounts = usable[index::count] or usable
        self.mailboxes = [
            self._mailbox(account, taken.get(account.user, "")) for account in accounts
        ]
        try:
            tls_context(self.target.tls)
        except ConnectionFailed as error:
            raise TargetError(str(error)) from error
        if observed is None:
            recorder = Recorder()
            self.observed = probe(self.target, self.mailboxes, self.door, recorder, self.logins)
            offered = sorted(self.observed.features & _OPTIONAL)
            recorder.observe("optional-commands", ", ".join(offered) or "none")
            self.introduction = self._introduction(recorder)
        else:
            self.observed = observed
            self._expect_delays()
        self._pool = AccountPool(self.mailboxes)
        timeouts = self.target.timeouts
        self.liveness = Liveness(
            self._look,
            patience=timeouts.connect + timeouts.login,
            most=timeouts.run,
            stopped=self.logins.stopped,
        )
        self._judge = Judge(
            self.target,
            self.observed,
            self.door,
            self.masker,
            keep_transcripts=self.settings.keep_transcripts,
            back_off=self.back_off + self._login_delay(),
            stopped=self.logins.stopped,
            logins=self.logins,
            liveness=self.liveness,
        )

    def _mailbox(self, account: Account, taken: str) -> Mailbox:
        """An account; one that another run has is not filled, since it is filled there."""
        problem = f"{account.user}: {taken}" if taken and self.door is not None else ""
        return Mailbox(account, problem=problem, shared=taken)

    def _look(self) -> Look:
        """A plain login on a connection of its own, or a greeting where more would do harm."""
        observed, recorder = self.observed, Recorder()
        usable = [mailbox.account for mailbox in self.mailboxes if not mailbox.problem]
        session = None
        try:
            session = open_session(self.target, recorder, observed.transport, name="look")
            tells = observed.transport is Transport.PLAIN and not observed.use_apop
            is_safe = self.target.allow_cleartext or not tells
            if usable and is_safe and not observed.login_problem and not self._login_delay():
                session.log_in(usable[0], use_apop=observed.use_apop)
                session.quit()
                return Look()
            last = session.exchange("NOOP")
        except SessionRefused as error:
            # Who refuses a login is there.
            return Look(str(error), error.is_full) if error.is_lost else Look()
        finally:
            if session is not None:
                session.close()
            self.liveness.told(recorder.transcript)
        return Look() if last.end is None else Look(f"no reply to NOOP: {last.end.value}")

    def _introduction(self, recorder: Recorder) -> Outcome:
        """What the probe's own sessions showed, as an outcome."""
        masker = self.masker.with_sent(recorder.transcript)
        findings = tuple(
            replace(
                finding,
                got=masker.mask_text(finding.got),
                command=command_of(recorder, finding, masker),
            )
            for finding in recorder.findings
        )
        verdict = verdict_of(findings, rulebook())
        keep = findings or self.settings.keep_transcripts
        return Outcome(
            verdict,
            findings[0].got if findings else "",
            findings,
            frozenset(recorder.exercised),
            tuple(render(recorder.transcript, masker)) if keep else (),
            recorder.now(),
            tuple(recorder.facts),
            masker.mask_observations(recorder.observations),
            frozenset(recorder.uses),
        )

    def settle(self) -> None:
        """Wait until every job has ended, so that nothing else goes on with the target."""
        wait([job.future for job in (*self._beside, *self._jobs.values())])

    def _expect_delays(self) -> None:
        """Another process has logged in to every account, a moment ago for all that is known."""
        self.logins.announced(self.observed.listed(self.observed.transport) or {})
        for mailbox in self.mailboxes:
            self.logins.succeeded(mailbox.account.user)

    def _login_delay(self) -> tuple[float, ...]:
        """One more wait, as long as the target wants between logins (RFC 2449, section 6.5)."""
        values = [
            listed["LOGIN-DELAY"][0]
            for listed in self.observed.capabilities.values()
            if listed.get("LOGIN-DELAY")
        ]
        # Of any number of digits: int has a bound.
        seconds = max((float(value) for value in values if value.isdecimal()), default=0.0)
        return (min(seconds, MAX_LOGIN_DELAY) + 0.5,) if seconds else ()

    @property
    def expire(self) -> set[str]:
        """What CAPA announces as EXPIRE, in whichever state (RFC 2449, section 6.7)."""
        listed = self.observed.capabilities.values()
        return {"".join(each["EXPIRE"][:1]) for each in listed if "EXPIRE" in each}

    @property
    def judge(self) -> Judge:
        """What runs single scenarios; `begin` comes first."""
        assert self._judge is not None
        return self._judge

    @property
    def pool(self) -> AccountPool:
        """The accounts; `begin` comes first."""
        assert self._pool is not None
        return self._pool

    @property
    def width(self) -> int:
        """How many scenarios are in flight."""
        width = self.settings.jobs or _WIDTH
        most = self.target.limits.connections
        return max(1, min(width, most)) if most else width

    def start(self, tasks: Sequence[Task], beside: Sequence[Job] = ()) -> None:
        """Start all scenarios, and jobs beside them; those that wait first."""
        asked = self.settings.jobs is not None or self.target.limits.connections is not None
        # Each login may have to wait, and more accounts wait at the same time.
        waits = sum(self._login_delay()) * len(tasks) * _LOGINS / max(self.pool.usable, 1)
        self.liveness.most = self.target.timeouts.run + waits
        self._scheduler = Scheduler(self.pool, self.width, waits_count=asked)
        self._jobs = {id(task): self._job(task) for task in tasks}
        self._beside = tuple(beside)
        self._scheduler.start([*beside, *self._jobs.values()])

    def _job(self, task: Task) -> Job:
        scenario, judge = task.scenario, self.judge

        def run(mailbox: Mailbox | None, alone: bool) -> Attempt:
            return attempt(judge, scenario, task.transport, mailbox, alone=alone)

        return Job(
            run,
            needs_account=scenario.needs_account,
            waits=bool(scenario.longest_wait)
            or (bool(scenario.failed_logins) and judge.knows_who_waits),
            late=bool(scenario.failed_logins) and not judge.knows_who_waits,
            name=task.name or scenario.id,
            known_wait=scenario.longest_wait,
        )

    @property
    def jobs(self) -> Sequence[Job]:
        """Everything that `start` has started."""
        return (*self._beside, *self._jobs.values())

    def outcome(self, task: Task) -> Outcome:
        """The outcome of a task, waiting for it; run now if it was not started."""
        job = self._jobs.get(id(task))
        if job is not None:
            return job.future.result()
        with self.pool.lease() as mailbox:
            first = attempt(self.judge, task.scenario, task.transport, mailbox, alone=False)
            if not first.again:
                return first.outcome
            second = attempt(self.judge, task.scenario, task.transport, mailbox, alone=True)
        return settled(first, second)

    @property
    def other_runs(self) -> list[str]:
        """What showed that another run is in the same maildrops, as sentences."""
        return sorted(self._judge.other_runs) if self._judge is not None else []

    def is_lost(self) -> bool:
        """The target accepts no connections any more, or was given up."""
        if self.liveness.why:
            return True
        try:
            connect(self.target.address, self.target.timeouts.connect).close()
        except ConnectionFailed:
            return True
        return False

    def end(self) -> list[str]:
        """Stop what is in flight and clean the maildrops; problems in cleaning, as sentences."""
        if self._judge is not None:
            self._judge.stopped.set()
        if self._scheduler is not None:
            self._scheduler.stop()
        problems = self.other_runs
        if self.door is not None:
            for mailbox in self.mailboxes:
                try:
                    if mailbox.filling:
                        self.door.clear(mailbox.account.user)
                except DoorError as error:
                    told = (self.observed.door_problem, mailbox.problem)
                    if not any(str(error) in each for each in told):
                        problems.append(str(error))
        return problems
