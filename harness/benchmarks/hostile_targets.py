"""What a run against each hostile target comes to: time, memory, verdicts, exit code.

`python harness/benchmarks/hostile_targets.py [--quick] [--some] [NAME ...]`, with names, or
parts of them, of harness/tests/hostile.py. Without --quick the timeouts are the default ones;
with it they are one second each. With --some a few scenario files are run, else the whole suite.
"""

import collections
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
HARNESS = ROOT / "harness"
sys.path[:0] = [str(HARNESS), str(HARNESS / "tests")]

from hostile import BEHAVIOURS, CANARY, USERS  # noqa: E402  # the path comes first

# Seconds after which a run counts as one that hangs.
_LONGEST = 300.0
SOME = ("scenarios/rfc1939/commands.yaml", "scenarios/rfc1939/retr.yaml")
QUICK = "timeouts: {connect: 1s, login: 1s, reply: 1s}\n"


def measured(name: str, *, quick: bool, some: bool) -> str:
    """One line of the table."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        environment = {
            **os.environ,
            "PYTHONPATH": str(HARNESS),
            "POP3SPEC_ACCOUNT": "\n".join(f"{user}:{CANARY}" for user in USERS),
        }
        (folder / "mail").mkdir()
        server = subprocess.Popen(
            [sys.executable, str(HARNESS / "tests" / "hostile.py"), name, str(folder / "mail")],
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        try:
            assert server.stdout is not None
            words = server.stdout.readline().split()
            profile = folder / "profile.yaml"
            profile.write_text(QUICK if quick else "timeouts: {}\n")
            more = [f"--target-profile={profile}"] if quick else []
            if some:
                more += SOME
            begun = time.monotonic()
            output = folder / "output.txt"
            with output.open("wb") as file:
                run = subprocess.Popen(
                    [
                        *(sys.executable, "-m", "pop3spec", "run", *words, *more, "-q"),
                        f"--maildrop=maildir:{folder}/mail/{{user}}",
                        *("--report-dir", str(folder / "reports")),
                    ],
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    cwd=ROOT,
                )
                code, peak = ended(run, begun)
            seconds = time.monotonic() - begun
            text = output.read_bytes().decode("utf-8", "replace")
            return line(name, seconds, peak, code, text, folder / "reports")
        finally:
            server.terminate()
            server.wait()


def ended(run: "subprocess.Popen[bytes]", begun: float) -> tuple[str, float]:
    """The exit code, and the most memory in megabytes."""
    while True:
        pid, status, usage = os.wait4(run.pid, os.WNOHANG)
        if pid:
            run.returncode = os.waitstatus_to_exitcode(status)
            return str(run.returncode), usage.ru_maxrss / 1024
        if time.monotonic() > begun + _LONGEST:
            run.kill()
            _, status, usage = os.wait4(run.pid, 0)
            run.returncode = os.waitstatus_to_exitcode(status)
            return "HANGS", usage.ru_maxrss / 1024
        time.sleep(0.05)


def line(name: str, seconds: float, peak: float, code: str, text: str, reports: Path) -> str:
    """The figures, and what must not be."""
    verdicts = ""
    with_size = ""
    if (reports / "results.json").exists():
        data = json.loads((reports / "results.json").read_text())
        counts = collections.Counter(each["verdict"] for each in data["scenarios"])
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
        size = sum(file.stat().st_size for file in reports.rglob("*") if file.is_file())
        with_size = f"; reports {size / 1e6:.1f} MB"
    problems = []
    files = [file.read_bytes() for file in reports.rglob("*") if file.is_file()]
    if any(CANARY.encode() in octets for octets in (text.encode(), *files)):
        problems.append("SECRET")
    if "Traceback" in text or "INTERNALERROR" in text:
        problems.append("TRACEBACK")
    if not verdicts:
        verdicts = next((each for each in text.splitlines() if each.startswith("ERROR")), "")[:90]
    return (
        f"{name:26} | {seconds:6.1f} | {peak:5.0f} | {verdicts}{with_size} | {code}"
        f" {' '.join(problems)}"
    )


def main(words: list[str]) -> None:
    """The table, a line at a time."""
    quick, some = "--quick" in words, "--some" in words
    chosen = [word for word in words if not word.startswith("-")]
    print("behaviour                  | seconds | MB | verdicts | exit code", flush=True)
    for name in BEHAVIOURS:
        if not chosen or any(word in name for word in chosen):
            print(measured(name, quick=quick, some=some), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
