"""Tests side by side: how many, on which accounts, in which order, and how they end."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager

import pytest

from pop3spec.accounts import AccountPool, Mailbox
from pop3spec.schedule import Attempt, Job, Scheduler, settled
from pop3spec.target import Account
from pop3spec.verdict import Finding, Outcome, Verdict

PATIENCE = 10.0
PASSED = Outcome(Verdict.PASS)


class Desk:
    """Watches jobs: who is in flight, the most there ever were, and in which order they began."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.inside: list[str] = []
        self.begun: list[str] = []
        self.most = 0
        self.mailboxes: dict[str, list[Mailbox | None]] = {}
        self._leased: set[int] = set()
        self.collisions = 0
        self._open: set[str] = set()
        self._all_open = False

    @contextmanager
    def visit(self, name: str, mailbox: Mailbox | None) -> Iterator[None]:
        with self._changed:
            self.begun.append(name)
            self.inside.append(name)
            self.most = max(self.most, len(self.inside))
            self.mailboxes.setdefault(name, []).append(mailbox)
            if mailbox is not None:
                self.collisions += id(mailbox) in self._leased
                self._leased.add(id(mailbox))
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self.inside.remove(name)
                self._leased.discard(id(mailbox))
                self._changed.notify_all()

    def wait_until(self, condition: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, PATIENCE), (self.inside, self.begun)

    def let_go(self, *names: str) -> None:
        """Let these jobs end; without names all of them."""
        with self._changed:
            self._open.update(names)
            self._all_open |= not names
            self._changed.notify_all()

    def job(
        self,
        name: str,
        *,
        account: bool = False,
        waits: bool = False,
        late: bool = False,
        again: bool = False,
    ) -> Job:
        """A job that stays until it is let go."""

        def run(mailbox: Mailbox | None, alone: bool) -> Attempt:
            with self.visit(f"{name} alone" if alone else name, mailbox):
                if alone:
                    assert self.inside == [f"{name} alone"]
                else:
                    self.wait_until(lambda: self._all_open or name in self._open)
            return Attempt(Outcome(Verdict.PASS, name), again)

        return Job(run, needs_account=account, waits=waits, late=late)


def pool(count: int) -> AccountPool:
    return AccountPool([Mailbox(Account(f"user{n}", "secret")) for n in range(count)])


def names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


def test_the_width_bounds_what_is_in_flight_and_is_used() -> None:
    desk = Desk()
    jobs = [desk.job(name) for name in names("job", 12)]
    Scheduler(pool(0), 3, waits_count=False).start(jobs)

    desk.wait_until(lambda: len(desk.inside) == 3)
    desk.let_go()
    outcomes = [job.future.result(PATIENCE) for job in jobs]

    assert desk.most == 3
    assert [outcome.detail for outcome in outcomes] == names("job", 12)


def test_tests_that_wait_take_no_place() -> None:
    desk = Desk()
    waiting = [desk.job(name, waits=True) for name in names("wait", 5)]
    working = [desk.job(name) for name in names("job", 4)]
    Scheduler(pool(0), 2, waits_count=False).start([*working, *waiting])

    desk.wait_until(lambda: len(desk.inside) == 7)
    assert sorted(desk.begun[:7]) == sorted([*names("wait", 5), *names("job", 2)])
    desk.let_go()
    for job in (*waiting, *working):
        job.future.result(PATIENCE)
    assert desk.most == 7


def test_tests_that_wait_count_where_the_width_was_asked_for() -> None:
    desk = Desk()
    jobs = [desk.job(name, waits=True) for name in names("wait", 5)]
    Scheduler(pool(0), 2, waits_count=True).start(jobs)

    desk.wait_until(lambda: len(desk.inside) == 2)
    desk.let_go()
    for job in jobs:
        job.future.result(PATIENCE)

    assert desk.most == 2


def test_one_at_a_time_begins_with_those_that_wait_and_keeps_the_order() -> None:
    desk = Desk()
    jobs = [desk.job("a"), desk.job("b", waits=True), desk.job("c"), desk.job("d", waits=True)]
    desk.let_go()
    Scheduler(pool(0), 1, waits_count=True).start(jobs)

    for job in jobs:
        job.future.result(PATIENCE)
    assert desk.begun == ["b", "d", "a", "c"]


