"""Faults in reading commands: keywords, arguments, states (RFC 1939, sections 3 to 5)."""
# ruff: noqa: ARG002 -- a step that replaces another need not use all that it is given

import re
from collections.abc import Sequence

from pop3spec.protocol.commands import COMMANDS, Argument, State
from pop3spec.reference.faults.fault import FaultTable
from pop3spec.reference.maildrops import Message
from pop3spec.reference.session import HANDLERS, Session

TABLE = FaultTable()
fault = TABLE.fault


# Keywords.


@fault(
    "upper-case-only",
    breaks=["rfc1939-3-case-insensitive"],
    copies="Mailpit before 1.18.6: keywords are compared as they come",
)
class _UpperCaseOnly(Session):
    def keyword(self, word: bytes) -> str:
        return word.decode("ascii")


@fault(
    "mixed-case-unknown",
    breaks=["rfc1939-3-case-insensitive"],
    copies="a table with two entries for each keyword, in upper and in lower case",
    edge=True,
)
class _MixedCaseUnknown(Session):
    def keyword(self, word: bytes) -> str:
        return super().keyword(word) if word.isupper() or word.islower() else ""


@fault(
    "dotless-i",
    breaks=["rfc1939-3-case-insensitive"],
    copies="upper-casing in the Turkish locale, where i does not become I: list, uidl, quit",
    edge=True,
)
class _DotlessI(Session):
    def keyword(self, word: bytes) -> str:
        return word.decode("ascii").replace("i", "\u0130").upper()


@fault(
    "unknown-ignored-with-ok",
    breaks=["rfc1939-3-unknown-command"],
    copies="what is not understood is taken for a NOOP, to be lenient",
)
class _UnknownIgnoredWithOk(Session):
    def unknown(self, word: bytes) -> bytes:
        if super().keyword(word) in COMMANDS:
            return super().unknown(word)
        return self.positive(b"ignored")


@fault(
    "unknown-ignored-after-login",
    breaks=["rfc1939-3-unknown-command"],
    copies="the second of two dispatchers, for the TRANSACTION state, lacks its default branch",
    edge=True,
)
class _UnknownIgnoredAfterLogin(Session):
    def unknown(self, word: bytes) -> bytes:
        if self.state is State.AUTHORIZATION or super().keyword(word) in COMMANDS:
            return super().unknown(word)
        return self.positive(b"ignored")


@fault(
    "four-letters-are-enough",
    breaks=["rfc1939-3-unknown-command"],
    copies="only the first four octets of the line are compared, so NOOPX is NOOP",
    edge=True,
)
class _FourLettersAreEnough(Session):
    def keyword(self, word: bytes) -> str:
        known = super().keyword(word)
        return known if known in HANDLERS else known[:4]


# Arguments.


@fault(
    "missing-number-is-one",
    breaks=["rfc1939-3-missing-argument"],
    copies="a missing message-number takes the default value 1",
)
class _MissingNumberIsOne(Session):
    def answer(self, line: bytes) -> bytes:
        return super().answer(line + b" 1" if line.upper() in (b"RETR", b"DELE") else line)


@fault(
    "missing-line-count-is-none",
    breaks=["rfc1939-3-missing-argument"],
    copies="the line count of TOP is taken as optional, as msg is with LIST",
    edge=True,
)
class _MissingLineCountIsNone(Session):
    def answer(self, line: bytes) -> bytes:
        is_short = re.fullmatch(rb"TOP \d+", line, re.IGNORECASE)
        return super().answer(line + b" 0" if is_short else line)


@fault(
    "user-without-name",
    breaks=["rfc1939-3-missing-argument"],
    copies="USER stores whatever stands behind it, also nothing at all",
    edge=True,
)
class _UserWithoutName(Session):
    def malformed(self, keyword: str) -> bytes:
        return self.user_command(b"") if keyword == "USER" else super().malformed(keyword)


@fault(
    "top-without-count-ends-session",
    breaks=["rfc1939-3-missing-argument", "rfc1939-3-stays-open"],
    copies="Cyrus before 2012: TOP with a number and no count crashes the process",
    edge=True,
)
class _TopWithoutCountEndsSession(Session):
    def is_well_formed(self, keyword: str, arguments: Sequence[bytes]) -> bool:
        if keyword == "TOP" and len(arguments) == 1:
            self.closing = True
        return super().is_well_formed(keyword, arguments)

    def malformed(self, keyword: str) -> bytes:
        return b"" if self.closing else super().malformed(keyword)


@fault(
    "numbers-end-at-a-letter",
    breaks=["rfc1939-3-malformed-number"],
    copies="atoi: what follows the digits is ignored, and no digits are 0",
)
class _NumbersEndAtALetter(Session):
    def is_argument(self, meaning: Argument, argument: bytes) -> bool:
        return bool(argument)

    def number(self, argument: bytes) -> int:
        digits = re.match(rb"\d*", argument)
        return super().number(digits[0] if digits else b"")


