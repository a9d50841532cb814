"""The CHECKS table: rule id -> function on an exchange and what came before it.

A check returns None where the exchange says nothing about its rule, else
Held() or Broken(got). Where the RFC leaves freedom, so does the check.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

from pop3spec.protocol.commands import COMMANDS, Argument, State, message_number
from pop3spec.protocol.listings import DropListing, scan_listing, unique_id_listing
from pop3spec.protocol.text import show
from pop3spec.rulebook.history import History, body_of, content_of, number_of
from pop3spec.transcript import End, Exchange, Kind


@dataclass(frozen=True)
class Held:
    """The exchange shows that the rule is kept."""


@dataclass(frozen=True)
class Broken:
    """The exchange breaks the rule; `got` are words that fit behind 'got'."""

    got: str


Judgement = Held | Broken | None
Check = Callable[[Exchange, History], Judgement]

MAX_FIRST_LINE = 512
HELD = Held()

# Octets of a quotation, and message-numbers, in a finding.
_QUOTED, _SHOWN = 120, 8

# Commands outside the RFCs that servers have: not 'unknown' when they answer.
VENDOR_COMMANDS = frozenset(
    (
        *("ACCT", "EHLO", "GURL", "HELO", "HELP", "ID", "LAST", "NTLM", "PING", "PROXY"),
        *("RPOP", "TIME", "XACK", "XADR", "XAUTH", "XCLIENT", "XDELE", "XECHO", "XIDL"),
        *("XIMAP", "XLST", "XMIT", "XOIP", "XREC", "XSENDER", "XTND", "XXXX"),
    )
)

_STATUS = re.compile(rb"(\+OK|-ERR)( |\r|\n|$)")


def _quote(octets: bytes) -> str:
    return f"'{show(octets, _QUOTED)}'"


def _is_judged(exchange: Exchange, before: History) -> bool:
    """A command was sent, and nothing that no client may send came before it."""
    return exchange.kind is Kind.COMMAND and not exchange.deliberate and not before.illegal


def _is_framed(exchange: Exchange) -> bool:
    """What came is in answer to something, and not a SASL challenge."""
    if exchange.kind not in (Kind.GREETING, Kind.COMMAND, Kind.CONTINUATION):
        return False
    return exchange.reply is None or not _is_challenge(exchange)


def _is_challenge(exchange: Exchange) -> bool:
    in_sasl = exchange.kind is Kind.CONTINUATION or exchange.keyword == "AUTH"
    return in_sasl and exchange.reply is not None and exchange.reply.is_challenge


def _numbers(numbers: Iterable[int]) -> str:
    shown = sorted(numbers)
    text = ", ".join(str(number) for number in shown[:_SHOWN])
    return text if len(shown) <= _SHOWN else f"{text} and more"


def _messages(count: int) -> str:
    return "1 message" if count == 1 else f"{count} messages"


# --- Status line and framing (RFC 1939, section 3) ---


def status_indicator(exchange: Exchange, before: History) -> Judgement:
    """The reply begins with +OK or -ERR, in upper case, then a blank or the line's end."""
    if exchange.reply is None or not _is_framed(exchange):
        return None
    if _STATUS.match(exchange.reply.status_line):
        return HELD
    return Broken(f"a reply that begins with {_quote(exchange.reply.status_line[:12])}")


def response_crlf(exchange: Exchange, before: History) -> Judgement:
    """The first line ends with CRLF and holds no other CR or LF."""
    if not _is_framed(exchange):
        return None
    if exchange.reply is None:
        if exchange.end is End.TIMEOUT and exchange.partial and b"\n" not in exchange.partial:
            return Broken(f"a first line without an end: {_quote(exchange.partial)}")
        return None
    line = exchange.reply.status_line
    if line.endswith(b"\r\n") and line.count(b"\r") == 1:
        return HELD
    return Broken(f"the line {_quote(line)}")


def response_length(exchange: Exchange, before: History) -> Judgement:
    """The first line, with its CRLF, is at most 512 octets long."""
    if not _is_framed(exchange) or before.illegal or exchange.deliberate:
        return None
    if exchange.reply is None:
        if exchange.partial and b"\n" not in exchange.partial[: MAX_FIRST_LINE + 1]:
            length = len(exchange.partial)
            if length > MAX_FIRST_LINE:
                return Broken(f"a first line of more than {length} octets")
        return None
    length = len(exchange.reply.status_line)
    return HELD if length <= MAX_FIRST_LINE else Broken(f"a first line of {length} octets")


def line_crlf(exchange: Exchange, before: History) -> Judgement:
    """No CR or LF stands alone in the lines of a multi-line reply."""
    if exchange.reply is None or not exchange.reply.is_multiline:
        return None
    if exchange.keyword in ("RETR", "TOP") and not before.filling.is_clean:
        return None  # it may stand so in the message
    payload = exchange.reply.payload or b""
    pairs = payload.count(b"\r\n")
    if payload.count(b"\r") == pairs and payload.count(b"\n") == pairs:
        return HELD
    return Broken(f"the line {_quote(_first_with_a_lone_end(exchange.reply.wire_lines))}")


def _first_with_a_lone_end(lines: Iterable[bytes]) -> bytes:
    return next((line for line in lines if b"\r" in line[:-2] or b"\n" in line[:-2]), b"")


def multi_line_end(exchange: Exchange, before: History) -> Judgement:
    """A multi-line reply is ended by a line of one dot."""
    if exchange.kind is not Kind.COMMAND or exchange.keyword == "AUTH":
        return None
    if exchange.reply is not None:
        return HELD if exchange.reply.is_multiline else None
    if b"\n" not in exchange.partial or exchange.partial[:3].upper() != b"+OK":
        return None
    how = exchange.end.value if exchange.end is not None else "nothing more"
    return Broken(
        f"no line of one dot: the reply ends {_quote(exchange.partial[-40:])}, then {how}"
    )


def reply_per_command(exchange: Exchange, before: History) -> Judgement:
    """A reply comes in time."""
    if not _is_judged(exchange, before):
        return None
    if exchange.reply is not None:
        return HELD
    if exchange.end is End.TIMEOUT and not exchange.partial:
        waited = exchange.answered_at - exchange.sent_at
        return Broken(f"no reply within {waited:.1f} s")
    return None


