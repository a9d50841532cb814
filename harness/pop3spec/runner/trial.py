"""One run of one scenario: its preparation, its steps, and what it comes to."""

import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from pop3spec.accounts import Mailbox
from pop3spec.harm import HarnessError
from pop3spec.liveness import cut_short
from pop3spec.opening import open_session
from pop3spec.protocol.commands import LOGIN
from pop3spec.recorder import Recorder
from pop3spec.refusals import SessionRefused, refusal
from pop3spec.rulebook.checks import FRAMING_RULES
from pop3spec.runner.blocked import Blocked
from pop3spec.runner.case import Case
from pop3spec.runner.filling import Filler
from pop3spec.runner.following import Follower
from pop3spec.runner.judge import Judge
from pop3spec.runner.outcome import outcome_of
from pop3spec.runner.sessions import Sessions
from pop3spec.scenario import Scenario
from pop3spec.schedule import Attempt
from pop3spec.target import Transport
from pop3spec.transcript import Exchange, Kind
from pop3spec.verdict import Finding, Outcome, Verdict

# Of the waits for a session the first ones, in which a server notices that a client has gone.
_MOMENTS = 3
# What a server breaks that serves nobody any more.
_ABOUT_SERVICE = frozenset({"robust-serves-next-client", "robust-unfinished-negotiations"})


def attempt(
    judge: Judge, scenario: Scenario, transport: Transport, mailbox: Mailbox | None, *, alone: bool
) -> Attempt:
    """Run a scenario once, if the target has not gone away."""
    with judge.liveness.busy() as gone:
        begun = time.monotonic()
        case = Case(scenario, judge.transport_of(scenario, transport), mailbox, alone)
        untried = judge.why_not(scenario, case.transport, mailbox)
        if untried is None and gone:
            untried = Outcome(Verdict.BLOCKED, f"the target went away: {gone}")
        if untried is not None:
            return Attempt(untried)
        if reason := judge.why_in_vain(case):
            return Attempt(Outcome(Verdict.BLOCKED, reason), is_in_vain=True)
        trial = _Trial(judge, case)
        tried = trial.attempt()
        outcome = replace(tried.outcome, seconds=time.monotonic() - begun)
        judge.told(case, trial.exchanges)
        if trial.loss:
            trial.clear()
        if alone and trial.was_cut:
            _see_whether_it_is_back(judge, case.transport)
        judge.liveness.ended(trial.loss)
    return replace(tried, outcome=outcome)


def _see_whether_it_is_back(judge: Judge, transport: Transport) -> None:
    """A process that was tripped may take the next connection with it: that is not a scenario's."""
    with suppress(SessionRefused):
        open_session(judge.target, Recorder(), transport).close()


