"""Checks of AUTH and of the messages in it (RFC 5034, 2195, 2831, 5802, 7628).

What only a client knows, as whether a signature fits to a password, is not judged here.
"""

import json
import re
from base64 import b64encode
from collections.abc import Iterator

from pop3spec.protocol.commands import State
from pop3spec.protocol.sasl import (
    client_nonce,
    directives,
    is_server_final,
    server_first,
)
from pop3spec.protocol.text import show
from pop3spec.rulebook.checks.session import MSG_ID
from pop3spec.rulebook.history import History, SaslExchange, sasl_of, says_later
from pop3spec.rulebook.judgement import (
    HELD,
    Broken,
    Judgement,
    is_judged,
    is_judged_line,
    quote,
    refused,
)
from pop3spec.transcript import Exchange, Kind

# In which the client speaks first (RFC 4422, section 5), besides all of SCRAM.
_CLIENT_FIRST = frozenset({"PLAIN", "EXTERNAL", "ANONYMOUS", "OAUTHBEARER"})


def _running(exchange: Exchange, before: History) -> SaslExchange | None:
    """The exchange to which a reply belongs, up to the client's last message."""
    if before.state is not State.AUTHORIZATION or not is_judged_line(exchange, before):
        return None
    running = sasl_of(exchange, before)
    # What a client cancels, or says in no base64, has nothing to do with its mechanism.
    is_odd = running is not None and running.responses and running.last_response is None
    return None if is_odd else running


def _is_client_first(running: SaslExchange) -> bool:
    return running.mechanism in _CLIENT_FIRST or running.is_scram


# --- RFC 5034: what AUTH comes to ---


def auth_in_transaction(exchange: Exchange, before: History) -> Judgement:
    """After a login AUTH with a mechanism is refused."""
    if exchange.keyword != "AUTH" or not is_judged(exchange, before) or not exchange.arguments:
        return None
    if before.state is not State.TRANSACTION or exchange.reply is None:
        return None
    if exchange.continues_sasl:
        return Broken(f"{quote(exchange.reply.status_line)} in the TRANSACTION state")
    return refused(exchange, "in the TRANSACTION state")


def empty_challenge(exchange: Exchange, before: History) -> Judgement:
    """A challenge without data is a plus sign, one blank and CRLF."""
    if not exchange.continues_sasl or not is_judged_line(exchange, before):
        return None
    line = exchange.reply.status_line if exchange.reply is not None else b""
    if line[1:].strip():
        return None
    return HELD if line == b"+ \r\n" else Broken(f"the challenge {quote(line)}")


def client_first(exchange: Exchange, before: History) -> Judgement:
    """AUTH without an initial response gets a challenge without data where the client begins."""
    running = _running(exchange, before)
    if running is None or exchange.kind is not Kind.COMMAND or exchange.reply is None:
        return None
    if running.has_initial_response or not _is_client_first(running):
        return None
    if exchange.is_ok:
        return Broken(f"{quote(exchange.reply.status_line)} before the client has said anything")
    if exchange.challenge is None:
        return None  # refused, or judged by its form
    return _said_before(exchange.challenge) if exchange.challenge else HELD


def _said_before(challenge: bytes) -> Broken:
    return Broken(f"{quote(challenge)} as the challenge, before the client has said anything")


def initial_response(exchange: Exchange, before: History) -> Judgement:
    """An initial response is not answered with a challenge without data."""
    running = _running(exchange, before)
    if running is None or exchange.kind is not Kind.COMMAND:
        return None
    if not running.has_initial_response or not _is_client_first(running):
        return None
    if exchange.challenge == b"":
        return Broken("a challenge without data in answer to an initial response")
    return HELD if exchange.is_ok or exchange.challenge else None


def success_data(exchange: Exchange, before: History) -> Judgement:
    """The signature of SCRAM is a challenge, and its answer is empty, before the positive reply."""
    running = _running(exchange, before)
    if running is None or not running.is_scram:
        return None
    if running.is_proven and exchange.is_ok:
        return Broken("a positive reply without the signature before it")
    if not (running.last_challenge or b"").startswith(b"v=") or running.last_response != b"":
        return None
    if exchange.is_ok and exchange.reply is not None:
        signature = running.last_challenge or b""
        repeated = signature in exchange.reply.text or b64encode(signature) in exchange.reply.text
        return Broken("the signature once more, behind the positive reply") if repeated else HELD
    # Whom the client wants to act as may be refused as late as this, and so may the maildrop.
    as_another = b",a=" in (running.responses[0] or b"")
    if not exchange.is_err or exchange.reply is None or as_another or says_later(exchange):
        return None
    if _LATER.search(exchange.reply.text):
        return None
    return Broken(f"{quote(exchange.reply.status_line)} to the empty response behind the signature")


