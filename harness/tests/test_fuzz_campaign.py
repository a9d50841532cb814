"""Fuzzing against the reference server: the honest one is clean, faults are found and repeated."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
from command import apart, judge_here
from rawclient import RawClient

from pop3spec.collected import home
from pop3spec.embedded import start_embedded
from pop3spec.fixtures import BLOCKED, Maildrop
from pop3spec.fuzzing.campaign import Campaign
from pop3spec.fuzzing.draws import Memory, drawn
from pop3spec.fuzzing.play import Play
from pop3spec.fuzzing.process import watched
from pop3spec.fuzzing.properties import PROPERTIES
from pop3spec.fuzzing.steps import Conversation, Step
from pop3spec.maildrop import Door, StoreLockedError
from pop3spec.recorder import Recorder
from pop3spec.reference import FAULTS, MaildirStore, ReferenceServer
from pop3spec.reference.faults import SEQUENCES
from pop3spec.reference.faults.fault import Fault
from pop3spec.reference.front import Front
from pop3spec.reference.session import Session
from pop3spec.reference.wire import Wire
from pop3spec.rulebook.rules import rulebook
from pop3spec.run import Run
from pop3spec.settings import Settings
from pop3spec.target import Target, Timeouts

PASSWORD = "a-password-that-nobody-guesses"
ACCOUNTS = {"alice": PASSWORD, "bob": f"{PASSWORD}-2"}
# Where a run finds its plugin and configuration, whatever the current directory is.
QUIET = ("-p", "no:cacheprovider", "--seed=1")


@contextmanager
def run_on(*faults: str, seed: int = 1) -> Iterator[Run]:
    """A run against a reference server of its own."""
    embedded = start_embedded(faults=faults, timeouts=Timeouts(5.0, 1.0, 1.0))
    settings = Settings(None, Path(), seed=seed)
    restart, back_off = embedded.server.restart, (0.02, 0.05, 0.1)
    run = Run(settings, embedded.target, embedded.door, back_off=back_off, restart=restart)
    try:
        run.begin()
        yield run
    finally:
        embedded.close()


def campaign(
    run: Run, name: str, examples: int, directory: Path | None = None, memory: Memory | None = None
) -> Campaign:
    drops = [Maildrop(run, mailbox) for mailbox in run.mailboxes[:6]]
    return Campaign(
        run, drops, PROPERTIES[name], Recorder(), examples, directory=directory, memory=memory
    )


# --- The honest server ---


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", PROPERTIES)
def test_the_honest_server_is_accused_of_nothing(name: str, seed: int) -> None:
    with run_on(seed=seed) as run:
        tried = campaign(run, name, 40)
        tried.explore()

    assert (tried.found, dict(tried.unstable)) == ([], {})
    assert tried.tried == 40
    assert tried.recorder.findings == []


def steps_of(name: str, number: int) -> list[tuple[Step, ...]]:
    with run_on() as run:
        drops = [Maildrop(run, mailbox) for mailbox in run.mailboxes[:2]]
        played = []
        for octets in islice(drawn(name, 1, PROPERTIES[name].size), number):
            play = Play(run, drops, PROPERTIES[name].begin(octets))
            for step in PROPERTIES[name].steps(octets, play):
                play.do(step)
            play.close()
            played.append(tuple(play.played))
        return played


@pytest.mark.parametrize("name", PROPERTIES)
def test_one_seed_gives_the_same_stimuli_in_the_same_order(name: str) -> None:
    first, second = steps_of(name, 25), steps_of(name, 25)

    assert first == second
    assert len(set(first)) > 12


def test_more_examples_begin_with_the_same_ones_and_another_seed_with_others() -> None:
    few = list(islice(drawn("x", 1, 16), 30))

    assert list(islice(drawn("x", 1, 16), 130))[:30] == few
    assert list(islice(drawn("x", 2, 16), 30)) != few


# --- Faults ---

FOUND = [
    ("rset-does-not-reach-update", "one-session", "rfc1939-6-unmarked-stay"),
    ("second-retr-not-rewound", "one-session", "rfc1939-5-retr-same"),
    ("unique-ids-swapped-after-deletion", "one-session", "rfc1939-7-unique-id-fixed"),
    ("numbers-shifted-after-rset", "one-session", "rfc1939-4-size-fixed"),
    ("an-arrival-calls-the-update-off", "several-sessions", "rfc1939-6-update-removes"),
    ("end-of-stream-updates", "one-session", "rfc1939-6-no-quit-no-removal"),
    ("numbers-end-at-a-letter", "commands", "rfc1939-3-malformed-number"),
    ("letters-end-the-session", "commands", "rfc1939-3-stays-open"),
    ("tls-record-in-the-clear-stops-listening", "octets", "robust-serves-next-client"),
]


@pytest.mark.parametrize("fault, name, rule", FOUND, ids=[fault for fault, _, _ in FOUND])
def test_a_fault_is_found_and_its_scenario_breaks_the_rule_by_itself(
    tmp_path: Path, fault: str, name: str, rule: str
) -> None:
    with run_on(fault) as run:
        tried = campaign(run, name, 40, tmp_path)
        tried.explore()

    [found] = [each for each in tried.found if each.accusation.rule == rule]
    assert found.repeats
    assert found.file == tmp_path / f"{name}.{rule}.yaml"
    assert len(found.conversation.steps) <= 8
    # The honest server is not accused by the file.
    ended = judge_here(tmp_path, str(found.file), *QUIET)
    assert ended.code in (0, 5), ended.text


def test_what_takes_two_accounts_is_found_though_no_scenario_can_do_it(tmp_path: Path) -> None:
    with run_on("marks-shared-between-sessions") as run:
        tried = campaign(run, "several-sessions", 4, tmp_path)
        tried.explore()

    assert tried.found
    assert all(each.file is None for each in tried.found if each.conversation.maildrops > 1)
    assert "a second account" in tried.recorder.findings[0].got


def test_a_neighbour_that_is_thrown_out_is_a_finding_of_its_own() -> None:
    with run_on("malformed-number-ends-the-sessions-of-others") as run:
        tried = campaign(run, "commands", 10)
        tried.explore()

    [found] = tried.found
    assert found.accusation.rule == "robust-serves-next-client"
    assert "a close in answer to NOOP in a session that was open all the while" in (
        tried.recorder.findings[0].got
    )


def test_one_account_alone_has_a_neighbour_that_is_not_logged_in(tmp_path: Path) -> None:
    with run_on("malformed-number-ends-the-sessions-of-others") as run:
        tried = campaign(run, "commands", 10, tmp_path)
        tried.maildrops = tried.maildrops[:1]
        tried.explore()

    [found] = tried.found
    assert found.accusation.rule == "robust-serves-next-client"
    assert found.file is None


class HasRoomForOne(Front):
    """A front that ends the connection that is there when the next one comes."""

    def new_wire(self, connection: socket.socket) -> Wire:
        for other in self.wires():
            other.cut()
        return super().new_wire(connection)


def test_a_neighbour_that_is_dropped_for_want_of_room_is_no_finding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    narrow = Fault("narrow", frozenset(), "a limit, and no fault", False, (HasRoomForOne,), False)
    monkeypatch.setitem(SEQUENCES, narrow.name, narrow)
    with run_on(narrow.name) as run:
        tried = campaign(run, "commands", 10)
        tried.explore()

    assert (tried.found, tried.tried) == ([], 10)


def test_one_broken_rule_does_not_hide_the_others() -> None:
    with run_on("stat-counts-one-more", "unique-ids-swapped-after-deletion") as run:
        tried = campaign(run, "one-session", 30)
        tried.explore()

    assert "rfc1939-7-unique-id-fixed" in {each.accusation.rule for each in tried.found}


class GrowsAtUidl(Session):
    """A session that counts a header field which UIDL adds, as GNU Mailutils 3.15 does."""

    def uidl_command(self, argument: bytes | None = None) -> bytes:
        reply = super().uidl_command(argument)
        self.messages = [replace(each, size=each.size + 55) for each in self.messages]
        return reply


def test_a_total_of_sizes_that_change_is_laid_to_their_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    grows = Fault("grows", frozenset(), "sizes are counted anew", False, (GrowsAtUidl,), False)
    monkeypatch.setitem(SEQUENCES, grows.name, grows)
    with run_on(grows.name) as run:
        tried = campaign(run, "one-session", 25)
        tried.explore()

    accused = {each.accusation.rule for each in tried.found}
    assert "rfc1939-4-size-fixed" in accused
    assert accused <= {"rfc1939-4-size-fixed", "rfc1939-11-exact-size"}


def test_mail_of_another_account_is_recognised() -> None:
    with run_on("refusal-shows-the-mail-of-others") as run:
        tried = campaign(run, "commands", 100)
        tried.explore()

    assert [each.accusation.rule for each in tried.found] == ["robust-no-leak"]


def test_what_is_broken_once_and_not_again_is_unstable_and_no_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with run_on("rset-without-effect") as run:
        tried = campaign(run, "one-session", 10)
        # A server that behaves from now on.
        monkeypatch.setattr(tried, "_again", lambda *_: None)
        with pytest.raises(BLOCKED, match="unstable: rfc1939-5-rset-unmarks"):
            tried.explore()

    assert tried.found == []
    assert tried.recorder.findings == []


def test_what_was_found_is_tried_first_by_the_next_run_until_it_is_mended(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "memory")
    with run_on("rset-without-effect") as run:
        target = run.target.address
        campaign(run, "one-session", 10, memory=memory).explore()
        again = campaign(run, "one-session", 0, memory=memory)
        again.explore()
    with run_on() as run:
        mended = campaign(run, "one-session", 0, memory=memory)
        mended.where = str(target)
        mended.explore()

    assert again.found
    assert memory.plans(f"{target} one-session", PROPERTIES["one-session"].size) == []


def test_faults_of_sequences_are_described_like_all_others() -> None:
    assert not SEQUENCES.keys() & FAULTS.keys()
    for fault in SEQUENCES.values():
        assert fault.breaks
        assert fault.breaks <= rulebook().keys()
        assert fault.copies


def test_a_process_that_ends_is_a_server_that_died(tmp_path: Path) -> None:
    pid_file = tmp_path / "server.pid"
    begun = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    pid_file.write_text(f"{begun.pid}\n")
    with run_on() as run:
        run.target = replace(run.target, pid_file=pid_file)
        drops = [Maildrop(run, mailbox) for mailbox in run.mailboxes[:1]]
        before, after = (Play(run, drops, Conversation(())) for _ in range(2))
        before.play([])
        begun.communicate(b"\n")
        after.play([])

    assert before.accusations == []
    assert [each.rule for each in after.accusations] == ["robust-serves-next-client"]


def test_a_file_that_names_no_process_is_watched_in_vain(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")

    assert not watched(None).has_ended
    assert not watched(tmp_path / "empty").has_ended
    assert not watched(tmp_path / "not-there").has_ended


class Shut:
    """The door of a store that each session locks for as long as it lasts."""

    def __init__(self, inner: Door, target: Target) -> None:
        self.name, self.adds_headers = inner.name, inner.adds_headers
        self.inner, self.target, self.refused = inner, target, 0

    def enter(self, user: str) -> None:
        """Fail while a session has the maildrop, as a lock is that nobody gives up."""
        password = {each.user: each.password for each in self.target.accounts}[user]
        until = time.monotonic() + 0.3
        while True:
            client = RawClient((self.target.address.host, self.target.address.port))
            with closing(client):
                client.ask(f"USER {user}")
                if client.ask(f"PASS {password}").startswith(b"+OK"):
                    client.ask("QUIT")
                    return
            if time.monotonic() > until:
                self.refused += 1
                raise StoreLockedError(f"{user} is locked")

    def refuses(self, message: bytes) -> str:
        return self.inner.refuses(message)

    def fill(self, user: str, messages: Sequence[bytes]) -> None:
        self.enter(user)
        self.inner.fill(user, messages)

    def add(self, user: str, message: bytes) -> None:
        self.enter(user)
        self.inner.add(user, message)

    def clear(self, user: str) -> None:
        self.enter(user)
        self.inner.clear(user)

    def contents(self, user: str) -> list[bytes]:
        self.enter(user)
        return self.inner.contents(user)

    def marks(self, user: str) -> list[str]:
        return self.inner.marks(user)


def shut_campaign(run: Run, name: str, examples: int) -> Campaign:
    assert run.door is not None
    run.door = Shut(run.door, run.target)
    tried = campaign(run, name, examples)
    tried.explore()
    # It is knocked at once for each account, and never again.
    assert run.door.refused <= len(tried.maildrops)
    return tried


@pytest.mark.parametrize("name", ["one-session", "several-sessions"])
def test_a_store_that_sessions_lock_is_no_reason_to_accuse_or_to_give_up(name: str) -> None:
    with run_on() as run:
        tried = shut_campaign(run, name, 25)

    assert (tried.found, dict(tried.unstable), tried.tried) == ([], {}, 25)


def test_what_is_lost_from_a_store_that_sessions_lock_shows_behind_them() -> None:
    with run_on("end-of-stream-updates") as run:
        tried = shut_campaign(run, "one-session", 15)

    assert "rfc1939-6-no-quit-no-removal" in {each.accusation.rule for each in tried.found}


# --- The command ---


def judged(tmp_path: Path, faults: Sequence[str], *words: str) -> tuple[int, str]:
    mail = tmp_path / "mail"
    mail.mkdir(exist_ok=True)
    with ReferenceServer(MaildirStore(mail), ACCOUNTS, faults=faults) as server:
        address = f"127.0.0.1:{server.address[1]}"
        ended = judge_here(
            tmp_path,
            *(address, f"--maildrop=maildir:{mail}/{{user}}", "--report-dir=out", *words),
            POP3SPEC_ACCOUNT="\n".join(f"{user}:{word}" for user, word in ACCOUNTS.items()),
            POP3SPEC_STATE=str(tmp_path / "state"),
        )
    return ended.code, ended.text


PROGRAM = ("-m", "pop3spec", "run")
FUZZED = ("commands", "octets", "sequences")
SEQUENCES_SUITE = str(home() / "suites" / "fuzz" / "test_sequences.py")


def test_a_run_names_the_file_that_repeats_what_it_found(tmp_path: Path) -> None:
    words = (f"{SEQUENCES_SUITE}::test_one_session_agrees_with_the_model", "--fuzz=30", *QUIET)
    code, text = judged(tmp_path, ["rset-without-effect"], *words)

    file = tmp_path / "out" / "found" / "one-session.rfc1939-5-rset-unmarks.yaml"
    assert code == 1, text
    assert "out/found/one-session.rfc1939-5-rset-unmarks.yaml" in text
    assert file.is_file()
    assert PASSWORD not in file.read_text() + text
    code, text = judged(tmp_path, ["rset-without-effect"], str(file), *QUIET)
    assert code == 1, text
    assert "fail: rfc1939-5-rset-unmarks" in text
    code, text = judged(tmp_path, [], str(file), *QUIET)
    assert code == 0, text


@pytest.mark.parametrize(
    "fault, code, verdict",
    [("rset-without-effect", 0, "pass"), ("colon-ends-the-session", 1, "fail")],
)
def test_without_a_door_what_needs_no_mail_is_tried_all_the_same(
    tmp_path: Path, fault: str, code: int, verdict: str
) -> None:
    suites = [str(home() / "suites" / "fuzz" / f"test_{name}.py") for name in FUZZED]
    mail = tmp_path / "mail"
    mail.mkdir()
    somebodys = mail / "alice" / "new" / "1700000000.1.somebody"
    with ReferenceServer(MaildirStore(mail), ACCOUNTS, faults=[fault]) as server:
        somebodys.parent.mkdir(parents=True, exist_ok=True)
        somebodys.write_bytes(b"Subject: mine\n\nkeep this\n")
        address = f"127.0.0.1:{server.address[1]}"
        words = ("--report-dir=out", "--fuzz=60", *QUIET)
        accounts = "\n".join(f"{user}:{word}" for user, word in ACCOUNTS.items())
        ended = apart(tmp_path, *PROGRAM, address, *suites, *words, POP3SPEC_ACCOUNT=accounts)
    rows = json.loads((tmp_path / "out" / "results.json").read_text())["scenarios"]
    verdicts = {row["id"].partition("::")[2]: row["verdict"] for row in rows}

    # Behind the login nothing is said.
    assert ended.code == code, ended.text
    assert "commands: before the login alone" in ended.text
    assert "no door to fill the maildrop" in ended.text
    assert verdicts["test_any_command_line_gets_a_reply_or_a_clean_refusal"] == verdict
    assert verdicts["test_one_session_agrees_with_the_model"] == "blocked"
    assert somebodys.read_bytes() == b"Subject: mine\n\nkeep this\n"


def test_fuzzing_can_be_switched_off(tmp_path: Path) -> None:
    code, text = judged(tmp_path, [], SEQUENCES_SUITE, "--fuzz=off")

    assert code == 5, text
    assert "--fuzz=off" in text


@pytest.mark.parametrize("option", ["--fuzz=many", "--fuzz=0", "--fuzz-seconds=-1", "--fuzz="])
def test_a_number_of_examples_that_is_none_is_one_sentence(tmp_path: Path, option: str) -> None:
    ended = judge_here(tmp_path, option)

    assert ended.code == 4
    assert len(ended.sentences) == 1, ended.text


def test_a_bound_in_seconds_ends_each_property(tmp_path: Path) -> None:
    words = (SEQUENCES_SUITE, "--fuzz=100000", "--fuzz-seconds=0.5", *QUIET)
    code, text = judged(tmp_path, [], *words)

    assert code == 0, text
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert {row["verdict"] for row in results["scenarios"]} == {"pass"}
    assert max(row["seconds"] for row in results["scenarios"]) < 15


def test_hypothesis_is_not_imported_before_anything_is_drawn(tmp_path: Path) -> None:
    program = (
        "import sys, pop3spec.plugin, pop3spec.fuzzing.campaign, pop3spec.fuzzing.properties;"
        "sys.exit('hypothesis' in sys.modules)"
    )

    assert apart(tmp_path, "-c", program).code == 0
