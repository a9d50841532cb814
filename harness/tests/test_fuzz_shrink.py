"""Shrinking: no step more than it needs, and nothing that it needs is left out."""

from hypothesis import given
from hypothesis import strategies as st

from pop3spec.fuzzing.shrink import shrunk, without_needless
from pop3spec.fuzzing.steps import Act, Conversation, Step


@given(
    st.lists(st.integers(0, 99), unique=True, max_size=30).flatmap(
        lambda parts: st.tuples(st.just(parts), st.sets(st.sampled_from(parts or [0])))
    )
)
def test_what_is_left_is_what_it_takes(drawn: tuple[list[int], set[int]]) -> None:
    parts, needed = drawn
    needed &= set(parts)

    kept = without_needless(parts, lambda some: needed <= set(some))

    assert kept == [part for part in parts if part in needed]


def say(octets: bytes) -> Step:
    return Step(Act.SAY, octets=octets)


def test_a_batch_becomes_the_one_command_that_matters() -> None:
    batch = say(b"STAT\r\nLIST\r\nNOOP\r\n")
    whole = Conversation((Step(Act.CONNECT), batch), messages=5, maildrops=2, in_tls=True)

    def fails(some: Conversation) -> bool:
        return any(step.octets.startswith(b"LIST") for step in some.steps)

    assert shrunk(whole, fails) == Conversation((say(b"LIST\r\n"),), 0, 1, in_tls=False)


def test_a_batch_of_which_two_lines_matter_as_one_loses_the_others() -> None:
    batch = say(b"STAT\r\nDELE 1\r\nNOOP\r\nLIST\r\nQUIT\r\n")

    def fails(some: Conversation) -> bool:
        return any({b"DELE 1\r", b"LIST\r"} <= set(step.octets.split(b"\n")) for step in some.steps)

    assert shrunk(Conversation((batch,), messages=0), fails).steps == (say(b"DELE 1\r\nLIST\r\n"),)


def test_a_batch_that_matters_as_one_stays_together() -> None:
    batch = say(b"STAT\r\nLIST\r\n")

    def fails(some: Conversation) -> bool:
        return any(step.octets.count(b"\n") == 2 for step in some.steps)

    assert shrunk(Conversation((batch, batch), messages=0), fails).steps == (batch,)