# Of a maildrop that somebody else has, or of trouble that passes.
_LATER = re.compile(rb"lock|in use|busy|later|unavailable|temporar|maildrop|mailbox", re.IGNORECASE)


# --- What the first challenges are made of ---


def cram_challenge(exchange: Exchange, before: History) -> Judgement:
    """The challenge of CRAM-MD5 has the form of a msg-id."""
    challenge = _first_of(exchange, before, "CRAM-MD5")
    if challenge is None:
        return None
    return HELD if MSG_ID.fullmatch(challenge) else Broken(f"the challenge {quote(challenge)}")


def _first_of(exchange: Exchange, before: History, mechanism: str) -> bytes | None:
    """The challenge with which a mechanism begins, None without one."""
    running = _running(exchange, before)
    if running is None or running.mechanism != mechanism or running.responses:
        return None
    return exchange.challenge


# RFC 2831, section 2.1.1: shorter than this.
_DIGEST_LIMIT = 2048


def digest_challenge(exchange: Exchange, before: History) -> Judgement:
    """The challenge of DIGEST-MD5 has one nonce and the algorithm md5-sess, in 2047 octets."""
    challenge = _first_of(exchange, before, "DIGEST-MD5")
    if challenge is None:
        return None
    told = directives(challenge)
    if told is None:
        return Broken(f"the challenge {quote(challenge)}")
    if len(challenge) >= _DIGEST_LIMIT:
        return Broken(f"a challenge of {len(challenge)} octets")
    for name in ("nonce", "algorithm"):
        values = [value for each, value in told if each == name]
        if len(values) != 1 or not values[0]:
            return Broken(f"{len(list(filter(None, values)))} times {name} in {quote(challenge)}")
        if name == "algorithm" and values[0].lower() != "md5-sess":
            return Broken(f"the algorithm '{show(values[0].encode(), 40)}'")
    return HELD


# --- SCRAM ---


def _server_first(exchange: Exchange, before: History) -> tuple[str, bytes] | None:
    """The client's nonce and what the server says to it, None at any other place."""
    running = _running(exchange, before)
    if running is None or not running.is_scram or len(running.responses) != 1:
        return None
    nonce = client_nonce(running.responses[0] or b"")
    challenge = exchange.challenge
    # An error has the form of a last message.
    if nonce is None or challenge is None or challenge.startswith(b"e="):
        return None
    if exchange.kind is Kind.COMMAND and not challenge:
        return None  # the initial response is ignored
    return nonce, challenge


def scram_first(exchange: Exchange, before: History) -> Judgement:
    """The server's first message is nonce, salt and iteration count."""
    said = _server_first(exchange, before)
    if said is None:
        return None
    return HELD if server_first(said[1]) else Broken(f"the first message {quote(said[1])}")


def scram_nonce(exchange: Exchange, before: History) -> Judgement:
    """The server's nonce is the client's with something behind it."""
    said = _server_first(exchange, before)
    first = server_first(said[1]) if said else None
    if said is None or first is None:
        return None
    if first.nonce == said[0]:
        return Broken("the client's nonce, with nothing of the server's behind it")
    if first.nonce.startswith(said[0]):
        return HELD
    return Broken("a nonce that does not begin with the client's")


# RFC 5802, section 5.1: at least as many for SHA-1; RFC 7677, section 4 keeps it for SHA-256.
_LEAST_ITERATIONS = 4096


def scram_iterations(exchange: Exchange, before: History) -> Judgement:
    """The iteration count is 4096 at least."""
    said = _server_first(exchange, before)
    first = server_first(said[1]) if said else None
    if first is None:
        return None
    if first.iterations >= _LEAST_ITERATIONS:
        return HELD
    return Broken(f"{first.iterations} iterations, fewer than {_LEAST_ITERATIONS}")


def scram_final(exchange: Exchange, before: History) -> Judgement:
    """The server's last message is a signature or an error."""
    running = _running(exchange, before)
    if running is None or not running.is_proven or exchange.challenge is None:
        return None
    if is_server_final(exchange.challenge):
        return HELD
    return Broken(f"the last message {quote(exchange.challenge)}")


# --- Tokens and LOGIN ---


def oauth_error(exchange: Exchange, before: History) -> Judgement:
    """A challenge in answer to a token is a JSON object with a status."""
    challenge = _error_of(exchange, before, "OAUTHBEARER")
    if challenge is None:
        return None
    told = _json(challenge)
    if not isinstance(told, dict):
        return Broken(f"the error {quote(challenge)}, which is no JSON object")
    status = told.get("status")
    # Mostly the name of an error, with some servers the number of one.
    is_status = isinstance(status, (str, int)) and not isinstance(status, bool) and status != ""
    return HELD if is_status else Broken(f"the error {quote(challenge)} without a status")


