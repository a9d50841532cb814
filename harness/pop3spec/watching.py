"""pytest: what a person sees while a run goes on.

Follows what pytest tells of its tests and what the scheduler tells of scenarios, and lets
`live` show it while pytest itself writes nothing.
"""

import os
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

from pop3spec.live import Live
from pop3spec.progress import Kind, Part, progress_line, time_left
from pop3spec.run import Run
from pop3spec.schedule import Job


class Watch:
    """The line about a run. `run` gives the run once it has begun."""

    def __init__(self, config: pytest.Config, run: Callable[[], Run | None]) -> None:
        self._run = run
        self._names: Sequence[str] = ()
        self._begun: dict[str, float] = {}
        self._seconds: dict[str, float] = {}
        self._since = self._changed = time.monotonic()
        self._ended = 0
        self._is_about_a_target = False
        self._live = _live(config, self._line)

    @property
    def is_on(self) -> bool:
        """There is somebody to tell."""
        return self._live is not None

    def begin(self) -> None:
        """A target is judged: until then there is nothing to tell."""
        self._is_about_a_target = True

    def expect(self, names: Sequence[str]) -> None:
        """These tests will be run, by their node ids."""
        self._names = tuple(dict.fromkeys(names))

    def shown(self) -> AbstractContextManager[None]:
        """Show the line for a while, in which nobody else writes."""
        return self._live.shown() if self._live else nullcontext()

    def hidden(self) -> AbstractContextManager[None]:
        """Let others write for a while, and show the line behind that."""
        return self._live.hidden() if self._live else nullcontext()

    def close(self) -> None:
        """Show nothing more."""
        if self._live is not None:
            self._live.close()
            self._live = None

    # What pytest tells.

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """A test begins, perhaps in another process."""
        self._begun[nodeid] = time.monotonic()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """A test has ended."""
        begun = self._begun.pop(nodeid, None)
        if begun is not None:
            self._seconds[nodeid] = time.monotonic() - begun

    # What it comes to.

    def _line(self) -> str:
        if not self._is_about_a_target:
            return ""
        run = self._run()
        parts = self._parts(run.jobs if run is not None else ())
        now = time.monotonic()
        if not parts:
            return f"looking at the target ({now - self._since:.0f} s)"
        ended = sum(part.seconds is not None for part in parts)
        if ended != self._ended:
            self._ended, self._changed = ended, now
        left = time_left(parts, run.width if run is not None else 1)
        return progress_line(parts, left, now - self._changed)

    def _parts(self, jobs: Sequence[Job]) -> list[Part]:
        now = time.monotonic()
        of_jobs = [_part_of(job, now) for job in jobs if job.name]
        kind = Kind.IN_TURN if of_jobs else Kind.QUICK
        return of_jobs + [
            Part(
                name,
                kind,
                self._seconds.get(name),
                now - self._begun[name] if name in self._begun else None,
            )
            for name in self._names
        ]


def _part_of(job: Job, now: float) -> Part:
    kind = Kind.LATE if job.late else Kind.WAITING if job.waits else Kind.QUICK
    begun = job.begun
    return Part(
        job.name,
        kind,
        job.seconds if job.future.done() else None,
        now - begun if begun is not None else None,
        job.known_wait,
    )


class WhileOneRuns:
    """In a run in one process: pytest writes nothing while a test is at work."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        """Fixtures are made, which a scenario has none of."""
        with self._watch.shown() if isinstance(item, pytest.Function) else nullcontext():
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        """The test waits for its scenario, or works itself."""
        with self._watch.shown():
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        """Fixtures are cleaned up, which a scenario has none of."""
        with self._watch.shown() if isinstance(item, pytest.Function) else nullcontext():
            return (yield)


class WhileOthersRun:
    """In the process that others run tests for: pytest writes when a report comes."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Sequence[str]) -> None:
        """Every process collects the same tests."""
        del node
        self._watch.expect(ids)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logstart(self) -> Generator[None, object, object]:
        """A test begins in one of them."""
        with self._watch.hidden():
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(
        self, report: pytest.TestReport
    ) -> Generator[None, object, object]:
        """A test has ended in one of them."""
        if hasattr(report, "pop3spec"):
            self._watch.begin()
        with self._watch.hidden():
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logfinish(self) -> Generator[None, object, object]:
        """All of a test's reports have come."""
        with self._watch.hidden():
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True, optionalhook=True)
    def pytest_testnodedown(self) -> Generator[None, object, object]:
        """One of them is gone."""
        with self._watch.hidden():
            return (yield)

    @pytest.hookimpl(wrapper=True, trylast=True)  # before pytest writes of the end
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """Whatever happens, nothing is shown behind the last test."""
        try:
            return (yield)
        finally:
            self._watch.close()


def _live(config: pytest.Config, line: Callable[[], str]) -> Live | None:
    """What writes the line, where that is wanted and can be."""
    option = config.option
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or option.collectonly or option.usepdb:
        return None
    try:
        fd = os.dup(sys.stdout.fileno())
    except (OSError, ValueError, AttributeError):
        return None
    is_terminal = os.isatty(fd) and os.environ.get("TERM", "dumb") != "dumb"
    # A test that may write itself would write into the line.
    is_quiet = option.verbose < 0 or option.capture == "no"
    if option.verbose < -1 or (is_terminal and is_quiet):
        os.close(fd)
        return None
    writer = config.get_terminal_writer()
    return Live(fd, line, lambda: writer.width_of_current_line, is_terminal=is_terminal)
