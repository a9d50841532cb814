"""What the sessions of one test write down: exchanges, what the rulebook says of them, facts."""

import time
from dataclasses import dataclass, field

from pop3spec.rulebook.checks import judge
from pop3spec.rulebook.history import History
from pop3spec.rulebook.judgement import Broken, Held
from pop3spec.rulebook.observers import Seen, observe
from pop3spec.rulebook.over_sessions import SessionFacts
from pop3spec.rulebook.uses import Use, uses
from pop3spec.transcript import Exchange, Kind
from pop3spec.verdict import Finding


@dataclass
class Recorder:
    """The transcript and the judgements of all sessions of one test."""

    begun: float = field(default_factory=time.monotonic)
    transcript: list[Exchange] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    exercised: set[str] = field(default_factory=set)
    facts: list[SessionFacts] = field(default_factory=list)
    broken_at: dict[int, set[str]] = field(default_factory=dict)
    observations: set[Seen] = field(default_factory=set)
    uses: set[Use] = field(default_factory=set)
    announces_more: bool = False  # the server has capabilities that the target has not
    _broken: set[str] = field(default_factory=set)

    def now(self) -> float:
        """Seconds since the test began."""
        return time.monotonic() - self.begun

    def record(self, exchange: Exchange, before: History) -> History:
        """Judge an exchange and keep it; what the session has shown then."""
        self.transcript.append(exchange)
        for rule, judgement in judge(exchange, before):
            self.exercised.add(rule)
            if isinstance(judgement, Broken):
                self._keep(rule, judgement)
        self.observations.update(observe(exchange, before))
        if not self.announces_more:
            self.uses.update(uses(exchange, before))
        return before.after(exchange)

    def observe(self, observation: str, value: str) -> None:
        """Keep what was seen of something that an RFC leaves free."""
        self.observations.add((observation, value))

    def judged(self, rule: str, judgement: Held | Broken) -> None:
        """Keep what was said of a rule by somebody who knows more than the exchanges show."""
        self.exercised.add(rule)
        if isinstance(judgement, Broken):
            self._keep(rule, judgement)

    def _keep(self, rule: str, judgement: Broken) -> None:
        place = len(self.transcript) - 1
        self.broken_at.setdefault(place, set()).add(rule)
        # One finding for each rule and test: the first shows the bytes.
        if rule not in self._broken:
            self._broken.add(rule)
            self.findings.append(Finding(rule, judgement.got, exchange=place))

    def forget(self, rule: str, since: int) -> None:
        """Take back a finding on a rule, if it came behind so many findings."""
        for place in range(since, len(self.findings)):
            if self.findings[place].rule == rule:
                self._broken.discard(rule)
                del self.findings[place]
                return

    def note(self, session: str, text: str) -> None:
        """Keep what happened beside the exchanges."""
        now = self.now()
        self.transcript.append(
            Exchange(Kind.EVENT, sent_at=now, answered_at=now, session=session, note=text)
        )
