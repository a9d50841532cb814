"""SCRAM-SHA-1 and SCRAM-SHA-256, with and without channel binding (RFC 5802, RFC 7677)."""

from scramp import ScramClient, ScramException
from scramp.core import CBindData

from pop3spec.protocol.sasl import is_server_final, server_first
from pop3spec.rulebook.judgement import HELD, Broken
from pop3spec.sasl.exchange import Answer, Identity, Judged, Unanswerable

SERVER_SIGNATURE = "rfc5802-3-server-signature"

# More than this is an attack on the client, not a login.
MOST_ITERATIONS = 1_000_000

# The order in which a client prefers channel bindings.
BINDINGS = ("tls-unique", "tls-server-end-point")


def binding_data(kind: str, data: bytes) -> bytes:
    """The octets that bind to the channel; of a certificate its digest (RFC 5929, section 4)."""
    return bytes(CBindData.from_der(data)) if kind == "tls-server-end-point" else data


class Scram:
    """A proof of the client's, then one of the server's; the nonce is random if none is given."""

    def __init__(self, identity: Identity, mechanism: str, nonce: str | None = None) -> None:
        kind = next((kind for kind in BINDINGS if kind in identity.bindings), None)
        binding = None
        if kind is not None and mechanism.endswith("-PLUS"):
            binding = (kind, binding_data(kind, identity.bindings[kind]))
        self._client = ScramClient(
            [mechanism],
            identity.user,
            identity.password,
            channel_binding=binding,
            c_nonce=nonce,
        )
        self._stage = 0

    def first(self) -> bytes:
        """Name and nonce."""
        self._stage = 1
        message: str = self._client.get_client_first()
        return message.encode()

    def answer(self, challenge: bytes) -> Answer:
        """The proof in answer to nonce and salt, nothing in answer to the server's signature."""
        if self._stage == 0 and not challenge:
            return Answer(self.first())
        if self._stage == 1:
            return self._final(challenge)
        if self._stage == 2:
            self._stage = 3
            return Answer(b"", self._judge(challenge))
        raise Unanswerable("a challenge behind the server's signature")

    def _final(self, challenge: bytes) -> Answer:
        told = server_first(challenge)
        if told is None:
            raise Unanswerable("a message that no proof can be made of")
        if told.iterations > MOST_ITERATIONS:
            raise Unanswerable(f"{told.iterations} iterations are more than one login is worth")
        try:
            self._client.set_server_first(challenge.decode())
            message: str = self._client.get_client_final()
        except (ScramException, ValueError) as error:  # or not UTF-8, or not base64
            raise Unanswerable(f"{type(error).__name__}: {error}") from error
        self._stage = 2
        return Answer(message.encode())

    def _judge(self, challenge: bytes) -> tuple[Judged, ...]:
        """Who knows the password knows the signature; of another form the server has none."""
        if not challenge.startswith(b"v=") or not is_server_final(challenge):
            return ()
        try:
            self._client.set_server_final(challenge.decode())
        except (ScramException, ValueError):
            return ((SERVER_SIGNATURE, Broken("a signature that the password does not make")),)
        return ((SERVER_SIGNATURE, HELD),)

    def end(self) -> tuple[Judged, ...]:
        """All that is told was told before."""
        return ()
