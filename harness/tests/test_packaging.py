"""The wheel: what is in it, and that it does in an empty directory what the clone does."""

import configparser
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from command import collected, end_of, here, start

from pop3spec import __version__
from pop3spec.collected import home
from pop3spec.report.reports import WRITTEN

PROJECT = tomllib.loads((home() / "pyproject.toml").read_text("utf-8"))["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the clone."""
    directory = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)]
    subprocess.run(build, cwd=home(), check=True, capture_output=True)
    [path] = directory.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """A directory that holds what the wheel holds, as site-packages would."""
    directory = wheel.parent / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(directory)
    return directory


def below(directory: Path, *patterns: str) -> set[str]:
    return {
        path.relative_to(directory).as_posix()
        for pattern in patterns
        for path in directory.rglob(pattern)
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_holds_all_that_the_package_needs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())

    package = home() / "harness" / "pop3spec"
    kinds = ("*.py", "*.yaml", "*.ini", "*.jinja", "*.css", "*.js", "*.json", "py.typed")
    wanted = {f"pop3spec/{name}" for name in below(package, *kinds)}
    wanted |= {f"pop3spec/scenarios/{name}" for name in below(home() / "scenarios", "*")}
    wanted |= {f"pop3spec/suites/{name}" for name in below(home() / "suites", "*")}
    assert {"pop3spec/py.typed", "pop3spec/run.ini"} < wanted
    assert {f"pop3spec/report/page.{kind}" for kind in ("html.jinja", "css", "js")} < wanted
    assert {"pop3spec/rulebook/rfc1939.yaml", "pop3spec/scenarios/scenario.schema.json"} < wanted
    assert wanted <= held
    code = {name for name in held if ".dist-info/" not in name and "__pycache__" not in name}
    assert code == wanted


def test_the_wheel_registers_the_command_and_nothing_with_pytest(installed: Path) -> None:
    [information] = installed.glob("*.dist-info")
    points = configparser.ConfigParser()
    points.read(information / "entry_points.txt")

    assert points.sections() == ["console_scripts"]
    assert dict(points["console_scripts"]) == {"pop3spec": "pop3spec.cli:main"}
    assert information.name == f"pop3spec-{__version__}.dist-info"
    assert (information / "licenses" / "LICENSE").is_file()


def test_an_installed_wheel_judges_from_an_empty_directory(installed: Path, tmp_path: Path) -> None:
    processes = {
        name: start(tmp_path, ("-m", "pop3spec", *words), source=installed)
        for name, words in {
            "collect": ("run", "--collect-only", "-q"),
            "judge": ("run", "-q", "-k", "greeting"),
            "rules": ("rules",),
            "validate": ("validate", str(installed / "pop3spec" / "scenarios")),
        }.items()
    }
    ended = {name: end_of(process) for name, process in processes.items()}

    assert {name: each.code for name, each in ended.items()} == dict.fromkeys(processes, 0), ended
    clone = here(tmp_path, "run", "--collect-only", "-q", "-p", "no:faulthandler", "-s")
    assert len(collected(clone.text)) > 100
    assert collected(ended["collect"].text) == collected(clone.text)
    assert ended["rules"].text == here(tmp_path, "rules").text
    assert ", 0 malformed" in ended["validate"].text
    assert " passed" in ended["judge"].text
    assert below(tmp_path, "*") == {f"reports/{name}" for name in WRITTEN}


def test_tox_installs_what_the_package_depends_on() -> None:
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(home() / "tox.ini")

    assert settings["testenv"]["deps"].split() == PROJECT["dependencies"]


@pytest.mark.parametrize("requirement", PROJECT["dependencies"])
def test_a_dependency_has_its_reason_in_the_guide(requirement: str) -> None:
    guide = (home() / "CONTRIBUTING.md").read_text("utf-8")

    assert f"| `{requirement.partition('>')[0]}` |" in guide
