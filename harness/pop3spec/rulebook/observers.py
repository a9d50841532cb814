"""What an exchange shows of the freedom that the RFCs leave: recorded, never judged.

Values are the same in each run against the same server: they hold no times, counts or
names of a run, so that a difference between two results says that the server changed.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from itertools import pairwise

from pop3spec.protocol.codes import registered, response_code
from pop3spec.protocol.commands import State
from pop3spec.protocol.listings import timestamps
from pop3spec.protocol.sasl import server_error, server_first
from pop3spec.protocol.text import show
from pop3spec.rulebook.history import (
    Capabilities,
    History,
    SaslExchange,
    body_of,
    number_of,
    sasl_of,
)
from pop3spec.transcript import Exchange, Kind

# An observation's id, and what was seen.
Seen = tuple[str, str]

Observer = Callable[[Exchange, History], str | None]

_NUMBER = re.compile(r"[0-9]+")
_IN_BRACKETS = re.compile(rb"<[^<>]*>")
# Octets of a server's words that are kept.
_WIDTH = 120


def bare_status_indicator(exchange: Exchange, before: History) -> str | None:
    """A reply without text."""
    del before
    reply = exchange.reply
    if reply is None or reply.text or not (reply.is_ok or reply.is_err):
        return None
    return "a bare +OK" if reply.is_ok else "a bare -ERR"


def parting_line(exchange: Exchange, before: History) -> str | None:
    """What comes unasked before the server closes."""
    del before
    if exchange.kind in (Kind.UNASKED, Kind.SILENCE) and exchange.is_closed and exchange.partial:
        return _words(exchange.partial)
    return None


def text_behind_drop_listing(exchange: Exchange, before: History) -> str | None:
    """What stands behind the octets."""
    del before
    drop = exchange.drop_listing
    return _words(drop.more) if drop is not None and drop.more else None


def text_behind_scan_listing(exchange: Exchange, before: History) -> str | None:
    """What stands behind the size."""
    del before
    more = next((each.more for each in exchange.scan_listings or () if each.more), b"")
    return _words(more) if more else None


def order_of_listings(exchange: Exchange, before: History) -> str | None:
    """Whether the numbers rise."""
    del before
    numbers = [each.number for each in exchange.scan_listings or ()]
    numbers += [each.number for each in exchange.unique_id_listings or ()]
    if len(numbers) < 2:
        return None
    rises = all(one < other for one, other in pairwise(numbers))
    return f"{exchange.keyword}: {'ascending' if rises else 'not ascending'}"


def shared_unique_id(exchange: Exchange, before: History) -> str | None:
    """Whether messages that are alike are listed under one unique-id."""
    listings = exchange.unique_id_listings or ()
    if len(listings) < 2 or before.filling.is_distinct or before.filling.may_change:
        return None
    ids = {each.unique_id for each in listings}
    return "shared" if len(ids) < len(listings) else "apart"


def blank_line_without_body(exchange: Exchange, before: History) -> str | None:
    """Whether TOP ends a header that nothing follows with a blank line."""
    reply, number = exchange.reply, number_of(exchange)
    if exchange.keyword != "TOP" or reply is None or not reply.is_multiline or number is None:
        return None
    known = before.contents.get(number)
    if known is None or not known.is_whole or body_of(known.beginning):
        return None
    return "left out" if body_of(reply.content) is None else "sent"


def close_after_refused_login(exchange: Exchange, before: History) -> str | None:
    """Whether the connection outlives a refused login."""
    last = before.last
    if last is None or not last.is_err or last.keyword not in ("PASS", "APOP", "AUTH"):
        return None
    if exchange.reply is None and exchange.is_closed:
        return "closed"
    return "open" if exchange.kind is Kind.COMMAND and exchange.reply is not None else None


def brackets_without_at_sign(exchange: Exchange, before: History) -> str | None:
    """An expression in angle brackets that is no timestamp."""
    del before
    if exchange.kind is not Kind.GREETING or exchange.reply is None:
        return None
    line = exchange.reply.status_line
    return "yes" if set(_IN_BRACKETS.findall(line)) - set(timestamps(line)) else None


# What RFC 5322 does not allow in the body of a message, where it may be told apart.
_UNUSUAL: Mapping[str, re.Pattern[bytes]] = {
    "NUL": re.compile(rb"\0"),
    "octets above 127": re.compile(rb"[\x80-\xff]"),
    "a CR alone": re.compile(rb"\r(?!\n)"),
}


def unusual_octets(exchange: Exchange, before: History) -> str | None:
    """What became of octets that RFC 5322 does not allow in the body of the only message."""
    stored, reply = before.filling.body, exchange.reply
    if exchange.keyword != "RETR" or stored is None or not before.filling.is_unusual:
        return None
    if reply is None or not reply.is_multiline:
        return None
    kinds = [kind for kind, octets in _UNUSUAL.items() if octets.search(stored)]
    if not kinds:
        return None
    became = "as stored" if body_of(reply.content) == stored else "changed"
    return f"{' and '.join(kinds)}: {became}"


def _layer(is_secure: bool) -> str:
    return "inside TLS" if is_secure else "in the clear"


def _announced(exchange: Exchange, before: History) -> Capabilities | None:
    """The capability list in the AUTHORIZATION state."""
    return None if before.state is State.TRANSACTION else _listed(exchange)


def sasl_mechanisms(exchange: Exchange, before: History) -> str | None:
    """Which mechanisms are announced on a layer."""
    names = (_announced(exchange, before) or {}).get("SASL")
    return f"{_layer(exchange.secure)}: {' '.join(sorted(names))}" if names else None


def sasl_without_mechanisms(exchange: Exchange, before: History) -> str | None:
    """On which layer SASL is announced, and no mechanism with it."""
    names = (_announced(exchange, before) or {}).get("SASL")
    return _layer(exchange.secure) if names == () else None


def capabilities_in_tls(exchange: Exchange, before: History) -> str | None:
    """Which tags are announced in the clear alone, and which inside TLS alone."""
    within = _announced(exchange, before)
    clear = before.lists.get((False, State.AUTHORIZATION))
    if within is None or clear is None or not exchange.secure:
        return None
    only = {"only in the clear": clear.keys() - within, "only inside TLS": within.keys() - clear}
    told = [f"{where}: {' '.join(sorted(tags))}" for where, tags in only.items() if tags]
    return "; ".join(told) or "the same"


# Capabilities that IANA has, and the RFC of each.
_REGISTERED = frozenset(
    (
        # RFC 2449, section 6
        *("TOP", "USER", "SASL", "RESP-CODES", "LOGIN-DELAY", "PIPELINING", "EXPIRE", "UIDL"),
        "IMPLEMENTATION",
        "STLS",  # RFC 2595, section 8
        "AUTH-RESP-CODE",  # RFC 3206, section 6
        *("UTF8", "LANG"),  # RFC 6856, sections 2 and 3
    )
)


def _listed(exchange: Exchange) -> Capabilities | None:
    """The capability list in either state."""
    return None if exchange.arguments else exchange.capabilities


def repeated_tag(exchange: Exchange, before: History) -> str | None:
    """Which tags have more than one line."""
    del before
    if not _listed(exchange) or exchange.reply is None:
        return None
    words = [line.decode("latin-1").upper().split()[:1] for line in exchange.reply.lines]
    counted = Counter(tag for tags in words for tag in tags)
    return " ".join(sorted(tag for tag, count in counted.items() if count > 1)) or None


def capabilities_after_login(exchange: Exchange, before: History) -> str | None:
    """Which tags the login adds on this layer."""
    listed = _listed(exchange)
    earlier = before.lists.get((exchange.secure, State.AUTHORIZATION))
    if listed is None or earlier is None or before.state is not State.TRANSACTION:
        return None
    return " ".join(sorted(listed.keys() - earlier.keys())) or None


def unknown_capabilities(exchange: Exchange, before: History) -> str | None:
    """Which tags are not registered."""
    del before
    return " ".join(sorted((_listed(exchange) or {}).keys() - _REGISTERED)) or None


# What shows by a positive reply that a capability is there.
_SHOWS = {"TOP": "TOP", "UIDL": "UIDL", "PASS": "USER", "UTF8": "UTF8", "LANG": "LANG"}


def unannounced_commands(exchange: Exchange, before: History) -> str | None:
    """Which capability works in a place of the session where the list is without it."""
    tag = _SHOWS.get(exchange.keyword)
    if tag is None or not exchange.is_ok or exchange.kind is not Kind.COMMAND:
        return None
    listed = before.lists.get((exchange.secure, before.state))
    if listed is None and not before.lists:
        listed = before.capabilities
    return tag if listed is not None and tag not in listed else None


def implementation_name(exchange: Exchange, before: History) -> str | None:
    """What IMPLEMENTATION says, and in which state."""
    name = (_listed(exchange) or {}).get("IMPLEMENTATION")
    if name is None:
        return None
    return f"{before.state.value}: {show(' '.join(name).encode('latin-1'), _WIDTH)}"


def tls_parameters(exchange: Exchange, before: History) -> str | None:
    """Version and cipher suite, behind STLS or from the start."""
    tls = exchange.tls
    if tls is None:
        return None
    return f"{'stls' if before.stls_accepted else 'tls'}: {tls.version}: {tls.cipher_suite}"


def _asked(exchange: Exchange, before: History, mechanism: str) -> SaslExchange | None:
    """An exchange of SASL with this mechanism or family, as long as both sides keep to it."""
    running = sasl_of(exchange, before)
    if running is None or not running.mechanism.startswith(mechanism):
        return None
    is_odd = None in running.responses or before.state is State.TRANSACTION
    return None if is_odd else running


_QUESTIONS = ("name", "password")


def login_prompts(exchange: Exchange, before: History) -> str | None:
    """With which words LOGIN asks."""
    running, question = _asked(exchange, before, "LOGIN"), exchange.challenge
    if running is None or question is None or running.has_initial_response:
        return None
    place = len(running.responses)
    return f"{_QUESTIONS[place]}: {_words(question)}" if place < len(_QUESTIONS) else None


def scram_iteration_count(exchange: Exchange, before: History) -> str | None:
    """How many iterations the server asks for."""
    running = _asked(exchange, before, "SCRAM-")
    if running is None or len(running.responses) != 1:
        return None
    first = server_first(exchange.challenge or b"")
    return f"{running.mechanism}: {first.iterations}" if first is not None else None


def scram_error_message(exchange: Exchange, before: History) -> str | None:
    """What a proof that is refused comes to."""
    running = _asked(exchange, before, "SCRAM-")
    if running is None or not running.is_proven:
        return None
    error = server_error(exchange.challenge or b"")
    if error is not None:
        return f"an error message: {_words(error.encode())}"
    return "-ERR alone" if exchange.is_err else None


def oauth_error_challenge(exchange: Exchange, before: History) -> str | None:
    """How a token that fails is refused."""
    running = _asked(exchange, before, "OAUTHBEARER")
    if running is None or len(running.responses) != 1:
        return None
    if exchange.is_err:
        return "-ERR at once"
    return "an error challenge" if exchange.challenge else None


def _code(exchange: Exchange, before: History) -> str | None:
    """The response code of a reply, where RESP-CODES says that it is one."""
    reply = exchange.reply
    if reply is None or not (reply.is_ok or reply.is_err):
        return None
    return response_code(reply.text) if "RESP-CODES" in (before.capabilities or {}) else None


def unregistered_codes(exchange: Exchange, before: History) -> str | None:
    """A response code of the server's own, and where it stands."""
    code = _code(exchange, before)
    if code is None or registered(code) is not None:
        return None
    status = "+OK" if exchange.is_ok else "-ERR"
    place = exchange.keyword or exchange.kind.value
    return f"{place}: {status} [{_words(code.encode('latin-1'))}]"


