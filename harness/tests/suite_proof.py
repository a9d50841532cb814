"""The suites against the reference server with faults: which rules are accused.

Every test of the suites that needs nothing but fixtures of ours runs on a server of its
own. What begins with the run is asked of a server whose timer is short.
"""

import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pop3spec.collected import home
from pop3spec.embedded import Embedded, start_embedded
from pop3spec.fixtures import Entrance, Maildrop, RuleBroken, abroad, short_lived, unhurried
from pop3spec.recorder import Recorder
from pop3spec.reference.offer import Cleartext
from pop3spec.rulebook.judgement import Broken
from pop3spec.rulebook.over_sessions import judge_sessions
from pop3spec.run import Run
from pop3spec.settings import Settings
from pop3spec.target import Timeouts

# The suites whose rules no script can judge.
SUITES = (
    *("rfc1939_autologout", "rfc1939_sessions", "rfc1939_update"),
    "rfc2449_login_delay",
    "rfc3206_names",
    *(
        "rfc2595_negotiation",
        "rfc5034_exchanges",
        "rfc5034_mechanisms",
        "rfc6856_lang",
        "rfc6856_utf8",
        "rfc8314_cleartext",
        "rfc8314_tls",
    ),
    "rfc2449_pipelining",
    "rfc2449_user",
    "practice_logins",
    "robust_leak",
    "robust_tls",
)
# What waits for the wire or for a timer, at the same time.
_SIDE_BY_SIDE = 12


@dataclass(frozen=True)
class Conversation:
    """A test of a suite with the values of its parameters."""

    name: str
    test: Callable[..., None]
    rules: tuple[str, ...]
    arguments: Mapping[str, object]
    work: Callable[[Maildrop], None] | None
    login_delay: int = 0


@dataclass
class Accused:
    """What conversations came to: the rules accused, with words, and those exercised."""

    rules: dict[str, str] = field(default_factory=dict)
    exercised: set[str] = field(default_factory=set)
    skipped: dict[str, str] = field(default_factory=dict)