@fault(
    "negative-line-count",
    breaks=["rfc1939-3-malformed-number"],
    copies="GreenMail 659cd219, Mailpit 408b30d: the count of TOP is parsed with its sign",
    edge=True,
)
class _NegativeLineCount(Session):
    def is_argument(self, meaning: Argument, argument: bytes) -> bool:
        if meaning is Argument.LINE_COUNT:
            argument = argument.removeprefix(b"-")
        return super().is_argument(meaning, argument)

    def number(self, argument: bytes) -> int:
        return 0 if argument.startswith(b"-") else super().number(argument)


@fault(
    "numbers-of-a-script-language",
    breaks=["rfc1939-3-malformed-number"],
    copies="WildDuck 603ee5bf: a loose converter takes 0x1 and 1e0 for 1",
    edge=True,
)
class _NumbersOfAScriptLanguage(Session):
    def answer(self, line: bytes) -> bytes:
        word, *arguments = line.split(b" ")
        return super().answer(b" ".join([word, *map(self._plain, arguments)]))

    def _plain(self, argument: bytes) -> bytes:
        if re.fullmatch(rb"0[xX][0-9a-fA-F]{1,8}", argument):
            return b"%d" % int(argument, 16)
        if re.fullmatch(rb"\d{1,9}(\.0+)?([eE]\d)?", argument) and not argument.isdigit():
            return b"%d" % float(argument)
        return argument


@fault(
    "surplus-arguments-ignored",
    breaks=["rfc1939-3-surplus-argument"],
    copies="the arguments that are wanted are taken from the split line, the rest is not looked at",
)
class _SurplusArgumentsIgnored(Session):
    def arguments(self, keyword: str, rest: bytes) -> tuple[bytes, ...]:
        found = super().arguments(keyword, rest)
        command = COMMANDS[keyword]
        return found[: len(command.arguments)] if command.names_message else found


@fault(
    "third-argument-of-top-ignored",
    breaks=["rfc1939-3-surplus-argument"],
    copies="the one command with two arguments is asked for at least two",
    edge=True,
)
class _ThirdArgumentOfTopIgnored(Session):
    def arguments(self, keyword: str, rest: bytes) -> tuple[bytes, ...]:
        found = super().arguments(keyword, rest)
        return found[:2] if keyword == "TOP" else found


class _WithoutArguments(Session):
    """Commands that take no argument take any."""

    lenient: frozenset[str]

    def answer(self, line: bytes) -> bytes:
        word, _, _ = line.partition(b" ")
        return super().answer(word if self.keyword(word) in self.lenient else line)

    def keyword(self, word: bytes) -> str:
        return word.decode("latin-1").upper()


@fault(
    "arguments-ignored-where-none-belong",
    breaks=["rfc1939-5-no-argument"],
    copies="handlers without parameters never look at the rest of the line",
)
class _ArgumentsIgnoredWhereNoneBelong(_WithoutArguments):
    lenient = frozenset({"STAT", "NOOP", "RSET", "QUIT"})


@fault(
    "argument-of-quit-ignored",
    breaks=["rfc1939-5-no-argument"],
    copies="QUIT is recognised before the line is parsed, by how it begins",
    edge=True,
)
class _ArgumentOfQuitIgnored(_WithoutArguments):
    lenient = frozenset({"QUIT"})


@fault(
    "rset-wants-an-argument",
    breaks=["rfc1939-5-rset", "rfc1939-5-no-argument"],
    copies="the entry for RSET in the argument table is that of DELE (pinned by a peer's test)",
)
class _RsetWantsAnArgument(Session):
    def answer(self, line: bytes) -> bytes:
        if line.upper() == b"RSET":
            return super().answer(b"RSET bare")
        return super().answer(b"RSET" if re.fullmatch(rb"(?i)RSET \S+", line) else line)


# States.


@fault(
    "states-not-checked",
    breaks=["rfc1939-3-wrong-state", "rfc1939-4-login-refused"],
    copies="before login the list of messages is simply empty, so nobody missed the check",
)
class _StatesNotChecked(Session):
    def is_in_state(self, keyword: str) -> bool:
        needs_maildrop = State.AUTHORIZATION not in COMMANDS[keyword].states
        return super().is_in_state(keyword) or (needs_maildrop and keyword != "NOOP")


@fault(
    "uidl-before-login",
    breaks=["rfc1939-3-wrong-state"],
    copies="the check of the state was never added to the command that came later",
    edge=True,
)
class _UidlBeforeLogin(Session):
    def is_in_state(self, keyword: str) -> bool:
        return super().is_in_state(keyword) or keyword == "UIDL"


