"""Faults of CAPA and of what it lists (RFC 2449, sections 5 and 6)."""

from collections.abc import Sequence

from pop3spec.protocol.commands import State
from pop3spec.reference.faults.fault import FaultTable
from pop3spec.reference.faults.stls import KnowsItsPort
from pop3spec.reference.maildrops import Message
from pop3spec.reference.session import Session

TABLE = FaultTable()
fault = TABLE.fault

_IMPLEMENTATION = b"IMPLEMENTATION"
# Octets of a line that a buffer of 512 holds in C, with the NUL behind it.
_IN_A_BUFFER = 511


class _Lists(Session):
    """A session that can put other lines into its list."""

    @property
    def is_in(self) -> bool:
        """Whether somebody is logged in."""
        return self.state is State.TRANSACTION

    def without(self, tag: bytes) -> list[bytes]:
        """The list without a tag."""
        return [line for line in super().capabilities() if line.split(b" ")[0] != tag]

    def with_line(self, line: bytes) -> list[bytes]:
        """The list with another line of this tag."""
        return [*self.without(line.split(b" ")[0]), line]


class _KnowsItsLogin(_Lists):
    """A session that knows by which command it was logged in."""

    command = ""
    login = ""

    def perform(self, keyword: str, arguments: Sequence[bytes]) -> bytes:
        self.command = keyword
        return super().perform(keyword, arguments)

    def enter(self, user: str, messages: list[Message]) -> None:
        self.login = self.command
        super().enter(user, messages)


# Where CAPA is answered.


@fault(
    "capa-before-the-login-alone",
    breaks=["rfc2449-5-both-states"],
    copies="the table of commands for the TRANSACTION state is that of RFC 1939",
)
class _CapaBeforeTheLoginAlone(_Lists):
    def is_in_state(self, keyword: str) -> bool:
        return super().is_in_state(keyword) and not (keyword == "CAPA" and self.is_in)


@fault(
    "capa-refused-behind-a-refused-login",
    breaks=["rfc2449-5-both-states"],
    copies="a refused login leads into a state in which nothing but another one is expected",
    edge=True,
)
class _CapaRefusedBehindARefusedLogin(_Lists):
    def is_in_state(self, keyword: str) -> bool:
        is_barred = keyword == "CAPA" and self.refused_logins and not self.is_in
        return super().is_in_state(keyword) and not is_barred


@fault(
    "argument-of-capa-ignored",
    breaks=["rfc2449-5-no-argument"],
    copies="only the first word of the line is compared",
)
class _ArgumentOfCapaIgnored(Session):
    def is_well_formed(self, keyword: str, arguments: Sequence[bytes]) -> bool:
        return keyword == "CAPA" or super().is_well_formed(keyword, arguments)

    def perform(self, keyword: str, arguments: Sequence[bytes]) -> bytes:
        return super().perform(keyword, () if keyword == "CAPA" else arguments)


# The form of a line.


@fault(
    "blank-behind-each-tag",
    breaks=["rfc2449-5-capability-line"],
    copies="a line is a tag, a blank and the arguments, be there any or not",
)
class _BlankBehindEachTag(Session):
    def capabilities(self) -> list[bytes]:
        return [line if b" " in line else line + b" " for line in super().capabilities()]


@fault(
    "blank-of-a-mechanism-left-out",
    breaks=["rfc2449-5-capability-line"],
    copies="of a mechanism that is not for the clear the name is left out, and not its blank",
    edge=True,
)
class _BlankOfAMechanismLeftOut(Session):
    def mechanisms(self) -> list[str]:
        names = super().mechanisms()
        return names if self.security is not None else [*names[:1], "", *names[1:]]


@fault(
    "empty-line-for-a-capability-left-out",
    breaks=["rfc2449-5-capability-line"],
    copies="STLS goes after the login, and the end of its line stays",
    edge=True,
)
class _EmptyLineForACapabilityLeftOut(_Lists):
    def capabilities(self) -> list[bytes]:
        return [*super().capabilities(), *[b""] * self.is_in]


@fault(
    "tag-with-a-dot",
    breaks=["rfc2449-5-capability-line"],
    copies="a private capability has a name like a domain",
)
class _TagWithADot(Session):
    def capabilities(self) -> list[bytes]:
        return [*super().capabilities(), b"X-EXAMPLE.ORG"]


@fault(
    "options-of-the-build-in-one-line",
    breaks=["rfc2449-5-line-length"],
    copies="IMPLEMENTATION has the whole line by which the server was configured",
)
class _OptionsOfTheBuildInOneLine(_Lists):
    def capabilities(self) -> list[bytes]:
        return self.with_line(_IMPLEMENTATION + b" --with-option" * 64)


