"""Faults of the SASL mechanisms, each in its own messages."""
# ruff: noqa: ARG002, ARG003, ARG005 -- a step that replaces another need not use all that it is given

import hmac
import re
import secrets
import time
from collections.abc import Sequence
from typing import ClassVar

from pop3spec.reference.faults.fault import FaultTable
from pop3spec.reference.maildrops import Maildrops
from pop3spec.reference.sasl.bearer import Bearer, OAuthBearer
from pop3spec.reference.sasl.cram import CramMd5
from pop3spec.reference.sasl.digest import DigestMd5
from pop3spec.reference.sasl.identity import Anonymous, External
from pop3spec.reference.sasl.mechanism import (
    WRONG_CREDENTIALS,
    Challenge,
    Granted,
    Mechanism,
    Refused,
    Security,
    Step,
)
from pop3spec.reference.sasl.plaintext import Login, Plain
from pop3spec.reference.sasl.saslprep import prepared
from pop3spec.reference.sasl.scram import FIRST, Scram, ScramPlus, ScramSha256
from pop3spec.reference.session import Session

TABLE = FaultTable()
fault = TABLE.fault


# Credentials that are wrong (RFC 5034, section 4).


@fault(
    "login-mechanism-compares-the-name-alone",
    breaks=["rfc5034-4-login-refused"],
    copies="the second response of LOGIN is taken for the end of the exchange",
)
class _LoginMechanismComparesTheNameAlone(Login):
    def is_password(self, name: bytes, password: bytes) -> bool:
        return self.maildrops.is_account(name)


@fault(
    "cram-md5-digest-as-long-as-sent",
    breaks=["rfc5034-4-login-refused"],
    copies="as many digits of the digest are compared as the client has sent",
    edge=True,
)
class _CramMd5DigestAsLongAsSent(CramMd5):
    def first(self, response: bytes) -> Step:
        name, _, digest = response.rpartition(b" ")
        return self.authorize(name) if self.is_digest(name, digest) else WRONG_CREDENTIALS

    def is_same(self, ours: bytes, theirs: bytes) -> bool:
        return ours.startswith(theirs)


@fault(
    "login-mechanism-cut-at-nul",
    breaks=["rfc5034-4-login-refused"],
    copies="name and password are strings of C (Dovecot before 2020)",
    edge=True,
)
class _LoginMechanismCutAtNul(Login):
    def first(self, response: bytes) -> Step:
        return super().first(response.partition(b"\0")[0])

    def password(self, response: bytes) -> Step:
        return super().password(response.partition(b"\0")[0])


@fault(
    "token-not-verified",
    breaks=["rfc5034-4-login-refused"],
    copies="the name is believed to whoever has a token of the right form",
    edge=True,
)
class _TokenNotVerified(Bearer):
    named: bytes | None = None

    def readable(self, name: bytes) -> bytes | None:
        self.named = super().readable(name)
        return self.named

    def owner(self, token: bytes) -> bytes | None:
        named = self.named if self.named in self.maildrops.accounts else None
        return super().owner(token) or named


# Whom the client may act as (RFC 4422, section 3.6).


@fault(
    "plain-overlooks-the-identity",
    breaks=["rfc4422-3.6-authorization-identity"],
    copies="what stands before the first NUL is skipped",
)
class _PlainOverlooksTheIdentity(Plain):
    def verify(self, acts_as: bytes, name: bytes, password: bytes) -> Step:
        return super().verify(b"", name, password)


@fault(
    "identity-compared-by-its-beginning",
    breaks=["rfc4422-3.6-authorization-identity"],
    copies="a name with a realm behind it counts as the name, and so does any longer one",
    edge=True,
)
class _IdentityComparedByItsBeginning(Mechanism):
    def may_act_as(self, name: bytes, other: bytes) -> bool:
        return other.startswith(name)


@fault(
    "scram-opens-the-other-maildrop",
    breaks=["rfc4422-3.6-authorization-identity"],
    copies="the identity takes the place of the name, and nobody asks who may do that",
    edge=True,
)
class _ScramOpensTheOtherMaildrop(Scram):
    def authorize(self, name: bytes, acts_as: bytes = b"") -> Step:
        return super().authorize(acts_as if self.maildrops.is_account(acts_as) else name)


