"""Doors into real servers: what they put there is what the server shows.

Installs and starts servers, so it is asked for with POP3SPEC_REAL_SERVERS=1.
"""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pop3spec.maildrop import Door, DoorError
from pop3spec.maildrop.doors import open_door
from servers import processes
from servers.registry import SERVERS
from servers.running import LeftOutError, Running

CLONE = Path(__file__).resolve().parents[2]
# What a door can spoil: contents, sizes, marks and what stays behind them.
SCENARIOS = [f"scenarios/rfc1939/{name}.yaml" for name in ("retr", "listings", "update", "uidl")]
ONE = b"Subject: one\r\n\r\nfirst\r\n"

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
        reasons = blocked(running, running.maildrop, tmp_path / "reports")

        boxes = [Path(running.maildrop.removeprefix("mbox:")).parent / "alice"]
        assert [box.read_bytes() for box in boxes] == [b""]
    assert {reason for reason in reasons.values() if not is_about_the_door(reason)} == set()


@pytest.mark.parametrize("kind", ["lmtp", "command"])
def test_a_delivery_serves_whole_files_of_scenarios(
    dovecot: Running, kind: str, tmp_path: Path
) -> None:
    door = dovecot.other_doors[0] if kind == "lmtp" else f"{agent(dovecot)}+{dovecot.maildrop}"

    reasons = blocked(dovecot, door, tmp_path / "reports")

    assert {reason for reason in reasons.values() if not is_about_the_door(reason)} == set()
    opened = open_door(door)
    assert opened is not None
    assert [opened.contents(account.user) for account in dovecot.accounts] == [[]] * 4


@pytest.mark.parametrize("kind", ["lmtp", "command"])
def test_a_real_refusal_is_told_in_one_sentence(dovecot: Running, kind: str) -> None:
    delivery = dovecot.other_doors[0].partition("+")[0] if kind == "lmtp" else agent(dovecot)
    user = "not*a*name"
    door: Door | None = open_door(f"{delivery}+{dovecot.maildrop}")
    assert door is not None

    with pytest.raises(DoorError) as caught:
        door.fill(user, [ONE])

    assert "refuses" in str(caught.value)
    assert str(caught.value).isprintable()
    assert door.contents(user) == []
