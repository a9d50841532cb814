"""The advice on rules: complete, in order, of a readable length, and told where it is wanted."""

import re
from collections import Counter
from pathlib import Path

import pytest

from pop3spec.rulebook import rules
from pop3spec.rulebook.advice import Advice, advice, advice_files, read_advice
from pop3spec.rulebook.rules import read_rules, rulebook
from pop3spec.yamlfile import YamlError

BOOK = Path(rules.__file__).parent
TEXTS = [
    (each.rule, kind, text)
    for each in advice().values()
    for kind, text in (("matters", each.matters), ("fix", each.fix))
]

# Shorter says nothing in particular, longer is not read beside a finding.
SHORTEST, LONGEST = 25, 320

ENTRIES = """\
advice:
  - rule: rfc1939-5-noop
    matters: A session ends.
    fix: Answer it.
  - rule: rfc1939-5-dele
    matters: Mail stays.
    fix: Mark it.
"""


def test_every_rule_has_its_advice_in_the_file_of_the_same_name_and_in_the_same_order() -> None:
    written = {
        name: list(read_rules({name: (BOOK / name).read_bytes()}))
        for name in sorted(path.name for path in BOOK.glob("*.yaml"))
    }

    told = {name: list(read_advice({name: octets})) for name, octets in advice_files().items()}
    assert told == written
    assert list(advice()) == list(rulebook())
    assert all(rule == each.rule for rule, each in advice().items())


def test_no_two_texts_are_the_same() -> None:
    counts = Counter(text for _, _, text in TEXTS)

    assert [text for text, count in counts.items() if count > 1] == []
    assert not counts.keys() & {rule.summary for rule in rulebook().values()}


@pytest.mark.parametrize("kind", ["matters", "fix"])
def test_a_text_is_one_to_three_whole_sentences(kind: str) -> None:
    texts = {rule: text for rule, of, text in TEXTS if of == kind}

    lengths = {rule: len(text) for rule, text in texts.items()}
    assert {rule for rule, n in lengths.items() if not SHORTEST <= n <= LONGEST} == set()
    assert {rule for rule, text in texts.items() if not re.fullmatch("[A-Z].*[.]", text)} == set()
    ends = {rule: len(re.findall(r"[.](?= [A-Z]|$)", text)) for rule, text in texts.items()}
    assert {rule for rule, count in ends.items() if count > 3} == set()


def test_rules_that_are_named_in_a_text_exist() -> None:
    named = re.findall(r"\b(?:rfc\d+-\d|practice-|robust-)[\w.-]*\w", str(TEXTS))

    assert set(named) <= rulebook().keys()


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("5-noop", "5-nop", "2:11: unknown rule 'rfc1939-5-nop' (did you mean 'rfc1939-5-noop'?)"),
        ("5-dele", "5-noop", "5:11: there is advice on 'rfc1939-5-noop' already"),
        ("    fix: Mark it.\n", "", "5:5: an advice needs"),
        ("matters: Mail", "maters: Mail", "6:5: unknown key 'maters' in an advice"),
    ],
)
def test_a_mistake_is_one_sentence_with_its_place(old: str, new: str, problem: str) -> None:
    text = ENTRIES.replace(old, new, 1)

    with pytest.raises(YamlError) as error:
        read_advice({"x.yaml": text.encode()})
    assert str(error.value).startswith(f"x.yaml:{problem}")
    assert "\n" not in str(error.value)


def test_a_rule_has_one_advice_in_all_files() -> None:
    with pytest.raises(YamlError, match=r"b\.yaml:2:11: there is advice on 'rfc1939-5-noop' al"):
        read_advice({"a.yaml": ENTRIES.encode(), "b.yaml": ENTRIES.encode()})


def test_a_folded_text_is_one_line() -> None:
    text = ENTRIES.replace("A session ends.", ">-\n      A session\n      ends.")

    [first, _] = read_advice({"x.yaml": text.encode()}).values()

    assert first == Advice("rfc1939-5-noop", "A session ends.", "Answer it.")
