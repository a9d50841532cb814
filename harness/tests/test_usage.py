"""Bad usage: one sentence and the promised exit code; and the other exit codes."""

import configparser
import contextlib
import functools
import json
import shlex
import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import trustme
from command import Ended, apart, collected, end_of, here, judge_here, start

from pop3spec.collected import home
from pop3spec.options import OPTIONS
from pop3spec.reference.server import ReferenceServer
from pop3spec.reference.stores import MaildirStore, MemoryStore
from pop3spec.run import Run

PASSWORD = "correct-horse-9"
SCENARIO = """\
about: a test
topic: state
scenarios:
  - id: stat
    title: STAT is refused before the login
    rules: [rfc1939-3-wrong-state]
    state: AUTHORIZATION
    steps:
      - send: STAT
        expect: -ERR
"""


@pytest.fixture
def one(tmp_path: Path) -> Path:
    """A directory with one small scenario, so that nothing else is read."""
    (tmp_path / "one.yaml").write_text(SCENARIO)
    return tmp_path


@pytest.fixture
def server() -> Iterator[str]:
    """The address of a reference server that knows alice and bob."""
    accounts = {"alice": PASSWORD, "bob": PASSWORD}
    with ReferenceServer(MemoryStore(), accounts) as running:
        yield f"127.0.0.1:{running.address[1]}"


def assert_one_sentence(ended: Ended, *words: str) -> None:
    assert ended.code == 4, ended.text
    assert "Traceback" not in ended.text
    assert "INTERNALERROR" not in ended.text
    [sentence] = ended.sentences
    assert not [word for word in words if word not in sentence], sentence
    assert PASSWORD not in ended.text


# --- Options ---

BAD_OPTIONS: Sequence[tuple[str, tuple[str, ...], str]] = (
    ("target-without-port", ("--target=localhost",), "host:port"),
    ("target-with-bad-port", (f"--target=pop3://alice:{PASSWORD}@[::1]:port",), "below 65536"),
    ("target-empty", ("--target=",), "--target: the value is missing"),
    ("target-ambiguous", ("--target=::1:110",), "[v6]:port"),
    ("target-with-account", (f"--target=alice:{PASSWORD}@localhost:110",), "pop3://user:password"),
    ("scheme", ("--target=http://localhost:110",), "'http' is unknown"),
    ("tls-target", ("--tls-target=localhost",), "host:port"),
    ("transport", ("--transport=plain,ssl",), "'ssl' is unknown"),
    ("transport-without-port", ("--target=127.0.0.1:1", "--transport=tls"), "--tls-target"),
    ("account", (f"--account={PASSWORD}",), "USER:PASSWORD"),
    ("account-twice", ("--target=127.0.0.1:1", "--account=a:b", "--account=a:c"), "given twice"),
    ("maildrop", ("--maildrop=floppy:disk",), "--maildrop=floppy:disk: unknown door"),
    ("maildrop-without-user", ("--maildrop=maildir:/srv/mail",), "{user}"),
    ("jobs-none", ("--jobs=0",), "--jobs=0: it has to be a whole number, at least 1"),
    ("jobs-no-number", ("--jobs=many",), "--jobs=many"),
    ("seed", ("--seed=-1",), "--seed=-1"),
    ("level", ("--level=may",), "must or should"),
    ("transcripts", ("--transcripts=none",), "failed or all"),
    ("reply-timeout", ("--reply-timeout=0",), "seconds"),
    ("failed-logins", ("--max-failed-logins=-1",), "at least 0"),
    ("ca-missing", ("--ca=missing.pem",), "--ca=missing.pem: there is no such file"),
    ("ca-no-certificates", ("--ca=one.yaml",), "--ca=one.yaml: not a readable file of PEM"),
    ("ca-directory", ("--ca=.",), "--ca=."),
    ("key-alone", ("--client-key=one.yaml",), "--client-cert"),
    ("client-cert", ("--client-cert=one.yaml",), "--client-cert=one.yaml"),
    ("profile-missing", ("--target-profile=missing.yaml",), "missing.yaml:1:1"),
    ("profile-directory", ("--target-profile=.",), "cannot be read"),
    ("profile-no-profile", ("--target-profile=one.yaml",), "one.yaml:1:1: unknown key 'about'"),
    ("report-dir", ("--report-dir=one.yaml",), "--report-dir=one.yaml"),
    ("unknown", ("--targets=localhost:110",), "unrecognized arguments: --targets"),
)


