"""Checks of the status line, of line ends and of one reply to a command (RFC 1939, section 3)."""

import re
from collections.abc import Iterable

from pop3spec.protocol.commands import COMMANDS, LOGIN, MAX_COMMAND, Argument, State
from pop3spec.protocol.sasl import BASE64
from pop3spec.rulebook.checks.tls import follows_stls
from pop3spec.rulebook.history import SHORT_COMMAND, History, comes_behind, says_shutdown
from pop3spec.rulebook.judgement import (
    HELD,
    STATUS,
    Broken,
    Judgement,
    is_judged_line,
    is_localised,
    is_utf8,
    may_close,
    quote,
)
from pop3spec.transcript import End, Exchange, Kind

MAX_FIRST_LINE = 512


def _is_framed(exchange: Exchange) -> bool:
    """What came is in answer to something, and not a SASL challenge."""
    if exchange.kind not in (Kind.GREETING, Kind.COMMAND, Kind.CONTINUATION):
        return False
    return exchange.reply is None or not exchange.continues_sasl


def status_indicator(exchange: Exchange, before: History) -> Judgement:
    """The reply begins with +OK or -ERR, in upper case, then a blank or the line's end."""
    if exchange.reply is None or not _is_framed(exchange):
        return None
    # Of a command that is too long nothing is judged but that the next client is served.
    if exchange.deliberate and len(exchange.sent) > MAX_COMMAND:
        return None
    if STATUS.match(exchange.reply.status_line):
        return HELD
    return Broken(f"a reply that begins with {quote(exchange.reply.status_line[:12])}")


def response_crlf(exchange: Exchange, before: History) -> Judgement:
    """The first line ends with CRLF and holds no other CR or LF."""
    if not _is_framed(exchange):
        return None
    if exchange.reply is None:
        if exchange.end is End.TIMEOUT and exchange.partial and b"\n" not in exchange.partial:
            return Broken(f"a first line without an end: {quote(exchange.partial)}")
        return None
    line = exchange.reply.status_line
    if line.endswith(b"\r\n") and line.count(b"\r") == 1:
        return HELD
    if line.endswith(b"\r\n") and (exchange.deliberate or before.illegal):
        return None  # a CR that no client may send has come back
    return Broken(f"the line {quote(line)}")


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


def printable_text(exchange: Exchange, before: History) -> Judgement:
    """The status line of a server with CAPA has no octets but those that are printed."""
    if exchange.reply is None or not _is_framed(exchange) or before.capabilities is None:
        return None
    if exchange.deliberate or before.illegal or not exchange.sent.isascii():
        return None  # it may come back
    line = exchange.reply.status_line.rstrip(b"\r\n")
    if not STATUS.match(line) or exchange.unique_id_listings:
        return None  # a unique-id has a rule of its own
    if is_localised(exchange, before):
        pass  # that it is UTF-8 is judged by utf8_text
    elif not {"UTF8", "LANG"}.isdisjoint(before.capabilities):
        if not is_utf8(line):
            return Broken(f"{quote(line)}, which is not UTF-8 either")
    elif not line.isascii():
        return Broken(f"octets above 127 in {quote(line)}")
    # Behind a response code the grammar has all characters but NUL.
    bad = _NUL if _BEGINS_WITH_CODE.match(line) else _CONTROL
    found = bad.search(line)
    return Broken(f"control octets in {quote(line)}") if found else HELD


_BEGINS_WITH_CODE = re.compile(rb"(?:\+OK|-ERR) \[[^\]]+\]")
_NUL = re.compile(rb"\x00")
# CR and LF are judged as line ends, TAB is taken for a blank; DEL is in the grammar.
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")


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
    return Broken(f"the line {quote(_first_with_a_lone_end(exchange.reply.wire_lines))}")


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
    return Broken(f"no line of one dot: the reply ends {quote(exchange.partial[-40:])}, then {how}")


def reply_per_command(exchange: Exchange, before: History) -> Judgement:
    """A reply comes in time."""
    if not is_judged_line(exchange, before):
        return None
    if exchange.reply is not None:
        return HELD
    if _is_long_and_unknown(exchange, before):
        return None
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
    REST_OF_COMMAND = "a refusal of what was left of a long command"
    CHALLENGE = "more behind the line of a challenge"
    OTHER = "octets"
    EXCUSED = "octets for which there is a reason"