class _Surplus:
    """What octets mean that came with nothing outstanding."""

    GREETING = "more than one line of greeting"
    REPLY = "another reply"
    LINES_OF_ERROR = "lines behind a negative reply"
    LINES_OF_ONE = "lines behind a reply of one line"
    OTHER = "octets"
    EXCUSED = "octets for which there is a reason"


def _surplus(exchange: Exchange, before: History) -> str | None:
    if exchange.kind not in (Kind.UNASKED, Kind.SILENCE) or not exchange.partial:
        return None
    last = before.last
    if exchange.deliberate or before.illegal:
        return _Surplus.EXCUSED
    is_reply = _STATUS.match(exchange.partial) is not None
    if is_reply and exchange.is_closed and (may_close(before) or _is_idle(exchange, before)):
        return _Surplus.EXCUSED  # a parting line
    if last is not None and last.kind is Kind.GREETING:
        return _Surplus.GREETING
    if is_reply:
        return _Surplus.REPLY
    if last is None or last.kind is not Kind.COMMAND or last.reply is None:
        return _Surplus.OTHER
    if last.reply.is_err:
        return _Surplus.LINES_OF_ERROR
    if last.reply.is_ok and not last.reply.is_multiline:
        # A command outside of the RFCs may well have lines.
        return _Surplus.LINES_OF_ONE if last.keyword in COMMANDS else _Surplus.EXCUSED
    return _Surplus.OTHER


def nothing_unasked(exchange: Exchange, before: History) -> Judgement:
    """Nothing arrives while no command is outstanding."""
    surplus = _surplus(exchange, before)
    if surplus is None:
        if before.last is None or exchange.kind not in (Kind.COMMAND, Kind.SILENCE, Kind.CLOSE):
            return None
        return HELD
    if surplus in (_Surplus.REPLY, _Surplus.OTHER):
        return Broken(f"{_quote(exchange.partial)} with no command outstanding")
    return None


def error_single_line(exchange: Exchange, before: History) -> Judgement:
    """Nothing but the next reply follows the line of a negative reply."""
    surplus, last = _surplus(exchange, before), before.last
    if surplus is _Surplus.LINES_OF_ERROR:
        return Broken(f"{_quote(exchange.partial)} behind a negative reply")
    if surplus is not None or last is None or not last.is_err:
        return None
    return HELD if exchange.kind in (Kind.COMMAND, Kind.SILENCE) else None


def single_line(exchange: Exchange, before: History) -> Judgement:
    """Nothing but the next reply follows a positive reply of one line."""
    surplus, last = _surplus(exchange, before), before.last
    if surplus is _Surplus.LINES_OF_ONE:
        return Broken(f"{_quote(exchange.partial)} behind a reply of one line")
    if surplus is not None or last is None or not last.is_ok:
        return None
    if last.kind is not Kind.COMMAND or last.reply is None or last.reply.is_multiline:
        return None
    return HELD if exchange.kind in (Kind.COMMAND, Kind.SILENCE) else None


def may_close(before: History) -> bool:
    """The RFC lets the server close here: section 4 after a failed login; garbage."""
    last = before.last
    asked = last is not None and last.keyword == "QUIT"
    return before.illegal or before.login_refused or before.refusals > 1 or before.quit or asked


# Seconds without a command after which the autologout timer may end a session: section 3
# has ten minutes, which nearly every server cuts short before a login (an observation).
_AUTOLOGOUT = {State.AUTHORIZATION: 20.0, State.TRANSACTION: 590.0}


def _is_idle(exchange: Exchange, before: History) -> bool:
    """The autologout timer may have expired."""
    last = before.last
    if last is None:
        return False
    return exchange.answered_at - last.answered_at >= _AUTOLOGOUT[before.state]


def stays_open(exchange: Exchange, before: History) -> Judgement:
    """The connection is not closed while the client may still send commands."""
    if exchange.kind not in (Kind.COMMAND, Kind.SILENCE, Kind.UNASKED):
        return None
    if not exchange.is_closed:
        return HELD if exchange.kind is Kind.COMMAND and exchange.reply is not None else None
    if may_close(before) or exchange.deliberate or exchange.keyword == "QUIT":
        return None
    if exchange.keyword in _LOGIN or _is_idle(exchange, before):
        return None  # perhaps the credentials are wrong, perhaps the timer expired
    if exchange.kind is Kind.COMMAND and exchange.partial:
        return None  # judged as a reply without its end
    where = f"instead of a reply to {exchange.keyword}" if exchange.sent else "unasked"
    return Broken(f"the connection closed {where}")


_LOGIN = frozenset({"PASS", "APOP", "AUTH"})
_NEEDS_TRANSACTION = frozenset({"STAT", "LIST", "RETR", "DELE", "RSET", "TOP", "UIDL"})
_NEEDS_AUTHORIZATION = frozenset({"USER", "PASS", "APOP"})
_WITHOUT_ARGUMENTS = frozenset({"STAT", "NOOP", "RSET", "QUIT"})


# --- Commands and states (RFC 1939, sections 3, 4 and 7) ---


def _is_bare(exchange: Exchange) -> bool:
    """The keyword in upper case and CRLF, with nothing between them."""
    return exchange.sent == exchange.keyword.encode() + b"\r\n"


def _names_plainly(exchange: Exchange, number: int) -> bool:
    """The command stands as RFC 1939 writes it: upper case, no zeros or blanks beside it."""
    return exchange.sent == b"%b %d\r\n" % (exchange.keyword.encode(), number)


def _refused(exchange: Exchange, got: str) -> Judgement:
    if exchange.is_err:
        return HELD
    if exchange.is_ok and exchange.reply is not None:
        return Broken(f"{_quote(exchange.reply.status_line)} {got}")
    return None


def unknown_command(exchange: Exchange, before: History) -> Judgement:
    """A random word is refused."""
    if exchange.kind is not Kind.COMMAND:
        return None
    word = exchange.keyword
    if not word or word in COMMANDS or word in VENDOR_COMMANDS or not word.isascii():
        return None
    if not _is_judged(exchange, before) and not exchange.is_ok:
        return None
    if exchange.deliberate and word.strip() in COMMANDS:
        return None  # blanks, tabs and line ends are leniency
    if exchange.deliberate and not word.isalnum():
        return None
    return _refused(exchange, f"to {word!r}")


