"""A conversation that breaks a rule, as a scenario file that does it again by itself."""

import json
import re
from collections.abc import Iterator

from pop3spec.fuzzing.play import LOCK_OF_QUIT, SERVES_NEXT, letter, letters
from pop3spec.fuzzing.steps import Accusation, Act, Conversation, Step
from pop3spec.protocol.commands import MAX_COMMAND
from pop3spec.rulebook.rules import rulebook

_LEGAL = re.compile(rb"[A-Za-z]{3,4}( [ -~]+)?\r\n")
_AFTER = "after"
_LOCKED_FOR = "3s"


def slug(name: str, rule: str) -> str:
    """The id of the scenario in which a fuzzed property breaks a rule."""
    return f"{name}-{re.sub('[^a-z0-9]+', '-', rule)}"


def scenario_text(name: str, conversation: Conversation, accusation: Accusation) -> str | None:
    """The text of a scenario file; None where no scenario can do what has to be done.

    That is a second account, mail that somebody removes, and a session that is dropped beside
    another one, which a scenario takes for a limit.
    """
    if conversation.steps[accusation.step].act is Act.ASK and accusation.step >= 0:
        return None
    if conversation.maildrops > 1 or any(step.act is Act.EMPTY for step in conversation.steps):
        return None
    rule = rulebook()[accusation.rule]
    needs_mail = any(step.act in (Act.LOG_IN, Act.DELIVER) for step in conversation.steps)
    failed = sum(1 for step in conversation.steps if step.octets == b"wrong")
    lines = [
        f"about: {_quoted(f'Found by fuzzing ({rule.source})')}",
        "scenarios:",
        f"  - id: {slug(name, rule.id)}",
        f"    title: {_quoted(rule.summary.rstrip('.'))}",
        f"    rules: [{rule.id}]",
        "    state: AUTHORIZATION",
    ]
    if failed:
        lines.append(f"    failed-logins: {failed}")
    if conversation.in_tls:
        lines.append("    encrypted: yes")
    if needs_mail:
        texts = [_text_of(each) for each in letters(conversation.messages)]
        lines += ["    maildrop:", *(f"      - {each}" for each in texts)]
        if not texts:
            lines[-1] += " []"
    lines.append("    steps:")
    steps = [f"      - {each}" for each in _steps(conversation, accusation)]
    return "\n".join([*lines, *steps]) + "\n" if steps else None


def _quoted(text: str) -> str:
    """A text as YAML reads it back, whatever is in it."""
    return json.dumps(text)


def _text_of(message: bytes) -> str:
    return _quoted(message.decode("ascii").replace("\r\n", "\n"))


def _mapping(**values: str) -> str:
    return (
        "{" + ", ".join(f"{key.replace('_', '-')}: {value}" for key, value in values.items()) + "}"
    )


def _steps(conversation: Conversation, accusation: Accusation) -> Iterator[str]:
    names: dict[int, str] = {}
    opened = 0
    is_in: set[int] = set()
    delivered = conversation.messages
    for place, step in enumerate(conversation.steps):
        if step.act is Act.CONNECT:
            opened += 1
            if step.session in names:
                yield _mapping(session=names[step.session], close="fin")
            names[step.session] = f"session-{opened}"
            is_in.discard(step.session)
            continue
        if step.act is Act.DELIVER:
            yield _mapping(deliver=f"[{_text_of(letter(delivered))}]")
            delivered += 1
            continue
        name = names.get(step.session)
        if name is None:
            continue
        if step.act is Act.LOG_IN:
            if place == accusation.step and accusation.rule == LOCK_OF_QUIT:
                # A lock is judged when its time is over.
                yield _mapping(session="waiting", expect=_mapping(silence=_LOCKED_FOR))
            # Where another session is open the maildrop may be locked.
            expected = "" if is_in or step.octets == b"wrong" else "+OK"
            yield from _login(step, name, expected)
            is_in.add(step.session)
            continue
        if step.act in (Act.CLOSE, Act.RESET):
            yield _mapping(session=name, close="fin" if step.act is Act.CLOSE else "reset")
            del names[step.session]
            is_in.discard(step.session)
            continue
        in_store = accusation.wanted is not None and accusation.wanted.in_store
        is_last = place == accusation.step and not in_store
        yield _said(step, name, accusation if is_last else None)
        if step.act is Act.POUR:
            yield _mapping(session=name, close="fin")
            del names[step.session]
    in_store = accusation.wanted is not None and accusation.wanted.in_store
    for name in names.values() if accusation.step < 0 or in_store else ():
        if accusation.rule != SERVES_NEXT:
            yield _mapping(session=name, close="fin")
    yield from _afterwards(accusation)


def _login(step: Step, name: str, expected: str) -> Iterator[str]:
    method = step.octets.decode()
    last = {"expect": _quoted(expected)} if expected else {}
    if method == "APOP":
        yield _mapping(session=name, send=_quoted("APOP {user} {apop}"), **last)
    elif method in ("USER", "wrong"):
        password = "{password}" if method == "USER" else "not-the-password"
        yield _mapping(session=name, send=_quoted("USER {user}"))
        yield _mapping(session=name, send=_quoted(f"PASS {password}"), **last)
    else:
        yield _mapping(session=name, authenticate=method, **(last or {"expect": "reply"}))


def _said(step: Step, name: str, accusation: Accusation | None) -> str:
    octets = step.octets
    text = octets.decode("latin-1").replace("{", "{{").replace("}", "}}")
    values = {"session": name}
    is_legal = _LEGAL.fullmatch(octets) and len(octets) <= MAX_COMMAND
    if is_legal and not text.startswith(("AUTH", "auth")):
        values["send"] = _quoted(text[:-2])
    else:
        values["send_bytes"] = _quoted(text)
    if step.pieces:
        values["split"] = f"[{', '.join(map(str, step.pieces))}]"
    if accusation is not None and octets.count(b"\n") == 1:
        values |= _expected(accusation)
    return _mapping(**values)


def _expected(accusation: Accusation) -> dict[str, str]:
    wanted = accusation.wanted
    if wanted is None or wanted.numbers is not None:
        return {}  # the rules see it
    values = {"status": _quoted(wanted.answer.value), "rule": accusation.rule}
    if wanted.count is not None:
        values["text"] = _quoted(f"{wanted.count} {{octets}}")
    if wanted.key is not None:
        values["contains_lines"] = _quoted(_line_of(wanted.key))
    saved = {"save": "[octets]"} if wanted.count is not None else {}
    return {"expect": _mapping(**values), **saved}


def _line_of(key: int) -> str:
    """The line that no other message has."""
    return letter(key).partition(b"\r\n\r\n")[2].split(b"\r\n")[0].decode() + "\n"


def _afterwards(accusation: Accusation) -> Iterator[str]:
    """A session that shows what the store, or the service, has come to."""
    if accusation.rule == SERVES_NEXT:
        expect = _mapping(status=_quoted("+OK"), rule=accusation.rule)
        yield _mapping(session=_AFTER, send="QUIT", expect=expect)
    elif accusation.wanted is not None and accusation.wanted.in_store:
        yield from _login(Step(Act.LOG_IN, octets=b"USER"), _AFTER, "+OK")
        said = Step(Act.SAY, octets=b"STAT\r\n")
        count = accusation.wanted.count
        if count is not None:
            yield _said(said, _AFTER, accusation)
        yield _mapping(session=_AFTER, send="LIST")
