"""Goal 10 of the performance figures: the memory of a run with large messages.

`python harness/benchmarks/memory.py`. Prints the peak of one run of the suite's large
messages (25 MB, and 10 000 listings) against the reference server in a process of its own,
and of one run of everything (goal 200 MB).
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from runs import ROOT, environment, served

LARGE = "suites/test_rfc1939_large.py"


def peak(address: str, mail: Path, *paths: str) -> float:
    """The largest resident size of a run, in MB of 10^6 octets."""
    code = (
        "import resource, sys; from pop3spec.cli import main; code = main(sys.argv[1:]);"
        "print('peak', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss); sys.exit(code)"
    )
    done = subprocess.run(
        [
            *(sys.executable, "-c", code, "run", address, *paths, "-q"),
            f"--maildrop=maildir:{mail}/{{user}}",
        ],
        cwd=mail,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout.splitlines()[-2])
    return int(done.stdout.split()[-1]) * 1024 / 1e6


def main() -> None:
    """Measure both."""
    for name, paths in (("large messages", [str(ROOT / LARGE)]), ("everything", [])):
        with tempfile.TemporaryDirectory() as folder:
            mail = Path(folder)
            with served(mail) as address:
                print(f"10 {name}: {peak(address, mail, *paths):.0f} MB (goal <= 200)")


if __name__ == "__main__":
    main()
