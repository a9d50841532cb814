"""SASL from the client's side: `begin` a run of one of MECHANISMS, perhaps with one of TWISTS."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import partial

from pop3spec.sasl.bearer import oauthbearer, xoauth2
from pop3spec.sasl.digests import CramMd5, DigestMd5
from pop3spec.sasl.exchange import Answer, Client, Identity, Judged, Unanswerable
from pop3spec.sasl.simple import SIMPLE
from pop3spec.sasl.twisted_scram import SCRAM_TWISTS, Twist, TwistedScram
from pop3spec.sasl.twists import ENCODING_TWISTS, MESSAGE_TWISTS, Encoding, Twisted

__all__ = [
    "BEARER",
    "MECHANISMS",
    "NOT_BY_NAME",
    "TWISTS",
    "WITH_PASSWORD",
    "Answer",
    "Client",
    "Encoding",
    "Identity",
    "Judged",
    "Unanswerable",
    "begin",
    "encoding",
]

_SCRAM = ("SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS")

# Mechanisms with a token in place of the password.
BEARER = frozenset({"OAUTHBEARER", "XOAUTH2"})
# Mechanisms that show the password to whoever can read the connection.
WITH_PASSWORD = frozenset({"PLAIN", "LOGIN"})
# Mechanisms that lead to another maildrop than that of the account.
NOT_BY_NAME = frozenset({"EXTERNAL", "ANONYMOUS"})

# What a client does wrong on purpose.
TWISTS = (*MESSAGE_TWISTS, *ENCODING_TWISTS, *SCRAM_TWISTS)


def _scram(identity: Identity, mechanism: str) -> Client:
    from pop3spec.sasl.scram import Scram  # its library is slow to load

    return Scram(identity, mechanism)


MECHANISMS: Mapping[str, Callable[[Identity], Client]] = {
    **SIMPLE,
    "CRAM-MD5": CramMd5,
    "DIGEST-MD5": DigestMd5,
    **{name: partial(_scram, mechanism=name) for name in _SCRAM},
    "OAUTHBEARER": oauthbearer,
    "XOAUTH2": xoauth2,
}


def begin(mechanism: str, identity: Identity, twist: str | None = None) -> Client:
    """A run of a mechanism; the twists of SCRAM are for SCRAM alone."""
    if twist in SCRAM_TWISTS:
        return TwistedScram(identity, mechanism, SCRAM_TWISTS[twist])
    client = MECHANISMS[mechanism](identity)
    if identity.authzid and mechanism in _SCRAM:
        client = TwistedScram(identity, mechanism, Twist())  # the library acts for nobody else
    change = MESSAGE_TWISTS.get(twist or "")
    return client if change is None else Twisted(client, change)


def encoding(twist: str | None) -> Encoding:
    """How messages are written on their lines: in base64, but for some twists."""
    return ENCODING_TWISTS.get(twist or "", b64encode)
