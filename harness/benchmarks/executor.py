"""What driving and judging scenarios costs: goals 1 and 4 of the project's performance figures.

`python harness/benchmarks/executor.py [ROUNDS]`. Needs a C compiler.

1: 400 plain scenarios, 32 wide / a client in C that replays the same octets, both against
   the same server in C, all on one core (goal 2.3). pytest has no part in it.
4: 40 scenarios with a wrong login that is answered after 2 s, wall time with --jobs=1 / as
   they come (goal 25), an account for each. One round: it takes more than a minute.
"""

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from native import HARNESS, fast_server, one_core, replay, show

sys.path.insert(0, str(HARNESS))

from pop3spec.opening import open_session
from pop3spec.protocol.replies import Reply
from pop3spec.recorder import Recorder
from pop3spec.reference.server import ReferenceServer
from pop3spec.reference.stores import MemoryStore
from pop3spec.rulebook.rules import rulebook
from pop3spec.run import Run, Task
from pop3spec.scenario import load_scenarios
from pop3spec.settings import settings_from
from pop3spec.target import Target, Transport
from pop3spec.verdict import Outcome, Verdict

SCENARIOS, WIDTH, WAITS, PENALTY = 400, 32, 40, 2.0
ACCOUNTS = [f"user{n}:a long password {n}" for n in range(WIDTH)]
COMMANDS = ("STAT", "LIST", "LIST 1", "UIDL", "NOOP", "QUIT")

PLAIN = """\
  - id: plain-{n}
    title: STAT, LIST and UIDL agree
    rules: [rfc1939-5-stat-drop-listing]
    state: TRANSACTION
    steps:
"""
WAITING = """\
  - id: refused-{n}
    title: A wrong password is refused
    rules: [rfc1939-7-pass-wrong]
    state: AUTHORIZATION
    failed-logins: 1
    steps:
      - send: USER {{user}}
      - send: PASS {{password}}x
        expect: -ERR
"""


def tasks_of(folder: Path, scenarios: str) -> list[Task]:
    """The scenarios of a file's text."""
    file = folder / "scenarios.yaml"
    file.write_text(f"about: Benchmark\nscenarios:\n{scenarios}", "utf-8")
    loaded = load_scenarios(file, rulebook().keys()).scenarios
    return [Task(scenario, Transport.PLAIN) for scenario in loaded]


def timed(run: Run, tasks: Sequence[Task]) -> tuple[float, list[Outcome]]:
    """Seconds until every task has its outcome."""
    began = time.perf_counter()
    run.start(tasks)
    outcomes = [run.outcome(task) for task in tasks]
    seconds = time.perf_counter() - began
    wrong = [outcome for outcome in outcomes if outcome.verdict is not Verdict.PASS]
    if wrong:
        sys.exit(f"{len(wrong)} scenarios did not pass: {wrong[0].verdict}: {wrong[0].detail}")
    return seconds, outcomes


def conversation(target: Target) -> list[tuple[int, str]]:
    """What a scenario says, with the octets of what comes before each line."""
    user, password = ACCOUNTS[0].split(":")
    recorder = Recorder()
    session = open_session(target, recorder, account=target.accounts[0])
    lines = [f"USER {user}", f"PASS {password}", *COMMANDS]
    for line in lines:
        session.exchange(line)
    session.close()
    replies = [exchange.reply for exchange in recorder.transcript if exchange.reply]
    return list(zip(map(size_of, replies), [*lines, ""], strict=True))


def size_of(reply: Reply) -> int:
    """The octets that a server sent."""
    return len(reply.status_line) + (0 if reply.payload is None else len(reply.payload) + 3)


def plain(folder: Path, rounds: int) -> list[float]:
    """Goal 1."""
    steps = "".join(f"      - send: {command}\n" for command in COMMANDS)
    tasks = tasks_of(folder, "".join(PLAIN.format(n=n) + steps for n in range(SCENARIOS)))
    ratios = []
    with one_core(), fast_server(folder, 10, 1000) as server:
        settings = settings_from(
            {"target": f"127.0.0.1:{server.port}", "account": ACCOUNTS, "jobs": str(WIDTH)}, {}
        )
        assert settings.target is not None
        said = conversation(settings.target)
        for _ in range(rounds):
            run = Run(settings, settings.target, None)
            run.begin()
            ours, _ = timed(run, tasks)
            run.end()
            ratios.append(ours / replay(folder, server.port, said, SCENARIOS, WIDTH))
    return ratios


def waits(folder: Path) -> list[float]:
    """Goal 4."""
    tasks = tasks_of(folder, "".join(WAITING.format(n=n) for n in range(WAITS)))
    secrets = {f"user{n}": f"a long password {n}" for n in range(WAITS)}
    accounts = [f"{user}:{password}" for user, password in secrets.items()]
    seconds = []
    for jobs in ({"jobs": "1"}, {}):
        with ReferenceServer(MemoryStore(), secrets, failed_login_delay=PENALTY) as server:
            target = {"target": f"127.0.0.1:{server.address[1]}", "account": accounts}
            settings = settings_from(target | jobs, {})
            assert settings.target is not None
            run = Run(settings, settings.target, None)
            run.begin()
            seconds.append(timed(run, tasks)[0])
            run.end()
    return [seconds[0] / seconds[1]]


def main() -> None:
    """Take each figure in turn."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as folder:
        show("1 scenarios / replay in C, one core", plain(Path(folder), rounds), "<= 2.3")
        show("4 --jobs=1 / as they come", waits(Path(folder)), ">= 25")


if __name__ == "__main__":
    main()
