"""Runs tests side by side: a thread for each one in flight.

A test that waits on purpose holds an account but no slot, unless the width
was asked for. A test that wants another try gets it when nothing else runs.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field, replace

from pop3spec.accounts import AccountPool, Mailbox
from pop3spec.verdict import Outcome, Verdict

# Tests that wait on purpose, at the same time.
_MOST_WAITING = 64
# Second looks with one cause that have to agree with the first ones.
_ENOUGH = 3
# Second looks that have to agree with the first ones, whatever the causes; one that does not
# takes back as many as the other number says.
_PLENTY, _DOUBT = 40, 20


@dataclass(frozen=True)
class Attempt:
    """One run of a test; `again` asks for another one with nothing beside it.

    `is_lost`: nothing was seen but that the target gave no answer, which says nothing where
    it is gone. `is_crowded`: it turned a client away, perhaps for those that were there.
    `is_in_vain`: nothing was tried, since others waited for the same again and again.
    `is_limited`: a client was turned away for another one of the same test. `is_cut`: nothing
    was seen but that the target ended the connection, perhaps with those of others.
    """

    outcome: Outcome
    again: bool = False
    is_lost: bool = False
    is_crowded: bool = False
    is_in_vain: bool = False
    is_limited: bool = False
    is_cut: bool = False

    @property
    def cause(self) -> str:
        """What made it ask: the rules that were broken, else why it was blocked."""
        rules = sorted({finding.rule for finding in self.outcome.findings})
        return " ".join(rules) or self.outcome.detail


@dataclass
class Job:
    """One test to run.

    `run` gets the leased mailbox (None if it needs none or none is left) and
    whether it runs alone. `waits`: it spends its time waiting on purpose.
    `late`: it runs when the others are done. `name` and `known_wait` (in seconds)
    are for those who watch; `begun` is when it was given to a thread, None while it
    is in none, and `seconds` what it took in all its threads.
    """

    run: Callable[[Mailbox | None, bool], Attempt]
    needs_account: bool = False
    waits: bool = False
    late: bool = False
    name: str = ""
    known_wait: float = 0.0
    future: Future[Outcome] = field(default_factory=Future)
    first: Attempt | None = None
    begun: float | None = None
    seconds: float = 0.0


class Scheduler:
    """Starts all jobs at once; each job's future gets its outcome."""

    def __init__(self, pool: AccountPool, width: int, *, waits_count: bool) -> None:
        self._pool = pool
        self._width = width
        self._waits_count = waits_count
        self._changed = pool.workers
        self._pending: dict[tuple[bool, bool], deque[tuple[int, Job]]] = {}
        self._late: list[Job] = []
        self._again: list[Job] = []
        self._confirmed: Counter[str] = Counter()
        self._agreed = 0
        self._active = 0
        self._waiting = 0
        self._is_late = False  # the others are done
        self._narrowed = 0  # how often the width became less
        self._stopped = False

    def start(self, jobs: Sequence[Job]) -> None:
        """Begin with those that wait longest; the rest in the given order."""
        waiting = [job for job in jobs if job.waits and not job.late]
        pending = waiting + [job for job in jobs if not job.waits and not job.late]
        # By what they need, so that a look at the first of each kind tells what can begin.
        for place, job in enumerate(pending):
            kind = self._pending.setdefault((job.waits, job.needs_account), deque())
            kind.append((place, job))
        self._late = [job for job in jobs if job.late]
        extra = 0 if self._waits_count else min(len(waiting), _MOST_WAITING)
        for _ in range(min(len(jobs), self._width + extra)):
            threading.Thread(target=self._work, daemon=True).start()

    def stop(self) -> None:
        """Begin nothing more."""
        with self._changed:
            self._stopped = True
            for job in (*(job for kind in self._pending.values() for _, job in kind), *self._late):
                job.future.cancel()
            for job in self._again:  # they have begun, which cannot be cancelled
                job.future.set_exception(CancelledError())
            self._again.clear()
            self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                while (picked := self._pick()) is None:
                    if self._stopped or self._is_done:
                        return
                    self._changed.wait()
                job, mailbox, alone = picked
                waits = job.waits and not self._waits_count
                self._waiting += waits
                self._active += not waits
            try:
                self._run(job, mailbox, alone)
            finally:
                with self._changed:
                    self._waiting -= waits
                    self._active -= not waits
                    if mailbox is not None:
                        self._pool.give_back(mailbox)
                    # What has become possible this thread begins itself; at the end all go.
                    if self._is_done:
                        self._changed.notify_all()

    @property
    def _is_done(self) -> bool:
        idle = not self._active and not self._waiting
        return idle and not (any(self._pending.values()) or self._late or self._again)

    def _pick(self) -> tuple[Job, Mailbox | None, bool] | None:
        if self._stopped:
            return None
        for kind in sorted(filter(None, self._pending.values()), key=lambda kind: kind[0][0]):
            job = kind[0][1]
            taken = self._lease(job) if self._has_room(job) else None
            if taken is not None:
                kind.popleft()
                return job, taken[0], False
        idle = not self._active and not self._waiting
        if any(self._pending.values()) or (self._again and not idle):
            return None
        self._settle_what_is_known()
        # Before what is late, which may make the target slow.
        if self._again:
            taken = self._lease(self._again[0])
            return None if taken is None else (self._again.pop(0), taken[0], True)
        if self._late and (idle or self._is_late):
            self._is_late = True
            job = self._late[0]
            taken = self._lease(job) if self._has_room(job) else None
            if taken is not None:
                self._late.pop(0)
                self._changed.notify()  # there may be room for another one
                return job, taken[0], False
        return None

    def _settle_what_is_known(self) -> None:
        """Second looks that found the same each time need no more of their kind."""
        looked = []
        for job in self._again:
            if job.first is not None and self._is_known(job.first):
                job.future.set_result(job.first.outcome)
            else:
                looked.append(job)
        self._again = looked

    def _is_known(self, first: Attempt) -> bool:
        """What a second look would come to.

        Not of connections that ended: who trips a process that serves several takes others with
        it, which broke nothing.
        """
        if first.is_cut and first.outcome.findings:
            return False
        findings = first.outcome.findings
        # Without an exchange it is about who came next, and may have come at a bad moment.
        is_plain = (
            bool(findings) and not first.is_lost and None not in {f.exchange for f in findings}
        )
        return self._confirmed[first.cause] >= _ENOUGH or (is_plain and self._agreed >= _PLENTY)

    def _has_room(self, job: Job) -> bool:
        if job.waits and not self._waits_count:
            return self._waiting < _MOST_WAITING
        # Those that wait on purpose, and had begun before that counted, count as well.
        return self._active + self._waiting * self._waits_count < self._width

    def _lease(self, job: Job) -> tuple[Mailbox | None] | None:
        """The mailbox that the job needs, in a tuple; None: it has to wait for one."""
        if not job.needs_account or not self._pool.usable:
            return (None,)
        mailbox = self._pool.take()
        return None if mailbox is None else (mailbox,)

    def _run(self, job: Job, mailbox: Mailbox | None, alone: bool) -> None:
        if not alone and not job.future.set_running_or_notify_cancel():
            return
        begun = job.begun = time.monotonic()
        width = self._narrowed
        try:
            attempt = job.run(mailbox, alone)
        except BaseException as error:
            job.future.set_exception(error)
            return
        finally:
            job.begun = None
            job.seconds += time.monotonic() - begun
        if attempt.is_crowded:
            self._narrow(width)
        if attempt.again and not alone:
            with self._changed:
                if not self._stopped:
                    job.first = attempt
                    self._again.append(job)
                    self._changed.notify()
                    return
        outcome = attempt.outcome
        if job.first is not None:
            outcome = settled(job.first, attempt)
            with self._changed:
                agrees = outcome.verdict is job.first.outcome.verdict
                self._confirmed[job.first.cause] += agrees
                self._agreed += not job.first.is_cut if agrees else -_DOUBT
        # A run that is being stopped may have ended it already.
        with suppress(InvalidStateError):
            job.future.set_result(outcome)

    def _narrow(self, width: int) -> None:
        """Half as many at the same time, once for all that had begun with the same width."""
        with self._changed:
            at_once = self._active + self._waiting
            if width == self._narrowed and at_once > 1:
                self._narrowed += 1
                self._width = max(1, min(self._width, at_once) // 2)
                self._waits_count = True


def settled(first: Attempt, second: Attempt) -> Outcome:
    """The outcome of the second look, which says so where the first one was another."""
    seen, outcome = first.outcome, second.outcome
    if second.is_in_vain:
        return seen
    if seen.verdict is outcome.verdict:
        return outcome
    is_gone = outcome.verdict is Verdict.BLOCKED
    is_told = not first.is_lost and not second.is_limited
    if seen.verdict is Verdict.FAIL and is_gone and is_told:
        return seen  # what was seen was seen; the target may be gone since
    beside = f"{seen.verdict.value} while other sessions were open ({seen.detail})"
    return replace(outcome, detail="; ".join(filter(None, (outcome.detail, beside))))
