"""Checks of capability lists about TLS and SASL (RFC 2595, RFC 4422, RFC 5034)."""

import re

from pop3spec.protocol.commands import State
from pop3spec.rulebook.history import History, says_later
from pop3spec.rulebook.judgement import HELD, Broken, Judgement, is_judged, quote
from pop3spec.transcript import Exchange

# RFC 4422, section 3.1.
_MECHANISM = re.compile(rb"[A-Z0-9_-]{1,20}")


def _listed(exchange: Exchange, before: History) -> dict[bytes, tuple[bytes, ...]] | None:
    """What a positive reply to CAPA announces: tags in upper case, arguments of all their lines."""
    if exchange.keyword != "CAPA" or exchange.arguments or not is_judged(exchange, before):
        return None
    if not exchange.is_ok or exchange.reply is None or not exchange.reply.is_multiline:
        return None
    listed: dict[bytes, tuple[bytes, ...]] = {}
    for words in filter(None, map(bytes.split, exchange.reply.lines)):
        tag, *arguments = words
        listed[tag.upper()] = (*listed.get(tag.upper(), ()), *arguments)
    return listed


def capa_with_stls(exchange: Exchange, before: History) -> Judgement:
    """Who accepts STLS answers CAPA with a list, before and behind it."""
    if not is_judged(exchange, before) or before.state is not State.AUTHORIZATION:
        return None
    if exchange.keyword == "STLS" and exchange.is_ok:
        if before.capa_refused:
            return Broken("a positive reply to STLS, after CAPA was refused")
        return HELD if (False, State.AUTHORIZATION) in before.lists else None
    if exchange.keyword != "CAPA" or exchange.arguments or exchange.reply is None:
        return None
    if not exchange.secure or not before.stls_accepted:
        return None
    if exchange.is_err and not says_later(exchange):
        return Broken(f"{quote(exchange.reply.status_line)} inside TLS")
    return HELD if exchange.is_ok else None


def stls_announced(exchange: Exchange, before: History) -> Judgement:
    """Neither inside TLS nor after the login is STLS announced."""
    listed = _listed(exchange, before)
    if listed is None or not (exchange.secure or before.state is State.TRANSACTION):
        return None
    if b"STLS" not in listed:
        return HELD
    where = "inside TLS" if exchange.secure else "in the TRANSACTION state"
    return Broken(f"STLS in the capability list {where}")


def sasl_after_login(exchange: Exchange, before: History) -> Judgement:
    """SASL that was announced before the login is announced after it."""
    listed = _listed(exchange, before)
    if listed is None or before.state is not State.TRANSACTION:
        return None
    earlier = before.lists.get((exchange.secure, State.AUTHORIZATION))
    if earlier is None or "SASL" not in earlier:
        return None
    return HELD if b"SASL" in listed else Broken("no SASL after the login, where it was before")


def mechanism_names(exchange: Exchange, before: History) -> Judgement:
    """Each mechanism has a name of capitals, digits, hyphens and underscores, and is named once."""
    names = (_listed(exchange, before) or {}).get(b"SASL")
    if not names:
        return None
    for name in names:
        if not _MECHANISM.fullmatch(name):
            return Broken(f"{quote(name)} as the name of a mechanism")
        if names.count(name) > 1:
            return Broken(f"the mechanism {quote(name)} named twice")
    return HELD
