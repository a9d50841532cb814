"""Tests of the rulebook's entries."""

from hashlib import sha256
from pathlib import Path

import pytest

from pop3spec.rulebook import rules
from pop3spec.rulebook.rules import (
    Basis,
    Level,
    Rule,
    observations,
    read_rules,
    rulebook,
    rules_digest,
)
from pop3spec.yamlfile import YamlError

FILES = sorted(Path(rules.__file__).parent.glob("*.yaml"))

ENTRY = """\
rules:
  - id: rfc2449-6.7-expire
    source: RFC 2449, section 6.7
    level: SHOULD
    basis: prose
    summary: A sentence.
"""


def test_every_entry_of_every_file_is_in_the_rulebook() -> None:
    written = [line for file in FILES for line in file.read_text("utf-8").splitlines()]

    assert len(FILES) >= 3
    ids = len(rulebook()) + len(observations())
    assert ids == sum(line.startswith("  - id: ") for line in written)
    assert all(id == rule.id for id, rule in rulebook().items())


def test_an_entry_of_an_rfc_names_its_section() -> None:
    rule = rulebook()["rfc1939-3-response-length"]

    assert (rule.rfc, rule.section) == (1939, "3")
    assert (rule.level, rule.basis) == (Level.MUST, Basis.PROSE)
    assert rule.source == "RFC 1939, section 3"
    assert rule.note
    assert not rule.is_practice
    assert not rule.is_robust


def test_practice_and_robustness_have_no_section() -> None:
    practice = rulebook()["practice-final-line-end"]
    robust = rulebook()["robust-serves-next-client"]

    assert (practice.rfc, practice.section, practice.level) == (None, None, Level.SHOULD)
    assert (robust.rfc, robust.section, robust.level) == (None, None, Level.MUST)
    assert practice.is_practice
    assert robust.is_robust


def test_a_section_may_have_parts() -> None:
    assert read_rules({"rfc2449.yaml": ENTRY.encode()}) == {
        "rfc2449-6.7-expire": Rule(
            id="rfc2449-6.7-expire",
            source="RFC 2449, section 6.7",
            level=Level.SHOULD,
            basis=Basis.PROSE,
            summary="A sentence.",
        )
    }


@pytest.mark.parametrize("id", ["rfc1939-stat", "RFC1939-5-stat", "rfc1939-5", "7", "practice-"])
def test_an_id_has_a_specification_a_section_and_a_slug(id: str) -> None:
    with pytest.raises(YamlError, match=f"x.yaml:2:9: id: '{id}' is not a rule id"):
        read_rules({"x.yaml": ENTRY.replace("rfc2449-6.7-expire", id).encode()})


def test_an_id_is_taken_once_in_all_files() -> None:
    with pytest.raises(YamlError, match=r"b.yaml:2:9: the rule id 'rfc2449-6.7-expire' is taken"):
        read_rules({"a.yaml": ENTRY.encode(), "b.yaml": ENTRY.encode()})


@pytest.mark.parametrize("id, level", [("robust-flood", "MUST"), ("practice-bell", "SHOULD")])
def test_practice_and_robustness_have_one_level_each(id: str, level: str) -> None:
    text = ENTRY.replace("rfc2449-6.7-expire", id).replace("SHOULD", "MAY")

    with pytest.raises(YamlError, match=f"x.yaml:2:5: the level of '{id}' has to be {level}"):
        read_rules({"x.yaml": text.encode()})


def test_the_digest_is_over_the_files_in_the_order_of_their_names() -> None:
    assert rules_digest() == sha256(b"".join(file.read_bytes() for file in FILES)).hexdigest()
