"""Maildrops of many messages, and a message of many octets."""

from collections import Counter
from collections.abc import Iterable, Sequence

import pytest

from pop3spec.expectations import without_added
from pop3spec.fixtures import Maildrop, blocked, messages
from pop3spec.rulebook.history import body_of
from pop3spec.session import Session
from pop3spec.stock import header, message

# Tables of eight, thirty-two and 256, a message more and a message less.
COUNTS = (0, 1, 2, 7, 8, 9, 31, 32, 33, 100, 255, 256, 257)
# Beyond these a reply, or a table, is cut into pieces.
MANY = 10_000
OCTETS = 25_000_000

# Doors that write into the store themselves, by the beginnings of their names.
STORES = ("memory", "maildir:", "mbox:")

RULES = (
    "rfc1939-5-list-complete",
    "rfc1939-5-stat-count",
    "rfc1939-5-stat-total",
    "rfc1939-7-uidl-complete",
    "rfc1939-11-exact-size",
    "rfc1939-5-retr",
)


@pytest.mark.parametrize("number", COUNTS)
@pytest.mark.rules(*RULES)
def test_the_listings_of_so_many_messages_are_complete(maildrop: Maildrop, number: int) -> None:
    """STAT, LIST and UIDL agree with each other and with what was put in."""
    filling = messages(number)
    maildrop.fill(filling)
    session = maildrop.open("listings")

    listings_are_complete(maildrop, session, filling)
    retr_brings_different_ones(maildrop, session, ends_and_middle(number), filling)
    session.exchange("STAT")