@fault(
    "line-as-long-as-the-buffer",
    breaks=["rfc2449-5-line-length"],
    copies="a line is cut where its buffer of 512 octets is full, and then gets CRLF",
    edge=True,
)
class _LineAsLongAsTheBuffer(_Lists):
    def capabilities(self) -> list[bytes]:
        return self.with_line((_IMPLEMENTATION + b" --with-option" * 64)[:_IN_A_BUFFER])


# What changes with the login, or from one list to the next.


@fault(
    "pipelining-before-the-login-alone",
    breaks=["rfc2449-5-announced-after-login"],
    copies="before the login a proxy answers, behind it a server with a list of its own",
)
class _PipeliningBeforeTheLoginAlone(_Lists):
    def capabilities(self) -> list[bytes]:
        return self.without(b"PIPELINING") if self.is_in else super().capabilities()


@fault(
    "expire-lost-by-apop",
    breaks=["rfc2449-5-announced-after-login"],
    copies="the settings of the account are read with the password, which APOP looks up elsewhere",
    edge=True,
)
class _ExpireLostByApop(_KnowsItsLogin):
    def capabilities(self) -> list[bytes]:
        return self.without(b"EXPIRE") if self.login == "APOP" else super().capabilities()


@fault(
    "user-before-the-login-alone",
    breaks=["rfc2449-6.2-user-after-login"],
    copies="Dovecot: commands that are not for the state are left out of its list",
)
class _UserBeforeTheLoginAlone(_Lists):
    def capabilities(self) -> list[bytes]:
        return self.without(b"USER") if self.is_in else super().capabilities()


@fault(
    "user-not-for-who-came-by-apop",
    breaks=["rfc2449-6.2-user-after-login"],
    copies="the list is made for the account, which has a secret for APOP and no password",
    edge=True,
)
class _UserNotForWhoCameByApop(_KnowsItsLogin):
    def capabilities(self) -> list[bytes]:
        return self.without(b"USER") if self.login == "APOP" else super().capabilities()


@fault(
    "no-mechanism-after-the-login",
    breaks=["rfc2449-5-same-arguments"],
    copies="SASL stays in the list as it should, and its mechanisms are gone with the state",
)
class _NoMechanismAfterTheLogin(_Lists):
    def capabilities(self) -> list[bytes]:
        return self.with_line(b"SASL") if self.is_in else super().capabilities()


@fault(
    "mechanism-in-use-left-out",
    breaks=["rfc2449-5-same-arguments"],
    copies="the mechanism that is at work is taken out of those that are free",
    edge=True,
)
class _MechanismInUseLeftOut(_KnowsItsLogin):
    used = ""

    def mechanism_name(self, name: bytes) -> str:
        self.used = super().mechanism_name(name)
        return self.used

    def mechanisms(self) -> list[str]:
        names = super().mechanisms()
        return [name for name in names if self.login != "AUTH" or name != self.used]


@fault(
    "capability-from-the-second-list-on",
    breaks=["rfc2449-5-same-list"],
    copies="a module is loaded when it is first asked for, and its capability is there from then",
)
class _CapabilityFromTheSecondListOn(Session):
    was_asked = False

    def capabilities(self) -> list[bytes]:
        loaded = [b"X-QUOTA"] * self.was_asked
        self.was_asked = True
        return super().capabilities() + loaded


@fault(
    "no-pipelining-behind-a-refused-login",
    breaks=["rfc2449-5-same-list"],
    copies="who may be guessing passwords is not to send them in bulk",
    edge=True,
)
class _NoPipeliningBehindARefusedLogin(_Lists):
    def capabilities(self) -> list[bytes]:
        is_suspect = self.refused_logins and not self.is_in
        return self.without(b"PIPELINING") if is_suspect else super().capabilities()


# The capabilities.


@fault(
    "pipelining-yes",
    breaks=["rfc2449-6-tag-arguments"],
    copies="the list is the configuration, line by line, with the values of its switches",
)
class _PipeliningYes(_Lists):
    def capabilities(self) -> list[bytes]:
        return self.with_line(b"PIPELINING yes")


@fault(
    "implementation-without-a-name",
    breaks=["rfc2449-6-tag-arguments"],
    copies="before the login the name is withheld, and the tag is not",
    edge=True,
)
class _ImplementationWithoutAName(_Lists):
    def capabilities(self) -> list[bytes]:
        return super().capabilities() if self.is_in else self.with_line(_IMPLEMENTATION)


@fault(
    "user-for-the-clear-alone",
    breaks=["rfc2449-6-announced-works", "rfc1939-7-user-pass"],
    copies="the switch against passwords in the clear is tested the wrong way round",
)
class _UserForTheClearAlone(Session):
    def user_command(self, name: bytes) -> bytes:
        return super().user_command(name) if self.security is None else self.cleartext_refused()


