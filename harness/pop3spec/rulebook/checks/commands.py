"""Checks of commands, their arguments and their states (RFC 1939, sections 3 to 5 and 7)."""

import re

from pop3spec.protocol.commands import COMMANDS, Argument, State
from pop3spec.rulebook.history import History
from pop3spec.rulebook.judgement import HELD, Broken, Judgement, is_bare, is_judged, quote, refused
from pop3spec.transcript import Exchange, Kind

# Commands outside the RFCs that servers have: not 'unknown' when they answer.
VENDOR_COMMANDS = frozenset(
    (
        *("ACCT", "EHLO", "GURL", "HELO", "HELP", "ID", "LAST", "NTLM", "PING", "PROXY"),
        *("RPOP", "TIME", "XACK", "XADR", "XAUTH", "XCLIENT", "XDELE", "XECHO", "XIDL"),
        *("XIMAP", "XLST", "XMIT", "XOIP", "XREC", "XSENDER", "XTND", "XXXX"),
    )
)


_NEEDS_TRANSACTION = frozenset({"STAT", "LIST", "RETR", "DELE", "RSET", "TOP", "UIDL"})


_NEEDS_AUTHORIZATION = frozenset({"USER", "PASS", "APOP"})


_WITHOUT_ARGUMENTS = frozenset({"STAT", "NOOP", "RSET", "QUIT"})


_MINUS_ZERO = re.compile(rb"-0+")


def unknown_command(exchange: Exchange, before: History) -> Judgement:
    """A random word is refused."""
    if exchange.kind is not Kind.COMMAND:
        return None
    word = exchange.keyword
    if not word or word in COMMANDS or word in VENDOR_COMMANDS or not word.isascii():
        return None
    if not is_judged(exchange, before) and not exchange.is_ok:
        return None
    if exchange.deliberate and word.strip() in COMMANDS:
        return None  # blanks, tabs and line ends are leniency
    if exchange.deliberate and not word.isalnum():
        return None
    return refused(exchange, f"to {word!r}")


def _in_right_state(exchange: Exchange, before: History) -> bool:
    command = COMMANDS.get(exchange.keyword)
    return command is not None and before.state in command.states


def missing_argument(exchange: Exchange, before: History) -> Judgement:
    """A command without a required argument is refused."""
    if not is_judged(exchange, before) or not _in_right_state(exchange, before):
        return None
    command = COMMANDS[exchange.keyword]
    if command.source.startswith("RFC 1939") and len(exchange.arguments) < command.required:
        if exchange.sent.rstrip(b"\r\n").endswith(b" ") and not command.names_message:
            return None  # an empty argument is not a missing one
        return refused(exchange, "although an argument is missing")
    return None


def _malformed(exchange: Exchange) -> bytes | None:
    """The first argument that has to be a number and is none."""
    command = COMMANDS.get(exchange.keyword)
    if command is None or not command.names_message:
        return None
    for kind, argument in zip(command.arguments, exchange.arguments, strict=False):
        if kind in (Argument.MESSAGE_NUMBER, Argument.LINE_COUNT):
            # A plus sign, blanks and tabs around it are leniency.
            number = argument.strip(b" \t")
            # Minus zero is not negative, and no grammar of numbers forbids the sign.
            is_zero = kind is Argument.LINE_COUNT and _MINUS_ZERO.fullmatch(number)
            if not is_zero and not number.removeprefix(b"+").isdigit():
                return argument
    return None


def malformed_number(exchange: Exchange, before: History) -> Judgement:
    """An argument that is no decimal number where one belongs is refused."""
    if not is_judged(exchange, before) or before.state is not State.TRANSACTION:
        return None
    malformed = _malformed(exchange)
    if malformed is None:
        return None
    return refused(exchange, f"to {quote(malformed)} as a number")


