"""Several sessions at the same time: on one maildrop, and of two users."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import pytest

from pop3spec.fixtures import Maildrop, blocked, messages
from pop3spec.maildrop.journal import own_part
from pop3spec.session import Session, SessionRefused

FILLING = messages(4)
NUMBERS = range(1, len(FILLING) + 1)

# Seconds: where a refusal takes longer, only one way to leave is tried without --slow.
PATIENT = 3.0

End = Callable[[Session], None]
FIN, RESET = pytest.param(Session.close, id="fin"), pytest.param(Session.reset, id="reset")
QUIT = pytest.param(Session.quit, id="quit")


# --- What a session is shown while mail is removed ---


@dataclass(frozen=True)
class Shown:
    """The message-numbers that a session is shown by LIST, by UIDL and by RETR."""

    listed: frozenset[int]
    named: frozenset[int]
    sent: frozenset[int]


def show(maildrop: Maildrop, session: Session) -> Shown:
    """Ask for everything; sizes, unique-ids and texts are compared by the passive rules."""
    session.exchange("STAT")
    listed = session.exchange("LIST").scan_listings or ()
    return Shown(
        frozenset(each.number for each in listed),
        frozenset(maildrop.unique_ids_in(session) or ()),
        frozenset(number for number in NUMBERS if session.exchange(f"RETR {number}").is_ok),
    )


def without(numbers: Iterable[int]) -> str:
    """Words for what is not shown any more, none if there is nothing."""
    gone = ", ".join(str(number) for number in sorted(numbers))
    return f"nothing of message {gone}, which was there and was not removed" if gone else ""


@pytest.mark.rules(
    "rfc1939-5-list-complete",
    "rfc1939-7-uidl-complete",
    "rfc1939-5-retr",
    "rfc1939-5-retr-same",
    "rfc1939-4-size-fixed",
    "rfc1939-7-unique-id-fixed",
    "rfc1939-6-unmarked-stay",
    "rfc1939-6-update-removes",
)
def test_sessions_keep_their_view_while_another_one_removes_mail(maildrop: Maildrop) -> None:
    """Either one session has the maildrop, or all go on with what they were shown.

    What another session removed may be refused and left out of listings. The session that
    reads never quits, since a site may remove what was read (section 8).
    """
    if not maildrop.has_unique_ids:
        pytest.skip("not applicable: without UIDL nobody knows a message in two sessions")
    maildrop.fill(FILLING)
    before = maildrop.look()
    reader = maildrop.open("reader")
    shown = show(maildrop, reader)
    names = maildrop.unique_ids_in(reader) or {}
    others = []
    for name in ("marker", "remover"):
        try:
            others.append(maildrop.open_once(name))
        except SessionRefused as refused:
            maildrop.recorder.note(name, f"{refused}, as it may be")
            break
    found = len(maildrop.recorder.findings)
    for session in (reader, *others):
        session.expect_change()
    # The marks hit what had these numbers when the sessions began, in whatever order.
    numbered = [maildrop.unique_ids_in(session) or {} for session in others]
    may_go: list[bytes | None] = []
    done = []
    for session, numbers in reversed(list(zip(others, numbered, strict=True))):
        choice = [number for number, name in numbers.items() if name not in may_go]
        if not choice:
            blocked("the unique-ids do not tell one message from another")
        number = choice[0]
        may_go.append(numbers[number])
        done.append(session.exchange(f"DELE {number}").is_ok and session.exchange("QUIT").is_ok)

    again = show(maildrop, reader)
    gave_up = not reader.is_open
    for session in (reader, *others):
        session.close()
    if others:
        # To give up is to show nothing that is wrong, and to remove nothing.
        for rule in ("rfc1939-3-stays-open", "rfc1939-6-quit"):
            maildrop.recorder.forget(rule, found)

    after = maildrop.look()
    maildrop.hold("rfc1939-6-unmarked-stay", before.lost(after, may_go))
    if all(done):
        maildrop.hold("rfc1939-6-update-removes", before.left(after, len(may_go)))
    if not gave_up:
        gone = {number for number, unique_id in names.items() if unique_id in may_go}
        maildrop.hold("rfc1939-5-list-complete", without(shown.listed - again.listed - gone))
        maildrop.hold("rfc1939-7-uidl-complete", without(shown.named - again.named - gone))
        maildrop.hold("rfc1939-5-retr", without(shown.sent - again.sent - gone))


@pytest.mark.rules("rfc1939-5-retr-same")
def test_a_message_that_vanished_is_refused_or_still_itself(maildrop: Maildrop) -> None:
    """Behind the session's back the store gets other messages in place of all that it was shown.

    The passive rules see it when another message goes by a number.
    """
    maildrop.fill(FILLING)
    session = maildrop.open("first")
    for number in NUMBERS:
        session.exchange(f"RETR {number}")
    found = len(maildrop.recorder.findings)
    session.expect_change()
    maildrop.fill(messages(len(FILLING) + 1, "another"))

    for number in NUMBERS:
        if session.exchange(f"RETR {number}").reply is None:
            break
    session.close()
    # A server that finds the maildrop changed by others may well give up.
    maildrop.recorder.forget("rfc1939-3-stays-open", found)


# --- The lock on a maildrop ---


@pytest.mark.parametrize("marks", [pytest.param(0, id="no-mark"), pytest.param(2, id="marks")])
@pytest.mark.rules("rfc1939-7-user-pass")
def test_the_maildrop_is_free_when_a_session_has_quit(maildrop: Maildrop, marks: int) -> None:
    """Section 6 has the lock released before the connection is closed, whatever was removed."""
    if marks:
        maildrop.fill(FILLING)

    def login_problem() -> str:
        try:
            maildrop.open_once("next").quit()
        except SessionRefused as error:
            reply = maildrop.recorder.transcript[-1].reply
            if reply is None or reply.text.upper().startswith((b"[LOGIN-DELAY", b"[SYS/")):
                blocked(error)
            return f"{error}, with no other session there"
        return ""

    session = maildrop.open("first")
    maildrop.mark(session, range(1, marks + 1))
    session.quit()

    maildrop.hold("rfc1939-7-user-pass", maildrop.eventually(login_problem))


@pytest.mark.parametrize("drop", [FIN, RESET])
@pytest.mark.rules("rfc1939-7-user-pass")
def test_the_maildrop_is_free_when_a_session_was_dropped(maildrop: Maildrop, drop: End) -> None:
    """No RFC says how soon a server sees that its client is gone, so at worst this is blocked."""
    for name in ("first", "second", "third"):
        drop(maildrop.open(name))


@pytest.mark.parametrize("leave", [FIN, QUIT])
@pytest.mark.rules("rfc1939-4-login-refused")
def test_a_refused_login_leaves_the_lock_to_the_session_that_has_it(
    maildrop: Maildrop, leave: End
) -> None:
    """Cleaning up behind a refusal must not take away what the first session holds.

    Seen twice, for a first refusal may have had another reason.
    """
    for attempt in ("one", "two"):
        first = maildrop.open(f"first-{attempt}")
        begun = time.monotonic()
        if is_let_in(maildrop, f"second-{attempt}", leave):
            pytest.skip("not applicable: the target lets several sessions into a maildrop")
        seconds = time.monotonic() - begun
        if seconds > PATIENT and leave is Session.quit and not maildrop.run.settings.slow:
            blocked(f"a refusal takes {seconds:.0f} s; permit more of them with --slow")
        third_is_in = is_let_in(maildrop, f"third-{attempt}", leave)
        first_is_there = first.exchange("NOOP").is_ok
        first.quit()
        if not (third_is_in and first_is_there):
            maildrop.hold("rfc1939-4-login-refused", "")
            return
    maildrop.hold(
        "rfc1939-4-login-refused",
        "a third session, after a second one was refused beside the first that is still there",
    )


def is_let_in(maildrop: Maildrop, name: str, leave: End) -> bool:
    """Try to log in, then leave."""
    try:
        session = maildrop.greeted(name)
    except SessionRefused as error:
        blocked(error)
    try:
        maildrop.log_in(session)
    except SessionRefused as error:
        leave(session)
        if error.timed_out:
            blocked(error)
        return False
    session.quit()
    return True


# --- Two users ---


@pytest.mark.rules("rfc1939-5-retr", "rfc1939-6-unmarked-stay")
def test_two_users_at_once_see_only_their_own_mail(
    two_maildrops: Sequence[Maildrop],
) -> None:
    """What one session remembers of its maildrop gets into another one's."""
    fillings = [messages(3, "for-one"), messages(5, "for-the-other")]
    for maildrop, filling in zip(two_maildrops, fillings, strict=True):
        maildrop.fill(filling)
    before = [maildrop.look() for maildrop in two_maildrops]
    sessions = [maildrop.open("beside") for maildrop in two_maildrops]
    for _ in range(2):
        for number in (1, 2, 3):
            for maildrop, session, own in zip(two_maildrops, sessions, before, strict=True):
                reply = session.exchange(f"RETR {number}").reply
                text = reply.content if reply is not None and reply.is_multiline else None
                is_own = text is None or own_part(text) in own.contents
                maildrop.hold("rfc1939-5-retr", "" if is_own else "the mail of another user")
    # A new session, since a site may remove what was read (section 8).
    sessions[0].close()
    remover = two_maildrops[0].open("remover")
    removed = two_maildrops[0].mark(remover, [1])
    remover.quit()
    sessions[1].close()

    for maildrop, own, may_go in zip(two_maildrops, before, (removed, []), strict=True):
        maildrop.hold("rfc1939-6-unmarked-stay", own.lost(maildrop.look(), may_go))