class _AlwaysExternal(External):
    """EXTERNAL with and without a certificate."""

    @classmethod
    def is_available(cls, maildrops: Maildrops, security: Security | None) -> bool:
        """It is announced everywhere."""
        return True


@fault(
    "external-believes-the-name",
    breaks=["rfc4422-3.6-external-without-credentials"],
    copies="the proxy before the server is trusted to have asked for a certificate",
)
class _ExternalBelievesTheName(_AlwaysExternal):
    def first(self, response: bytes) -> Step:
        if self.certified() is None and self.maildrops.is_account(response):
            return Granted(self.maildrops.user(response))
        return super().first(response)


@fault(
    "external-has-a-default-user",
    breaks=["rfc4422-3.6-external-without-credentials"],
    copies="no identity and no certificate come to the user that everybody is by default",
    edge=True,
)
class _ExternalHasADefaultUser(_AlwaysExternal):
    def first(self, response: bytes) -> Step:
        if self.certified() is None and not response:
            return Granted(self.maildrops.stranger())
        return super().first(response)


# PLAIN (RFC 4616).


@fault(
    "plain-cut-at-the-third-nul",
    breaks=["rfc4616-2-message"],
    copies="the password is a string of C, and what stands behind it is lost (Dovecot before 2020)",
)
class _PlainCutAtTheThirdNul(Plain):
    def first(self, response: bytes) -> Step:
        return super().first(b"\0".join(response.split(b"\0")[:3]))


@fault(
    "plain-without-identity-and-its-nul",
    breaks=["rfc4616-2-message"],
    copies="a message of two parts is taken for one without the part that is mostly empty",
    edge=True,
)
class _PlainWithoutIdentityAndItsNul(Plain):
    def first(self, response: bytes) -> Step:
        return super().first(b"\0" + response if response.count(b"\0") == 1 else response)


@fault(
    "plain-with-an-empty-password",
    breaks=["rfc4616-2-message"],
    copies="an empty password matches where the account has no hash of this kind (CVE-2006-2346)",
    edge=True,
)
class _PlainWithAnEmptyPassword(Plain):
    def verify(self, acts_as: bytes, name: bytes, password: bytes) -> Step:
        if not password and self.maildrops.is_account(name):
            return self.authorize(name, acts_as)
        return super().verify(acts_as, name, password)


@fault(
    "plain-fields-of-64-octets",
    breaks=["rfc4616-2-255-octets"],
    copies="name and password are copied into fields of 64 octets",
)
class _PlainFieldsOf64Octets(Plain):
    def verify(self, acts_as: bytes, name: bytes, password: bytes) -> Step:
        return super().verify(acts_as, name[:64], password[:64])


@fault(
    "plain-fields-end-before-255-octets",
    breaks=["rfc4616-2-255-octets"],
    copies="a field of 255 octets has to hold the NUL at its end as well",
    edge=True,
)
class _PlainFieldsEndBefore255Octets(Plain):
    def verify(self, acts_as: bytes, name: bytes, password: bytes) -> Step:
        if max(len(name), len(password)) >= 255:
            return Refused("that is too long")
        return super().verify(acts_as, name, password)


# LOGIN, which only practice defines.


@fault(
    "login-mechanism-asks-a-third-time",
    breaks=["practice-login-mechanism"],
    copies="the realm is asked for behind name and password",
)
class _LoginMechanismAsksAThirdTime(Login):
    def password(self, response: bytes) -> Step:
        end = super().password(response)
        self.next = lambda realm: end
        return Challenge(b"Realm:")


# CRAM-MD5 (RFC 2195).


@fault(
    "cram-md5-challenge-without-brackets",
    breaks=["rfc2195-2-challenge"],
    copies="the function that makes message-ids leaves the brackets to its caller",
)
class _CramMd5ChallengeWithoutBrackets(CramMd5):
    def challenge(self) -> bytes:
        self.asked = super().challenge().strip(b"<>")
        return self.asked


