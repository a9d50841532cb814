"""What the reference server offers in every session: TLS, mechanisms, languages, its policy."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from pop3spec.reference.sasl import MECHANISMS
from pop3spec.reference.sasl.mechanism import Mechanism


class Cleartext(Enum):
    """Whether passwords may come without TLS (RFC 8314, section 4)."""

    PERMITTED = "permitted"
    REFUSED = "refused"


@dataclass(frozen=True)
class LoginDelay:
    """The seconds between two logins to an account, 0 for none (RFC 2449, section 6.5).

    `of_user` has those who have another delay than everybody else.
    """

    seconds: int = 0
    of_user: Mapping[str, int] = field(default_factory=dict)

    def of(self, user: str) -> int:
        """The delay of an account."""
        return self.of_user.get(user, self.seconds)

    @property
    def largest(self) -> int:
        """What is announced before it is known who comes."""
        return max((self.seconds, *self.of_user.values()))

    @property
    def differs(self) -> bool:
        """An account may have another delay than the next."""
        return any(seconds != self.seconds for seconds in self.of_user.values())


NO_DELAY = LoginDelay()


@dataclass(frozen=True)
class Offer:
    """What is on offer; `has_tls` says that there is a certificate, so STLS can work.

    `is_international`: UTF8 with its argument USER, and LANG (RFC 6856).
    """

    has_tls: bool = False
    cleartext: Cleartext = Cleartext.PERMITTED
    mechanisms: Mapping[str, type[Mechanism]] = field(default_factory=lambda: MECHANISMS)
    is_international: bool = False
    login_delay: LoginDelay = NO_DELAY
