"""Scenario files are read, resolved and refused."""

import json
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from pop3spec.protocol.commands import State
from pop3spec.scenario.examples import with_examples
from pop3spec.scenario.messages import filling
from pop3spec.scenario.problem import Problem, ScenarioError
from pop3spec.scenario.resolved import Scenario, ScenarioFile
from pop3spec.scenario.steps import resolved_observe, resolved_step
from pop3spec.scenario.told import Told
from pop3spec.scenario.written import (
    BUILT_IN,
    WrittenExpect,
    WrittenFile,
    WrittenScenario,
    WrittenStep,
    YesNo,
)
from pop3spec.yamlfile import (
    Location,
    did_you_mean,
    json_schema,
    load_text,
    locate,
    quoted,
    read_text,
)


def load_scenarios(
    path: Path,
    rule_ids: Collection[str] | None,
    file: str = "",
    observation_ids: Collection[str] | None = None,
) -> ScenarioFile:
    """The scenarios of a file; ScenarioError says where it is wrong, and the mend.

    Without `rule_ids` any rule is taken, without `observation_ids` any observation.
    `file` is how messages name the file.
    """
    name = file or str(path)
    text = read_text(path, name)
    written = load_text(text, name, WrittenFile)
    try:
        scenarios = tuple(_scenarios(written, rule_ids, observation_ids))
    except Problem as problem:
        raise ScenarioError(locate(text, name, problem.path), problem.text) from None
    return ScenarioFile(path, written.about, written.topic or "", scenarios)


def _scenarios(
    written: WrittenFile,
    rule_ids: Collection[str] | None,
    observation_ids: Collection[str] | None,
) -> Iterator[Scenario]:
    taken: dict[str, Location] = {}
    topic = written.topic or ""
    if not written.scenarios:
        raise Problem("a scenario file needs at least one scenario", "scenarios")
    for index, entry in enumerate(written.scenarios):
        expanded = entry
        try:
            for expanded in with_examples(entry):
                _check_rules(expanded, rule_ids)
                _check_observations(expanded, observation_ids)
                if expanded.id in taken:
                    line = taken[expanded.id].line
                    raise Problem(f"the id {expanded.id!r} is taken in line {line}", "id")
                taken[expanded.id] = expanded.where
                yield _scenario(expanded, topic)
        except Problem as problem:
            text = problem.text
            if expanded is not entry:
                text += f" (in {expanded.id!r})"
            raise Problem(text, "scenarios", index, *problem.path) from None


def _check_rules(entry: WrittenScenario, rule_ids: Collection[str] | None) -> None:
    if not entry.rules:
        raise Problem("a scenario is about at least one rule", "rules")
    if rule_ids is None:
        return
    for index, rule in enumerate(entry.rules):
        if rule not in rule_ids:
            mend = did_you_mean(rule, rule_ids)
            raise Problem(f"unknown rule {quoted(rule)}{mend}", "rules", index)
    for index, step in enumerate(entry.steps):
        expect = step.expect
        if isinstance(expect, WrittenExpect) and expect.rule and expect.rule not in rule_ids:
            mend = did_you_mean(expect.rule, rule_ids)
            problem = f"unknown rule {quoted(expect.rule)}{mend}"
            raise Problem(problem, "steps", index, "expect", "rule")


def _check_observations(entry: WrittenScenario, ids: Collection[str] | None) -> None:
    for index, step in enumerate(entry.steps):
        observation = resolved_observe(step)
        if observation is None or ids is None or observation.id in ids:
            continue
        problem = f"unknown observation {quoted(observation.id)}{did_you_mean(observation.id, ids)}"
        raise Problem(problem, "steps", index, "observe")


def _scenario(entry: WrittenScenario, topic: str) -> Scenario:
    if not entry.steps:
        raise Problem("a scenario needs at least one step", "steps")
    if entry.failed_logins < 0:
        raise Problem("a number of failed logins is 0 or more", "failed-logins")
    told = Told(set(BUILT_IN), {}, set(), [])
    steps = []
    for index, step in enumerate(entry.steps):
        try:
            steps.append(resolved_step(step, index, told))
        except Problem as problem:
            raise Problem(problem.text, "steps", index, *problem.path) from None
    if len(told.failed_logins) > entry.failed_logins:
        index, word = told.failed_logins[entry.failed_logins]
        raise Problem(
            "this is a failed login with an account's name: "
            f"say failed-logins: {len(told.failed_logins)}",
            "steps",
            index,
            word,
        )
    if entry.maildrop is None:
        _refuse_to_delete(entry)
    maildrop = None
    if entry.maildrop is not None:
        maildrop = filling(entry.maildrop, "maildrop")
    return Scenario(
        id=entry.id,
        title=entry.title,
        rules=entry.rules,
        state=entry.state,
        requires=entry.requires,
        maildrop=maildrop,
        failed_logins=entry.failed_logins,
        steps=tuple(steps),
        where=entry.where,
        topic=topic,
        note=entry.note,
        transport=entry.transport,
        encrypted=entry.encrypted is YesNo.YES,
    )


_LOGIN = re.compile(r"(?i)PASS|APOP|AUTH")


def _refuse_to_delete(entry: WrittenScenario) -> None:
    """Without a filling of ours whatever DELE marks is somebody's mail."""
    for index, step in enumerate(entry.steps):
        for word, text in (("send", step.send), ("send-bytes", step.send_bytes)):
            if text is None or "dele" not in text.lower():
                continue
            if word == "send" and text[:4].lower() != "dele":
                continue
            if entry.state is State.TRANSACTION or _LOGIN.search(_sent(entry.steps)):
                problem = (
                    "deletes mail that the suite did not deliver: give the scenario a maildrop"
                )
                raise Problem(problem, "steps", index, word)


def _sent(steps: Iterable[WrittenStep]) -> str:
    return "\n".join(f"{step.send or ''}\n{step.send_bytes or ''}" for step in steps)


def scenario_id(path: Path, root: Path, slug: str) -> str:
    """The name in results: 'rfc1939/wrong-state::slug'.

    The path counts from the root; where the root is the file itself, its name.
    """
    is_below = path != root and path.is_relative_to(root)
    below = path.relative_to(root) if is_below else Path(path.name)
    return f"{below.with_suffix('').as_posix()}::{slug}"


def schema_text() -> str:
    """The content of scenarios/scenario.schema.json."""
    return json.dumps(json_schema(WrittenFile), indent=2, ensure_ascii=False) + "\n"
