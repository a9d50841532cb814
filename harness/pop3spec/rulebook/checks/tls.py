"""Checks of TLS and of STLS (RFC 2595, RFC 8314); capability lists are looked at elsewhere."""

from pop3spec.protocol.commands import State
from pop3spec.rulebook.history import History
from pop3spec.rulebook.judgement import HELD, Broken, Judgement, is_judged, quote, refused
from pop3spec.transcript import End, Exchange, Kind

# RFC 8314, section 4, as RFC 8997 has it.
_RECENT = frozenset({"TLSv1.2", "TLSv1.3"})
# The first octet of an alert and of a handshake (RFC 8446, section 5.1).
_TLS_RECORDS = frozenset({b"\x15", b"\x16"})


def stls_in_transaction(exchange: Exchange, before: History) -> Judgement:
    """After a login STLS is refused."""
    if exchange.keyword != "STLS" or not is_judged(exchange, before):
        return None
    if before.state is not State.TRANSACTION or exchange.arguments:
        return None
    return refused(exchange, "to STLS in the TRANSACTION state")


def recent_tls(exchange: Exchange, before: History) -> Judgement:
    """A client that offers TLS 1.2 and later gets one of these versions."""
    del before
    if exchange.kind is not Kind.HANDSHAKE:
        return None
    if exchange.tls is None:
        return Broken("no version of TLS that was offered")
    version = exchange.tls.version
    return HELD if version in _RECENT else Broken(f"the version {version}")


def close_alert(exchange: Exchange, before: History) -> Judgement:
    """Behind QUIT a close alert ends TLS before the connection is closed.

    A reset may destroy an alert that was sent.
    """
    if exchange.kind is not Kind.CLOSE or not exchange.secure or before.illegal:
        return None
    if exchange.end is End.CLOSED_WITHOUT_ALERT:
        return Broken("a close without a close alert")
    return HELD if exchange.end is End.CLOSED else None


def nothing_in_clear(exchange: Exchange, before: History) -> Judgement:
    """Behind the positive reply to STLS nothing comes before TLS has begun."""
    if exchange.kind is Kind.HANDSHAKE and exchange.tls is not None and before.last is not None:
        return HELD if before.last.keyword == "STLS" else None
    if exchange.partial[:1] in _TLS_RECORDS:
        return None  # as one that says why there will be no TLS
    if not follows_stls(exchange, before) or before.illegal or exchange.deliberate:
        return None
    if exchange.partial:
        return Broken(f"{quote(exchange.partial)} in the clear behind the +OK to STLS")
    return HELD if exchange.end is None else None


def follows_stls(exchange: Exchange, before: History) -> bool:
    """Nothing was said since the positive reply to STLS, and TLS has not begun."""
    last = before.last
    waits = exchange.kind in (Kind.UNASKED, Kind.SILENCE) and not exchange.secure
    return waits and last is not None and last.keyword == "STLS" and last.is_ok
