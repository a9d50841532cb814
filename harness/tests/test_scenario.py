"""Tests of the scenario language: what is read, what is refused, what it becomes."""

import json
from collections.abc import Collection
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pop3spec.protocol.commands import State
from pop3spec.rulebook.rules import rulebook
from pop3spec.scenario import (
    ClientClose,
    Expect,
    Message,
    Observe,
    Scenario,
    ScenarioError,
    ScenarioFile,
    Status,
    Step,
    load_scenarios,
    scenario_id,
    schema_text,
)
from pop3spec.stock import STOCK
from pop3spec.template import fill, template
from pop3spec.yamlfile import Location

SCENARIOS = Path(__file__).parents[2] / "scenarios"
RULES = ("rfc1939-5-retr", "rfc1939-3-byte-stuffing")
OBSERVATIONS = ("last-command", "lenient-blanks")

# Nine lines, so that what a test adds begins in line 10.
HEAD = """\
about: RETR (RFC 1939, section 5)
topic: retrieval
scenarios:
  - id: first
    title: A title
    rules: [rfc1939-5-retr]
    state: TRANSACTION
    steps:
      - send: STAT
"""


def load(folder: Path, text: str, rule_ids: Collection[str] | None = RULES) -> ScenarioFile:
    path = folder / "retr.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return load_scenarios(path, rule_ids, "retr.yaml", OBSERVATIONS)


def scenario(folder: Path, more: str) -> Scenario:
    [only] = load(folder, HEAD + more).scenarios
    return only


def step(folder: Path, more: str) -> Step:
    return scenario(folder, more).steps[-1]


# --- What is read


def test_a_scenario_is_read_with_everything_that_it_says(tmp_path: Path) -> None:
    text = """\
about: RETR (RFC 1939, section 5)
scenarios:
  - id: lines-that-begin-with-a-dot
    title: RETR delivers lines that begin with a dot unharmed
    rules: [rfc1939-3-byte-stuffing, rfc1939-5-retr]
    state: TRANSACTION
    requires: [UIDL]
    maildrop:
      - |
        Subject: dots

        .one
      - plain-text
    steps:
      - send: RETR 1
        split: [2, 6]
        expect:
          status: +OK
          contains-lines: |
            .one

            ..two
          rule: rfc1939-5-retr
      - session: second
        send-bytes: "NOOP\\xE9\\n"
        expect: -ERR
"""

    file = load(tmp_path, text)

    assert file == ScenarioFile(
        path=tmp_path / "retr.yaml",
        about="RETR (RFC 1939, section 5)",
        topic="",
        scenarios=(
            Scenario(
                id="lines-that-begin-with-a-dot",
                title="RETR delivers lines that begin with a dot unharmed",
                rules=("rfc1939-3-byte-stuffing", "rfc1939-5-retr"),
                state=State.TRANSACTION,
                requires=("UIDL",),
                maildrop=(
                    Message(None, b"Subject: dots\r\n\r\n.one\r\n"),
                    Message("plain-text", STOCK["plain-text"].octets),
                ),
                failed_logins=0,
                steps=(
                    Step(
                        where=Location("retr.yaml", 15, 9),
                        send=template("RETR 1"),
                        split=(2, 6),
                        expect=Expect(
                            status=Status.OK,
                            contains_lines=(b".one", b"", b"..two"),
                            rule="rfc1939-5-retr",
                        ),
                    ),
                    Step(
                        where=Location("retr.yaml", 24, 9),
                        session="second",
                        send_bytes=template("NOOP\xe9\n", "latin-1"),
                        expect=Expect(status=Status.ERR),
                    ),
                ),
                where=Location("retr.yaml", 3, 5),
                topic="",
            ),
        ),
    )


