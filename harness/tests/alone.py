"""Runs pytest, and what failed once more alone: `python alone.py` with pytest's arguments.

Tests of time limits share few cores here, and some machines are busy with other work as well:
what fails side by side and holds alone is named, and turns nothing red. What fails alone does.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

# More than this is no matter of a busy machine.
MOST = 10


def run(arguments: Sequence[str], cache: str) -> int:
    """The exit code of pytest with these arguments, which keeps in mind what failed."""
    pytest = [sys.executable, "-m", "pytest", "-o", f"cache_dir={cache}"]
    return subprocess.run([*pytest, *arguments], check=False).returncode


def failed(cache: str) -> Sequence[str]:
    """The tests that failed in the run with this cache."""
    kept = Path(cache, "v", "cache", "lastfailed")
    return list(json.loads(kept.read_text("utf-8"))) if kept.exists() else []


def main(arguments: Sequence[str]) -> int:
    """The exit code: of the first run, or of the second where few tests failed in it."""
    with tempfile.TemporaryDirectory() as cache:
        code = run(arguments, cache)
        again = failed(cache)
        if code != 1 or not 0 < len(again) <= MOST:
            return code
        print("", f"failed side by side, and run once more alone ({len(again)}):", sep="\n")
        print(*again, sep="\n", flush=True)
        return run([*arguments, "-n", "0", "--no-cov", "--last-failed"], cache)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
