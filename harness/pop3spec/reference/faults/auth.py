"""Faults of AUTH: its lines, its states, how an exchange begins and ends (RFC 5034)."""
# ruff: noqa: ARG002 -- a step that replaces another need not use all that it is given

import base64
import binascii
import threading

from pop3spec.protocol.commands import State
from pop3spec.protocol.replies import CRLF
from pop3spec.reference.faults.fault import FaultTable
from pop3spec.reference.maildrops import Maildrops
from pop3spec.reference.sasl.cram import CramMd5
from pop3spec.reference.sasl.mechanism import Challenge, Granted, Mechanism, Refused, Step
from pop3spec.reference.sasl.plaintext import Login, Plain
from pop3spec.reference.sasl.scram import Scram
from pop3spec.reference.session import Session

TABLE = FaultTable()
fault = TABLE.fault


# Seconds that a session waits for its turn.
_PATIENCE = 10.0


# What is announced.


@fault(
    "digest-md5-only-announced",
    breaks=["rfc5034-3-mechanisms-known"],
    copies="the list is read from the configuration, and the library came without MD5",
)
class _DigestMd5OnlyAnnounced(Session):
    def mechanism_named(self, name: str) -> type[Mechanism] | None:
        return None if name == "DIGEST-MD5" else super().mechanism_named(name)


@fault(
    "cram-md5-unknown-inside-tls",
    breaks=["rfc5034-3-mechanisms-known"],
    copies="sessions inside TLS load other mechanisms, and announce those of the clear",
    edge=True,
)
class _CramMd5UnknownInsideTls(Session):
    def mechanism_named(self, name: str) -> type[Mechanism] | None:
        is_missing = name == "CRAM-MD5" and self.security is not None
        return None if is_missing else super().mechanism_named(name)


@fault(
    "sasl-announced-before-login-only",
    breaks=["rfc5034-3-sasl-after-login"],
    copies="SASL is appended to the list in the AUTHORIZATION state, where AUTH belongs",
)
class _SaslAnnouncedBeforeLoginOnly(Session):
    def mechanisms(self) -> list[str]:
        return super().mechanisms() if self.state is State.AUTHORIZATION else []


class _KnowsItsLogin(Session):
    """A session that knows whether AUTH has led it to the TRANSACTION state."""

    is_by_auth = False

    def succeeded(self, step: Granted) -> bytes:
        """Note it."""
        self.is_by_auth = True
        return super().succeeded(step)


@fault(
    "sasl-not-announced-behind-auth",
    breaks=["rfc5034-3-sasl-after-login"],
    copies="the list of mechanisms is let go of at the end of the exchange",
    edge=True,
)
class _SaslNotAnnouncedBehindAuth(_KnowsItsLogin):
    def mechanisms(self) -> list[str]:
        return [] if self.is_by_auth else super().mechanisms()


@fault(
    "mechanism-announced-in-the-words-of-imap",
    breaks=["rfc4422-3.1-mechanism-names"],
    copies="the names come from the IMAP server, where they are AUTH=PLAIN and so on",
)
class _MechanismAnnouncedInTheWordsOfImap(Session):
    def mechanisms(self) -> list[str]:
        return ["AUTH=PLAIN" if name == "PLAIN" else name for name in super().mechanisms()]

    def mechanism_named(self, name: str) -> type[Mechanism] | None:
        return super().mechanism_named(name.removeprefix("AUTH="))


@fault(
    "mechanism-announced-twice-inside-tls",
    breaks=["rfc4422-3.1-mechanism-names"],
    copies="what TLS permits is appended to the list, and a part was in it before",
    edge=True,
)
class _MechanismAnnouncedTwiceInsideTls(Session):
    def mechanisms(self) -> list[str]:
        names = super().mechanisms()
        return names if self.security is None else [*names, "PLAIN"]


@fault(
    "mechanism-of-21-characters",
    breaks=["rfc4422-3.1-mechanism-names"],
    copies="the name of a mechanism has a suffix for its parameters, as long as it may be",
    edge=True,
)
class _MechanismOf21Characters(Session):
    def mechanisms(self) -> list[str]:
        return [*super().mechanisms(), "SCRAM-SHA-256-I-65536"]

    def mechanism_named(self, name: str) -> type[Mechanism] | None:
        return super().mechanism_named(name.removesuffix("-I-65536"))


# Which AUTH is taken, and when.


@fault(
    "unknown-mechanism-is-plain",
    breaks=["rfc5034-4-unknown-mechanism"],
    copies="the default of a switch over the mechanisms is PLAIN",
)
class _UnknownMechanismIsPlain(Session):
    def mechanism_named(self, name: str) -> type[Mechanism] | None:
        return super().mechanism_named(name) or super().mechanism_named("PLAIN")


