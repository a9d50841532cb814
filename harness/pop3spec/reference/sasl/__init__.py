"""The SASL mechanisms of the reference server: MECHANISMS, name -> its server's side."""

from collections.abc import Mapping

from pop3spec.reference.sasl.bearer import OAuthBearer, XOAuth2
from pop3spec.reference.sasl.cram import CramMd5
from pop3spec.reference.sasl.digest import DigestMd5
from pop3spec.reference.sasl.identity import Anonymous, External
from pop3spec.reference.sasl.mechanism import Mechanism
from pop3spec.reference.sasl.plaintext import Login, Plain
from pop3spec.reference.sasl.scram import (
    ScramSha1,
    ScramSha1Plus,
    ScramSha256,
    ScramSha256Plus,
)

MECHANISMS: Mapping[str, type[Mechanism]] = {
    "SCRAM-SHA-256-PLUS": ScramSha256Plus,
    "SCRAM-SHA-256": ScramSha256,
    "SCRAM-SHA-1-PLUS": ScramSha1Plus,
    "SCRAM-SHA-1": ScramSha1,
    "DIGEST-MD5": DigestMd5,
    "CRAM-MD5": CramMd5,
    "OAUTHBEARER": OAuthBearer,
    "XOAUTH2": XOAuth2,
    "EXTERNAL": External,
    "PLAIN": Plain,
    "LOGIN": Login,
    "ANONYMOUS": Anonymous,
}
