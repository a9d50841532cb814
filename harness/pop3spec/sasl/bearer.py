"""OAUTHBEARER (RFC 7628) and XOAUTH2: a token, and what the server says against it."""

import json

from pop3spec.protocol.text import show
from pop3spec.rulebook.judgement import HELD, Broken, Held
from pop3spec.sasl.exchange import Answer, Client, Identity, Judged, Unanswerable

ERROR_CHALLENGE = "rfc7628-3.2.2-error-result"

_SEPARATOR = "\x01"
_WIDTH = 100


def _with_token(token: str) -> str:
    return f"auth=Bearer {token}"


def oauthbearer_message(identity: Identity) -> bytes:
    """GS2 header, host, port and token (RFC 7628, section 3.1)."""
    name = (identity.authzid or identity.user).replace("=", "=3D").replace(",", "=2C")
    pairs = [f"host={identity.host or 'localhost'}", f"port={identity.port}"]
    words = [f"n,a={name},", *pairs, _with_token(identity.token), "", ""]
    return _SEPARATOR.join(words).encode()


def xoauth2_message(identity: Identity) -> bytes:
    """Name and token, as the mechanism before OAUTHBEARER has them."""
    words = [f"user={identity.user}", _with_token(identity.token), "", ""]
    return _SEPARATOR.join(words).encode()


class Bearer:
    """A token in one message; an error is a challenge, and a word without meaning its answer."""

    def __init__(self, message: bytes, dummy: bytes, rule: str) -> None:
        self._message = message
        self._dummy = dummy
        self._rule = rule
        self._is_said = False
        self._has_failed = False

    def first(self) -> bytes:
        """The only message."""
        self._is_said = True
        return self._message

    def answer(self, challenge: bytes) -> Answer:
        """The message in answer to the empty challenge, the dummy in answer to an error."""
        if not self._is_said and not challenge:
            return Answer(self.first())
        if self._has_failed:
            raise Unanswerable("a second error")
        self._has_failed = True
        judged = ((self._rule, _error(challenge)),) if self._rule else ()
        return Answer(self._dummy, judged)

    def end(self) -> tuple[Judged, ...]:
        """Behind an error there is no success."""
        if self._has_failed and self._rule:
            return ((self._rule, Broken("a positive reply behind the error")),)
        return ()


def _error(challenge: bytes) -> Held | Broken:
    """An error is a JSON object with a status (RFC 7628, section 3.2.2)."""
    try:
        told = json.loads(challenge)
    except ValueError:
        return Broken(f"the error '{show(challenge, _WIDTH)}', which is no JSON")
    if isinstance(told, dict) and isinstance(told.get("status"), str):
        return HELD
    return Broken(f"the error '{show(challenge, _WIDTH)}' without a status")


def oauthbearer(identity: Identity) -> Client:
    """OAUTHBEARER: the answer to an error is one octet of value 1."""
    return Bearer(oauthbearer_message(identity), _SEPARATOR.encode(), ERROR_CHALLENGE)


def xoauth2(identity: Identity) -> Client:
    """XOAUTH2: the answer to an error is empty, and no RFC says what an error is."""
    return Bearer(xoauth2_message(identity), b"", "")
