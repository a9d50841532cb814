"""A run against a server that wants time between logins waits for it, and judges nothing by it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from proving import all_scenarios

from pop3spec.embedded import start_embedded
from pop3spec.login_delay import Logins, TooEarly
from pop3spec.opening import open_session
from pop3spec.recorder import Recorder
from pop3spec.reference.faults import FAULTS
from pop3spec.reference.faults.fault import Fault
from pop3spec.reference.session import Session
from pop3spec.run import Run, Task
from pop3spec.settings import Settings
from pop3spec.target import Account
from pop3spec.verdict import Verdict

# Logins by a step and by preparation, twice for one maildrop, beside each other, and refused.
SCENARIOS = (
    "rfc1939/login::right-name-and-password",
    "rfc1939/update::removes-one-of-three",
    "rfc2449/response-codes::right-password-for-a-maildrop-in-use",
    "rfc3206/auth-code::wrong-password",
    "rfc3206/auth-code::mechanism-plain",
)
ALICE = Account("alice", "secret")


class TooEarlyWithoutCode(Session):
    """The code is optional: nothing but the time tells why the login is refused."""

    def too_early(self, user: str) -> bytes:
        super().too_early(user)
        return self.negative(b"no")


@contextmanager
def run_with_delay(seconds: int, *faults: str, accounts: int = 8) -> Iterator[Run]:
    """A run against a server that enforces a delay."""
    embedded = start_embedded(faults=faults, login_delay=seconds)
    target = replace(embedded.target, accounts=embedded.target.accounts[:accounts])
    run = Run(Settings(target, Path()), target, embedded.door, logins=Logins(grace=0.02))
    run.back_off = (0.01,)
    try:
        yield run
    finally:
        run.end()
        embedded.close()


@pytest.mark.parametrize("part", [None, TooEarlyWithoutCode], ids=["with-code", "without"])
def test_a_run_on_a_server_with_login_delay_gives_no_false_alarm(
    part: type[Session] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if part is not None:
        fault = Fault(part.__name__, frozenset(), part.__doc__ or "", False, (part,))
        monkeypatch.setitem(FAULTS, part.__name__, fault)
    chosen = {name: each for name, each in all_scenarios() if name in SCENARIOS}
    with run_with_delay(1, *([part.__name__] if part else [])) as run:
        run.begin()
        tasks = {name: Task(each, run.observed.transport) for name, each in chosen.items()}
        run.start(list(tasks.values()))
        outcomes = {name: run.outcome(task) for name, task in tasks.items()}

    assert outcomes.keys() == set(SCENARIOS)
    assert {name: each.detail for name, each in outcomes.items() if each.findings} == {}
    assert {each.verdict for each in outcomes.values()} == {Verdict.PASS}
    assert all(not mailbox.problem for mailbox in run.mailboxes)


def test_a_delay_that_is_too_long_to_wait_for_is_said() -> None:
    with run_with_delay(900, accounts=1) as run:
        run.begin()

    [mailbox] = run.mailboxes
    assert "s more before the next login (LOGIN-DELAY)" in mailbox.problem


def test_a_login_is_waited_for_from_the_last_one_of_the_same_account() -> None:
    logins = Logins(grace=0.0)
    logins.announced({"LOGIN-DELAY": ("60", "USER")})
    logins.announced({"LOGIN-DELAY": ("5",)}, "bob")
    for user in ("alice", "bob"):
        logins.succeeded(user)

    assert 59.0 < logins.missing("alice") <= 60.0
    assert 4.0 < logins.missing("bob") <= 5.0
    assert logins.missing("carol") == 0.0


@pytest.mark.parametrize("words", [(), ("0",), ("soon",), ("",)])
def test_without_a_number_there_is_no_delay(words: tuple[str, ...]) -> None:
    logins = Logins()
    logins.announced({"LOGIN-DELAY": words})
    logins.succeeded("alice")

    assert logins.missing("alice") == 0.0


def test_no_session_is_opened_where_the_wait_is_too_long() -> None:
    with run_with_delay(900, accounts=1) as run:
        run.logins.announced({"LOGIN-DELAY": ("900",)})
        run.logins.succeeded(ALICE.user)

        with pytest.raises(TooEarly, match="900 s more"):
            open_session(run.target, Recorder(), account=ALICE, logins=run.logins)
