"""The mail that is there, whoever's it is: looked at, and neither marked nor removed.

Without a door these are the tests that have something to look at; with one they get a
filling. A session that has read mail of others ends without QUIT, for a site may remove
at QUIT what was retrieved (section 8). The first message is read alone, and what becomes
of it is looked at before any other is read.

Others may use the maildrop as well, so what is broken has to be broken twice.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import pytest

from pop3spec.fixtures import Maildrop, blocked, merged, messages
from pop3spec.recorder import Recorder
from pop3spec.session import Session

FILLING = messages(3)

# Of a large maildrop, so many messages at either end, and octets to be read.
MOST = 10
MOST_OCTETS = 4_000_000

NO_REMOVAL = "rfc1939-6-no-quit-no-removal"
PERSISTENT = "rfc1939-7-uidl-persistent"

Look = Callable[[Maildrop, Session], None]


def there(maildrops: Sequence[Maildrop]) -> Sequence[Maildrop]:
    """The maildrops with what is in them, or one with a filling where there is a door."""
    run = maildrops[0].run
    if run.door is None or run.observed.door_problem:
        return maildrops
    maildrops[0].fill(FILLING)
    return maildrops[:1]


@contextmanager
def opened(maildrop: Maildrop, name: str) -> Iterator[Session]:
    """A session that is dropped at the end, if it was not ended before."""
    session = maildrop.open(name)
    try:
        yield session
    finally:
        session.close()


def judge(maildrop: Maildrop, look: Look) -> None:
    """Look in a session, and where a rule is broken in another one; what is broken in both counts.

    The mail is taken for steady, so all rules about one session apply.
    """
    seen = looked(maildrop, look, "first")
    if seen.findings:
        again = {found.rule for found in looked(maildrop, look, "again").findings}
        seen.findings = [found for found in seen.findings if found.rule in again]
    # Between two sessions others may have been there.
    seen.facts.clear()
    whole = merged([maildrop.recorder, seen])
    for name in ("begun", "transcript", "findings", "exercised", "observations"):
        setattr(maildrop.recorder, name, getattr(whole, name))


def looked(maildrop: Maildrop, look: Look, name: str) -> Recorder:
    """What a session shows."""
    recorder = Recorder()
    steady = replace(maildrop, recorder=recorder, is_steady=True)
    with opened(steady, name) as session:
        look(steady, session)
        session.quit()
    return recorder


def listed(session: Session) -> dict[int, int]:
    """The size of each message."""
    listings = session.exchange("LIST").scan_listings or ()
    return {each.number: each.octets for each in listings}


def some(numbers: Sequence[int]) -> list[int]:
    """The first and the last ones."""
    return sorted({*numbers[:MOST], *numbers[-MOST:]})


# --- Nothing is read ---


def look_at_listings(maildrop: Maildrop, session: Session) -> None:
    """All that tells of messages, whole and one by one."""
    session.exchange("STAT")
    numbers = some(list(listed(session)))
    if maildrop.has_unique_ids:
        session.exchange("UIDL")
    for number in numbers:
        session.exchange(f"LIST {number}")
        if maildrop.has_unique_ids:
            session.exchange(f"UIDL {number}")
    session.exchange("STAT")
    listed(session)


@pytest.mark.rules(
    "rfc1939-5-stat-count",
    "rfc1939-5-stat-total",
    "rfc1939-5-list-argument",
    "rfc1939-4-message-numbers",
    "rfc1939-4-size-fixed",
    "rfc1939-4-count-fixed",
    "rfc1939-7-uidl-argument",
    "rfc1939-7-unique-id-fixed",
)
def test_listings_of_the_mail_that_is_there_agree(maildrops: Sequence[Maildrop]) -> None:
    """STAT, LIST and UIDL, whole and of single messages, say the same."""
    for maildrop in there(maildrops):
        judge(maildrop, look_at_listings)


def name_no_message(maildrop: Maildrop, session: Session) -> None:
    """Numbers that are not there, some of which are one that is there when cut to 32 bits."""
    drop = session.exchange("STAT").drop_listing
    count = drop.count if drop is not None else 0
    for number in (0, count + 1, count + 1000, 2**31, 2**32 + 1, 2**64 + 1):
        for command in naming(maildrop, str(number)):
            session.exchange(command)


def name_no_number(maildrop: Maildrop, session: Session) -> None:
    """Words, signs and torn numbers."""
    session.exchange("STAT")
    for word in ("x", "-1", "1x", "1.0", "0x1"):
        for command in naming(maildrop, word):
            session.exchange(command)


def naming(maildrop: Maildrop, number: str) -> list[str]:
    """The commands that name a message and mark none."""
    commands = [f"LIST {number}", f"RETR {number}"]
    if maildrop.has_unique_ids:
        commands.append(f"UIDL {number}")
    if has_top(maildrop):
        commands.append(f"TOP {number} 0")
    return commands


def has_top(maildrop: Maildrop) -> bool:
    """The target has TOP."""
    return "TOP" in maildrop.run.observed.features


@pytest.mark.rules("rfc1939-5-no-such-message")
def test_numbers_that_no_message_has_are_refused(maildrops: Sequence[Maildrop]) -> None:
    """Zero, the next to the last, and what only looks like one that is there."""
    for maildrop in there(maildrops)[:1]:
        judge(maildrop, name_no_message)


@pytest.mark.rules("rfc1939-3-malformed-number")
def test_what_is_no_number_is_refused(maildrops: Sequence[Maildrop]) -> None:
    """A part of it is one, for a careless parser."""
    for maildrop in there(maildrops)[:1]:
        judge(maildrop, name_no_number)


def do_nothing(maildrop: Maildrop, session: Session) -> None:
    """NOOP and RSET between two looks."""
    for command in ("NOOP", "RSET", "NOOP"):
        session.exchange("STAT")
        listed(session)
        if maildrop.has_unique_ids:
            session.exchange("UIDL")
        session.exchange(command)
    session.exchange("STAT")
    listed(session)


@pytest.mark.rules("rfc1939-5-noop", "rfc1939-5-rset", "rfc1939-4-size-fixed")
def test_noop_and_rset_leave_everything_as_it_is(maildrops: Sequence[Maildrop]) -> None:
    """Sizes, unique-ids and counts are those from before."""
    for maildrop in there(maildrops)[:1]:
        judge(maildrop, do_nothing)


# --- Over sessions ---


@dataclass(frozen=True)
class Shown:
    """What a session shows of the messages, each by its number."""

    sizes: dict[int, int]
    unique_ids: dict[int, bytes] | None

    def renamed(self, after: "Shown") -> int | None:
        """How many of the same messages have another name later; None if others may be there."""
        if self.unique_ids is None or after.unique_ids is None or self.sizes != after.sizes:
            return None
        pairs = [(name, after.unique_ids.get(number)) for number, name in self.unique_ids.items()]
        return sum(1 for before, now in pairs if before != now)

    def lost(self, after: "Shown", read: set[int]) -> str:
        """What is gone of what was read, in words; blocked where others remove mail as well."""
        gone = len(self.sizes) - len(after.sizes)
        if gone <= 0:
            return ""
        if self.unique_ids is not None and after.unique_ids is not None:
            names = set(after.unique_ids.values())
            missing = {number for number, name in self.unique_ids.items() if name not in names}
            if len(missing) == gone and not missing <= read:
                blocked("somebody else removes mail from the maildrop")
        if gone > len(read):
            blocked("somebody else removes mail from the maildrop")
        return f"{gone} of {len(read)} messages gone that a session without QUIT had read"


def show(maildrop: Maildrop, name: str, *, politely: bool = True) -> Shown:
    """Look at sizes and unique-ids, and read nothing."""
    with opened(maildrop, name) as session:
        session.exchange("STAT")
        shown = Shown(listed(session), maildrop.unique_ids_in(session))
        if politely:
            session.quit()
    return shown


@pytest.mark.rules(PERSISTENT)
def test_two_openings_show_the_same_unique_ids(maildrops: Sequence[Maildrop]) -> None:
    """Behind a session with QUIT, and behind one without.

    Judged where all sizes are the same as before. Stores of the mbox kind add header fields
    when they are opened first, so that another look may be needed.
    """
    if not maildrops[0].has_unique_ids:
        pytest.skip("not applicable: UIDL is not offered")
    judged = 0
    for maildrop in there(maildrops):
        before = show(maildrop, "first")
        problems = []
        for name, politely in (("second", False), ("third", True), ("fourth", False)):
            after = show(maildrop, name, politely=politely)
            renamed = before.renamed(after) if before.sizes else None
            if renamed is not None:
                of = len(before.sizes)
                problems.append(f"another unique-id of {renamed} of {of}" if renamed else "")
            before = after
        if problems:
            judged += 1
            # Once may be somebody else's doing.
            is_broken = len(list(filter(None, problems))) > 1
            maildrop.hold(PERSISTENT, max(problems) if is_broken else "")
    if not judged:
        blocked("there is no mail, or it changes all the time")


# --- Mail is read ---


@pytest.mark.rules(
    NO_REMOVAL,
    "rfc1939-5-retr",
    "rfc1939-5-retr-same",
    "rfc1939-7-top",
    "rfc1939-11-exact-size",
)
def test_mail_that_is_read_is_whole_and_stays(maildrops: Sequence[Maildrop]) -> None:
    """A MUST says that a session which is dropped removes nothing (section 6)."""
    was_read = False
    for maildrop in there(maildrops):
        before = show(maildrop, "before")
        readable = [number for number, size in before.sizes.items() if size <= MOST_OCTETS]
        if not readable:
            continue
        was_read = True
        smallest = min(readable, key=before.sizes.__getitem__)
        with opened(maildrop, "reads-one") as session:
            header = header_fields(session, smallest)
        nothing_is_lost(maildrop, before, {smallest})

        numbers = within_budget(before.sizes)
        judge(maildrop, partial(read, numbers=numbers))
        nothing_is_lost(maildrop, before, set(numbers))
        with opened(maildrop, "reads-again") as session:
            observe_header(maildrop, header, header_fields(session, smallest))
    if not was_read:
        blocked("there is no mail to be read, and no door to put some there")


def nothing_is_lost(maildrop: Maildrop, before: Shown, numbers: set[int]) -> None:
    """A server may be slow to work off a session that was left, or to show what it has."""
    lost = before.lost(show(maildrop, "after"), numbers)
    if lost:
        lost = before.lost(show(maildrop, "after-that"), numbers)
    maildrop.hold(NO_REMOVAL, lost)


def within_budget(sizes: dict[int, int]) -> list[int]:
    """Messages that are not too many octets together."""
    chosen, octets = [], 0
    for number in some(sorted(sizes)):
        if octets + sizes[number] <= MOST_OCTETS:
            octets += sizes[number]
            chosen.append(number)
    return chosen


def read(maildrop: Maildrop, session: Session, *, numbers: Sequence[int]) -> None:
    """RETR twice and TOP between; the rules compare sizes and texts."""
    session.exchange("STAT")
    listed(session)
    for number in numbers:
        session.exchange(f"RETR {number}")
        if has_top(maildrop):
            session.exchange(f"TOP {number} 0")
            session.exchange(f"TOP {number} 1")
        session.exchange(f"RETR {number}")
    listed(session)


def header_fields(session: Session, number: int) -> set[bytes]:
    """The header of a message, a field or a further line of one each."""
    reply = session.exchange(f"RETR {number}").reply
    content = reply.content if reply is not None and reply.is_multiline else b""
    return set(content.partition(b"\r\n\r\n")[0].split(b"\r\n"))


def observe_header(maildrop: Maildrop, before: set[bytes], after: set[bytes]) -> None:
    """Which fields a message that was read has more than it had."""
    names = {line.partition(b":")[0].decode("latin-1") for line in after - before if b":" in line}
    gained = f"gains {', '.join(sorted(names))}" if names else "stays as it is"
    maildrop.observe("marks-of-reading", f"without QUIT the header {gained}")


@pytest.mark.rules("rfc1939-5-retr")
def test_which_marks_reading_leaves_in_the_store(maildrop: Maildrop) -> None:
    """Opening, reading and QUIT, each alone: new to cur, flags, header fields of the store."""
    maildrop.fill(FILLING)
    marks = maildrop.marks()

    def leave(session: Session) -> None:
        session.exchange("STAT")

    def read_and_leave(session: Session) -> None:
        session.exchange("RETR 1")

    def read_and_quit(session: Session) -> None:
        session.exchange("RETR 1")
        session.quit()

    for name, act in (
        ("a session without QUIT", leave),
        ("RETR", read_and_leave),
        ("RETR and QUIT", read_and_quit),
    ):
        with opened(maildrop, name.replace(" ", "-")) as session:
            act(session)
        now = maildrop.marks()
        change = f"{told(marks - now)} -> {told(now - marks)}" if now != marks else "no change"
        maildrop.observe("marks-of-reading", f"{name}: {change}")
        marks = now


def told(marks: Counter[str]) -> str:
    """So many messages with these marks each."""
    return ", ".join(f"{number} ({mark})" for mark, number in sorted(marks.items()))
