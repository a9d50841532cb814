"""Collection: a scenario file, an item for each scenario and transport."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pop3spec import fixtures
from pop3spec.collected import SUFFIXES, with_transport
from pop3spec.plugin.state import OUTCOME, STATE
from pop3spec.plugin.verdicts import Judged, python_row, raise_for, shown_file
from pop3spec.report.rows import ScenarioRow
from pop3spec.rulebook.rules import rulebook
from pop3spec.run import Run, Task
from pop3spec.scenario import Scenario
from pop3spec.settings import Settings
from pop3spec.target import Transport
from pop3spec.verdict import Outcome


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A YAML file that is named, or one of our scenarios."""
    if file_path.suffix not in SUFFIXES:
        return None
    if not parent.config.stash[STATE].files.takes(file_path):
        return None
    collector: pytest.Collector = YamlFile.from_parent(parent, path=file_path)
    return collector


class YamlFile(pytest.File):
    """A scenario file."""

    def collect(self) -> Iterator["YamlItem"]:
        """An item for each scenario and transport."""
        state = self.config.stash[STATE]
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
        topic = self.config.stash[STATE].files.read(self.path).topic
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
        state = self.config.stash[STATE]
        run = state.ready_run()
        outcome = run.outcome(self.task(run))
        self.stash[OUTCOME] = outcome
        raise_for(self.row(outcome), state)

    def row(self, outcome: Outcome) -> ScenarioRow:
        """The row of the report."""
        state = self.config.stash[STATE]
        row = ScenarioRow.from_outcome(
            outcome,
            id=self.scenario_name,
            title=self.scenario.title,
            file=shown_file(self.path),
            line=self.scenario.where.line,
            rules=self.scenario.rules,
            replay=state.replay((f"{shown_file(self.path)}::{self.name}",)),
            topic=self.scenario.topic,
        )
        return state.placed(row)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The failure as a person wants to read it."""
        del style
        if isinstance(excinfo.value, Judged):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int, str]:
        """File, line and title."""
        return self.path, self.scenario.where.line - 1, self.scenario_name


@pytest.hookimpl(trylast=True)
def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """What is left out makes its file one that was not run whole."""
    for item in items:
        item.config.stash[STATE].left_out.add(shown_file(item.path))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Note the files of which every scenario is run."""
    state = session.config.stash[STATE]
    for argument in session.config.args:
        path, colons, _ = str(argument).partition("::")
        if colons:
            named = os.path.abspath(session.config.invocation_params.dir / path)
            state.left_out.add(shown_file(Path(named)))
    chosen = {shown_file(item.path) for item in session.items}
    state.whole_files |= chosen - state.left_out
    if state.is_worker:
        session.config.workeroutput["pop3spec_whole_files"] = sorted(state.whole_files)  # type: ignore[attr-defined]  # xdist's


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A Python test whose sessions may be opened in any way runs on each transport."""
    transports = _transports(metafunc.config.stash[STATE].settings)
    if len(transports) > 1 and _takes_transport(metafunc):
        names = [transport.value for transport in transports]
        metafunc.parametrize("transport", transports, ids=names, indirect=True)


def _takes_transport(metafunc: pytest.Metafunc) -> bool:
    info = getattr(metafunc.definition, "_fixtureinfo", None)
    found = info.name2fixturedefs.get("transport") if info is not None else None
    return found is not None and fixtures.is_ours(found[-1])


def _transports(settings: Settings) -> Sequence[Transport]:
    return settings.transports or (Transport.PLAIN,)


def row_of(item: pytest.Item, outcome: Outcome) -> ScenarioRow:
    """The row of a scenario, or of a Python test."""
    return item.row(outcome) if isinstance(item, YamlItem) else python_row(item, outcome)
