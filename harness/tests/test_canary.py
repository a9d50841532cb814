"""A password shows in no file that a run writes and on no terminal, however the run fails.

Servers that know it say it in many forms; profiles, scenarios, doors and tests hold it in
wrong places; pop3spec itself is made to break down with it in hand.
"""

import base64
import hashlib
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import pytest
from command import Ended, end_of, here, judge_here, start
from test_usage import closed_port

from pop3spec.collected import home
from pop3spec.reference.faults import FAULTS
from pop3spec.reference.faults.fault import Fault
from pop3spec.reference.server import ReferenceServer
from pop3spec.reference.session import Session
from pop3spec.reference.stores import MemoryStore

CANARY = "Kana%ri=en+V0gel/71"
WRONG = "Zei$ig&Stie=glitz/38"
RUN = ("-m", "pop3spec", "run")
FILES = tuple(f"scenarios/rfc1939/{name}.yaml" for name in ("apop", "wrong-state"))
# One scenario is enough to break down in.
ONE = f"{FILES[1]}::user-after-login"
LOUD = ("-v", "-rA", "--showlocals", "--tb=long", "--transcripts=all")


def forms(password: str) -> dict[str, bytes]:
    """How a password may come back."""
    octets = password.encode()
    digest = hashlib.md5(octets, usedforsecurity=False)
    return {
        "as it is": octets,
        "percent-encoded": quote(password, safe="").encode(),
        "base64": base64.b64encode(octets),
        "base64 of PLAIN": base64.b64encode(b"\0alice\0" + octets),
        "base64 for URLs": base64.urlsafe_b64encode(octets),
        "hex": octets.hex().encode(),
        "HEX": octets.hex().upper().encode(),
        "md5": digest.hexdigest().encode(),
        "md5 in base64": base64.b64encode(digest.digest()),
        "upper case": octets.upper(),
        "lower case": octets.lower(),
    }


# A beginning or an end that a shortened quotation leaves is too much as well.
SOUGHT = {
    f"{name} of {password[:4]}": form
    for password in (CANARY, WRONG)
    for name, form in (
        *forms(password).items(),
        ("beginning", password[:8].encode()),
        ("end", password[-8:].encode()),
    )
}


def leaks(text: bytes, where: str) -> list[str]:
    return [f"{name} in {where}" for name, form in SOUGHT.items() if form in text]


def assert_silent(directory: Path, *ended: Ended) -> None:
    """Nothing that was written below the directory or on a terminal gives a password away."""
    found = [leak for each in ended for leak in leaks(each.text.encode(), "the terminal")]
    for path in directory.rglob("*"):
        if path.is_file():
            found += leaks(path.read_bytes(), str(path.relative_to(directory)))
    assert found == []


class Echoes(Session):
    """A server that says what it knows, or what it was told."""

    knows: ClassVar[str] = CANARY

    @property
    def known(self) -> bytes:
        return b" ".join(forms(self.knows).values())

    def greeting(self) -> bytes:
        return b"+OK " + self.known[:300] + b" " + self.timestamp + b"\r\n"

    def negative(self, text: bytes) -> bytes:
        return super().negative(text + b" " + self.known)

    def user_command(self, argument: bytes) -> bytes:
        return super().user_command(argument).replace(b"\r\n", b" " + self.known + b"\r\n")

    def capa_command(self) -> bytes:
        line = b"IMPLEMENTATION " + self.knows.encode() + b"\r\n"
        return super().capa_command().replace(b"IMPLEMENTATION ", line + b"X-")

    def apop_command(self, *arguments: bytes) -> bytes:
        return b"-ERR " + b" ".join(arguments) + b" " + self.known + b"\r\n"


