"""pytest: options, fixtures, collection, failure text, reports.

The only module that turns outcomes into test results. It is loaded by the
clone's conftest.py, by `pop3spec run`, or with `-p pop3spec.plugin`.
"""

import datetime
import os
import re
import shlex
import sys
import time
import warnings
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.runner import runtestprotocol  # it has no public name

from pop3spec import __version__, fixtures, fleet
from pop3spec.claims import Claims, claim
from pop3spec.collected import (
    SUFFIXES,
    ScenarioFiles,
    home,
    scenarios_digest,
    with_transport,
)
from pop3spec.connection import tls_context
from pop3spec.deviations import check_records
from pop3spec.liveness import Liveness, cut_short
from pop3spec.maildrop import DoorError
from pop3spec.maildrop.access import Access
from pop3spec.maildrop.doors import open_door
from pop3spec.masking import masker_for
from pop3spec.options import OPTIONS
from pop3spec.probe import observed_from, reach
from pop3spec.report.baseline import Baseline
from pop3spec.report.changes import Changes
from pop3spec.report.exit_code import ExitCode, exit_code
from pop3spec.report.files import append_file
from pop3spec.report.job_summary import job_summary
from pop3spec.report.known import Staleness, marked, staleness
from pop3spec.report.reports import WRITTEN, write_reports
from pop3spec.report.results import Results, ResultsError
from pop3spec.report.rows import ScenarioRow, Standing, fails_run
from pop3spec.report.summary import STANDINGS, failure_text, summary_lines
from pop3spec.report.text import inert, one_line
from pop3spec.report.truth import truth_table
from pop3spec.rulebook.over_sessions import SessionFacts
from pop3spec.rulebook.rules import rulebook, rules_digest
from pop3spec.run import Run, Task
from pop3spec.scenario import Scenario, ScenarioError
from pop3spec.session import Recorder, SessionRefused
from pop3spec.settings import Settings, settings_from
from pop3spec.tally import Tally, evidence_of
from pop3spec.target import Target, TargetError, Transport
from pop3spec.transcript import Masker
from pop3spec.verdict import Finding, Outcome, Verdict, verdict_of, worst
from pop3spec.watching import Watch, WhileOneRuns, WhileOthersRun

if TYPE_CHECKING:
    from _pytest._code.code import TerminalRepr  # pytest shows it under no other name

    from pop3spec.embedded import Embedded