def _in_right_state(exchange: Exchange, before: History) -> bool:
    command = COMMANDS.get(exchange.keyword)
    return command is not None and before.state in command.states


def missing_argument(exchange: Exchange, before: History) -> Judgement:
    """A command without a required argument is refused."""
    if not _is_judged(exchange, before) or not _in_right_state(exchange, before):
        return None
    command = COMMANDS[exchange.keyword]
    if command.source.startswith("RFC 1939") and len(exchange.arguments) < command.required:
        if exchange.sent.rstrip(b"\r\n").endswith(b" ") and not command.names_message:
            return None  # an empty argument is not a missing one
        return _refused(exchange, "although an argument is missing")
    return None


def _malformed(exchange: Exchange) -> bytes | None:
    """The first argument that has to be a number and is none."""
    command = COMMANDS.get(exchange.keyword)
    if command is None or not command.names_message:
        return None
    for kind, argument in zip(command.arguments, exchange.arguments, strict=False):
        if kind in (Argument.MESSAGE_NUMBER, Argument.LINE_COUNT):
            # A plus sign, blanks and tabs around it are leniency.
            digits = argument.strip(b" \t").removeprefix(b"+")
            if not digits.isdigit():
                return argument
    return None


def malformed_number(exchange: Exchange, before: History) -> Judgement:
    """An argument that is no decimal number where one belongs is refused."""
    if not _is_judged(exchange, before) or before.state is not State.TRANSACTION:
        return None
    malformed = _malformed(exchange)
    if malformed is None:
        return None
    return _refused(exchange, f"to {_quote(malformed)} as a number")


def surplus_argument(exchange: Exchange, before: History) -> Judgement:
    """More arguments than a command with a message-number takes are refused."""
    if not _is_judged(exchange, before) or before.state is not State.TRANSACTION:
        return None
    command = COMMANDS.get(exchange.keyword)
    if command is None or not command.names_message:
        return None
    if len(exchange.arguments) <= len(command.arguments):
        return None
    return _refused(exchange, f"to {len(exchange.arguments)} arguments")


def no_argument(exchange: Exchange, before: History) -> Judgement:
    """STAT, NOOP, RSET and QUIT with an argument are refused."""
    if not _is_judged(exchange, before) or not _in_right_state(exchange, before):
        return None
    if exchange.keyword not in _WITHOUT_ARGUMENTS or not exchange.arguments:
        return None
    return _refused(exchange, "although the command takes no argument")


def wrong_state(exchange: Exchange, before: History) -> Judgement:
    """Before a login, commands of the TRANSACTION state are refused."""
    if exchange.kind is not Kind.COMMAND or before.state is not State.AUTHORIZATION:
        return None
    if exchange.keyword not in _NEEDS_TRANSACTION or before.login_refused:
        return None
    return _refused(exchange, "in the AUTHORIZATION state")


def login_refused(exchange: Exchange, before: History) -> Judgement:
    """After a refused login, commands of the TRANSACTION state are refused."""
    if exchange.kind is not Kind.COMMAND or before.state is not State.AUTHORIZATION:
        return None
    if exchange.keyword not in _NEEDS_TRANSACTION or not before.login_refused:
        return None
    return _refused(exchange, "after a refused login")


def noop_state(exchange: Exchange, before: History) -> Judgement:
    """Before a login, NOOP is refused."""
    if exchange.keyword != "NOOP" or exchange.kind is not Kind.COMMAND:
        return None
    if before.state is not State.AUTHORIZATION or exchange.arguments:
        return None
    return _refused(exchange, "in the AUTHORIZATION state")


def login_in_transaction(exchange: Exchange, before: History) -> Judgement:
    """After a login, USER, PASS and APOP are refused."""
    if exchange.kind is not Kind.COMMAND or before.state is not State.TRANSACTION:
        return None
    if exchange.keyword not in _NEEDS_AUTHORIZATION:
        return None
    return _refused(exchange, "in the TRANSACTION state")


def pass_after_user(exchange: Exchange, before: History) -> Judgement:
    """PASS is refused where no USER was accepted in the connection."""
    if exchange.keyword != "PASS" or exchange.kind is not Kind.COMMAND:
        return None
    if before.state is not State.AUTHORIZATION or not exchange.arguments:
        return None
    if before.user_accepted or before.login_refused:
        return None
    return _refused(exchange, "to PASS without USER")


def pass_directly_after_user(exchange: Exchange, before: History) -> Judgement:
    """PASS is refused where USER was accepted, but is not the last command."""
    if exchange.keyword != "PASS" or exchange.kind is not Kind.COMMAND:
        return None
    if before.state is not State.AUTHORIZATION or before.user_was_last:
        return None
    if not exchange.arguments or not (before.user_accepted or before.login_refused):
        return None
    return _refused(exchange, "to PASS that does not follow USER directly")


# --- Greeting, QUIT, close (RFC 1939, sections 4 and 6) ---


def greeting(exchange: Exchange, before: History) -> Judgement:
    """The greeting is a positive reply, and nothing follows its line."""
    if _surplus(exchange, before) is _Surplus.GREETING:
        return Broken(f"{_quote(exchange.partial)} behind the line of the greeting")
    if exchange.kind is not Kind.GREETING or exchange.reply is None:
        return None
    line = exchange.reply.status_line
    if exchange.is_err:
        return None  # service refused
    return HELD if exchange.is_ok else Broken(f"the greeting {_quote(line)}")


def quit_before_login(exchange: Exchange, before: History) -> Judgement:
    """QUIT in the AUTHORIZATION state is answered +OK."""
    if before.state is not State.AUTHORIZATION:
        return None
    return _quit(exchange, before)


def quit_after_login(exchange: Exchange, before: History) -> Judgement:
    """QUIT in the TRANSACTION state is answered +OK, or -ERR where something was marked."""
    if before.state is not State.TRANSACTION:
        return None
    if before.marked and exchange.is_err and exchange.keyword == "QUIT":
        return HELD
    return _quit(exchange, before)