@pytest.fixture
def echoes(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server that breaks rules and says the password again and again."""
    fault = Fault("Echoes", frozenset(), "none", False, (Echoes,))
    monkeypatch.setitem(FAULTS, "Echoes", fault)
    accounts = dict.fromkeys(("alice", "bob"), CANARY)
    faults = ("Echoes", "states-not-checked")
    with ReferenceServer(MemoryStore(), accounts, faults=faults) as server:
        yield f"127.0.0.1:{server.address[1]}"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where everything is written, and nothing is that a test puts there itself."""
    (tmp_path / "out").mkdir()
    (tmp_path / "in").mkdir()
    return tmp_path / "out"


def account(password: str = CANARY) -> dict[str, Any]:
    return {"POP3SPEC_ACCOUNT": f"alice:{password}\nbob:{password}"}


def at(out: Path, name: str) -> tuple[str, ...]:
    """Options that keep everything in a directory of its own."""
    return (
        f"--report-dir={out / name}",
        *("-o", f"cache_dir={out / name}-cache"),
        f"--junitxml={out / name}.xml",
    )


def test_a_server_that_echoes_the_password_is_quoted_without_it(out: Path, echoes: str) -> None:
    target = f"--target={echoes}"
    processes = [
        start(out, (*RUN, target, *LOUD, *FILES, *at(out, "one")), **account()),
        start(out, (*RUN, target, *LOUD, *FILES, *at(out, "two"), "-n", "2"), **account()),
        start(out, (*RUN, target, f"--account=alice:{CANARY}", *FILES, *at(out, "option"))),
    ]
    one, two, option = (end_of(process) for process in processes)

    assert (one.code, two.code, option.code) == (1, 1, 1), one.text + two.text
    assert "***" in (out / "one" / "results.json").read_text()
    assert_silent(out, one, two, option)


def test_a_wrong_password_is_told_without_it(
    out: Path, echoes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Echoes, "knows", WRONG)

    ended = end_of(start(out, (*RUN, f"--target={echoes}", *LOUD, *FILES), **account(WRONG)))

    assert ended.code == 4, ended.text
    assert_silent(out, ended)


# What breaks down, where: the words of the error hold the password.
CRASH = """\
import os, threading
from pop3spec import session
from pop3spec.plugin import collecting, ending
from pop3spec.runner import following

def crash(*words, **more):
    password = os.environ["CANARY"]
    raise RuntimeError(f"it was {password!r}, as in {password.encode()!r}")

def in_thread(*words, **more):
    thread = threading.Thread(target=crash)
    thread.start()
    thread.join()
    return kept(*words, **more)

where = os.environ["WHERE"]
if where == "probe":
    session.Session.log_in = crash
elif where == "scenario":
    following.Follower.follow = crash
elif where == "reports":
    ending._results = crash
elif where == "collection":
    collecting.YamlFile.collect = crash
elif where == "thread":
    kept = collecting.YamlItem.runtest
    collecting.YamlItem.runtest = in_thread
"""


@pytest.mark.parametrize("where", ["probe", "scenario", "reports", "collection", "thread"])
def test_a_crash_of_our_own_is_told_without_it(out: Path, echoes: str, where: str) -> None:
    (out.parent / "in" / "crash.py").write_text(CRASH)
    path = f"{out.parent / 'in'}:{home() / 'harness'}"
    variables = account() | {"CANARY": CANARY, "WHERE": where, "PYTHONPATH": path}
    words = (*RUN, f"--target={echoes}", "-p", "crash", *LOUD, ONE)
    processes = [
        start(out, (*words, *at(out, "alone")), **variables),
        start(out, (*words, *at(out, "many"), "-n", "2"), **variables),
    ]
    ended = [end_of(process) for process in processes]

    # The thread is not ours, and what it does is none of the scenario's business.
    assert where == "thread" or all(each.code for each in ended)
    assert all("it was" in each.text for each in ended), [each.text for each in ended]
    assert_silent(out, *ended)


PROFILES: Sequence[str] = (
    "accounts: [{user: alice, password: %s, pasword: %s}]",
    "accounts: [{user: alice, password: [%s]}]",
    "accounts: [{user: alice, password: {%s: 1}}]",
    "accounts: alice:%s",
    "accounts: [alice:%s]",
    "accounts: [{user: alice, password: '%s}]",
    "target: pop3://alice:%s@localhost:port",
    "target: alice:%s@localhost:110",
    "accounts:\n  - user: alice\n\t- password: %s",
    "accounts: [{user: alice, password: &%s x}]",
)


@pytest.mark.parametrize("text", PROFILES)
def test_a_malformed_profile_is_told_without_it(out: Path, text: str) -> None:
    profile = out.parent / "in" / "profile.yaml"
    profile.write_text(text.replace("%s", CANARY) + "\n")

    validated = here(out, "validate", str(profile))
    judged = judge_here(out, f"--target-profile={profile}", *FILES, *at(out, "reports"))

    assert judged.code == 4, judged.text
    assert_silent(out, validated, judged)


URLS: Sequence[str] = (
    "pop3://alice:%s@{}",
    "pop3s://alice:%s@{}",
    "pop3://alice:%s@{}port",
    "alice:%s@{}",
    "pop4://alice:%s@{}",
    "pop3://alice:%s",
    "alice:%s",
)


@pytest.mark.parametrize("url", URLS)
def test_a_target_that_is_not_there_is_named_without_it(out: Path, url: str) -> None:
    with closed_port() as address:
        for password in (CANARY, quote(CANARY, safe="")):
            target = url.replace("%s", password).format(address)
            first = judge_here(out, target, *FILES, *at(out, "first"))
            option = judge_here(out, f"--target={target}", *FILES, *at(out, "option"))

            assert (first.code, option.code) == (4, 4), first.text + option.text
            assert_silent(out, first, option)


SCENARIO = """\
about: a password in wrong places
scenarios:
  - id: noop
    title: NOOP gives the password back
    rules: [rfc1939-5-noop]
    state: TRANSACTION
    steps:
      - send: NOOP {password}
        expect: {status: +OK, text: "{password}"}
  - id: torn
    title: PASS is torn, doubled and misspelt
    rules: [rfc1939-7-user-pass]
    state: AUTHORIZATION
    steps:
      - send: USER {user}
      - send-bytes: "  PAS {password} {b64:{password}}\\r\\nPASS\\t{password}\\r\\n"
        expect: {status: +OK, text: "{password}"}
"""
SUITE = """\
import pytest
from pop3spec.fixtures import blocked

@pytest.mark.rules("rfc1939-5-noop")
def test_asserts(maildrop):
    password = maildrop.mailbox.account.password
    print(password)
    assert password == "another"

@pytest.mark.rules("rfc1939-5-noop")
def test_prints(maildrop):
    print(maildrop.mailbox.account.password)

@pytest.mark.rules("rfc1939-5-noop")
def test_raises(session):
    raise ValueError(session.account.password * 40)

@pytest.mark.rules("rfc1939-5-noop")
def test_says_why_not(maildrop):
    blocked(f"the password {maildrop.mailbox.account.password} is too long")

@pytest.fixture
def breaks(maildrop):
    pytest.skip(f"the password {maildrop.mailbox.account.password} is too long")

def test_is_not_reached(breaks):
    pass
"""


def test_tests_that_hold_the_password_are_told_without_it(out: Path, echoes: str) -> None:
    scenario, suite = out.parent / "in" / "own.yaml", out.parent / "in" / "test_own.py"
    scenario.write_text(SCENARIO)
    suite.write_text(SUITE)
    words = (*RUN, f"--target={echoes}", *LOUD, str(scenario), str(suite))
    processes = [
        start(out, (*words, *at(out, "alone")), **account()),
        start(out, (*words, *at(out, "many"), "-n", "2"), **account()),
    ]
    ended = [end_of(process) for process in processes]

    assert [each.code for each in ended] == [1, 1], ended[0].text
    assert_silent(out, *ended)


def test_a_door_that_says_the_password_is_quoted_without_it(out: Path, echoes: str) -> None:
    program = shlex.join([sys.executable, "-c", "import os, sys; sys.exit(os.environ['CANARY'])"])
    (out.parent / "in" / "alice").mkdir()
    door = f"--maildrop=command:{program} {{user}} +maildir:{out.parent / 'in'}/{{user}}"
    words = (
        *RUN,
        f"--target={echoes}",
        door,
        *LOUD,
        "scenarios/rfc1939/dele.yaml::tenth-of-twelve",
    )
    variables = account() | {"CANARY": CANARY, "POP3SPEC_STATE": str(out / "state")}

    ended = end_of(start(out, (*words, *at(out, "alone")), **variables))

    assert "refuses a message with exit code 1: ***" in ended.text
    assert_silent(out, ended)
