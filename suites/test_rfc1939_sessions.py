"""Several sessions at the same time: on one maildrop, and of two users."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import pytest

from pop3spec.fixtures import Maildrop, blocked, messages
from pop3spec.maildrop.journal import own_part
from pop3spec.protocol.text import show as shown_text
from pop3spec.refusals import SessionRefused, refusal
from pop3spec.session import Session

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


@pytest.mark.rules("rfc1939-6-unmarked-stay")
def test_what_came_in_place_of_a_vanished_message_is_not_removed_for_it(
    maildrop: Maildrop,
) -> None:
    """A mark is for the message that the session was shown, not for what has its place now."""
    maildrop.fill(FILLING)
    session = maildrop.open("first")
    session.exchange("LIST")
    found = len(maildrop.recorder.findings)
    session.expect_change()
    maildrop.fill(messages(len(FILLING) + 1, "another"))
    newcomers = maildrop.contents()
    for line in ("DELE 1", f"DELE {len(FILLING)}", "QUIT"):
        if session.exchange(line).reply is None:
            break
    session.close()
    for rule in ("rfc1939-3-stays-open", "rfc1939-6-quit"):
        maildrop.recorder.forget(rule, found)

    gone = (newcomers - maildrop.contents()).total()
    problem = f"{gone} messages gone that the session was never shown" if gone else ""
    maildrop.hold("rfc1939-6-unmarked-stay", problem)


# --- The lock on a maildrop ---


def login_problem(maildrop: Maildrop, beside: str) -> str:
    """Words for a login that is refused although the maildrop should be free."""
    try:
        maildrop.open_once("next").quit()
    except SessionRefused as error:
        reply = maildrop.recorder.transcript[-1].reply
        if reply is None or reply.text.upper().startswith((b"[LOGIN-DELAY", b"[SYS/")):
            blocked(error)
        return f"{error}, {beside}"
    return ""


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param((), id="no-mark"),
        pytest.param(("DELE 1", "DELE 2"), id="marks"),
        pytest.param(("RETR 1",), id="reading"),
        pytest.param(tuple(f"DELE {number}" for number in NUMBERS), id="all-marked"),
    ],
)
@pytest.mark.rules("rfc1939-6-lock-released")
def test_the_maildrop_is_free_when_a_session_has_quit(
    maildrop: Maildrop, lines: Sequence[str]
) -> None:
    """Section 6 has the lock released before the connection is closed, whatever was removed."""
    if lines:
        maildrop.fill(FILLING)
    session = maildrop.open("first")
    for line in lines:
        session.exchange(line)
    session.quit()

    problem = maildrop.eventually(partial(login_problem, maildrop, "with no other session there"))
    maildrop.hold("rfc1939-6-lock-released", problem)


@pytest.mark.parametrize("drop", [FIN, RESET])
@pytest.mark.rules("practice-lock-released-after-break")
def test_the_maildrop_is_free_soon_after_a_session_was_dropped(
    maildrop: Maildrop, drop: End
) -> None:
    """A server that does not notice, so that the client stands before its own lock."""
    for name in ("first", "second"):
        drop(maildrop.open(name))
        problem = maildrop.eventually(
            partial(login_problem, maildrop, "with no session there but one that was dropped")
        )
        maildrop.hold("practice-lock-released-after-break", problem)


@pytest.mark.parametrize("command", ["PASS", "APOP"])
@pytest.mark.rules("rfc1939-4-lock-released")
def test_a_refused_login_leaves_no_lock_behind(maildrop: Maildrop, command: str) -> None:
    """The lock is taken before the password is looked at, and stays with the session.

    That a login is refused may have other reasons behind a wrong password, so that it counts
    only where it succeeds when the refused session has gone, or says that it is the lock.
    """
    feature = {"PASS": "USER"}.get(command, command)
    if feature not in maildrop.run.observed.features:
        pytest.skip(f"not applicable: {feature} is not offered")
    maildrop.open("before").quit()
    if maildrop.eventually(partial(login_problem, maildrop, "before that")):
        blocked("the maildrop is in use without a refused login already")
    refused = maildrop.patiently(
        partial(maildrop.greeted, "refused", source=maildrop.run.judge.source())
    )
    maildrop.refuse(refused, use_apop=command == "APOP")
    beside = "beside a session whose own login was refused"

    problem = maildrop.eventually(partial(login_problem, maildrop, beside))
    if problem:
        is_lock = says_lock(maildrop)
        refused.close()
        if not is_lock and maildrop.eventually(partial(login_problem, maildrop, beside)):
            blocked("a login is refused for long behind one with a wrong password")
    maildrop.hold("rfc1939-4-lock-released", problem)


def says_lock(maildrop: Maildrop) -> bool:
    """The last login was refused with the words that another session has the maildrop."""
    last = maildrop.recorder.transcript[-1]
    return last.is_err and refusal(last).is_locked


@pytest.mark.parametrize("leave", [FIN, QUIT])
@pytest.mark.rules("rfc1939-4-lock-released")
def test_a_refused_login_leaves_the_lock_to_the_session_that_has_it(
    maildrop: Maildrop, leave: End
) -> None:
    """Cleaning up behind a refusal must not take away what the first session holds."""
    # Where a refusal takes long, one way to leave is enough.
    patient = leave is Session.close
    takes_no_lock_away(maildrop, partial(is_let_in, maildrop, leave=leave), patient=patient)


@pytest.mark.rules("rfc1939-4-lock-released")
def test_a_wrong_password_leaves_the_lock_to_the_session_that_has_it(maildrop: Maildrop) -> None:
    """The clean-up is the same for each refusal, and goes by the name of the user."""

    def refused(name: str) -> bool:
        if is_let_in(maildrop, f"{name}-before", Session.quit):
            return True
        session = maildrop.patiently(
            partial(maildrop.greeted, name, source=maildrop.run.judge.source())
        )
        maildrop.refuse(session)
        session.close()
        return False

    takes_no_lock_away(maildrop, refused, patient=False)


def takes_no_lock_away(
    maildrop: Maildrop, try_to_log_in: Callable[[str], bool], *, patient: bool
) -> None:
    """A login beside the first session is refused, and then the next one is let in.

    Seen twice, for a first refusal may have had another reason.
    """
    for attempt in ("one", "two"):
        first = maildrop.open(f"first-{attempt}")
        begun = time.monotonic()
        if try_to_log_in(f"second-{attempt}"):
            pytest.skip("not applicable: the target lets several sessions into a maildrop")
        seconds = time.monotonic() - begun
        if seconds > PATIENT and not patient and not maildrop.run.settings.slow:
            blocked(f"a refusal takes {seconds:.0f} s; permit more of them with --slow")
        third_is_in = is_let_in(maildrop, f"third-{attempt}", Session.quit)
        first_is_there = first.exchange("NOOP").is_ok
        first.quit()
        if not (third_is_in and first_is_there):
            maildrop.hold("rfc1939-4-lock-released", "")
            return
    maildrop.hold(
        "rfc1939-4-lock-released",
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


@pytest.mark.rules("rfc1939-4-not-opened", "rfc1939-4-no-marks-at-login")
def test_a_login_to_a_maildrop_in_use_is_refused_or_works(maildrop: Maildrop) -> None:
    """A positive reply although the lock was not had, and a session that can do nothing.

    What the first session has marked is no mark in the second.
    """
    maildrop.fill(FILLING)
    first = maildrop.open("first")
    maildrop.mark(first, [len(FILLING)])
    second = maildrop.patiently(partial(maildrop.greeted, "second"))
    found = len(maildrop.recorder.findings)
    try:
        maildrop.log_in(second)
    except SessionRefused as error:
        second.close()
        first.close()  # here, so that the judgement over sessions knows who had the maildrop
        if error.timed_out:
            blocked(error)
        maildrop.hold("rfc1939-4-not-opened", "")
        return

    stat = second.exchange("STAT")
    # One cause, one accusation: the login.
    for rule in ("rfc1939-3-stays-open", "rfc1939-5-stat-drop-listing"):
        maildrop.recorder.forget(rule, found)
    answer = shown_text(stat.reply.status_line) if stat.reply is not None else "no reply"
    problem = "" if stat.is_ok else f"'{answer}' to STAT behind a positive reply to the login"
    maildrop.hold("rfc1939-4-not-opened", problem)
    told = stat.drop_listing.count if stat.drop_listing is not None else len(FILLING)
    missing = f"a count of {told} in a second session, of {len(FILLING)}"
    maildrop.hold("rfc1939-4-not-opened", missing if not told else "")
    maildrop.hold("rfc1939-4-no-marks-at-login", missing if told < len(FILLING) else "")
    second.quit()
    first.close()


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
