"""Scenario + target -> outcome.

The runner brings sessions to the state that a scenario wants, drives its
steps, and turns what the sessions recorded into an outcome. It never raises:
what goes wrong on our side is the verdict `error`.
"""

import itertools
import re
import sys
import threading
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field, replace

from pop3spec.accounts import Mailbox
from pop3spec.authentication import authenticate
from pop3spec.connection import CertificateRejected, ConnectionFailed
from pop3spec.expectations import Unmet, got_instead, unmet
from pop3spec.harm import HarnessError
from pop3spec.liveness import Liveness, cut_short, unanswered_in
from pop3spec.login_delay import Logins
from pop3spec.maildrop import Door, DoorError, OtherRunError, SeesOthers
from pop3spec.opening import open_session
from pop3spec.probe import PROBE_MESSAGE, Observed
from pop3spec.protocol.apop import apop_digest
from pop3spec.protocol.commands import LOGIN, State, keyword
from pop3spec.recorder import Recorder
from pop3spec.refusals import SessionRefused, refusal
from pop3spec.rulebook.checks import FRAMING_RULES, LENGTH_RULES
from pop3spec.rulebook.history import Filling, History, body_of, is_unusual
from pop3spec.rulebook.judgement import may_close
from pop3spec.rulebook.observers import came_back
from pop3spec.rulebook.rules import rulebook
from pop3spec.sasl import BEARER, Identity, begin, encoding
from pop3spec.scenario import ClientClose, Observe, Scenario, Status, Step
from pop3spec.schedule import Attempt
from pop3spec.session import Session
from pop3spec.target import Account, Target, TargetError, Transport
from pop3spec.template import fill
from pop3spec.transcript import End, Exchange, Kind, Masker, render, shown_command
from pop3spec.verdict import Finding, Outcome, Verdict, verdict_of, worst

# Seconds to wait before the target is asked again for a session that it refused.
BACK_OFF = (0.1, 0.3, 1.0, 2.0, 4.0)
# Of these the first ones, in which a server notices that a client has gone.
_MOMENTS = 3
# Before the first wait that is as long a plain login tells whether there is anybody.
_LONG_DELAY = 1.0


# What is filled in by these names is a password, or may be as good as one.
_TELLING = frozenset(
    (
        *("password", "password-beginning", "password-other-case", "password-of-another"),
        *("apop-without-timestamp", "token"),
    )
)


# What a server breaks that serves nobody any more.
_ABOUT_SERVICE = frozenset({"robust-serves-next-client", "robust-unfinished-negotiations"})

# Seconds that the second look waits for octets or a close that nobody asked for.
_PATIENCE = 0.03
# Seconds within which a server that ends the session behind a refusal does so.
_ENDS_WITHIN = 0.05


class _Blocked(Exception):
    """The scenario cannot be tried, or not to its end."""


