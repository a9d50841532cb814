"""The CHECKS table: rule id -> function on an exchange and what came before it.

A check returns None where the exchange says nothing about its rule, else
Held() or Broken(got). Where the RFC leaves freedom, so does the check.
"""

from collections.abc import Mapping
from functools import lru_cache

from pop3spec.protocol.commands import State
from pop3spec.rulebook.checks.capabilities import (
    capa_with_stls,
    kept_after_login,
    mechanism_names,
    stls_announced,
)
from pop3spec.rulebook.checks.commands import (
    login_in_transaction,
    login_refused,
    malformed_number,
    missing_argument,
    no_argument,
    noop_positive,
    noop_state,
    pass_after_user,
    pass_directly_after_user,
    rset_positive,
    surplus_argument,
    unknown_command,
    wrong_state,
)
from pop3spec.rulebook.checks.extensions import (
    announced_after_login,
    both_states,
    capability_line,
    expire_form,
    largest_delay,
    line_length,
    login_delay_form,
    same_arguments,
    same_list,
    smallest_period,
    tag_arguments,
    user_token,
)
from pop3spec.rulebook.checks.framing import (
    argument_length,
    autologout,
    challenge_line,
    command_length,
    error_single_line,
    follows_a_long_command,
    line_crlf,
    multi_line_end,
    nothing_unasked,
    printable_text,
    reply_per_command,
    response_crlf,
    response_length,
    single_line,
    status_indicator,
    stays_open,
)
from pop3spec.rulebook.checks.internationalisation import (
    language_listing,
    list_size,
    matching_language,
    selected_language,
    utf8_code,
    utf8_in_transaction,
    utf8_text,
)
from pop3spec.rulebook.checks.keywords import KEYWORDS
from pop3spec.rulebook.checks.listings import (
    count_fixed,
    dele_existing,
    dele_marked,
    list_argument,
    list_complete,
    list_empty,
    list_scan_listing,
    list_without_marked,
    message_numbers,
    no_arrivals,
    no_such_message,
    retr_existing,
    rset_unmarks,
    size_fixed,
    stat_count,
    stat_drop_listing,
    stat_total,
    stat_without_marked,
    uidl_argument,
    uidl_complete,
    uidl_unique_id_listing,
    uidl_without_marked,
    unique_id_fixed,
    unique_id_form,
    unique_id_unique,
)
from pop3spec.rulebook.checks.messages import (
    exact_size,
    final_line_end,
    octets_unchanged,
    retr_same,
    top,
    top_whole,
)
from pop3spec.rulebook.checks.response_codes import (
    auth_code_announced,
    codes_announced,
    errors_only,
    fitting_command,
    form,
)
from pop3spec.rulebook.checks.sasl import (
    auth_in_transaction,
    client_first,
    cram_challenge,
    digest_challenge,
    empty_challenge,
    initial_response,
    login_mechanism,
    oauth_error,
    oauth_error_sequence,
    scram_final,
    scram_first,
    scram_iterations,
    scram_nonce,
    secret_not_repeated,
    success_data,
    xoauth2_error,
)
from pop3spec.rulebook.checks.session import (
    apop_timestamp,
    apop_without_timestamp,
    closes_after_quit,
    greeting,
    quit_after_login,
    quit_before_login,
)
from pop3spec.rulebook.checks.tls import (
    close_alert,
    nothing_in_clear,
    recent_tls,
    stls_in_transaction,
)
from pop3spec.rulebook.history import History, comes_behind, may_go_on, says_shutdown
from pop3spec.rulebook.judgement import Broken, Check, Held
from pop3spec.transcript import Exchange, Kind

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
    "rfc1939-3-autologout": autologout,
    "rfc1939-3-argument-length": argument_length,
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
    "rfc1939-7-apop-without-timestamp": apop_without_timestamp,
    "rfc1939-11-exact-size": exact_size,
    "rfc2449-3-printable-text": printable_text,
    "rfc2449-4-command-length": command_length,
    "rfc2449-5-both-states": both_states,
    "rfc2449-5-capability-line": capability_line,
    "rfc2449-5-line-length": line_length,
    "rfc2449-5-announced-after-login": announced_after_login,
    "rfc2449-5-same-arguments": same_arguments,
    "rfc2449-5-same-list": same_list,
    "rfc2449-6-tag-arguments": tag_arguments,
    "rfc2449-6.2-user-after-login": kept_after_login("USER"),
    "rfc2449-6.5-login-delay-form": login_delay_form,
    "rfc2449-6.5-largest-delay": largest_delay,
    "rfc2449-6.5-user-token": user_token,
    "rfc2449-6.7-expire-form": expire_form,
    "rfc2449-6.7-smallest-period": smallest_period,
    "rfc2449-8-response-code-form": form,
    "rfc2449-8-announced": codes_announced,
    "rfc2449-8.1-errors-only": errors_only,
    "rfc2449-8.1-fitting-command": fitting_command,
    "rfc2595-4-capa": capa_with_stls,
    "rfc2595-4-stls-announced": stls_announced,
    "rfc2595-4-stls-in-transaction": stls_in_transaction,
    "rfc2595-4-nothing-in-clear": nothing_in_clear,
    "rfc8314-3.4-close-alert": close_alert,
    "rfc8314-4-tls-1-2": recent_tls,
    "rfc5034-3-sasl-after-login": kept_after_login("SASL"),
    "rfc5034-4-auth-in-transaction": auth_in_transaction,
    "rfc5034-4-challenge": challenge_line,
    "rfc5034-4-empty-challenge": empty_challenge,
    "rfc5034-4-client-first": client_first,
    "rfc5034-4-initial-response": initial_response,
    "rfc5034-4-success-data": success_data,
    "rfc3206-5-announced": auth_code_announced,
    "rfc4422-3.1-mechanism-names": mechanism_names,
    "rfc2195-2-challenge": cram_challenge,
    "rfc2831-2.1.1-challenge": digest_challenge,
    "rfc5802-5.1-server-nonce": scram_nonce,
    "rfc5802-5.1-iteration-count": scram_iterations,
    "rfc5802-7-server-first-message": scram_first,
    "rfc5802-7-server-final-message": scram_final,
    "rfc7628-3.2.2-error-result": oauth_error,
    "rfc7628-3.2.3-error-sequence": oauth_error_sequence,
    "rfc6856-2-utf8-after-login": kept_after_login("UTF8"),
    "rfc6856-2-utf8-in-transaction": utf8_in_transaction,
    "rfc6856-2.1-list-size": list_size,
    "rfc6856-3.2-selected-language": selected_language,
    "rfc6856-3.2-matching-language": matching_language,
    "rfc6856-3.2-language-listing": language_listing,
    "rfc6856-3.2-utf8-text": utf8_text,
    "rfc6856-5-utf8-code": utf8_code,
    "practice-pass-directly-after-user": pass_directly_after_user,
    "practice-final-line-end": final_line_end,
    "practice-octets-unchanged": octets_unchanged,
    "practice-secret-not-repeated": secret_not_repeated,
    "practice-login-mechanism": login_mechanism,
    "practice-xoauth2-error": xoauth2_error,
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
        "rfc1939-3-autologout",
        "rfc1939-3-argument-length",
        "rfc2449-4-command-length",
        "rfc5034-4-challenge",
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
        "rfc6856-2.1-list-size",
        "practice-final-line-end",
        "practice-octets-unchanged",
    )
)