@fault(
    "user-unknown-on-the-port-for-tls",
    breaks=["rfc2449-6-announced-works"],
    copies="whether passwords may come is asked of the flag that STLS sets, not of the layer",
    edge=True,
)
class _UserUnknownOnThePortForTls(KnowsItsPort):
    def user_command(self, name: bytes) -> bytes:
        is_open = self.security is None or self.is_by_stls
        return super().user_command(name) if is_open else self.cleartext_refused()


@fault(
    "user-announced-and-refused-in-the-clear",
    breaks=["rfc2449-6.2-user-in-clear"],
    copies="USER belongs to what a server always has, whatever its policy is",
    refuses_cleartext=True,
)
class _UserAnnouncedAndRefusedInTheClear(_Lists):
    def capabilities(self) -> list[bytes]:
        return self.with_line(b"USER")


# LOGIN-DELAY.


@fault(
    "login-delay-in-minutes",
    breaks=["rfc2449-6.5-login-delay-form"],
    copies="the value is shown as it stands in the configuration",
)
class _LoginDelayInMinutes(_Lists):
    def capabilities(self) -> list[bytes]:
        return self.with_line(b"LOGIN-DELAY 5m")


@fault(
    "login-delay-with-user-after-the-login",
    breaks=["rfc2449-6.5-login-delay-form"],
    copies="the line is made at start-up, and the login changes the number in it",
    edge=True,
)
class _LoginDelayWithUserAfterTheLogin(_Lists):
    def capabilities(self) -> list[bytes]:
        return self.with_line(b"LOGIN-DELAY 0 USER")


class _ReadsItsDelayLate(_KnowsItsLogin):
    """A session whose own delay is one second until it is read, which a list brings about."""

    is_read = True

    def capabilities(self) -> list[bytes]:
        delay = int(not self.is_read)
        self.is_read = True
        return self.with_line(b"LOGIN-DELAY %d" % delay if self.is_in else b"LOGIN-DELAY 0 USER")


@fault(
    "smallest-delay-before-the-login",
    breaks=["rfc2449-6.5-largest-delay"],
    copies="what is announced is the least that anybody has, for 'minimum' stands in the RFC",
)
class _SmallestDelayBeforeTheLogin(_ReadsItsDelayLate):
    def enter(self, user: str, messages: list[Message]) -> None:
        super().enter(user, messages)
        self.is_read = self.login != "APOP"


@fault(
    "delay-of-the-configuration-behind-rset",
    breaks=["rfc2449-6.5-largest-delay"],
    copies="RSET takes the settings of the session back to those of no account",
    edge=True,
)
class _DelayOfTheConfigurationBehindRset(_ReadsItsDelayLate):
    def unmark(self) -> None:
        super().unmark()
        self.is_read = False


# EXPIRE.


class _Expires(_Lists):
    """A session with one line before the login and one after it."""

    bound = b"NEVER"
    own = b"NEVER"

    def capabilities(self) -> list[bytes]:
        return self.with_line(b"EXPIRE " + (self.own if self.is_in else self.bound))


@fault(
    "other-period-without-a-word",
    breaks=["rfc2449-6.5-user-token"],
    copies="the period of the account is known after the login, and nobody thought of the word",
)
class _OtherPeriodWithoutAWord(_Expires):
    bound, own = b"5", b"30"


@fault(
    "expire-with-a-unit",
    breaks=["rfc2449-6.7-expire-form"],
    copies="the value is shown as it stands in the configuration",
)
class _ExpireWithAUnit(_Expires):
    bound = own = b"30d"


@fault(
    "expire-minus-one",
    breaks=["rfc2449-6.7-expire-form"],
    copies="never is minus one in the configuration, and is shown so",
)
class _ExpireMinusOne(_Expires):
    bound = own = b"-1"


@fault(
    "expire-with-user-after-the-login",
    breaks=["rfc2449-6.7-expire-form"],
    copies="the line is made at start-up, and the login changes the number in it",
    edge=True,
)
class _ExpireWithUserAfterTheLogin(_Expires):
    bound, own = b"5 USER", b"30 USER"


@fault(
    "largest-period-before-the-login",
    breaks=["rfc2449-6.7-smallest-period"],
    copies="one function finds the bound of LOGIN-DELAY and that of EXPIRE",
)
class _LargestPeriodBeforeTheLogin(_Expires):
    bound, own = b"60 USER", b"30"


@fault(
    "never-is-the-smallest-period",
    breaks=["rfc2449-6.7-smallest-period"],
    copies="never is zero within the server, which makes it less than all numbers",
    edge=True,
)
class _NeverIsTheSmallestPeriod(_Expires):
    bound, own = b"NEVER USER", b"14"
