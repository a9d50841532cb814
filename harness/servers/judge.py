"""Run the suite against a server: up, pytest, down; and say in one line how it went."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from servers import slots
from servers.processes import adopt
from servers.running import LeftOutError, Running, Server, ServerFailedError

CLONE = Path(__file__).resolve().parents[2]
REPORTS = Path("reports") / "servers"
# Verdicts of either kind, or a target that died on the way: the server was judged.
JUDGED = frozenset({0, 1, 6})
FAILED = 3


@dataclass(frozen=True)
class Judged:
    """How the suite ended on one server; no exit code means that it was left out."""

    name: str
    version: str
    exit_code: int | None
    seconds: float
    note: str = ""

    @property
    def is_accounted_for(self) -> bool:
        """Judged, whatever the verdict, or left out for a reason that was said."""
        return self.exit_code is None or self.exit_code in JUDGED


def judge(server: Server, state: Path | None, options: Sequence[str]) -> Judged:
    """Start a server, judge it, end it; what fails on the way is in the value."""
    began = time.monotonic()
    version, exit_code, note = "", None, ""
    try:
        with slots.borrowed(server, state) as running:
            version = running.version
            exit_code = run_suite(pytest_command(server.NAME, running.profile, options), running)
            note = counts(
                CLONE / REPORTS / server.NAME / "results.json", newer_than=running.profile
            )
    except LeftOutError as problem:
        note = f"left out: {problem}"
    except ServerFailedError as problem:
        exit_code, note = FAILED, f"did not come up: {problem}"
    return Judged(server.NAME, version, exit_code, time.monotonic() - began, note)


def run_suite(command: Sequence[str], running: Running) -> int:
    """Run pytest from the clone's root, and return its exit code."""
    with subprocess.Popen(command, cwd=CLONE) as suite:
        try:
            # If we are killed, whoever cleans up after us ends this process too.
            adopt(running.profile.parent, suite.pid)
            return suite.wait()
        except BaseException:
            suite.kill()
            raise


def pytest_command(name: str, profile: Path, options: Sequence[str]) -> list[str]:
    """The command that judges a server; later options win over ours."""
    return [
        sys.executable,
        "-m",
        "pytest",
        f"--target-profile={profile}",
        f"--report-dir={REPORTS / name}",
        *options,
    ]


def counts(results: Path, newer_than: Path) -> str:
    """How many scenarios got which verdict, when this run wrote its results."""
    try:
        if results.stat().st_mtime < newer_than.stat().st_mtime:
            return "no results"
        scenarios = json.loads(results.read_text(encoding="utf-8"))["scenarios"]
    except (OSError, ValueError, KeyError):
        return "no results"
    tally = Counter(scenario["verdict"] for scenario in scenarios)
    return ", ".join(f"{number} {verdict}" for verdict, number in tally.most_common())


def line(judged: Judged) -> str:
    """One line for a person."""
    if judged.exit_code is None:
        return f"{judged.name}: {judged.note}"
    name = f"{judged.name} {judged.version}".rstrip()
    return f"{name}: {judged.note}; exit code {judged.exit_code}; {judged.seconds:.0f} s"
