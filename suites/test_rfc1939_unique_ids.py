"""Unique-ids over sessions in which mail goes and comes, and of messages that are nearly alike."""

from collections.abc import Iterable

import pytest

from pop3spec.fixtures import Maildrop, blocked, messages
from pop3spec.maildrop.journal import own_part
from pop3spec.session import Session
from pop3spec.stock import message

FILLING = messages(20)
ARRIVALS = messages(6, "arrival")
# The first ones, the last one, and neighbours.
MARKED = (1, 2, 8, 9, 16, 20)

# About 90 KB, more than any buffer or what a server may hash of it.
LINES = [b"Line %04d, which is the same in each of the three." % number for number in range(1700)]

# In octets; the longest that file systems take is 255, and servers put flags behind it.
LONG_NAME = 200


@pytest.fixture(autouse=True)
def has_unique_ids(maildrop: Maildrop) -> None:
    """UIDL is optional."""
    if not maildrop.has_unique_ids:
        pytest.skip("not applicable: UIDL is not offered")


@pytest.mark.parametrize("during", [False, True], ids=["between-sessions", "during-a-session"])
@pytest.mark.rules("rfc1939-7-uidl-persistent", "rfc1939-7-uidl-no-reuse")
def test_unique_ids_stay_with_their_messages_while_others_go_and_come(
    maildrop: Maildrop, during: bool
) -> None:
    """Messages are known by what is in them, since the next session may number them otherwise."""
    maildrop.fill(FILLING)
    known: dict[bytes, bytes] = {}

    session = open_and_compare(maildrop, known)
    maildrop.mark(session, MARKED)
    session.quit()

    session = open_and_compare(maildrop, known)
    if during:
        maildrop.deliver(ARRIVALS[0])
        compare(maildrop, session, known)
    maildrop.mark(session, [1])
    session.quit()

    maildrop.deliver(ARRIVALS[1])
    open_and_compare(maildrop, known).close()
    maildrop.deliver(ARRIVALS[2])
    open_and_compare(maildrop, known).reset()

    session = open_and_compare(maildrop, known)
    maildrop.mark(session, maildrop.unique_ids_in(session) or ())
    session.quit()
    for each in ARRIVALS[3:]:
        maildrop.deliver(each)
    open_and_compare(maildrop, known).quit()


def open_and_compare(maildrop: Maildrop, known: dict[bytes, bytes]) -> Session:
    """A session whose unique-ids were held against those of the sessions before."""
    session = maildrop.open(f"session-{len(maildrop.recorder.facts) + 1}")
    compare(maildrop, session, known)
    return session


def compare(maildrop: Maildrop, session: Session, known: dict[bytes, bytes]) -> None:
    """What is still there has its unique-id, and what is new none that another message had."""
    shown = ids_by_content(maildrop, session)
    common = [content for content in shown if content in known]
    moved = [content for content in common if shown[content] != known[content]]
    others = f"other unique-ids for {len(moved)} of {len(common)} messages"
    maildrop.hold("rfc1939-7-uidl-persistent", others if moved else "")

    gone = {unique_id for content, unique_id in known.items() if content not in shown}
    again = [shown[each] for each in map(own_part, ARRIVALS) if each in shown and each not in known]
    reused = gone.intersection(again)
    again_in_words = f"{len(reused)} unique-ids of removed messages for new ones"
    maildrop.hold("rfc1939-7-uidl-no-reuse", again_in_words if reused else "")
    known |= shown


def ids_by_content(maildrop: Maildrop, session: Session) -> dict[bytes, bytes]:
    """The unique-id of each message that the session shows, by what is in the message."""
    unique_ids = maildrop.unique_ids_in(session)
    if unique_ids is None:
        blocked("UIDL gives no listing")
    found = {}
    for number, unique_id in unique_ids.items():
        reply = session.exchange(f"RETR {number}").reply
        if reply is None or not reply.is_multiline:
            blocked("RETR is refused")
        found[own_part(reply.content)] = unique_id
    return found


@pytest.mark.rules("rfc1939-7-unique-id-unique")
def test_long_messages_that_differ_in_one_octet_have_different_unique_ids(
    maildrop: Maildrop,
) -> None:
    """A hash of the first block, or of all but the last one. The passive rules compare."""
    middle, last = list(LINES), list(LINES)
    middle[len(LINES) // 2] += b"!"
    last[-1] = last[-1].replace(b"three.", b"three!")

    list_them(maildrop, (message("nearly-alike", lines) for lines in (LINES, middle, last)))


@pytest.mark.rules("rfc1939-7-unique-id-form")
def test_unique_ids_are_short_whatever_the_messages_are_called(maildrop: Maildrop) -> None:
    """A unique-id that is the Message-ID, or the name of a file in the store, is too long."""
    maildrop.fill([])
    for each in ("a", "b"):
        named = message(each * LONG_NAME, [b"The name of this message is long."], f"named {each}")
        maildrop.deliver(named, name_octets=LONG_NAME)

    list_them(maildrop)


def list_them(maildrop: Maildrop, filling: Iterable[bytes] = ()) -> None:
    """Have the unique-ids of a filling, or of what is there, told in both ways."""
    if filling:
        maildrop.fill(list(filling))
    session = maildrop.open("first")
    unique_ids = maildrop.unique_ids_in(session)
    for number in unique_ids or ():
        session.exchange(f"UIDL {number}")
    session.quit()
    if unique_ids is None:
        blocked("UIDL gives no listing")
