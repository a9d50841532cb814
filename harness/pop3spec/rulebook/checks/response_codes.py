"""Checks of response codes (RFC 2449, sections 6.4 and 8, and RFC 3206, section 5)."""

from pop3spec.protocol.codes import REGISTERED, registered, response_code
from pop3spec.rulebook.history import History
from pop3spec.rulebook.judgement import HELD, Broken, Judgement, is_judged_line, quote
from pop3spec.transcript import Exchange, Kind

# Positive replies of one line whose text begins with numbers, by rules of their own.
_NUMBERS_FIRST = frozenset({"STAT", "LIST", "UIDL"})


def announced(tag: str, exchange: Exchange, before: History) -> bool | None:
    """Whether CAPA announces a capability here, None where that is not known."""
    here = before.lists.get((exchange.secure, before.state))
    if here is not None:
        return tag in here
    if before.capabilities is None:
        return None
    # A list of another state or layer does not tell what is left out in this one.
    return True if tag in before.capabilities else None if before.lists else False


def _text(exchange: Exchange, before: History) -> bytes | None:
    """The text of a reply that may begin with a response code, None without one."""
    reply = exchange.reply
    if reply is None or not (reply.is_ok or reply.is_err):
        return None
    if exchange.kind is not Kind.GREETING and not is_judged_line(exchange, before):
        return None
    is_listing = exchange.keyword in _NUMBERS_FIRST and reply.is_ok and not reply.is_multiline
    return None if is_listing else reply.text


def _registered(exchange: Exchange, before: History) -> str | None:
    """The registered code of a reply, None without one."""
    return registered(response_code(_text(exchange, before) or b""))


def form(exchange: Exchange, before: History) -> Judgement:
    """With RESP-CODES, a text that begins with a bracket begins with a response code."""
    text = _text(exchange, before) or b""
    if not text.startswith(b"[") or not announced("RESP-CODES", exchange, before):
        return None
    return HELD if response_code(text) is not None else Broken(f"the text {quote(text)}")


def codes_announced(exchange: Exchange, before: History) -> Judgement:
    """Who sends a registered code other than AUTH announces RESP-CODES."""
    code = _registered(exchange, before)
    is_told = announced("RESP-CODES", exchange, before)
    if code in (None, "AUTH") or is_told is None:
        return None
    return HELD if is_told else Broken(f"[{code}], and no RESP-CODES in the capability list")


def auth_code_announced(exchange: Exchange, before: History) -> Judgement:
    """Who sends AUTH announces AUTH-RESP-CODE, where it answers CAPA."""
    if not exchange.is_err or _registered(exchange, before) != "AUTH":
        return None
    is_told = announced("AUTH-RESP-CODE", exchange, before)
    if is_told is None:
        return None  # a text that begins so may mean nothing to a server without CAPA
    return HELD if is_told else Broken("[AUTH], and no AUTH-RESP-CODE in the capability list")


def errors_only(exchange: Exchange, before: History) -> Judgement:
    """With RESP-CODES, a registered code stands in a negative reply."""
    code = _registered(exchange, before)
    if code is None or not announced("RESP-CODES", exchange, before):
        return None
    return HELD if exchange.is_err else Broken(f"[{code}] in a positive reply")


def fitting_command(exchange: Exchange, before: History) -> Judgement:
    """With RESP-CODES, LOGIN-DELAY, IN-USE and AUTH answer commands of a login."""
    code = _registered(exchange, before)
    if not exchange.is_err or exchange.kind is Kind.GREETING or code in (None, "UTF8"):
        return None
    commands = REGISTERED[code or ""]
    if commands is None or not announced("RESP-CODES", exchange, before):
        return None
    if exchange.keyword in commands:
        return HELD
    return Broken(f"[{code}] in the reply to {exchange.keyword[:20]!r}")