@fault(
    "every-second-cram-md5-challenge-is-cut",
    breaks=["rfc2195-2-challenge"],
    copies="a buffer is too short for some of the numbers, and the bracket at the end is lost",
    edge=True,
)
class _EverySecondCramMd5ChallengeIsCut(CramMd5):
    count: ClassVar[int] = 0

    def challenge(self) -> bytes:
        type(self).count += 1
        self.asked = super().challenge()
        if self.count % 2 == 0:
            self.asked = self.asked[:-1]
        return self.asked


@fault(
    "cram-md5-challenge-of-the-process",
    breaks=["rfc2195-2-challenge-differs"],
    copies="the challenge is made when the process starts",
)
class _CramMd5ChallengeOfTheProcess(CramMd5):
    made = b"<%d.%d@pop3spec.invalid>" % (secrets.randbits(64), time.time_ns())

    def challenge(self) -> bytes:
        self.asked = self.made
        return self.asked


@fault(
    "cram-md5-challenge-in-whole-seconds",
    breaks=["rfc2195-2-challenge-differs"],
    copies="the challenge has the time in it and nothing else, and changes once a second",
    edge=True,
)
class _CramMd5ChallengeInWholeSeconds(CramMd5):
    def challenge(self) -> bytes:
        self.asked = b"<%d@pop3spec.invalid>" % time.time()
        return self.asked


# DIGEST-MD5 (RFC 2831).


@fault(
    "digest-md5-without-algorithm",
    breaks=["rfc2831-2.1.1-challenge"],
    copies="the challenge is that of HTTP, where the algorithm may be left out",
)
class _DigestMd5WithoutAlgorithm(DigestMd5):
    def challenge(self) -> bytes:
        return super().challenge().replace(b",algorithm=md5-sess", b"")


@fault(
    "digest-md5-challenge-of-2048-octets",
    breaks=["rfc2831-2.1.1-challenge"],
    copies="2048 octets are taken for a size that may be used up",
    edge=True,
)
class _DigestMd5ChallengeOf2048Octets(DigestMd5):
    def challenge(self) -> bytes:
        text = super().challenge()
        return text + b',domains="%b"' % (b"x" * (2048 - len(text) - len(b',domains=""')))


@fault(
    "digest-md5-nonce-of-the-process",
    breaks=["rfc2831-2.1.1-nonce-differs"],
    copies="the nonce is made when the process starts",
)
class _DigestMd5NonceOfTheProcess(DigestMd5):
    made = secrets.token_hex(16).encode()

    def nonce(self) -> bytes:
        return self.made


@fault(
    "digest-md5-nonce-in-whole-seconds",
    breaks=["rfc2831-2.1.1-nonce-differs"],
    copies="the nonce is a digest of the time in seconds",
    edge=True,
)
class _DigestMd5NonceInWholeSeconds(DigestMd5):
    def nonce(self) -> bytes:
        return b"%032x" % int(time.time())


# SCRAM (RFC 5802).


@fault(
    "scram-signs-with-the-clients-key",
    breaks=["rfc5802-3-server-signature"],
    copies="both keys are made by one function, which has 'Client Key' in it",
)
class _ScramSignsWithTheClientsKey(Scram):
    def signature(self, salted: bytes, said: bytes) -> bytes:
        return self._hmac(self._hmac(salted, b"Client Key"), said)


@fault(
    "scram-sha-256-signs-with-sha-1",
    breaks=["rfc5802-3-server-signature"],
    copies="the signature kept the hash of the first variant when SHA-256 came",
    edge=True,
)
class _ScramSha256SignsWithSha1(ScramSha256):
    def signature(self, salted: bytes, said: bytes) -> bytes:
        key = hmac.digest(salted, b"Server Key", "sha1")
        return hmac.digest(key, said, "sha1")


_ESCAPE = re.compile(rb"=(2C|3D)?")
_ESCAPED = {b"2C": b",", b"3D": b"=", None: b""}
_ANY_FLAG = re.compile(FIRST.pattern.replace(rb"|n|y)", rb"|[a-z])"), re.DOTALL)
_WITH_MORE = re.compile(FIRST.pattern.replace(rb"(?P<bare>", rb"(?P<bare>(?:m=[^,]*,)?"), re.DOTALL)