@dataclass
class Judge:
    """What all scenarios of a run share: the target, its door, and how to mask."""

    target: Target
    observed: Observed
    door: Door | None
    masker: Masker
    keep_transcripts: bool = False
    back_off: tuple[float, ...] = BACK_OFF
    stopped: threading.Event = field(default_factory=threading.Event)
    logins: Logins = field(default_factory=Logins)
    other_runs: set[str] = field(default_factory=set)
    liveness: Liveness = field(default_factory=Liveness)
    _sources: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    # The commands that the first look at a scenario, on a transport, waited for in vain.
    _waited: dict[tuple[int, Transport], set[str]] = field(default_factory=dict)

    def source(self) -> str | None:
        """A client address of its own on IPv4 loopback, so that no penalty spreads."""
        if not self.target.address.host.startswith("127.") or sys.platform != "linux":
            return None
        number = next(self._sources)
        return f"127.{77 + number // 64000 % 100}.{number // 250 % 256}.{number % 250 + 1}"

    @property
    def knows_who_waits(self) -> bool:
        """Wrong logins of one scenario do not slow down the others."""
        return self.target.address.host.startswith("127.") and sys.platform == "linux"

    def other_run(self, mailboxes: Iterable[Mailbox]) -> str:
        """The sentence about another run that fills one of these, '' where none is seen."""
        if not isinstance(self.door, SeesOthers):
            return ""
        for mailbox in mailboxes:
            try:
                others = self.door.others(mailbox.account.user) if mailbox.filling else ""
            except DoorError:
                continue
            if others:
                self.other_runs.add(others)
                return others
        return ""

    def why_not(
        self, scenario: Scenario, transport: Transport, mailbox: Mailbox | None
    ) -> Outcome | None:
        """The outcome of a scenario that need not, or cannot, be tried."""
        if scenario.encrypted and transport is Transport.TLS and self.target.tls_address is None:
            return Outcome(Verdict.NOT_APPLICABLE, "neither STLS nor implicit TLS is offered")
        has_clear_port = self.target.address != self.target.tls_address
        if scenario.transport in (Transport.PLAIN, Transport.STLS) and not has_clear_port:
            return Outcome(Verdict.NOT_APPLICABLE, "no port without implicit TLS; see --target")
        if scenario.transport is Transport.TLS and self.target.tls_address is None:
            return Outcome(Verdict.NOT_APPLICABLE, "no port with implicit TLS; see --tls-target")
        wants_stls = scenario.transport is Transport.STLS is not self.observed.transport
        if wants_stls and "STLS" not in self.observed.features_on(Transport.PLAIN):
            return Outcome(Verdict.NOT_APPLICABLE, "STLS is not offered")
        if problem := self.observed.problem_of(transport):
            return Outcome(Verdict.BLOCKED, problem)
        for feature in scenario.requires:
            if feature.upper() not in self.observed.features_on(transport):
                return Outcome(Verdict.NOT_APPLICABLE, f"{feature} is not offered")
        reason = self._missing(scenario, transport, mailbox)
        return Outcome(Verdict.BLOCKED, reason) if reason else None

    def transport_of(self, scenario: Scenario, transport: Transport) -> Transport:
        """How the sessions of a scenario are opened, in a run that has this transport."""
        if scenario.transport is not None:
            return scenario.transport
        if not scenario.encrypted or transport is not Transport.PLAIN:
            return transport
        has_stls = "STLS" in self.observed.features_on(Transport.PLAIN)
        return Transport.STLS if has_stls else Transport.TLS

    def _missing(self, scenario: Scenario, transport: Transport, mailbox: Mailbox | None) -> str:
        if not scenario.needs_account:
            return ""
        if self.observed.login_problem:
            return self.observed.login_problem
        if mailbox is None:
            return "no account was given; name one with POP3SPEC_ACCOUNT or --account"
        is_readable = transport is Transport.PLAIN and not self.target.allow_cleartext
        if is_readable and _shows_secrets(scenario):
            return "a password would go over an unencrypted connection; see --allow-cleartext"
        if scenario.maildrop is not None and self.door is None:
            return "no door to fill the maildrop; name one with --maildrop"
        if scenario.maildrop is not None and self.observed.door_problem:
            return self.observed.door_problem
        if self.door is not None:
            messages = [message for step in scenario.steps for message in step.deliver]
            for message in (*(scenario.maildrop or ()), *messages):
                if reason := self.door.refuses(message.octets):
                    return f"the door cannot carry a message of the filling: {reason}"
        if reason := self._no_such_credentials(scenario, transport, mailbox.account):
            return reason
        most = self.target.max_failed_logins
        if most is not None and mailbox.failed_logins + scenario.failed_logins > most:
            return f"more than {most} wrong logins for an account; raise --max-failed-logins"
        return ""

    def _no_such_credentials(
        self, scenario: Scenario, transport: Transport, account: Account
    ) -> str:
        """Why there are no such wrong credentials, '' where there are."""
        wanted = scenario.names_sent
        mechanisms = {step.authenticate.mechanism for step in scenario.steps if step.authenticate}
        if "token" in _told_names(scenario) and not account.token:
            return "the account has no token; name one in the profile"
        needs_certificate = "EXTERNAL" in mechanisms and transport is not Transport.PLAIN
        if needs_certificate and self.target.tls.client_cert is None:
            return "there is no certificate of the client; see --client-cert"
        if "user-other-case" in wanted and not _has_cases(account.user):
            return "the account's name has no letter that has another case"
        if "password-other-case" in wanted and not _has_cases(account.password):
            return "the account's password has no letter that has another case"
        if "user-of-another" in wanted and not self.user_of_another(account):
            return "it needs a second account"
        of_another = {"password-of-another", "apop-of-another"}
        if wanted & of_another and not self.password_of_another(account):
            return "it needs a second account with another password"
        return ""

    def password_of_another(self, account: Account) -> str:
        """A password that is right for another account alone, '' where there is none."""
        folded = account.password.casefold()
        others = (other.password for other in self.target.accounts if other.user != account.user)
        return next((each for each in others if each and each.casefold() != folded), "")

    def user_of_another(self, account: Account) -> str:
        """The name of another account, '' where there is none."""
        others = (other.user for other in self.target.accounts)
        return next((user for user in others if user != account.user), "")

    def attempt(
        self, scenario: Scenario, transport: Transport, mailbox: Mailbox | None, *, alone: bool
    ) -> Attempt:
        """Run a scenario once, if the target has not gone away."""
        with self.liveness.busy() as gone:
            begun = time.monotonic()
            way = self.transport_of(scenario, transport)
            untried = self.why_not(scenario, way, mailbox)
            if untried is None and gone:
                untried = Outcome(Verdict.BLOCKED, f"the target went away: {gone}")
            if untried is not None:
                return Attempt(untried)
            waited = self._waited.get((id(scenario), way)) if alone else None
            if reason := self._why_in_vain(scenario, waited):
                return Attempt(Outcome(Verdict.BLOCKED, reason), is_in_vain=True)
            run = _Run(self, scenario, transport, mailbox, fresh=alone)
            attempt = run.attempt()
            outcome = replace(attempt.outcome, seconds=time.monotonic() - begun)
            self.liveness.told(run.exchanges, alone=alone)
            self._waited[id(scenario), way] = unanswered_in(run.exchanges)
            if run.loss:
                run.clear()
            self.liveness.ended(run.loss)
        return replace(attempt, outcome=outcome)

    def _why_in_vain(self, scenario: Scenario, waited: set[str] | None) -> str:
        """Why a scenario would wait for nothing, '' where it would not.

        A second look is only in vain for what the first one has `waited` for.
        """
        words = _keywords(scenario, use_apop=self.observed.use_apop)
        if waited is not None:
            words &= waited
        word = self.liveness.unanswered(words, alone=waited is not None)
        return f"{word} was left unanswered again and again, and is not tried any more" * bool(word)


