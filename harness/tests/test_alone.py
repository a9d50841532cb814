"""What fails beside other tests is run once more alone; what fails alone is red."""

import subprocess
import sys
from pathlib import Path

import pytest

DRIVER = Path(__file__).with_name("alone.py")

FIRST_TIME_ONLY = """
from pathlib import Path

def test_good():
    pass

def test_bad():
    before = Path("before")
    was_there = before.exists()
    before.touch()
    assert was_there
"""


def driven(place: Path, source: str) -> subprocess.CompletedProcess[str]:
    (place / "test_it.py").write_text(source)
    command = [sys.executable, str(DRIVER), "test_it.py", "-n", "2", "--rootdir=."]
    return subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)


def test_what_holds_alone_is_named_and_green(tmp_path: Path) -> None:
    ended = driven(tmp_path, FIRST_TIME_ONLY)

    assert ended.returncode == 0, ended.stdout
    assert "run once more alone (1):\ntest_it.py::test_bad\n" in ended.stdout


@pytest.mark.parametrize(
    "source",
    [
        "def test_bad():\n    assert False",
        "import nothing_of_this_name",
        "\n".join(f"def test_bad_{number}():\n    assert False" for number in range(11)),
    ],
    ids=["one", "does not load", "many"],
)
def test_what_fails_alone_or_in_numbers_is_red(tmp_path: Path, source: str) -> None:
    ended = driven(tmp_path, source)

    assert ended.returncode != 0, ended.stdout