@fault(
    "scram-takes-any-flag",
    breaks=["rfc5802-5-first-message"],
    copies="whatever is not 'p' or 'y' counts as 'n'",
)
class _ScramTakesAnyFlag(Scram):
    def first_message(self, response: bytes) -> re.Match[bytes] | None:
        return _ANY_FLAG.fullmatch(response)

    def problem_of_binding(self, flag: bytes) -> str:
        return super().problem_of_binding(flag if flag in b"py" else b"n")


@fault(
    "scram-ignores-a-mandatory-extension",
    breaks=["rfc5802-5-first-message"],
    copies="all attributes that are not known are skipped, m as well",
    edge=True,
)
class _ScramIgnoresAMandatoryExtension(Scram):
    def first_message(self, response: bytes) -> re.Match[bytes] | None:
        return _WITH_MORE.fullmatch(response)


@fault(
    "scram-takes-any-equals-sign",
    breaks=["rfc5802-5-first-message"],
    copies="an escape that ends too early is taken for nothing: 'alice=' is alice",
    edge=True,
)
class _ScramTakesAnyEqualsSign(Scram):
    def readable(self, name: bytes) -> bytes | None:
        return prepared(_ESCAPE.sub(lambda found: _ESCAPED[found[1]], name))


@fault(
    "scram-nonce-without-the-clients",
    breaks=["rfc5802-5.1-server-nonce"],
    copies="the server sends its own nonce, as DIGEST-MD5 does",
)
class _ScramNonceWithoutTheClients(Scram):
    def joined(self, theirs: bytes) -> bytes:
        return self.nonce()


@fault(
    "scram-nonce-of-the-client-cut",
    breaks=["rfc5802-5.1-server-nonce"],
    copies="the field for the client's nonce has 16 octets",
    edge=True,
)
class _ScramNonceOfTheClientCut(Scram):
    def joined(self, theirs: bytes) -> bytes:
        return super().joined(theirs[:16])


@fault(
    "scram-nonce-of-the-process",
    breaks=["rfc5802-5.1-nonce-differs"],
    copies="the server's part of the nonce is made when the process starts",
)
class _ScramNonceOfTheProcess(Scram):
    made = secrets.token_hex(16).encode()

    def nonce(self) -> bytes:
        return self.made


@fault(
    "scram-nonce-in-whole-seconds",
    breaks=["rfc5802-5.1-nonce-differs"],
    copies="the generator of the nonce is seeded with the time in seconds",
    edge=True,
)
class _ScramNonceInWholeSeconds(Scram):
    def nonce(self) -> bytes:
        return b"%032x" % int(time.time())


@fault(
    "scram-nonce-not-verified",
    breaks=["rfc5802-5.1-nonce-verified"],
    copies="the proof is trusted to cover the nonce",
)
class _ScramNonceNotVerified(Scram):
    def is_nonce(self, theirs: bytes) -> bool:
        return True


@fault(
    "scram-nonce-verified-in-part",
    breaks=["rfc5802-5.1-nonce-verified"],
    copies="only the client's part of the nonce is looked for in the last message",
    edge=True,
)
class _ScramNonceVerifiedInPart(Scram):
    clients = b""

    def joined(self, theirs: bytes) -> bytes:
        self.clients = theirs
        return super().joined(theirs)

    def is_nonce(self, theirs: bytes) -> bool:
        return theirs.startswith(self.clients)


@fault(
    "scram-of-1000-iterations",
    breaks=["rfc5802-5.1-iteration-count"],
    copies="the count of older advice on passwords is kept",
)
class _ScramOf1000Iterations(Scram):
    def iterations(self) -> int:
        return 1000


@fault(
    "scram-takes-no-extension",
    breaks=["rfc5802-5.1-unknown-extensions"],
    copies="the first message is split at its commas into two attributes and no more",
)
class _ScramTakesNoExtension(Scram):
    def first_message(self, response: bytes) -> re.Match[bytes] | None:
        message = super().first_message(response)
        return None if message is None or message["more"] else message