def _quit(exchange: Exchange, before: History) -> Judgement:
    if exchange.keyword != "QUIT" or exchange.arguments or not _is_judged(exchange, before):
        return None
    if exchange.reply is None:
        if exchange.is_closed and not exchange.partial and not may_close(before):
            return Broken("the connection closed without a reply")
        return None
    if exchange.is_err and _is_bare(exchange):
        return Broken(f"{_quote(exchange.reply.status_line)}")
    return HELD if exchange.is_ok else None


def closes_after_quit(exchange: Exchange, before: History) -> Judgement:
    """Behind the reply to QUIT nothing comes but the close."""
    if exchange.kind is not Kind.CLOSE or before.illegal:
        return None
    if exchange.partial:
        return Broken(f"{_quote(exchange.partial)} behind the reply to QUIT")
    if exchange.end is End.TIMEOUT:
        waited = exchange.answered_at - exchange.sent_at
        return Broken(f"a connection still open {waited:.1f} s after the reply to QUIT")
    return HELD


def apop_timestamp(exchange: Exchange, before: History) -> Judgement:
    """A bracketed expression with an at sign is a msg-id, and there is only one."""
    if exchange.kind is not Kind.GREETING or exchange.reply is None:
        return None
    found = [mark for mark in _BRACKETS.findall(exchange.reply.status_line) if b"@" in mark]
    if not found:
        return None
    if len(found) > 1:
        return Broken(f"{len(found)} timestamps in {_quote(exchange.reply.status_line)}")
    if _MSG_ID.fullmatch(found[0]):
        return HELD
    return Broken(f"the timestamp {_quote(found[0])}")


# RFC 822: msg-id = "<" local-part "@" domain ">"; words of atoms or quoted strings.
_ATOM = rb"[!#-'*+\-/-9=?A-Z^-~]+"
_WORD = rb"(?:" + _ATOM + rb'|"(?:[^"\\\r\n]|\\.)*")'
_SUB_DOMAIN = rb"(?:" + _ATOM + rb"|\[(?:[^\[\]\\\r\n]|\\.)*\])"
_MSG_ID = re.compile(
    rb"<" + _WORD + rb"(?:\." + _WORD + rb")*@" + _SUB_DOMAIN + rb"(?:\." + _SUB_DOMAIN + rb")*>"
)
_BRACKETS = re.compile(rb"<[^<>\r\n]*>")


# --- Listings (RFC 1939, sections 4, 5 and 7) ---


def _positive(exchange: Exchange, word: str) -> bool:
    return exchange.kind is Kind.COMMAND and exchange.keyword == word and exchange.is_ok


def stat_drop_listing(exchange: Exchange, before: History) -> Judgement:
    """STAT is answered with count and octets."""
    if not _positive(exchange, "STAT") or exchange.reply is None:
        return None
    if exchange.drop_listing is not None and exchange.reply.status_line[:4] == b"+OK ":
        return HELD
    return Broken(f"{_quote(exchange.reply.status_line)}")


def list_scan_listing(exchange: Exchange, before: History) -> Judgement:
    """Each line of LIST, and the reply to LIST with an argument, is a scan listing."""
    if not _positive(exchange, "LIST"):
        return None
    return _forms(exchange, scan_listing)


def uidl_unique_id_listing(exchange: Exchange, before: History) -> Judgement:
    """Each line of UIDL, and the reply to UIDL with an argument, is a unique-id listing."""
    if not _positive(exchange, "UIDL"):
        return None
    return _forms(exchange, unique_id_listing)


def _forms(exchange: Exchange, read: Callable[[bytes], object | None]) -> Judgement:
    reply, texts = exchange.reply, exchange.listing_texts
    if reply is None or not texts:
        return None
    bad = next((text for text in texts if read(text) is None), None)
    if bad is None:
        return HELD
    return Broken(f"the line {_quote(bad)}" if reply.is_multiline else _quote(reply.status_line))


def unique_id_form(exchange: Exchange, before: History) -> Judgement:
    """A unique-id has 1 to 70 octets, each printable and not blank."""
    listings = exchange.unique_id_listings
    if not listings:
        return None
    for listing in listings:
        if not _UNIQUE_ID.fullmatch(listing.unique_id):
            octets = len(listing.unique_id)
            return Broken(f"the unique-id {_quote(listing.unique_id)} of {octets} octets")
    return HELD


_UNIQUE_ID = re.compile(rb"[!-~]{1,70}")


# Commands that show one message and change nothing.
_SHOW_ONE = frozenset({"RETR", "LIST", "UIDL"})


def list_argument(exchange: Exchange, before: History) -> Judgement:
    """LIST n speaks of message n."""
    numbers = [listing.number for listing in exchange.scan_listings or ()]
    return _argument(exchange, before, "LIST", numbers)


def uidl_argument(exchange: Exchange, before: History) -> Judgement:
    """UIDL n speaks of message n."""
    if exchange.keyword == "UIDL" and exchange.is_err and before.unique_id_count is None:
        return None  # perhaps UIDL is not there at all
    numbers = [listing.number for listing in exchange.unique_id_listings or ()]
    return _argument(exchange, before, "UIDL", numbers)


def _argument(exchange: Exchange, before: History, word: str, numbers: list[int]) -> Judgement:
    if exchange.keyword != word or not _is_judged(exchange, before) or exchange.reply is None:
        return None
    number = number_of(exchange)
    if number is None or len(exchange.arguments) != 1:
        return None
    if exchange.is_err:
        return _wrongly_refused(exchange, before)
    if not exchange.is_ok or not numbers or not _exists(number, before):
        return None
    if numbers == [number]:
        return HELD
    return Broken(f"{_quote(exchange.reply.status_line)}, which is about {_numbers(numbers)}")


def _exists(number: int, before: History) -> bool:
    """The message is known to be there and is not marked as deleted."""
    known = before.count is not None and 1 <= number <= before.count
    return known and number not in before.marked and not before.filling.may_change


def _wrongly_refused(exchange: Exchange, before: History) -> Judgement:
    """A refusal although the message that is named is there."""
    number = number_of(exchange)
    if before.state is not State.TRANSACTION or number is None or exchange.reply is None:
        return None
    if before.filling.count is None or not _exists(number, before):
        return None
    if not _names_plainly(exchange, number):
        return None
    if number in before.unmarked and exchange.keyword in _SHOW_ONE:
        return None  # judged by rset_unmarks
    if _says_why(exchange):
        return None
    return Broken(f"{_quote(exchange.reply.status_line)} for message {number} of {before.count}")