@pytest.mark.parametrize(
    "written, expect",
    [
        ("+OK", Expect(Status.OK)),
        ("-ERR", Expect(Status.ERR)),
        ("reply", Expect(Status.REPLY)),
        ("closed", Expect(closed=True)),
        ("reply-or-closed", Expect(Status.REPLY, may_close=True)),
        ("{status: +}", Expect(Status.CHALLENGE)),
        ("{status: reply, closed: yes}", Expect(Status.REPLY, closed=True)),
        ("{status: -ERR, closed: maybe}", Expect(Status.ERR, may_close=True)),
        ("{closed: yes}", Expect(closed=True)),
        ("{silence: 300ms}", Expect(silence=0.3)),
        ("{status: -ERR, code: IN-USE}", Expect(Status.ERR, code="IN-USE")),
        ("{status: -ERR, without-code: AUTH}", Expect(Status.ERR, without_code="AUTH")),
        ("{status: +OK, text: 010}", Expect(Status.OK, text=template("010"))),
        ("{status: +OK, octets: 120}", Expect(Status.OK, octets=template("120"))),
        ("{status: +OK, lines: ''}", Expect(Status.OK, lines=())),
        ('{status: +OK, lines: "a\\n\\n"}', Expect(Status.OK, lines=(b"a", b""))),
        ("{status: +OK, lines: ä}", Expect(Status.OK, lines=("ä".encode(),))),
        (
            "{status: +OK, message: dots}",
            Expect(Status.OK, message=Message("dots", STOCK["dots"].octets)),
        ),
    ],
)
def test_each_form_of_expect_is_read(tmp_path: Path, written: str, expect: Expect) -> None:
    assert step(tmp_path, f"        expect: {written}\n").expect == expect


def test_what_is_saved_can_be_sent_and_expected_later(tmp_path: Path) -> None:
    last = step(
        tmp_path,
        "        expect: {status: +OK, text: '{count} {size}'}\n        save: [count, size]\n"
        "      - session: second\n        send: RETR {count}\n"
        "        expect: {status: +OK, octets: '{size}'}\n",
    )

    assert last.send is not None
    assert fill(last.send, {"count": b"3"}) == b"RETR 3"
    assert last.expect is not None
    assert last.expect.octets == template("{size}")


def test_closing_and_delivering_are_steps(tmp_path: Path) -> None:
    steps = scenario(tmp_path, "      - close: reset\n      - deliver: [dots]\n").steps

    assert steps[1].close is ClientClose.RESET
    assert steps[2].deliver == (Message("dots", STOCK["dots"].octets),)


@pytest.mark.parametrize(
    "state, more, needs",
    [
        ("AUTHORIZATION", "", False),
        ("TRANSACTION", "", True),
        ("AUTHORIZATION", "    maildrop: []\n", True),
        ("AUTHORIZATION", "      - deliver: [dots]\n", True),
        ("AUTHORIZATION", "      - send: USER {user}\n", True),
        ("AUTHORIZATION", "      - send: AUTH PLAIN {b64:{password}}\n", True),
        ("AUTHORIZATION", '      - send-bytes: "APOP nobody {apop}\\n"\n', True),
    ],
)
def test_an_account_is_needed_where_its_name_or_maildrop_is(
    tmp_path: Path, state: str, more: str, needs: bool
) -> None:
    [only] = load(tmp_path, HEAD.replace("TRANSACTION", state) + more).scenarios

    assert only.needs_account is needs


def test_the_longest_wait_is_the_sum_of_the_silences(tmp_path: Path) -> None:
    more = (
        "      - expect: {silence: 300ms}\n      - expect: {silence: 2s}\n      - expect: closed\n"
    )

    assert scenario(tmp_path, more).longest_wait == pytest.approx(2.3)


# --- Examples