def sys_code(exchange: Exchange, before: History) -> str | None:
    """Trouble of the system, and in which reply it is told."""
    code = registered(_code(exchange, before))
    if code is None or not code.startswith("SYS/"):
        return None
    return f"{exchange.keyword or exchange.kind.value}: {code}"


def code_without_wrong_credentials(exchange: Exchange, before: History) -> str | None:
    """A refusal with AUTH where there were no credentials that could be wrong."""
    if not exchange.is_err or registered(_code(exchange, before)) != "AUTH":
        return None
    if exchange.sent == b"*\r\n":
        return "a cancelled exchange"
    if exchange.keyword == "USER":
        return "USER"
    if exchange.keyword == "PASS" and not before.user_was_last:
        return "PASS without USER"
    mechanism = sasl_of(exchange, before)
    names = (before.capabilities or {}).get("SASL")
    if names is None or mechanism is None or exchange.kind is not Kind.COMMAND:
        return None
    known = {name.upper() for name in names}
    return "an unknown mechanism" if mechanism.mechanism not in known else None


OBSERVERS: Mapping[str, Observer] = {
    "bare-status-indicator": bare_status_indicator,
    "parting-line": parting_line,
    "text-behind-drop-listing": text_behind_drop_listing,
    "text-behind-scan-listing": text_behind_scan_listing,
    "order-of-listings": order_of_listings,
    "shared-unique-id": shared_unique_id,
    "close-after-refused-login": close_after_refused_login,
    "blank-line-without-body": blank_line_without_body,
    "brackets-without-at-sign": brackets_without_at_sign,
    "unusual-octets": unusual_octets,
    "sasl-mechanisms": sasl_mechanisms,
    "sasl-without-mechanisms": sasl_without_mechanisms,
    "capabilities-in-tls": capabilities_in_tls,
    "repeated-tag": repeated_tag,
    "capabilities-after-login": capabilities_after_login,
    "unknown-capabilities": unknown_capabilities,
    "unannounced-commands": unannounced_commands,
    "implementation-name": implementation_name,
    "tls-parameters": tls_parameters,
    "login-prompts": login_prompts,
    "scram-iteration-count": scram_iteration_count,
    "scram-error-message": scram_error_message,
    "oauth-error-challenge": oauth_error_challenge,
    "unregistered-codes": unregistered_codes,
    "sys-code": sys_code,
    "code-without-wrong-credentials": code_without_wrong_credentials,
}