def _says_why(exchange: Exchange) -> bool:
    """The system failed (RFC 3206), or the message is for UTF-8 mode (RFC 6856)."""
    codes = (b"[SYS/", b"[UTF8]")
    return exchange.reply is not None and exchange.reply.text.upper().startswith(codes)


def retr_existing(exchange: Exchange, before: History) -> Judgement:
    """RETR of a message that is there is answered with it."""
    return _named(exchange, before, "RETR")


def dele_existing(exchange: Exchange, before: History) -> Judgement:
    """DELE of a message that is there and not marked is answered +OK."""
    return _named(exchange, before, "DELE")


def _named(exchange: Exchange, before: History, word: str) -> Judgement:
    if exchange.keyword != word or not _is_judged(exchange, before):
        return None
    number = number_of(exchange)
    if number is None or len(exchange.arguments) != 1:
        return None
    if exchange.is_err:
        return _wrongly_refused(exchange, before)
    return HELD if exchange.is_ok and _exists(number, before) else None


# No maildrop has so many messages, whatever arrives.
_BEYOND_ANY = 1 << 31


def no_such_message(exchange: Exchange, before: History) -> Judgement:
    """A number that no message has is refused."""
    if before.state is not State.TRANSACTION or exchange.kind is not Kind.COMMAND:
        return None
    command = COMMANDS.get(exchange.keyword)
    if command is None or not command.names_message or not exchange.arguments:
        return None
    number = message_number(exchange.arguments[0])
    if number is None and not exchange.arguments[0].isdigit():
        return None
    count = before.count
    fits = count is None or before.filling.may_change or (number or 0) <= count
    if number is not None and 0 < number < _BEYOND_ANY and fits:
        return None
    return _refused(
        exchange,
        f"for message {show(exchange.arguments[0], 30)}"
        + (f" of {count}" if count is not None else ""),
    )


def dele_marked(exchange: Exchange, before: History) -> Judgement:
    """A command that names a marked message is refused."""
    if before.state is not State.TRANSACTION or exchange.kind is not Kind.COMMAND:
        return None
    number = number_of(exchange)
    if number is None or number not in before.marked:
        return None
    return _refused(exchange, f"for message {number}, which is marked as deleted")


def stat_count(exchange: Exchange, before: History) -> Judgement:
    """STAT, LIST and UIDL count the same messages."""
    told = _told_count(exchange)
    if told is None:
        return None
    word, count = told
    if before.marked or before.unmarked or before.filling.may_change:
        # Wrong totals there are judged by the rules about DELE and RSET.
        return HELD if count in _other_counts(before, word).values() else None
    if word == "STAT" and before.drop_listing is not None:
        return None  # against an earlier STAT: count_fixed
    if word == "STAT" and before.filling.count not in (None, count):
        return Broken(f"a count of {count}, with {_messages(before.filling.count or 0)} there")
    for other, others in _other_counts(before, word).items():
        if count == others:
            continue
        if "STAT" in (word, other) and before.filling.count is None:
            return Broken(f"{count} in {word}, {others} in {other}")
    known = word == "STAT" and before.filling.count is not None
    return HELD if known or _other_counts(before, word) else None


def _told_count(exchange: Exchange) -> tuple[str, int] | None:
    if exchange.drop_listing is not None:
        return "STAT", exchange.drop_listing.count
    if exchange.reply is None or not exchange.reply.is_multiline:
        return None
    if exchange.scan_listings is not None:
        return "LIST", len({listing.number for listing in exchange.scan_listings})
    if exchange.unique_id_listings is not None:
        return "UIDL", len({listing.number for listing in exchange.unique_id_listings})
    return None


def _other_counts(before: History, word: str) -> dict[str, int]:
    """How many messages the other listings had at the same point of the session."""
    counts = {}
    if before.drop_listing is not None and word != "STAT":
        counts["STAT"] = before.drop_listing.count
    if before.scan_listing is not None and word != "LIST":
        counts["LIST"] = len(before.scan_listing)
    if before.unique_id_count is not None and word != "UIDL":
        counts["UIDL"] = before.unique_id_count
    return counts


def count_fixed(exchange: Exchange, before: History) -> Judgement:
    """Without a mark, the count of STAT does not shrink."""
    drop, earlier = exchange.drop_listing, before.drop_listing
    if drop is None or earlier is None or before.filling.may_change:
        return None
    if drop.count < earlier.count:
        return Broken(f"a count of {drop.count}, after {earlier.count} and no DELE")
    return HELD


def no_arrivals(exchange: Exchange, before: History) -> Judgement:
    """No message appears that was not there at the opening."""
    if before.marked or before.unsure or not before.filling.may_change:
        return None
    if before.first_told is None:
        return None
    told = _told_count(exchange)
    if told is None:
        return None
    if told[1] > before.first_told:
        return Broken(f"{_messages(told[1])}, {before.first_told} at the opening")
    return HELD


def stat_without_marked(exchange: Exchange, before: History) -> Judgement:
    """STAT leaves out what is marked."""
    drop, first = exchange.drop_listing, before.first_drop
    if drop is None or not before.marked or before.filling.may_change:
        return None
    # By what STAT itself told at the opening: a count that was wrong then is not this fault.
    count = first.count if first is not None else before.count
    if count is None:
        return None
    if drop.count != count - len(before.marked):
        return Broken(f"a count of {drop.count}, with {_numbers(before.marked)} of {count} marked")
    if first is None or before.announces_utf8 or not _sizes_add_up(first, before):
        return HELD
    octets = first.octets - sum(before.sizes[number] for number in before.marked)
    if drop.octets == octets:
        return HELD
    return Broken(f"{drop.octets} octets; without the marked messages it is {octets}")


def _sizes_add_up(first: DropListing, before: History) -> bool:
    """Every size is known, and their sum is what STAT told at the opening."""
    return len(before.sizes) == first.count and sum(before.sizes.values()) == first.octets


