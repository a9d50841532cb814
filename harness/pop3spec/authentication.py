"""A SASL exchange in a session: AUTH, challenges and answers (RFC 5034, section 4)."""

import binascii
from base64 import b64decode, b64encode

from pop3spec.sasl import Client, Judged, Unanswerable
from pop3spec.session import MAX_COMMAND, Recorder, Session
from pop3spec.transcript import Exchange

# Challenges in one exchange; no mechanism has so many.
_MOST = 8


def authenticate(
    session: Session,
    recorder: Recorder,
    mechanism: str,
    client: Client,
    *,
    initial_response: bool = True,
) -> Exchange:
    """Log in with a mechanism; the last exchange of it.

    An initial response that does not fit into a command goes into a line of its own.
    """
    first = client.first() if initial_response else None
    exchange = _begin(session, mechanism, first)
    for _ in range(_MOST):
        if not exchange.continues_sasl:
            break
        answer = _answer(recorder, client, exchange)
        exchange = _send(session, b"*" if answer is None else b64encode(answer))
    if exchange.is_ok:
        _keep(recorder, client.end())
    return exchange


def _begin(session: Session, mechanism: str, first: bytes | None) -> Exchange:
    line = f"AUTH {mechanism}".encode()
    if first is None:
        return _send(session, line)
    message = b64encode(first)
    if len(line) + len(message) + 3 <= MAX_COMMAND:  # with the blank and the line's end
        return _send(session, line + b" " + (message or b"="))
    exchange = _send(session, line)
    return _send(session, message) if exchange.continues_sasl else exchange


def _answer(recorder: Recorder, client: Client, exchange: Exchange) -> bytes | None:
    """The answer to a challenge, None to cancel."""
    assert exchange.reply is not None
    try:
        answer = client.answer(b64decode(exchange.reply.text, validate=True))
    except Unanswerable as error:
        _keep(recorder, error.judged)
        return None
    except binascii.Error:  # judged by who looks at every challenge
        return None
    _keep(recorder, answer.judged)
    return answer.octets


def _keep(recorder: Recorder, judged: tuple[Judged, ...]) -> None:
    for rule, judgement in judged:
        recorder.judged(rule, judgement)


def _send(session: Session, line: bytes) -> Exchange:
    session.send_octets(line + b"\r\n")
    return session.receive()
