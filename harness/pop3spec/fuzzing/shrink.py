"""As short as it goes: steps are left out, one half at a time, while what is wrong stays wrong."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from pop3spec.fuzzing.steps import Act, Conversation, Step

Part = TypeVar("Part")
Fails = Callable[[Conversation], bool]


def without_needless(parts: Sequence[Part], fails: Callable[[Sequence[Part]], bool]) -> list[Part]:
    """The parts of which none can be left out; `fails` says whether some are still enough.

    It starts with large pieces and ends with single ones (delta debugging).
    """
    kept, size = list(parts), max(1, len(parts) // 2)
    while True:
        at, is_shorter = len(kept), False
        while at > 0:
            begin = max(0, at - size)
            fewer = kept[:begin] + kept[at:]
            if len(fewer) < len(kept) and fails(fewer):
                kept, is_shorter = fewer, True
            at = begin
        if size == 1 and not is_shorter:
            return kept
        size = max(1, size // 2)


def shrunk(conversation: Conversation, fails: Fails) -> Conversation:
    """The conversation with no step, message or octet more than it needs to fail."""

    def still(steps: Sequence[Step]) -> bool:
        return fails(replace(conversation, steps=tuple(steps)))

    singles = [single for step in conversation.steps for single in _singles(step)]
    if len(singles) > len(conversation.steps) and still(singles):
        conversation = replace(conversation, steps=tuple(singles))
    conversation = replace(conversation, steps=tuple(without_needless(conversation.steps, still)))
    for change in _simpler(conversation):
        if fails(change(conversation)):
            conversation = change(conversation)
    for messages in range(conversation.messages):
        fewer = replace(conversation, messages=messages)
        if fails(fewer):
            conversation = fewer
            break
    for place in range(len(conversation.steps)):
        conversation = _with_fewer_lines(conversation, place, fails)
    for place, step in enumerate(conversation.steps):
        for simpler in _simpler_steps(step):
            steps = (*conversation.steps[:place], simpler, *conversation.steps[place + 1 :])
            if fails(replace(conversation, steps=steps)):
                conversation = replace(conversation, steps=steps)
                break
    return conversation


def _singles(step: Step) -> list[Step]:
    """A step of several commands as several steps."""
    if step.act is not Act.SAY or step.octets.count(b"\n") < 2 or step.pieces:
        return [step]
    return [replace(step, octets=line + b"\n") for line in step.octets.split(b"\n") if line]


def _with_fewer_lines(conversation: Conversation, place: int, fails: Fails) -> Conversation:
    """The same, with no line in one of its segments that is not needed."""
    step = conversation.steps[place]
    lines = [line + b"\n" for line in step.octets.removesuffix(b"\n").split(b"\n")]
    if step.act is not Act.SAY or len(lines) < 2 or step.pieces or step.octets[-1:] != b"\n":
        return conversation

    def with_lines(some: Sequence[bytes]) -> Conversation:
        fewer = replace(step, octets=b"".join(some))
        return replace(conversation, steps=(*before, fewer, *behind))

    before, behind = conversation.steps[:place], conversation.steps[place + 1 :]
    kept = without_needless(lines, lambda some: bool(some) and fails(with_lines(some)))
    return with_lines(kept)


def _simpler(conversation: Conversation) -> list[Callable[[Conversation], Conversation]]:
    changes: list[Callable[[Conversation], Conversation]] = []
    if conversation.in_tls:
        changes.append(lambda each: replace(each, in_tls=False))
    if conversation.maildrops > 1:
        changes.append(_on_one_maildrop)
    return changes


def _on_one_maildrop(conversation: Conversation) -> Conversation:
    steps = tuple(replace(step, maildrop=0) for step in conversation.steps)
    return replace(conversation, steps=steps, maildrops=1)


def _simpler_steps(step: Step) -> list[Step]:
    if step.act is Act.LOG_IN and step.octets not in (b"USER", b"wrong"):
        return [replace(step, octets=b"USER")]
    if step.act is Act.RESET:
        return [replace(step, act=Act.CLOSE)]
    simpler = []
    if step.pieces:
        simpler.append(replace(step, pieces=()))
    if step.act in (Act.SAY, Act.POUR) and len(step.octets) > _LONG:
        end = b"\r\n" if step.octets.endswith(b"\r\n") else b""
        body = step.octets[: len(step.octets) - len(end)]
        simpler += [
            replace(step, octets=body[: len(body) // part] + end, pieces=()) for part in (8, 2)
        ]
    return simpler


# Octets from which on shorter ones are tried.
_LONG = 64