_DEST = "pop3spec_"
# Options that change nothing of a single scenario, and those that are told in another way.
_NOT_REPLAYED = frozenset(
    (
        *("target", "account", "report-dir", "summary-md", "jobs", "level", "transcripts"),
        *("baseline", "certify"),
    )
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add our options in a group of their own."""
    group = parser.getgroup("pop3spec", "pop3spec: conformance of POP3 servers")
    for name, details in OPTIONS:
        group.addoption(f"--{name}", dest=_DEST + name.replace("-", "_"), **details)


class _State:
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
            value = self.config.getoption(_DEST + name.replace("-", "_"))
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


_STATE = pytest.StashKey[_State]()
_OUTCOME = pytest.StashKey[Outcome]()
_LOSS = pytest.StashKey[str]()  # how the target gave no answer in a Python test


def pytest_configure(config: pytest.Config) -> None:
    """Read options, profile and scenario files; what is wrong in them is a usage error."""
    rfcs = sorted({f"rfc{rule.rfc}" for rule in rulebook().values() if rule.rfc})
    for name in (*rfcs, "practice", "robust", "must", "should"):
        config.addinivalue_line("markers", f"{name}: scenarios about such rules")
    config.addinivalue_line("markers", "rules(*ids): the rules that a Python test is about")
    config.addinivalue_line(
        "markers", "beside(work=…, login_delay=…): what starts with the run and takes long"
    )
    options = {
        name.replace("-", "_"): config.getoption(_DEST + name.replace("-", "_"))
        for name, _ in OPTIONS
    }
    files = ScenarioFiles(_named_paths(config))
    try:
        given = getattr(config, "workerinput", {}).get("pop3spec_settings")
        settings = fleet.unpacked(given) if given else settings_from(options, os.environ)
        open_door(settings.target.maildrop if settings.target else options["maildrop"] or "none")
        if not hasattr(config, "workerinput"):
            for path in files.below():
                files.read(path)
            check_records(settings.known_deviations, files.ids())
        baseline = _baseline(settings)
    except (TargetError, DoorError, ScenarioError, ResultsError) as error:
        raise pytest.UsageError(str(error)) from error
    for path in files.below():
        files.read(path)
    for topic in files.topics():
        config.addinivalue_line("markers", f"{topic}: scenarios of this topic")
    state = config.stash[_STATE] = _State(config, settings, files, baseline)
    config.stash[fixtures.READY_RUN] = state.ready_run
    config.stash[fixtures.REPLAY] = state.replay
    config.pluginmanager.register(fixtures, "pop3spec-fixtures")
    config.pluginmanager.register(_Masking(state), "pop3spec-masking")
    if not state.is_worker:
        config.pluginmanager.register(_Rows(state), "pop3spec-rows")


def _baseline(settings: Settings) -> Baseline | None:
    if settings.baseline is None:
        return None
    suite = (__version__, rules_digest())
    return Baseline.read(settings.baseline, settings.level, rulebook(), suite)


def _named_paths(config: pytest.Config) -> list[Path]:
    base = config.invocation_params.dir
    names = [str(argument).partition("::")[0] for argument in config.args]
    return [Path(os.path.abspath(base / name)) for name in names if name]


# --- Collection ---


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A YAML file that is named, or one of our scenarios."""
    if file_path.suffix not in SUFFIXES:
        return None
    if not parent.config.stash[_STATE].files.takes(file_path):
        return None
    collector: pytest.Collector = YamlFile.from_parent(parent, path=file_path)
    return collector


class YamlFile(pytest.File):
    """A scenario file."""

    def collect(self) -> Iterator["YamlItem"]:
        """An item for each scenario and transport."""
        state = self.config.stash[_STATE]
        transports = _transports(state.settings)
        for scenario in state.files.read(self.path).scenarios:
            name = state.files.name(self.path, scenario)
            for transport in transports:
                yield YamlItem.from_parent(
                    self,
                    name=with_transport(scenario.id, transport, transports),
                    scenario=scenario,
                    transport=transport if len(transports) > 1 else None,
                    scenario_name=with_transport(name, transport, transports),
                )


@pytest.hookimpl(trylast=True)
def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """What is left out makes its file one that was not run whole."""
    for item in items:
        item.config.stash[_STATE].left_out.add(_shown_file(item.path))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Note the files of which every scenario is run."""
    state = session.config.stash[_STATE]
    for argument in session.config.args:
        path, colons, _ = str(argument).partition("::")
        if colons:
            named = os.path.abspath(session.config.invocation_params.dir / path)
            state.left_out.add(_shown_file(Path(named)))
    chosen = {_shown_file(item.path) for item in session.items}
    state.whole_files |= chosen - state.left_out
    if state.is_worker:
        session.config.workeroutput["pop3spec_whole_files"] = sorted(state.whole_files)  # type: ignore[attr-defined]  # xdist's


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A Python test whose sessions may be opened in any way runs on each transport."""
    transports = _transports(metafunc.config.stash[_STATE].settings)
    if len(transports) > 1 and _takes_transport(metafunc):
        names = [transport.value for transport in transports]
        metafunc.parametrize("transport", transports, ids=names, indirect=True)


def _takes_transport(metafunc: pytest.Metafunc) -> bool:
    info = getattr(metafunc.definition, "_fixtureinfo", None)
    found = info.name2fixturedefs.get("transport") if info is not None else None
    return found is not None and found[-1].func.__module__ == fixtures.__name__


def _transports(settings: Settings) -> Sequence[Transport]:
    return settings.transports or (Transport.PLAIN,)


class YamlItem(pytest.Item):
    """A scenario, on one transport."""

    def __init__(
        self,
        *,
        scenario: Scenario,
        transport: Transport | None,
        scenario_name: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.scenario = scenario
        self.scenario_name = scenario_name
        self._transport = transport
        self._task: Task | None = None
        book = rulebook()
        marks = {rule.partition("-")[0] for rule in scenario.rules}
        marks |= {book[rule].level.value.lower() for rule in scenario.rules}
        topic = self.config.stash[_STATE].files.read(self.path).topic
        for mark in sorted(marks | ({topic} if topic else set())):
            self.add_marker(mark)

    def task(self, run: Run) -> Task:
        """What has to be run for this item."""
        if self._task is None:
            transport = self._transport or run.observed.transport
            self._task = Task(self.scenario, transport, self.scenario_name)
        return self._task

    def runtest(self) -> None:
        """Wait for the outcome and turn it into a test result."""
        state = self.config.stash[_STATE]
        run = state.ready_run()
        outcome = run.outcome(self.task(run))
        self.stash[_OUTCOME] = outcome
        _raise_for(_row_of(self, outcome), state)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The failure as a person wants to read it."""
        del style
        if isinstance(excinfo.value, Judged):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int, str]:
        """File, line and title."""
        return self.path, self.scenario.where.line - 1, self.scenario_name


class Judged(Exception):
    """The target broke a rule; the text is the failure as it is printed."""


def _raise_for(row: ScenarioRow, state: _State) -> None:
    if row.baseline is Standing.WORSE:
        raise Judged(failure_text(row, rulebook()))
    if row.verdict is Verdict.NOT_APPLICABLE:
        pytest.skip(inert(one_line(f"not applicable: {row.detail}")))
    if row.known:
        pytest.skip(inert(one_line(f"known: {row.known_why}")))
    if row.baseline is not Standing.APART:
        pytest.skip(inert(one_line(f"{STANDINGS[row.baseline]}: {row.reason}")))
    if row.verdict is Verdict.BLOCKED:
        pytest.skip(inert(one_line(f"blocked: {row.detail}")))
    if row.verdict is Verdict.ERROR or fails_run(row, rulebook(), state.settings.level):
        raise Judged(inert(failure_text(row, rulebook())))


def _row_of(item: pytest.Item, outcome: Outcome) -> ScenarioRow:
    state = item.config.stash[_STATE]
    if isinstance(item, YamlItem):
        where, line, _ = item.reportinfo()
        row = ScenarioRow.from_outcome(
            outcome,
            id=item.scenario_name,
            title=item.scenario.title,
            file=_shown_file(where),
            line=line + 1,
            rules=item.scenario.rules,
            replay=state.replay((_replay_path(item),)),
            topic=item.scenario.topic,
        )
    else:
        path, number, title = item.reportinfo()
        marks = [rule for mark in item.iter_markers("rules") for rule in mark.args]
        file, inside = _shown_file(Path(path)), item.nodeid.partition("::")[2]
        # A file outside of our root that is named itself has an empty path in its node id.
        nodeid = f"{Path(path).name}{item.nodeid}" if item.nodeid == f"::{inside}" else item.nodeid
        row = ScenarioRow.from_outcome(
            outcome,
            id=nodeid,
            title=title,
            file=file,
            line=(number or 0) + 1,
            rules=marks,
            replay=state.replay((f"{file}::{inside}",)),
        )
    return state.placed(row)


@cache
def _shown_file(path: Path) -> str:
    for base in (home(), Path.cwd()):
        if path.is_relative_to(base):
            return path.relative_to(base).as_posix()
    return str(path)


def _replay_path(item: YamlItem) -> str:
    file = item.path
    named = _shown_file(file)
    return f"{named}::{item.name}"


# --- Running ---


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """With processes side by side the first one looks at the target before they start."""
    state = session.config.stash[_STATE]
    _watch(session.config, state)
    if not state.is_controller or session.config.option.collectonly:
        return
    if state.settings.target is None:
        return
    try:
        reach(state.settings.target)
        run = state.ready_run()
    except (TargetError, DoorError) as error:
        raise pytest.UsageError(state.masker.mask_text(str(error))) from error
    # Two processes on one account would see each other's mail.
    if run.pool.usable:
        session.config.option.tx = fleet.each(session.config.option.tx)[: run.pool.usable]


def _watch(config: pytest.Config, state: _State) -> None:
    """Tell a person how the run goes on, in the process that they look at."""
    if state.is_worker:
        return
    watch = state.watch = Watch(config, lambda: None if state.is_controller else state.run)
    if watch.is_on:
        while_tests_run = WhileOthersRun if state.is_controller else WhileOneRuns
        config.pluginmanager.register(watch, "pop3spec-watch")
        config.pluginmanager.register(while_tests_run(watch), "pop3spec-live")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Let go of what outlives a test."""
    state = config.stash.get(_STATE, None)
    if state is None:
        return
    state.claims.release()
    if state.watch is not None:
        state.watch.close()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    """Nothing is copied to other machines unasked, least of all over a clone there."""
    session: Any = config.pluginmanager.get_plugin("dsession")
    if not config.getoption("rsyncdir"):
        session.nodemanager.roots = []


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a process of pytest-xdist its share, and what was seen of the target."""
    state = node.config.stash[_STATE]
    count = int(node.workerinput["workercount"])
    node.workerinput["pop3spec_share"] = (state.shares.give(node.gateway.id, count), count)
    # Another machine has neither this one's environment nor its profile; the channel to it is
    # a pipe, or SSH, and no command line.
    node.workerinput["pop3spec_settings"] = fleet.packed(state.settings)
    if state.observed:
        node.workerinput["pop3spec_observed"] = state.observed
    if state.run is not None:
        users = [mailbox.account.user for mailbox in state.run.mailboxes if mailbox.problem]
        node.workerinput["pop3spec_unusable"] = users
    node.workerinput["pop3spec_taken"] = state.claims.taken
    node.workerinput["pop3spec_seed"] = state.settings.seed


@pytest.hookimpl(optionalhook=True)
def pytest_testnodeready(node: Any) -> None:
    """It has read its options, and imported what it needs."""
    node.config.stash[_STATE].shares.ready(node.gateway.id)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Whoever comes in its place gets its accounts; UsageError if there is no use in that."""
    state = node.config.stash[_STATE]
    # All of them collect the same.
    state.whole_files.update(getattr(node, "workeroutput", {}).get("pop3spec_whole_files", ()))
    was_ready = state.shares.take_back(node.gateway.id)
    if error and not was_ready:
        raise pytest.UsageError(
            f"a process did not start (--tx={node.gateway.spec}): {one_line(str(error), 200)};"
            " the same pop3spec and pytest have to be there, see docs/fleet.md"
        )


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Start all scenarios before the first item waits for its outcome."""
    state = session.config.stash[_STATE]
    if session.config.option.collectonly or state.is_controller or state.is_worker:
        return
    items = [item for item in session.items if isinstance(item, YamlItem)]
    if not items and not any(_uses_target(item) for item in session.items):
        return
    if session.testsfailed and not session.config.option.continue_on_collection_errors:
        return
    try:
        if state.watch is not None:
            state.watch.begin()
        with state.watch.shown() if state.watch else nullcontext():
            if state.settings.target is not None:
                reach(state.settings.target)
            run = state.ready_run()
    except (TargetError, DoorError) as error:
        raise pytest.UsageError(state.masker.mask_text(str(error))) from error
    tests = [item for item in session.items if _uses_target(item)]
    if state.watch is not None:
        state.watch.expect([item.nodeid for item in session.items if item not in items])
    run.start([item.task(run) for item in items], fixtures.jobs_beside(tests, run))


def _uses_target(item: pytest.Item) -> bool:
    """A Python test that takes a fixture of ours, not another of the same name."""
    info = getattr(item, "_fixtureinfo", None)
    found = info.name2fixturedefs.values() if info is not None else ()
    return any(each[-1].func.__module__ == fixtures.__name__ for each in found)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run a Python test once more, and take what comes then, where the target was lost in it."""
    if not isinstance(item, pytest.Function) or item.get_closest_marker("beside"):
        return None
    if not _uses_target(item):
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    run = item.config.stash[_STATE].run
    liveness = run.liveness if run is not None else Liveness()
    with liveness.busy():
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        # Its own sessions are closed by now.
        liveness.ended(item.stash.get(_LOSS, ""))
        if item.stash.get(_LOSS, ""):
            # As if it had not begun.
            item.stash = pytest.Stash()
            item._initrequest()
            reports = runtestprotocol(item, nextitem=nextitem, log=False)
            liveness.ended(item.stash.get(_LOSS, ""))
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Hang the row and the facts on the report, as data that crosses processes."""
    report = yield
    _mask(report, item.config.stash[_STATE].masker)
    if not isinstance(item, YamlItem) and not _uses_target(item):
        return report
    outcome = item.stash.get(_OUTCOME, None)
    if call.when == "call" or (call.when == "setup" and not report.passed):
        outcome = outcome or _outcome_of(item, report)
        row = _row_of(item, outcome)
        report.pop3spec = evidence_of(row, outcome)  # type: ignore[attr-defined]  # our own
    elif call.when == "teardown" and outcome is not None:
        late = _late_facts(item, outcome)
        if late:
            row = _row_of(item, outcome)
            report.pop3spec_late = evidence_of(  # type: ignore[attr-defined]  # our own
                row, replace(outcome, facts=late)
            )["facts"]
    return report


def _late_facts(item: pytest.Item, outcome: Outcome) -> tuple[SessionFacts, ...]:
    """Those of sessions that were closed only when the test had ended."""
    recorders = item.stash.get(fixtures.RECORDERS, None) or []
    told = set(map(id, outcome.facts))
    return tuple(facts for each in recorders for facts in each.facts if id(facts) not in told)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """What goes wrong in collecting is told without a secret, too."""
    report = yield
    _mask(report, collector.config.stash[_STATE].masker)
    return report


def _mask(report: pytest.TestReport | pytest.CollectReport, masker: Masker) -> None:
    """A traceback shows arguments, and locals where they are asked for.

    No secret stays in it, and nothing that a terminal or a CI system takes for more than text.
    """
    if isinstance(report.longrepr, tuple):
        path, line, why = report.longrepr
        report.longrepr = (path, line, inert(masker.mask_text(why)))
    elif report.longrepr is not None:
        text = report.longreprtext
        told = inert(masker.mask_text(text))
        if told != text:
            report.longrepr = told
    report.sections = [(name, inert(masker.mask_text(text))) for name, text in report.sections]


class _Masking:
    """Hides secrets in what pytest tells of itself."""

    def __init__(self, state: _State) -> None:
        self._state = state

    @pytest.hookimpl(tryfirst=True)
    def pytest_internalerror(self, excrepr: "TerminalRepr") -> None:
        """Our own breakdown; whoever prints it comes after this."""
        masked = self._state.masker.mask_text(str(excrepr))
        excrepr.toterminal = (  # type: ignore[method-assign]  # the one way to other words
            lambda tw: tw.line(masked)
        )

    @pytest.hookimpl(tryfirst=True)
    def pytest_warning_recorded(self, warning_message: warnings.WarningMessage) -> None:
        """A warning, such as one of a thread that broke down."""
        text = str(warning_message.message)
        masked = self._state.masker.mask_text(text)
        if masked != text:
            warning_message.message = UserWarning(masked)


def _outcome_of(item: pytest.Item, report: pytest.TestReport) -> Outcome:
    """The outcome of a test that brought none: a Python test of the target, or our error."""
    if report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
        return Outcome(*_why_skipped(str(reason).removeprefix("Skipped: ")))
    if report.failed:
        return Outcome(Verdict.ERROR, report.longreprtext)
    del item
    return Outcome(Verdict.PASS)


def _why_skipped(text: str) -> tuple[Verdict, str]:
    if text.startswith("not applicable: "):
        return Verdict.NOT_APPLICABLE, text.removeprefix("not applicable: ")
    return Verdict.BLOCKED, text.removeprefix("blocked: ")


class _Rows:
    """Collects the rows, in the process that writes the reports."""

    def __init__(self, state: _State) -> None:
        self._state = state

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what a test's report carries."""
        evidence = getattr(report, "pop3spec", None)
        if evidence is not None:
            self._state.tally.take(evidence)
        self._state.tally.take_late(getattr(report, "pop3spec_late", ()))


# --- Python tests of the target ---


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """A Python test comes out as its assertions and the passive rules say together."""
    end: BaseException | None = None
    result: object = None
    state = pyfuncitem.config.stash[_STATE]
    try:
        result = yield
    except (AssertionError, pytest.skip.Exception) as error:
        end = error
    except SessionRefused as error:
        end = pytest.skip.Exception(f"blocked: {error}")
    recorders = pyfuncitem.stash.get(fixtures.RECORDERS, None)
    if recorders is None:
        if end is not None:
            raise end
        return result
    recorder = fixtures.merged(recorders)
    outcome = _python_outcome(pyfuncitem, recorder, end, state)
    pyfuncitem.stash[_OUTCOME] = outcome
    is_well = outcome.verdict is Verdict.PASS
    pyfuncitem.stash[_LOSS] = "" if is_well else cut_short(recorder.transcript)
    state.ready_run().liveness.told(recorder.transcript)
    row = _row_of(pyfuncitem, outcome)
    try:
        _raise_for(row, state)
        return result
    except Judged as judged:
        text = str(judged)
    # A plain assertion says more where it stands.
    if isinstance(end, AssertionError) and not isinstance(end, fixtures.RuleBroken):
        raise end
    pytest.fail(text, pytrace=False)


def _python_outcome(
    item: pytest.Function, recorder: Recorder, end: BaseException | None, state: _State
) -> Outcome:
    from pop3spec.transcript import render

    masker = state.ready_run().masker.with_sent(recorder.transcript)
    findings = [replace(found, got=masker.mask_text(found.got)) for found in recorder.findings]
    marks = [rule for mark in item.iter_markers("rules") for rule in mark.args]
    verdict, detail, exercised = Verdict.PASS, "", set(recorder.exercised)
    untried: Verdict | None = None
    if isinstance(end, AssertionError):
        broken = [end.rule] if isinstance(end, fixtures.RuleBroken) else marks[:1]
        got = masker.mask_text(str(end).split("\n")[0])
        findings += [Finding(rule, got) for rule in broken]
        verdict = verdict if broken else Verdict.ERROR
    elif end is not None:
        verdict, detail = _why_skipped(str(end))
        untried = verdict
    else:
        exercised |= set(marks[:1])
    run = state.ready_run()
    if findings and (others := run.judge.other_run(run.mailboxes)):
        return Outcome(Verdict.BLOCKED, masker.mask_text(others))
    if findings:
        verdict, detail = worst((verdict, verdict_of(findings, rulebook()))), findings[0].got
    return Outcome(
        verdict,
        masker.mask_text(detail),
        tuple(findings),
        frozenset(exercised),
        tuple(render(recorder.transcript, masker)) if findings else (),
        recorder.now(),
        tuple(recorder.facts),
        masker.mask_observations(recorder.observations),
        frozenset(recorder.uses),
        untried,
    )


# --- The end ---


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Judge what needs all sessions, write the reports, set the exit code."""
    state = session.config.stash.get(_STATE, None)
    if state is None or session.config.option.collectonly:
        return
    try:
        _finish(session, state, exitstatus)
    except Exception:
        # Here pytest would print the bare traceback.
        session.config.notify_exception(pytest.ExceptionInfo.from_current(), session.config.option)
        session.exitstatus = ExitCode.INTERNAL_ERROR


def _finish(session: pytest.Session, state: _State, exitstatus: int) -> None:
    lost = bool(state.run and state.settings.target and _may_be_lost(state) and state.run.is_lost())
    if state.run is not None:
        state.problems += state.run.end()
    if state.embedded is not None:
        state.embedded.close()
    tally = state.tally
    if state.is_worker or not tally.rows:
        return
    expire = state.run.expire if state.run is not None else set()
    tally.rows += map(state.placed, tally.rows_over_sessions(expire, state.replay))
    state.staleness = staleness(tally.rows, state.settings.known_deviations, datetime.date.today())
    if session.shouldfail or session.shouldstop or exitstatus not in (0, 1, 5):
        state.whole_files.clear()  # what was not reached is not gone
    results = state.results = replace(_results(state), whole_files=frozenset(state.whole_files))
    if state.baseline is not None:
        state.changes = state.baseline.compared(results)
    _write(state, results)
    if exitstatus in (0, 1, 5):
        session.exitstatus = exit_code(
            results.scenarios,
            (*state.staleness.stale, *(change.id for change in state.changes.worse)),
            level=state.settings.level,
            require_complete=state.settings.require_complete,
            target_lost=lost,
            rule_rows=results.rules,
        )
        if not state.is_reported and session.exitstatus == ExitCode.NOTHING_BROKEN:
            session.exitstatus = ExitCode.INTERNAL_ERROR


def _may_be_lost(state: _State) -> bool:
    return any(row.verdict is Verdict.BLOCKED for row in state.tally.rows)


def _results(state: _State) -> Results:
    options = {
        name: value
        for name, _ in OPTIONS
        if (value := state.settings.options.get(name.replace("-", "_"))) is not None
        and value is not False
        and name not in ("account", "target", "summary-md", "certify")
    }
    target = state.settings.target
    if target is not None and target.tls.insecure:
        options["insecure"] = True  # perhaps the profile says so
    return state.tally.results(
        target={
            "address": state.target_name,
            **state.observed,
            "other_runs": state.other_runs,
        },
        started=state.started,
        seconds=time.monotonic() - state.begun,
        seed=state.settings.seed,
        options=options,
        scenarios_digest=scenarios_digest(),
        masker=state.masker,
    )


def _write(state: _State, results: Results) -> None:
    settings = state.settings
    try:
        write_reports(
            settings.report_dir,
            results,
            rulebook(),
            level=settings.level,
            keep_transcripts=settings.keep_transcripts,
        )
        if settings.summary_md is not None:
            append_file(settings.summary_md, job_summary(results).encode())
        state.is_reported = True
        if settings.certify:
            from pop3spec.certificate.files import issue  # only where one is asked for

            state.certificate = issue(
                settings.report_dir / "results.json", settings.certify, settings.report_dir
            )
    except OSError as error:
        state.problems.append(f"the reports cannot be written: {error}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The summary, below pytest's own."""
    state = terminalreporter.config.stash.get(_STATE, None)
    if state is None or state.results is None:
        return
    results = state.results
    terminalreporter.section(f"pop3spec: {state.target_name}")
    width = min(terminalreporter._tw.fullwidth, 100)
    for line in summary_lines(
        results.scenarios,
        results.rules,
        width=width,
        capabilities=truth_table(results.capabilities),
    ):
        _write_coloured(terminalreporter, inert(line))
    if state.baseline is not None:
        for line in state.baseline.lines(results, state.changes, width):
            terminalreporter.write_line(inert(state.masker.mask_text(line)))
    stale, undecided = state.staleness.stale, state.staleness.undecided
    for sentence in filter(None, (*stale, undecided, *state.problems)):
        terminalreporter.write_line(inert(state.masker.mask_text(sentence)))
    if count := len(results.observations):
        told = "1 observation" if count == 1 else f"{count} observations"
        terminalreporter.write_line(f"{told} where the RFCs leave freedom, in results.json")
    if state.certificate:
        from pop3spec.certificate.files import summary

        terminalreporter.write_line(f"certificate for {state.certificate['product']}:")
        for line in summary(state.certificate):
            terminalreporter.write_line(inert(f"  {line}"))
    where = f"reports in {state.settings.report_dir}: {', '.join(WRITTEN)}"
    terminalreporter.write_line(
        f"seed {state.settings.seed}; {where if state.is_reported else 'no reports'}"
    )


# The words of verdicts in the summary: in front of what is told of them, and in the counts.
_WORDS = re.compile(r"^(?:fail|warn|blocked|error)(?=:)|\b[1-9][0-9]* (?:pass|fail|warn|error)\b")
_COLOURS = {"pass": "green", "fail": "red", "error": "red", "warn": "yellow", "blocked": "yellow"}


def _write_coloured(terminalreporter: pytest.TerminalReporter, line: str) -> None:
    """Write a line; pytest knows whether there are colours."""
    terminalreporter.ensure_newline()
    place = 0
    # What the target said stands behind other words, and keeps its colour.
    for found in _WORDS.finditer(line) if not line.startswith("  ") else ():
        terminalreporter.write(line[place : found.start()])
        colour = _COLOURS[found[0].rpartition(" ")[2]]
        terminalreporter.write(found[0], **{colour: True, "bold": True})
        place = found.end()
    terminalreporter.write(f"{line[place:]}\n")


def pytest_report_header(config: pytest.Config) -> list[str]:
    """What is judged, and what no certificate can say of it."""
    state = config.stash[_STATE]
    told = [f"pop3spec {__version__}: {state.target_name}"]
    if state.settings.certify:
        from pop3spec.certificate.files import shortcomings

        told += (f"certificate: {each}" for each in shortcomings(state.settings))
    return told


if sys.platform == "win32":  # pragma: no cover
    raise pytest.UsageError("pop3spec needs a POSIX system")
