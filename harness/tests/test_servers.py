"""The machinery around real servers; installing them is tried by running them."""

import errno
import hashlib
import hmac
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pop3spec.target import load_profile
from servers import __main__ as command_line
from servers import environments, judge, processes, record, repeat, roots, slots, together
from servers.registry import SERVERS
from servers.running import (
    TEMPLATES,
    Account,
    LeftOutError,
    Running,
    Server,
    ServerFailedError,
    address_in,
    long_accounts,
    new_accounts,
    restart_command,
    write_profile,
)


@pytest.fixture(autouse=True)
def _cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


class Sleeping:
    """A server that never answers, with the API of the modules."""

    NAME = "sleeping"

    def __init__(self, problem: Exception | None = None) -> None:
        self.problem = problem

    def describe(self) -> str:
        return "sleeps"

    def up(self, state: Path) -> Running:
        state = processes.take(state)
        processes.start(state, ["sleep", "60"])
        if self.problem is not None:
            raise self.problem
        return write_profile("popa3d", running(profile=state / "profile.yaml"))

    def down(self, state: Path) -> None:
        processes.give_back(state)


def running(profile: Path) -> Running:
    ports = ("port", "tls_port", "imap_port", "lmtp_port")
    return Running(
        host="127.0.0.1",
        ports={name: number for number, name in enumerate(ports, 1110)},
        accounts=(Account("alice", "p: 'q' #\"r\""), Account("bob", "12345678")),
        profile=profile,
        version="1.0",
        sasl_accounts=long_accounts(),
    )


@pytest.mark.parametrize("server", SERVERS.values(), ids=SERVERS)
def test_every_module_offers_the_same(server: Server) -> None:
    assert SERVERS[server.NAME] is server
    assert "\n" not in server.describe()
    assert callable(server.up)
    assert callable(server.down)


@pytest.mark.parametrize("name", SERVERS)
def test_the_profile_of_each_server_says_how_to_reach_and_to_fill_it(
    name: str, tmp_path: Path
) -> None:
    state = tmp_path / 'a "b" $c'
    state.mkdir()
    mine = running(state / "profile.yaml")

    profile = load_profile(write_profile(name, mine).profile)

    assert str(profile.target) == mine.address
    assert address_in(mine.profile) == ("127.0.0.1", 1110)
    told = [(each.user, each.password) for each in profile.accounts]
    assert told == [(each.user, each.password) for each in mine.accounts]
    kind, _, place = (profile.maildrop or "").partition(":")
    wanted = {"maildir": f"{state}/mail/{{user}}", "mbox": f"{state}/mail/{{user}}"}
    assert place == {**wanted, "imap": "//127.0.0.1:1112", "none": ""}[kind]
    if profile.tls_target is not None:
        assert str(profile.tls_target) == "127.0.0.1:1111"
        assert profile.ca == str(state / "tls" / "ca.pem")
    assert profile.hooks.restart in ((), restart_command(name, state))
    assert mine.profile.stat().st_mode & 0o077 == 0


def test_there_is_a_profile_for_each_server_and_no_other() -> None:
    assert {path.stem for path in TEMPLATES.iterdir()} == set(SERVERS)


def test_a_profile_has_the_longest_accounts_for_plain_alone(tmp_path: Path) -> None:
    mine = running(tmp_path / "profile.yaml")

    profile = load_profile(write_profile("dovecot", mine).profile)

    told = [(each.user, each.password, each.mechanisms) for each in profile.sasl_accounts]
    assert told == [(each.user, each.password, ("PLAIN",)) for each in mine.sasl_accounts]
    longest = mine.sasl_accounts
    assert (len(longest[0].user), len(longest[1].password)) == (255, 255)


def test_whoever_restarts_a_server_ends_its_processes_and_not_those_that_asked(
    tmp_path: Path,
) -> None:
    state = processes.take(tmp_path / "state")
    process = processes.start(state, ["sleep", "60"])
    processes.adopt(state, os.getpid())

    processes.end_all_but_callers(state)

    assert not processes.is_alive(process)
    assert [each.pid for each in processes.remembered(state)] == [os.getpid()]
    processes.remember(state, [])