def rset_unmarks(exchange: Exchange, before: History) -> Judgement:
    """After RSET the listings are those of the opening."""
    if not before.unmarked or before.marked or before.filling.may_change:
        return None
    if exchange.drop_listing is not None:
        return _same_drop_after_rset(exchange.drop_listing, before)
    listed = _listed_numbers(exchange)
    if listed is not None:
        missing = _lost_by_rset(exchange, before).difference(listed)
        return Broken(f"a listing without {_numbers(missing)} after RSET") if missing else HELD
    number = number_of(exchange)
    if number is None or number not in before.unmarked or not _is_judged(exchange, before):
        return None
    if not _names_plainly(exchange, number) or exchange.keyword not in _SHOW_ONE:
        return None
    if exchange.is_err and exchange.reply is not None and not _says_why(exchange):
        return Broken(f"{_quote(exchange.reply.status_line)} for message {number} after RSET")
    return HELD if exchange.is_ok else None


def _same_drop_after_rset(drop: DropListing, before: History) -> Judgement:
    first = before.first_drop
    count = first.count if first is not None else before.count
    if count is None:
        return None
    if drop.count != count:
        return Broken(f"a count of {drop.count} after RSET, {count} at the opening")
    # A server that corrects a size on reading breaks another rule.
    if first is None or before.contents or before.announces_utf8 or drop.octets == first.octets:
        return HELD
    return Broken(f"{drop.octets} octets after RSET, {first.octets} at the opening")


def _lost_by_rset(exchange: Exchange, before: History) -> frozenset[int]:
    """What the same command listed before it was marked; else a gap is not RSET's."""
    earlier = before.sizes if exchange.keyword == "LIST" else before.unique_ids
    return before.unmarked.intersection(earlier)


def _listed_numbers(exchange: Exchange) -> list[int] | None:
    """The numbers of a full listing, in its order."""
    if exchange.reply is None or not exchange.reply.is_multiline:
        return None
    if exchange.scan_listings is not None:
        return [listing.number for listing in exchange.scan_listings]
    if exchange.unique_id_listings is not None:
        return [listing.number for listing in exchange.unique_id_listings]
    return None


def message_numbers(exchange: Exchange, before: History) -> Judgement:
    """The numbers in a listing lie between 1 and the count, each once."""
    numbers = _listed_numbers(exchange)
    if not numbers:
        return None
    repeated = [number for number, times in Counter(numbers).items() if times > 1]
    if repeated:
        return Broken(f"{_numbers(repeated)} listed more than once")
    if 0 in numbers:
        return Broken("a message with the number 0")
    # Without a filling the listing itself tells how many there are.
    count = before.filling.count
    if count is None and before.is_untouched:
        count = len(numbers)
    above = {number for number in numbers if count is not None and number > count}
    if above and not before.filling.may_change:
        return Broken(f"{_numbers(above)} in a maildrop of {_messages(count or 0)}")
    return HELD


def list_complete(exchange: Exchange, before: History) -> Judgement:
    """LIST has every message that is not marked."""
    return _complete(exchange, before) if exchange.keyword == "LIST" else None


def uidl_complete(exchange: Exchange, before: History) -> Judgement:
    """UIDL has every message that is not marked."""
    return _complete(exchange, before) if exchange.keyword == "UIDL" else None


def _complete(exchange: Exchange, before: History) -> Judgement:
    numbers = _listed_numbers(exchange)
    if numbers is None or before.filling.may_change:
        return None
    count = before.filling.count
    if count is None:
        return None  # a gap is judged by message_numbers, a wrong count by stat_count
    there = {*numbers, *before.marked, *_lost_by_rset(exchange, before)}
    # Not all of them: a listing may claim a number of twenty digits.
    missing = list(islice((n for n in range(1, count + 1) if n not in there), _SHOWN + 1))
    if missing:
        return Broken(f"no line for {_numbers(missing)} of {_messages(count)}")
    return HELD if count else None


def list_empty(exchange: Exchange, before: History) -> Judgement:
    """LIST of an empty maildrop is positive and has no lines."""
    if exchange.keyword != "LIST" or not _is_bare(exchange) or not _is_judged(exchange, before):
        return None
    if before.state is not State.TRANSACTION or before.count != 0:
        return None
    if before.filling.may_change:
        return None
    if exchange.reply is None:
        return Broken("no terminating line") if exchange.partial else None
    if exchange.is_err:
        return Broken(f"{_quote(exchange.reply.status_line)} for an empty maildrop")
    return HELD if exchange.reply.is_multiline and not exchange.reply.payload else None


def list_without_marked(exchange: Exchange, before: History) -> Judgement:
    """LIST has no message that is marked."""
    return _without_marked(exchange, before) if exchange.keyword == "LIST" else None


def uidl_without_marked(exchange: Exchange, before: History) -> Judgement:
    """UIDL has no message that is marked."""
    return _without_marked(exchange, before) if exchange.keyword == "UIDL" else None


def _without_marked(exchange: Exchange, before: History) -> Judgement:
    numbers = _listed_numbers(exchange)
    if numbers is None or not before.marked:
        return None
    listed = before.marked.intersection(numbers)
    return Broken(f"a line for {_numbers(listed)}, marked as deleted") if listed else HELD


def stat_total(exchange: Exchange, before: History) -> Judgement:
    """The octets of STAT are the sum of the sizes of LIST at the same point."""
    if before.announces_utf8 or before.filling.may_change:
        return None
    drop, listed = exchange.drop_listing, before.scan_listing
    if drop is None:
        if exchange.scan_listings is None or _listed_numbers(exchange) is None:
            return None
        drop = before.drop_listing
        listed = {listing.number: listing.octets for listing in exchange.scan_listings}
    if drop is None or listed is None or drop.count != len(listed):
        return None
    total = sum(listed.values())
    if drop.octets == total:
        return HELD
    return Broken(f"{drop.octets} octets in STAT, {total} as the sum of LIST")


def size_fixed(exchange: Exchange, before: History) -> Judgement:
    """LIST gives a message the size that it gave before."""
    listings = exchange.scan_listings
    if not listings:
        return None
    judged = False
    for listing in listings:
        earlier = before.sizes.get(listing.number)
        if earlier is None:
            continue
        judged = True
        if earlier != listing.octets:
            return Broken(f"size {listing.octets} of message {listing.number}, before {earlier}")
    return HELD if judged else None


