"""Which capabilities an exchange uses, and whether they work: evidence for the truth of CAPA."""

from collections.abc import Iterator

from pop3spec.protocol.codes import response_code
from pop3spec.protocol.commands import State
from pop3spec.protocol.sasl import MECHANISM_NAME
from pop3spec.rulebook.history import History, number_of, sasl_of, says_later
from pop3spec.transcript import Exchange, Kind

# A capability as `SASL PLAIN`, the place of the session, and whether it worked there.
Use = tuple[str, str, bool]

BEFORE_LOGIN = State.AUTHORIZATION.value
AFTER_STLS = f"{BEFORE_LOGIN} after STLS"
IN_TLS = f"{BEFORE_LOGIN} in TLS"
AFTER_LOGIN = State.TRANSACTION.value

# Response codes whose capability has said that they come, by their first level.
_CODES = {
    "AUTH": ("RESP-CODES", "AUTH-RESP-CODE"),
    "IN-USE": ("RESP-CODES",),
    "LOGIN-DELAY": ("RESP-CODES", "LOGIN-DELAY"),
    "SYS": ("RESP-CODES",),
    "UTF8": ("RESP-CODES",),
}


def place_of(exchange: Exchange, before: History) -> str:
    """State and layer, in the words in which the capability lists of a target are kept."""
    if before.state is State.TRANSACTION:
        return AFTER_LOGIN
    if not exchange.secure:
        return BEFORE_LOGIN
    return AFTER_STLS if before.stls_accepted else IN_TLS


def uses(exchange: Exchange, before: History) -> Iterator[Use]:
    """What an exchange shows; nothing behind a stimulus that no client may send."""
    # A response may be longer than a command, which makes it a stimulus of its own.
    if (exchange.deliberate or before.illegal) and exchange.kind is not Kind.CONTINUATION:
        return
    if exchange.kind is Kind.HANDSHAKE:
        # By then the connection is secure, where the handshake was not for nothing.
        if before.stls_accepted:
            yield "STLS", BEFORE_LOGIN, exchange.tls is not None
        return
    if exchange.kind not in (Kind.COMMAND, Kind.CONTINUATION) or exchange.reply is None:
        return
    place = place_of(exchange, before)
    if exchange.is_err:
        level = (response_code(exchange.reply.text) or "").partition("/")[0]
        yield from ((each, place, True) for each in _CODES.get(level, ()))
        if says_later(exchange):
            return
    yield from _of_command(exchange, before, place)


def _of_command(exchange: Exchange, before: History, place: str) -> Iterator[Use]:
    """The capability that is a command, or a mechanism."""
    word, works = exchange.keyword, exchange.is_ok
    if word == "AUTH":
        yield from _of_mechanism(exchange, before, place)
    elif word in ("TOP", "UIDL"):
        if place == AFTER_LOGIN and (works or _is_there(exchange, before)):
            yield word, place, works
    elif word == "USER":
        if place != AFTER_LOGIN and not works:
            yield word, place, False
    elif word == "PASS":
        if place != AFTER_LOGIN and works:
            yield "USER", place, True
    elif word == "STLS":
        # That it works the handshake shows.
        if place == BEFORE_LOGIN and not works and not exchange.arguments:
            yield word, place, False
    elif word == "LANG":
        # A list may be refused, and a language that the server does not have.
        yield from [(word, place, True)] * works
    elif word == "UTF8" and place != AFTER_LOGIN:
        yield from [(word, place, works)] * (works or not exchange.arguments)


def _is_there(exchange: Exchange, before: History) -> bool:
    """The message that is asked for is known to be there, or none in particular is asked for."""
    if not exchange.arguments:
        return exchange.keyword == "UIDL"
    number, count = number_of(exchange), before.count
    if number is None or count is None or before.unsure:
        return False
    return 1 <= number <= count and number not in before.marked


def _of_mechanism(exchange: Exchange, before: History, place: str) -> Iterator[Use]:
    running = sasl_of(exchange, before)
    if running is None or place == AFTER_LOGIN or not MECHANISM_NAME.fullmatch(running.mechanism):
        return
    if exchange.is_ok:
        yield f"SASL {running.mechanism}", place, True
    elif exchange.is_err and exchange.kind is Kind.COMMAND and not running.has_initial_response:
        # Without a word of the client it is the mechanism that is refused; or what
        # the client has not shown, which is its certificate.
        if running.mechanism == "EXTERNAL":
            return
        yield f"SASL {running.mechanism}", place, False
