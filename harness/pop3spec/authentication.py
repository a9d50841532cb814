"""A SASL exchange in a session: AUTH, challenges and answers (RFC 5034, section 4)."""

from base64 import b64encode

from pop3spec.protocol.commands import MAX_COMMAND
from pop3spec.recorder import Recorder
from pop3spec.sasl import Answer, Client, Encoding, Judged, Unanswerable
from pop3spec.session import Session
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
    encode: Encoding = b64encode,
    is_right: bool = True,
) -> Exchange:
    """Log in with a mechanism; the last exchange of it.

    What the client says of the server is kept where its credentials are right.
    An initial response that does not fit into a command goes into a line of its own.
    """
    first = client.first() if initial_response else None
    written = None if first is None else encode(first)
    exchange = _begin(session, mechanism, written)
    for _ in range(_MOST):
        if not exchange.continues_sasl:
            break
        # What comes behind the line must not pass for the answer to what is said next.
        session.look()
        if not session.is_open:
            break
        is_whole = session.history.last is exchange
        answer = _answer(client, exchange) if is_whole else Answer(None)
        if is_right:
            _keep(recorder, answer.judged)
        exchange = _send(session, b"*" if answer.octets is None else encode(answer.octets))
    if exchange.is_ok and is_right:
        _keep(recorder, client.end())
    return exchange


def _begin(session: Session, mechanism: str, message: bytes | None) -> Exchange:
    line = f"AUTH {mechanism}".encode()
    if message is None:
        return _send(session, line)
    if len(line) + len(message) + 3 <= MAX_COMMAND:  # with the blank and the line's end
        return _send(session, line + b" " + (message or b"="))
    exchange = _send(session, line)
    return _send(session, message) if exchange.continues_sasl else exchange


def _answer(client: Client, exchange: Exchange) -> Answer:
    """The answer to a challenge; one that has none is cancelled."""
    if exchange.challenge is None:
        return Answer(None)  # judged by who looks at every challenge
    try:
        return client.answer(exchange.challenge)
    except Unanswerable as error:
        return Answer(None, error.judged)


def _keep(recorder: Recorder, judged: tuple[Judged, ...]) -> None:
    for rule, judgement in judged:
        recorder.judged(rule, judgement)


def _send(session: Session, line: bytes) -> Exchange:
    session.send_octets(line + b"\r\n")
    return session.receive()
