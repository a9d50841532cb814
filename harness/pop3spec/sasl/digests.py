"""CRAM-MD5 (RFC 2195) and DIGEST-MD5 (RFC 2831, historic): an answer made of a challenge."""

import hmac
import secrets
from hashlib import md5

from pop3spec.protocol.sasl import directives
from pop3spec.sasl.exchange import Answer, Identity, Judged, Unanswerable


class CramMd5:
    """The keyed digest of a challenge."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._is_answered = False

    def first(self) -> None:
        """The server sends its challenge first."""

    def answer(self, challenge: bytes) -> Answer:
        """Name, blank and digest in lower-case hexadecimal."""
        if self._is_answered:
            raise Unanswerable("a second challenge")
        self._is_answered = True
        key = self._identity.password.encode()
        digest = hmac.new(key, challenge, "md5").hexdigest()
        return Answer(f"{self._identity.user} {digest}".encode())

    def end(self) -> tuple[Judged, ...]:
        """The server proves nothing."""
        return ()


def _md5(*parts: bytes) -> bytes:
    return md5(b":".join(parts), usedforsecurity=False).digest()


class DigestMd5:
    """HTTP's digest; the proof that the server sends in the end is taken as it comes."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._is_said = False

    def first(self) -> None:
        """The server sends its challenge first."""

    def answer(self, challenge: bytes) -> Answer:
        """The response; then nothing, in answer to the server's proof."""
        if self._is_said:
            return Answer(b"")  # to what the server proves
        told: dict[str, str] = {}
        for name, value in directives(challenge) or ():
            told.setdefault(name, value)
        if not told.get("nonce") or "auth" not in told.get("qop", "auth").replace(",", " ").split():
            raise Unanswerable("a challenge without a nonce, or without qop=auth")
        self._is_said = True
        return Answer(self._response(told))

    def _response(self, told: dict[str, str]) -> bytes:
        identity = self._identity
        realm, nonce = told.get("realm", ""), told["nonce"]
        cnonce, count = secrets.token_hex(16), "00000001"
        uri = f"pop/{identity.host or 'localhost'}"
        secret = _md5(identity.user.encode(), realm.encode(), identity.password.encode())
        parts = [nonce.encode(), cnonce.encode()]
        if identity.authzid:
            parts.append(identity.authzid.encode())
        key = _md5(secret, *parts).hex().encode()

        what = _md5(b"AUTHENTICATE", uri.encode()).hex()
        shared = (nonce, count, cnonce, "auth", what)
        response = _md5(key, *(part.encode() for part in shared)).hex()
        values = {
            "username": identity.user,
            "realm": realm,
            "nonce": nonce,
            "cnonce": cnonce,
            "digest-uri": uri,
        }
        quoted = [f'{name}="{_escaped(value)}"' for name, value in values.items()]
        if identity.authzid:
            quoted.append(f'authzid="{_escaped(identity.authzid)}"')
        plain = ["charset=utf-8"] if "charset" in told else []
        plain += [f"nc={count}", "qop=auth", f"response={response}"]
        return ",".join(quoted + plain).encode()

    def end(self) -> tuple[Judged, ...]:
        """What the server proves is not judged: the mechanism is historic."""
        return ()


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