def unique_id_fixed(exchange: Exchange, before: History) -> Judgement:
    """UIDL gives a message the unique-id that it gave before."""
    listings = exchange.unique_id_listings
    if not listings:
        return None
    judged = False
    for listing in listings:
        earlier = before.unique_ids.get(listing.number)
        if earlier is None:
            continue
        judged = True
        if earlier != listing.unique_id:
            return Broken(
                f"unique-id {_quote(listing.unique_id)} of message {listing.number},"
                f" before {_quote(earlier)}"
            )
    return HELD if judged else None


def unique_id_unique(exchange: Exchange, before: History) -> Judgement:
    """No two different messages have one unique-id."""
    listings = exchange.unique_id_listings
    if not listings:
        return None
    owners: dict[bytes, int] = {}
    if len(listings) == 1:  # of one message: beside what was told of the others
        owners = {uid: number for number, uid in before.unique_ids.items()}
    for listing in listings:
        other = owners.setdefault(listing.unique_id, listing.number)
        if other != listing.number and _differ(other, listing.number, before):
            return Broken(f"{_quote(listing.unique_id)} for messages {other} and {listing.number}")
    return HELD if len(owners) > 1 else None


def _differ(one: int, other: int, before: History) -> bool:
    if before.filling.is_distinct:
        return True
    contents = before.contents.get(one), before.contents.get(other)
    if contents[0] is not None and contents[1] is not None:
        return contents[0].body_digest != contents[1].body_digest
    sizes = before.sizes.get(one), before.sizes.get(other)
    return None not in sizes and sizes[0] != sizes[1]


# --- Messages (RFC 1939, sections 5, 7 and 11) ---


def _retrieved(exchange: Exchange) -> tuple[int, bytes] | None:
    number = number_of(exchange)
    if number is None or not _positive(exchange, "RETR") or exchange.reply is None:
        return None
    return (number, exchange.reply.content) if exchange.reply.is_multiline else None


def exact_size(exchange: Exchange, before: History) -> Judgement:
    """The octets that RETR sends are as many as LIST says."""
    off = _size_difference(exchange, before)
    if off is None:
        return None
    number, listed, sent = off
    if listed == sent:
        return HELD
    if sent - listed == 2 and not before.filling.is_clean:
        return None  # judged by final_line_end
    return Broken(f"{sent} octets of message {number}, {listed} in LIST")


def final_line_end(exchange: Exchange, before: History) -> Judgement:
    """The size counts the line end that RETR adds to a message without one."""
    off = _size_difference(exchange, before)
    if off is None or before.filling.is_clean:
        return None
    number, listed, sent = off
    if sent - listed == 2:
        return Broken(f"{sent} octets of message {number}, {listed} in LIST")
    return HELD if sent == listed else None


def _size_difference(exchange: Exchange, before: History) -> tuple[int, int, int] | None:
    """Number, size by LIST and octets by RETR, where this exchange completes the two."""
    if before.announces_utf8:
        return None
    retrieved = _retrieved(exchange)
    if retrieved is not None:
        number, content = retrieved
        size = before.sizes.get(number)
        return None if size is None else (number, size, len(content))
    found = None
    for listing in exchange.scan_listings or ():
        known = before.contents.get(listing.number)
        if known is None:
            continue
        found = (listing.number, listing.octets, known.octets)
        if found[1] != found[2]:
            return found
    return found


def retr_same(exchange: Exchange, before: History) -> Judgement:
    """RETR of a number gives the body that it gave before."""
    retrieved = _retrieved(exchange)
    if retrieved is None:
        return None
    number, content = retrieved
    earlier = before.contents.get(number)
    if earlier is None:
        return None
    if content_of(content).body_digest == earlier.body_digest:
        return HELD
    return Broken(f"another body of message {number} than before ({len(content)} octets)")


@dataclass(frozen=True)
class _Top:
    """A reply to TOP beside what RETR gave of the same message."""

    count: int
    lines: list[bytes] | None  # of the body; None: no blank line
    whole: list[bytes] | None  # the body's lines by RETR, None: not known


def _top(exchange: Exchange, before: History) -> _Top | None:
    if not _positive(exchange, "TOP") or exchange.reply is None or len(exchange.arguments) != 2:
        return None
    number, count = (message_number(argument) for argument in exchange.arguments)
    if number is None or count is None or not exchange.reply.is_multiline:
        return None
    body = body_of(exchange.reply.content)
    return _Top(
        count,
        None if body is None else _lines(body),
        _whole_body(number, before),
    )


def _lines(body: bytes) -> list[bytes]:
    lines = body.split(b"\r\n")
    return lines[:-1] if lines[-1] == b"" else lines


def _whole_body(number: int, before: History) -> list[bytes] | None:
    """The lines of the body: as they were put in, else as RETR sent them."""
    if before.filling.body is not None and number == 1:
        return _lines(before.filling.body)
    content = before.contents.get(number)
    if content is None or not content.is_whole:
        return None
    # Where RETR itself sent another size than LIST told, it is no measure for TOP.
    if before.sizes.get(number) != content.octets:
        return None
    body = body_of(content.beginning)
    return None if body is None else _lines(body)


def top(exchange: Exchange, before: History) -> Judgement:
    """TOP has the blank line and no more than the given number of lines, the first ones."""
    seen = _top(exchange, before)
    if seen is None:
        return None
    if seen.lines is None:
        if seen.whole:
            return Broken("no blank line between header and body")
        return None
    if len(seen.lines) > seen.count:
        return Broken(f"{len(seen.lines)} lines of the body, {seen.count} asked for")
    if seen.whole is None:
        return HELD
    if seen.count > len(seen.whole):
        return None  # judged by top_whole
    if seen.lines == seen.whole[: seen.count]:
        return HELD
    return Broken(f"{len(seen.lines)} lines that are not the first {seen.count} of the body")


def top_whole(exchange: Exchange, before: History) -> Judgement:
    """TOP with a count above the body's lines has all of them."""
    seen = _top(exchange, before)
    if seen is None or seen.whole is None or seen.lines is None:
        return None
    if seen.count <= len(seen.whole):
        return None
    if seen.lines == seen.whole:
        return HELD
    return Broken(f"{len(seen.lines)} lines, which are not the {len(seen.whole)} of the body")


