"""Python tests of a target: what their ends come to, and what starts beside them."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest
from command import Ended, apart
from scripted import HELLO, LOGIN, Scripted

from pop3spec.fixtures import Maildrop, View
from pop3spec.probe import Observed
from pop3spec.reference.server import ReferenceServer
from pop3spec.reference.stores import MemoryStore
from pop3spec.run import Run
from pop3spec.settings import Settings

PASSWORD = "correct-horse-9"
BEGINNING = """\
import threading

import pytest

from pop3spec.fixtures import RuleBroken, blocked, messages

"""


@dataclass(frozen=True)
class Judged:
    """How a run of one's own tests ended, with what was said of each."""

    ended: Ended
    verdicts: Mapping[str, str]
    details: Mapping[str, str]


def judge(
    directory: Path, text: str, *options: str, users: Sequence[str] = ("alice",), fault: str = ""
) -> Judged:
    (directory / "test_own.py").write_text(BEGINNING + text)
    accounts = dict.fromkeys(users, PASSWORD)
    with ReferenceServer(MemoryStore(), accounts, faults=[fault] if fault else []) as server:
        ended = apart(
            directory,
            *("-m", "pytest", "-q", "-p", "pop3spec.plugin", "-p", "no:cacheprovider"),
            *("test_own.py", f"--target=127.0.0.1:{server.address[1]}", *options),
            POP3SPEC_ACCOUNT="\n".join(f"{user}:{PASSWORD}" for user in users),
        )
    results = directory / "reports" / "results.json"
    assert results.is_file(), ended.text
    rows = json.loads(results.read_text())["scenarios"]
    names = {row["id"].rpartition("::")[2]: row for row in rows}
    return Judged(
        ended,
        {name: row["verdict"] for name, row in names.items()},
        {name: row["detail"] for name, row in names.items()},
    )


ENDS = """
@pytest.mark.rules("rfc1939-5-noop", "rfc1939-5-rset")
def test_holds(session):
    assert session.exchange("NOOP").is_ok


@pytest.mark.rules("rfc1939-5-noop", "rfc1939-5-rset")
def test_first_rule(session):
    assert not session.exchange("NOOP").is_ok, "a reply"


@pytest.mark.rules("rfc1939-5-noop")
def test_another_rule(session):
    raise RuleBroken("rfc1939-5-rset", "no effect")


@pytest.mark.rules("rfc1939-5-noop")
def test_mere_advice(session):
    raise RuleBroken("rfc1939-4-no-arrivals", "new mail")


def test_without_a_rule(session):
    assert False


def test_blocked(session):
    blocked("there is a reason")


@pytest.mark.rules("rfc1939-7-uidl-complete")
def test_not_applicable(session):
    pytest.skip("not applicable: for once")


def test_crash(maildrop, session):
    lines = maildrop.login_lines(session)
    print(lines)
    assert lines == 1 / 0
"""


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> tuple[Judged, Path]:
    directory = tmp_path_factory.mktemp("ends")
    return judge(directory, ENDS, "--showlocals", "--transcripts=all"), directory


def test_a_python_test_comes_to_a_verdict_like_a_scenario(ends: tuple[Judged, Path]) -> None:
    judged, _ = ends

    assert judged.ended.code == 1
    assert {name: verdict for name, verdict in judged.verdicts.items() if name in ENDS} == {
        "test_holds": "pass",
        "test_first_rule": "fail",
        "test_another_rule": "fail",
        "test_mere_advice": "warn",
        "test_without_a_rule": "error",
        "test_blocked": "blocked",
        "test_not_applicable": "not-applicable",
        "test_crash": "error",
    }
    assert "no effect" in judged.details["test_another_rule"]
    assert judged.details["test_blocked"] == "there is a reason"


def test_no_password_is_in_what_is_told_of_a_test_that_crashed(ends: tuple[Judged, Path]) -> None:
    judged, directory = ends

    written = [path for path in (directory / "reports").rglob("*") if path.is_file()]
    assert "ZeroDivisionError" in judged.ended.text
    assert PASSWORD not in judged.ended.text
    assert not [path for path in written if PASSWORD in path.read_text()]


PASSIVE = """
@pytest.mark.rules("rfc1939-5-noop")
def test_skipped_behind_a_fault(session):
    session.exchange("NOOP")
    blocked("something else")
"""


def test_what_the_passive_rules_saw_counts_for_more_than_a_skip(tmp_path: Path) -> None:
    judged = judge(tmp_path, PASSIVE, fault="noop-missing")

    assert judged.verdicts["test_skipped_behind_a_fault"] == "fail"


def test_a_known_deviation_covers_what_a_python_test_found(tmp_path: Path) -> None:
    (tmp_path / "profile.yaml").write_text(
        "known-deviations: [{rule: rfc1939-5-rset, why: it is known}]\n"
    )
    text = PASSIVE.replace(
        'blocked("something else")', 'raise RuleBroken("rfc1939-5-rset", "no effect")'
    )

    judged = judge(tmp_path, text, "--target-profile=profile.yaml", "-rs")

    assert judged.ended.code == 0, judged.ended.text
    assert "known: it is known" in judged.ended.text


