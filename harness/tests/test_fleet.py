"""Processes of pytest-xdist with interpreters and clones of their own, as on other machines."""

import json
import os
import shutil
import sysconfig
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any
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


def judge(directory: Path, *words: str, **variables: Any) -> Ended:
    return apart(
        directory,
        *("-m", "pytest", "-p", "no:cacheprovider", "--report-dir=out", *words),
        source=directory / "harness",
        **{
            "POP3SPEC_ACCOUNT": "\n".join(f"{user}:{each}" for user, each in SECRETS.items()),
            "POP3SPEC_STATE": str(directory / "state"),
            **variables,
        },
    )


def assert_whole(ended: Ended, directory: Path) -> None:
    results = json.loads((directory / "out" / "results.json").read_text("utf-8"))
    cases = ElementTree.parse(directory / "out" / "junit.xml").findall(".//testcase")
    scenarios = [row for row in results["scenarios"] if not row["id"].startswith("run::")]

    assert ended.code == 0, ended.text
    assert len(scenarios) > 5
    assert {row["verdict"] for row in scenarios} == {"pass"}
    assert len(cases) == len(results["scenarios"])


@pytest.fixture
def machines(tmp_path: Path) -> tuple[str, ...]:
    """Two other machines, with a clone on each, and what SSH was told of them in `log`."""
    programs = tmp_path / "programs"
    programs.mkdir()
    ssh = programs / "ssh"
    ssh.write_text(SSH.format(log=tmp_path / "log", home=tmp_path))
    ssh.chmod(0o700)
    python = interpreter(tmp_path / "another")
    clones = [clone(tmp_path / name) for name in ("one", "two")]
    return tuple(f"--tx=ssh={there.name}//python={python}//chdir={there}" for there in clones)


def test_two_machines_share_a_run(
    tmp_path: Path, target: tuple[str, ...], machines: tuple[str, ...]
) -> None:
    here = clone(tmp_path / "here")
    (here / "profile.yaml").write_text(
        "accounts:\n"
        + "".join(f"  - {{user: {user}, password: {each}}}\n" for user, each in SECRETS.items())
    )

    ended = judge(
        here,
        *(*target, "--target-profile=profile.yaml", "--dist=load", *machines, "-v"),
        PATH=f"{tmp_path / 'programs'}:{os.environ['PATH']}",
        POP3SPEC_ACCOUNT="",
    )

    assert_whole(ended, here)
    assert "[gw0]" in ended.text
    assert "[gw1]" in ended.text
    commands = (tmp_path / "log").read_text("utf-8")
    assert len(commands.splitlines()) == 2
    assert not [secret for secret in SECRETS.values() if secret in commands + ended.text]
    # Reports are written here alone, and nothing is copied there.
    names = {"conftest.py", "tox.ini", "suites", "scenarios", "harness", "__pycache__"}
    assert all(set(os.listdir(tmp_path / there)) <= names for there in ("one", "two"))


def test_a_machine_without_pop3spec_ends_the_run_with_a_sentence(
    tmp_path: Path, target: tuple[str, ...], machines: tuple[str, ...]
) -> None:
    (tmp_path / "two" / "conftest.py").write_text("import pop3spec_is_not_here")

    ended = judge(
        clone(tmp_path / "here"),
        *(*target, "--dist=load", *machines),
        PATH=f"{tmp_path / 'programs'}:{os.environ['PATH']}",
    )

    assert ended.code == 4, ended.text
    [sentence] = ended.sentences
    assert "a process did not start (--tx=execmodel=main_thread_only//ssh=two//" in sentence


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
    shares.ready("gw0")
    were_ready = shares.take_back("gw0"), shares.take_back("never-heard-of")

    assert given == [0, 1]
    assert were_ready == (True, False)
    assert shares.give("gw2", 2) == 0


def test_a_number_in_front_of_a_place_means_so_many() -> None:
    assert each(["2*popen", "ssh=a*b//python=x", "popen"]) == [
        *("popen", "popen", "ssh=a*b//python=x", "popen")
    ]