def test_each_example_becomes_a_scenario(tmp_path: Path) -> None:
    text = HEAD.replace("A title", "'{command} is refused'").replace(
        "rules: [rfc1939-5-retr]", "rules: ['{rule}']"
    )
    text += """\
        expect: {status: +OK, message: "{stock}", rule: "{rule}"}
      - send: "{command}"
        expect: {status: -ERR, text: "{{command}} {command} {id}"}
        save: [id]
    maildrop: ["{stock}"]
    examples:
      - {id: one, command: RETR 2, stock: plain-text, rule: rfc1939-5-retr}
      - {id: two, command: "{user}", stock: dots, rule: rfc1939-3-byte-stuffing}
"""

    one, two = load(tmp_path, text).scenarios

    assert (one.id, one.title, one.rules) == (
        "first-one",
        "RETR 2 is refused",
        ("rfc1939-5-retr",),
    )
    assert (two.id, two.title, two.rules) == (
        "first-two",
        "{user} is refused",
        ("rfc1939-3-byte-stuffing",),
    )
    assert one.steps[1].send == template("RETR 2")
    assert two.steps[1].send == template("{user}")
    assert one.steps[1].expect == Expect(Status.ERR, template("{{command}} RETR 2 {id}"))
    assert two.maildrop == (Message("dots", STOCK["dots"].octets),)
    assert one.where == two.where == Location("retr.yaml", 4, 5)


def test_a_step_names_what_is_observed(tmp_path: Path) -> None:
    assert step(tmp_path, "        observe: last-command\n").observe == Observe("last-command")
    told = step(tmp_path, "        observe: {id: lenient-blanks, of: a TAB}\n").observe
    assert told == Observe("lenient-blanks", "a TAB")
    assert step(tmp_path, "").observe is None


def test_a_note_says_why_it_is_tried(tmp_path: Path) -> None:
    more = '    note: "A parser that stops at {what}."\n    examples: [{id: a, what: a blank}]\n'

    assert scenario(tmp_path, more).note == "A parser that stops at a blank."


def test_an_example_may_have_an_id_alone(tmp_path: Path) -> None:
    assert scenario(tmp_path, "    examples: [{id: only}]\n").id == "first-only"


# --- What is refused

