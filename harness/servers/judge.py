"""Run the suite against a server: up, pytest, down; and say in one line how it went."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pop3spec.yamlfile import YamlError
from servers import record, slots
from servers.processes import adopt
from servers.running import LeftOutError, Running, Server, ServerFailedError

CLONE = Path(__file__).resolve().parents[2]
REPORTS = Path("reports") / "servers"
REPORT_DIR = "--report-dir"
# Verdicts of either kind, or a target that died on the way: the server was judged.
JUDGED = frozenset({0, 1, 6})
FAILED = 3
NEWS = "not adjudicated: "


@dataclass(frozen=True)
class Judged:
    """How the suite ended on one server; no exit code means that it was left out.

    `rules` counts the rules by their verdict, `results` is what the suite wrote, if it did.
    `news` are the rules that failed and that nobody has judged to be broken by this server.
    """

    name: str
    version: str
    exit_code: int | None
    seconds: float
    note: str = ""
    rules: Mapping[str, int] = field(default_factory=dict)
    results: Path | None = None
    news: tuple[str, ...] = ()

    @property
    def is_accounted_for(self) -> bool:
        """Judged, whatever the verdict, or left out for a reason that was said."""
        return self.exit_code is None or self.exit_code in JUDGED


def judge(
    server: Server, state: Path | None, options: Sequence[str], *, known: bool = False
) -> Judged:
    """Start a server, judge it, end it; what fails on the way is in the value.

    With `known` its profile has what was adjudicated as known deviations.
    """
    began = time.monotonic()
    version, exit_code, note, rules, results = "", None, "", Counter[str](), None
    news: tuple[str, ...] = ()
    try:
        with slots.borrowed(server, state) as running:
            version = running.version
            if known:
                record.put_on_record(server.NAME, running.profile)
            command = pytest_command(server.NAME, running.profile, options)
            exit_code = run_suite(command, running)
            written = report_directory(command) / "results.json"
            scenarios, rules = counts(written, newer_than=running.profile)
            results = written if scenarios else None
            news = record.unadjudicated(server.NAME, failed(results)) if results else ()
            note = in_words(scenarios) + f"; {NEWS}{', '.join(news)}" * bool(news)
    except LeftOutError as problem:
        note = f"left out: {problem}"
    except (ServerFailedError, YamlError, OSError) as problem:
        what = "was not judged to the end" if version else "did not come up"
        exit_code, note = FAILED, f"{what}: {problem}"
    seconds = time.monotonic() - began
    return Judged(server.NAME, version, exit_code, seconds, note, rules, results, news)


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
        f"{REPORT_DIR}={REPORTS / name}",
        *from_here(options),
    ]


def from_here(options: Sequence[str]) -> list[str]:
    """The options, a directory for reports counted from where we were called.

    The suite runs in the clone's root, wherever that is.
    """
    words = list(options)
    for at, word in enumerate(words):
        name, is_there, value = word.partition("=")
        if name == REPORT_DIR and is_there:
            words[at] = f"{REPORT_DIR}={Path(value).absolute()}"
        elif word == REPORT_DIR and at + 1 < len(words):
            words[at + 1] = str(Path(words[at + 1]).absolute())
    return words


def report_directory(command: Sequence[str]) -> Path:
    """Where a command of `pytest_command` writes its reports."""
    told = REPORTS
    for word, following in zip(command, [*command[1:], ""], strict=True):
        name, is_there, value = word.partition("=")
        if name == REPORT_DIR:
            told = Path(value if is_there else following)
    return CLONE / told


def counts(results: Path, newer_than: Path) -> tuple[Counter[str], Counter[str]]:
    """How many scenarios and rules got which verdict, none where this run wrote no results."""
    try:
        if results.stat().st_mtime < newer_than.stat().st_mtime:
            return Counter(), Counter()
        data = json.loads(results.read_text(encoding="utf-8"))
        scenarios = Counter(each["verdict"] for each in data["scenarios"])
        return scenarios, Counter(each["verdict"] for each in data["rules"])
    except (OSError, ValueError, KeyError, TypeError):
        return Counter(), Counter()


def failed(results: Path) -> list[str]:
    """The rules that failed, by their ids."""
    data = json.loads(results.read_text(encoding="utf-8"))
    return [rule["id"] for rule in data["rules"] if rule["verdict"] == "fail"]


def in_words(scenarios: Mapping[str, int]) -> str:
    """Scenarios by their verdict, the most frequent one first."""
    if not scenarios:
        return "no results"
    tally = Counter(scenarios)
    return ", ".join(f"{number} {verdict}" for verdict, number in tally.most_common())


def line(judged: Judged) -> str:
    """One line for a person."""
    if judged.exit_code is None:
        return f"{judged.name}: {judged.note}"
    name = f"{judged.name} {judged.version}".rstrip()
    return f"{name}: {judged.note}; exit code {judged.exit_code}; {judged.seconds:.0f} s"


# The verdicts of rules, worst first.
VERDICTS = ("fail", "warn", "pass", "blocked", "untested", "not-applicable")


def table(several: Sequence[Judged]) -> list[str]:
    """Servers and how many rules got which verdict, in columns; '-' where none was judged."""
    rows = [["server", "version", *VERDICTS, "seconds"]]
    for judged in several:
        verdicts = [str(judged.rules.get(verdict, 0)) for verdict in VERDICTS]
        numbers = [*verdicts, f"{judged.seconds:.0f}"] if judged.rules else ["-"] * len(rows[0][2:])
        rows.append([judged.name, judged.version or "-", *numbers])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if at < 2 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