def test_a_mailbox_is_leased_to_one_test_at_a_time() -> None:
    desk = Desk()
    accounts = pool(2)
    jobs = [desk.job(name, account=True) for name in names("job", 20)]
    Scheduler(accounts, 8, waits_count=False).start(jobs)

    desk.wait_until(lambda: len(desk.inside) == 2)
    desk.let_go()
    for job in jobs:
        job.future.result(PATIENCE)

    assert desk.collisions == 0
    assert desk.most == 2
    assert {id(box) for boxes in desk.mailboxes.values() for box in boxes} == {
        id(box) for box in accounts.mailboxes
    }


def test_who_needs_no_mailbox_does_not_wait_for_one() -> None:
    desk = Desk()
    jobs = [desk.job("a", account=True), desk.job("b", account=True), desk.job("c")]
    Scheduler(pool(1), 3, waits_count=False).start(jobs)

    desk.wait_until(lambda: sorted(desk.inside) == ["a", "c"])
    desk.let_go()
    for job in jobs:
        job.future.result(PATIENCE)
    assert desk.begun[-1] == "b"
    assert desk.mailboxes["c"] == [None]


def test_without_any_usable_mailbox_tests_run_and_say_so() -> None:
    desk = Desk()
    desk.let_go()
    unusable = AccountPool([Mailbox(Account("bob", "secret"), problem="refused")])
    job = desk.job("a", account=True)
    Scheduler(unusable, 2, waits_count=False).start([job])

    job.future.result(PATIENCE)
    assert desk.mailboxes["a"] == [None]


def test_another_try_runs_when_nothing_else_does() -> None:
    desk = Desk()
    jobs = [desk.job(name, again=name in ("job0", "job1")) for name in names("job", 6)]
    Scheduler(pool(0), 6, waits_count=False).start(jobs)

    # The first two want another try while the others are still in flight.
    desk.let_go("job0", "job1")
    desk.wait_until(lambda: len(desk.inside) == 4)
    assert not any(name.endswith("alone") for name in desk.begun)
    desk.let_go()
    outcomes = [job.future.result(PATIENCE) for job in jobs]

    assert sorted(desk.begun[6:]) == ["job0 alone", "job1 alone"]
    assert [outcome.detail for outcome in outcomes] == names("job", 6)


def test_what_runs_late_begins_when_the_others_are_done() -> None:
    desk = Desk()
    jobs = [
        desk.job("late0", late=True),
        desk.job("late1", late=True),
        desk.job("early", again=True),
        desk.job("slow", waits=True),
    ]
    Scheduler(pool(0), 4, waits_count=False).start(jobs)

    desk.let_go("early")
    desk.wait_until(lambda: desk.inside == ["slow"])
    desk.let_go("slow")
    desk.wait_until(lambda: sorted(desk.inside) == ["late0", "late1"])
    desk.let_go()
    for job in jobs:
        job.future.result(PATIENCE)

    # The other try as well: what is late may make the target slow.
    assert sorted(desk.begun[:2]) == ["early", "slow"]
    assert desk.begun[2] == "early alone"
    assert sorted(desk.begun[3:]) == ["late0", "late1"]


def test_what_is_late_gets_another_try_too() -> None:
    desk = Desk()
    jobs = [desk.job(name, late=True, again=True) for name in names("late", 3)]
    desk.let_go()
    Scheduler(pool(0), 2, waits_count=False).start(jobs)

    for job in jobs:
        job.future.result(PATIENCE)
    assert sorted(name for name in desk.begun if name.endswith("alone")) == [
        f"{name} alone" for name in names("late", 3)
    ]


def test_a_failure_of_a_test_is_the_failure_of_its_future() -> None:
    def fail(mailbox: Mailbox | None, alone: bool) -> Attempt:
        raise SystemExit("enough")

    desk = Desk()
    desk.let_go()
    accounts = pool(1)
    jobs = [Job(fail, needs_account=True), desk.job("b", account=True)]
    Scheduler(accounts, 1, waits_count=False).start(jobs)

    with pytest.raises(SystemExit, match="enough"):
        jobs[0].future.result(PATIENCE)
    # Its mailbox is free again.
    assert jobs[1].future.result(PATIENCE).detail == "b"


