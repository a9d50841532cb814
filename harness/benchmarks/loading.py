"""Loading and checking 300 scenarios / `yaml.load` of the same text (goal: at most 1.3).

`python harness/benchmarks/loading.py [ROUNDS]`. Each round is an interpreter of
its own that has loaded nothing yet; which of the two comes first alternates.
What both import is not counted.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HARNESS = Path(__file__).resolve().parent.parent
SCENARIOS = 300

KINDS = (
    """\
  - id: refused-{n}
    title: STAT is refused in the AUTHORIZATION state
    rules: [rfc1939-3-wrong-state]
    state: AUTHORIZATION
    steps:
      - send: STAT
        expect: -ERR
      - send: QUIT
        expect: +OK
""",
    """\
  - id: lines-that-begin-with-a-dot-{n}
    title: RETR delivers lines that begin with a dot unharmed
    rules: [rfc1939-3-byte-stuffing, rfc1939-5-retr]
    state: TRANSACTION
    maildrop:
      - |
        Subject: dots

        .one
        ..two
        .
    steps:
      - send: RETR 1
        expect:
          status: +OK
          contains-lines: |        # as the client reads them, unstuffed
            .one
            ..two
            .
""",
    """\
  - id: unique-id-survives-the-session-{n}
    title: A message keeps its unique-id in the next session
    rules: [rfc1939-7-uidl-persistent]
    requires: [UIDL]               # not announced: not-applicable
    state: TRANSACTION
    maildrop: [plain-text]         # a stock message, by name
    steps:
      - send: UIDL 1
        expect: {{status: +OK, text: "1 {{unique-id}}"}}
        save: [unique-id]
      - send: QUIT
        expect: +OK
      - session: second            # a new session, brought to the same state
        send: UIDL 1
        expect: {{status: +OK, text: "1 {{unique-id}}"}}
""",
)


def scenarios_text() -> str:
    """A scenario file as the documentation writes them, but long."""
    entries = (KINDS[n % len(KINDS)].format(n=n) for n in range(SCENARIOS))
    return "about: Three kinds in turn\nscenarios:\n" + "".join(entries)


def one_round(path: Path, ours_first: bool) -> None:
    """Print the seconds of `yaml.load` and of `load_scenarios`, each done once."""
    import yaml

    from pop3spec.rulebook.rules import rulebook
    from pop3spec.scenario import load_scenarios

    rule_ids = frozenset(rulebook())

    def theirs() -> float:
        began = time.perf_counter()
        yaml.load(path.read_text("utf-8"), Loader=yaml.CBaseLoader)
        return time.perf_counter() - began

    def ours() -> float:
        began = time.perf_counter()
        load_scenarios(path, rule_ids)
        return time.perf_counter() - began

    if ours_first:
        seconds = ours()
        print(theirs(), seconds)
    else:
        print(theirs(), ours())


def main(rounds: int) -> None:
    """Run the rounds and print what they took, and the ratios."""
    pairs: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scenarios.yaml"
        path.write_text(scenarios_text(), "utf-8")
        for number in range(rounds):
            command = [sys.executable, __file__, str(path), str(number % 2)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            theirs, ours = map(float, done.stdout.split())
            pairs.append((theirs, ours))
    ratios = [ours / theirs for theirs, ours in pairs]
    print(f"yaml.load        {min(theirs for theirs, _ in pairs) * 1000:6.1f} ms at best")
    print(f"load_scenarios   {min(ours for _, ours in pairs) * 1000:6.1f} ms at best")
    print(f"ratio            {min(ratios):.2f} min, {statistics.median(ratios):.2f} median")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        sys.path.insert(0, str(HARNESS))
        one_round(Path(sys.argv[1]), ours_first=sys.argv[2] == "1")
    else:
        main(int(sys.argv[1]) if len(sys.argv) == 2 else 15)