# Where one of these is broken, whatever else seems to be wrong in the exchange comes of it.
LENGTH_RULES = frozenset(("rfc1939-3-argument-length", "rfc2449-4-command-length"))


# What a refusal of a right command breaks, unless the rest of another one stood before it.
_BROKEN_BY_REFUSAL = frozenset(
    (
        "rfc1939-4-quit",
        "rfc1939-5-stat-drop-listing",
        "rfc1939-5-list-complete",
        "rfc1939-5-list-empty",
        "rfc1939-5-list-argument",
        "rfc1939-5-retr",
        "rfc1939-5-dele",
        "rfc1939-5-noop",
        "rfc1939-5-rset",
        "rfc1939-5-rset-unmarks",
        "rfc1939-6-quit",
        "rfc1939-7-top",
        "rfc1939-7-uidl-complete",
        "rfc1939-7-uidl-argument",
        "rfc2449-5-both-states",
    )
)


# All that a server owes which says that it shuts down.
_OF_THE_LINE = tuple(
    (rule, CHECKS[rule])
    for rule in (
        "rfc1939-3-status-indicator",
        "rfc1939-3-response-crlf",
        "rfc1939-3-response-length",
    )
)


@lru_cache(maxsize=256)
def _asked(keyword: str, state: State) -> tuple[tuple[str, Check], ...]:
    """The checks that can say something on a command in a state."""
    return tuple(
        (rule, check)
        for rule, check in CHECKS.items()
        if (state is State.TRANSACTION or rule not in _OF_TRANSACTION)
        and keyword in KEYWORDS.get(rule, (keyword,))
    )


def judge(exchange: Exchange, before: History) -> list[tuple[str, Held | Broken]]:
    """Every rule on which the exchange says something, with what it says.

    Nothing is held against a server whose replies may be those to other commands.
    """
    judged = []
    is_ending = says_shutdown(exchange)
    for rule, check in _OF_THE_LINE if is_ending else _asked(exchange.keyword, before.state):
        judgement = check(exchange, before)
        if judgement is not None:
            judged.append((rule, judgement))
    if comes_behind(exchange, before):
        only = [(rule, found) for rule, found in judged if rule == "rfc1939-3-nothing-unasked"]
        return only if not before.is_out_of_step else []
    if before.is_out_of_step and not _is_the_rest(exchange, before):
        return [(rule, judgement) for rule, judgement in judged if isinstance(judgement, Held)]
    return _without_consequences(judged, exchange, before)


def _is_the_rest(exchange: Exchange, before: History) -> bool:
    """What comes directly behind a listing that should have been one line, with nothing asked."""
    is_unasked = exchange.kind in (Kind.UNASKED, Kind.SILENCE)
    return is_unasked and before.last is not None and may_go_on(before.last)


def _without_consequences(
    judged: list[tuple[str, Held | Broken]], exchange: Exchange, before: History
) -> list[tuple[str, Held | Broken]]:
    """Without what comes of a long command that was not read whole: one cause, one finding."""
    broken = {rule for rule, judgement in judged if isinstance(judgement, Broken)}
    explained: frozenset[str] | set[str] = frozenset()
    if not broken.isdisjoint(LENGTH_RULES):
        explained = broken - LENGTH_RULES
    elif exchange.is_err and follows_a_long_command(exchange, before):
        explained = _BROKEN_BY_REFUSAL
    return [(rule, judgement) for rule, judgement in judged if rule not in explained]
