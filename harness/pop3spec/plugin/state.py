"""What one pytest process knows of the run, and where it keeps that."""

import datetime
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from pop3spec import fleet
from pop3spec.claims import Claims, claim
from pop3spec.collected import ScenarioFiles
from pop3spec.connection import tls_context
from pop3spec.maildrop.access import Access
from pop3spec.maildrop.doors import open_door
from pop3spec.masking import masker_for
from pop3spec.options import OPTIONS
from pop3spec.probe import observed_from
from pop3spec.report.baseline import Baseline
from pop3spec.report.changes import Changes
from pop3spec.report.known import Staleness, marked
from pop3spec.report.results import Results
from pop3spec.report.rows import ScenarioRow
from pop3spec.run import Run
from pop3spec.settings import Settings
from pop3spec.tally import Tally, evidence_of
from pop3spec.target import Target, TargetError
from pop3spec.transcript import Masker
from pop3spec.verdict import Outcome
from pop3spec.watching import Watch

if TYPE_CHECKING:
    from pop3spec.embedded import Embedded

# What the names of our options begin with among those of pytest.
DEST = "pop3spec_"
# Options that change nothing of a single scenario, and those that are told in another way.
_NOT_REPLAYED = frozenset(
    (
        *("target", "account", "report-dir", "summary-md", "jobs", "level", "transcripts"),
        *("baseline", "certify"),
    )
)


class State:
    """What one pytest process knows of the run."""

    def __init__(
        self,
        config: pytest.Config,
        settings: Settings,
        files: ScenarioFiles,
        baseline: Baseline | None,
    ) -> None:
        self.config = config
        self.settings = settings
        self.files = files
        self.baseline = baseline
        self.whole_files: set[str] = set()
        self.left_out: set[str] = set()
        self.changes = Changes()
        self.run: Run | None = None
        self.embedded: Embedded | None = None
        self.tally = Tally()
        self.results: Results | None = None
        self.observed: dict[str, Any] = {}
        self.started = datetime.datetime.now(datetime.UTC)
        self.begun = time.monotonic()
        self.staleness = Staleness()
        self.is_reported = False
        self.watch: Watch | None = None
        self.claims = Claims()
        self.shares = fleet.Shares()
        self.problems: list[str] = []
        self.certificate: Mapping[str, Any] = {}

    @property
    def is_worker(self) -> bool:
        """This is a process of pytest-xdist that runs tests for another."""
        return hasattr(self.config, "workerinput")

    @property
    def is_controller(self) -> bool:
        """This is the process of pytest-xdist that others run tests for."""
        return self.config.pluginmanager.hasplugin("dsession")

    @property
    def target_name(self) -> str:
        """The target as reports name it."""
        target = self.settings.target
        return str(target.address) if target else "the embedded reference server"

    @property
    def masker(self) -> Masker:
        """Hides the secrets of this run, also before it has begun."""
        if self.run is not None:
            return self.run.masker
        target = self.settings.target
        if target is None:
            return Masker()
        return masker_for((*target.accounts, *target.sasl_accounts))

    @property
    def other_runs(self) -> list[str]:
        """Sentences about other runs that are in the same mailboxes."""
        taken = [f"{user}: {who}" for user, who in self.claims.taken.items()]
        return [*taken, *(self.run.other_runs if self.run is not None else ())]

    def ready_run(self) -> Run:
        """The run, begun at the first use."""
        if self.run is None:
            self.run = self._begin()
        return self.run

    def _begin(self) -> Run:
        settings, target = self.settings, self.settings.target
        if target is None:
            from pop3spec.embedded import start_embedded  # only where it is the target

            self.embedded = start_embedded(transports=settings.transports)
            run = Run(
                settings,
                self.embedded.target,
                self.embedded.door,
                restart=self.embedded.server.restart,
            )
            run.begin()
        else:
            door = open_door(
                target.maildrop, allow_delete=target.allow_delete, access=_access(target)
            )
            run = Run(settings, target, door)
            given = getattr(self.config, "workerinput", {})
            shared = given.get("pop3spec_observed")
            if not self.is_worker:
                self.claims = claim(target)
            run.begin(
                observed_from(shared) if shared else None,
                self._share(),
                given.get("pop3spec_unusable", ()),
                given.get("pop3spec_taken", self.claims.taken),
            )
            self._tell_of_accounts(run)
        self.observed = run.observed.as_data()
        if run.introduction is not None:
            self._introduce(run.introduction)
        return run

    def _tell_of_accounts(self, run: Run) -> None:
        """Name the accounts that cannot be used; TargetError where the target refuses all."""
        unusable = [mailbox for mailbox in run.mailboxes if mailbox.problem]
        if run.observed.is_refused:
            more = f" and {len(unusable) - 1} more" if len(unusable) > 1 else ""
            raise TargetError(
                f"{self.target_name} refuses every account: {unusable[0].problem}{more};"
                " check the user names and passwords"
            )
        if not run.observed.login_problem:
            self.problems += [f"not used: {mailbox.problem}" for mailbox in unusable]
        shared = [mailbox for mailbox in run.mailboxes if mailbox.shared not in mailbox.problem]
        self.problems += [f"{mailbox.account.user}: {mailbox.shared}" for mailbox in shared]

    def _share(self) -> tuple[int, int]:
        index, count = getattr(self.config, "workerinput", {}).get("pop3spec_share", (0, 1))
        return index, count

    def _introduce(self, outcome: Outcome) -> None:
        """The probe's sessions are judged like all others, as a row of their own."""
        row = ScenarioRow.from_outcome(
            outcome,
            id="run::introduction",
            title="The target is greeted, asked for its capabilities and logged in to",
            file="",
            line=0,
            rules=(),
            replay=self.replay(()),
        )
        self.tally.take(evidence_of(self.placed(row), outcome))

    def placed(self, row: ScenarioRow) -> ScenarioRow:
        """The row beside known deviations and the baseline, and no secret in its words."""
        masker = self.masker
        findings = tuple(replace(found, got=masker.mask_text(found.got)) for found in row.findings)
        row = replace(row, detail=masker.mask_text(row.detail), findings=findings)
        row = marked(row, self.settings.known_deviations, datetime.date.today())
        return self.baseline.placed(row) if self.baseline is not None else row

    def replay(self, paths: Sequence[str]) -> str:
        """The command that runs these again; secrets are never part of it."""
        target = self.settings.target
        words = ["pop3spec", "run", *([str(target.address)] if target else []), *paths]
        for name, _ in OPTIONS:
            value = self.config.getoption(DEST + name.replace("-", "_"))
            if name in _NOT_REPLAYED:
                continue
            if value is True:
                words.append(f"--{name}")
            elif value is not None and value is not False:
                words.append(f"--{name}={value}")
        return shlex.join(words)


def _access(target: Target) -> Access:
    """What a door needs that logs in."""
    return Access(
        {account.user: account.password for account in target.accounts},
        # For a target on this machine that says nothing of a door on another one.
        target.allow_cleartext and not target.address.is_loopback,
        partial(tls_context, target.tls),
        target.tls.name,
    )


STATE = pytest.StashKey[State]()
OUTCOME = pytest.StashKey[Outcome]()
LOSS = pytest.StashKey[str]()  # how the target gave no answer in a Python test
