"""What a step expects, held against the exchange that came."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pop3spec.protocol.codes import response_code
from pop3spec.protocol.replies import Reply
from pop3spec.protocol.text import show
from pop3spec.scenario import Expect, Status
from pop3spec.template import Template, fill, match_text
from pop3spec.transcript import Exchange

_QUOTED = 200
_FIELD = re.compile(rb"[!-9;-~]+:")


@dataclass(frozen=True)
class Unmet:
    """An expectation that did not come true: words behind 'expected' and 'got'.

    `of_status`: already the status indicator is another, or no reply came.
    """

    expected: str
    got: str
    of_status: bool = False


def _quote(octets: bytes) -> str:
    return f"'{show(octets, _QUOTED)}'"


def got_instead(exchange: Exchange) -> str:
    """What came where a reply was due."""
    if exchange.reply is not None:
        return _quote(exchange.reply.status_line)
    came = f"{_quote(exchange.partial)}, then " if exchange.partial else ""
    return came + (exchange.end.value if exchange.end is not None else "nothing")


def unmet(
    expect: Expect,
    exchange: Exchange,
    values: dict[str, bytes],
    save: Sequence[str],
    *,
    adds_headers: bool = False,
) -> Unmet | None:
    """The first expectation on a reply that is not met; saved values go into `values`.

    `adds_headers`: messages may have more header fields than were delivered.
    """
    reply = exchange.reply
    if reply is None:
        return Unmet(_wanted(expect), got_instead(exchange), of_status=True)
    if not _has_status(expect.status, reply):
        return Unmet(_wanted(expect), got_instead(exchange), of_status=True)
    if expect.code is not None and not _has_code(expect.code, reply):
        return Unmet(f"the response code [{expect.code}]", got_instead(exchange))
    if expect.without_code is not None and _has_code(expect.without_code, reply):
        return Unmet(f"no response code [{expect.without_code}]", got_instead(exchange))
    if expect.text is not None:
        captured = match_text(expect.text, reply.text, values, save)
        if captured is None:
            return Unmet(f"the text {expect.text}", _quote(reply.text))
        values |= captured
    if expect.octets is not None:
        problem = _unmet_octets(expect.octets, reply, values, save)
        if problem is not None:
            return problem
    return _unmet_lines(expect, reply, adds_headers)


def _wanted(expect: Expect) -> str:
    if expect.status is None or expect.status is Status.REPLY:
        return "a reply"
    return str(expect.status.value)


def _has_status(status: Status | None, reply: Reply) -> bool:
    if status is None:
        return True
    if status is Status.OK:
        return reply.is_ok
    if status is Status.ERR:
        return reply.is_err
    if status is Status.CHALLENGE:
        return reply.is_challenge
    return reply.is_ok or reply.is_err


def _has_code(code: str, reply: Reply) -> bool:
    found = response_code(reply.text) or ""
    # Further levels are detail (RFC 2449, section 8).
    return f"{found}/".startswith(f"{code.upper()}/")


def _unmet_octets(
    wanted: Template, reply: Reply, values: dict[str, bytes], save: Sequence[str]
) -> Unmet | None:
    count = str(len(reply.content)).encode()
    captured = match_text(wanted, count, values, save)
    if captured is None:
        return Unmet(f"{show(fill(wanted, values))} octets", f"{count.decode()} octets")
    values |= captured
    return None


def _unmet_lines(expect: Expect, reply: Reply, adds_headers: bool) -> Unmet | None:
    if expect.message is not None:
        wanted, got = _lines_of(expect.message.octets), list(reply.lines)
        return _difference(wanted, without_added(wanted, got) if adds_headers else got, reply)
    if expect.lines is not None:
        return _difference(list(expect.lines), list(reply.lines), reply)
    if expect.contains_lines is not None:
        return _missing_run(list(expect.contains_lines), list(reply.lines), reply)
    return None


def _lines_of(content: bytes) -> list[bytes]:
    lines = content.split(b"\r\n")
    return lines[:-1] if lines[-1] == b"" else lines


def without_added(wanted: Sequence[bytes], got: Sequence[bytes]) -> list[bytes]:
    """The lines of a message without the header fields that the wanted one does not have."""
    kept: list[bytes] = []
    found, is_added = 0, False
    for place, line in enumerate(got):
        if not line:
            return [*kept, *got[place:]]
        if found < len(wanted) and line == wanted[found]:
            found, is_added = found + 1, False
        elif not line.startswith((b" ", b"\t")):
            is_added = _FIELD.match(line) is not None
        if not is_added:
            kept.append(line)
    return kept


def _difference(wanted: list[bytes], got: list[bytes], reply: Reply) -> Unmet | None:
    if not reply.is_multiline:
        return Unmet("a multi-line reply", _quote(reply.status_line))
    for number, (one, other) in enumerate(zip(wanted, got, strict=False), start=1):
        if one != other:
            return Unmet(f"line {number}: {_quote(one)}", _quote(other))
    if len(wanted) == len(got):
        return None
    if len(wanted) > len(got):
        return Unmet(f"line {len(got) + 1}: {_quote(wanted[len(got)])}", "the end of the reply")
    return Unmet(f"{len(wanted)} lines", f"line {len(wanted) + 1}: {_quote(got[len(wanted)])}")


def _missing_run(wanted: list[bytes], got: list[bytes], reply: Reply) -> Unmet | None:
    if not reply.is_multiline:
        return Unmet("a multi-line reply", _quote(reply.status_line))
    best = 0
    for start in range(len(got)):
        run = 0
        while run < len(wanted) and start + run < len(got) and got[start + run] == wanted[run]:
            run += 1
        if run == len(wanted):
            return None
        best = max(best, run)
    return Unmet(f"a line {_quote(wanted[best])}", f"{len(got)} lines without it in its place")
