"""What all scenarios of a run share, and which of them can be tried."""

import itertools
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from pop3spec.accounts import Mailbox
from pop3spec.liveness import Liveness, unanswered_in
from pop3spec.login_delay import Logins
from pop3spec.maildrop import Door, DoorError, SeesOthers
from pop3spec.probe import Observed
from pop3spec.protocol.commands import State, keyword
from pop3spec.runner.case import Case
from pop3spec.runner.credentials import shows_secrets, why_none
from pop3spec.scenario import Scenario
from pop3spec.target import Target, Transport
from pop3spec.transcript import Exchange, Masker
from pop3spec.verdict import Outcome, Verdict

# Seconds to wait before the target is asked again for a session that it refused.
BACK_OFF = (0.1, 0.3, 1.0, 2.0, 4.0)


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

    def transport_of(self, scenario: Scenario, transport: Transport) -> Transport:
        """How the sessions of a scenario are opened, in a run that has this transport."""
        if scenario.transport is not None:
            return scenario.transport
        if not scenario.encrypted or transport is not Transport.PLAIN:
            return transport
        has_stls = "STLS" in self.observed.features_on(Transport.PLAIN)
        return Transport.STLS if has_stls else Transport.TLS

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

    def _missing(self, scenario: Scenario, transport: Transport, mailbox: Mailbox | None) -> str:
        if not scenario.needs_account:
            return ""
        if self.observed.login_problem:
            return self.observed.login_problem
        if mailbox is None:
            return "no account was given; name one with POP3SPEC_ACCOUNT or --account"
        is_readable = transport is Transport.PLAIN and not self.target.allow_cleartext
        if is_readable and shows_secrets(scenario):
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
        if reason := why_none(scenario, transport, self.target, mailbox.account):
            return reason
        most = self.target.max_failed_logins
        if most is not None and mailbox.failed_logins + scenario.failed_logins > most:
            return f"more than {most} wrong logins for an account; raise --max-failed-logins"
        return ""

    def why_in_vain(self, case: Case) -> str:
        """Why a scenario would wait for nothing, '' where it would not.

        A second look is only in vain for what the first one has waited for.
        """
        words = _keywords(case.scenario, use_apop=self.observed.use_apop)
        waited = self._waited.get((id(case.scenario), case.transport)) if case.alone else None
        if waited is not None:
            words &= waited
        word = self.liveness.unanswered(words, alone=waited is not None)
        return f"{word} was left unanswered again and again, and is not tried any more" * bool(word)

    def told(self, case: Case, exchanges: Sequence[Exchange]) -> None:
        """Keep what a scenario waited for in vain."""
        self.liveness.told(exchanges, alone=case.alone)
        self._waited[id(case.scenario), case.transport] = unanswered_in(exchanges)

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


def _keywords(scenario: Scenario, *, use_apop: bool) -> set[str]:
    """The commands that a scenario cannot do without."""
    found = {"AUTH"} if any(step.authenticate for step in scenario.steps) else set()
    if scenario.state is State.TRANSACTION:
        found |= {"APOP"} if use_apop else {"USER", "PASS"}
    begun = (step.send.parts[:1] for step in scenario.steps if step.send is not None)
    return found | {keyword(part) for parts in begun for part in parts if isinstance(part, bytes)}