def rset_positive(exchange: Exchange, before: History) -> Judgement:
    """RSET is answered +OK."""
    return _positive_in_transaction(exchange, before, "RSET")


def noop_positive(exchange: Exchange, before: History) -> Judgement:
    """NOOP is answered +OK."""
    return _positive_in_transaction(exchange, before, "NOOP")


def _positive_in_transaction(exchange: Exchange, before: History, word: str) -> Judgement:
    if exchange.keyword != word or not _is_bare(exchange) or exchange.reply is None:
        return None
    if not _is_judged(exchange, before) or before.state is not State.TRANSACTION:
        return None
    if exchange.is_err:
        return Broken(f"{_quote(exchange.reply.status_line)}")
    return HELD if exchange.is_ok else None


CHECKS: Mapping[str, Check] = {
    "rfc1939-3-status-indicator": status_indicator,
    "rfc1939-3-response-crlf": response_crlf,
    "rfc1939-3-response-length": response_length,
    "rfc1939-3-line-crlf": line_crlf,
    "rfc1939-3-multi-line-end": multi_line_end,
    "rfc1939-3-reply-per-command": reply_per_command,
    "rfc1939-3-nothing-unasked": nothing_unasked,
    "rfc1939-3-error-single-line": error_single_line,
    "rfc1939-3-single-line": single_line,
    "rfc1939-3-stays-open": stays_open,
    "rfc1939-3-unknown-command": unknown_command,
    "rfc1939-3-missing-argument": missing_argument,
    "rfc1939-3-malformed-number": malformed_number,
    "rfc1939-3-surplus-argument": surplus_argument,
    "rfc1939-3-wrong-state": wrong_state,
    "rfc1939-4-greeting": greeting,
    "rfc1939-4-quit": quit_before_login,
    "rfc1939-4-login-refused": login_refused,
    "rfc1939-4-message-numbers": message_numbers,
    "rfc1939-4-size-fixed": size_fixed,
    "rfc1939-4-count-fixed": count_fixed,
    "rfc1939-4-no-arrivals": no_arrivals,
    "rfc1939-5-stat-drop-listing": stat_drop_listing,
    "rfc1939-5-stat-count": stat_count,
    "rfc1939-5-stat-total": stat_total,
    "rfc1939-5-stat-without-marked": stat_without_marked,
    "rfc1939-5-list-scan-listing": list_scan_listing,
    "rfc1939-5-list-complete": list_complete,
    "rfc1939-5-list-empty": list_empty,
    "rfc1939-5-list-argument": list_argument,
    "rfc1939-5-list-without-marked": list_without_marked,
    "rfc1939-5-no-such-message": no_such_message,
    "rfc1939-5-retr": retr_existing,
    "rfc1939-5-retr-same": retr_same,
    "rfc1939-5-dele": dele_existing,
    "rfc1939-5-dele-marked": dele_marked,
    "rfc1939-5-noop": noop_positive,
    "rfc1939-5-noop-state": noop_state,
    "rfc1939-5-rset": rset_positive,
    "rfc1939-5-rset-unmarks": rset_unmarks,
    "rfc1939-5-no-argument": no_argument,
    "rfc1939-6-quit": quit_after_login,
    "rfc1939-6-close": closes_after_quit,
    "rfc1939-7-top": top,
    "rfc1939-7-top-whole": top_whole,
    "rfc1939-7-uidl-unique-id-listing": uidl_unique_id_listing,
    "rfc1939-7-unique-id-form": unique_id_form,
    "rfc1939-7-unique-id-unique": unique_id_unique,
    "rfc1939-7-unique-id-fixed": unique_id_fixed,
    "rfc1939-7-uidl-complete": uidl_complete,
    "rfc1939-7-uidl-argument": uidl_argument,
    "rfc1939-7-uidl-without-marked": uidl_without_marked,
    "rfc1939-7-login-in-transaction": login_in_transaction,
    "rfc1939-7-pass-after-user": pass_after_user,
    "rfc1939-7-apop-timestamp": apop_timestamp,
    "rfc1939-11-exact-size": exact_size,
    "practice-pass-directly-after-user": pass_directly_after_user,
    "practice-final-line-end": final_line_end,
}


# Where one of these is broken, the words of a reply are no evidence for other rules.
FRAMING_RULES = frozenset(
    (
        "rfc1939-3-status-indicator",
        "rfc1939-3-response-crlf",
        "rfc1939-3-line-crlf",
        "rfc1939-3-multi-line-end",
        "rfc1939-3-reply-per-command",
        "rfc1939-3-nothing-unasked",
        "rfc1939-3-error-single-line",
        "rfc1939-3-single-line",
        "rfc1939-3-stays-open",
    )
)


# What a listing or a message says counts in the TRANSACTION state alone.
_OF_TRANSACTION = frozenset(
    (
        "rfc1939-4-message-numbers",
        "rfc1939-4-size-fixed",
        "rfc1939-4-count-fixed",
        "rfc1939-4-no-arrivals",
        "rfc1939-5-stat-count",
        "rfc1939-5-stat-total",
        "rfc1939-5-stat-without-marked",
        "rfc1939-5-list-complete",
        "rfc1939-5-list-empty",
        "rfc1939-5-list-argument",
        "rfc1939-5-list-without-marked",
        "rfc1939-5-retr",
        "rfc1939-5-retr-same",
        "rfc1939-5-dele",
        "rfc1939-5-rset-unmarks",
        "rfc1939-7-top",
        "rfc1939-7-top-whole",
        "rfc1939-7-unique-id-unique",
        "rfc1939-7-unique-id-fixed",
        "rfc1939-7-uidl-complete",
        "rfc1939-7-uidl-argument",
        "rfc1939-7-uidl-without-marked",
        "rfc1939-11-exact-size",
        "practice-final-line-end",
    )
)
_EVERYWHERE = {rule: check for rule, check in CHECKS.items() if rule not in _OF_TRANSACTION}


def judge(exchange: Exchange, before: History) -> list[tuple[str, Held | Broken]]:
    """Every rule on which the exchange says something, with what it says."""
    judged = []
    checks = CHECKS if before.state is State.TRANSACTION else _EVERYWHERE
    for rule, check in checks.items():
        judgement = check(exchange, before)
        if judgement is not None:
            judged.append((rule, judgement))
    return judged
