"""Certificates of our own, for servers and for clients: good ones, and all kinds of bad ones."""

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache

import trustme

from pop3spec.reference.tls import Certificate, ServerTls, server_tls

NAMES = ("localhost", "127.0.0.1", "::1")


class Authority:
    """A certificate authority of our own, for servers and for clients."""

    def __init__(self) -> None:
        self._ca = trustme.CA()

    @property
    def pem(self) -> bytes:
        """The certificate that a client has to trust."""
        return self._ca.cert_pem.bytes()

    def tls(self, kind: str = "good") -> ServerTls:
        """The server's side of TLS, with a certificate of this kind."""
        return server_tls(CERTIFICATES[kind](self), self.pem)

    def server(self, *names: str) -> Certificate:
        """A certificate for a server of these names."""
        return _certificate(self._ca.issue_cert(*(names or NAMES)))

    def client(self, user: str) -> Certificate:
        """A certificate for the owner of an account, whose name is its common name."""
        address = f"{hashlib.sha256(user.encode()).hexdigest()[:16]}@pop3spec.invalid"
        return _certificate(self._ca.issue_cert(address, common_name=user))

    def expired(self) -> Certificate:
        """One that was good until yesterday."""
        now = datetime.now(UTC)
        issued = self._ca.issue_cert(
            *NAMES, not_before=now - timedelta(days=30), not_after=now - timedelta(days=1)
        )
        return _certificate(issued)

    def early(self) -> Certificate:
        """One that is good from tomorrow on."""
        now = datetime.now(UTC)
        issued = self._ca.issue_cert(
            *NAMES, not_before=now + timedelta(days=1), not_after=now + timedelta(days=30)
        )
        return _certificate(issued)

    def misnamed(self) -> Certificate:
        """One for another host."""
        return self.server("elsewhere.invalid")

    def self_signed(self) -> Certificate:
        """One that nobody but its owner vouches for."""
        alone = trustme.CA()
        return Certificate(alone.cert_pem.bytes(), alone.private_key_pem.bytes())

    def foreign(self) -> Certificate:
        """One of an authority that the client does not know."""
        return Authority().server()


def _certificate(issued: trustme.LeafCert) -> Certificate:
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    return Certificate(chain, issued.private_key_pem.bytes())


# What a server may show: the good one, and what a client has to reject.
CERTIFICATES: Mapping[str, Callable[[Authority], Certificate]] = {
    "good": Authority.server,
    "expired": Authority.expired,
    "early": Authority.early,
    "misnamed": Authority.misnamed,
    "self-signed": Authority.self_signed,
    "foreign": Authority.foreign,
}


@cache
def authority() -> Authority:
    """The authority of this process, made at the first use."""
    return Authority()
