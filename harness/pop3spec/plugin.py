"""pytest: options, fixtures, collection, failure text, reports.

The only module that turns outcomes into test results. It is loaded by the
clone's conftest.py, by `pop3spec run`, or with `-p pop3spec.plugin`.
"""

import datetime
import os
import shlex
import sys
import time
import warnings
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pop3spec import __version__, fixtures
from pop3spec.collected import SUFFIXES, ScenarioFiles, home, with_transport
from pop3spec.maildrop import DoorError
from pop3spec.maildrop.doors import open_door
from pop3spec.masking import masker_for
from pop3spec.options import OPTIONS
from pop3spec.probe import observed_from, reach
from pop3spec.report.exit_code import ExitCode, exit_code
from pop3spec.report.known import apply_known
from pop3spec.report.reports import WRITTEN, write_reports
from pop3spec.report.results import Results
from pop3spec.report.rows import ScenarioRow, fails_run
from pop3spec.report.summary import failure_text, summary_lines
from pop3spec.report.truth import truth_table
from pop3spec.rulebook.rules import rulebook
from pop3spec.run import Run, Task
from pop3spec.scenario import Scenario, ScenarioError
from pop3spec.session import Recorder
from pop3spec.settings import Settings, settings_from
from pop3spec.tally import Tally, evidence_of
from pop3spec.target import TargetError, Transport
from pop3spec.transcript import Masker
from pop3spec.verdict import Finding, Outcome, Verdict, verdict_of, worst

if TYPE_CHECKING:
    from _pytest._code.code import TerminalRepr  # pytest shows it under no other name

    from pop3spec.embedded import Embedded

_DEST = "pop3spec_"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add our options in a group of their own."""
    group = parser.getgroup("pop3spec", "pop3spec: conformance of POP3 servers")
    for name, details in OPTIONS:
        group.addoption(f"--{name}", dest=_DEST + name.replace("-", "_"), **details)


class _State:
    """What one pytest process knows of the run."""

    def __init__(self, config: pytest.Config, settings: Settings, files: ScenarioFiles) -> None:
        self.config = config
        self.settings = settings
        self.files = files
        self.run: Run | None = None
        self.embedded: Embedded | None = None
        self.tally = Tally()
        self.results: Results | None = None
        self.observed: dict[str, Any] = {}
        self.started = datetime.datetime.now(datetime.UTC)
        self.begun = time.monotonic()
        self.stale: list[str] = []
        self.is_reported = False
        self.problems: list[str] = []

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
            door = open_door(target.maildrop, allow_delete=target.allow_delete)
            run = Run(settings, target, door)
            given = getattr(self.config, "workerinput", {})
            shared = given.get("pop3spec_observed")
            run.begin(
                observed_from(shared) if shared else None,
                self._share(),
                given.get("pop3spec_unusable", ()),
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

    def _share(self) -> tuple[int, int]:
        given = getattr(self.config, "workerinput", None)
        if given is None:
            return 0, 1
        return int(given["workerid"].removeprefix("gw") or 0), int(given["workercount"])

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
        self.tally.take(evidence_of(self.known(row), outcome))

    def known(self, row: ScenarioRow) -> ScenarioRow:
        """The row with what is a known deviation marked, and no secret in its words."""
        masker = self.masker
        findings = tuple(replace(found, got=masker.mask_text(found.got)) for found in row.findings)
        row = replace(row, detail=masker.mask_text(row.detail), findings=findings)
        target = self.settings.target
        if target is None or not target.known_deviations:
            return row
        [marked], _ = apply_known([row], target.known_deviations, datetime.date.today())
        return marked

    def replay(self, paths: Sequence[str]) -> str:
        """The command that runs these again; secrets are never part of it."""
        target = self.settings.target
        words = ["pop3spec", "run", *([str(target.address)] if target else []), *paths]
        for name, _ in OPTIONS:
            value = self.config.getoption(_DEST + name.replace("-", "_"))
            if name in ("target", "account", "report-dir", "jobs", "level", "transcripts"):
                continue
            if value is True:
                words.append(f"--{name}")
            elif value is not None and value is not False:
                words.append(f"--{name}={value}")
        return shlex.join(words)


_STATE = pytest.StashKey[_State]()
_OUTCOME = pytest.StashKey[Outcome]()


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
        settings = settings_from(options, os.environ)
        open_door(settings.target.maildrop if settings.target else options["maildrop"] or "none")
        if not hasattr(config, "workerinput"):
            for path in files.below():
                files.read(path)
    except (TargetError, DoorError, ScenarioError) as error:
        raise pytest.UsageError(str(error)) from error
    for path in files.below():
        files.read(path)
    for topic in files.topics():
        config.addinivalue_line("markers", f"{topic}: scenarios of this topic")
    state = config.stash[_STATE] = _State(config, settings, files)
    config.stash[fixtures.READY_RUN] = state.ready_run
    config.stash[fixtures.REPLAY] = state.replay
    config.pluginmanager.register(fixtures, "pop3spec-fixtures")
    config.pluginmanager.register(_Masking(state), "pop3spec-masking")
    if not state.is_worker:
        config.pluginmanager.register(_Rows(state), "pop3spec-rows")


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
            self._task = Task(self.scenario, self._transport or run.observed.transport)
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
    if row.verdict is Verdict.NOT_APPLICABLE:
        pytest.skip(f"not applicable: {row.detail}")
    if row.known:
        pytest.skip(f"known: {row.known_why}")
    if row.verdict is Verdict.BLOCKED:
        pytest.skip(f"blocked: {row.detail}")
    if row.verdict is Verdict.ERROR or fails_run(row, rulebook(), state.settings.level):
        raise Judged(failure_text(row, rulebook()))


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
    return state.known(row)


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
        session.config.option.tx = session.config.option.tx[: run.pool.usable]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a process of pytest-xdist what was seen of the target."""
    state = node.config.stash[_STATE]
    if state.observed:
        node.workerinput["pop3spec_observed"] = state.observed
    if state.run is not None:
        users = [mailbox.account.user for mailbox in state.run.mailboxes if mailbox.problem]
        node.workerinput["pop3spec_unusable"] = users
    node.workerinput["pop3spec_seed"] = state.settings.seed


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
        if state.settings.target is not None:
            reach(state.settings.target)
        run = state.ready_run()
    except (TargetError, DoorError) as error:
        raise pytest.UsageError(state.masker.mask_text(str(error))) from error
    tests = [item for item in session.items if _uses_target(item)]
    run.start([item.task(run) for item in items], fixtures.jobs_beside(tests, run))