@cache
def suite(name: str) -> ModuleType:
    """A file of the suites as a module."""
    path = home() / "suites" / f"test_{name}.py"
    spec = importlib.util.spec_from_file_location(f"suite_of_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look for their module by its name.
    sys.modules[module.__name__] = module
    spec.loader.exec_module(module)
    return module


@cache
def conversations() -> Sequence[Conversation]:
    """All tests of the suites, expanded by their parameters."""
    found: list[Conversation] = []
    for name in SUITES:
        for word, test in vars(suite(name)).items():
            if word.startswith("test_"):
                found += _expanded(f"{name}::{word}", test)
    return found


def _expanded(name: str, test: Callable[..., None]) -> Iterator[Conversation]:
    marks: list[pytest.Mark] = getattr(test, "pytestmark", [])
    rules = tuple(rule for mark in marks if mark.name == "rules" for rule in mark.args)
    choices = [_choices(mark) for mark in marks if mark.name == "parametrize"]
    for chosen in product(*choices):
        arguments = {key: value for values, _ in chosen for key, value in values.items()}
        own = [mark for _, more in chosen for mark in more]
        beside = next((m.kwargs for m in (*own, *marks) if m.name == "beside"), {})
        work, delay = beside.get("work"), beside.get("login_delay", 0)
        title = f"{name}{list(arguments.values())}"
        yield Conversation(title, test, rules, arguments, work, delay)


def _choices(mark: pytest.Mark) -> list[tuple[dict[str, object], tuple[pytest.Mark, ...]]]:
    named = mark.args[0]
    names = [name.strip() for name in named.split(",")] if isinstance(named, str) else named
    choices: list[tuple[dict[str, object], tuple[pytest.Mark, ...]]] = []
    for given in mark.args[1]:
        values: Sequence[object] = getattr(given, "values", (given,))
        own: Sequence[pytest.MarkDecorator] = getattr(given, "marks", ())
        marks = tuple(decorator.mark for decorator in own)
        choices.append((dict(zip(names, values, strict=True)), marks))
    return choices


def run_on(embedded: Embedded) -> Run:
    """A run against a server, with a few of its accounts."""
    target = replace(embedded.target, accounts=embedded.target.accounts[:4])
    run = Run(
        Settings(target, Path()),
        target,
        embedded.door,
        back_off=(0.02, 0.05, 0.1),
        restart=embedded.server.restart,
    )
    run.begin()
    return run


def converse(
    conversation: Conversation, *faults: str, cleartext: Cleartext = Cleartext.PERMITTED
) -> Accused:
    """What one test accuses the reference server with these faults of."""
    if conversation.work is not None:
        work, recorder, delay = conversation.work, Recorder(), conversation.login_delay
        own = unhurried(recorder, delay, *faults) if delay else short_lived(recorder, *faults)
        with own as maildrop:
            return accused_by(lambda: work(maildrop), [recorder], conversation)
    if "international" in inspect.signature(conversation.test).parameters:
        recorder, speak = Recorder(), partial(conversation.test, **conversation.arguments)
        with abroad(recorder, *faults) as maildrop:
            return accused_by(lambda: speak(international=maildrop), [recorder], conversation)
    embedded = start_embedded(faults=faults, timeouts=Timeouts(5.0, 1.0, 1.0), cleartext=cleartext)
    try:
        run = run_on(embedded)
        with ExitStack() as opened:
            maildrops = [Maildrop(run, mailbox, Recorder()) for mailbox in run.mailboxes]
            entrance = Entrance(run)
            opened.callback(entrance.close)
            for maildrop in maildrops:
                opened.callback(maildrop.close)
            given: dict[str, Any] = {
                "entrance": entrance,
                "maildrops": maildrops,
                "maildrop": maildrops[0],
                "two_maildrops": tuple(maildrops[:2]),
                "restart": embedded.server.restart,
            }
            wanted = inspect.signature(conversation.test).parameters
            fitting = {name: value for name, value in given.items() if name in wanted}
            test, arguments = conversation.test, conversation.arguments
            return accused_by(
                lambda: test(**fitting, **arguments),
                [entrance.recorder, *(maildrop.recorder for maildrop in maildrops)],
                conversation,
            )
    finally:
        embedded.close()


def accused_by(
    test: Callable[[], None], recorders: Sequence[Recorder], conversation: Conversation
) -> Accused:
    """Run a test and gather what its recorders hold."""
    accused = Accused()
    try:
        test()
    except RuleBroken as broken:
        accused.rules[broken.rule] = f"{conversation.name}: {broken}"
    except pytest.skip.Exception as skipped:
        accused.skipped[conversation.name] = str(skipped)
    for recorder in recorders:
        accused.exercised |= recorder.exercised
        for found in recorder.findings:
            accused.rules.setdefault(found.rule, f"{conversation.name}: {found.got}")
        for judged in judge_sessions(recorder.facts):
            if isinstance(judged.judgement, Broken):
                words = f"{conversation.name}: sessions: {judged.judgement.got}"
                accused.rules.setdefault(judged.rule, words)
    return accused


def accused_by_suites(
    *faults: str,
    cleartext: Cleartext = Cleartext.PERMITTED,
    rule: str | None = None,
    topics: tuple[str, ...] = ("",),
    about: Set[str] | None = None,
) -> Accused:
    """What all tests of the suites accuse the server with faults of.

    Or those about a rule, or of the suites whose names begin with one of the topics. With
    `about` these are the ones about its rules, and one case of each other test.
    """
    whole = Accused()
    reached = [
        each
        for each in conversations()
        if (rule is None or rule in each.rules) and each.name.startswith(topics)
    ]
    first = {each.test: each for each in reversed(reached)}
    chosen = [
        each
        for each in reached
        if about is None or first[each.test] is each or not about.isdisjoint(each.rules)
    ]
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as threads:
        done = threads.map(lambda each: converse(each, *faults, cleartext=cleartext), chosen)
        for each in done:
            whole.rules = each.rules | whole.rules
            whole.exercised |= each.exercised
            whole.skipped |= each.skipped
    return whole
