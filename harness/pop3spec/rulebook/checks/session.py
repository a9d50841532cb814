"""Checks of greeting, QUIT and close (RFC 1939, sections 4, 6 and 7)."""

import re

from pop3spec.protocol.commands import State
from pop3spec.rulebook.checks.framing import _Surplus, _surplus
from pop3spec.rulebook.history import History, may_be_parting
from pop3spec.rulebook.judgement import (
    HELD,
    Broken,
    Judgement,
    is_bare,
    is_judged,
    may_close,
    quote,
    refused,
)
from pop3spec.transcript import End, Exchange, Kind


def greeting(exchange: Exchange, before: History) -> Judgement:
    """The greeting is a positive reply, and nothing follows its line."""
    if _surplus(exchange, before) is _Surplus.GREETING:
        return Broken(f"{quote(exchange.partial)} behind the line of the greeting")
    if exchange.kind is not Kind.GREETING or exchange.reply is None:
        return None
    line = exchange.reply.status_line
    if exchange.is_err:
        return None  # service refused
    return HELD if exchange.is_ok else Broken(f"the greeting {quote(line)}")


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
    if exchange.keyword != "QUIT" or exchange.arguments or not is_judged(exchange, before):
        return None
    if exchange.reply is None:
        if exchange.is_closed and not exchange.partial and not may_close(before):
            return Broken("the connection closed without a reply")
        return None
    if may_be_parting(exchange, before):
        return None
    if exchange.is_err and is_bare(exchange):
        return Broken(f"{quote(exchange.reply.status_line)}")
    return HELD if exchange.is_ok else None


def closes_after_quit(exchange: Exchange, before: History) -> Judgement:
    """Behind the reply to QUIT nothing comes but the close."""
    if exchange.kind is not Kind.CLOSE or before.illegal:
        return None
    if exchange.partial:
        return Broken(f"{quote(exchange.partial)} behind the reply to QUIT")
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
        return Broken(f"{len(found)} timestamps in {quote(exchange.reply.status_line)}")
    if MSG_ID.fullmatch(found[0]):
        return HELD
    return Broken(f"the timestamp {quote(found[0])}")


def apop_without_timestamp(exchange: Exchange, before: History) -> Judgement:
    """APOP is accepted only where the greeting has a timestamp."""
    if exchange.keyword != "APOP" or not is_judged(exchange, before) or before.greeting is None:
        return None
    if before.state is not State.AUTHORIZATION or len(exchange.arguments) != 2:
        return None
    if _BRACKETS.search(before.greeting):
        return HELD if exchange.is_ok else None
    return refused(exchange, f"to APOP behind the greeting {quote(before.greeting)}")


# RFC 822: msg-id = "<" local-part "@" domain ">"; words of atoms or quoted strings.
_ATOM = rb"[!#-'*+\-/-9=?A-Z^-~]+"


_WORD = rb"(?:" + _ATOM + rb'|"(?:[^"\\\r\n]|\\.)*")'


_SUB_DOMAIN = rb"(?:" + _ATOM + rb"|\[(?:[^\[\]\\\r\n]|\\.)*\])"


MSG_ID = re.compile(
    rb"<" + _WORD + rb"(?:\." + _WORD + rb")*@" + _SUB_DOMAIN + rb"(?:\." + _SUB_DOMAIN + rb")*>"
)


_BRACKETS = re.compile(rb"<[^<>\r\n]*>")