class _Run:
    """One run of one scenario."""

    def __init__(
        self,
        judge: Judge,
        scenario: Scenario,
        transport: Transport,
        mailbox: Mailbox | None,
        *,
        fresh: bool,
    ) -> None:
        self._judge = judge
        self._scenario = scenario
        self._transport = judge.transport_of(scenario, transport)
        self._mailbox = mailbox
        self._recorder = Recorder()
        self._sessions: dict[str, Session] = {}
        self._values: dict[str, bytes] = {}
        self._is_changed = False
        self._again = False
        self._is_crowded = False
        self._has_limit = False
        self.loss = ""
        self._source = judge.source() if scenario.failed_logins or fresh else None
        # A second look has the time to see what comes late.
        self._patience = _PATIENCE if fresh else 0.0
        self._is_alone = fresh

    @property
    def exchanges(self) -> Sequence[Exchange]:
        """All that was said."""
        return self._recorder.transcript

    def attempt(self) -> Attempt:
        """Do it; `loss` says then how the target was lost, if it was."""
        verdict, detail = Verdict.PASS, ""
        try:
            self._prepare()
            self._follow_steps()
        except _Blocked as error:
            verdict, detail = Verdict.BLOCKED, str(error)
        except SessionRefused as error:
            verdict, detail = Verdict.BLOCKED, f"{error}{self._who_has_it(error)}"
            self._again = self._again or error.timed_out or error.is_lost
            self.loss = str(error) if error.is_lost else ""
            self._judge_service(error)
        except HarnessError as error:
            verdict, detail = Verdict.ERROR, str(error)
        except Exception:
            verdict, detail = Verdict.ERROR, traceback.format_exc(limit=-6)
        self._end(verdict)
        if others := self._other_run():
            # Whose messages and locks were at work is not known, so that nothing is judged.
            return Attempt(Outcome(Verdict.BLOCKED, others), again=not self._is_alone)
        outcome = self._outcome(verdict, detail)
        if outcome.verdict is not Verdict.PASS:
            self.loss = self.loss or cut_short(self._recorder.transcript)
        return Attempt(
            outcome,
            self._again or self._is_unsure(outcome),
            is_lost=all(map(self._is_of_a_loss, outcome.findings)),
            is_crowded=self._is_crowded,
            is_limited=self._has_limit,
        )

    def clear(self) -> None:
        """Take the filling out: a server that trips over a message serves who has none."""
        mailbox, door = self._mailbox, self._judge.door
        if mailbox is None or door is None or not mailbox.filling:
            return
        # What remains is said when the run ends and clears each maildrop once more.
        with suppress(DoorError):
            door.clear(mailbox.account.user)

    def _is_of_a_loss(self, finding: Finding) -> bool:
        """It says no more than that something had no reply."""
        if finding.exchange is None:
            return False
        return self._recorder.transcript[finding.exchange].reply is None

    def _other_run(self) -> str:
        """The sentence about another run that is in the same maildrop, '' for none.

        One that is known to have the account is to blame where a login found it locked.
        """
        mailbox = self._mailbox
        if mailbox is None:
            return ""
        if (
            mailbox.shared
            and self._recorder.findings
            and any(map(_is_locked, self._recorder.transcript))
        ):
            return mailbox.shared
        return self._judge.other_run((mailbox,))

    def _who_has_it(self, error: SessionRefused) -> str:
        is_ours = any(session.is_open for session in self._sessions.values())
        if not error.is_locked or is_ours:
            return ""
        if self._mailbox is not None and self._mailbox.shared:
            return f"; {self._mailbox.shared}"
        return "; another session has the mailbox, and none of this run is open there"

    def _is_unsure(self, outcome: Outcome) -> bool:
        """Findings that may depend on the moment: look again with nothing beside it.

        A reply that did not come may be a limit of the target; octets that came
        late may have been taken for the next reply.
        """
        if any(finding.rule in FRAMING_RULES for finding in outcome.findings):
            return True
        return bool(outcome.findings) and any(
            exchange.reply is None and exchange.end is not None
            for exchange in self._recorder.transcript
            if exchange.kind not in (Kind.GREETING, Kind.CLOSE, Kind.EVENT, Kind.HANDSHAKE)
        )

    def _judge_service(self, error: SessionRefused) -> None:
        """A target that serves nobody any more, in a scenario about just that.

        Elsewhere than on loopback it may be a ban of our address.
        """
        rule = self._scenario.rules[0]
        served = any(session.greeting is not None for session in self._sessions.values())
        is_ours = self._judge.target.address.is_loopback
        if not (error.is_unserved and served and is_ours and rule in _ABOUT_SERVICE):
            return
        self._again = True  # perhaps it comes up again
        if error.is_full and self._is_limited():
            return
        self._recorder.exercised.add(rule)
        self._recorder.findings.append(
            Finding(rule, str(error), "a session for the next client", command="a new connection")
        )

    def _is_limited(self) -> bool:
        """Without our own sessions the next client is served: we had too many of them."""
        for session in self._sessions.values():
            session.close()
        for delay in self._judge.back_off[:_MOMENTS]:
            self._judge.stopped.wait(delay)
            try:
                open_session(self._judge.target, Recorder(), self._transport).close()
            except SessionRefused:
                continue
            self._has_limit = True
            return True
        return False

    def _outcome(self, verdict: Verdict, detail: str) -> Outcome:
        findings = tuple(self._recorder.findings)
        untried = verdict if verdict is Verdict.BLOCKED else None
        judged = verdict_of(findings, rulebook())
        verdict = worst((verdict, judged))
        masker = self._judge.masker
        shown = tuple(self._shown(finding) for finding in findings)
        if findings and verdict is not Verdict.ERROR:
            detail = f"{findings[0].rule}: {shown[0].got}"
        keep = verdict is not Verdict.PASS or self._judge.keep_transcripts
        return Outcome(
            verdict,
            masker.mask_text(detail),
            shown,
            frozenset(self._recorder.exercised),
            tuple(render(self._recorder.transcript, masker)) if keep else (),
            facts=tuple(self._recorder.facts),
            observations=masker.mask_observations(self._recorder.observations),
            uses=frozenset(self._recorder.uses),
            untried=untried,
        )

    def _shown(self, finding: Finding) -> Finding:
        masker = self._judge.masker.with_sent(self._recorder.transcript)
        command = finding.command
        if not command and finding.exchange is not None:
            exchange = self._recorder.transcript[finding.exchange]
            command = shown_command(exchange, masker).removesuffix("\\r\\n")
            command = command or exchange.kind.value
        return replace(
            finding,
            got=masker.mask_text(finding.got),
            expected=masker.mask_text(finding.expected),
            command=command,
            where=finding.where or str(self._scenario.where),
        )

    # --- Preparation ---

    def _prepare(self) -> None:
        scenario, mailbox = self._scenario, self._mailbox
        if mailbox is None or not scenario.needs_account:
            return
        mailbox.failed_logins += scenario.failed_logins
        self._values["user"] = mailbox.account.user.encode()
        self._values["password"] = mailbox.account.password.encode()
        door = self._judge.door
        if door is None or self._judge.observed.door_problem:
            return
        # First of all: a filling that fails half-way is cleared at the end like any other.
        mailbox.filling += 1
        try:
            door.fill(mailbox.account.user, self._messages())
        except DoorError as error:
            if isinstance(error, OtherRunError):
                self._judge.other_runs.add(str(error))
            raise _Blocked(str(error)) from error

    def _messages(self) -> list[bytes]:
        """The filling; a scenario that does not care gets one plain message."""
        if self._scenario.maildrop is None:
            return [PROBE_MESSAGE]
        return [message.octets for message in self._scenario.maildrop]

    def _filling(self) -> Filling:
        if self._judge.door is None or self._judge.observed.door_problem:
            return Filling(may_change=True)
        octets = self._messages()
        delivered = [one.octets for step in self._scenario.steps for one in step.deliver]
        every = octets + delivered
        return Filling(
            # What earlier sessions left there is what they are judged by.
            count=None if self._is_changed else len(octets),
            is_clean=all(_is_clean(message) for message in every),
            is_distinct=len(set(every)) == len(every),
            is_unusual=any(is_unusual(message) for message in every),
            body=self._only_body(octets),
        )

    def _only_body(self, messages: list[bytes]) -> bytes | None:
        """The body of the only message, where it is one by RFC 5322."""
        if len(messages) != 1 or self._is_changed or not _FIELD.match(messages[0]):
            return None
        return body_of(messages[0])

    def _session(self, name: str) -> Session:
        session = self._sessions.get(name)
        if session is None:
            self._is_changed |= bool(self._sessions)
            session = self._sessions[name] = self._open(name)
        return session

    def _open(self, name: str) -> Session:
        """A session in the scenario's state; a target that is busy is asked again."""
        liveness = self._judge.liveness
        is_beside = any(session.is_open for session in self._sessions.values())
        patience = () if is_beside and liveness.is_single else self._judge.back_off
        for delay in (*patience, None):
            try:
                session = self._open_once(name)
                if is_beside:
                    liveness.opened_beside(is_given=True)
                return session
            except SessionRefused as error:
                self._is_crowded |= error.is_full
                if is_beside and delay is None and error.is_full:
                    liveness.opened_beside(is_given=False)
                if not error.is_limit or error.timed_out or delay is None:
                    raise
                if error.is_lost and self._is_gone(error, delay):
                    raise
                self._recorder.note(name, f"{error}; asked again after {delay:g} s")
            except TargetError as error:
                raise _Blocked(str(error)) from error
            # A wait that an interrupted run ends at once.
            if self._judge.stopped.wait(delay):
                raise _Blocked("the run was interrupted")
        raise AssertionError("unreachable")

    def _is_gone(self, error: SessionRefused, delay: float) -> bool:
        """The target was given up; looked at anew where it is no limit of connections.

        A login that was lost may be due to the filling, so that others say whether it serves.
        """
        liveness = self._judge.liveness
        if not (error.is_unserved or error.is_full):
            return bool(liveness.why)
        # For who has sessions open a target that turns clients away may be full of these.
        has_none = not any(session.is_open for session in self._sessions.values())
        if delay >= _LONG_DELAY and (not error.is_full or (has_none and liveness.is_quiet)):
            liveness.check(time.monotonic())
        return bool(liveness.why)

    def _open_once(self, name: str) -> Session:
        mailbox = self._mailbox if self._scenario.needs_account else None
        session = open_session(
            self._judge.target,
            self._recorder,
            self._transport,
            name=name,
            account=mailbox.account if mailbox else None,
            filling=self._filling(),
            filling_name=mailbox.filling_name if mailbox else "",
            may_delete=self._scenario.maildrop is not None or self._judge.target.allow_delete,
            source=self._source,
            patience=self._patience,
            capabilities=self._judge.observed.announced_on(self._transport),
            logins=self._judge.logins,
        )
        if self._scenario.state is State.TRANSACTION and mailbox is not None:
            try:
                session.log_in(mailbox.account, use_apop=self._judge.observed.use_apop)
            except SessionRefused:
                session.close()
                raise
        return session

    # --- Steps ---

    def _follow_steps(self) -> None:
        for step in self._scenario.steps:
            if self._judge.stopped.is_set():
                raise _Blocked("the run was interrupted")
            if step.deliver:
                self._deliver(step)
                continue
            session = self._session(step.session)
            if not self._follow(step, session):
                return

    def _deliver(self, step: Step) -> None:
        door, mailbox = self._judge.door, self._mailbox
        if door is None or mailbox is None:
            raise _Blocked("no door to deliver mail; name one with --maildrop")
        for message in step.deliver:
            try:
                door.add(mailbox.account.user, message.octets)
            except DoorError as error:
                raise _Blocked(str(error)) from error
        mailbox.filling += 1
        self._is_changed = True
        for session in self._sessions.values():
            session.expect_change()

    def _follow(self, step: Step, session: Session) -> bool:
        """Do one step; False if its expectation is not met, which ends the scenario."""
        if step.close is not None:
            session.reset() if step.close is ClientClose.RESET else session.close()
            return True
        if step.handshake is not None:
            is_due = session.begins_tls
            session.look()
            if not session.is_open and not is_due:
                return self._may_be_closed(step, session)
            return self._secure(step, session)
        begun, found = len(self._recorder.transcript), len(self._recorder.findings)
        if not step.waits:
            session.look(_ENDS_WITHIN if _may_hide_an_end(step, session) else 0.0)
            if not session.is_open:
                self._leave_drops_unjudged(session, found)
                # Closed before the command or instead of its reply: the same to who allows it.
                return self._may_be_closed(step, session)
            if step.authenticate is None:
                self._send(step, session)
        was_out_of_step = session.history.is_out_of_step
        problem = self._await(step, session)
        if step.observe is not None:
            self._observe(step.observe, self._recorder.transcript[begun:])
        self._leave_the_end_unjudged(session)
        if problem is not None or len(self._recorder.findings) > found:
            self._leave_drops_unjudged(session, found)
        if problem is None:
            return True
        if was_out_of_step:
            return False  # what came may be the reply to another command
        if not self._is_explained(step, problem, begun):
            self._accuse(step, problem)
        return False

    def _leave_the_end_unjudged(self, session: Session) -> None:
        """A server may be shut down at any time, and says so; perhaps it comes up again."""
        if session.history.is_ending:
            self._again = True
            raise _Blocked("the server says that it shuts down")

    def _leave_drops_unjudged(self, session: Session, found: int) -> None:
        """A drop beside another session of ours is first a limit of the target."""
        others = any(each.is_open for each in self._sessions.values() if each is not session)
        if session.is_open or may_close(session.history) or not others:
            return
        for rule in {finding.rule for finding in self._recorder.findings[found:]}:
            self._recorder.forget(rule, found)
        if len(self._recorder.findings) == found:
            self._again = True
            raise _Blocked("the connection was dropped while another session was open beside it")

    def _observe(self, observation: Observe, exchanges: Sequence[Exchange]) -> None:
        came = ", ".join(came_back(each) for each in exchanges if each.kind is not Kind.EVENT)
        way = f"{observation.of}: " if observation.of else ""
        self._recorder.observe(observation.id, f"{way}{came}")

    def _accuse(self, step: Step, problem: Unmet) -> None:
        rule = self._rule_of(step)
        finding = Finding(
            rule,
            problem.got,
            problem.expected,
            exchange=len(self._recorder.transcript) - 1,
            where=str(step.where),
            command=self._shown_step(step),
        )
        for index, found in enumerate(self._recorder.findings):
            # The rulebook saw the same in the same exchange: one finding says both.
            if (found.rule, found.exchange) == (rule, finding.exchange):
                self._recorder.findings[index] = finding
                return
        self._recorder.findings.append(finding)

    def _is_explained(self, step: Step, problem: Unmet, begun: int) -> bool:
        """Another rule that this exchange broke says what is wrong: one cause, one finding.

        Where framing is broken the words of a reply are no evidence besides.
        A refusal that does not come is: section 3 wants it in answer to the command.
        A login that fails, or stops, is explained by whatever was broken on the way.
        """
        place = len(self._recorder.transcript) - 1
        is_silent = self._recorder.transcript[place].reply is None
        wants_login = step.expect is not None and step.expect.status is Status.OK
        if step.authenticate is not None and (wants_login or is_silent):
            way = range(begun, place + is_silent)
            if any(map(self._recorder.broken_at.get, way)):
                return True
            exchanges = self._recorder.transcript[begun:place]
            if any(each.continues_sasl and each.challenge is None for each in exchanges):
                raise _Blocked(
                    "the client cancels for a challenge that is no base64, behind a response"
                    " that is too long to be judged by"
                )
        broken = self._recorder.broken_at.get(place, set())
        if self._rule_of(step) in broken or not broken:
            return False
        if not broken.isdisjoint(LENGTH_RULES):
            return True
        if step.expect is not None and step.expect.code is not None and not problem.of_status:
            return True  # a code that is not found in a line that is wrong otherwise
        if self._recorder.transcript[place].reply is None:
            return step.expect is None or step.expect.status is not Status.ERR
        return problem.of_status or not broken.isdisjoint(FRAMING_RULES)

    def _rule_of(self, step: Step) -> str:
        return (step.expect.rule if step.expect else None) or self._scenario.rules[0]

    def _may_be_closed(self, step: Step, session: Session) -> bool:
        """The step wants no more than the close; False where a rule was broken by it."""
        allowed = may_close(session.history)
        if allowed and step.expect is not None and step.expect.may_close:
            self._recorder.exercised.add(self._rule_of(step))
            return True
        if allowed:
            raise _Blocked(
                f"the server closed the connection, as it may, before {self._shown_step(step)}"
            )
        if not self._recorder.findings:
            raise _Blocked(f"the session is closed before {self._shown_step(step)}")
        return False

    def _shown_step(self, step: Step) -> str:
        if step.authenticate is not None:
            return f"AUTH {step.authenticate.mechanism}"
        return str(step.send or step.send_bytes or "the end of the session")

    def _credentials(self, session: Session) -> dict[str, bytes]:
        """Right ones, and wrong ones that a careless comparison takes for right."""
        if self._mailbox is None:
            return {}
        password = self._mailbox.account.password
        other_password = self._judge.password_of_another(self._mailbox.account)
        digest = session.apop_digest(password)
        # The second half is another one in each of its digits.
        other = "".join(format(15 - int(digit, 16), "x") for digit in digest[16:])
        return {
            "apop": digest.encode(),
            "apop-beginning": (digest[:16] + other).encode(),
            "apop-upper-case": digest.upper().encode(),
            "apop-shortened": digest[:-1].encode(),
            "apop-empty-secret": session.apop_digest("").encode(),
            "apop-without-timestamp": apop_digest(b"", password).encode(),
            "apop-of-first-session": self._first.apop_digest(password).encode(),
            "apop-of-another": session.apop_digest(other_password).encode(),
            "password-beginning": password[:-1].encode(),
            "token": self._mailbox.account.token.encode(),
            # Of octets and so of ASCII alone: other letters may change their number.
            "password-other-case": password.encode().swapcase(),
            "password-of-another": other_password.encode(),
            "user-other-case": self._mailbox.account.user.encode().swapcase(),
            "user-of-another": self._judge.user_of_another(self._mailbox.account).encode(),
        }

    def _send(self, step: Step, session: Session) -> None:
        sent = step.send or step.send_bytes
        values = self._values
        if sent is not None and sent.names:
            values = values | self._credentials(session)
        if step.send is not None:
            self._check_sent(step.send.names, session)
            octets = fill(step.send, values) + b"\r\n"
            session.send_octets(octets, step.split)
        elif step.send_bytes is not None:
            self._check_sent(step.send_bytes.names, session)
            session.send_octets(fill(step.send_bytes, values), step.split)

    def _check_sent(self, names: Set[str], session: Session) -> None:
        """Blocked where a password may not be told, or the wrong digest would be right."""
        tells = bool(names & _TELLING) or ("apop" in names and session.timestamp is None)
        is_clear = self._transport is Transport.PLAIN
        if tells and is_clear and not self._judge.target.allow_cleartext:
            raise _Blocked(
                "the password would go over an unencrypted connection;"
                " permit it with --allow-cleartext, or use TLS"
            )
        if "apop-of-first-session" in names and session.timestamp == self._first.timestamp:
            raise _Blocked("two greetings have one timestamp, so that one digest is right for both")

    @property
    def _first(self) -> Session:
        return next(iter(self._sessions.values()))

    def _await(self, step: Step, session: Session) -> Unmet | None:
        expect = step.expect
        if expect is None:
            if step.authenticate is not None:
                self._last_of(step, session)
            while session.is_waiting:
                session.receive()
            return None
        rule = self._rule_of(step)
        if expect.silence is not None:
            self._recorder.exercised.add(rule)
            return self._unmet_silence(session, expect.silence)
        if expect.status is None and expect.closed:
            self._recorder.exercised.add(rule)
            return self._unmet_close(session)
        before = session.history
        exchange = self._last_of(step, session)
        if exchange.reply is None and exchange.is_closed:
            if expect.may_close:
                self._recorder.exercised.add(rule)
                return None
            if may_close(before) and not exchange.partial:
                raise _Blocked("the server closed the connection, as it may, instead of a reply")
        if expect.status is Status.OK and exchange.is_err:
            self._leave_limits_unjudged(step, exchange, before)
            self._leave_mechanisms_unjudged(step)
        if exchange.is_ok and expect.status is Status.ERR and expect.is_about_code:
            raise _Blocked("what has to be refused is not, so that the refusal cannot be judged")
        self._recorder.exercised.add(rule)
        door = self._judge.door
        adds_headers = door is not None and door.adds_headers
        problem = unmet(expect, exchange, self._values, step.save, adds_headers=adds_headers)
        if problem is not None and expect.code is not None and exchange.is_err:
            self._leave_limits_unjudged(step, exchange, before)
        if problem is None and expect.closed:
            return self._unmet_close(session)
        return problem

    def _secure(self, step: Step, session: Session) -> bool:
        """Begin with TLS; False where it fails, which is what the step is about."""
        rule = self._rule_of(step)
        self._recorder.exercised.add(rule)
        if not session.is_open:
            self._accuse(step, Unmet("a TLS handshake", "a close behind the +OK to STLS"))
            return False
        try:
            session.secure()
        except CertificateRejected as error:
            raise _Blocked(str(error)) from error
        except ConnectionFailed as error:
            problem = Unmet("a TLS handshake", str(error))
            if not self._is_explained(step, problem, len(self._recorder.transcript) - 1):
                self._accuse(step, problem)
            return False
        session.look_for_another_greeting()
        return True

    def _last_of(self, step: Step, session: Session) -> Exchange:
        """The reply to a step; of a login by SASL the last one."""
        if step.authenticate is None:
            return session.receive()
        login = step.authenticate
        # Without an account there is neither, nor has the mechanism a use for it.
        values = {"password": b"", "token": b""} | self._values | self._credentials(session)
        user, password, authzid, token = (fill(each, values).decode() for each in login.templates)
        if login.mechanism in _NOT_BY_NAME:
            session.leave_maildrop()
        address = self._judge.target.address_for(self._transport)
        identity = Identity(
            user,
            password,
            authzid,
            token,
            host=address.host,
            port=address.port,
            bindings=session.bindings,
        )
        return authenticate(
            session,
            self._recorder,
            login.mechanism,
            begin(login.mechanism, identity, login.twist),
            initial_response=login.initial_response,
            encode=encoding(login.twist),
            is_right=login.is_right,
        )

    def _leave_mechanisms_unjudged(self, step: Step) -> None:
        """A mechanism may need a secret that the server does not have of this account."""
        login, mailbox = step.authenticate, self._mailbox
        if login is None or mailbox is None or not login.is_right:
            return
        if login.mechanism not in mailbox.account.mechanisms:
            self._recorder.observe("mechanisms-for-account", f"not {login.mechanism}")
            raise _Blocked(
                f"{login.mechanism} is refused, and no profile says that the account can use it:"
                " name it in mechanisms of the account"
            )

    def _leave_limits_unjudged(self, step: Step, exchange: Exchange, before: History) -> None:
        """What the target may refuse, and says that it does, is not judged.

        A login that may succeed later; locks that stay have rules of their own.
        QUIT, where marked messages were not removed.
        """
        if exchange.keyword == "QUIT" and before.marked:
            raise _Blocked("the server says that it did not remove what was marked")
        if exchange.keyword not in LOGIN:
            return
        is_shared = step.authenticate is not None and step.authenticate.mechanism in _NOT_BY_NAME
        if is_shared and "LOGIN-DELAY" in (before.capabilities or {}):
            self._again = True
            raise _Blocked("another session may have been in this maildrop a moment ago")
        reason = refusal(exchange)
        if reason.is_limit:
            self._again = True
            raise _Blocked(str(reason))
        wants_code = step.expect is not None and step.expect.code is not None
        if wants_code and exchange.keyword == "PASS" and not before.user_was_last:
            raise _Blocked("USER is refused, so that PASS says nothing of the password")
        if wants_code and reason.wants_tls and not exchange.secure:
            raise _Blocked("the login is refused for want of TLS, whatever the credentials")

    def _unmet_silence(self, session: Session, seconds: float) -> Unmet | None:
        before = session.history
        exchange = session.silence(seconds)
        closed_rightly = exchange.is_closed and may_close(before)
        if not exchange.partial and (exchange.end is None or closed_rightly):
            return None
        return Unmet(f"nothing for {seconds:g} s", got_instead(exchange))

    def _unmet_close(self, session: Session) -> Unmet | None:
        if not session.is_open and session.history.quit:
            return None  # the close behind QUIT has a rule of its own
        exchange = session.await_close(self._judge.target.timeouts.reply)
        if exchange.is_closed:
            return None
        if exchange.end is End.TIMEOUT:
            return Unmet("the close of the connection", "a connection that is still open")
        return Unmet("the close of the connection", got_instead(exchange))

    # --- The end ---

    def _end(self, verdict: Verdict) -> None:
        for session in self._sessions.values():
            try:
                # QUIT may remove what was retrieved from somebody's mailbox.
                ours = self._scenario.maildrop is not None
                untouched = session.may_quit and not session.history.marked
                if (
                    session.is_open
                    and session.history.state is State.TRANSACTION
                    and not session.history.illegal
                    and (ours or untouched)
                    and verdict is not Verdict.ERROR
                    and not self._judge.liveness.unanswered(("QUIT",))
                ):
                    session.quit()
                else:
                    session.close()
            except HarnessError:
                session.close()


