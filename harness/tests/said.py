"""Exchanges and histories, written as short as they are read."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pop3spec.protocol.replies import Reply
from pop3spec.rulebook.checks import judge
from pop3spec.rulebook.history import Filling, History
from pop3spec.session import problem_of_line
from pop3spec.transcript import End, Exchange, Kind


def _octets(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")


def reply(status: str | bytes, lines: Sequence[str | bytes] | bytes | None = None) -> Reply:
    """A reply; a status line and lines without an end get CRLF, octets of a payload stay."""
    line = _octets(status)
    if not line.endswith(b"\n"):
        line += b"\r\n"
    if lines is None or isinstance(lines, bytes):
        return Reply(line, lines)
    return Reply(line, b"".join(_octets(one) + b"\r\n" for one in lines))


def said(
    command: str | bytes,
    status: str | bytes | None,
    lines: Sequence[str | bytes] | bytes | None = None,
    *,
    end: End | None = None,
    partial: bytes = b"",
    at: float = 0.0,
) -> Exchange:
    """A command and what came back; deliberate where no client may send it."""
    sent = _octets(command)
    if not sent.endswith(b"\n"):
        sent += b"\r\n"
    return Exchange(
        Kind.COMMAND,
        sent=sent,
        reply=None if status is None else reply(status, lines),
        end=end,
        partial=partial,
        sent_at=at,
        answered_at=at,
        deliberate=bool(problem_of_line(sent)),
    )


def greeted(line: str | bytes = "+OK ready") -> Exchange:
    return Exchange(Kind.GREETING, reply=reply(line))


def continued(sent: str, status: str) -> Exchange:
    return Exchange(Kind.CONTINUATION, sent=sent.encode() + b"\r\n", reply=reply(status))


def came(
    partial: bytes,
    end: End | None = None,
    kind: Kind = Kind.UNASKED,
    at: float = 0.0,
    deliberate: bool = False,
) -> Exchange:
    """Octets, or the end, with nothing outstanding."""
    return Exchange(
        kind, partial=partial, end=end, sent_at=at, answered_at=at, deliberate=deliberate
    )


HELLO = greeted()
LOGIN = (HELLO, said("USER alice", "+OK"), said("PASS secret", "+OK"))
QUIT = said("QUIT", "+OK")
CLOSED = came(b"", End.CLOSED, Kind.CLOSE)


def history(*exchanges: Exchange, filling: Filling | None = None) -> History:
    """What a session has shown behind these exchanges."""
    told = History(filling=filling or Filling())
    for exchange in exchanges:
        told = told.after(exchange)
    return told


def announcing(told: History, **capabilities: tuple[str, ...]) -> History:
    return replace(told, capabilities=capabilities)


def judgements(exchanges: Iterable[Exchange], filling: Filling | None = None) -> list[str]:
    """The rules that a session breaks, with what is said of each."""
    told = History(filling=filling or Filling())
    broken = []
    for exchange in exchanges:
        for rule, judgement in judge(exchange, told):
            got = getattr(judgement, "got", None)
            if got is not None:
                broken.append(f"{rule}: {got}")
        told = told.after(exchange)
    return broken