def _uses_target(item: pytest.Item) -> bool:
    """A Python test that takes a fixture of ours, not another of the same name."""
    info = getattr(item, "_fixtureinfo", None)
    found = info.name2fixturedefs.values() if info is not None else ()
    return any(each[-1].func.__module__ == fixtures.__name__ for each in found)


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
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """What goes wrong in collecting is told without a secret, too."""
    report = yield
    _mask(report, collector.config.stash[_STATE].masker)
    return report


def _mask(report: pytest.TestReport | pytest.CollectReport, masker: Masker) -> None:
    """A traceback shows arguments, and locals where they are asked for; no secret stays in it."""
    if not masker.forms or (report.longrepr is None and not report.sections):
        return
    if isinstance(report.longrepr, tuple):
        path, line, why = report.longrepr
        report.longrepr = (path, line, masker.mask_text(why))
    else:
        text = report.longreprtext
        masked = masker.mask_text(text)
        if masked != text:
            report.longrepr = masked
    report.sections = [(name, masker.mask_text(shown)) for name, shown in report.sections]


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


# --- Python tests of the target ---


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """A Python test comes out as its assertions and the passive rules say together."""
    end: BaseException | None = None
    result: object = None
    try:
        result = yield
    except (AssertionError, pytest.skip.Exception) as error:
        end = error
    recorders = pyfuncitem.stash.get(fixtures.RECORDERS, None)
    if recorders is None:
        if end is not None:
            raise end
        return result
    state = pyfuncitem.config.stash[_STATE]
    outcome = _python_outcome(pyfuncitem, fixtures.merged(recorders), end, state)
    pyfuncitem.stash[_OUTCOME] = outcome
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
    if isinstance(end, AssertionError):
        broken = [end.rule] if isinstance(end, fixtures.RuleBroken) else marks[:1]
        got = masker.mask_text(str(end).split("\n")[0])
        findings += [Finding(rule, got) for rule in broken]
        verdict = verdict if broken else Verdict.ERROR
    elif end is not None:
        verdict, detail = _why_skipped(str(end))
    else:
        exercised |= set(marks[:1])
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
    tally.rows += map(state.known, tally.rows_over_sessions(expire, state.replay))
    if state.settings.target is not None:
        _, state.stale = apply_known(
            tally.rows, state.settings.target.known_deviations, datetime.date.today()
        )
    results = state.results = _results(state)
    _write(state, results)
    if exitstatus in (0, 1, 5):
        session.exitstatus = exit_code(
            results.scenarios,
            state.stale,
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
        if (value := state.settings.options.get(name.replace("-", "_"))) not in (None, False)
        and name not in ("account", "target")
    }
    return state.tally.results(
        target={"address": state.target_name, **state.observed},
        started=state.started,
        seconds=time.monotonic() - state.begun,
        seed=state.settings.seed,
        options=options,
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
        state.is_reported = True
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
        terminalreporter.write_line(line)
    for sentence in (*state.stale, *state.problems):
        terminalreporter.write_line(state.masker.mask_text(sentence))
    if count := len(results.observations):
        told = "1 observation" if count == 1 else f"{count} observations"
        terminalreporter.write_line(f"{told} where the RFCs leave freedom, in results.json")
    where = f"reports in {state.settings.report_dir}: {', '.join(WRITTEN)}"
    terminalreporter.write_line(
        f"seed {state.settings.seed}; {where if state.is_reported else 'no reports'}"
    )


def pytest_report_header(config: pytest.Config) -> str:
    """What is judged."""
    state = config.stash[_STATE]
    return f"pop3spec {__version__}: {state.target_name}"


if sys.platform == "win32":  # pragma: no cover
    raise pytest.UsageError("pop3spec needs a POSIX system")
