"""The model of a maildrop: what it predicts, and where it leaves freedom."""

import pytest

from pop3spec.model import ANYTHING, Answer, Disagreement, Ending, MaildropModel, SessionModel
from pop3spec.protocol.commands import State

OK, ERR = frozenset({Answer.OK}), frozenset({Answer.ERR})


def drop(messages: int = 3) -> MaildropModel:
    return MaildropModel(set(range(messages)))


def session(maildrop: MaildropModel | None = None) -> SessionModel:
    """A session in the TRANSACTION state."""
    model = SessionModel(maildrop or drop(), frozenset({"TOP", "UIDL"}))
    model.logged_in()
    return model


def say(model: SessionModel, *lines: str) -> None:
    for line in lines:
        model.hear(f"{line}\r\n".encode(), Answer.OK)


def allowed(model: SessionModel, line: str) -> frozenset[Answer]:
    return model.predict(f"{line}\r\n".encode()).allowed


def rule_of(problem: Disagreement | None) -> str:
    assert problem is not None
    return problem.rule


@pytest.mark.parametrize(
    "line, answers",
    [
        ("STAT", ERR),
        ("NOOP", ERR),
        ("RETR 1", ERR),
        ("QUIT", OK),
        ("USER nobody", ANYTHING.allowed),
        ("CAPA", ANYTHING.allowed),
        ("XQZJ", ANYTHING.allowed),
    ],
)
def test_before_the_login_only_what_belongs_there_may_succeed(
    line: str, answers: frozenset[Answer]
) -> None:
    assert allowed(SessionModel(drop()), line) == answers


@pytest.mark.parametrize(
    "line, answers",
    [
        ("STAT", OK),
        ("list", OK),
        ("RETR 3", OK),
        ("RETR 4", ERR),
        ("DELE 0", ERR),
        ("DELE 2", ERR),
        ("TOP 2 0", ERR),
        ("TOP 1 5", OK),
        ("USER alice", ERR),
        ("AUTH PLAIN", ERR),
        ("QUIT", OK | ERR),
        # The reader is free, or the rules judge it alone.
        ("RETR 01", ANYTHING.allowed),
        ("RETR +1", ANYTHING.allowed),
        ("RETR 1 2", ANYTHING.allowed),
        ("TOP 1 2147483648", ANYTHING.allowed),
        ("STAT x", ANYTHING.allowed),
        ("LANG *", ANYTHING.allowed),
    ],
)
def test_a_session_with_three_messages_and_a_mark_on_the_second(
    line: str, answers: frozenset[Answer]
) -> None:
    model = session()
    say(model, "DELE 2")

    assert allowed(model, line) == answers


def test_an_optional_command_that_is_not_offered_may_be_refused() -> None:
    model = SessionModel(drop())
    model.logged_in()

    assert allowed(model, "TOP 1 0") == ANYTHING.allowed


def test_rset_takes_back_every_mark_and_what_is_refused_then_is_its_fault() -> None:
    model = session()
    say(model, "DELE 2", "RSET")

    assert model.present == (1, 2, 3)
    assert model.predict(b"DELE 2\r\n").rule == "rfc1939-5-rset-unmarks"


def test_a_count_that_has_marked_messages_in_it_is_wrong() -> None:
    model = session()
    say(model, "DELE 3")

    assert model.told_count(2) is None
    assert rule_of(model.told_count(3)) == "rfc1939-5-stat-without-marked"


def test_a_listing_has_the_numbers_that_are_not_marked() -> None:
    model = session()
    say(model, "DELE 1")

    assert model.told_numbers("LIST", [2, 3]) is None
    assert rule_of(model.told_numbers("LIST", [1, 2, 3])) == "rfc1939-5-list-without-marked"
    assert rule_of(model.told_numbers("UIDL", [2])) == "rfc1939-7-uidl-complete"


def test_what_nobody_understands_makes_the_model_ask_for_nothing() -> None:
    model = session()
    say(model, "XQZJ 1")

    assert model.told_count(7) is None
    assert allowed(model, "RETR 9") == ANYTHING.allowed


def test_mail_that_arrives_or_goes_makes_it_ask_for_less() -> None:
    maildrop = drop()
    model = session(maildrop)
    maildrop.deliver(3)

    assert model.told_count(4) is None
    assert allowed(model, "RETR 4") == ANYTHING.allowed
    assert maildrop.counts == (4, 4)


def test_quit_removes_the_marked_and_nothing_else() -> None:
    maildrop = drop()
    model = session(maildrop)
    model.retrieved(2, 0)
    say(model, "DELE 2")
    model.ended(Ending.QUIT)

    assert maildrop.problem([1, 2]) is None
    assert rule_of(maildrop.problem([0, 1, 2])) == "rfc1939-6-update-removes"
    assert rule_of(maildrop.problem([2])) == "rfc1939-6-unmarked-stay"