def test_a_stop_lets_end_what_has_begun_and_begins_nothing_more() -> None:
    desk = Desk()
    jobs = [desk.job(name) for name in names("job", 5)]
    scheduler = Scheduler(pool(0), 2, waits_count=False)
    scheduler.start(jobs)

    desk.wait_until(lambda: len(desk.inside) == 2)
    scheduler.stop()
    desk.let_go()

    assert [job.future.result(PATIENCE).detail for job in jobs[:2]] == ["job0", "job1"]
    for job in jobs[2:]:
        with pytest.raises(CancelledError):
            job.future.result(PATIENCE)
    assert len(desk.begun) == 2


def test_a_stop_leaves_nobody_waiting_for_another_try() -> None:
    desk = Desk()
    jobs = [desk.job("first", again=True), desk.job("second", again=True), desk.job("third")]
    accounts = pool(0)
    scheduler = Scheduler(accounts, 3, waits_count=False)
    scheduler.start(jobs)
    desk.wait_until(lambda: len(desk.inside) == 3)
    desk.let_go("first")
    with accounts.workers:
        assert accounts.workers.wait_for(lambda: bool(scheduler._again), PATIENCE)

    scheduler.stop()
    desk.let_go()

    with pytest.raises(CancelledError):
        jobs[0].future.result(PATIENCE)
    # What wants another try behind the stop keeps what it has.
    assert jobs[1].future.result(PATIENCE).detail == "second"
    assert jobs[2].future.result(PATIENCE).detail == "third"
    assert len(desk.begun) == 3


def test_the_second_look_counts_and_says_what_was_seen_first() -> None:
    failed = Outcome(Verdict.FAIL, "no reply")

    assert settled(Attempt(failed), Attempt(failed)) is failed
    second = settled(Attempt(failed), Attempt(PASSED))
    assert second.verdict is Verdict.PASS
    assert second.detail == "fail while other sessions were open (no reply)"


def test_second_looks_that_agree_three_times_are_not_repeated() -> None:
    failed = Outcome(Verdict.FAIL, "no reply")
    looks: list[bool] = []

    def look(_: Mailbox | None, alone: bool) -> Attempt:
        looks.append(alone)
        return Attempt(failed, again=True)

    jobs = [Job(look) for _ in range(10)]
    Scheduler(pool(0), 2, waits_count=True).start(jobs)

    assert [job.future.result(PATIENCE) for job in jobs] == [failed] * 10
    assert looks.count(True) == 3


def test_who_lost_the_connection_with_others_is_looked_at_again_each_time() -> None:
    cut = Outcome(Verdict.FAIL, "cut", (Finding("rfc1939-3-stays-open", "the connection closed"),))

    def job(is_to_blame: bool) -> Job:
        def look(_: Mailbox | None, alone: bool) -> Attempt:
            outcome = PASSED if alone and not is_to_blame else cut
            return Attempt(outcome, again=True, is_lost=True, is_cut=True)

        return Job(look)

    jobs = [job(is_to_blame) for is_to_blame in [True] * 5 + [False]]
    Scheduler(pool(0), 2, waits_count=True).start(jobs)

    verdicts = [job.future.result(PATIENCE).verdict for job in jobs]
    assert verdicts == [Verdict.FAIL] * 5 + [Verdict.PASS]


def test_a_lease_waits_for_a_mailbox_and_gives_it_back() -> None:
    accounts = pool(1)
    got: list[Mailbox | None] = []

    def lease() -> None:
        with accounts.lease() as mailbox:
            got.append(mailbox)

    with accounts.lease() as mailbox:
        assert mailbox is accounts.mailboxes[0]
        other = threading.Thread(target=lease)
        other.start()
        assert got == []
    other.join(PATIENCE)

    assert got == [mailbox]
    with AccountPool([]).lease() as none:
        assert none is None


def test_a_filling_has_a_name_of_its_own() -> None:
    mailbox = Mailbox(Account("bob", "secret"))
    before = mailbox.filling_name
    mailbox.filling += 1

    assert before != mailbox.filling_name
    assert mailbox.filling_name != Mailbox(Account("eve", "secret"), filling=1).filling_name
