"""Doors into real servers: what they put there is what the server shows.

Installs and starts servers, so it is asked for with POP3SPEC_REAL_SERVERS=1.
"""

import imaplib
import json
import os
import re
import shlex
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pop3spec.maildrop import Door, DoorError
from pop3spec.maildrop.access import Access
from pop3spec.maildrop.doors import open_door
from pop3spec.target import parse_address
from servers import processes
from servers.certificates import authority_in
from servers.registry import SERVERS
from servers.running import TLS_NAME, Account, LeftOutError, Running

CLONE = Path(__file__).resolve().parents[2]
# What a door can spoil: contents, sizes, marks and what stays behind them.
SCENARIOS = [f"scenarios/rfc1939/{name}.yaml" for name in ("retr", "listings", "update", "uidl")]
ONE = b"Subject: one\r\n\r\nfirst\r\n"
DOTS = b"Subject: dots\r\n\r\n.\r\n..\r\n\xff\r\nno line end"
FOREIGN = b"Subject: theirs\r\n\r\nnot ours\r\n"

pytestmark = pytest.mark.skipif(
    os.environ.get("POP3SPEC_REAL_SERVERS") != "1",
    reason="installs and starts real servers, as root; ask for it with POP3SPEC_REAL_SERVERS=1",
)


@pytest.fixture(autouse=True)
def _state_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POP3SPEC_STATE", str(tmp_path / "state"))


@contextmanager
def up(name: str, state: Path) -> Iterator[Running]:
    server = SERVERS[name]
    try:
        yield server.up(state)
    except LeftOutError as problem:
        pytest.skip(f"{name}: {problem}")
    finally:
        server.down(state)


@pytest.fixture(scope="module")
def dovecot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with up("dovecot", tmp_path_factory.mktemp("dovecot") / "state") as running:
        yield running


@pytest.fixture(scope="module")
def cyrus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with up("cyrus", tmp_path_factory.mktemp("cyrus") / "state") as running:
        yield running


@pytest.fixture
def dovecot_strict(tmp_path: Path) -> Iterator[Running]:
    with up("dovecot-strict", tmp_path / "strict") as running:
        yield running


def door_of(running: Running, kind: str) -> str:
    """The door of a kind that a server's profile has, or names in a comment."""
    profile = running.profile.read_text(encoding="utf-8")
    [spec] = re.findall(rf'^(?:# +)?maildrop: "({kind}:.*)"$', profile, re.MULTILINE)
    return str(spec)


def imap_door(running: Running, *, allow_delete: bool = False) -> Door:
    access = Access(
        {account.user: account.password for account in running.accounts},
        context=lambda: ssl.create_default_context(cafile=authority_in(running.profile.parent)),
        server_name=TLS_NAME,
    )
    door = open_door(door_of(running, "imap"), allow_delete=allow_delete, access=access)
    assert door is not None
    return door


def deliver_as_somebody_else(running: Running, account: Account) -> None:
    address = parse_address(door_of(running, "imap").removeprefix("imap://"))
    with imaplib.IMAP4(address.host, address.port, timeout=20) as client:
        if "LOGINDISABLED" in client.capabilities:
            client.starttls(ssl._create_unverified_context())
        client.login(account.user, account.password)
        client.append("INBOX", "", "", FOREIGN)


def agent(running: Running) -> str:
    """Dovecot's own delivery agent, run inside the root of the server."""
    # The server itself, behind the process that made its root.
    inner = processes.remembered(running.profile.parent)[0].pid
    words = ["nsenter", f"--target={inner}", "--mount", "--root", "--pid", "--"]
    return f"command:{shlex.join(words)} /usr/lib/dovecot/dovecot-lda -d {{user}}"


