"""CRAM-MD5 (RFC 2195) and DIGEST-MD5 (RFC 2831, historic): an answer made of a challenge."""

import hmac
import re
import secrets
from hashlib import md5

from pop3spec.protocol.text import show
from pop3spec.rulebook.judgement import HELD, Broken
from pop3spec.sasl.exchange import Answer, Identity, Judged, Unanswerable

CRAM_CHALLENGE = "rfc2195-2-challenge"
DIGEST_CHALLENGE = "rfc2831-2.1.1-challenge"

# The form of msg-id in RFC 822, as the challenge has it (RFC 2195, section 2).
_MESSAGE_ID = re.compile(rb"<[^<>@\s]+@[^<>@\s]+>")
_DIRECTIVE = re.compile(r'\s*([A-Za-z-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]*))\s*(?:,|$)')
_WIDTH = 100


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
        is_formed = _MESSAGE_ID.fullmatch(challenge) is not None
        judged = HELD if is_formed else Broken(f"the challenge '{show(challenge, _WIDTH)}'")
        key = self._identity.password.encode()
        digest = hmac.new(key, challenge, "md5").hexdigest()
        octets = f"{self._identity.user} {digest}".encode()
        return Answer(octets, ((CRAM_CHALLENGE, judged),))

    def end(self) -> tuple[Judged, ...]:
        """The server proves nothing."""
        return ()


def directives(challenge: bytes) -> dict[str, str] | None:
    """The directives of a challenge by their names in lower case, None in another form."""
    try:
        text = challenge.decode("utf-8")
    except UnicodeDecodeError:
        return None
    found: dict[str, str] = {}
    place = 0
    while place < len(text):
        match = _DIRECTIVE.match(text, place)
        if match is None or match.end() == place:
            return None
        name, quoted, plain = match.groups()
        value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
        found.setdefault(name.lower(), value)
        place = match.end()
    return found


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
        told = directives(challenge)
        problem = _problem_of(told)
        if told is None or problem:
            judged = Broken(problem or f"the challenge '{show(challenge, _WIDTH)}'")
            raise Unanswerable("a challenge of another form", ((DIGEST_CHALLENGE, judged),))
        self._is_said = True
        return Answer(self._response(told), ((DIGEST_CHALLENGE, HELD),))

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


def _problem_of(told: dict[str, str] | None) -> str:
    if told is None:
        return ""
    for name in ("nonce", "algorithm"):
        if not told.get(name):
            return f"a challenge without {name}"
    if told["algorithm"].lower() != "md5-sess":
        return f"the algorithm {told['algorithm']}"
    if "auth" not in told.get("qop", "auth").replace(",", " ").split():
        return f"the qop {told['qop']}, without auth"
    return ""
