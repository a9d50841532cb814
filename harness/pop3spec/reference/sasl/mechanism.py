"""What every SASL mechanism of the reference server has in common (RFC 4422).

A mechanism is the server's side of one exchange: decoded responses in, steps
out. It does no I/O; base64 and the lines of AUTH belong to the session.
"""

import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from pop3spec.reference.maildrops import Maildrops
from pop3spec.reference.sasl.saslprep import prepared


@dataclass(frozen=True)
class Security:
    """What TLS gives a session.

    `bindings` has the data of each type of channel binding; `certified` is the
    name in the certificate that the client showed, None where it showed none.
    """

    bindings: Mapping[str, bytes] = field(default_factory=dict)
    certified: bytes | None = None


@dataclass(frozen=True)
class Challenge:
    """The exchange goes on: what the client gets to answer."""

    octets: bytes = b""


@dataclass(frozen=True)
class Granted:
    """The exchange succeeded: the account that the client may use."""

    user: str


@dataclass(frozen=True)
class Refused:
    """The exchange failed; `is_credentials` where well-formed credentials are wrong."""

    why: str = "wrong credentials"
    is_credentials: bool = False


Step = Challenge | Granted | Refused

WRONG_CREDENTIALS = Refused(is_credentials=True)


class Mechanism:
    """One exchange, from `begin` until a step is no challenge.

    `client_first` says that the client's response opens the exchange, `is_cleartext`
    that it carries a password that whoever listens may use.
    """

    client_first: ClassVar[bool] = True
    is_cleartext: ClassVar[bool] = False

    def __init__(self, maildrops: Maildrops, security: Security | None) -> None:
        self.maildrops = maildrops
        self.security = security
        # What the next response is for.
        self.next: Callable[[bytes], Step] = self.first

    @classmethod
    def is_available(cls, maildrops: Maildrops, security: Security | None) -> bool:
        """Whether it can succeed at all in this security layer."""
        del maildrops, security
        return True

    def begin(self, initial: bytes | None) -> Step:
        """Open the exchange, with the initial response of AUTH if it has one."""
        if self.client_first:
            return Challenge() if initial is None else self.respond(initial)
        if initial is not None:
            return Refused("this mechanism takes no initial response")
        return Challenge(self.challenge())

    def challenge(self) -> bytes:
        """The first challenge of a mechanism in which the server speaks first."""
        raise NotImplementedError

    def respond(self, response: bytes) -> Step:
        """Take the client's response to what it got last."""
        return self.next(response)

    def first(self, response: bytes) -> Step:
        """Take the client's first response."""
        raise NotImplementedError

    # What several mechanisms decide.

    def nonce(self) -> bytes:
        """Characters that no exchange had before."""
        return secrets.token_hex(16).encode()

    def is_password(self, name: bytes, password: bytes) -> bool:
        """Whether a name and a password, both prepared, belong together."""
        secret = self.maildrops.secret(name)
        # Unknown names take the time of known ones.
        is_secret = self.is_same(prepared(secret or self.nonce()) or b"", password)
        return is_secret and secret is not None

    def is_same(self, ours: bytes, theirs: bytes) -> bool:
        """Whether two secrets are equal, in a time that does not tell where they differ."""
        return hmac.compare_digest(ours, theirs)

    def authorize(self, name: bytes, acts_as: bytes = b"") -> Step:
        """Let the owner of an account use it, and nobody else's; empty is one's own."""
        if acts_as and not self.may_act_as(name, acts_as):
            return WRONG_CREDENTIALS
        return Granted(self.maildrops.user(name))

    def may_act_as(self, name: bytes, other: bytes) -> bool:
        """Whether the owner of an account may use another one."""
        return name == other


def completed(step: Step) -> Callable[[bytes], Step]:
    """What follows data of a success: the response to it is empty (RFC 4422, section 3)."""

    def acknowledged(response: bytes) -> Step:
        return Refused("an empty response was due") if response else step

    return acknowledged
