"""Steps: what is sent, and what has to come."""

import re
from functools import lru_cache

from pop3spec.protocol.commands import MAX_COMMAND
from pop3spec.sasl import MECHANISMS, TWISTS
from pop3spec.scenario.expects import resolved_expect
from pop3spec.scenario.messages import filling
from pop3spec.scenario.problem import Problem
from pop3spec.scenario.resolved import Authenticate, Observe, Step
from pop3spec.scenario.told import Told, check_names, checked
from pop3spec.scenario.written import (
    Status,
    WrittenAuthenticate,
    WrittenObserve,
    WrittenStep,
    YesNo,
)
from pop3spec.template import Template, fill, template
from pop3spec.yamlfile import did_you_mean, quoted


def resolved_step(step: WrittenStep, index: int, told: Told) -> Step:
    """A step with everything in its place; Problem where it cannot be taken."""
    _check_shape(step)
    send = send_bytes = None
    if step.send is not None:
        send = checked(("send",), _command, step.send, step.session in told.challenged)
        check_names(send, told.names, "send")
        _note_logins(step.send, index, "send", step.session, told)
        _check_split(step.split, send, 2)
    elif step.send_bytes is not None:
        send_bytes = checked(("send-bytes",), template, step.send_bytes, "latin-1")
        check_names(send_bytes, told.names, "send-bytes")
        for line in step.send_bytes.split("\n"):
            _note_logins(line.lstrip().rstrip("\r"), index, "send-bytes", step.session, told)
        _check_split(step.split, send_bytes, 0)
    elif step.split:
        raise Problem("split cuts what is sent: add send or send-bytes", "split")
    expect = resolved_expect(step, told)
    if expect is not None and expect.status is Status.CHALLENGE:
        told.challenged.add(step.session)
    else:
        told.challenged.discard(step.session)
    return Step(
        where=step.where,
        session=step.session,
        send=send,
        send_bytes=send_bytes,
        split=step.split,
        close=step.close,
        deliver=filling(step.deliver, "deliver") if step.deliver else (),
        expect=expect,
        save=step.save,
        observe=resolved_observe(step),
        authenticate=_authenticate(step, index, told),
        handshake=step.handshake,
    )


def _authenticate(step: WrittenStep, index: int, told: Told) -> Authenticate | None:
    written = step.authenticate
    if written is None:
        return None
    if isinstance(written, str):
        written = WrittenAuthenticate(written)
    if written.mechanism not in MECHANISMS:
        mend = did_you_mean(written.mechanism, MECHANISMS)
        raise Problem(f"unknown mechanism {quoted(written.mechanism)}{mend}", "authenticate")
    if written.twist is not None and written.twist not in TWISTS:
        mend = did_you_mean(written.twist, TWISTS)
        raise Problem(f"unknown twist {quoted(written.twist)}{mend}", "authenticate", "twist")
    texts = {
        name: checked(("authenticate", name), template, getattr(written, name))
        for name in ("user", "password", "authzid", "token")
    }
    for name, text in texts.items():
        check_names(text, told.names, "authenticate", name)
    made = Authenticate(
        mechanism=written.mechanism,
        initial_response=written.initial_response is YesNo.YES,
        twist=written.twist,
        **texts,
    )
    if "user" in made.user.names and not made.is_right:
        told.failed_logins.append((index, "authenticate"))
    return made


def resolved_observe(step: WrittenStep) -> Observe | None:
    """What is observed of the reply, None where nothing is."""
    match step.observe:
        case None:
            return None
        case WrittenObserve(id=name, of=way):
            return Observe(name, way)
        case name:
            return Observe(name)


def _check_shape(step: WrittenStep) -> None:
    acts = [
        word
        for word, value in (
            ("send", step.send),
            ("send-bytes", step.send_bytes),
            ("close", step.close),
            ("deliver", step.deliver),
            ("authenticate", step.authenticate),
            ("handshake", step.handshake),
        )
        if value is not None
    ]
    if len(acts) > 1:
        raise Problem(f"{acts[0]} and {acts[1]} are two steps: make two of it", acts[1])
    if step.expect is not None:
        if any(act is not None for act in (step.close, step.deliver, step.handshake)):
            raise Problem(f"{acts[0]} has no reply: put expect into the next step", "expect")
    elif not acts:
        raise Problem("a step sends something or expects something: add one of the two")
    elif step.save:
        raise Problem("save takes names out of an expect: add one", "save")
    if step.deliver is not None and not step.deliver:
        raise Problem("deliver needs at least one message", "deliver")


_MEND = "use send-bytes for what the protocol forbids"
_PRINTABLE = re.compile(rb"[ -~]*")
_KEYWORD = re.compile(rb"[A-Za-z][A-Za-z0-9]{2,3}")


@lru_cache(maxsize=1024)
def _command(text: str, continues: bool) -> Template:
    """One legal command line (RFC 1939, section 3), or the answer to a challenge."""
    command = template(text)
    literals = [part for part in command.parts if isinstance(part, bytes)]
    if not all(_PRINTABLE.fullmatch(literal) for literal in literals):
        raise ValueError(f"a command is printable ASCII: {_MEND}")
    if continues:
        return command
    first = command.parts[0] if command.parts else b""
    if isinstance(first, bytes):
        word, blank, _ = first.partition(b" ")
        # The rest of the keyword may be a value that is not known yet.
        seen = blank or len(command.parts) <= 1
        if seen and _KEYWORD.fullmatch(word) is None:
            raise ValueError(f"a keyword has 3 or 4 letters: {_MEND}")
    if sum(map(len, literals)) + 2 > MAX_COMMAND:
        raise ValueError(f"a command has at most {MAX_COMMAND} octets: {_MEND}")
    return command


def _check_split(split: tuple[int, ...], sent: Template, line_end: int) -> None:
    if not split:
        return
    known = all(isinstance(part, bytes) for part in sent.parts)
    size = len(fill(sent, {})) + line_end if known else None
    before = 0
    for index, offset in enumerate(split):
        if offset <= before:
            problem = f"offset {offset}: offsets rise, and begin at 1"
            raise Problem(problem, "split", index)
        if size is not None and offset >= size:
            problem = f"offset {offset} cuts nothing off: {size} octets are sent"
            raise Problem(problem, "split", index)
        before = offset


def _note_logins(line: str, index: int, under: str, session: str, told: Told) -> None:
    """Remember USER, and each login of an account that is bound to fail."""
    word, failed = line[:4].upper(), False
    rest = line[5:]
    if word == "USER":
        told.user[session] = "{user}" in rest or "{user-other-case}" in rest
    elif word == "PASS":
        # Some servers remember the name, so a second PASS is a login as well.
        failed = told.user.get(session, False) and rest != "{password}"
    elif word == "APOP":
        name, _, digest = rest.partition(" ")
        failed = "{user}" in name and digest != "{apop}"
    elif "{user}\0" in line:  # the message of SASL PLAIN (RFC 4616)
        failed = "{user}\0{password}}" not in line
    if failed:
        told.failed_logins.append((index, under))