REFUSED = {
    "unknown key": (
        "        expct: +OK\n",
        "10:9: unknown key 'expct' in a step (did you mean 'ex",
    ),
    "unknown rule in expect": (
        "        expect: {status: +OK, rule: rfc1939-5-ret}\n",
        "10:37: unknown rule 'rfc1939-5-ret' (did you mean 'rfc1939-5-retr'?)",
    ),
    "unknown observation": (
        "        observe: last-comand\n",
        "10:18: unknown observation 'last-comand' (did you mean 'last-command'?)",
    ),
    "unknown observation with its way": (
        "        observe: {id: last, of: x}\n",
        "10:18: unknown observation 'last' (possible: last-command, lenient-blanks)",
    ),
    "same id": (
        HEAD.partition("scenarios:\n")[2],
        "10:9: the id 'first' is taken in line 4",
    ),
    "same id by example": (
        "    examples: [{id: b-c}]\n"
        + HEAD.partition("scenarios:\n")[2].replace("first", "first-b")
        + "    examples: [{id: c}]\n",
        "11:9: the id 'first-b-c' is taken in line 4",
    ),
    "same example": ("    examples: [{id: a}, {id: a}]\n", "10:30: the example id 'a' is taken"),
    "example without id": ("    examples: [{x: a}]\n", "10:16: an example needs the key 'id'"),
    "example with a bad id": ("    examples: [{id: A}]\n", "10:21: 'A' is not lower-case words"),
    "no example": ("    examples: []\n", "10:15: examples need at least one"),
    "built-in example": (
        "    examples: [{id: a, user: b}]\n",
        "10:30: no example value can be named 'user'",
    ),
    "examples that differ": (
        "    examples: [{id: a, x: b}, {id: b, y: c}]\n",
        "10:31: examples have the same names: x, y is not in each",
    ),
    "example that cannot be sent": (
        "      - send: '{command}'\n    examples: [{id: a, command: HELLO}]\n",
        "10:15: a keyword has 3 or 4 letters: use send-bytes for what the protocol forbids "
        "(in 'first-a')",
    ),
    "unknown stock": (
        "    maildrop: [dots, plain-txt]\n",
        "10:22: unknown stock message 'plain-txt' (did you mean 'plain-text'?)",
    ),
    "no message": ("    maildrop: [Hello you]\n", "10:16: 'Hello you' is neither a stock message"),
    "feature": ("    requires: [uidl]\n", "10:16: requires: 'uidl' is not a feature in capitals"),
    "negative": ("    failed-logins: -1\n", "10:20: a number of failed logins is 0 or more"),
    "nothing to do": ("      - session: b\n", "10:9: a step sends something or expects something"),
    "two acts": ("        close: fin\n", "10:16: send and close are two steps"),
    "three acts": ('        send-bytes: ""\n', "10:21: send and send-bytes are two steps"),
    "close and expect": (
        "      - close: fin\n        expect: closed\n",
        "11:17: close has no reply: put expect into the next step",
    ),
    "deliver nothing": ("      - deliver: []\n", "10:18: deliver needs at least one message"),
    "split nothing": (
        "      - expect: closed\n        split: [1]\n",
        "11:16: split cuts what is sent",
    ),
    "split at the start": ("        split: [0]\n", "10:17: offset 0: offsets rise, and begin at 1"),
    "split backwards": ("        split: [3, 3]\n", "10:20: offset 3: offsets rise"),
    "split behind the end": (
        "        split: [5, 6]\n",
        "10:20: offset 6 cuts nothing off: 6 octets are sent",
    ),
    "unknown name": (
        "      - send: RETR {number}\n",
        "10:15: {number} is neither built in nor saved before",
    ),
    "name saved later": (
        "      - send: RETR {n}\n        expect: {status: +OK, text: '{n}'}\n        save: [n]\n",
        "10:15: {n} is neither built in nor saved before",
    ),
    "unknown name in text": (
        "        expect: {status: +OK, text: '{n}'}\n",
        "10:37: {n} is neither built in nor saved before",
    ),
    "lone brace": (
        "      - send: RETR }\n",
        "10:15: a lone '}': write {name}, or '}}' for a brace",
    ),
    "saved from nowhere": (
        "        expect: {status: +OK, text: x}\n        save: [n]\n",
        "11:16: {n} is not in text or octets",
    ),
    "saved without expect": ("        save: [n]\n", "10:15: save takes names out of an expect"),
    "built-in saved": (
        "        expect: {status: +OK, text: '{user}'}\n        save: [user]\n",
        "11:16: 'user' is built in",
    ),
    "captured out of base64": (
        "        expect: {status: +OK, text: '{n} {b64:{n}}'}\n        save: [n]\n",
        "10:37: {n} is neither built in nor saved before",
    ),
    "captures that touch": (
        "        expect: {status: +OK, text: '{a}{b}'}\n        save: [a, b]\n",
        "10:37: {a} and {b} touch",
    ),
    "silence with status": (
        "        expect: {silence: 2s, status: +OK}\n",
        "10:17: where silence is expected nothing comes",
    ),
    "no silence": ("        expect: {silence: 0s}\n", "10:27: a silence lasts longer than nothing"),
    "an expect of nothing": ("        expect: {closed: no}\n", "10:17: an expect says a status"),
    "text without status": (
        "        expect: {text: x}\n",
        "10:24: 'text' belongs to a reply: add its status",
    ),
    "lines of a refusal": (
        "        expect: {status: -ERR, lines: x}\n",
        "10:39: 'lines' belongs to a reply with status: +OK",
    ),
    "no run": (
        "        expect: {status: +OK, contains-lines: ''}\n",
        "10:47: name at least one line",
    ),
    "maybe closed alone": (
        "        expect: {closed: maybe}\n",
        "10:26: add the status, or write re",
    ),
    "keyword": ("      - send: HELO 1 {user\n", "10:15: a lone '{'"),
    "long keyword": (
        "      - send: HELLO 1\n",
        "10:15: a keyword has 3 or 4 letters: use send-bytes",
    ),
    "no keyword": ("      - send: ''\n", "10:15: a keyword has 3 or 4 letters"),
    "8-bit command": ("      - send: STAT ä\n", "10:15: a command is printable ASCII"),
    "control in command": ('      - send: "STAT\\r"\n', "10:15: a command is printable ASCII"),
    "long command": (
        f"      - send: USER {'a' * 249}\n",
        "10:15: a command has at most 255 octets: use send-bytes",
    ),
    "no octet": ("      - send-bytes: ſ\n", "10:21: the character U+017F is no octet"),
    "wrong password": (
        "      - send: user {user}\n      - send: pass wrong\n",
        "11:15: this is a failed login with an account's name: say failed-logins: 1",
    ),
    "right password and a blank": (
        '      - send-bytes: "USER {user}\\r\\nPASS {password} \\r\\n"\n',
        "10:21: this is a failed login with an account's name: say failed-logins: 1",
    ),
    "wrong digest": (
        "      - send: APOP {user} {password}\n",
        "10:15: this is a failed login with an account's name: say failed-logins: 1",
    ),
    "wrong password for SASL PLAIN": (
        '      - send: "AUTH PLAIN {b64:\\0{user}\\0wrong}"\n',
        "10:15: this is a failed login with an account's name: say failed-logins: 1",
    ),
    "deletes": ("      - send: dele 1\n", "10:15: deletes mail that the suite did not deliver"),
    "deletes in octets": (
        '      - send-bytes: "NOOP\\rDelE 1\\r\\n"\n',
        "10:21: deletes mail that the suite did not deliver",
    ),
}