def surplus_argument(exchange: Exchange, before: History) -> Judgement:
    """More arguments than a command with a message-number takes are refused."""
    if not is_judged(exchange, before) or before.state is not State.TRANSACTION:
        return None
    command = COMMANDS.get(exchange.keyword)
    if command is None or not command.names_message:
        return None
    if len(exchange.arguments) <= len(command.arguments):
        return None
    return refused(exchange, f"to {len(exchange.arguments)} arguments")


def no_argument(exchange: Exchange, before: History) -> Judgement:
    """STAT, NOOP, RSET and QUIT with an argument are refused."""
    if not is_judged(exchange, before) or not _in_right_state(exchange, before):
        return None
    if exchange.keyword not in _WITHOUT_ARGUMENTS or not exchange.arguments:
        return None
    return refused(exchange, "although the command takes no argument")


def wrong_state(exchange: Exchange, before: History) -> Judgement:
    """Before a login, commands of the TRANSACTION state are refused."""
    if exchange.kind is not Kind.COMMAND or before.state is not State.AUTHORIZATION:
        return None
    if exchange.keyword not in _NEEDS_TRANSACTION or before.login_refused:
        return None
    return refused(exchange, "in the AUTHORIZATION state")


def login_refused(exchange: Exchange, before: History) -> Judgement:
    """After a refused login, commands of the TRANSACTION state are refused."""
    if exchange.kind is not Kind.COMMAND or before.state is not State.AUTHORIZATION:
        return None
    if exchange.keyword not in _NEEDS_TRANSACTION or not before.login_refused:
        return None
    return refused(exchange, "after a refused login")


def noop_state(exchange: Exchange, before: History) -> Judgement:
    """Before a login, NOOP is refused."""
    if exchange.keyword != "NOOP" or exchange.kind is not Kind.COMMAND:
        return None
    if before.state is not State.AUTHORIZATION or exchange.arguments:
        return None
    return refused(exchange, "in the AUTHORIZATION state")


def login_in_transaction(exchange: Exchange, before: History) -> Judgement:
    """After a login, USER, PASS and APOP are refused."""
    if exchange.kind is not Kind.COMMAND or before.state is not State.TRANSACTION:
        return None
    if exchange.keyword not in _NEEDS_AUTHORIZATION:
        return None
    return refused(exchange, "in the TRANSACTION state")


def pass_after_user(exchange: Exchange, before: History) -> Judgement:
    """PASS is refused where no USER was accepted in the connection."""
    if exchange.keyword != "PASS" or exchange.kind is not Kind.COMMAND:
        return None
    if before.state is not State.AUTHORIZATION or not exchange.arguments:
        return None
    if before.user_accepted or before.login_refused:
        return None
    return refused(exchange, "to PASS without USER")


def pass_directly_after_user(exchange: Exchange, before: History) -> Judgement:
    """PASS is refused where USER was accepted, but is not the last command."""
    if exchange.keyword != "PASS" or exchange.kind is not Kind.COMMAND:
        return None
    if before.state is not State.AUTHORIZATION or before.user_was_last:
        return None
    if not exchange.arguments or not (before.user_accepted or before.login_refused):
        return None
    return refused(exchange, "to PASS that does not follow USER directly")


def rset_positive(exchange: Exchange, before: History) -> Judgement:
    """RSET is answered +OK."""
    return _positive_in_transaction(exchange, before, "RSET")


def noop_positive(exchange: Exchange, before: History) -> Judgement:
    """NOOP is answered +OK."""
    return _positive_in_transaction(exchange, before, "NOOP")


def _positive_in_transaction(exchange: Exchange, before: History, word: str) -> Judgement:
    if exchange.keyword != word or not is_bare(exchange) or exchange.reply is None:
        return None
    if not is_judged(exchange, before) or before.state is not State.TRANSACTION:
        return None
    if exchange.is_err:
        return Broken(f"{quote(exchange.reply.status_line)}")
    return HELD if exchange.is_ok else None