@fault(
    "mechanism-known-by-its-beginning",
    breaks=["rfc5034-4-unknown-mechanism"],
    copies="as many characters are compared as the known name has: PLAINX is PLAIN",
    edge=True,
)
class _MechanismKnownByItsBeginning(Session):
    def mechanism_named(self, name: str) -> type[Mechanism] | None:
        found = (known for known in self.offer.mechanisms if name.startswith(known))
        return super().mechanism_named(next(found, name))


class _Nobody(Mechanism):
    """Stands for a mechanism until somebody looks for it."""

    def first(self, response: bytes) -> Step:
        """There is none."""
        return Refused("unsupported mechanism")


@fault(
    "unknown-mechanism-is-asked-first",
    breaks=["rfc5034-4-unknown-mechanism"],
    copies="a missing initial response is asked for before the mechanism is looked up",
    edge=True,
)
class _UnknownMechanismIsAskedFirst(Session):
    def mechanism_named(self, name: str) -> type[Mechanism] | None:
        return super().mechanism_named(name) or _Nobody


class _LogsInAgain(Session):
    """A session in which the second login takes the place of the first."""

    def log_in(self, user: str) -> bytes:
        """Let go of the maildrop before that."""
        self.end()
        return super().log_in(user)


@fault(
    "auth-after-login",
    breaks=["rfc5034-4-auth-in-transaction"],
    copies="the handler of AUTH does not look at the state (Stalwart)",
)
class _AuthAfterLogin(_LogsInAgain):
    def is_in_state(self, keyword: str) -> bool:
        return keyword == "AUTH" or super().is_in_state(keyword)


@fault(
    "auth-behind-pass",
    breaks=["rfc5034-4-auth-in-transaction"],
    copies="AUTH is refused by a flag that AUTH alone sets: behind PASS and APOP it is taken",
    edge=True,
)
class _AuthBehindPass(_LogsInAgain, _KnowsItsLogin):
    def is_in_state(self, keyword: str) -> bool:
        return (keyword == "AUTH" and not self.is_by_auth) or super().is_in_state(keyword)


# Challenges.


@fault(
    "long-challenge-folded",
    breaks=["rfc5034-4-challenge"],
    copies="the encoder is that of MIME, which ends its lines behind 76 characters",
    edge=True,
)
class _LongChallengeFolded(Session):
    def challenge(self, octets: bytes) -> bytes:
        text = base64.encodebytes(octets).rstrip(b"\n").replace(b"\n", b" ")
        return b"+ " + text + CRLF


@fault(
    "challenge-without-padding",
    breaks=["rfc5034-4-challenge"],
    copies="the encoder is that of web tokens, which have no padding",
)
class _ChallengeWithoutPadding(Session):
    def challenge(self, octets: bytes) -> bytes:
        return b"+ " + base64.b64encode(octets).rstrip(b"=") + CRLF


@fault(
    "empty-challenge-without-blank",
    breaks=["rfc5034-4-empty-challenge"],
    copies="the blank belongs to the data, and is left out with it (WildDuck, Exchange)",
)
class _EmptyChallengeWithoutBlank(Session):
    def challenge(self, octets: bytes) -> bytes:
        return super().challenge(octets) if octets else b"+" + CRLF


@fault(
    "scram-begins-without-blank",
    breaks=["rfc5034-4-empty-challenge"],
    copies="a mechanism that came later asks for the first message by a writer of its own",
    edge=True,
)
class _ScramBeginsWithoutBlank(Session):
    def challenge(self, octets: bytes) -> bytes:
        is_first = not octets and isinstance(self.mechanism, Scram)
        return b"+" + CRLF if is_first else super().challenge(octets)


# How an exchange begins.


@fault(
    "plain-asks-in-words",
    breaks=["rfc5034-4-client-first"],
    copies="all mechanisms that send a password prompt for it",
)
class _PlainAsksInWords(Plain):
    def begin(self, initial: bytes | None) -> Step:
        return Challenge(b"Credentials:") if initial is None else super().begin(initial)


@fault(
    "scram-names-the-host-first",
    breaks=["rfc5034-4-client-first"],
    copies="every mechanism with a digest begins with the name of the host",
    edge=True,
)
class _ScramNamesTheHostFirst(Scram):
    def begin(self, initial: bytes | None) -> Step:
        return Challenge(b"pop3spec.invalid") if initial is None else super().begin(initial)


@fault(
    "initial-response-of-plain-overlooked",
    breaks=["rfc5034-4-initial-response"],
    copies="the argument of AUTH ends at the first blank, and the credentials are asked for",
)
class _InitialResponseOfPlainOverlooked(Plain):
    def begin(self, initial: bytes | None) -> Step:
        return super().begin(None)