@pytest.mark.parametrize("more, message", REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_run_is_refused_at_its_place(
    tmp_path: Path, more: str, message: str
) -> None:
    with pytest.raises(ScenarioError) as caught:
        load(tmp_path, HEAD + more)

    assert str(caught.value).startswith(f"retr.yaml:{message}")


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("rules: [rfc1939-5-retr]", "rules: []", "6:12: a scenario is about at least one rule"),
        (
            "5-retr]",
            "5-ret]",
            "6:13: unknown rule 'rfc1939-5-ret' (did you mean 'rfc1939-5-retr'?)",
        ),
        ("TRANSACTION", "UPDATE", "7:12: state: unknown value 'UPDATE' (possible: AUTHORIZATION"),
        ("id: first", "id: First", "4:9: id: 'First' is not lower-case words and digits"),
        ("    title: A title\n", "", "4:5: a scenario needs the key 'title'"),
        ("steps:\n      - send: STAT", "steps: []", "8:12: a scenario needs at least one step"),
        ("topic: retrieval", "topic: Retr", "2:8: topic: 'Retr' is not lower-case words"),
    ],
)
def test_a_scenario_that_is_not_one_is_refused(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(ScenarioError) as caught:
        load(tmp_path, HEAD.replace(old, new))

    assert str(caught.value).startswith(f"retr.yaml:{message}")


def test_failed_logins_have_to_be_counted_in_full(tmp_path: Path) -> None:
    sent = ("USER {user}", "PASS a", "USER {user}", "PASS b")
    more = "".join(f"      - send: {line}\n" for line in sent)

    with pytest.raises(ScenarioError, match=r"retr.yaml:13:15: .* say failed-logins: 2"):
        load(tmp_path, HEAD + more + "    failed-logins: 1\n")
    assert scenario(tmp_path, more + "    failed-logins: 2\n").failed_logins == 2


@pytest.mark.parametrize(
    "more",
    [
        "      - send: USER {user}\n      - send: PASS {password}\n",
        "      - send: USER nobody\n      - send: PASS wrong\n",
        "      - send: PASS wrong\n",
        "      - send: APOP {user} {apop}\n",
        "      - send: APOP nobody 0123\n",
        "      - send: '{b64:{user}}'\n",
        '      - send: "AUTH PLAIN {b64:\\0{user}\\0{password}}"\n',
    ],
)
def test_a_login_that_may_succeed_or_names_nobody_is_no_failed_login(
    tmp_path: Path, more: str
) -> None:
    assert scenario(tmp_path, more).failed_logins == 0


def test_rules_are_taken_as_they_are_without_a_rulebook(tmp_path: Path) -> None:
    assert load(tmp_path, HEAD, rule_ids=None).scenarios[0].rules == ("rfc1939-5-retr",)


@pytest.mark.parametrize(
    "more",
    ["      - send: DELE 1\n    maildrop: []\n", "      - send: TOP 1 0\n", "      - send: UTF8\n"],
)
def test_what_does_no_harm_may_be_sent(tmp_path: Path, more: str) -> None:
    assert step(tmp_path, more).send is not None


def test_where_nobody_logs_in_nothing_can_be_deleted(tmp_path: Path) -> None:
    text = HEAD.replace("TRANSACTION", "AUTHORIZATION") + "      - send: DELE 1\n"

    assert load(tmp_path, text).scenarios
    with pytest.raises(ScenarioError, match="deletes mail"):
        load(tmp_path, text + "      - send: PASS {password}\n")


def test_the_answer_to_a_challenge_is_no_command(tmp_path: Path) -> None:
    more = "      - send: AUTH PLAIN\n        expect: {status: +}\n      - send: '*'\n"

    assert step(tmp_path, more).send == template("*")
    with pytest.raises(ScenarioError, match=r"retr.yaml:13:15: a keyword has 3 or 4 letters"):
        load(tmp_path, HEAD + more + "      - send: '*'\n")


RETR = (SCENARIOS / "rfc1939" / "retr.yaml").read_text("utf-8")
EXTRA = ["{", "}", "{b64:", "- ", "*", "DELE", "PASS", "{{", "\u20ac", "[]", "~"]


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    line=st.sampled_from(RETR.splitlines()),
    cut=st.integers(0, 40),
    extra=st.one_of(st.text(max_size=5), st.sampled_from(EXTRA)),
)
def test_any_file_is_loaded_or_refused(tmp_path: Path, line: str, cut: int, extra: str) -> None:
    said = ""
    try:
        load(tmp_path, RETR.replace(line, line[:cut] + extra + line[cut:], 1), rulebook())
    except ScenarioError as error:
        said = str(error)

    assert said == "" or said.startswith("retr.yaml:")


