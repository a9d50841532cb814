"""What README and the guides say is true: commands run, excerpts come, links lead somewhere."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

import pytest
from command import Ended, collected, here, judge_here

from pop3spec.collected import home
from pop3spec.maildrop.doors import open_door
from pop3spec.options import OPTIONS, OPTIONS_WITH_VALUE
from pop3spec.reference.server import ReferenceServer
from pop3spec.reference.stores import MaildirStore
from pop3spec.report.exit_code import ExitCode
from pop3spec.report.results import Results, write_results
from pop3spec.rulebook.rules import rulebook
from pop3spec.sasl import TWISTS
from pop3spec.scenario import (
    BUILT_IN,
    WrittenExpect,
    WrittenFile,
    WrittenScenario,
    WrittenStep,
    load_scenarios,
)
from pop3spec.stock import STOCK
from pop3spec.target import Hooks, KnownDeviation, Limits, Profile, Timeouts, load_profile
from pop3spec.verdict import Verdict

DOCUMENTS = sorted(
    path
    for place in (".", "docs", "suites")
    for path in (home() / place).glob("*.md")
    if path.is_file()
)
README = (home() / "README.md").read_text("utf-8")
GUIDE = (home() / "CONTRIBUTING.md").read_text("utf-8")
PROFILES = (home() / "docs" / "profiles.md").read_text("utf-8")
SCENARIOS = (home() / "docs" / "scenarios.md").read_text("utf-8")

# What an earlier run may have left.
EMPTY = Results(
    version="",
    rules_digest="",
    target={},
    started=datetime.now(UTC),
    seconds=0.0,
    seed=0,
    options={},
    rules=(),
    scenarios=(),
)

SET_UP = "python3 -m venv .venv && .venv/bin/pip install -q tox && .venv/bin/tox run -e "


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language, without the indentation of a list around them."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{margin}", "", block, flags=re.MULTILINE) for margin, block in found]


def commands(text: str) -> list[str]:
    """The lines of the shell blocks; one whose quotes go on over lines is one."""
    found: list[str] = []
    for line in "\n".join(blocks(text, "sh")).splitlines():
        if found and found[-1].count("'") % 2:
            found[-1] += f"\n{line}"
        else:
            found.append(line)
    return found


def table(text: str, heading: str) -> list[list[str]]:
    """The cells of the first table whose first line begins so."""
    _, _, rest = text.partition(f"\n| {heading} |")
    lines = rest.partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]


# --- Commands and options ---


def test_the_two_commands_are_as_promised() -> None:
    assert f"\n{SET_UP}conformance\n" in README
    assert f"\n{SET_UP}selftest\n" in README
    assert f"{SET_UP}selftest\n" in (home() / ".ci" / "run").read_text("utf-8")


def judging(text: str) -> Iterator[tuple[str, ...]]:
    """What the commands that judge a server hand to pytest."""
    for command in commands(text):
        for before in ("-e conformance -- ", "pop3spec run ", "pytest "):
            _, found, words = command.partition(before)
            if found and not command.startswith(".tox/"):
                yield tuple(shlex.split(words))
                break


@pytest.mark.parametrize("words", list(judging(README)), ids=" ".join)
def test_a_command_of_the_readme_selects_scenarios(tmp_path: Path, words: tuple[str, ...]) -> None:
    [profile] = blocks(README, "yaml")
    (tmp_path / "mail.example.yaml").write_text(profile)
    write_results(tmp_path / "before.json", EMPTY)

    ended = judge_here(tmp_path, *words, "--collect-only", "-q")

    assert ended.code == 0, ended.text
    assert collected(ended.text)


def test_there_are_commands_to_try() -> None:
    assert len(list(judging(README))) >= 8
    assert all(here(home(), *shlex.split(words)).code == 0 for words in ("rules", "validate docs"))


def options_of(text: str) -> set[str]:
    return set(re.findall(r"(?<![-\w])--([a-z][a-z-]*[a-z])", text))


def test_every_option_that_is_named_exists() -> None:
    ours = {name for name, _ in OPTIONS}
    names = ("serve", "rules", "diff", "accept", "report", "certify", "verify", "gallery")
    commands_help = "".join(here(home(), name, "--help").text for name in names)
    others = options_of(commands_help) | {"option", "collect-only", "notest"}
    others |= {"state-dir", "fresh", "times", "serial", "within", "known"}
    others |= {"color", "dist", "tx", "rsyncdir"}

    for document in DOCUMENTS:
        named = options_of(document.read_text("utf-8"))
        if document.name == "servers.md":
            named.discard("fuzz")  # of pytest's or of a later version, as an example
        assert named <= ours | others, document


def test_every_option_is_in_the_readme() -> None:
    assert {name for name, _ in OPTIONS} <= options_of(README)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_values_of_our_options_are_joined_with_an_equals_sign(document: Path) -> None:
    apart = [
        command
        for command in commands(document.read_text("utf-8"))
        for name in OPTIONS_WITH_VALUE
        if re.search(rf"--{name}\s", command)
    ]

    assert not apart


def test_the_doors_of_the_readme_open() -> None:
    doors = [row[0].removeprefix("`--maildrop=").rstrip("`") for row in table(README, "door")]

    assert len(doors) >= 2
    for door in doors:
        open_door(*shlex.split(door))


def test_verdicts_and_exit_codes_are_all_there() -> None:
    verdicts = {row[0].strip("`") for row in table(README, "verdict")}
    codes = {int(row[0]) for row in table(README, "code")}

    assert verdicts == {verdict.value for verdict in Verdict} - {Verdict.UNTESTED.value}
    assert codes == set(ExitCode)


# --- Excerpts ---


def plain(text: str) -> list[str]:
    """The lines without what differs from run to run: times, places, numbers, widths."""
    text = re.sub(r"^  \d+\.\d+ ", "  0.000 ", text, flags=re.MULTILINE)
    text = re.sub(r"127\.0\.0\.1:\d+", "ADDRESS", text)
    text = re.sub(r"<[^<>@ ]+@pop3spec\.invalid>", "<STAMP>", text)
    text = re.sub(r"(\.yaml):\d+:\d+", r"\1:LINE", text)
    text = re.sub(r"maildir:\S*mail/", "maildir:mail/", text)
    return [line.rstrip() for line in text.splitlines()]


def shape(text: str) -> list[str]:
    """The lines without numbers and widths."""
    # From a minute on pytest says it in hours, minutes and seconds as well.
    text = re.sub(r" \(\d+:\d\d:\d\d\)", "", text)
    text = re.sub(r"\d+(\.\d+)?", "N", text)
    return [re.sub(r"=+|\s+", " ", line).strip() for line in text.splitlines()]


def assert_in(excerpt: list[str], lines: list[str]) -> None:
    starts = [number for number, line in enumerate(lines) if line == excerpt[0]]
    found = [lines[start : start + len(excerpt)] for start in starts]
    assert excerpt in found, "\n".join(lines[-60:])


def test_the_failure_in_the_readme_is_what_comes(tmp_path: Path) -> None:
    _, failure = blocks(README, "text")
    mail = tmp_path / "mail"
    mail.mkdir()
    [fault] = re.findall(r"--fault=(\S+)", README)
    with ReferenceServer(MaildirStore(mail), {"alice": "wonderland"}, faults=(fault,)) as server:
        ended = judge_here(
            tmp_path,
            f"127.0.0.1:{server.address[1]}",
            "--maildrop=maildir:mail/{user}",
            *("-k", "first-octet"),
            POP3SPEC_ACCOUNT="alice:wonderland",
            COLUMNS="88",
        )

    assert ended.code == 1
    assert_in(plain(failure), plain(ended.text))
    assert "wonderland" not in ended.text


def test_the_end_of_a_good_run_looks_as_in_the_readme(tmp_path: Path) -> None:
    good, _ = blocks(README, "text")

    for _ in range(3):
        ended: Ended = judge_here(tmp_path, COLUMNS="88")
        # What this machine has no time for now is blocked, as it should be; the README is of
        # one that has.
        if "blocked: " not in ended.text:
            break

    assert ended.code == 0, ended.text
    assert_in(shape(good), shape(ended.text))


# --- The guides ---


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text("utf-8"))

    missing = [
        link
        for link in links
        if not link.startswith("https://") and not (document.parent / link).exists()
    ]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_rules_and_scenarios_that_are_named_exist(document: Path) -> None:
    text = document.read_text("utf-8")
    rules = set(re.findall(r"\b(?:rfc\d+-\d[\w.-]*|(?:practice|robust)-[a-z][a-z-]+)\b", text))
    scenarios = re.findall(r"\brfc1939/([a-z-]+)(?:\.yaml)?::([a-z0-9-]+)", text)

    assert rules <= rulebook().keys()
    for file, name in scenarios:
        loaded = load_scenarios(home() / "scenarios" / "rfc1939" / f"{file}.yaml", None)
        # Each example of a scenario has an id of its own, which begins with the scenario's.
        assert any(
            f"{scenario.id}-".startswith(f"{name.rstrip('-')}-") for scenario in loaded.scenarios
        )


def words_of(*kinds: type) -> set[str]:
    return {
        field.name.replace("_", "-")
        for kind in kinds
        for field in fields(kind)
        if field.name != "where"
    }


def keys_in(text: str) -> set[str]:
    cells = re.findall(r"^\| (`[^|]+) \|", text, re.MULTILINE)
    return {key for cell in cells for key in re.findall(r"`([^`]+)`", cell)}


def test_the_guide_to_scenarios_knows_every_key_and_stock_message() -> None:
    kinds = (WrittenFile, WrittenScenario, WrittenStep, WrittenExpect)

    close_to_right = BUILT_IN - {"user", "password", "apop"}
    named = words_of(*kinds) | STOCK.keys() | close_to_right | {"twist", *TWISTS}
    assert keys_in(SCENARIOS) == named
    assert dict(table(SCENARIOS, "name")) == {
        f"`{name}`": message.reason for name, message in STOCK.items()
    }


def test_the_guide_to_profiles_knows_every_key(tmp_path: Path) -> None:
    profile, *_ = blocks(PROFILES, "yaml")
    (tmp_path / "profile.yaml").write_text(profile)

    load_profile(tmp_path / "profile.yaml")
    assert keys_in(PROFILES) == words_of(Profile, KnownDeviation, Hooks)
    assert all(f"`{word}`" in PROFILES for word in words_of(Timeouts, Limits))


def test_the_scenario_of_the_guide_holds_and_its_mistake_is_told_so(tmp_path: Path) -> None:
    scenario, *_ = blocks(SCENARIOS, "yaml")
    [mistake] = blocks(SCENARIOS, "text")
    (tmp_path / "noop.yaml").write_text(scenario)
    good = judge_here(tmp_path, "noop.yaml")
    (tmp_path / "noop.yaml").write_text(scenario.replace("expect:", "expct:", 1))
    bad = here(tmp_path, "validate", "noop.yaml")

    assert (good.code, bad.code) == (0, 4), good.text
    assert mistake in bad.text


def test_the_python_test_of_the_guide_passes(tmp_path: Path) -> None:
    [code] = blocks((home() / "suites" / "README.md").read_text("utf-8"), "python")
    (tmp_path / "test_noops.py").write_text(code)

    ended = judge_here(tmp_path, "test_noops.py")

    assert ended.code == 0, ended.text
    assert "1 passed" in ended.text


def test_the_worked_examples_stand_in_the_sources() -> None:
    sources = [
        "\n".join(line.strip() for line in path.read_text("utf-8").splitlines())
        for place in ("harness", "scenarios")
        for path in (home() / place).rglob("*")
        if path.suffix in (".py", ".yaml")
    ]
    examples = [*blocks(GUIDE, "python"), *blocks(GUIDE, "yaml")]

    assert len(examples) >= 6
    for example in examples:
        wanted = "\n".join(line.strip() for line in example.strip().splitlines())
        assert any(wanted in source for source in sources), example
