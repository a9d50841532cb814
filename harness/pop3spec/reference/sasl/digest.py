"""DIGEST-MD5 (RFC 2831): initial authentication, without a security layer of its own."""

import hashlib
import re
from collections.abc import Mapping

from pop3spec.reference.sasl.mechanism import (
    WRONG_CREDENTIALS,
    Challenge,
    Granted,
    Mechanism,
    Refused,
    Step,
    completed,
)

REALM = b"pop3spec.invalid"
_MOST = 4096

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
# Directives are separated by commas; blanks around them and empty elements mean nothing.
_BETWEEN = re.compile(rb"[ \t\r\n,]*")
_DIRECTIVE = re.compile(
    rb'(?P<name>TOKEN)[ \t]*=[ \t]*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<token>TOKEN))'
    rb"[ \t\r\n]*(?=,|\Z)".replace(b"TOKEN", _TOKEN),
    re.DOTALL,
)
_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_ONCE = (b"username", b"realm", b"nonce", b"cnonce", b"digest-uri", b"response")
_FORMS: Mapping[bytes, re.Pattern[bytes]] = {
    b"nc": re.compile(rb"00000001"),
    b"qop": re.compile(rb"auth"),
    b"charset": re.compile(rb"utf-8", re.IGNORECASE),
    b"response": re.compile(rb"[0-9a-f]{32}"),
    b"digest-uri": re.compile(rb"pop/[^/]+(?:/[^/]+)?", re.IGNORECASE),
    b"username": re.compile(rb"[^\0\r\n]+"),
    b"cnonce": re.compile(rb".+", re.DOTALL),
}


def directives(text: bytes) -> dict[bytes, bytes] | None:
    """The directives of a digest-response, None if it is none or one of them comes twice."""
    found: dict[bytes, bytes] = {}
    at = _BETWEEN.match(text).end()  # type: ignore[union-attr]  # it matches nothing as well
    while at < len(text):
        directive = _DIRECTIVE.match(text, at)
        if directive is None:
            return None
        name, token = directive["name"].lower(), directive["token"]
        if name in found:
            return None
        found[name] = token if token is not None else _PAIR.sub(rb"\1", directive["quoted"])
        at = _BETWEEN.match(text, directive.end()).end()  # type: ignore[union-attr]  # as above
    return found


class DigestMd5(Mechanism):
    """A nonce as the challenge, digests of it and the password from both sides."""

    client_first = False
    asked = b""

    def begin(self, initial: bytes | None) -> Step:
        """An initial response asks to go on with an earlier nonce, and is not taken up."""
        del initial
        return Challenge(self.challenge())

    def challenge(self) -> bytes:
        """One realm, one quality of protection, and a nonce."""
        self.asked = self.nonce()
        return b'realm="%b",nonce="%b",qop="auth",charset=utf-8,algorithm=md5-sess' % (
            REALM,
            self.asked,
        )

    def first(self, response: bytes) -> Step:
        """Take the digest-response."""
        said = directives(response) if len(response) < _MOST else None
        if said is None or not self.is_well_formed(said):
            return Refused("that is no digest-response")
        if not self.is_for_this_exchange(said):
            return Refused("that digest-response is for another challenge")
        name, password = self.account(said)
        ours = self.digest(said, password or self.nonce(), b"AUTHENTICATE:")
        if not self.is_same(ours, said[b"response"]) or password is None:
            return WRONG_CREDENTIALS
        step = self.authorize(name, said.get(b"authzid", b""))
        return self.answered(said, password, step) if isinstance(step, Granted) else step

    def is_well_formed(self, said: Mapping[bytes, bytes]) -> bool:
        """Whether all directives are there that have to be, each in its form."""
        return all(name in said for name in _ONCE) and all(
            form.fullmatch(said[name]) for name, form in _FORMS.items() if name in said
        )

    def is_for_this_exchange(self, said: Mapping[bytes, bytes]) -> bool:
        """Whether nonce and realm are those of the challenge."""
        return self.is_same(self.asked, said[b"nonce"]) and said[b"realm"] == REALM

    def account(self, said: Mapping[bytes, bytes]) -> tuple[bytes, bytes | None]:
        """The name as accounts have it, and the secret."""
        name = said[b"username"]
        if b"charset" not in said:
            name = name.decode("latin-1").encode()
        return name, self.maildrops.secret(name)

    def answered(self, said: Mapping[bytes, bytes], password: bytes, step: Step) -> Step:
        """Prove that the server knows the secret as well; then the exchange is over."""
        self.next = completed(step)
        return Challenge(b"rspauth=" + self.digest(said, password, b":"))

    def digest(self, said: Mapping[bytes, bytes], password: bytes, method: bytes) -> bytes:
        """The response-value for these directives (RFC 2831, section 2.1.2.1)."""
        name, _ = self.account(said)
        secret = _md5(b":".join((_shortest(name), said[b"realm"], _shortest(password))))
        session = [secret, said[b"nonce"], said[b"cnonce"]]
        if b"authzid" in said:
            session.append(said[b"authzid"])
        parts = (
            _hex(b":".join(session)),
            said[b"nonce"],
            said.get(b"nc", b"00000001"),
            said[b"cnonce"],
            said.get(b"qop", b"auth"),
            _hex(method + said[b"digest-uri"]),
        )
        return _hex(b":".join(parts))


def _shortest(text: bytes) -> bytes:
    """UTF-8 as ISO 8859-1 where that has every character, as HTTP's databases do."""
    try:
        return text.decode().encode("latin-1")
    except UnicodeError:
        return text


def _md5(octets: bytes) -> bytes:
    return hashlib.md5(octets, usedforsecurity=False).digest()


def _hex(octets: bytes) -> bytes:
    return _md5(octets).hex().encode()
