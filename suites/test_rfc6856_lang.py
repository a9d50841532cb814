"""LANG: the list of languages, and the choice of one, in both states (RFC 6856, section 3)."""

import re
from collections.abc import Callable, Sequence
from functools import partial

import pytest

from pop3spec.fixtures import Maildrop, not_applicable
from pop3spec.protocol.commands import State
from pop3spec.rulebook.observers import came_back
from pop3spec.session import Session
from pop3spec.transcript import Exchange

LANG = "rfc6856-3-lang"
SELECTED = "rfc6856-3.2-selected-language"
MATCHING = "rfc6856-3.2-matching-language"
LISTING = "rfc6856-3.2-language-listing"
TEXT = "rfc6856-3.2-utf8-text"

STATES = (State.AUTHORIZATION, State.TRANSACTION)
each_state = pytest.mark.parametrize("state", STATES, ids=lambda state: state.value)
# For private use (ISO 639-2): nobody speaks it.
NOBODY_SPEAKS = "qfy"
# A tag, as a list should have them.
TAG = re.compile(r"(?:[A-Za-z]{2,3}|[IXix](?=-))(?:-[A-Za-z0-9]{1,8})*")
# What servers without a list are likely to have.
LIKELY = ("*", "i-default", "en", "en-US")
# No maildrop of a test has so many messages.
NOBODY = 999


@each_state
@pytest.mark.parametrize("spelled", [str, str.upper, str.lower], ids=["listed", "upper", "lower"])
@pytest.mark.rules(LANG, SELECTED, MATCHING, LISTING, TEXT)
def test_each_language_that_is_listed_can_be_chosen(
    international: Maildrop, state: State, spelled: Callable[[str], str]
) -> None:
    """In either state, and in whichever case, for tags have none (RFC 5646, section 2.1.1)."""
    need_lang(international)
    tags = listed(international, state)
    if not tags:
        try_likely(international, state)
        return
    session = opened(international, state, "choice")
    for tag in tags:
        if not session.is_open:  # it may be closed behind some refusals
            session = opened(international, state, tag)
        exchange = session.exchange(f"LANG {spelled(tag)}")
        words = f"{came_back(exchange)} to LANG {spelled(tag)} ({state.value})"
        international.hold(LANG, "" if exchange.is_ok else words)
        # Whatever is said now is in that language.
        session.exchange("NOOP" if state is State.TRANSACTION else "CAPA")
        session.exchange(f"RETR {NOBODY}" if state is State.TRANSACTION else "XQZJ")
    session.quit()


def try_likely(maildrop: Maildrop, state: State) -> None:
    """A server that lists nothing has one language at least."""
    session = opened(maildrop, state, "likely")
    exchanges = [session.exchange(f"LANG {tag}") for tag in LIKELY if session.is_open]
    words = "" if any(each.is_ok for each in exchanges) else "a refusal of LANG each time"
    maildrop.hold(LANG, words)
    session.quit()


@each_state
@pytest.mark.rules(MATCHING)
def test_a_language_that_is_not_there_is_refused(international: Maildrop, state: State) -> None:
    """One that nobody speaks, and those whose tags begin like one that is there."""
    need_lang(international)
    tags = listed(international, state)
    for wanted in strangers(tags):
        session = opened(international, state, wanted)
        exchange = session.exchange(f"LANG {wanted}")
        is_repeated = exchange.is_ok and tag_of(exchange).lower() == wanted
        words = f"'+OK' to LANG {wanted}, which is not listed" if tags and is_repeated else ""
        if not exchange.is_ok or words:  # otherwise it was judged with the exchange
            international.hold(MATCHING, words)
        session.quit()


def strangers(tags: Sequence[str]) -> list[str]:
    """Ranges that match none of these languages."""
    first = sorted({tag.lower().partition("-")[0] for tag in tags})
    near = [each for tag in first[:2] for each in (f"{tag}q", tag[:-1]) if len(tag) < 4]
    return [each for each in (NOBODY_SPEAKS, *near) if each not in first]


@each_state
@pytest.mark.rules(MATCHING, SELECTED)
def test_a_narrower_range_gets_that_language_or_none(international: Maildrop, state: State) -> None:
    """A region that there is not: either is right (RFC 4647, section 3)."""
    need_lang(international)
    tags = listed(international, state) or ["en"]
    for wanted in (f"{tag}-XX" for tag in tags[:2]):
        session = opened(international, state, wanted)
        if not session.exchange(f"LANG {wanted}").is_ok:
            international.hold(MATCHING, "")
        session.quit()


@pytest.mark.rules(SELECTED, MATCHING)
def test_which_language_an_asterisk_chooses(international: Maildrop) -> None:
    """The operator's choice, which may be the user's: an observation."""
    need_lang(international)
    session = opened(international, State.AUTHORIZATION, "preferred")
    observe_preferred(international, session, "before the login")
    international.patiently(partial(international.log_in, session))
    observe_preferred(international, session, "after it")
    session.quit()


def observe_preferred(maildrop: Maildrop, session: Session, when: str) -> None:
    """What LANG with an asterisk comes to."""
    exchange = session.exchange("LANG *")
    chosen = tag_of(exchange) if exchange.is_ok else came_back(exchange)
    maildrop.observe("preferred-language", f"{when}: {chosen}")
    if not exchange.is_ok:
        maildrop.hold(MATCHING, "")


# --- What has to be so before that is judged ---


def need_lang(maildrop: Maildrop) -> None:
    """LANG is announced."""
    observed = maildrop.run.observed
    if "LANG" not in observed.features_on(maildrop.transport or observed.transport):
        not_applicable("LANG is not offered")


def opened(maildrop: Maildrop, state: State, name: str) -> Session:
    """A session in a state."""
    if state is State.TRANSACTION:
        return maildrop.open(name)
    return maildrop.patiently(partial(maildrop.greeted, name))


def listed(maildrop: Maildrop, state: State) -> list[str]:
    """The languages that LANG lists, in this state or, where it does not, in the other."""
    for asked in (state, *(other for other in STATES if other is not state)):
        session = opened(maildrop, asked, "list")
        tags = tags_in(session.exchange("LANG"))
        session.quit()
        if tags:
            maildrop.observe("listed-languages", " ".join(sorted(tags)))
            return tags
    maildrop.observe("listed-languages", "none")
    return []


def tags_in(exchange: Exchange) -> list[str]:
    """The tags of a list; what has another form is judged by itself."""
    if not exchange.is_ok or exchange.reply is None:
        return []
    words = [line.partition(b" ")[0].decode("latin-1") for line in exchange.reply.lines]
    return [word for word in words if TAG.fullmatch(word)]


def tag_of(exchange: Exchange) -> str:
    """The first word of a reply."""
    text = b"" if exchange.reply is None else exchange.reply.text
    return text.partition(b" ")[0].decode("latin-1")
