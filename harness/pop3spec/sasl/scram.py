"""SCRAM-SHA-1 and SCRAM-SHA-256, with and without channel binding (RFC 5802, RFC 7677)."""

import re

from scramp import ScramClient, ScramException
from scramp.core import CBindData

from pop3spec.protocol.text import show
from pop3spec.rulebook.judgement import HELD, Broken
from pop3spec.sasl.exchange import Answer, Identity, Judged, Unanswerable

SERVER_FIRST = "rfc5802-7-server-first-message"
SERVER_NONCE = "rfc5802-5.1-server-nonce"
ITERATIONS = "rfc5802-5.1-iteration-count"
SERVER_FINAL = "rfc5802-7-server-final-message"
SERVER_SIGNATURE = "rfc5802-3-server-signature"
SUCCESS_DATA = "rfc5034-4-success-data"

# RFC 5802, section 5.1: at least as many for SHA-1; RFC 7677, section 4 keeps it for SHA-256.
LEAST_ITERATIONS = 4096
# More than this is an attack on the client, not a login.
MOST_ITERATIONS = 1_000_000

_FIRST = re.compile(
    r"r=([!-+\--~]+),s=((?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?),"
    r"i=([1-9][0-9]{0,9})(?:,.*)?"
)
_NONCE = re.compile(r"r=([^,]+)")
# RFC 5802, section 7: the signature, or an error; more may follow.
_FINAL = re.compile(r"(?:v=[A-Za-z0-9+/]+={0,2}|e=[^,\0]+)(?:,.*)?")
_WIDTH = 100

# The order in which a client prefers channel bindings.
BINDINGS = ("tls-unique", "tls-server-end-point")


def binding_data(kind: str, data: bytes) -> bytes:
    """The octets that bind to the channel; of a certificate its digest (RFC 5929, section 4)."""
    return bytes(CBindData.from_der(data)) if kind == "tls-server-end-point" else data


class Scram:
    """A proof of the client's, then one of the server's."""

    def __init__(self, identity: Identity, mechanism: str) -> None:
        kind = next((kind for kind in BINDINGS if kind in identity.bindings), None)
        binding = None
        if kind is not None and mechanism.endswith("-PLUS"):
            binding = (kind, binding_data(kind, identity.bindings[kind]))
        self._client = ScramClient(
            [mechanism], identity.user, identity.password, channel_binding=binding
        )
        self._nonce = ""
        self._stage = 0
        self._is_signed = False

    def first(self) -> bytes:
        """Name and nonce."""
        self._stage = 1
        message: str = self._client.get_client_first()
        found = _NONCE.search(message)
        self._nonce = found[1] if found else ""
        return message.encode()

    def answer(self, challenge: bytes) -> Answer:
        """The proof in answer to nonce and salt, nothing in answer to the server's signature."""
        if self._stage == 0 and not challenge:
            return Answer(self.first())
        if self._stage == 1:
            return self._final(challenge)
        if self._stage == 2:
            return Answer(b"", self._judge_final(challenge))
        raise Unanswerable("a challenge behind the server's signature")

    def _final(self, challenge: bytes) -> Answer:
        judged = self._judge_first(challenge)
        found = _FIRST.fullmatch(challenge.decode("utf-8", "replace"))
        if found is None or any(isinstance(said, Broken) for _, said in judged):
            raise Unanswerable("a message that no proof can be made of", judged)
        count = int(found[3])
        judged.append((ITERATIONS, HELD if count >= LEAST_ITERATIONS else _few(count)))
        if count > MOST_ITERATIONS:
            raise Unanswerable(f"{count} iterations are more than one login is worth", judged)
        try:
            self._client.set_server_first(challenge.decode())
            message: str = self._client.get_client_final()
        except ScramException as error:
            raise Unanswerable(str(error), judged) from error
        self._stage = 2
        return Answer(message.encode(), tuple(judged))

    def _judge_first(self, challenge: bytes) -> list[Judged]:
        found = _FIRST.fullmatch(challenge.decode("utf-8", "replace"))
        if found is None:
            got = f"'{show(challenge, _WIDTH)}' for nonce, salt and iteration count"
            return [(SERVER_FIRST, Broken(got))]
        nonce = found[1]
        broken = None
        if not nonce.startswith(self._nonce):
            broken = Broken("a nonce that does not begin with the client's")
        elif nonce == self._nonce:
            broken = Broken("the client's nonce, with nothing of the server's behind it")
        return [(SERVER_FIRST, HELD), (SERVER_NONCE, broken or HELD)]

    def _judge_final(self, challenge: bytes) -> tuple[Judged, ...]:
        self._stage = 3
        text = challenge.decode("utf-8", "replace")
        if _FINAL.fullmatch(text) is None:
            return ((SERVER_FINAL, Broken(f"'{show(challenge, _WIDTH)}' for the signature")),)
        formed: Judged = (SERVER_FINAL, HELD)
        # An error, and a refusal behind it.
        if text.startswith("e="):
            return (formed,)
        self._is_signed = True
        try:
            self._client.set_server_final(text)
        except ScramException:
            return (
                formed,
                (SERVER_SIGNATURE, Broken("a signature that the password does not make")),
            )
        return (formed, (SERVER_SIGNATURE, HELD))

    def end(self) -> tuple[Judged, ...]:
        """The signature comes before the positive reply."""
        if self._is_signed:
            return ((SUCCESS_DATA, HELD),)
        return ((SUCCESS_DATA, Broken("a positive reply without the signature before it")),)


def _few(count: int) -> Broken:
    return Broken(f"{count} iterations, fewer than {LEAST_ITERATIONS}")