FIXTURES = """
@pytest.mark.rules("rfc1939-5-noop")
def test_session(session):
    session.exchange("NOOP")


@pytest.mark.rules("rfc1939-5-noop")
def test_filled(maildrop):
    maildrop.fill(messages(2))


@pytest.mark.rules("rfc1939-5-noop")
def test_two(two_maildrops):
    pass


@pytest.mark.beside(work=lambda maildrop: None)
@pytest.mark.rules("rfc1939-5-noop")
def test_long(beside):
    beside.result()
"""

WITHHELD = (
    ((), ("no account was given",) * 3 + ("permit that with --slow",)),
    (("alice",), ("", "no door to fill", "needs two accounts", "permit that with --slow")),
)


@pytest.mark.parametrize(("users", "reasons"), WITHHELD, ids=["no account", "one account"])
def test_what_the_target_withholds_blocks_a_test(
    tmp_path: Path, users: Sequence[str], reasons: Sequence[str]
) -> None:
    judged = judge(tmp_path, FIXTURES, users=users)

    found = [judged.details[name] for name in ("test_session", "test_filled", "test_two")]
    found.append(judged.details["test_long"])
    assert all(reason in detail for reason, detail in zip(reasons, found, strict=True)), found


BESIDE = """
TOGETHER = threading.Barrier(3)


def wait_for_the_others(maildrop):
    maildrop.open("first").quit()
    TOGETHER.wait(20)


@pytest.mark.parametrize("number", range(4))
@pytest.mark.beside(work=wait_for_the_others)
@pytest.mark.rules("rfc1939-5-noop")
def test_waits(beside, number):
    beside.result()


def test_session(session):
    session.exchange("NOOP")
"""


def test_what_takes_long_runs_side_by_side_and_leaves_an_account(tmp_path: Path) -> None:
    judged = judge(tmp_path, BESIDE, "--slow", users=("alice", "bob", "carol", "dave"))

    verdicts = [judged.verdicts[f"test_waits[{number}]"] for number in range(4)]
    assert verdicts == ["pass", "pass", "pass", "blocked"], judged.ended.text
    assert "no account is left" in judged.details["test_waits[3]"]
    assert judged.verdicts["test_session"] == "pass"


@pytest.mark.parametrize("option", ["--jobs=1", "-n2"])
def test_what_takes_long_runs_alone_where_there_is_no_room(tmp_path: Path, option: str) -> None:
    text = BESIDE.replace("Barrier(3)", "Barrier(1)").replace("range(4)", "range(1)")

    judged = judge(tmp_path, text, "--slow", option, users=("alice", "bob"))

    assert judged.verdicts["test_waits[0]"] == "pass", judged.ended.text


# --- What is gone between two views ---


def view(names: str, *, count: int | None = None, ids: str | None = None) -> View:
    contents = Counter(name.encode() for name in names)
    unique_ids = None if ids is None else tuple(each.encode() for each in ids)
    return View(len(names) if count is None else count, unique_ids, contents)


LOST = (
    ("nothing", view("abc", ids="123"), (), ""),
    ("nothing, numbered otherwise", view("abc", ids="321"), (), ""),
    ("one", view("ac", ids="13"), (), "1 of 3 messages gone from the store"),
    ("the marked one", view("ac", ids="31"), (b"2",), ""),
    ("another one", view("ac", ids="13"), (b"1",), "another message gone than the marked"),
    ("one that is only not shown", view("abc", count=2, ids="13"), (), "a count of 2"),
    ("ids that are all new", view("ac", ids="45"), (b"1",), ""),
    ("no ids", view("ac"), (b"1",), ""),
    ("no id of the marked", view("ac", ids="13"), (None,), ""),
    ("a message that the server rewrote", view("abX", ids="123"), (), ""),
    ("more than the marked one", view("a", ids="1"), (b"2",), "2 of 3 messages gone"),
)


@pytest.mark.parametrize(("after", "may_go", "words"), [pytest.param(*c, id=i) for i, *c in LOST])
def test_a_view_tells_what_is_lost(after: View, may_go: Sequence[bytes | None], words: str) -> None:
    lost = view("abc", ids="123").lost(after, may_go)

    assert lost.startswith(words)
    assert bool(lost) == bool(words)


def test_a_view_tells_what_is_left_of_the_marked() -> None:
    before = view("abc", ids="123")

    assert before.left(view("bc"), 1) == ""
    assert before.left(view("abc"), 1) == "1 of 1 marked messages still in the store"
    assert before.left(view("bc", count=3), 1).startswith("a count of 3")


@pytest.mark.parametrize(("times", "accused"), [(1, []), (2, ["rfc1939-3-reply-per-command"])])
def test_of_a_login_that_times_out_nothing_is_said_until_it_was_tried_once_more(
    times: int, accused: list[str]
) -> None:
    silent = (HELLO, "USER alice", b"+OK\r\n", "PASS correct-horse")
    with Scripted(*[silent] * times, (HELLO, *LOGIN)) as server:
        target = server.target(login=0.2)
        run = Run(Settings(target, Path()), target, None)
        run.begin(Observed())
        maildrop = Maildrop(run, run.mailboxes[0])
        with pytest.raises(pytest.skip.Exception) if accused else nullcontext():
            maildrop.open("first")
        maildrop.close()
        run.end()

    assert [finding.rule for finding in maildrop.recorder.findings] == accused