# Mechanisms that show the password to whoever can read the connection.
_WITH_PASSWORD = frozenset({"PLAIN", "LOGIN"})
# Mechanisms that lead to another maildrop than that of the account.
_NOT_BY_NAME = frozenset({"EXTERNAL", "ANONYMOUS"})


def _is_locked(exchange: Exchange) -> bool:
    return exchange.keyword in LOGIN and exchange.is_err and refusal(exchange).is_locked


def _keywords(scenario: Scenario, *, use_apop: bool) -> set[str]:
    """The commands that a scenario cannot do without."""
    found = {"AUTH"} if any(step.authenticate for step in scenario.steps) else set()
    if scenario.state is State.TRANSACTION:
        found |= {"APOP"} if use_apop else {"USER", "PASS"}
    begun = (step.send.parts[:1] for step in scenario.steps if step.send is not None)
    return found | {keyword(part) for parts in begun for part in parts if isinstance(part, bytes)}


def _told_names(scenario: Scenario) -> set[str]:
    """The names whose values are sent as they are."""
    sent = [part for step in scenario.steps for part in (step.send, step.send_bytes)]
    for login in (step.authenticate for step in scenario.steps if step.authenticate):
        if login.mechanism in BEARER:
            sent.append(login.token)
        elif login.mechanism in _WITH_PASSWORD:
            sent.append(login.password)
    return {name for part in sent if part is not None for name in part.names}


def _shows_secrets(scenario: Scenario) -> bool:
    """A password, or what is close to one, is sent as it is."""
    return any(name.startswith(("password", "token")) for name in _told_names(scenario))


def _has_cases(text: str) -> bool:
    return text.encode().swapcase() != text.encode()


# The beginning of a header field (RFC 5322, section 2.2).
_FIELD = re.compile(rb"[!-9;-~]+:")


def _may_hide_an_end(step: Step, session: Session) -> bool:
    """An end that follows the last refusal would pass for one that this step allows."""
    last = session.history.last
    allows = step.expect is not None and step.expect.may_close
    return allows and last is not None and last.is_err


def _is_clean(message: bytes) -> bool:
    pairs = message.count(b"\r\n")
    return (
        message.endswith(b"\r\n")
        and message.count(b"\r") == pairs
        and message.count(b"\n") == pairs
    )
