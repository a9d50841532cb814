"""Whole runs as ratios: goals 2, 3 and 9 of the project's performance figures.

`python harness/benchmarks/runs.py [ROUNDS]`. The target is the reference server
in a process of its own, filled through a Maildir. Every pair is taken in turn
in each round, so that a machine that drifts drifts for both.

2: a run of 400 plain scenarios / the same items with empty bodies (goal 1.5)
3: all of scenarios/, wrong logins answered after 2 s, wall time / the longest
   chain of deliberate waits in one scenario (goal 1.6, and at most 10 s)
9: start of the process to the first connection / an empty pytest run (goal 1.5)
"""

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
HARNESS = ROOT / "harness"
SCENARIOS = 400
PENALTY = 2.0
ACCOUNTS = 16

SCENARIO = """\
  - id: plain-{n}
    title: STAT, LIST and RETR agree
    rules: [rfc1939-5-stat-drop-listing]
    state: TRANSACTION
    maildrop: [plain-text]
    steps:
      - send: STAT
        expect: +OK
      - send: LIST
      - send: RETR 1
"""

EMPTY_BODIES = """\
from pop3spec.plugin.collecting import YamlItem
from pop3spec.plugin.state import OUTCOME
from pop3spec.verdict import Outcome, Verdict
from pop3spec.run import Run
Run.start = lambda self, *jobs: None
def runtest(self):
    self.stash[OUTCOME] = Outcome(Verdict.PASS)
YamlItem.runtest = runtest
"""


def environment(extra: str = "") -> dict[str, str]:
    """The environment of a run: our package, what else is on the path, accounts."""
    paths = os.pathsep.join(filter(None, (str(HARNESS), extra)))
    accounts = "\n".join(f"user{n}:a long password {n}" for n in range(ACCOUNTS))
    return {**os.environ, "PYTHONPATH": paths, "POP3SPEC_ACCOUNT": accounts}


@contextmanager
def served(folder: Path, penalty: float = 0.0) -> Iterator[str]:
    """The reference server in a process of its own; its address."""
    for n in range(ACCOUNTS):
        for name in ("new", "cur", "tmp"):
            (folder / f"user{n}" / name).mkdir(parents=True, exist_ok=True)
    accounts = [f"--account=user{n}:a long password {n}" for n in range(ACCOUNTS)]
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "pop3spec", "serve", "--port=0", f"--maildir={folder}"),
            *(f"--failed-login-delay={penalty}", *accounts),
        ],
        stdout=subprocess.PIPE,
        env=environment(),
        text=True,
    )
    try:
        assert server.stdout is not None
        yield server.stdout.readline().split()[-1]
    finally:
        server.terminate()
        server.wait(10)


def seconds(arguments: Sequence[str], cwd: Path, extra: str = "") -> float:
    """The wall time of a run that has to end with 0."""
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "pop3spec", "run", *arguments, "-q"],
        cwd=cwd,
        env=environment(extra),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{arguments} ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr}")
    return time.perf_counter() - begun


def plain_scenarios(work: Path, rounds: int) -> list[float]:
    """Goal 2."""
    file = work / "plain.yaml"
    bodies = "".join(SCENARIO.format(n=n) for n in range(SCENARIOS))
    file.write_text(f"about: plain\nscenarios:\n{bodies}", encoding="utf-8")
    (work / "empty_bodies.py").write_text(EMPTY_BODIES, encoding="utf-8")
    mail = work / "mail"
    ratios = []
    with served(mail) as address:
        door = f"--maildrop=maildir:{mail}/{{user}}"
        for _ in range(rounds):
            full = seconds([address, str(file), door], work)
            empty = seconds([address, str(file), door, "-p", "empty_bodies"], work, str(work))
            ratios.append(full / empty)
    return ratios


def all_scenarios(work: Path, rounds: int) -> tuple[list[float], list[float]]:
    """Goal 3: ratios and wall times."""
    sys.path.insert(0, str(HARNESS))
    from pop3spec.rulebook.rules import rulebook
    from pop3spec.scenario import load_scenarios

    chains = [
        scenario.longest_wait + PENALTY * scenario.failed_logins
        for file in (ROOT / "scenarios").rglob("*.yaml")
        for scenario in load_scenarios(file, rulebook().keys()).scenarios
    ]
    mail = work / "mail"
    walls = []
    with served(mail, PENALTY) as address:
        door = f"--maildrop=maildir:{mail}/{{user}}"
        for _ in range(rounds):
            walls.append(seconds([address, str(ROOT / "scenarios"), door], work))
    return [wall / max(chains) for wall in walls], walls


def start_up(work: Path, rounds: int) -> list[float]:
    """Goal 9."""
    (work / "test_empty.py").write_text("def test_nothing():\n    pass\n", encoding="utf-8")
    ratios = []
    for _ in range(rounds):
        first = _first_connection(work)
        begun = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_empty.py"],
            cwd=work,
            env=environment(),
            capture_output=True,
            check=True,
        )
        ratios.append(first / (time.perf_counter() - begun))
    return ratios


def _first_connection(work: Path) -> float:
    """From the start of the process to the first connection that it opens."""
    accepted: list[float] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            connection, _ = listener.accept()
            accepted.append(time.perf_counter())
            connection.close()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        begun = time.perf_counter()
        run = subprocess.Popen(
            [
                *(sys.executable, "-m", "pop3spec", "run"),
                f"127.0.0.1:{listener.getsockname()[1]}",
                *(str(ROOT / "scenarios"), "-q"),
            ],
            cwd=work,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        thread.join(60)
        listener.close()
        run.wait(60)
    return accepted[0] - begun


def _show(name: str, values: Sequence[float], goal: str) -> None:
    low, middle, high = min(values), statistics.median(values), max(values)
    print(f"{name}: min {low:.2f}, median {middle:.2f}, max {high:.2f} (goal {goal})", flush=True)


def main() -> None:
    """Take each figure in turn."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as folder:
        _show("2 plain / empty bodies", plain_scenarios(Path(folder), rounds), "<= 1.5")
    with tempfile.TemporaryDirectory() as folder:
        ratios, walls = all_scenarios(Path(folder), rounds)
        _show("3 all / longest chain of waits", ratios, "<= 1.6")
        _show("3 all, seconds", walls, "<= 10")
    with tempfile.TemporaryDirectory() as folder:
        _show("9 first connection / empty pytest", start_up(Path(folder), rounds), "<= 1.5")


if __name__ == "__main__":
    main()
