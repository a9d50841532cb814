"""Which commands a rule is about: the checks of the others need not be asked.

A rule that is not here may be broken in any exchange.
"""

from collections.abc import Iterator, Mapping

_LISTINGS = ("STAT", "LIST", "UIDL")
_OF_A_MESSAGE = ("LIST", "RETR", "DELE", "TOP", "UIDL")

_ABOUT: Mapping[tuple[str, ...], tuple[str, ...]] = {
    ("QUIT",): ("rfc1939-4-quit", "rfc1939-6-quit"),
    ("STAT",): (
        "rfc1939-4-count-fixed",
        "rfc1939-5-stat-drop-listing",
        "rfc1939-5-stat-without-marked",
    ),
    ("LIST",): (
        "rfc1939-4-size-fixed",
        "rfc1939-5-list-scan-listing",
        "rfc1939-5-list-complete",
        "rfc1939-5-list-empty",
        "rfc1939-5-list-argument",
        "rfc1939-5-list-without-marked",
    ),
    ("UIDL",): (
        "rfc1939-7-uidl-unique-id-listing",
        "rfc1939-7-unique-id-form",
        "rfc1939-7-unique-id-unique",
        "rfc1939-7-unique-id-fixed",
        "rfc1939-7-uidl-complete",
        "rfc1939-7-uidl-argument",
        "rfc1939-7-uidl-without-marked",
    ),
    _LISTINGS: ("rfc1939-4-no-arrivals", "rfc1939-5-stat-count"),
    ("LIST", "UIDL"): ("rfc1939-4-message-numbers",),
    ("STAT", "LIST"): ("rfc1939-5-stat-total",),
    ("LIST", "RETR"): (
        "rfc1939-11-exact-size",
        "rfc6856-2.1-list-size",
        "practice-final-line-end",
    ),
    ("RETR",): ("rfc1939-5-retr", "rfc1939-5-retr-same"),
    ("RETR", "TOP"): ("practice-octets-unchanged",),
    ("TOP",): ("rfc1939-7-top", "rfc1939-7-top-whole"),
    ("DELE",): ("rfc1939-5-dele",),
    ("NOOP",): ("rfc1939-5-noop", "rfc1939-5-noop-state"),
    ("RSET",): ("rfc1939-5-rset",),
    (*_LISTINGS, "RETR", "TOP"): ("rfc1939-5-rset-unmarks",),
    _OF_A_MESSAGE: (
        "rfc1939-3-malformed-number",
        "rfc1939-3-surplus-argument",
        "rfc1939-5-no-such-message",
        "rfc1939-5-dele-marked",
    ),
    ("STAT", "RSET", *_OF_A_MESSAGE): ("rfc1939-3-wrong-state", "rfc1939-4-login-refused"),
    ("USER", "PASS", "APOP"): ("rfc1939-7-login-in-transaction",),
    ("PASS",): ("rfc1939-7-pass-after-user", "practice-pass-directly-after-user"),
    ("APOP",): ("rfc1939-7-apop-without-timestamp",),
    ("CAPA",): (
        "rfc2449-5-both-states",
        "rfc2449-5-capability-line",
        "rfc2449-5-line-length",
        "rfc2449-5-announced-after-login",
        "rfc2449-5-same-arguments",
        "rfc2449-5-same-list",
        "rfc2449-6-tag-arguments",
        "rfc2449-6.2-user-after-login",
        "rfc2449-6.5-login-delay-form",
        "rfc2449-6.5-largest-delay",
        "rfc2449-6.5-user-token",
        "rfc2449-6.7-expire-form",
        "rfc2449-6.7-smallest-period",
        "rfc2595-4-stls-announced",
        "rfc5034-3-sasl-after-login",
        "rfc4422-3.1-mechanism-names",
        "rfc6856-2-utf8-after-login",
    ),
    ("CAPA", "STLS"): ("rfc2595-4-capa",),
    ("STLS",): ("rfc2595-4-stls-in-transaction",),
    ("AUTH",): (
        "rfc5034-4-auth-in-transaction",
        "rfc5034-4-empty-challenge",
        "rfc5034-4-client-first",
        "rfc5034-4-initial-response",
        "rfc5034-4-success-data",
        "rfc2195-2-challenge",
        "rfc2831-2.1.1-challenge",
        "rfc5802-5.1-server-nonce",
        "rfc5802-5.1-iteration-count",
        "rfc5802-7-server-first-message",
        "rfc5802-7-server-final-message",
        "rfc7628-3.2.2-error-result",
        "rfc7628-3.2.3-error-sequence",
        "practice-login-mechanism",
        "practice-xoauth2-error",
    ),
    ("UTF8",): ("rfc6856-2-utf8-in-transaction",),
    ("LANG",): (
        "rfc6856-3.2-selected-language",
        "rfc6856-3.2-matching-language",
        "rfc6856-3.2-language-listing",
    ),
}


def _by_rule() -> Iterator[tuple[str, frozenset[str]]]:
    for keywords, rules in _ABOUT.items():
        yield from ((rule, frozenset(keywords)) for rule in rules)


# Rule -> the keywords of the commands that it is about.
KEYWORDS: Mapping[str, frozenset[str]] = dict(_by_rule())