def _surplus(exchange: Exchange, before: History) -> str | None:
    if exchange.kind not in (Kind.UNASKED, Kind.SILENCE) or not exchange.partial:
        return None
    last = before.last
    if exchange.deliberate or before.illegal:
        return _Surplus.EXCUSED
    if follows_stls(exchange, before):
        return _Surplus.EXCUSED  # a rule of its own
    is_reply = STATUS.match(exchange.partial) is not None
    may_end = may_close(before) or says_shutdown(exchange) or _is_idle(exchange, before)
    if is_reply and exchange.is_closed and may_end:
        return _Surplus.EXCUSED  # a parting line
    if last is not None and last.kind is Kind.GREETING:
        return _Surplus.GREETING
    if is_reply:
        refuses = exchange.partial.startswith(b"-ERR")
        is_rest = refuses and last is not None and _long(last, before) is not None
        return _Surplus.REST_OF_COMMAND if is_rest else _Surplus.REPLY
    if last is None or last.reply is None:
        return _Surplus.OTHER
    if last.kind not in (Kind.COMMAND, Kind.CONTINUATION):
        return _Surplus.OTHER
    if last.continues_sasl:
        is_another = exchange.partial.startswith(b"+ ")
        return _Surplus.REPLY if is_another else _Surplus.CHALLENGE
    if last.reply.is_err:
        return _Surplus.LINES_OF_ERROR
    if last.reply.is_ok and not last.reply.is_multiline:
        # A command outside of the RFCs may well have lines.
        return _Surplus.LINES_OF_ONE if last.keyword in COMMANDS else _Surplus.EXCUSED
    return _Surplus.OTHER


def challenge_line(exchange: Exchange, before: History) -> Judgement:
    """A challenge with data is a plus sign, one blank and base64, on one line with CRLF."""
    if _surplus(exchange, before) is _Surplus.CHALLENGE:
        return Broken(f"{quote(exchange.partial)} behind the line of a challenge")
    if not exchange.continues_sasl or not is_judged_line(exchange, before):
        return None
    line = exchange.reply.status_line if exchange.reply is not None else b""
    if not line[1:].strip():
        return None
    return HELD if _CHALLENGE.fullmatch(line) else Broken(f"the challenge {quote(line)}")


_CHALLENGE = re.compile(rb"\+ " + BASE64 + rb"\r\n")


def nothing_unasked(exchange: Exchange, before: History) -> Judgement:
    """Nothing arrives while no command is outstanding."""
    if comes_behind(exchange, before):
        if exchange.deliberate or before.illegal:
            return None  # perhaps the reply to an earlier command
        first = exchange.reply.status_line if exchange.reply is not None else b""
        return Broken(f"{quote(first)} before the reply to {exchange.keyword}")
    surplus = _surplus(exchange, before)
    if surplus is None:
        if before.last is None or exchange.kind not in (Kind.COMMAND, Kind.SILENCE, Kind.CLOSE):
            return None
        return HELD
    if surplus in (_Surplus.REPLY, _Surplus.OTHER):
        return Broken(f"{quote(exchange.partial)} with no command outstanding")
    return None


# RFC 1939, section 3: the characters of an argument.
MAX_ARGUMENT = 40
# No command of RFC 1939 has more arguments.
_MOST_ARGUMENTS = 2


class _Long:
    """By which text a command has to be read whole."""

    ARGUMENT = "RFC 1939"
    COMMAND = "RFC 2449"


def _long(exchange: Exchange, before: History) -> str | None:
    """By which text a command that is longer than most has to be read whole, if by any."""
    if exchange.kind is not Kind.COMMAND or exchange.deliberate:
        return None
    if not SHORT_COMMAND < len(exchange.sent) <= MAX_COMMAND:
        return None
    arguments = exchange.sent.split()[1:]
    if len(arguments) <= _MOST_ARGUMENTS and max(map(len, arguments), default=0) <= MAX_ARGUMENT:
        return _Long.ARGUMENT
    return None if before.capabilities is None else _Long.COMMAND


def _is_long_and_unknown(exchange: Exchange | None, before: History) -> bool:
    """What becomes of it may be due to its length, which only a short one beside it tells."""
    if exchange is None or exchange.keyword in COMMANDS:
        return False
    return _long(exchange, before) is not None


def argument_length(exchange: Exchange, before: History) -> Judgement:
    """A command with arguments of up to 40 characters is answered once."""
    return _read_whole(exchange, before, _Long.ARGUMENT)


def command_length(exchange: Exchange, before: History) -> Judgement:
    """A command of up to 255 octets is answered once by a server with CAPA."""
    return _read_whole(exchange, before, _Long.COMMAND)


def _read_whole(exchange: Exchange, before: History, why: str) -> Judgement:
    last = before.last
    if exchange.reply is None and _long(exchange, before) == why:
        return _gone_for_its_length(exchange, exchange, before)
    if last is None or last.reply is None or _long(last, before) != why:
        return None
    if _surplus(exchange, before) is _Surplus.REST_OF_COMMAND:
        return Broken(f"{quote(exchange.partial)} besides, to a command of {len(last.sent)} octets")
    if exchange.kind not in (Kind.SILENCE, Kind.UNASKED) or exchange.partial:
        return None
    return _gone_for_its_length(exchange, last, before) if exchange.is_closed else HELD


def _gone_for_its_length(exchange: Exchange, long: Exchange, before: History) -> Judgement:
    """No reply, or a close, though the command was answered before with a short argument.

    Of AUTH that is seen in several sessions alone: by then a login may have been refused,
    and a server may not take an initial response at all.
    """
    if long.keyword == "AUTH" or long.keyword not in before.answered:
        return None
    if exchange.is_followed:
        return None  # it may be a command behind it that ended the session
    if not _is_well_formed(long):
        return None  # what is wrong with it may be the cause
    if before.illegal or exchange.partial:
        return None
    if exchange.is_closed and may_close(before):
        return None
    how = exchange.end.value if exchange.end is not None else "nothing"
    return Broken(f"{how}, at a command of {len(long.sent)} octets")


