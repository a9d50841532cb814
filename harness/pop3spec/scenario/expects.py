"""What has to come."""

from collections.abc import Mapping

from pop3spec.scenario.messages import lines_of, message_of
from pop3spec.scenario.problem import Problem
from pop3spec.scenario.resolved import Expect
from pop3spec.scenario.told import Told, check_names, checked
from pop3spec.scenario.written import (
    BUILT_IN,
    Closes,
    ShortExpect,
    Status,
    WrittenExpect,
    WrittenStep,
)
from pop3spec.template import Base64, template

_SHORT: Mapping[ShortExpect, Expect] = {
    ShortExpect.OK: Expect(Status.OK),
    ShortExpect.ERR: Expect(Status.ERR),
    ShortExpect.REPLY: Expect(Status.REPLY),
    ShortExpect.CLOSED: Expect(closed=True),
    ShortExpect.REPLY_OR_CLOSED: Expect(Status.REPLY, may_close=True),
}


def resolved_expect(step: WrittenStep, told: Told) -> Expect | None:
    """What has to come to a step, None where anything may; Problem where that cannot be said so."""
    written = step.expect
    if isinstance(written, WrittenExpect):
        _check_expect(written)
        text = octets = message = lines = run = None
        if written.text is not None:
            text = checked(("expect", "text"), template, written.text)
        if written.octets is not None:
            octets = checked(("expect", "octets"), template, written.octets)
        if written.message is not None:
            message = checked(("expect", "message"), message_of, written.message)
        if written.lines is not None:
            lines = checked(("expect", "lines"), lines_of, written.lines)
        if written.contains_lines is not None:
            run = checked(("expect", "contains-lines"), lines_of, written.contains_lines)
            if not run:
                raise Problem("name at least one line", "expect", "contains-lines")
        expect = Expect(
            status=written.status,
            text=text,
            lines=lines,
            contains_lines=run,
            octets=octets,
            message=message,
            code=written.code,
            without_code=written.without_code,
            closed=written.closed is Closes.YES,
            may_close=written.closed is Closes.MAYBE,
            silence=written.silence,
            rule=written.rule,
        )
    elif written is None:
        return None
    else:
        expect = _SHORT[written]
    _check_saved(step.save, expect, told)
    return expect


def _check_expect(written: WrittenExpect) -> None:
    payload = ("lines", "contains-lines", "octets", "message")
    given = [
        word
        for word in ("text", "code", "without-code", *payload)
        if getattr(written, word.replace("-", "_")) is not None
    ]
    if written.silence is not None:
        if given or written.status is not None or written.closed is not Closes.NO:
            raise Problem("where silence is expected nothing comes: make two steps", "expect")
        if written.silence <= 0:
            raise Problem("a silence lasts longer than nothing", "expect", "silence")
        return
    if written.status is None:
        if given:
            raise Problem(f"{given[0]!r} belongs to a reply: add its status", "expect", given[0])
        if written.closed is Closes.NO:
            raise Problem("an expect says a status, closed: yes, or a silence", "expect")
        if written.closed is Closes.MAYBE:
            raise Problem("add the status, or write reply-or-closed", "expect", "closed")
    elif written.status is not Status.OK:
        for word in given:
            if word in payload:
                raise Problem(f"{word!r} belongs to a reply with status: +OK", "expect", word)


def _check_saved(save: tuple[str, ...], expect: Expect, told: Told) -> None:
    patterns = [("text", expect.text), ("octets", expect.octets)]
    for index, name in enumerate(save):
        if name in BUILT_IN:
            raise Problem(f"{name!r} is built in: take another name", "save", index)
        if not any(pattern and name in pattern.parts for _, pattern in patterns):
            problem = f"{{{name}}} is not in text or octets: put it where its value comes"
            raise Problem(problem, "save", index)
    known = told.names.union(save)
    for word, pattern in patterns:
        if pattern is None:
            continue
        check_names(pattern, known, "expect", word)
        for part in pattern.parts:
            if isinstance(part, Base64):  # nothing can be captured out of it
                check_names(part, told.names, "expect", word)
        for left, right in zip(pattern.parts, pattern.parts[1:], strict=False):
            if left in save and right in save:
                problem = f"{{{left}}} and {{{right}}} touch: nothing says where one ends"
                raise Problem(problem, "expect", word)
    told.names.update(save)
