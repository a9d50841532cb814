"""Checks of capability lists about TLS and SASL (RFC 2595, RFC 4422, RFC 5034).

And what checks read of a list, whatever they are about.
"""

from pop3spec.protocol.commands import State
from pop3spec.protocol.sasl import MECHANISM_NAME
from pop3spec.rulebook.history import Capabilities, History, says_later
from pop3spec.rulebook.judgement import HELD, Broken, Check, Judgement, is_judged, quote
from pop3spec.transcript import Exchange


def listed(exchange: Exchange, before: History) -> Capabilities | None:
    """What a positive reply to CAPA announces, None where that is not to be judged."""
    if exchange.arguments or not is_judged(exchange, before):
        return None
    return exchange.capabilities


def listed_before_login(exchange: Exchange, before: History) -> Capabilities | None:
    """After the login, what was announced before it at the same security layer."""
    if before.state is not State.TRANSACTION:
        return None
    return before.lists.get((exchange.secure, State.AUTHORIZATION))


def kept_after_login(tag: str) -> Check:
    """A check: the capability, if announced before the login, is announced after it."""

    def kept(exchange: Exchange, before: History) -> Judgement:
        now, earlier = listed(exchange, before), listed_before_login(exchange, before)
        if now is None or earlier is None or tag not in earlier:
            return None
        return HELD if tag in now else Broken(f"no {tag} after the login, where it was before")

    return kept


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
    now = listed(exchange, before)
    if now is None or not (exchange.secure or before.state is State.TRANSACTION):
        return None
    if "STLS" not in now:
        return HELD
    where = "inside TLS" if exchange.secure else "in the TRANSACTION state"
    return Broken(f"STLS in the capability list {where}")


def mechanism_names(exchange: Exchange, before: History) -> Judgement:
    """Each mechanism has a name of capitals, digits, hyphens and underscores, and is named once."""
    names = (listed(exchange, before) or {}).get("SASL")
    if not names:
        return None
    for name in names:
        if not MECHANISM_NAME.fullmatch(name):
            return Broken(f"{quote(name.encode('latin-1'))} as the name of a mechanism")
        if names.count(name) > 1:
            return Broken(f"the mechanism {quote(name.encode('latin-1'))} named twice")
    return HELD
