"""The line about a run that goes on: what it says, and where it is written."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import apart
from terminal import on_a_terminal

from pop3spec.live import Live
from pop3spec.progress import Kind, Left, Part, duration, progress_line, time_left
from pop3spec.reference.server import ReferenceServer
from pop3spec.reference.stores import MemoryStore

# --- The estimate ---


def test_the_time_left_counts_what_goes_on_side_by_side() -> None:
    ended = [Part(f"e{number}", seconds=2.0) for number in range(10)]
    running = [Part(f"r{number}", running=0.0) for number in range(4)]
    pending = [Part(f"p{number}") for number in range(16)]

    assert time_left([*ended, *running, *pending], width=24) == Left(10.0, is_whole=True)


def test_the_longest_wait_that_is_known_is_never_forgotten() -> None:
    ended = [Part(f"e{number}", seconds=0.1) for number in range(50)]
    slow = Part("slow", Kind.WAITING, running=20.0, known_wait=600.0)

    assert time_left([*ended, slow], width=24) == Left(580.0, is_whole=False)


def test_what_nobody_can_guess_makes_no_promise() -> None:
    ended = [Part(f"e{number}", seconds=0.1) for number in range(50)]

    assert time_left([Part("first"), Part("second", running=1.0)], width=24) is None
    left = time_left([*ended, Part("late", Kind.LATE, known_wait=9.0), Part("p")], width=24)
    assert left is not None
    assert not left.is_whole


def test_a_still_run_says_what_it_waits_for() -> None:
    parts = [
        Part("done", seconds=1.0),
        Part("rfc1939/retr::dots", running=1.5),
        Part("rfc1939/credentials::wrong-password", running=12.2),
    ]

    assert progress_line(parts, Left(40.0, is_whole=True), still=1.0) == (
        "1 of 3 scenarios, about 40 s left"
    )
    assert progress_line(parts, Left(40.0, is_whole=False), still=9.0) == (
        "1 of 3 scenarios, at least 40 s left,"
        " waiting for rfc1939/credentials::wrong-password (12 s) and 1 more"
    )


@pytest.mark.parametrize(
    "seconds, told", [(0.2, "1 s"), (7.6, "8 s"), (61, "60 s"), (300, "5 min"), (7200, "2.0 h")]
)
def test_a_time_is_no_more_exact_than_a_guess(seconds: float, told: str) -> None:
    assert duration(seconds) == told


# --- On a terminal, and elsewhere ---

# One scenario that takes its time, and one that does not.
SCENARIOS = """\
about: a test
scenarios:
  - id: slow
    title: Nothing comes that nobody asked for
    rules: [rfc1939-3-wrong-state]
    state: AUTHORIZATION
    steps:
      - send: STAT
        expect: -ERR
      - expect: {silence: 1500ms}
  - id: quick
    title: STAT is refused before the login
    rules: [rfc1939-3-wrong-state]
    state: AUTHORIZATION
    steps:
      - send: STAT
        expect: -ERR
"""
LINE = re.compile(rb"\r\n  ([^\x1b\r\n]*)\x1b\[K\x1b\[A\x1b\[\d+G")


@pytest.fixture
def words(tmp_path: Path) -> Iterator[tuple[str, ...]]:
    """What judges a server by the two scenarios."""
    (tmp_path / "two.yaml").write_text(SCENARIOS)
    with ReferenceServer(MemoryStore(), {}) as server:
        yield (f"127.0.0.1:{server.address[1]}", "two.yaml")


def test_on_a_terminal_one_line_is_rewritten_and_erased_at_the_end(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    code, written = on_a_terminal(tmp_path, *words)

    lines = [line.decode() for line in LINE.findall(written)]
    assert code == 0, written.decode()
    assert "1 of 2 scenarios, at least 1 s left" in lines
    # Behind the last line of ours it is erased, and nothing of it is left.
    behind = LINE.split(written)[-1]
    assert behind.startswith(b"\x1b[J")
    assert re.search(rb"\x1b\[32m\x1b\[1m2 pass", behind)


@pytest.mark.parametrize("word", ["-q", "--capture=no", "TERM=dumb"])
def test_there_is_no_live_line_where_it_would_disturb(
    tmp_path: Path, words: tuple[str, ...], word: str
) -> None:
    name, _, value = word.partition("=")
    more, variables = ((), {name: value}) if name == "TERM" else ((word,), {})

    code, written = on_a_terminal(tmp_path, *words, *more, "--color=no", **variables)

    assert code == 0
    assert b"\x1b" not in written


@pytest.mark.parametrize("more", [(), ("-n", "2")], ids=["one-process", "two-processes"])
def test_a_pipe_gets_no_escape_sequence(
    tmp_path: Path, words: tuple[str, ...], more: tuple[str, ...]
) -> None:
    ended = apart(tmp_path, "-m", "pop3spec", "run", *words, *more)

    assert ended.code == 0, ended.text
    assert "\x1b" not in ended.text
    assert "of 2 scenarios" not in ended.text


def test_a_live_line_comes_from_the_process_that_others_run_tests_for(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    code, written = on_a_terminal(tmp_path, *words, "-n", "2")

    assert code == 0
    assert b"1 of 2 scenarios" in LINE.findall(written), written
    assert LINE.split(written)[-1].startswith(b"\x1b[J")


def test_elsewhere_a_whole_line_comes_now_and_then(tmp_path: Path) -> None:
    reads, writes = os.pipe()
    live = Live(writes, lambda: "1 of 2 \x07\u202e", lambda: 7, is_terminal=False, between=0.1)
    with live.shown():
        written = os.read(reads, 200)
    live.close()
    os.close(reads)

    assert written == b"\npop3spec: 1 of 2 \\u0007\\u202e\n"
