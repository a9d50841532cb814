"""Options, profile and scenario files; what is wrong in them is a usage error."""

import os
from pathlib import Path

import pytest

from pop3spec import __version__, fixtures, fleet
from pop3spec.collected import ScenarioFiles
from pop3spec.deviations import check_records
from pop3spec.maildrop import DoorError
from pop3spec.maildrop.doors import open_door
from pop3spec.options import OPTIONS
from pop3spec.plugin.running import Rows
from pop3spec.plugin.secrets import Masking
from pop3spec.plugin.state import DEST, STATE, State
from pop3spec.report.baseline import Baseline
from pop3spec.report.results import ResultsError
from pop3spec.rulebook.rules import rulebook, rules_digest
from pop3spec.scenario import ScenarioError
from pop3spec.settings import Settings, settings_from
from pop3spec.target import TargetError


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add our options in a group of their own."""
    group = parser.getgroup("pop3spec", "pop3spec: conformance of POP3 servers")
    for name, details in OPTIONS:
        group.addoption(f"--{name}", dest=DEST + name.replace("-", "_"), **details)


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
        name.replace("-", "_"): config.getoption(DEST + name.replace("-", "_"))
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
    state = config.stash[STATE] = State(config, settings, files, baseline)
    config.stash[fixtures.READY_RUN] = state.ready_run
    config.stash[fixtures.REPLAY] = state.replay
    config.pluginmanager.register(fixtures, "pop3spec-fixtures")
    config.pluginmanager.register(Masking(state), "pop3spec-masking")
    if not state.is_worker:
        config.pluginmanager.register(Rows(state), "pop3spec-rows")


def _baseline(settings: Settings) -> Baseline | None:
    if settings.baseline is None:
        return None
    suite = (__version__, rules_digest())
    return Baseline.read(settings.baseline, settings.level, rulebook(), suite)


def _named_paths(config: pytest.Config) -> list[Path]:
    base = config.invocation_params.dir
    names = [str(argument).partition("::")[0] for argument in config.args]
    return [Path(os.path.abspath(base / name)) for name in names if name]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Let go of what outlives a test."""
    state = config.stash.get(STATE, None)
    if state is None:
        return
    state.claims.release()
    if state.watch is not None:
        state.watch.close()