def test_a_mark_on_a_message_that_nobody_has_seen_removes_one_of_several() -> None:
    maildrop = drop()
    model = session(maildrop)
    say(model, "DELE 1")
    model.ended(Ending.QUIT)

    assert maildrop.problem([0, 1]) is None
    assert maildrop.problem([1, 2]) is None
    assert rule_of(maildrop.problem([0, 1, 2])) == "rfc1939-6-update-removes"
    assert rule_of(maildrop.problem([0])) == "rfc1939-6-unmarked-stay"


def test_without_quit_everything_stays() -> None:
    maildrop = drop()
    model = session(maildrop)
    say(model, "DELE 1")
    model.ended(Ending.BROKEN)

    assert maildrop.problem([0, 1, 2]) is None
    assert rule_of(maildrop.problem([0, 1])) == "rfc1939-6-no-quit-no-removal"


def test_a_quit_that_nobody_answered_may_have_removed_any_of_the_marked() -> None:
    maildrop = drop()
    model = session(maildrop)
    model.retrieved(1, 0)
    say(model, "DELE 1")
    model.ended(Ending.UNSURE)

    assert maildrop.problem([0, 1, 2]) is None
    assert maildrop.problem([1, 2]) is None
    assert rule_of(maildrop.problem([0, 1])) == "rfc1939-6-unmarked-stay"


def test_a_policy_that_expires_mail_may_remove_what_was_not_marked() -> None:
    maildrop = drop()
    model = SessionModel(maildrop, expires=True)
    model.logged_in()
    model.ended(Ending.QUIT)

    assert maildrop.problem([]) is None


def test_two_sessions_on_one_maildrop_are_asked_for_less() -> None:
    maildrop = drop()
    one, other = session(maildrop), session(maildrop)
    say(one, "DELE 1")
    one.ended(Ending.QUIT)

    assert other.state is State.TRANSACTION
    assert other.told_count(2) is None
    assert allowed(other, "RETR 1") == ANYTHING.allowed


def test_a_number_keeps_its_message_within_a_session() -> None:
    model = session()

    assert model.retrieved(1, 2) is None
    assert model.retrieved(1, 2) is None
    assert rule_of(model.retrieved(1, 0)) == "rfc1939-5-retr"
    assert rule_of(model.retrieved(2, 2)) == "rfc1939-5-retr"
    assert rule_of(model.retrieved(3, None)) == "rfc1939-5-retr"


def test_a_unique_id_keeps_its_message_from_session_to_session() -> None:
    maildrop = drop()
    first = session(maildrop)
    first.told_unique_ids({1: b"a", 2: b"b"})
    first.retrieved(1, 0)
    first.ended(Ending.BROKEN)
    second = session(maildrop)
    second.told_unique_ids({1: b"a"})

    assert rule_of(second.retrieved(1, 1)) == "rfc1939-7-uidl-persistent"


def test_the_first_listing_shows_what_the_session_before_it_has_left() -> None:
    maildrop = drop()
    first = session(maildrop)
    first.retrieved(1, 0)
    say(first, "DELE 1")
    first.ended(Ending.QUIT)

    later = session(maildrop)
    # Whether it is STAT that is wrong, or what it counts, the listing tells.
    assert later.told_count(7) is None
    assert later.told_count(2) is None
    assert rule_of(session(drop()).told_count(2)) == "rfc1939-5-stat-count"
    for count, rule in ((3, "rfc1939-6-update-removes"), (1, "rfc1939-6-unmarked-stay")):
        model = SessionModel(maildrop)
        maildrop.sessions.clear()
        model.logged_in()
        assert rule_of(model.told_numbers("LIST", range(1, count + 1))) == rule


def test_what_stayed_shows_in_a_listing_behind_a_mark_too() -> None:
    maildrop = drop()
    first = session(maildrop)
    say(first, "DELE 2")
    first.ended(Ending.QUIT)

    later = session(maildrop)
    say(later, "DELE 2")

    assert rule_of(later.told_numbers("LIST", [1, 3])) == "rfc1939-6-update-removes"


def test_a_mark_may_hit_what_arrived_in_mid_session() -> None:
    maildrop = drop(2)
    model = session(maildrop)
    maildrop.deliver(2)
    say(model, "DELE 3")
    model.ended(Ending.QUIT)

    assert maildrop.problem([0, 1]) is None
    assert maildrop.problem([0, 1, 2]) is None
    assert rule_of(maildrop.problem([0])) == "rfc1939-6-unmarked-stay"