@fault(
    "stat-after-refused-login",
    breaks=["rfc1939-4-login-refused"],
    copies="the session is called logged-in before the password is compared",
    edge=True,
)
class _StatAfterRefusedLogin(Session):
    was_refused = False

    def login_refused(self) -> bytes:
        self.was_refused = True
        return super().login_refused()

    def is_in_state(self, keyword: str) -> bool:
        return super().is_in_state(keyword) or (self.was_refused and keyword in ("STAT", "LIST"))


@fault(
    "noop-before-login",
    breaks=["rfc1939-5-noop-state"],
    copies="Stalwart: NOOP is +OK in every state (pinned by its own test)",
)
class _NoopBeforeLogin(Session):
    def is_in_state(self, keyword: str) -> bool:
        return super().is_in_state(keyword) or keyword == "NOOP"


@fault(
    "noop-behind-user",
    breaks=["rfc1939-5-noop-state"],
    copies="what may not follow USER is listed, and NOOP is not in the list",
    edge=True,
)
class _NoopBehindUser(Session):
    def is_in_state(self, keyword: str) -> bool:
        is_noop_behind_user = self.named is not None and keyword == "NOOP"
        return super().is_in_state(keyword) or is_noop_behind_user


@fault(
    "noop-missing",
    breaks=["rfc1939-5-noop"],
    copies="netius 1.64.0: NOOP is not implemented",
)
class _NoopMissing(Session):
    def noop_command(self) -> bytes:
        return self.unknown(b"NOOP")


@fault(
    "noop-refused-on-empty-maildrop",
    breaks=["rfc1939-5-noop"],
    copies="commands of the TRANSACTION state ask first whether there is a message",
    edge=True,
)
class _NoopRefusedOnEmptyMaildrop(Session):
    def noop_command(self) -> bytes:
        return super().noop_command() if self.messages else self.no_such_message()


# The connection.


@fault(
    "unknown-closes",
    breaks=["rfc1939-3-stays-open"],
    copies="WildDuck 603ee5bf: the first unknown command is refused and ends the connection",
)
class _UnknownCloses(Session):
    def unknown(self, word: bytes) -> bytes:
        self.closing = True
        return super().unknown(word)


@fault(
    "rset-closes",
    breaks=["rfc1939-3-stays-open"],
    copies="netius 1.64.0: RSET ends the connection",
)
class _RsetCloses(Session):
    def rset_command(self) -> bytes:
        self.closing = True
        return super().rset_command()


@fault(
    "last-dele-closes",
    breaks=["rfc1939-3-stays-open"],
    copies="a session without a message left has nothing more to do and is ended",
    edge=True,
)
class _LastDeleCloses(Session):
    def dele_reply(self, message: Message) -> bytes:
        reply = super().dele_reply(message)
        self.closing = not self.visible()
        return reply


@fault(
    "letters-end-the-session",
    breaks=["rfc1939-3-malformed-number", "rfc1939-3-stays-open"],
    copies="Internet Anywhere 2.3.1 (CVE-1999-1500): a letter as the argument ends the process",
)
class _LettersEndTheSession(Session):
    def is_argument(self, meaning: Argument, argument: bytes) -> bool:
        is_right = super().is_argument(meaning, argument)
        self.closing = not is_right and argument.isalpha()
        return is_right

    def malformed(self, keyword: str) -> bytes:
        return b"" if self.closing else super().malformed(keyword)


@fault(
    "uidl-of-nothing-ends-the-session",
    breaks=["rfc1939-3-stays-open"],
    copies="Dovecot 2.1.8: UIDL of an empty maildrop ends the process",
    edge=True,
)
class _UidlOfNothingEndsTheSession(Session):
    def uidl_command(self, argument: bytes | None = None) -> bytes:
        if argument is None and not self.messages:
            self.closing = True
            return b""
        return super().uidl_command(argument)


@fault(
    "name-with-two-at-signs-ends-the-session",
    breaks=["rfc1939-3-stays-open"],
    copies="Apache James before 3.9: an address that cannot be parsed raises what nobody catches",
    edge=True,
)
class _NameWithTwoAtSignsEndsTheSession(Session):
    def user_command(self, name: bytes) -> bytes:
        if name.count(b"@") > 1:
            self.closing = True
            return b""
        return super().user_command(name)


@fault(
    "refused-number-ends-the-session",
    breaks=["rfc1939-3-stays-open"],
    copies="a message that is not there is an error of the session, and errors end sessions",
    edge=True,
)
class _RefusedNumberEndsTheSession(Session):
    def no_such_message(self) -> bytes:
        self.closing = True
        return super().no_such_message()


@fault(
    "colon-ends-the-session",
    breaks=["rfc1939-3-unknown-command", "rfc1939-3-stays-open"],
    copies="Dovecot before 2.3.21: a command word with a colon in it ends the process",
    edge=True,
)
class _ColonEndsTheSession(Session):
    def unknown(self, word: bytes) -> bytes:
        if b":" in word:
            self.closing = True
            return b""
        return super().unknown(word)
