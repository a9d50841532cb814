"""Checks of the status line, of line ends and of one reply to a command (RFC 1939, section 3)."""

from collections.abc import Iterable

from pop3spec.protocol.commands import COMMANDS, State
from pop3spec.rulebook.history import History
from pop3spec.rulebook.judgement import HELD, STATUS, Broken, Judgement, is_judged, may_close, quote
from pop3spec.transcript import End, Exchange, Kind

MAX_FIRST_LINE = 512


def _is_framed(exchange: Exchange) -> bool:
    """What came is in answer to something, and not a SASL challenge."""
    if exchange.kind not in (Kind.GREETING, Kind.COMMAND, Kind.CONTINUATION):
        return False
    return exchange.reply is None or not _is_challenge(exchange)


def _is_challenge(exchange: Exchange) -> bool:
    in_sasl = exchange.kind is Kind.CONTINUATION or exchange.keyword == "AUTH"
    return in_sasl and exchange.reply is not None and exchange.reply.is_challenge


def status_indicator(exchange: Exchange, before: History) -> Judgement:
    """The reply begins with +OK or -ERR, in upper case, then a blank or the line's end."""
    if exchange.reply is None or not _is_framed(exchange):
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
    if not is_judged(exchange, before):
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
    is_reply = STATUS.match(exchange.partial) is not None
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
        return Broken(f"{quote(exchange.partial)} with no command outstanding")
    return None


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
