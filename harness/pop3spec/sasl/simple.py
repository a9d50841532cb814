"""PLAIN (RFC 4616), LOGIN (draft), ANONYMOUS (RFC 4505), EXTERNAL (RFC 4422, appendix A)."""

from collections.abc import Callable

from pop3spec.sasl.exchange import Answer, Client, Identity, Judged, Unanswerable


class OneMessage:
    """A mechanism in which the client says everything at once."""

    def __init__(self, message: bytes) -> None:
        self._message = message
        self._is_said = False

    def first(self) -> bytes:
        """The only message."""
        self._is_said = True
        return self._message

    def answer(self, challenge: bytes) -> Answer:
        """The message in answer to the empty challenge."""
        if self._is_said or challenge:
            raise Unanswerable("a challenge behind the only message of the mechanism")
        return Answer(self.first())

    def end(self) -> tuple[Judged, ...]:
        """Nothing is told by such a mechanism."""
        return ()


class Login:
    """A user name and a password, each asked for; what the questions say does not matter."""

    def __init__(self, identity: Identity) -> None:
        self._left = [identity.user.encode(), identity.password.encode()]

    def first(self) -> None:
        """The server asks first."""

    def answer(self, challenge: bytes) -> Answer:
        """The name, then the password."""
        del challenge
        if not self._left:
            raise Unanswerable("a third question, behind name and password")
        return Answer(self._left.pop(0))

    def end(self) -> tuple[Judged, ...]:
        """Nothing is told by such a mechanism."""
        return ()


def plain(identity: Identity) -> Client:
    """Authorization identity, name and password with NUL between them."""
    parts = (identity.authzid, identity.user, identity.password)
    return OneMessage("\0".join(parts).encode())


def anonymous(identity: Identity) -> Client:
    """A trace, which nothing hangs on."""
    del identity
    return OneMessage(b"pop3spec@example.org")


def external(identity: Identity) -> Client:
    """The authorization identity, mostly empty: TLS has told the rest."""
    return OneMessage(identity.authzid.encode())


SIMPLE: dict[str, Callable[[Identity], Client]] = {
    "PLAIN": plain,
    "LOGIN": Login,
    "ANONYMOUS": anonymous,
    "EXTERNAL": external,
}
