"""TLS for the reference server: the handshake from its side, and what sessions get of it."""

import hashlib
import ssl
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from pop3spec.reference.sasl.mechanism import Security


@dataclass(frozen=True)
class Certificate:
    """A certificate, the chain behind it, and its key, in PEM."""

    chain: bytes
    key: bytes

    @property
    def pem(self) -> bytes:
        """All of it, as one file that a client or server loads."""
        return self.key + self.chain

    @property
    def end_point(self) -> bytes:
        """The data of the channel binding tls-server-end-point (RFC 5929, section 4)."""
        first = self.chain.decode("ascii").partition(ssl.PEM_FOOTER)[0] + ssl.PEM_FOOTER
        # All certificates here are signed with SHA-256, so the binding takes it as well.
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(first)).digest()


@dataclass(frozen=True)
class ServerTls:
    """The server's side of TLS: how it shakes hands, what it shows, and whom it trusts."""

    context: ssl.SSLContext
    certificate: Certificate
    trusted: bytes


def server_tls(certificate: Certificate, trusted: bytes) -> ServerTls:
    """TLS 1.2 and later with this certificate; clients' count that the authority signed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # No session is resumed, which would make the binding tls-unique unsafe (RFC 7677, section 4).
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET
    context.load_verify_locations(cadata=trusted.decode("ascii"))
    context.verify_mode = ssl.CERT_OPTIONAL
    with tempfile.NamedTemporaryFile() as file:  # ssl reads certificates from files alone
        file.write(certificate.pem)
        file.flush()
        context.load_cert_chain(file.name)
    return ServerTls(context, certificate, trusted)


def security_of(secured: ssl.SSLSocket, tls: ServerTls) -> Security:
    """What a handshake that succeeded gives to a session."""
    bindings = {"tls-server-end-point": tls.certificate.end_point}
    unique = secured.get_channel_binding("tls-unique")
    # In TLS 1.3 it is not defined (RFC 8446, appendix C.5).
    if unique is not None and secured.version() == "TLSv1.2":
        bindings["tls-unique"] = unique
    return Security(bindings, _common_name(secured))


def _common_name(secured: ssl.SSLSocket) -> bytes | None:
    """The common name in the certificate that the client showed, None without one."""
    try:
        shown = secured.getpeercert()
    except (AttributeError, ValueError) as error:  # cut since the handshake, which has no name
        raise OSError("the connection was cut") from error
    if not shown:
        return None
    # Tuples of tuples: relative distinguished names, each of pairs.
    subject = cast("Sequence[Sequence[tuple[str, str]]]", shown["subject"])
    names = [value for part in subject for key, value in part if key == "commonName"]
    return names[0].encode() if len(names) == 1 else None