@fault(
    "scram-extension-spoils-the-proof",
    breaks=["rfc5802-5.1-unknown-extensions"],
    copies="what is signed is put together anew, without what was not understood",
    edge=True,
)
class _ScramExtensionSpoilsTheProof(Scram):
    def said(self, unproven: bytes) -> bytes:
        return super().said(b",".join(unproven.split(b",")[:2]))


@fault(
    "scram-binding-not-verified",
    breaks=["rfc5802-6-channel-binding-verified"],
    copies="the attribute c is skipped on the way to the proof",
)
class _ScramBindingNotVerified(Scram):
    def is_bound(self, theirs: bytes | None) -> bool:
        return True


@fault(
    "scram-without-binding-either-way",
    breaks=["rfc5802-6-channel-binding-verified"],
    copies="c is compared with the values of 'n,,' and 'y,,', whichever came first",
    edge=True,
)
class _ScramWithoutBindingEitherWay(Scram):
    def is_bound(self, theirs: bytes | None) -> bool:
        return super().is_bound(theirs) or (not self.binding and theirs in (b"n,,", b"y,,"))


@fault(
    "scram-plus-compares-no-data",
    breaks=["rfc5802-6-channel-binding-verified"],
    copies="the header of the binding is compared, and the data of the channel behind it are not",
    edge=True,
)
class _ScramPlusComparesNoData(ScramPlus):
    def is_bound(self, theirs: bytes | None) -> bool:
        return theirs is not None and theirs.startswith(self.header)


@fault(
    "scram-takes-any-binding-for-none",
    breaks=["rfc5802-6-channel-binding-flag"],
    copies="a type of binding that is not known counts as no binding",
)
class _ScramTakesAnyBindingForNone(Scram):
    def problem_of_binding(self, flag: bytes) -> str:
        return "" if flag == b"p" else super().problem_of_binding(flag)


@fault(
    "scram-lets-the-plus-variants-be-taken-out",
    breaks=["rfc5802-6-channel-binding-flag"],
    copies="'y' is read as 'n' by a variant that has no channel binding itself",
    edge=True,
)
class _ScramLetsThePlusVariantsBeTakenOut(Scram):
    def problem_of_binding(self, flag: bytes) -> str:
        return super().problem_of_binding(b"n" if flag == b"y" else flag)


@fault(
    "scram-begins-with-the-salt",
    breaks=["rfc5802-7-server-first-message"],
    copies="the attributes are kept in a table, and come out in another order",
)
class _ScramBeginsWithTheSalt(Scram):
    def server_first(self) -> bytes:
        nonce, salt, count = super().server_first().rsplit(b",", 2)
        return b",".join((salt, nonce, count))


@fault(
    "scram-salt-without-padding",
    breaks=["rfc5802-7-server-first-message"],
    copies="the encoder of the salt leaves the padding away, which shows for most lengths",
    edge=True,
)
class _ScramSaltWithoutPadding(Scram):
    def server_first(self) -> bytes:
        return super().server_first().replace(b"=,i=", b",i=").replace(b"=,i=", b",i=")


@fault(
    "scram-error-without-its-letter",
    breaks=["rfc5802-7-server-final-message"],
    copies="the text of the error is sent as the last message, as a log has it",
)
class _ScramErrorWithoutItsLetter(Scram):
    def not_proven(self) -> Step:
        self.next = lambda response: WRONG_CREDENTIALS
        return Challenge(b"invalid-proof")


@fault(
    "scram-error-without-a-name",
    breaks=["rfc5802-7-server-final-message"],
    copies="the attribute e is there, and what went wrong is kept back",
    edge=True,
)
class _ScramErrorWithoutAName(Scram):
    def not_proven(self) -> Step:
        self.next = lambda response: WRONG_CREDENTIALS
        return Challenge(b"e=")


# Bearer tokens (RFC 7628).