@fault(
    "equals-sign-is-no-initial-response",
    breaks=["rfc5034-4-initial-response", "rfc5034-4-initial-response-refused"],
    copies="'=' is decoded to nothing, and nothing is no initial response (Dovecot)",
    edge=True,
)
class _EqualsSignIsNoInitialResponse(Session):
    def auth_command(self, name: bytes, initial: bytes | None = None) -> bytes:
        return super().auth_command(name, None if initial == b"=" else initial)


@fault(
    "initial-response-of-cram-md5-ignored",
    breaks=["rfc5034-4-initial-response-refused"],
    copies="a mechanism that does not use an initial response does not look at it either",
)
class _InitialResponseOfCramMd5Ignored(CramMd5):
    def begin(self, initial: bytes | None) -> Step:
        return super().begin(None)


@fault(
    "empty-initial-response-of-cram-md5-ignored",
    breaks=["rfc5034-4-initial-response-refused"],
    copies="an initial response is told by its length",
    edge=True,
)
class _EmptyInitialResponseOfCramMd5Ignored(CramMd5):
    def begin(self, initial: bytes | None) -> Step:
        return super().begin(initial or None)


# Responses.


@fault(
    "cancelled-exchange-asks-again",
    breaks=["rfc5034-4-cancel"],
    copies="the asterisk is decoded to nothing, and the first message asked for again",
)
class _CancelledExchangeAsksAgain(Session):
    def cancelled(self) -> bytes:
        running = self.mechanism
        assert running is not None
        if running.client_first and running.next == running.first:
            return self.challenge(b"")
        return super().cancelled()


@fault(
    "cancelled-password-is-asked-for-again",
    breaks=["rfc5034-4-cancel"],
    copies="the asterisk is looked for in the first response only, not in the password",
    edge=True,
)
class _CancelledPasswordIsAskedForAgain(Session):
    def cancelled(self) -> bytes:
        running = self.mechanism
        if isinstance(running, Login) and running.next == running.password:
            return self.challenge(b"Password:")
        return super().cancelled()


@fault(
    "base64-with-anything-between",
    breaks=["rfc5034-4-invalid-base64"],
    copies="the decoder passes over what is no base64, as MIME has it",
)
class _Base64WithAnythingBetween(Session):
    def decoded(self, text: bytes) -> bytes | None:
        try:
            return base64.b64decode(text)
        except binascii.Error:
            return None


@fault(
    "base64-ends-at-its-padding",
    breaks=["rfc5034-4-invalid-base64"],
    copies="the decoder stops at the first equals sign, and takes what it has",
    edge=True,
)
class _Base64EndsAtItsPadding(Session):
    def decoded(self, text: bytes) -> bytes | None:
        head = text.partition(b"=")[0]
        return super().decoded(head + b"=" * (-len(head) % 4))


@fault(
    "response-buffer-of-800-octets",
    breaks=["rfc5034-4-long-response"],
    copies="a response is read into the buffer of a command; what is left is the next command",
)
class _ResponseBufferOf800Octets(Session):
    def respond(self, line: bytes) -> bytes:
        if len(line) > 800:
            self._lines.appendleft(line[800:])
        return super().respond(line[:800])


@fault(
    "response-of-1000-octets-leaves-a-rest",
    breaks=["rfc5034-4-long-response"],
    copies="without TLS, which has buffers of its own, what a buffer does not hold of a response"
    " stands before the next line",
    edge=True,
)
class _ResponseOf1000OctetsLeavesARest(Session):
    left = b""

    def take(self, line: bytes) -> bytes:
        line, self.left = self.left + line, b""
        return super().take(line)

    def respond(self, line: bytes) -> bytes:
        if self.security is not None:
            return super().respond(line)
        self.left = line[1000:]
        return super().respond(line[:1000])


# How an exchange ends.


@fault(
    "login-mechanism-compares-base64",
    breaks=["rfc5034-4-login"],
    copies="the password of LOGIN is compared before it is decoded",
)
class _LoginMechanismComparesBase64(Login):
    def is_password(self, name: bytes, password: bytes) -> bool:
        return super().is_password(name, base64.b64encode(password))


@fault(
    "plain-refused-inside-tls",
    breaks=["rfc5034-4-login"],
    copies="the passwords of the accounts are configured for the clear, and not for TLS",
    edge=True,
)
class _PlainRefusedInsideTls(Plain):
    def is_password(self, name: bytes, password: bytes) -> bool:
        return self.security is None and super().is_password(name, password)


