"""Processes of pytest-xdist with interpreters and clones of their own, as on other machines."""

import json
import os
import shutil
import sysconfig
import venv
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from command import Ended, apart

from pop3spec.collected import home
from pop3spec.fleet import Shares, each
from pop3spec.reference.server import ReferenceServer
from pop3spec.reference.stores import MaildirStore

SECRETS = {"alice": "correct-horse-9", "bob": "battery-staple-8"}
# Runs the command that stands behind the name of the machine, with nothing of our environment.
SSH = """\
#!/bin/sh
echo "$@" >> {log}
shift 2
exec env -i PATH=/usr/bin:/bin HOME={home} sh -c "$*"
"""


def clone(directory: Path) -> Path:
    """What of a clone a small selection needs."""
    there = home()
    directory.mkdir()
    shutil.copytree(
        there / "harness" / "pop3spec",
        directory / "harness" / "pop3spec",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    for name in ("conftest.py", "tox.ini"):
        shutil.copy(there / name, directory)
    (directory / "suites").mkdir()
    (directory / "scenarios" / "rfc1939").mkdir(parents=True)
    shutil.copy(there / "scenarios" / "rfc1939" / "dele.yaml", directory / "scenarios" / "rfc1939")
    return directory


def interpreter(directory: Path) -> Path:
    """Another interpreter, which finds the libraries of this one."""
    venv.create(directory, symlinks=True)
    [packages] = (directory / "lib").glob("python*/site-packages")
    (packages / "here.pth").write_text(sysconfig.get_path("purelib"))
    return directory / "bin" / "python"


@pytest.fixture
def target(tmp_path: Path) -> Iterator[tuple[str, ...]]:
    mail = tmp_path / "mail"
    mail.mkdir()
    with ReferenceServer(MaildirStore(mail), SECRETS) as server:
        address = f"127.0.0.1:{server.address[1]}"
        yield (f"--target={address}", f"--maildrop=maildir:{mail}/{{user}}")


def judge(directory: Path, *words: str, **variables: str) -> Ended:
    return apart(
        directory,
        *("-m", "pytest", "-p", "no:cacheprovider", "--report-dir=out", *words),
        source=directory / "harness",
        POP3SPEC_ACCOUNT="\n".join(f"{user}:{secret}" for user, secret in SECRETS.items()),
        POP3SPEC_STATE=str(directory / "state"),
        **variables,
    )


def assert_whole(ended: Ended, directory: Path) -> None:
    results = json.loads((directory / "out" / "results.json").read_text("utf-8"))
    cases = ElementTree.parse(directory / "out" / "junit.xml").findall(".//testcase")
    scenarios = [row for row in results["scenarios"] if not row["id"].startswith("run::")]

    assert ended.code == 0, ended.text
    assert len(scenarios) > 5
    assert {row["verdict"] for row in scenarios} == {"pass"}
    assert len(cases) == len(results["scenarios"])


def test_two_machines_share_a_run(tmp_path: Path, target: tuple[str, ...]) -> None:
    here, *there = (clone(tmp_path / name) for name in ("here", "one", "two"))
    programs = tmp_path / "programs"
    programs.mkdir()
    ssh, log = programs / "ssh", tmp_path / "log"
    ssh.write_text(SSH.format(log=log, home=tmp_path))
    ssh.chmod(0o700)
    python = interpreter(tmp_path / "another")

    machines = [f"--tx=ssh={each.name}//python={python}//chdir={each}" for each in there]
    ended = judge(
        here, *target, "--dist=load", *machines, "-v", PATH=f"{programs}:{os.environ['PATH']}"
    )

    assert_whole(ended, here)
    assert "[gw0]" in ended.text
    assert "[gw1]" in ended.text
    commands = log.read_text("utf-8")
    assert len(commands.splitlines()) == 2
    assert not [secret for secret in SECRETS.values() if secret in commands + ended.text]
    # Reports are written here alone, and nothing is copied there.
    names = {"conftest.py", "tox.ini", "suites", "scenarios", "harness"}
    assert [set(os.listdir(each)) - {"__pycache__"} for each in there] == [names, names]


def test_two_interpreters_share_a_run(tmp_path: Path, target: tuple[str, ...]) -> None:
    here = clone(tmp_path / "here")
    python = interpreter(tmp_path / "another")

    processes = [f"--tx={spec}popen//python={python}" for spec in ("", "2*")]
    ended = judge(here, *target, "--dist=load", f"{processes[0]}//id=other", processes[1])

    assert_whole(ended, here)
    assert "created: 2/2 workers" in ended.text  # as many as there are accounts


def test_a_share_is_given_to_one_process_at_a_time() -> None:
    shares = Shares()

    given = [shares.give(name, 2) for name in ("gw0", "far-away")]
    shares.take_back("gw0")

    assert given == [0, 1]
    assert shares.give("gw2", 2) == 0


def test_a_number_in_front_of_a_place_means_so_many() -> None:
    assert each(["2*popen", "ssh=a*b//python=x", "popen"]) == [
        *("popen", "popen", "ssh=a*b//python=x", "popen")
    ]