def blocked(running: Running, door: str, reports: Path) -> dict[str, str]:
    """Judge a server through a door; the scenarios that could not be tried, and why."""
    suite = [sys.executable, "-m", "pytest", "-q", *SCENARIOS]
    options = [f"--target-profile={running.profile}", f"--maildrop={door}"]
    done = subprocess.run(
        [*suite, *options, f"--report-dir={reports}"],
        cwd=CLONE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    results = json.loads((reports / "results.json").read_text(encoding="utf-8"))
    assert results["scenarios"]
    return {
        scenario["id"]: scenario["detail"]
        for scenario in results["scenarios"]
        if scenario["verdict"] in ("blocked", "error")
    }


def is_about_the_door(reason: str) -> bool:
    """The reason is that the door cannot carry a message, which it says itself."""
    return "the door cannot carry a message" in reason


@pytest.mark.parametrize("name", ["popa3d", "mailutils"])
def test_an_mbox_door_serves_whole_files_of_scenarios(name: str, tmp_path: Path) -> None:
    with up(name, tmp_path / "state") as running:
        door = door_of(running, "mbox")
        reasons = blocked(running, door, tmp_path / "reports")

        boxes = list(Path(door.removeprefix("mbox:")).parent.iterdir())
        assert {box.read_bytes() for box in boxes} == {b""}
    assert {reason for reason in reasons.values() if not is_about_the_door(reason)} == set()


@pytest.mark.parametrize("kind", ["lmtp", "command"])
def test_a_delivery_serves_whole_files_of_scenarios(
    dovecot: Running, kind: str, tmp_path: Path
) -> None:
    maildir = door_of(dovecot, "maildir")
    door = door_of(dovecot, "lmtp") if kind == "lmtp" else f"{agent(dovecot)}+{maildir}"

    reasons = blocked(dovecot, door, tmp_path / "reports")

    assert {reason for reason in reasons.values() if not is_about_the_door(reason)} == set()
    opened = open_door(door)
    assert opened is not None
    assert [opened.contents(account.user) for account in dovecot.accounts] == [[]] * 16


@pytest.mark.parametrize("name", ["dovecot", "cyrus"])
def test_an_imap_door_serves_whole_files_of_scenarios(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    running: Running = request.getfixturevalue(name)

    reasons = blocked(running, door_of(running, "imap"), tmp_path / "reports")

    assert {reason for reason in reasons.values() if not is_about_the_door(reason)} == set()
    door = imap_door(running)
    assert [door.contents(account.user) for account in running.accounts] == [[]] * 16


@pytest.mark.parametrize("name", ["dovecot", "dovecot_strict", "cyrus"])
def test_an_imap_door_removes_its_own_messages_alone_unless_all_are_permitted(
    name: str, request: pytest.FixtureRequest
) -> None:
    running: Running = request.getfixturevalue(name)
    account = running.accounts[-1]
    door = imap_door(running)
    door.fill(account.user, [ONE, DOTS])
    deliver_as_somebody_else(running, account)

    assert door.contents(account.user) == [ONE, DOTS, FOREIGN]
    door.clear(account.user)
    assert door.contents(account.user) == [FOREIGN]
    with pytest.raises(DoorError, match="holds 1 messages that the suite did not deliver"):
        door.fill(account.user, [ONE])
    assert door.contents(account.user) == [FOREIGN]
    imap_door(running, allow_delete=True).fill(account.user, [])
    assert door.contents(account.user) == []


@pytest.mark.parametrize("kind", ["lmtp", "command"])
def test_a_real_refusal_is_told_in_one_sentence(dovecot: Running, kind: str) -> None:
    delivery = door_of(dovecot, "lmtp").partition("+")[0] if kind == "lmtp" else agent(dovecot)
    user = "not*a*name"
    door: Door | None = open_door(f"{delivery}+{door_of(dovecot, 'maildir')}")
    assert door is not None

    with pytest.raises(DoorError) as caught:
        door.fill(user, [ONE])

    assert "refuses" in str(caught.value)
    assert str(caught.value).isprintable()
    assert door.contents(user) == []