class _OpenInTheClear(OAuthBearer):
    """OAUTHBEARER that asks for no TLS."""

    @classmethod
    def is_available(cls, maildrops: Maildrops, security: Security | None) -> bool:
        """There are tokens."""
        return bool(maildrops.tokens)


@fault(
    "oauthbearer-announced-in-the-clear",
    breaks=["rfc7628-3-tls"],
    copies="a token is not counted among the passwords that need TLS",
    refuses_cleartext=True,
)
class _OauthbearerAnnouncedInTheClear(_OpenInTheClear):
    """Announced, and taken."""


@fault(
    "oauthbearer-taken-in-the-clear",
    breaks=["rfc7628-3-tls"],
    copies="OAUTHBEARER is left out of the list without TLS, and AUTH takes it all the same",
    edge=True,
    parts=(_OpenInTheClear,),
    refuses_cleartext=True,
)
class _OauthbearerTakenInTheClear(Session):
    def mechanisms(self) -> list[str]:
        names = super().mechanisms()
        return names if self.security else [name for name in names if name != "OAUTHBEARER"]


@fault(
    "oauthbearer-knows-all-keys",
    breaks=["rfc7628-3.1-unknown-keys"],
    copies="a key that the table does not have makes the request invalid",
)
class _OauthbearerKnowsAllKeys(OAuthBearer):
    known = frozenset({b"host", b"port", b"mthd", b"path", b"post", b"qs", b"auth"})

    def payloads(self, pairs: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        is_known = self.known.issuperset(key for key, _ in pairs)
        return super().payloads(pairs) if is_known else []


@fault(
    "oauthbearer-wants-three-pairs",
    breaks=["rfc7628-3.1-unknown-keys"],
    copies="the message is read by a pattern for host, port and token, as clients send them",
    edge=True,
)
class _OauthbearerWantsThreePairs(OAuthBearer):
    def payloads(self, pairs: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        return super().payloads(pairs) if len(pairs) <= 3 else []


@fault(
    "oauthbearer-error-in-words",
    breaks=["rfc7628-3.2.2-error-result"],
    copies="the error is sent as the text that the log gets",
)
class _OauthbearerErrorInWords(OAuthBearer):
    def explained(self, status: str) -> Step:
        super().explained(status)
        return Challenge(b"the token is not valid")


@fault(
    "oauthbearer-status-told-once",
    breaks=["rfc7628-3.2.2-error-result"],
    copies="the members are popped from an object that all exchanges share",
    edge=True,
)
class _OauthbearerStatusToldOnce(OAuthBearer):
    told: ClassVar[int] = 0

    def error(self, status: str) -> dict[str, str]:
        type(self).told += 1
        return super().error(status) if self.told == 1 else {"scope": "mail"}


@fault(
    "oauthbearer-explains-for-ever",
    breaks=["rfc7628-3.2.3-error-sequence"],
    copies="the dummy response is taken for another token, and fails like one",
)
class _OauthbearerExplainsForEver(OAuthBearer):
    def dismissed(self, response: bytes) -> Step:
        return self.explained("invalid_token")


@fault(
    "oauthbearer-error-cannot-be-cancelled",
    breaks=["rfc7628-3.2.3-error-sequence"],
    copies="only the dummy response ends an exchange that has failed",
    edge=True,
)
class _OauthbearerErrorCannotBeCancelled(Session):
    def cancelled(self) -> bytes:
        running = self.mechanism
        if isinstance(running, OAuthBearer) and running.next == running.dismissed:
            return self.challenge(b"")
        return super().cancelled()


# ANONYMOUS (RFC 4505).


@fault(
    "anonymous-wants-a-trace",
    breaks=["rfc4505-2-anyone"],
    copies="an empty message is no message",
)
class _AnonymousWantsATrace(Anonymous):
    def is_trace(self, response: bytes) -> bool:
        return bool(response) and super().is_trace(response)


@fault(
    "anonymous-counts-octets",
    breaks=["rfc4505-2-anyone"],
    copies="the length of the trace is taken before it is decoded",
    edge=True,
)
class _AnonymousCountsOctets(Anonymous):
    def is_trace(self, response: bytes) -> bool:
        return len(response) <= 255 and super().is_trace(response)
