"""Two runs on one mailbox: it is noticed and said, and no server is blamed for it."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command import SOURCE, Ended, end_of, judge_here, start
from scripted import ALICE, Line, Scripted, close

from pop3spec.claims import claim
from pop3spec.reference.server import ReferenceServer
from pop3spec.reference.stores import MaildirStore
from pop3spec.target import Account, Address, Target

SAID = "another run of pop3spec on this machine is using this account (process "
SLOW = """\
about: a test
scenarios:
  - id: slow
    title: Nothing comes that nobody asked for
    rules: [rfc1939-5-noop]
    state: TRANSACTION
    steps:
      - send: NOOP
        expect: +OK
      - expect: {silence: 20s}
"""
QUICK = SLOW.replace("slow", "quick").replace("      - expect: {silence: 20s}\n", "")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The address of a server, and the door to its mailboxes."""
    mail = tmp_path / "mail"
    mail.mkdir()
    with ReferenceServer(MaildirStore(mail), {ALICE.user: ALICE.password}) as running:
        yield f"127.0.0.1:{running.address[1]}", f"--maildrop=maildir:{mail}/{{user}}"


def environment(directory: Path) -> dict[str, Any]:
    (directory / "slow.yaml").write_text(SLOW)
    (directory / "quick.yaml").write_text(QUICK)
    return {
        "POP3SPEC_STATE": str(directory / "state"),
        "POP3SPEC_ACCOUNT": f"{ALICE.user}:{ALICE.password}",
    }


def begun(directory: Path, process: "subprocess.Popen[str]") -> None:
    """Wait until a run holds its account."""
    deadline = time.monotonic() + 30
    while not any(path.stat().st_size for path in (directory / "state").glob("in-use/*")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)


def second(directory: Path, server: str, *words: str) -> tuple[Ended, dict[str, Any]]:
    variables = environment(directory)
    ended = judge_here(directory, server, "quick.yaml", "--report-dir=second", *words, **variables)
    results = json.loads((directory / "second" / "results.json").read_text("utf-8"))
    return ended, results


@pytest.mark.parametrize(
    "is_filled, words",
    [(True, ()), (True, ("-n", "1")), (False, ())],
    ids=["filled", "filled-by-another-process", "only-read"],
)
def test_a_second_run_says_who_has_the_account_and_blames_nobody(
    tmp_path: Path, served: tuple[str, str], is_filled: bool, words: tuple[str, ...]
) -> None:
    server, door = served
    door = door if is_filled else "--maildrop=none"
    variables = environment(tmp_path)
    first = start(tmp_path, ["-m", "pop3spec", "run", server, door, "slow.yaml"], **variables)
    try:
        begun(tmp_path, first)
        ended, results = second(tmp_path, server, door, *words)
    finally:
        first.kill()  # it could not even say good-bye
        end_of(first)
    after, results_after = second(tmp_path, server, door, *words)

    # The filling of the first is left alone; a mailbox that is only read is tried.
    [row] = [row for row in results["scenarios"] if row["id"] == "quick::quick"]
    assert ended.code in ((5,) if is_filled else (0, 5)), ended.text
    assert row["verdict"] in (("blocked",) if is_filled else ("blocked", "pass"))
    assert f"{SAID}{first.pid}, since " in " ".join(ended.text.split())
    [told] = results["target"]["other_runs"]
    assert told.startswith(f"alice: {SAID}")
    # What a run left behind that died is no evidence.
    assert after.code == 0, after.text
    assert results_after["target"]["other_runs"] == []


def test_of_several_accounts_each_run_has_its_own(tmp_path: Path) -> None:
    alice, bob = Account("alice", "secret-1"), Account("bob", "secret-2")
    address = Address("localhost", 110)

    first = claim(Target(address, (alice,)), tmp_path)
    other = claim(Target(Address("127.0.0.1", 110), (alice, bob)), tmp_path)
    elsewhere = claim(Target(Address("localhost", 111), (alice,)), tmp_path)
    by_tls = claim(Target(Address("x.example", 110), (bob,), tls_address=address), tmp_path)

    assert first.taken == elsewhere.taken == {}
    assert set(other.taken) == {"alice"}
    assert set(by_tls.taken) == {"bob"}
    other.release()
    assert claim(Target(address, (alice, bob)), tmp_path).taken.keys() == {"alice"}


