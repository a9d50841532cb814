"""What the reference server offers in every session: TLS, mechanisms, its policy."""

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
class Offer:
    """What is on offer; `has_tls` says that there is a certificate, so STLS can work."""

    has_tls: bool = False
    cleartext: Cleartext = Cleartext.PERMITTED
    mechanisms: Mapping[str, type[Mechanism]] = field(default_factory=lambda: MECHANISMS)