def test_a_server_that_is_not_up_is_not_started_again(tmp_path: Path) -> None:
    with pytest.raises(ServerFailedError, match="dovecot is not up"):
        slots.place_of(SERVERS["dovecot"], None)
    with pytest.raises(ServerFailedError, match="dovecot is not up, or cannot be started again"):
        roots.restart("dovecot", tmp_path)


def test_accounts_have_strong_passwords_of_their_own() -> None:
    accounts = new_accounts()

    passwords = {account.password for account in accounts}
    assert len(passwords) == len(accounts)
    assert min(map(len, passwords)) >= 16


def test_giving_a_state_directory_back_ends_its_processes(tmp_path: Path) -> None:
    state = processes.take(tmp_path / "state")
    process = processes.start(state, ["sleep", "60"])

    processes.give_back(state)

    assert not processes.is_alive(process)
    assert not state.exists()


def test_a_number_that_passed_to_another_process_is_left_alone(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    state = processes.take(tmp_path / "state")
    current = processes.process_of(sleeper.pid)
    assert current is not None
    processes.remember(state, [processes.Process(current.pid, current.started - 1)])

    processes.give_back(state)

    assert sleeper.poll() is None


def test_a_directory_of_somebody_else_is_neither_taken_nor_removed(tmp_path: Path) -> None:
    (tmp_path / "letter").touch()

    with pytest.raises(ServerFailedError, match="no server of ours"):
        processes.take(tmp_path)
    processes.give_back(tmp_path)

    assert (tmp_path / "letter").exists()


def test_a_directory_that_still_gets_mail_is_removed_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = processes.take(tmp_path / "state")
    remove, tries = shutil.rmtree, []

    def removes(path: Path) -> None:
        tries.append(path)
        if len(tries) == 1:
            raise OSError(errno.ENOTEMPTY, "Directory not empty", str(path))
        remove(path)

    monkeypatch.setattr(shutil, "rmtree", removes)
    processes.give_back(state)

    assert len(tries) == 2
    assert not state.exists()


def test_the_next_up_ends_what_a_killed_run_left() -> None:
    server = Sleeping()
    left = slots.bring_up(server, None).profile.parent
    [process] = processes.remembered(left)

    with slots.borrowed(server, None) as second:
        assert not processes.is_alive(process)
        assert not left.exists()
        assert second.profile.parent != left

    assert not second.profile.parent.exists()
    with pytest.raises(ServerFailedError, match="sleeping is not up"):
        slots.place_of(server, None)


def test_what_another_command_works_with_is_left_alone() -> None:
    server = Sleeping()

    with slots.borrowed(server, None) as first:
        [process] = processes.remembered(first.profile.parent)
        assert not slots.bring_down(server, None)
        with slots.borrowed(server, None) as second:
            assert second.profile.parent != first.profile.parent
        assert slots.is_in_use(server.NAME)

        assert processes.is_alive(process)

    assert not processes.is_alive(process)
    assert not slots.is_in_use(server.NAME)


def test_a_state_directory_that_somebody_removed_is_said_in_one_sentence(tmp_path: Path) -> None:
    class Bereft(Sleeping):
        def up(self, state: Path) -> Running:
            state = processes.take(state)
            shutil.rmtree(state)
            processes.start(state, ["sleep", "60"])
            raise AssertionError("it cannot be started there")

    judged = judge.judge(Bereft(), tmp_path / "state", [])

    assert judged.exit_code == judge.FAILED
    assert "another command may have ended this server" in judge.line(judged)


def test_an_up_that_fails_leaves_nothing(tmp_path: Path) -> None:
    state = tmp_path / "state"

    with pytest.raises(ServerFailedError):
        slots.bring_up(Sleeping(ServerFailedError("no")), state)

    assert not state.exists()


def test_a_server_that_ends_is_not_waited_for(tmp_path: Path) -> None:
    state = processes.take(tmp_path / "state")
    processes.start(state, ["sh", "-c", "echo out of memory; sleep 0.1"])
    [port] = processes.free_ports(1)
    began = time.monotonic()

    with pytest.raises(ServerFailedError, match="out of memory"):
        processes.wait_for_greeting(state, "127.0.0.1", port)

    assert time.monotonic() - began < 5


def test_without_root_a_server_is_left_out_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    code = command_line.main(["up", "dovecot"])

    assert code == 0
    assert capsys.readouterr().out == "dovecot: left out: needs root and overlay mounts\n"


def test_what_judging_meets_is_in_its_line(tmp_path: Path) -> None:
    left_out = judge.judge(Sleeping(LeftOutError("needs root")), tmp_path / "a", [])
    failed = judge.judge(Sleeping(ServerFailedError("no port")), tmp_path / "b", [])

    assert left_out.is_accounted_for
    assert not failed.is_accounted_for
    assert judge.line(left_out) == "sleeping: left out: needs root"
    assert judge.line(failed) == "sleeping: did not come up: no port; exit code 3; 0 s"


def test_judging_hands_on_the_options_and_the_exit_code(tmp_path: Path) -> None:
    judged = judge.judge(Sleeping(), tmp_path / "state", ["--no-such-option-of-pytest"])

    assert judged.exit_code == 4
    assert not judged.is_accounted_for


@pytest.mark.parametrize("name", SERVERS)
def test_what_is_adjudicated_can_be_put_into_the_profile(name: str, tmp_path: Path) -> None:
    mine = write_profile(name, running(tmp_path / "profile.yaml"))

    record.put_on_record(name, mine.profile)

    known = load_profile(mine.profile).known_deviations
    judged = record.judgements(name)
    assert {each.rule for each in known} == {each.rule for each in judged if not each.sometimes}
    assert known[0].why == " ".join(judged[0].because.split())


def test_a_breach_that_nobody_judged_is_news() -> None:
    [known, *_] = record.judgements("popa3d")

    assert record.unadjudicated("popa3d", [known.rule, "rfc1939-6-quit"]) == ("rfc1939-6-quit",)
    assert record.unadjudicated("nobody", [known.rule]) == (known.rule,)


def test_counts_are_those_of_this_run(tmp_path: Path) -> None:
    profile, results = tmp_path / "profile.yaml", tmp_path / "results.json"
    results.write_text(json.dumps(verdicts(scenarios="pass fail pass", rules="fail warn")))
    os.utime(results, (1, 1))
    profile.touch()

    assert judge.counts(results, newer_than=profile) == ({}, {})
    os.utime(results)
    scenarios, rules = judge.counts(results, newer_than=profile)

    assert judge.in_words(scenarios) == "2 pass, 1 fail"
    assert rules == {"fail": 1, "warn": 1}


def verdicts(scenarios: str, rules: str, detail: str = "") -> dict[str, list[dict[str, str]]]:
    """Results with ids that count."""
    return {
        "scenarios": [
            {"id": f"s{n}", "verdict": each, "detail": detail}
            for n, each in enumerate(scenarios.split())
        ],
        "rules": [{"id": f"r{n}", "verdict": each} for n, each in enumerate(rules.split())],
    }


@pytest.mark.parametrize("words", [["--report-dir=out"], ["--report-dir", "out"]])
def test_results_are_read_where_the_options_say(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    ours = judge.pytest_command("popa3d", tmp_path / "profile.yaml", ["-x"])
    theirs = judge.pytest_command("popa3d", tmp_path / "profile.yaml", words)

    assert judge.report_directory(ours) == judge.CLONE / "reports" / "servers" / "popa3d"
    assert judge.report_directory(theirs) == tmp_path / "out"


def test_the_table_has_a_row_for_each_server() -> None:
    told = {"fail": 1, "pass": 84, "untested": 11, "not-applicable": 95}
    judged = judge.Judged("popa3d", "1.0.3", 1, 104.6, "", told)
    left_out = judge.Judged("dovecot", "", None, 0.1, "left out: needs root")

    lines = judge.table([judged, left_out])

    assert lines[0].split() == ["server", "version", *judge.VERDICTS, "seconds"]
    assert lines[1].split() == ["popa3d", "1.0.3", "1", "0", "84", "0", "11", "95", "105"]
    assert lines[2].split() == ["dovecot", "-", *("-" * 7)]


def test_what_flips_between_repetitions_is_named_with_both_details() -> None:
    one = verdicts("pass pass", "pass")
    other = verdicts("pass fail", "fail", detail="rfc1939-5-retr: 3 lines,\n  2 expected")
    fewer = verdicts("pass", "pass")

    assert repeat.flips({1: one, 2: one}) == []
    found = repeat.flips({1: one, 2: other, 3: fewer})

    assert [flip.id for flip in found] == ["s1", "r0"]
    assert list(found[0].lines) == [
        "s1",
        "  pass in 1",
        "  fail in 2: rfc1939-5-retr: 3 lines, 2 expected",
        "  not there in 3",
    ]


def test_half_of_the_repetitions_have_one_job(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Sequence[str]] = []

    def judged(server: Server, state: Path | None, options: Sequence[str]) -> judge.Judged:
        asked.append(options)
        return judge.Judged(server.NAME, "1.0", 0, 1.0)

    monkeypatch.setattr(repeat, "judge", judged)
    list(repeat.repeat(Sleeping(), 4, 2, ["--fuzz=off"]))

    assert [repeat.ONE_JOB in words for words in asked] == [False, True, False, True]
    assert all(words[0] == "--fuzz=off" for words in asked)
    assert len({words[-1] for words in asked}) == 4


# What stands for the command that judges one server: it says and does what the name asks for.
JUDGING = """
import pathlib, sys, time
name, place = sys.argv[1], pathlib.Path(sys.argv[2])
if name == "slow":
    time.sleep(60)
if name == "late" and not place.exists():
    place.touch()
    print("late: did not come up: no greeting; exit code 3; 30 s")
    sys.exit(3)
if name == "crashes":
    raise RuntimeError
if name == "news":
    print("news 1.0: 1 fail; not adjudicated: rfc1939-6-quit; exit code 1; 9 s")
    sys.exit(1)
code = {"left": 0, "blocked": 5, "usage": 4}.get(name, 1)
print("left: left out: needs root" if name == "left" else f"{name} 1.0: 1 fail; exit code {code}")
sys.exit(code)
"""


def test_side_by_side_only_pop3spec_and_what_nobody_adjudicated_can_fail(tmp_path: Path) -> None:
    names = ["popa3d", "left", "blocked", "slow", "late", "news", "crashes", "usage"]
    prefix = (sys.executable, "-c", JUDGING)

    several = list(together.judge_together(names, [str(tmp_path / "late")], 5, prefix))

    assert {told.name: told.line for told in several} == {
        "popa3d": "popa3d 1.0: 1 fail; exit code 1",
        "left": "left: left out: needs root",
        "blocked": "blocked 1.0: 1 fail; exit code 5",
        "slow": "slow: not done in time",
        "late": "late 1.0: 1 fail; exit code 1",
        "news": "news 1.0: 1 fail; not adjudicated: rfc1939-6-quit; exit code 1; 9 s",
        "crashes": "crashes: ended with exit code 1, no line",
        "usage": "usage 1.0: 1 fail; exit code 4",
    }
    assert [told.name for told in several if told.is_broken] == ["crashes", "usage"]
    assert [told.name for told in several if told.has_news] == ["news"]
    assert "RuntimeError" in together.tail(several[6])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_no_process_and_no_directory(number: signal.Signals) -> None:
    script = (
        "import sys; from pathlib import Path; from test_servers import Sleeping; "
        "from servers import __main__, processes, registry, slots; "
        "registry.SERVERS['sleeping'] = Sleeping(); "
        "up = Sleeping.up; "
        "Sleeping.up = lambda self, state: (up(self, state), print(state, flush=True), "
        "__import__('time').sleep(60)); "
        "sys.exit(__main__.main(['judge', 'sleeping']))"
    )
    tests = Path(__file__).parent
    path = os.pathsep.join([str(tests), str(tests.parent)])
    with subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as command:
        assert command.stdout is not None
        assert command.stderr is not None
        promise, state = command.stdout.readline(), Path(command.stdout.readline().strip())
        [process] = processes.remembered(state)

        command.send_signal(number)
        code, told = command.wait(20), command.stderr.read()

    assert "Nothing of your system is touched" in promise
    assert code == 128 + number
    assert told == f"\n{number.name}: what was started is ended\n"
    assert not processes.is_alive(process)
    assert not state.exists()


@pytest.mark.parametrize(
    "words, names, rest",
    [
        (
            ["judge", "voidpop", "-k", "stat", "--fuzz=off"],
            ["voidpop"],
            ["-k", "stat", "--fuzz=off"],
        ),
        (["judge", "voidpop", "--", "-x"], ["voidpop"], ["-x"]),
        (["all", "-x"], list(SERVERS), ["-x"]),
        (["judge", "all"], list(SERVERS), []),
        (["down", "all"], list(SERVERS), []),
        (["list"], [], []),
        (["together", "popa3d,twisted", "-q"], ["popa3d", "twisted"], ["-q"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_the_command_line_names_servers_and_options(
    words: list[str], names: list[str], rest: list[str]
) -> None:
    options = command_line.read_options(words)

    assert [server.NAME for server in options.servers] == names
    assert options.pytest_options == rest


@pytest.mark.parametrize(
    "words",
    [
        ["up"],
        ["up", "all"],
        ["up", "voidpop", "-x"],
        ["judge", "all", "--state-dir=/tmp/x"],
        ["judge", "popa3d,cyrrus"],
        ["repeat", "voidpop", "--state-dir=/tmp/x"],
        ["repeat", "voidpop", "--times=0"],
        ["repeat", "voidpop", "--known"],
    ],
    ids=lambda value: " ".join(value),
)
def test_a_command_that_makes_no_sense_is_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        command_line.read_options(words)

    assert refused.value.code == 2


def test_a_release_is_pinned() -> None:
    assert environments.Release("twisted", "1.2", "tls").requirement == "twisted[tls]==1.2"


def test_without_node_a_server_from_npm_is_left_out_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    code = command_line.main(["up", "wildduck"])

    assert code == 0
    assert capsys.readouterr().out == "wildduck: left out: needs node, npm\n"


@pytest.fixture
def auth_http(tmp_path: Path) -> Iterator[http.client.HTTPConnection]:
    """What nginx asks who may log in."""
    [port] = processes.free_ports(1)
    backend = {"server": "127.0.0.1", "server_port": 1110}
    settings = {"host": "127.0.0.1", "port": port, "users": {"alice": "p@ss w%rd"}, **backend}
    (tmp_path / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    state = processes.take(tmp_path / "state")
    program = environments.PROGRAMS / "serve_auth_http.py"
    processes.start(state, [sys.executable, "-I", program, tmp_path / "settings.json"])
    try:
        processes.wait_for_port(state, "127.0.0.1", port)
        yield http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    finally:
        processes.give_back(state)


SALT = "<1896.697170952@localhost>"


@pytest.mark.parametrize(
    "method, secret, is_right",
    [
        ("plain", "p%40ss%20w%25rd", True),
        ("plain", "p@ss", False),
        ("apop", hashlib.md5(f"{SALT}p@ss w%rd".encode()).hexdigest(), True),
        ("apop", "p%40ss%20w%25rd", False),
        ("cram-md5", hmac.new(b"p@ss w%rd", SALT.encode(), "md5").hexdigest(), True),
        ("cram-md5", hashlib.md5(f"{SALT}p@ss w%rd".encode()).hexdigest(), False),
        ("external", "", False),
    ],
)
def test_nginx_is_told_the_password_of_who_has_proved_to_know_it(
    auth_http: http.client.HTTPConnection, method: str, secret: str, is_right: bool
) -> None:
    asked = {"Auth-Method": method, "Auth-User": "alice", "Auth-Pass": secret, "Auth-Salt": SALT}
    auth_http.request("GET", "/", headers=asked)
    answer = auth_http.getresponse()

    assert (answer.getheader("Auth-Status") == "OK") == is_right
    assert answer.getheader("Auth-Port") == ("1110" if is_right else None)
    assert answer.getheader("Auth-Pass") == ("p@ss w%rd" if is_right else None)


def test_another_recipe_is_another_installation() -> None:
    if not Path("/var/lib/dpkg/status").exists():
        pytest.skip("no Debian")
    one, other = roots.Recipe("a", ("b",)), roots.Recipe("a", ("c",))

    assert roots.fingerprint(one) != roots.fingerprint(other)