# --- The project's own scenarios, and the schema


@pytest.mark.parametrize(
    "path", [pytest.param(path, id=path.stem) for path in sorted(SCENARIOS.rglob("*.yaml"))]
)
def test_the_projects_scenarios_are_in_order(path: Path) -> None:
    schema = json.loads(schema_text())

    assert load_scenarios(path, rulebook()).scenarios
    for loader in (yaml.BaseLoader, yaml.SafeLoader):
        value = yaml.load(path.read_text("utf-8"), Loader=loader)
        jsonschema.Draft202012Validator(schema).validate(value)


def test_the_schema_in_the_repository_is_made_from_the_code() -> None:
    schema = (SCENARIOS / "scenario.schema.json").read_text("utf-8")

    assert schema == schema_text(), "python -m pop3spec.scenario > scenarios/scenario.schema.json"


@pytest.mark.parametrize(
    "more",
    [
        "        expct: +OK\n",
        "        expect: +KO\n",
        "        expect: {lines: [a]}\n",
        "    x: y\n",
    ],
)
def test_the_schema_refuses_what_no_scenario_may_say(more: str) -> None:
    value = yaml.load(HEAD + more, Loader=yaml.BaseLoader)

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(json.loads(schema_text())).validate(value)


@pytest.mark.parametrize(
    "path, root, name",
    [
        ("scenarios/rfc1939/wrong-state.yaml", "scenarios", "rfc1939/wrong-state::slug"),
        ("own/a.b.yaml", "own", "a.b::slug"),
        ("own/deep/mine.yaml", "own/deep/mine.yaml", "mine::slug"),
        ("elsewhere/mine.yaml", "own", "mine::slug"),
    ],
)
def test_a_scenario_is_named_by_its_path_and_its_slug(path: str, root: str, name: str) -> None:
    assert scenario_id(Path(path), Path(root), "slug") == name