class _Trial:
    """One run of one scenario; `loss` says behind it how the target was lost, if it was."""

    def __init__(self, judge: Judge, case: Case) -> None:
        self.loss = ""
        self._judge = judge
        self._case = case
        self._recorder = Recorder()
        self._filler = Filler(judge, case)
        self._sessions = Sessions(judge, case, self._recorder, self._filler)
        self._again = False
        self._has_limit = False

    @property
    def exchanges(self) -> Sequence[Exchange]:
        """All that was said."""
        return self._recorder.transcript

    @property
    def was_cut(self) -> bool:
        """The target ended a connection elsewhere than behind QUIT."""
        return any(
            exchange.is_closed and exchange.keyword != "QUIT"
            for exchange in self._recorder.transcript
            if exchange.kind in (Kind.COMMAND, Kind.CONTINUATION, Kind.UNASKED)
        )

    def attempt(self) -> Attempt:
        """Do it, and make the outcome."""
        verdict, detail = self._tried()
        self._sessions.end(politely=verdict is not Verdict.ERROR)
        if others := self._other_run():
            # Whose messages and locks were at work is not known, so that nothing is judged.
            return Attempt(Outcome(Verdict.BLOCKED, others), again=not self._case.alone)
        outcome = outcome_of(
            self._recorder,
            verdict,
            detail,
            where=str(self._case.scenario.where),
            masker=self._judge.masker,
            keep_transcript=self._judge.keep_transcripts,
        )
        if outcome.verdict is not Verdict.PASS:
            self.loss = self.loss or cut_short(self._recorder.transcript)
        return Attempt(
            outcome,
            self._again or self._is_unsure(outcome),
            is_lost=all(map(self._is_of_a_loss, outcome.findings)),
            is_cut=all(map(self._is_of_a_cut, outcome.findings)),
            is_crowded=self._sessions.is_crowded,
            is_limited=self._has_limit,
        )

    def clear(self) -> None:
        """Take the filling out."""
        self._filler.clear()

    def _tried(self) -> tuple[Verdict, str]:
        """The verdict, but for what was found, and its reason."""
        try:
            self._prepare()
            Follower(self._judge, self._case, self._recorder, self._filler, self._sessions).follow()
        except Blocked as error:
            self._again = error.again
            return Verdict.BLOCKED, str(error)
        except SessionRefused as error:
            reason = f"{error}{self._who_has_it(error)}"
            self._again = error.timed_out or error.is_lost
            self.loss = str(error) if error.is_lost else ""
            self._judge_service(error)
            return Verdict.BLOCKED, reason
        except HarnessError as error:
            return Verdict.ERROR, str(error)
        except Exception:
            return Verdict.ERROR, traceback.format_exc(limit=-6)
        return Verdict.PASS, ""

    def _prepare(self) -> None:
        mailbox, scenario = self._case.mailbox, self._case.scenario
        if mailbox is None or not scenario.needs_account:
            return
        mailbox.failed_logins += scenario.failed_logins
        self._filler.fill()

    # --- Who else is there ---

    def _who_has_it(self, error: SessionRefused) -> str:
        if not error.is_locked or self._sessions.any_open:
            return ""
        mailbox = self._case.mailbox
        if mailbox is not None and mailbox.shared:
            return f"; {mailbox.shared}"
        return "; another session has the mailbox, and none of this run is open there"

    def _other_run(self) -> str:
        """The sentence about another run that is in the same maildrop, '' for none.

        One that is known to have the account is to blame where a login found it locked.
        """
        mailbox, recorder = self._case.mailbox, self._recorder
        if mailbox is None:
            return ""
        if mailbox.shared and recorder.findings and any(map(_is_locked, recorder.transcript)):
            return mailbox.shared
        return self._judge.other_run((mailbox,))

    # --- Whether anybody is served ---

    def _judge_service(self, error: SessionRefused) -> None:
        """A target that serves nobody any more, in a scenario about just that.

        Elsewhere than on loopback it may be a ban of our address.
        """
        rule = self._case.scenario.rules[0]
        served = any(session.greeting is not None for session in self._sessions)
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
        for session in self._sessions:
            session.close()
        for delay in self._judge.back_off[:_MOMENTS]:
            self._judge.stopped.wait(delay)
            try:
                open_session(self._judge.target, Recorder(), self._case.transport).close()
            except SessionRefused:
                continue
            self._has_limit = True
            return True
        return False

    # --- How sure it is ---

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

    def _is_of_a_loss(self, finding: Finding) -> bool:
        """It says no more than that something had no reply."""
        if finding.exchange is None:
            return False
        return self._recorder.transcript[finding.exchange].reply is None

    def _is_of_a_cut(self, finding: Finding) -> bool:
        """It says no more than that the connection ended."""
        if finding.exchange is None or not self._is_of_a_loss(finding):
            return False
        return self._recorder.transcript[finding.exchange].is_closed


def _is_locked(exchange: Exchange) -> bool:
    return exchange.keyword in LOGIN and exchange.is_err and refusal(exchange).is_locked
