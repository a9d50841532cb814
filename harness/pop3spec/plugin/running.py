"""The run: all scenarios are started before the first item waits for its outcome."""

from collections.abc import Generator
from contextlib import nullcontext
from dataclasses import replace

import pytest
from _pytest.runner import runtestprotocol  # it has no public name

from pop3spec import fixtures, fleet
from pop3spec.liveness import Liveness
from pop3spec.maildrop import DoorError
from pop3spec.plugin.collecting import YamlItem, row_of
from pop3spec.plugin.secrets import mask_report
from pop3spec.plugin.state import LOSS, OUTCOME, STATE, State
from pop3spec.plugin.verdicts import outcome_of
from pop3spec.probe import reach
from pop3spec.rulebook.over_sessions import SessionFacts
from pop3spec.tally import evidence_of
from pop3spec.target import TargetError
from pop3spec.verdict import Outcome
from pop3spec.watching import Watch, WhileOneRuns, WhileOthersRun


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """With processes side by side the first one looks at the target before they start."""
    state = session.config.stash[STATE]
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


def _watch(config: pytest.Config, state: State) -> None:
    """Tell a person how the run goes on, in the process that they look at."""
    if state.is_worker:
        return
    watch = state.watch = Watch(config, lambda: None if state.is_controller else state.run)
    if watch.is_on:
        while_tests_run = WhileOthersRun if state.is_controller else WhileOneRuns
        config.pluginmanager.register(watch, "pop3spec-watch")
        config.pluginmanager.register(while_tests_run(watch), "pop3spec-live")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Start all scenarios before the first item waits for its outcome."""
    state = session.config.stash[STATE]
    if session.config.option.collectonly or state.is_controller or state.is_worker:
        return
    items = [item for item in session.items if isinstance(item, YamlItem)]
    if not items and not any(uses_target(item) for item in session.items):
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
    tests = [item for item in session.items if uses_target(item)]
    if state.watch is not None:
        state.watch.expect([item.nodeid for item in session.items if item not in items])
    run.start([item.task(run) for item in items], fixtures.jobs_beside(tests, run))


def uses_target(item: pytest.Item) -> bool:
    """A Python test that takes a fixture of ours, not another of the same name."""
    info = getattr(item, "_fixtureinfo", None)
    found = info.name2fixturedefs.values() if info is not None else ()
    return any(fixtures.is_ours(each[-1]) for each in found)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run a Python test once more, and take what comes then, where the target was lost in it."""
    if not isinstance(item, pytest.Function) or item.get_closest_marker("beside"):
        return None
    if not uses_target(item):
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    run = item.config.stash[STATE].run
    liveness = run.liveness if run is not None else Liveness()
    with liveness.busy():
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        # Its own sessions are closed by now.
        liveness.ended(item.stash.get(LOSS, ""))
        if item.stash.get(LOSS, ""):
            # As if it had not begun.
            item.stash = pytest.Stash()
            item._initrequest()
            reports = runtestprotocol(item, nextitem=nextitem, log=False)
            liveness.ended(item.stash.get(LOSS, ""))
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
    mask_report(report, item.config.stash[STATE].masker)
    if not isinstance(item, YamlItem) and not uses_target(item):
        return report
    outcome = item.stash.get(OUTCOME, None)
    if call.when == "call" or (call.when == "setup" and not report.passed):
        outcome = outcome or outcome_of(report)
        row = row_of(item, outcome)
        report.pop3spec = evidence_of(row, outcome)  # type: ignore[attr-defined]  # our own
    elif call.when == "teardown" and outcome is not None:
        late = _late_facts(item, outcome)
        if late:
            row = row_of(item, outcome)
            report.pop3spec_late = evidence_of(  # type: ignore[attr-defined]  # our own
                row, replace(outcome, facts=late)
            )["facts"]
    return report


def _late_facts(item: pytest.Item, outcome: Outcome) -> tuple[SessionFacts, ...]:
    """Those of sessions that were closed only when the test had ended."""
    recorders = item.stash.get(fixtures.RECORDERS, None) or []
    told = set(map(id, outcome.facts))
    return tuple(facts for each in recorders for facts in each.facts if id(facts) not in told)


class Rows:
    """Collects the rows, in the process that writes the reports."""

    def __init__(self, state: State) -> None:
        self._state = state

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what a test's report carries."""
        evidence = getattr(report, "pop3spec", None)
        if evidence is not None:
            self._state.tally.take(evidence)
        self._state.tally.take_late(getattr(report, "pop3spec_late", ()))