_NUMBERS = (Argument.MESSAGE_NUMBER, Argument.LINE_COUNT)


def _is_well_formed(exchange: Exchange) -> bool:
    """As many arguments as the command takes, and digits where it wants numbers."""
    command, given = COMMANDS.get(exchange.keyword), exchange.arguments
    if command is None or command.rest:
        return True
    if not command.required <= len(given) <= len(command.arguments):
        return False
    kinds = zip(given, command.arguments, strict=False)
    return all(word.isdigit() for word, kind in kinds if kind in _NUMBERS)


def follows_a_long_command(exchange: Exchange, before: History) -> bool:
    """What was left of the command before may stand in front of this one."""
    last = before.last
    if exchange.kind is not Kind.COMMAND or last is None or last.keyword in LOGIN:
        return False  # a login is read whole, or does not succeed
    return _long(last, before) is not None


def error_single_line(exchange: Exchange, before: History) -> Judgement:
    """Nothing but the next reply follows the line of a negative reply."""
    surplus, last = _surplus(exchange, before), before.last
    if surplus is _Surplus.LINES_OF_ERROR:
        return Broken(f"{quote(exchange.partial)} behind a negative reply")
    if surplus is not None or last is None or not last.is_err:
        return None
    return HELD if exchange.kind in (Kind.COMMAND, Kind.SILENCE) else None


def single_line(exchange: Exchange, before: History) -> Judgement:
    """Nothing but the next reply follows a positive reply of one line."""
    surplus, last = _surplus(exchange, before), before.last
    if surplus is _Surplus.LINES_OF_ONE:
        return Broken(f"{quote(exchange.partial)} behind a reply of one line")
    if surplus is not None or last is None or not last.is_ok:
        return None
    if last.kind is not Kind.COMMAND or last.reply is None or last.reply.is_multiline:
        return None
    return HELD if exchange.kind in (Kind.COMMAND, Kind.SILENCE) else None


# Seconds without a command after which the autologout timer may end a session: ten minutes
# (section 3), less what the clocks of two machines differ.
_AUTOLOGOUT = 590.0
# Seconds without a command behind which a close has to do with the wait, and not with what was
# said before: where the close itself is seen, and where it is only found later.
_WAITED, _CAME_BACK = 1.0, 10.0


def _seconds_of_wait(exchange: Exchange, before: History) -> float:
    at = exchange.sent_at if exchange.kind is Kind.COMMAND else exchange.answered_at
    return 0.0 if before.last is None else at - before.last.answered_at


def _is_idle(exchange: Exchange, before: History) -> bool:
    """An autologout timer may have expired, whether it should or not."""
    least = _WAITED if exchange.kind is Kind.SILENCE else _CAME_BACK
    return _seconds_of_wait(exchange, before) >= least


def autologout(exchange: Exchange, before: History) -> Judgement:
    """A session in the TRANSACTION state is open for ten minutes without a command.

    Before the login nearly every server is less patient, which is an observation.
    """
    if exchange.kind not in (Kind.COMMAND, Kind.SILENCE, Kind.UNASKED):
        return None
    if before.state is not State.TRANSACTION or may_close(before) or exchange.deliberate:
        return None
    seconds = _seconds_of_wait(exchange, before)
    if not exchange.is_closed:
        return HELD if seconds >= _AUTOLOGOUT and exchange.end is None else None
    if not _is_idle(exchange, before) or seconds >= _AUTOLOGOUT or exchange.keyword == "QUIT":
        return None
    return Broken(f"the connection closed within {seconds:.0f} s without a command")


def stays_open(exchange: Exchange, before: History) -> Judgement:
    """The connection is not closed while the client may still send commands."""
    if exchange.kind not in (Kind.COMMAND, Kind.SILENCE, Kind.UNASKED):
        return None
    if not exchange.is_closed:
        return HELD if exchange.kind is Kind.COMMAND and exchange.reply is not None else None
    if may_close(before) or exchange.deliberate or exchange.keyword == "QUIT":
        return None
    if exchange.keyword in LOGIN or _is_idle(exchange, before):
        return None  # perhaps the credentials are wrong; a timer has a rule of its own
    if says_shutdown(exchange) or follows_stls(exchange, before):
        return None
    if exchange.kind is Kind.COMMAND and exchange.partial:
        return None  # judged as a reply without its end
    if _is_long_and_unknown(exchange if exchange.kind is Kind.COMMAND else before.last, before):
        return None
    where = f"instead of a reply to {exchange.keyword}" if exchange.sent else "unasked"
    if not exchange.sent and before.last is not None and before.last.keyword:
        where += f", behind {before.last.keyword}"
    if exchange.is_followed:
        where += ", or to a command behind it"
    return Broken(f"the connection closed {where}")
