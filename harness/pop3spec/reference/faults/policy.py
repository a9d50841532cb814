"""Faults of the server's policy: logins in the clear, refusals, guessing (RFC 8314, section 4)."""
# ruff: noqa: ARG002 -- a step that replaces another need not use all that it is given

from pop3spec.reference.faults.fault import FaultTable
from pop3spec.reference.sasl.bearer import XOAuth2
from pop3spec.reference.sasl.mechanism import Granted, Mechanism, Refused, Step
from pop3spec.reference.sasl.plaintext import Login, Plain
from pop3spec.reference.session import Session

TABLE = FaultTable()
fault = TABLE.fault

# Seconds that a good hash of a password takes.
_HASH = 0.05


# Logins in the clear, where they are refused.


class _PlainAnywhere(Plain):
    is_cleartext = False


@fault(
    "policy-is-for-pass-alone",
    breaks=["rfc2595-2.3-cleartext-refused"],
    copies="the switch against logins in the clear was there before AUTH",
    parts=(_PlainAnywhere,),
    refuses_cleartext=True,
)
class _PolicyIsForPassAlone(Login):
    is_cleartext = False


@fault(
    "policy-overlooks-the-second-line",
    breaks=["rfc2595-2.3-cleartext-refused"],
    copies="the policy is asked where the initial response is taken, and nowhere else",
    edge=True,
    refuses_cleartext=True,
)
class _PolicyOverlooksTheSecondLine(Session):
    def is_barred(self, mechanism: type[Mechanism], initial: bytes | None) -> bool:
        return initial is not None and super().is_barred(mechanism, initial)


@fault(
    "plain-announced-and-refused-in-the-clear",
    breaks=["rfc5034-4-plaintext-announced"],
    copies="one list of mechanisms is made for the clear and for TLS",
    refuses_cleartext=True,
)
class _PlainAnnouncedAndRefusedInTheClear(Session):
    def mechanisms(self) -> list[str]:
        return [
            name
            for name, mechanism in self.offer.mechanisms.items()
            if mechanism.is_available(self.maildrops, self.security)
        ]


@fault(
    "policy-behind-the-password",
    breaks=["rfc8314-4.1-same-refusal"],
    copies="the password is verified first, and the policy asked of those whose is right",
    refuses_cleartext=True,
)
class _PolicyBehindThePassword(Session):
    def user_command(self, name: bytes) -> bytes:
        self.naming = name
        return self.positive(b"send the password")

    def pass_command(self, password: bytes) -> bytes:
        if not self.refuses_cleartext() or self.named is None:
            return super().pass_command(password)
        if self.maildrops.is_password(self.named, password):
            return self.cleartext_refused()
        return self.login_refused()


@fault(
    "policy-behind-the-mechanism-closes",
    breaks=["rfc8314-4.1-same-refusal"],
    copies="what is logged as a wrong password ends the connection, whatever the reply says",
    edge=True,
    refuses_cleartext=True,
)
class _PolicyBehindTheMechanismCloses(Session):
    def is_barred(self, mechanism: type[Mechanism], initial: bytes | None) -> bool:
        return False

    def step(self, step: Step) -> bytes:
        is_barred = self.mechanism is not None and self.mechanism.is_cleartext
        if not (is_barred and self.refuses_cleartext()) or not isinstance(step, Granted | Refused):
            return super().step(step)
        self.mechanism = None
        self.closing = isinstance(step, Refused) and step.is_credentials
        return self.cleartext_refused()


# Refusals.


@fault(
    "pass-tells-who-exists",
    breaks=["practice-same-refusal"],
    copies="the reply says what the lookup said: 'no such user' or 'wrong password'",
)
class _PassTellsWhoExists(Session):
    def pass_command(self, password: bytes) -> bytes:
        if self.named is not None and not self.maildrops.is_account(self.named):
            return self.login_refused().replace(b"wrong name or password", b"no such user")
        return super().pass_command(password)


@fault(
    "plain-tells-who-exists",
    breaks=["practice-same-refusal"],
    copies="USER and PASS were made to say the same for all names, and AUTH was forgotten",
    edge=True,
)
class _PlainTellsWhoExists(Plain):
    def verify(self, acts_as: bytes, name: bytes, password: bytes) -> Step:
        if not self.maildrops.is_account(name):
            return Refused("[AUTH] no such user")
        return super().verify(acts_as, name, password)


@fault(
    "pass-takes-its-time-for-real-names",
    breaks=["practice-same-delay"],
    copies="the slow hash is computed where there is one to compare with",
)
class _PassTakesItsTimeForRealNames(Session):
    def pass_command(self, password: bytes) -> bytes:
        named = self.named
        reply = super().pass_command(password)
        if named is not None and self.maildrops.is_account(named):
            self.delay += _HASH
        return reply


@fault(
    "guessing-goes-on",
    breaks=["practice-guessing-is-slow"],
    copies="nobody counts refused logins",
)
class _GuessingGoesOn(Session):
    def login_refused(self) -> bytes:
        reply = super().login_refused()
        self.closing = False
        return reply


@fault(
    "wrong-password-repeated",
    breaks=["practice-secret-not-repeated"],
    copies="the text for the log is the text of the reply",
)
class _WrongPasswordRepeated(Session):
    def pass_command(self, password: bytes) -> bytes:
        reply = super().pass_command(password)
        if b"[AUTH]" not in reply:
            return reply
        return self.negative(b"[AUTH] the password '%b' is wrong" % password)


@fault(
    "response-that-cannot-be-decoded-repeated",
    breaks=["practice-secret-not-repeated"],
    copies="the message of the decoder's exception is sent to the client",
    edge=True,
)
class _ResponseThatCannotBeDecodedRepeated(Session):
    wrong = b""

    def decoded(self, text: bytes) -> bytes | None:
        octets = super().decoded(text)
        self.wrong = text if octets is None else b""
        return octets

    def not_base64(self) -> bytes:
        super().not_base64()
        return self.negative(b"cannot decode " + self.wrong)


@fault(
    "xoauth2-explains-for-ever",
    breaks=["practice-xoauth2-error"],
    copies="the empty response is taken for another token, and fails like one",
)
class _Xoauth2ExplainsForEver(XOAuth2):
    def dismissed(self, response: bytes) -> Step:
        return self.explained("invalid_token")