@pytest.mark.rules(
    "rfc1939-6-update-removes", "rfc1939-6-unmarked-stay", "rfc1939-5-list-without-marked"
)
def test_of_a_hundred_messages_those_that_are_marked_go(maildrop: Maildrop) -> None:
    """Marks at both ends, beside each other and apart; the others keep their numbers."""
    filling = messages(100)
    marked = (1, 2, 8, 9, 16, 17, 31, 32, 33, 50, 63, 64, 65, 99, 100)
    maildrop.fill(filling)
    before = maildrop.look()
    session = maildrop.open("marks")
    unique_ids = maildrop.mark(session, marked)

    kept = [place for place in range(1, 101) if place not in marked]
    maildrop.hold("rfc1939-5-list-without-marked", other_numbers(numbers_in(session, "LIST"), kept))
    if maildrop.has_unique_ids:
        numbers = numbers_in(session, "UIDL")
        maildrop.hold("rfc1939-7-uidl-without-marked", other_numbers(numbers, kept))
    session.exchange("STAT")
    read = (kept[0], kept[len(kept) // 2], kept[-1])
    retr_brings_different_ones(maildrop, session, read, filling)
    if not session.exchange("QUIT").is_ok:
        blocked("QUIT is refused")

    after = maildrop.look()
    maildrop.hold("rfc1939-6-unmarked-stay", before.lost(after, unique_ids))
    maildrop.hold("rfc1939-6-update-removes", before.left(after, len(marked)))


@pytest.mark.rules(*RULES)
def test_the_listings_of_ten_thousand_messages_are_complete(maildrop: Maildrop) -> None:
    """Five digits, and listings of many times what a socket holds; some go at the end."""
    is_for_stress(maildrop, f"it puts {MANY} messages into a maildrop")
    door = maildrop.run.door
    if door is not None and not door.name.startswith(STORES) and not maildrop.run.settings.slow:
        blocked(f"{MANY} deliveries take minutes; permit that with --slow")
    filling = small_messages(MANY)
    maildrop.fill(filling)
    session = maildrop.open("many")

    listings_are_complete(maildrop, session, filling)
    retr_brings_different_ones(maildrop, session, ends_and_middle(MANY), filling)
    marked = (1, MANY // 2, MANY)
    maildrop.mark(session, marked)
    kept = [place for place in range(1, MANY + 1) if place not in marked]
    maildrop.hold("rfc1939-5-list-without-marked", other_numbers(numbers_in(session, "LIST"), kept))
    session.exchange("STAT")
    if not session.exchange("QUIT").is_ok:
        blocked("QUIT is refused")

    left = len(maildrop.contents())
    lost = left < len(kept) and f"{MANY - left} messages gone from the store, 3 of them marked"
    maildrop.hold("rfc1939-6-unmarked-stay", lost or "")
    still = left > len(kept) and f"{left - len(kept)} of 3 marked messages still in the store"
    maildrop.hold("rfc1939-6-update-removes", still or "")


@pytest.mark.rules("rfc1939-5-retr", "rfc1939-11-exact-size", "rfc1939-7-top")
def test_a_message_of_25_megabytes_is_sent_whole(maildrop: Maildrop) -> None:
    """More than a server or a proxy keeps in memory, with dots wherever a buffer may end."""
    is_for_stress(maildrop, "it retrieves 25 megabytes")
    big = of_octets(OCTETS)
    small = message("small", (b"One line.",))
    maildrop.fill([big, small])
    session = maildrop.open("big")

    session.exchange("STAT")
    session.exchange("LIST")
    retr_brings_different_ones(maildrop, session, (1, 2), [big, small])
    if "TOP" in maildrop.run.observed.features:
        session.exchange("TOP 1 1")
    session.exchange("LIST 1")
    session.exchange("STAT")
    maildrop.forget_transcript()


@pytest.mark.rules("rfc1939-5-stat-total", "rfc1939-5-stat-drop-listing")
def test_a_total_that_needs_more_than_32_bits_is_the_sum(maildrop: Maildrop) -> None:
    """Totals that wrap around or turn negative; the same message many times."""
    number = 2**32 // OCTETS + 2
    is_for_stress(maildrop, f"it puts {number * OCTETS / 1e9:.1f} gigabytes into a maildrop")
    door = maildrop.run.door
    # The memory of the embedded server has the message once.
    if door is not None and door.name != "memory":
        if not door.name.startswith("maildir:"):
            blocked("it needs a Maildir, since other doors have the filling in memory")
        if not maildrop.run.settings.slow:
            blocked("it takes minutes; permit that with --slow")
    big = of_octets(OCTETS)
    maildrop.fill([big] * number)
    session = maildrop.open("total")

    drop = session.exchange("STAT").drop_listing
    session.exchange("LIST")
    if drop is not None and not adds_headers(maildrop):
        total = number * len(big)
        other = f"{drop.octets} octets in STAT, {total} put in"
        maildrop.hold("rfc1939-5-stat-total", "" if drop.octets == total else other)


def is_for_stress(maildrop: Maildrop, what: str) -> None:
    """Nobody's server is burdened unasked."""
    if not maildrop.run.target.allow_stress:
        blocked(f"{what}; permit that with --allow-stress")


# --- What is put in ---


def small_messages(number: int) -> list[bytes]:
    """So many messages with different headers and bodies; neighbours have different sizes."""
    return [
        message(f"small-{place}", [b"Message %d." % place, b"=" * (place % 37 + 1)])
        for place in range(1, number + 1)
    ]


def of_octets(octets: int) -> bytes:
    """A message of about so many octets: numbered lines of many lengths, some with a dot first."""
    text = b"abcdefghijklmnopqrstuvwxyz" * 4
    block = b"".join(
        b"." * (place % 5 == 0) + b"%d " % place + text[: place * 37 % 100] + b"\r\n"
        for place in range(20_000)
    )
    return header("of-25-megabytes") + b"\r\n" + block * (octets // len(block) + 1)


# --- What comes back ---


def adds_headers(maildrop: Maildrop) -> bool:
    """Messages arrive with header fields that the door adds."""
    return maildrop.run.door is not None and maildrop.run.door.adds_headers


def ends_and_middle(number: int) -> list[int]:
    """The first, the middle and the last message-number."""
    return sorted({1, (number + 1) // 2, number}) if number else []


def listings_are_complete(maildrop: Maildrop, session: Session, filling: Sequence[bytes]) -> None:
    """STAT, LIST and UIDL tell of each message of the filling, once, and no other."""
    numbers = list(range(1, len(filling) + 1))
    drop = session.exchange("STAT").drop_listing
    counted = drop is not None and drop.count != len(numbers)
    problem = f"a count of {drop.count}, of {len(numbers)} messages" if counted and drop else ""
    maildrop.hold("rfc1939-5-stat-count", problem)
    listed = session.exchange("LIST").scan_listings
    if listed is not None:
        told = [listing.number for listing in listed]
        maildrop.hold("rfc1939-5-list-complete", other_numbers(told, numbers))
        if not adds_headers(maildrop):
            sizes = [listing.octets for listing in listed]
            maildrop.hold("rfc1939-11-exact-size", other_sizes(sizes, filling))
    if maildrop.has_unique_ids:
        told = numbers_in(session, "UIDL")
        maildrop.hold("rfc1939-7-uidl-complete", other_numbers(told, numbers))


def numbers_in(session: Session, word: str) -> list[int]:
    """The message-numbers of a listing, in its order."""
    exchange = session.exchange(word)
    listings = exchange.scan_listings if word == "LIST" else exchange.unique_id_listings
    if listings is None:
        blocked(f"{word} cannot be read")
    return [listing.number for listing in listings]


def other_numbers(told: Iterable[int], wanted: Sequence[int]) -> str:
    """What is wrong with the numbers of a listing, in words."""
    told = sorted(told)
    if told == wanted:
        return ""
    missing, surplus = sorted(set(wanted) - set(told)), sorted(set(told) - set(wanted))
    if missing:
        return f"no line for message {missing[0]}, nor for {len(missing) - 1} others"
    if surplus:
        return f"a line for message {surplus[0]}, of {len(wanted)} messages"
    return f"{len(told)} lines for {len(wanted)} messages"


def other_sizes(sizes: Iterable[int], filling: Sequence[bytes]) -> str:
    """Which size no message has that was put in, in words; the order of numbers is free."""
    surplus = Counter(sizes) - Counter(map(len, filling))
    return f"a size of {min(surplus)} in LIST, which no message has" if surplus else ""


def retr_brings_different_ones(
    maildrop: Maildrop, session: Session, numbers: Iterable[int], filling: Sequence[bytes]
) -> None:
    """RETR of these numbers sends messages that were put in, each another one."""
    left = {body_of(put_in): put_in for put_in in filling}
    for number in numbers:
        reply = session.exchange(f"RETR {number}").reply
        if reply is None or not reply.is_multiline:
            continue  # judged already
        put_in = left.pop(body_of(reply.content), None)
        problem = f"{len(reply.content)} octets of message {number} with a body that was not put in"
        if put_in is not None:
            problem = other_header(maildrop, number, reply.content, put_in)
        maildrop.hold("rfc1939-5-retr", problem)


def other_header(maildrop: Maildrop, number: int, got: bytes, put_in: bytes) -> str:
    """What is wrong with the header of a message whose body is right, in words."""
    if adds_headers(maildrop):
        got = b"\r\n".join(without_added(put_in.split(b"\r\n"), got.split(b"\r\n")))
    return "" if got == put_in else f"another header of message {number} than was put in"
