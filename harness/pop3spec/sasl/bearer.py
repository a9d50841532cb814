"""OAUTHBEARER (RFC 7628) and XOAUTH2: a token, and what the server says against it."""

from pop3spec.sasl.exchange import Answer, Client, Identity, Judged, Unanswerable

_SEPARATOR = "\x01"


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

    def __init__(self, message: bytes, dummy: bytes) -> None:
        self._message = message
        self._dummy = dummy
        self._is_said = False
        self._has_failed = False

    def first(self) -> bytes:
        """The only message."""
        self._is_said = True
        return self._message

    def answer(self, challenge: bytes) -> Answer:
        """The message in answer to the empty challenge, the dummy in answer to an error."""
        if not challenge and not self._has_failed:
            if self._is_said:
                raise Unanswerable("an empty challenge behind the message")
            return Answer(self.first())
        if self._has_failed:
            raise Unanswerable("a further challenge behind the error and its answer")
        self._has_failed = True
        return Answer(self._dummy)

    def end(self) -> tuple[Judged, ...]:
        """The server proves nothing."""
        return ()


def oauthbearer(identity: Identity) -> Client:
    """OAUTHBEARER: the answer to an error is one octet of value 1."""
    return Bearer(oauthbearer_message(identity), _SEPARATOR.encode())


def xoauth2(identity: Identity) -> Client:
    """XOAUTH2: the answer to an error is empty, and no RFC says what an error is."""
    return Bearer(xoauth2_message(identity), b"")