@pytest.mark.parametrize(
    ("options", "words"), [pytest.param(*rest, id=name) for name, *rest in BAD_OPTIONS]
)
def test_a_bad_option_is_one_sentence(one: Path, options: Sequence[str], words: str) -> None:
    ended = judge_here(one, "one.yaml", *options)

    # Options that we never see are pytest's to refuse, in its own words.
    if options[0].startswith("--targets"):
        assert ended.code == 4
        assert words in ended.text
    else:
        assert_one_sentence(ended, words)
    assert not (one / "reports").exists()


BAD_COMMANDS: Sequence[tuple[tuple[str, ...], str]] = (
    ((), "COMMAND"),
    (("judge",), "judge"),
    (("rules", "--level=may-be"), "--level"),
    (("validate",), "FILE"),
    (("validate", "missing.yaml"), "missing.yaml: there is no such file"),
    (("serve", "--fault=none-such"), "none-such"),
    (("serve", "--account=alice"), "USER:PASSWORD"),
    (("serve", "--host=192.0.2.1"), "cannot listen on 192.0.2.1:1110"),
)


@pytest.mark.parametrize(("words", "sentence"), BAD_COMMANDS)
def test_a_bad_command_is_one_sentence(tmp_path: Path, words: Sequence[str], sentence: str) -> None:
    assert_one_sentence(here(tmp_path, *words), sentence)


def test_a_path_that_does_not_exist_is_named(one: Path) -> None:
    assert_one_sentence(judge_here(one, "nowhere.yaml"), "nowhere.yaml")


# --- The target ---


