"""The checks of UTF8 and LANG: exchanges that keep, break or do not touch them.

SOUND holds sessions that a naive rule would accuse; each names the text that allows it.
"""

from collections.abc import Sequence

import pytest
from cases import BROKEN, HELD, NOTHING, Case, assert_as_expected, case, name_of
from said import HELLO, LOGIN, QUIT, judgements, said, within

from pop3spec.rulebook.history import Filling
from pop3spec.transcript import Exchange

STAYS, LOGGED_IN = "rfc6856-2-utf8-after-login", "rfc6856-2-utf8-in-transaction"
SIZE, CODE = "rfc6856-2.1-list-size", "rfc6856-5-utf8-code"
SELECTED, MATCHING = "rfc6856-3.2-selected-language", "rfc6856-3.2-matching-language"
LISTING, TEXT = "rfc6856-3.2-language-listing", "rfc6856-3.2-utf8-text"
PRINTABLE = "rfc2449-3-printable-text"

UTF8 = said("UTF8", "+OK")
GERMAN = said("LANG de", "+OK de geht")
LETTER = ("Subject: x", "", "y")  # 17 octets with the line ends
LATIN_1 = "Grüße\r\ny\r\n".encode("latin-1")
OURS = Filling(count=1, is_clean=True)
THEIRS = Filling(count=1)


def listed(*lines: str) -> Exchange:
    return said("CAPA", "+OK", lines)


OFFER = listed("UTF8", "LANG", "RESP-CODES")
OFFERED = (HELLO, OFFER, *LOGIN[1:])
IN_MODE = (HELLO, OFFER, UTF8, *LOGIN[1:])
SIZED = (*OFFERED, said("LIST 1", "+OK 1 17"))


def retrieved(*lines: str) -> Exchange:
    return said("RETR 1", "+OK", lines)


CASES = [
    case(STAYS, "as before", HELD, *OFFERED, OFFER),
    case(STAYS, "with an argument", HELD, *OFFERED, listed("utf8 USER")),
    case(STAYS, "left out", BROKEN, *OFFERED, listed("LANG")),
    case(STAYS, "left out in its mode", BROKEN, *IN_MODE, listed("LANG")),
    case(STAYS, "never there", NOTHING, *LOGIN, listed("LANG")),
    case(STAYS, "there in the clear alone", NOTHING, *OFFERED, within(listed("LANG"))),
    case(STAYS, "before the login", NOTHING, HELLO, OFFER, listed("LANG")),
    case(LOGGED_IN, "refused", HELD, *OFFERED, said("UTF8", "-ERR")),
    case(LOGGED_IN, "accepted", BROKEN, *OFFERED, UTF8),
    case(LOGGED_IN, "accepted again", BROKEN, *IN_MODE, UTF8),
    case(LOGGED_IN, "before the login", NOTHING, HELLO, OFFER, UTF8),
    case(LOGGED_IN, "not announced", NOTHING, *LOGIN, UTF8),
    case(SIZE, "the octets of RETR", HELD, *SIZED, retrieved(*LETTER)),
    case(SIZE, "one less", BROKEN, *SIZED, retrieved("Subject: x", "", "")),
    case(SIZE, "told later", BROKEN, *OFFERED, retrieved(*LETTER), said("LIST 1", "+OK 1 18")),
    case(SIZE, "a stuffed dot", HELD, *SIZED, retrieved("Subject: x", "", "..")),
    case(SIZE, "no UTF8", NOTHING, *LOGIN, said("LIST 1", "+OK 1 9"), retrieved(*LETTER)),
    case(SIZE, "no size", NOTHING, *OFFERED, retrieved(*LETTER)),
    *[
        case(CODE, f"to {line}", verdict, *before, said(line, "-ERR [UTF8] later"))
        for line, verdict, before in (
            ("RETR 1", HELD, OFFERED),
            ("TOP 1 0", HELD, OFFERED),
            ("LIST 1", HELD, OFFERED),
            ("DELE 1", BROKEN, OFFERED),
            ("STAT", BROKEN, OFFERED),
            ("RETR 2", BROKEN, IN_MODE),
            ("RETR 3", NOTHING, LOGIN),
        )
    ],
    case(CODE, "in small letters", BROKEN, *OFFERED, said("UIDL 1", "-ERR [utf8] later")),
    case(CODE, "in a positive reply", NOTHING, *OFFERED, said("NOOP", "+OK [UTF8] x")),
    case(CODE, "in UTF-8", NOTHING, *OFFERED, said("NOOP", "-ERR UTF8")),
    *[
        case(SELECTED, f"{status!r} to {wanted}", verdict, HELLO, said(f"LANG {wanted}", status))
        for wanted, status, verdict in (
            ("de", "+OK de Sprache", HELD),
            ("de", "+OK de", HELD),
            ("de", "+OK DE-ch-1996 x", HELD),
            ("*", "+OK i-default x", HELD),
            ("*", "+OK x-klingon x", HELD),
            ("klingon", "+OK Klingon x", HELD),
            ("de", "+OK", BROKEN),
            ("de", "+OK  de x", BROKEN),
            ("de", "+OK language changed", BROKEN),
            ("de", "+OK [X] de changed", BROKEN),
            ("de", "+OK de_DE changed", BROKEN),
            ("de", "+OK de, changed", BROKEN),
            ("*", "+OK * changed", BROKEN),
            ("de", "-ERR no", NOTHING),
        )
    ],
    *[
        case(
            MATCHING, f"{tag} for {wanted}", verdict, HELLO, said(f"LANG {wanted}", f"+OK {tag} x")
        )
        for wanted, tag, verdict in (
            ("de", "de", HELD),
            ("DE", "de", HELD),
            ("de", "de-CH", HELD),
            ("de-CH-1996", "de-ch", HELD),
            ("*", "fr", HELD),
            ("en-GB", "en-US", NOTHING),
            ("de", "en", BROKEN),
            ("den", "de", BROKEN),
            ("d", "de", BROKEN),
            ("de", "language", NOTHING),
        )
    ],
    case(MATCHING, "refused", NOTHING, HELLO, said("LANG qfy", "-ERR")),
    *[
        case(LISTING, f"{line!r}", verdict, HELLO, said("LANG", "+OK", ["en English", line]))
        for line, verdict in (
            (b"de Deutsch", HELD),
            (b"de", HELD),
            (b"de ", HELD),
            (b"i-klingon tlhIngan Hol", HELD),
            ("fr Français".encode(), HELD),
            ("fr Français".encode("latin-1"), BROKEN),
            (b"de  Deutsch", BROKEN),
            (b"de\tDeutsch", BROKEN),
            (b"de_DE Deutsch", BROKEN),
            (b"Deutsch de", BROKEN),
            (b" de Deutsch", BROKEN),
            (b"", BROKEN),
            (b"C", BROKEN),
        )
    ],
    case(LISTING, "an empty list", HELD, HELLO, said("LANG", "+OK", [])),
    case(LISTING, "refused", NOTHING, HELLO, said("LANG", "-ERR cannot")),
    case(LISTING, "a choice", NOTHING, HELLO, GERMAN),
    *[
        case(TEXT, f"{line!r} after {len(before)}", verdict, *before, said(word, line))
        for before, word, line, verdict in (
            ((HELLO, GERMAN), "NOOP", "-ERR nö".encode(), HELD),
            ((HELLO, GERMAN), "NOOP", "-ERR nö".encode("latin-1"), BROKEN),
            ((HELLO, GERMAN), "NOOP", "-ERR nö".encode()[:-1], BROKEN),
            ((HELLO,), "LANG de", "+OK de geändert".encode("latin-1"), BROKEN),
            ((HELLO,), "LANG de", "-ERR nö".encode("latin-1"), NOTHING),
            ((HELLO, said("LANG de", "-ERR")), "NOOP", "-ERR nö".encode(), NOTHING),
            ((HELLO, said("LANG", "+OK", ["de"])), "NOOP", "-ERR nö".encode(), NOTHING),
        )
    ],
    # It has a rule of its own then.
    case(PRINTABLE, "after LANG", HELD, HELLO, OFFER, GERMAN, said("NOOP", b"-ERR n\xf6")),
    case(PRINTABLE, "before LANG", BROKEN, HELLO, OFFER, said("NOOP", b"-ERR n\xf6")),
]