# The command that an observer looks at, for those that look at one.
_ABOUT: Mapping[str, str] = {
    "sasl-mechanisms": "CAPA",
    "sasl-without-mechanisms": "CAPA",
    "capabilities-in-tls": "CAPA",
    "repeated-tag": "CAPA",
    "capabilities-after-login": "CAPA",
    "unknown-capabilities": "CAPA",
    "implementation-name": "CAPA",
    "login-prompts": "AUTH",
    "scram-iteration-count": "AUTH",
    "scram-error-message": "AUTH",
    "oauth-error-challenge": "AUTH",
}


@lru_cache(maxsize=64)
def _observers(keyword: str) -> tuple[tuple[str, Observer], ...]:
    """Those that may see something in a command."""
    return tuple(each for each in OBSERVERS.items() if _ABOUT.get(each[0], keyword) == keyword)


def observe(exchange: Exchange, before: History) -> Iterator[Seen]:
    """What an exchange shows; nothing behind a stimulus that no client may send."""
    if exchange.kind is Kind.EVENT or exchange.deliberate or before.illegal:
        return
    for name, observer in _observers(exchange.keyword):
        value = observer(exchange, before)
        if value is not None:
            yield name, value


def came_back(exchange: Exchange) -> str:
    """What a stimulus came to, in a word or two."""
    if exchange.is_ok:
        return "+OK"
    if exchange.is_err:
        return "-ERR"
    if exchange.continues_sasl:
        return "a challenge"
    if exchange.is_closed:
        return "closed"
    return "no reply" if exchange.reply is None else "another reply"


def _words(octets: bytes) -> str:
    """A server's words; their numbers are those of one run."""
    return _NUMBER.sub("N", show(octets.rstrip(b"\r\n"), _WIDTH))