@contextlib.contextmanager
def closed_port() -> Iterator[str]:
    """An address that refuses connections: bound, so that nobody else gets it, not listening."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


def test_a_host_that_nobody_knows_is_unreachable(one: Path) -> None:
    ended = judge_here(one, "no..such.host:110", "one.yaml")

    assert_one_sentence(ended, "the target is unreachable", "'no..such.host'")


def test_a_closed_port_is_unreachable(one: Path) -> None:
    with closed_port() as address:
        ended = judge_here(one, address, "one.yaml")

        assert_one_sentence(ended, f"the target is unreachable: no connection to {address}")


def test_a_plain_port_gives_no_tls(one: Path, server: str) -> None:
    ended = judge_here(one, f"pop3s://{server}", "one.yaml")

    assert_one_sentence(ended, f"no TLS with {server}")


def test_a_wrong_password_for_every_account_is_bad_usage(one: Path, server: str) -> None:
    ended = judge_here(one, server, "one.yaml", POP3SPEC_ACCOUNT="alice:wrong-1\nbob:wrong-2\n")

    assert_one_sentence(ended, f"{server} refuses every account: alice: ", "and 1 more")
    assert "wrong-" not in ended.text


def test_a_wrong_password_for_one_account_is_told_and_the_others_are_used(
    one: Path, server: str
) -> None:
    scenario = SCENARIO.replace("AUTHORIZATION", "TRANSACTION").replace("-ERR", "+OK")
    (one / "one.yaml").write_text(scenario.replace("-3-wrong-state", "-5-stat-count"))
    accounts = f"alice:wrong-1\nbob:{PASSWORD}"

    ended = judge_here(one, server, "one.yaml", POP3SPEC_ACCOUNT=accounts)

    assert ended.code == 0, ended.text
    assert "not used: alice: the login (PASS) is refused" in ended.text
    assert "1 passed" in ended.text


class Scripted:
    """A server with one answer to every command, and a number of clients that it takes."""

    def __init__(self, answer: bytes, clients: int | None = None) -> None:
        self._answer = answer
        self._left = clients
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with self._listener, contextlib.suppress(OSError):
            while self._left is None or self._left > 0:
                client, _ = self._listener.accept()
                with client, contextlib.suppress(OSError):
                    self._talk(client)

    def _talk(self, client: socket.socket) -> None:
        client.sendall(b"+OK ready\r\n")
        with client.makefile("rb") as lines:
            for number, line in enumerate(lines):
                if number == 0 and self._left is not None:
                    self._left -= 1
                if line == b"QUIT\r\n":
                    client.sendall(b"+OK bye\r\n")
                    return
                client.sendall(self._answer)

    def __enter__(self) -> "Scripted":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)


@pytest.mark.parametrize(
    "refusal",
    [b"-ERR [AUTH] cleartext logins need SSL\r\n", b"-ERR [SYS/TEMP] try again\r\n"],
)
def test_a_refusal_of_cleartext_or_for_now_blocks(one: Path, refusal: bytes) -> None:
    account = "alice:not-shown-1"

    with Scripted(refusal) as server:
        ended = judge_here(one, server.address, "one.yaml", "--jobs=1", POP3SPEC_ACCOUNT=account)

    assert ended.code == 0, ended.text
    assert "1 passed" in ended.text
    assert "not-shown-1" not in ended.text


# --- Scenario files ---

MALFORMED: Sequence[tuple[str, str, str, str]] = (
    ("unknown-key", "expect: -ERR", "expct: -ERR", "10:9: unknown key 'expct'"),
    ("wrong-type", "rules: [rfc1939-3-wrong-state]", "rules: {a: b}", "6:12: "),
    ("unknown-rule", "-3-wrong-state", "-3-wrong-stat", "6:13: unknown rule"),
    ("tab", "    steps:", "\tsteps:", "8:1: a tab"),
    ("anchor", "expect: -ERR", "expect: &refused -ERR", "10:17: "),
    ("no-yaml", "rules: [rfc1939-3-wrong-state]", "rules: [rfc1939-3-wrong-state", ""),
    (
        "duplicate-id",
        "scenarios:\n",
        "scenarios:\n  - {id: stat, title: a, rules: [rfc1939-5-noop], state: AUTHORIZATION,"
        " steps: [{send: NOOP}]}\n",
        "5:9: the id 'stat' is taken in line 4",
    ),
)


@pytest.mark.parametrize(
    ("old", "new", "place"), [pytest.param(*rest, id=name) for name, *rest in MALFORMED]
)
def test_a_malformed_scenario_is_one_sentence_with_its_place(
    one: Path, old: str, new: str, place: str
) -> None:
    (one / "one.yaml").write_text(SCENARIO.replace(old, new, 1))

    assert_one_sentence(judge_here(one, "one.yaml"), f"one.yaml:{place}")
    assert_one_sentence(judge_here(one, "."), f"one.yaml:{place}")
    assert_one_sentence(judge_here(one, ".", "--collect-only"), f"one.yaml:{place}")
    validated = here(one, "validate", "one.yaml")
    assert validated.code == 4
    assert f"one.yaml:{place}" in validated.text


def test_a_profile_is_validated_with_its_place(one: Path) -> None:
    (one / "profile.yaml").write_text("target: mail.example:110\nacounts: []\n")

    validated = here(one, "validate", ".")

    assert validated.code == 4
    assert "profile.yaml:2:1: unknown key 'acounts' in a profile" in validated.text
    assert "2 files, 1 malformed" in validated.text


# --- With processes side by side ---


def test_bad_usage_is_the_same_with_processes_side_by_side(one: Path, server: str) -> None:
    (one / "bad.yaml").write_text(SCENARIO.replace("expect:", "expct:"))
    many: tuple[str, ...] = ("-m", "pop3spec", "run", "-n", "2")
    with closed_port() as closed:
        processes = [
            start(one, (*many, "bad.yaml")),
            start(one, (*many, "one.yaml", "--target-profile=missing.yaml")),
            start(one, (*many, "one.yaml", f"--target={closed}")),
            start(one, (*many, "one.yaml", f"--target={server}"), POP3SPEC_ACCOUNT="alice:wrong"),
            start(one, (*many, "one.yaml", "--ca", "missing.pem")),
        ]
        ended = [end_of(process) for process in processes]

    assert_one_sentence(ended[0], "bad.yaml:10:9: unknown key 'expct'")
    assert_one_sentence(ended[1], "missing.yaml:1:1")
    assert_one_sentence(ended[2], "the target is unreachable")
    assert_one_sentence(ended[3], "refuses every account")
    assert_one_sentence(ended[4], "--ca=missing.pem")


def test_processes_side_by_side_come_to_the_same_verdicts(tmp_path: Path) -> None:
    mail = tmp_path / "mail"
    mail.mkdir()
    accounts = {"alice": PASSWORD, "bob": PASSWORD, "carol": PASSWORD}
    variables: dict[str, Any] = {
        "POP3SPEC_ACCOUNT": f"alice:{PASSWORD}\nbob:{PASSWORD}\ncarol:mistyped"
    }
    with ReferenceServer(MaildirStore(mail), accounts) as server:
        target = f"--target=127.0.0.1:{server.address[1]}"
        door = f"--maildrop=maildir:{mail}/{{user}}"
        words = ("-m", "pop3spec", "run", target, door, "scenarios/rfc1939/dele.yaml")
        # One after the other: two runs on one mailbox would disturb each other.
        alone = apart(tmp_path, *words, "--report-dir=alone", **variables)
        many = apart(tmp_path, *words, "-n", "3", "--report-dir=many", **variables)

    assert (alone.code, many.code) == (0, 0), alone.text + many.text
    assert _verdicts(tmp_path / "alone") == _verdicts(tmp_path / "many")
    assert "blocked" not in _verdicts(tmp_path / "many").values()
    assert "not used: carol" in many.text
    assert PASSWORD not in many.text


def _verdicts(reports: Path) -> dict[str, str]:
    results = json.loads((reports / "results.json").read_text())
    return {each["id"]: each["verdict"] for each in results["scenarios"]}


def test_no_account_is_said_once_and_the_rest_decides(tmp_path: Path, server: str) -> None:
    files = ("scenarios/rfc1939/greeting.yaml", "scenarios/rfc1939/dele.yaml")
    words = ("-m", "pop3spec", "run", f"--target={server}", *files, "-q")
    processes = [
        start(tmp_path, (*words, "--report-dir=alone")),
        start(tmp_path, (*words, "--report-dir=many", "-n", "2")),
    ]
    alone, many = (end_of(process) for process in processes)

    assert alone.text.count("no account was given") == 1
    assert many.text.count("no account was given") == 1
    assert (alone.code, many.code) == (0, 0)
    verdicts = _verdicts(tmp_path / "alone")
    assert set(verdicts.values()) == {"pass", "blocked"}
    assert verdicts == _verdicts(tmp_path / "many")


# --- Spellings, and the company of other plugins ---


def suite_command() -> list[str]:
    """How tox starts the suite, without the interpreter."""
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(home() / "tox.ini")
    python, *words = shlex.split(settings["suite"]["pytest"])
    assert python == "python"
    return words


def test_a_value_may_stand_apart_where_root_and_configuration_are_pinned(tmp_path: Path) -> None:
    trusted = tmp_path / "authority.pem"
    trustme.CA().cert_pem.write_to_path(trusted)
    reports = f"--report-dir={tmp_path / 'reports'}"
    some = ("-k", "greeting", "-q", "-p", "no:cacheprovider", reports)
    processes = [
        start(home(), ("-m", "pytest", f"--ca={trusted}", *some)),
        start(home(), (*suite_command(), "--ca", str(trusted), *some)),
        start(tmp_path, ("-m", "pop3spec", "run", "--ca", str(trusted), *some)),
        start(tmp_path, ("-m", "pop3spec", "run", f"--ca={trusted}", *some)),
    ]
    ended = [end_of(process) for process in processes]

    counts = [each.text.splitlines()[-1].partition(" passed")[0] for each in ended]
    assert [each.code for each in ended] == [0, 0, 0, 0], ended
    assert len(set(counts)) == 1
    assert int(counts[0]) > 0


def test_our_options_stand_beside_those_of_other_plugins(tmp_path: Path) -> None:
    plugins = ("xdist", "pytest_timeout", "pytest_cov", "pop3spec.plugin")
    loaded = [word for plugin in plugins for word in ("-p", plugin)]
    environment: dict[str, Any] = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}

    ended = apart(tmp_path, "-m", "pytest", *loaded, "--help", **environment)

    assert ended.code == 0, ended.text
    missing = [name for name, _ in OPTIONS if f"  --{name}" not in ended.text]
    assert not missing
    # pytest-profiling, which need not be here, and what pytest once owned.
    others = {"profile", "profile-svg", "pstats-dir", "element-number", "strip-dirs", "strict"}
    assert others.isdisjoint(name for name, _ in OPTIONS)


def test_collecting_opens_no_connection(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        account = {"POP3SPEC_ACCOUNT": f"alice:{PASSWORD}"}

        alone = judge_here(tmp_path, address, "--collect-only", "-q", **account)
        many = judge_here(tmp_path, address, "--collect-only", "-q", "-n", "2", **account)

        with pytest.raises(BlockingIOError):
            listener.accept()
    assert (alone.code, many.code) == (0, 0)
    assert len(collected(alone.text)) > 100
    assert collected(alone.text) == collected(many.text)
    assert list(tmp_path.iterdir()) == []


# --- Exit codes ---


def test_a_server_that_breaks_a_rule_is_exit_code_1(one: Path) -> None:
    with ReferenceServer(MemoryStore(), {}, faults=("states-not-checked",)) as server:
        address = f"127.0.0.1:{server.address[1]}"
        ended = judge_here(one, address, "one.yaml")

    assert ended.code == 1, ended.text
    assert "fail: rfc1939-3-wrong-state (MUST; RFC 1939, section 3)" in ended.text
    assert f"replay: pop3spec run {address} one.yaml::stat" in ended.text


def test_nothing_selected_or_all_blocked_is_exit_code_5(tmp_path: Path, server: str) -> None:
    (tmp_path / "one.yaml").write_text(SCENARIO.replace("AUTHORIZATION", "TRANSACTION"))

    nothing = judge_here(tmp_path, server, "one.yaml", "-k", "nothing-is-called-so")
    blocked = judge_here(tmp_path, server, "one.yaml", "-k", "stat")

    assert nothing.code == 5, nothing.text
    assert blocked.code == 5, blocked.text


def test_a_target_that_goes_away_is_exit_code_6(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Asking again is what takes long, and is not what this is about.
    monkeypatch.setattr("pop3spec.plugin.state.Run", functools.partial(Run, back_off=(0.01,)))
    names = [f"{letter}.yaml" for letter in "abcd"]
    for name in names:
        (tmp_path / name).write_text(SCENARIO)

    with Scripted(b"-ERR not yet\r\n", clients=3) as server:
        ended = judge_here(tmp_path, server.address, *names, "--jobs=1")

    assert ended.code == 6, ended.text
    assert set(_verdicts(tmp_path / "reports").values()) == {"pass", "blocked"}