@pytest.mark.parametrize("given", CASES, ids=name_of)
def test_a_check_judges_an_exchange_by_its_rule(given: Case) -> None:
    assert_as_expected(given)


REFUSED = said("RETR 1", "-ERR this message is not for you")
SOUND: dict[str, tuple[Sequence[Exchange], Filling | None]] = {
    "a message that needs UTF8, refused without a code (RFC 6856, section 5)": (
        (*SIZED, REFUSED, said("TOP 1 0", "-ERR no"), QUIT),
        Filling(count=1, is_clean=True, is_unusual=True),
    ),
    "the same of mail that is not ours": ((*SIZED, REFUSED, QUIT), None),
    "sizes of STAT that are not exact (RFC 6856, section 2.1)": (
        (*SIZED, said("STAT", "+OK 1 99"), retrieved(*LETTER), QUIT),
        OURS,
    ),
    "a line end that RETR adds": (
        (*OFFERED, said("LIST 1", "+OK 1 15"), retrieved(*LETTER), QUIT),
        THEIRS,
    ),
    "a lone CR that a store makes three octets of": (
        (*OFFERED, said("LIST 1", "+OK 1 14"), retrieved(*LETTER), QUIT),
        Filling(count=1, is_unusual=True),
    ),
    "a body that is replaced without UTF8 (RFC 6856, section 2.1)": (
        (*OFFERED, retrieved("Subject: x", "", "Gr??e", "y"), QUIT),
        Filling(count=1, is_clean=True, is_unusual=True, body=LATIN_1),
    ),
    "a language that fails (RFC 6856, section 3.3)": (
        (HELLO, OFFER, said("LANG MUL", "-ERR invalid language MUL"), said("LANG", "-ERR"), QUIT),
        None,
    ),
    "UTF8 that is refused (RFC 6856, section 2.1)": (
        (HELLO, OFFER, said("UTF8", "-ERR not now"), QUIT),
        None,
    ),
}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_session_breaks_no_rule(name: str) -> None:
    exchanges, filling = SOUND[name]

    assert judgements(exchanges, filling) == []


WRONG: dict[str, tuple[Sequence[Exchange], Filling | None, str]] = {
    "a message of ASCII, refused where UTF8 is announced": (
        (*SIZED, REFUSED),
        OURS,
        "rfc1939-5-retr",
    ),
    "a message refused in UTF-8 mode": (
        (*IN_MODE, said("LIST 1", "+OK 1 17"), REFUSED),
        Filling(count=1, is_clean=True, is_unusual=True),
        "rfc1939-5-retr",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_refusal_without_a_reason_is_told(name: str) -> None:
    exchanges, filling, rule = WRONG[name]

    assert [words.partition(":")[0] for words in judgements(exchanges, filling)] == [rule]
