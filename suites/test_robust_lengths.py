"""Lines that are longer than any buffer, and the client that comes next."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest

from pop3spec.expectations import got_instead
from pop3spec.fixtures import Maildrop, blocked
from pop3spec.refusals import SessionRefused
from pop3spec.rulebook.observers import came_back
from pop3spec.session import Session

RULE = "robust-serves-next-client"
NOBODY = "USER nobody-qx7zj4"


@dataclass(frozen=True)
class Stimulus:
    """A long line: what it begins with, and what it goes on with."""

    title: str
    begin: bytes
    filler: bytes
    after_login: bool = False

    def line(self, octets: int) -> bytes:
        """So many octets, CRLF included."""
        return self.begin + self.filler * (octets - len(self.begin) - 2) + b"\r\n"


STIMULI = [
    Stimulus("a name", b"USER ", b"x"),
    Stimulus("a keyword", b"", b"Q"),
    Stimulus("a number", b"LIST ", b"9", after_login=True),
    Stimulus("blanks", b"NOOP", b" ", after_login=True),
]


@pytest.mark.parametrize("octets", [1 << 16, 1 << 20], ids=["64-kib", "1-mib"])
@pytest.mark.parametrize("stimulus", STIMULI, ids=lambda each: each.title.replace(" ", "-"))
@pytest.mark.rules(RULE)
def test_behind_a_line_of_many_octets_the_next_client_is_served(
    maildrop: Maildrop, stimulus: Stimulus, octets: int
) -> None:
    """The one that sent it may be refused, cut off, or taken at its word."""
    session = session_for_stress(maildrop, after_login=stimulus.after_login)
    session.send_octets(stimulus.line(octets))
    way = f"{stimulus.title} in a command of {octets} octets"
    maildrop.observe("long-commands", f"{way}: {came_back(session.receive())}")
    session.close()

    maildrop.hold(RULE, maildrop.eventually(partial(turned_away, maildrop)))


@pytest.mark.parametrize("end", [Session.close, Session.reset], ids=["fin", "reset"])
@pytest.mark.rules(RULE)
def test_behind_a_line_without_an_end_the_next_client_is_served(
    maildrop: Maildrop, end: Callable[[Session], None]
) -> None:
    """A megabyte for which no line end came before the client was gone."""
    session = session_for_stress(maildrop, after_login=False)
    session.send_octets(b"USER " + b"x" * (1 << 20))
    end(session)

    maildrop.hold(RULE, maildrop.eventually(partial(turned_away, maildrop)))


def session_for_stress(maildrop: Maildrop, *, after_login: bool) -> Session:
    """A session for a long line, where the target may get one."""
    if not maildrop.run.target.allow_stress:
        blocked("it sends lines of up to a megabyte; permit that with --allow-stress")
    if after_login:
        return maildrop.open("long")
    return maildrop.patiently(partial(maildrop.greeted, "long"))


def turned_away(maildrop: Maildrop) -> str:
    """How the next client fared, in words; '' where it was served."""
    try:
        session = maildrop.greeted("next")
    except SessionRefused as error:
        # Elsewhere than on loopback it may be a ban of our address.
        if not (error.is_unserved and maildrop.run.target.address.is_loopback):
            blocked(error)
        return str(error)
    exchange = session.exchange(NOBODY)
    session.close()
    return f"{got_instead(exchange)} for the next client" if exchange.reply is None else ""