def _error_of(exchange: Exchange, before: History, mechanism: str) -> bytes | None:
    """The challenge in answer to the first message of the client, None where none comes."""
    running = _running(exchange, before)
    if running is None or running.mechanism != mechanism or len(running.responses) != 1:
        return None
    if exchange.kind is Kind.COMMAND and exchange.challenge == b"":
        return None  # the initial response is ignored
    return exchange.challenge


def _json(octets: bytes) -> object:
    try:
        told: object = json.loads(octets)
    except (ValueError, RecursionError):
        return None
    return told


def oauth_error_sequence(exchange: Exchange, before: History) -> Judgement:
    """The client's one octet in answer to an error ends the exchange with a refusal."""
    running = _running(exchange, before)
    if running is None or running.mechanism != "OAUTHBEARER" or len(running.responses) < 2:
        return None
    if running.last_response != b"\x01":
        return None
    if exchange.challenge is not None:
        return Broken(f"another challenge, {quote(exchange.challenge)}, behind an error")
    return refused(exchange, "behind an error")


def xoauth2_error(exchange: Exchange, before: History) -> Judgement:
    """XOAUTH2 refuses a token at once, or in answer to the empty response to its JSON."""
    running = _running(exchange, before)
    if running is None or running.mechanism != "XOAUTH2":
        return None
    challenge = _error_of(exchange, before, "XOAUTH2")
    if challenge is not None:
        is_json = isinstance(_json(challenge), dict)
        return HELD if is_json else Broken(f"the error {quote(challenge)}, which is no JSON object")
    if len(running.responses) != 2 or running.last_response != b"":
        return None
    if exchange.challenge is not None:
        return Broken(f"another challenge, {quote(exchange.challenge)}, behind an error")
    return refused(exchange, "behind an error")


def login_mechanism(exchange: Exchange, before: History) -> Judgement:
    """LOGIN asks for a name and a password, and for nothing else."""
    running = _running(exchange, before)
    if running is None or running.mechanism != "LOGIN" or running.has_initial_response:
        return None
    answered = len(running.responses)
    if answered < _QUESTIONS:
        asked = f"{answered} of {_QUESTIONS} questions"
        return Broken(f"a positive reply behind {asked}") if exchange.is_ok else None
    if exchange.continues_sasl:
        return Broken("a question behind those for name and password")
    return HELD if exchange.is_ok or exchange.is_err else None


_QUESTIONS = 2


# --- Secrets ---

# Shorter ones, and plain words, may stand in a text by chance.
_LEAST_SECRET = 6
_PLAIN_WORD = re.compile(rb"[A-Za-z]*")

_PROOF = re.compile(rb"(?:,p=|response=|Bearer )([^,\x01]+)", re.IGNORECASE)


def secret_not_repeated(exchange: Exchange, before: History) -> Judgement:
    """No reply holds the password, digest or response of the client."""
    if exchange.reply is None or exchange.kind not in (Kind.COMMAND, Kind.CONTINUATION):
        return None
    secrets = [secret for secret in _secrets(exchange, before) if _is_telling(secret)]
    if not secrets:
        return None
    told = exchange.reply.wire + b"\n" + (exchange.challenge or b"")
    if any(secret in told for secret in secrets):
        return Broken("what the client sent as its secret, in the words of the reply")
    return HELD


def _is_telling(secret: bytes) -> bool:
    return len(secret) >= _LEAST_SECRET and not _PLAIN_WORD.fullmatch(secret)


def _secrets(exchange: Exchange, before: History) -> Iterator[bytes]:
    """What the server has to keep to itself of what the client has just said."""
    if exchange.kind is Kind.COMMAND and exchange.keyword in ("PASS", "APOP"):
        # A name that is the password as well is no secret.
        yield from (each for each in exchange.arguments[-1:] if each != before.user)
        return
    running = sasl_of(exchange, before)
    if running is None or not running.responses:
        return
    line = exchange.sent.rstrip(b"\r\n")
    said = line.split(b" ", 2)[-1] if exchange.kind is Kind.COMMAND else line
    if running.last_response is None:
        yield said  # which cannot be decoded, and has the secret in it all the same
        return
    for secret in _secrets_in(running, running.last_response):
        yield secret
        yield said


def _secrets_in(running: SaslExchange, response: bytes) -> Iterator[bytes]:
    """Those in a message of the client, by its mechanism."""
    if running.mechanism == "PLAIN":
        *names, password = response.split(b"\0")
        if password not in names:
            yield password
    elif running.mechanism == "LOGIN" and len(running.responses) == _QUESTIONS:
        if response != running.responses[0]:
            yield response
    elif running.mechanism == "CRAM-MD5":
        yield response.rpartition(b" ")[2]
    else:
        yield from _PROOF.findall(response)