def test_a_directory_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    claims = claim(Target(Address("localhost", 110), (ALICE,)), tmp_path / "file" / "in-use")

    assert not claims.taken


# --- Elsewhere: another machine, another user ---

COUNTED = """\
about: a test
scenarios:
  - id: counted
    title: STAT counts what was delivered
    rules: [rfc1939-5-stat-count]
    state: TRANSACTION
    maildrop: [plain-text]
    steps:
      - send: NOOP
        expect: +OK
      - send: STAT
        expect: {status: +OK, text: "1 {size}"}
        save: [size]
"""
OTHER_RUN = """\
import sys
from pop3spec.maildrop.maildir import MaildirDoor
door = MaildirDoor(sys.argv[1])
door.add("alice", b"Subject: of another run\\r\\n\\r\\n")
"""


@pytest.mark.parametrize("is_other_there", [True, False], ids=["another-run", "a-wrong-server"])
def test_another_run_in_the_maildir_is_no_fault_of_the_server(
    tmp_path: Path, is_other_there: bool
) -> None:
    (tmp_path / "counted.yaml").write_text(COUNTED)
    mail = tmp_path / "mail"
    mail.mkdir()

    def serve(line: Line) -> None:
        new = mail / "alice" / "new"
        more = 0
        line.say(b"+OK ready\r\n")
        while command := line.hear().strip():
            messages = [path.read_bytes() for path in new.iterdir()] if new.exists() else []
            octets = sum(len(each) + each.count(b"\n") for each in messages)
            match command.split()[0]:
                case b"NOOP":
                    if is_other_there:
                        words = [sys.executable, "-c", OTHER_RUN, f"{mail}/{{user}}"]
                        subprocess.run(words, check=True, env={"PYTHONPATH": str(SOURCE)})
                    else:
                        more = 1
                    line.say(b"+OK\r\n")
                case b"STAT":
                    line.say(b"+OK %d %d\r\n" % (len(messages) + more, octets))
                case b"LIST":
                    size = b"".join(b"1 %d\r\n" % octets for _ in messages[:1])
                    line.say(b"+OK\r\n%s.\r\n" % size)
                case b"USER" | b"PASS":
                    line.say(b"+OK\r\n")
                case b"QUIT":
                    line.say(b"+OK\r\n")
                    close(line)
                    return
                case _:
                    line.say(b"-ERR\r\n")

    with Scripted([serve]) as server:
        ended = judge_here(
            tmp_path,
            *(str(server.address), "counted.yaml", "--maildrop=maildir:mail/{user}"),
            POP3SPEC_ACCOUNT=f"{ALICE.user}:{ALICE.password}",
            POP3SPEC_STATE=str(tmp_path / "state"),
        )

    results = json.loads((tmp_path / "reports" / "results.json").read_text("utf-8"))
    [row] = [row for row in results["scenarios"] if row["id"] == "counted::counted"]
    if is_other_there:
        assert row["verdict"] == "blocked", row
        assert "another run of pop3spec (process " in row["detail"]
        assert len(results["target"]["other_runs"]) == 1
        assert ended.code == 5, ended.text
    else:
        assert row["verdict"] == "fail"
        assert ended.code == 1, ended.text


def test_a_login_that_finds_the_mailbox_in_use_says_that_somebody_has_it(tmp_path: Path) -> None:
    (tmp_path / "quick.yaml").write_text(QUICK)

    def serve(line: Line) -> None:
        line.say(b"+OK ready\r\n")
        while command := line.hear():
            is_good = command.startswith((b"USER", b"QUIT"))
            line.say(b"+OK\r\n" if is_good else b"-ERR mailbox is locked\r\n")

    with Scripted([serve]) as server:
        ended = judge_here(
            tmp_path,
            *(str(server.address), "quick.yaml"),
            POP3SPEC_ACCOUNT=f"{ALICE.user}:{ALICE.password}",
            POP3SPEC_STATE=str(tmp_path / "state"),
        )

    assert ended.code == 5, ended.text
    told = " ".join(ended.text.split())
    assert "another session has the mailbox, perhaps of another run" in told