@fault(
    "signature-behind-ok",
    breaks=["rfc5034-4-success-data"],
    copies="the profile of POP3 is taken for one with data in the last reply, as IMAP's",
)
class _SignatureBehindOk(Session):
    def step(self, step: Step) -> bytes:
        if not isinstance(self.mechanism, Scram) or not is_signature(step):
            return super().step(step)
        assert isinstance(step, Challenge)
        reply = super().step(self.mechanism.respond(b""))
        if not reply.startswith(b"+OK"):
            return reply
        return reply.removesuffix(CRLF) + b" " + base64.b64encode(step.octets) + CRLF


def is_signature(step: Step) -> bool:
    """Whether a step gives the signature of SCRAM to the client."""
    return isinstance(step, Challenge) and step.octets.startswith(b"v=")


@fault(
    "signature-left-out",
    breaks=["rfc5034-4-success-data"],
    copies="a right proof is the end of the exchange for the server",
)
class _SignatureLeftOut(Scram):
    def verified(self, signature: bytes, step: Granted) -> Step:
        return step


@fault(
    "signature-repeated-behind-ok",
    breaks=["rfc5034-4-success-data"],
    copies="the last message of the mechanism is the text of whatever reply comes at its end",
    edge=True,
)
class _SignatureRepeatedBehindOk(Session):
    shown = b""

    def step(self, step: Step) -> bytes:
        if isinstance(step, Challenge):
            self.shown = step.octets if is_signature(step) else b""
            return super().step(step)
        reply = super().step(step)
        if not self.shown or not reply.startswith(b"+OK"):
            return reply
        return b"+OK " + self.shown + CRLF


@fault(
    "line-behind-bad-base64-is-eaten",
    breaks=["rfc5034-4-after-failure"],
    copies="after a failure the next line is still parsed for AUTH (Dovecot 2.3.11)",
)
class _LineBehindBadBase64IsEaten(Session):
    is_hungry = False

    def not_base64(self) -> bytes:
        self.is_hungry = True
        return super().not_base64()

    def take(self, line: bytes) -> bytes:
        if self.is_hungry:
            self.is_hungry = False
            return self.negative(b"unsupported authentication mechanism")
        return super().take(line)


@fault(
    "exchange-lasts-when-the-password-is-cancelled",
    breaks=["rfc5034-4-after-failure"],
    copies="an exchange that is cancelled at its second step is never let go of",
    edge=True,
)
class _ExchangeLastsWhenThePasswordIsCancelled(Session):
    is_busy = False

    def cancelled(self) -> bytes:
        running = self.mechanism
        self.is_busy = isinstance(running, Login) and running.next == running.password
        return super().cancelled()

    def auth_command(self, name: bytes, initial: bytes | None = None) -> bytes:
        if self.is_busy:
            return self.negative(b"authentication is in progress already")
        return super().auth_command(name, initial)


# What a server has to withstand.


@fault(
    "line-ends-in-credentials-begin-commands",
    breaks=["robust-no-command-injection"],
    copies="decoded credentials are copied into lines for the server behind (nginx)",
    edge=True,
)
class _LineEndsInCredentialsBeginCommands(Session):
    def decoded(self, text: bytes) -> bytes | None:
        octets = super().decoded(text)
        if octets is None:
            return None
        self._lines.extend(octets.split(CRLF)[1:])
        return octets


class _OneExchange(Maildrops):
    """Accounts that are locked by whoever begins an exchange."""

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]  # whatever Maildrops takes
        self.turn = threading.Lock()


@fault(
    "unfinished-exchange-holds-the-accounts",
    breaks=["robust-unfinished-negotiations"],
    copies="an exchange keeps the lock of the accounts, which each new session takes for a moment",
    edge=True,
    parts=(_OneExchange,),
)
class _UnfinishedExchangeHoldsTheAccounts(Session):
    has_turn = False

    @property
    def turn(self) -> threading.Lock:
        """The lock of the accounts."""
        assert isinstance(self.maildrops, _OneExchange)
        return self.maildrops.turn

    def greeting(self) -> bytes:
        if self.turn.acquire(timeout=_PATIENCE):
            self.turn.release()
        return super().greeting()

    def auth_command(self, name: bytes, initial: bytes | None = None) -> bytes:
        self.has_turn = self.turn.acquire(blocking=False)
        reply = super().auth_command(name, initial)
        self.finish()
        return reply

    def respond(self, line: bytes) -> bytes:
        reply = super().respond(line)
        self.finish()
        return reply

    def finish(self) -> None:
        if self.has_turn and self.mechanism is None:
            self.has_turn = False
            self.turn.release()

    def end(self) -> None:
        self.mechanism = None
        self.finish()
        super().end()
