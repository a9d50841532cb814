"""Exchanges and histories, written as short as they are read."""

from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import replace

from pop3spec.client_lines import problem_of_line
from pop3spec.protocol.replies import Reply
from pop3spec.rulebook.checks import judge
from pop3spec.rulebook.history import Filling, History
from pop3spec.transcript import End, Exchange, Kind, TlsParameters


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


def within(exchange: Exchange) -> Exchange:
    """The same inside TLS."""
    return replace(exchange, secure=True)


def shook_hands(version: str | None = "TLSv1.3") -> Exchange:
    """TLS has begun; without a version it has not, for there was none in common."""
    tls = None if version is None else TlsParameters(version, "TLS_AES_256_GCM_SHA384")
    return Exchange(Kind.HANDSHAKE, tls=tls, secure=tls is not None)


def challenged(octets: bytes) -> str:
    """A challenge of these octets, as a status line."""
    return f"+ {b64encode(octets).decode()}"


def began(mechanism: str, status: str, initial: bytes | None = None) -> Exchange:
    """AUTH, perhaps with an initial response, and what came back."""
    if initial is None:
        return said(f"AUTH {mechanism}", status)
    return said(f"AUTH {mechanism} {b64encode(initial).decode() or '='}", status)


def answered(response: bytes, status: str) -> Exchange:
    """A response in an exchange of SASL, and what came back."""
    return continued(b64encode(response).decode(), status)


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
