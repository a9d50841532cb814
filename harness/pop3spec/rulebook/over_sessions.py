"""Rules that only several sessions together can break.

Pure functions of the facts that sessions recorded. The process that writes
the reports judges them once, when everything else is done.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from itertools import pairwise

from pop3spec.protocol.text import show
from pop3spec.rulebook.judgement import HELD, Broken, Held
from pop3spec.rulebook.observers import Seen


@dataclass(frozen=True)
class SessionFacts:
    """What one session shows that only several sessions together can be judged by.

    `test` is the id of the test that drove it, `filling` names the filling of
    the maildrop that it saw, `opened` and `closed` are seconds on one clock.
    `counts` has the messages at the opening by each command that told them.
    `unique_ids` are those of a complete listing at the opening, None where
    there was none; `sizes` are those that LIST gave, `digests` are of the
    messages that were retrieved. `ended` is 'quit', 'quit refused', 'quit unanswered'
    or 'dropped'. `expires`: a policy that removes mail is announced; `keeps`:
    EXPIRE NEVER is. `logged_in`: it came to the TRANSACTION state; `locked_out`: its
    last login was refused with the words that the maildrop is in use. `challenges` are
    pairs of a mechanism, or a family of them, and what no other exchange of it may have.
    """

    account: str | None
    filling: str
    opened: float
    closed: float
    timestamp: str | None
    counts: Mapping[str, int]
    unique_ids: Mapping[int, str] | None
    sizes: Mapping[int, int]
    digests: Mapping[int, str]
    marked: tuple[int, ...]
    ended: str
    expires: bool
    keeps: bool
    may_change: bool
    logged_in: bool = False
    locked_out: bool = False
    challenges: tuple[tuple[str, str], ...] = ()
    test: str = ""

    def as_data(self) -> dict[str, object]:
        """Plain data, for another process."""
        return asdict(self)


def facts_from(data: Mapping[str, object]) -> SessionFacts:
    """The inverse of `SessionFacts.as_data`; keys of mappings may have become text."""
    values = {field.name: data[field.name] for field in fields(SessionFacts)}
    for name in ("unique_ids", "sizes", "digests"):
        mapping = values[name]
        if isinstance(mapping, Mapping):
            values[name] = {int(number): value for number, value in mapping.items()}
    marked = values["marked"]
    assert isinstance(marked, (list, tuple))
    values["marked"] = tuple(marked)
    challenges = values["challenges"]
    assert isinstance(challenges, (list, tuple))
    values["challenges"] = tuple((mechanism, value) for mechanism, value in challenges)
    return SessionFacts(**values)  # type: ignore[arg-type]  # keys are field names


@dataclass(frozen=True)
class OverSessions:
    """What a rule over several sessions came to, and the tests that showed it."""

    rule: str
    judgement: Held | Broken
    tests: tuple[str, ...]


_Judged = Iterator[tuple[Held | Broken, tuple[str, ...]]]


def timestamps_differ(sessions: Sequence[SessionFacts]) -> _Judged:
    """No two greetings have the same timestamp (RFC 1939, section 7)."""
    seen: dict[str, SessionFacts] = {}
    for session in sessions:
        if session.timestamp is None:
            continue
        first = seen.setdefault(session.timestamp, session)
        if first is not session:
            yield (
                Broken(f"the timestamp '{session.timestamp}' in two greetings"),
                (first.test, session.test),
            )
    if len(seen) > 1:
        yield HELD, ()


# Octets of a challenge that a finding shows.
_WIDTH = 120


def challenges_differ(
    mechanism: str, sessions: Sequence[SessionFacts], *, within_one: bool = True
) -> _Judged:
    """No two exchanges of a mechanism have the same challenge, or nonce of the server.

    Without `within_one` those of one session are not compared with each other.
    """
    seen: dict[str, SessionFacts] = {}
    for session in sessions:
        for each, value in session.challenges:
            if each != mechanism:
                continue
            if value in seen and (within_one or seen[value] is not session):
                tests = tuple(dict.fromkeys((seen[value].test, session.test)))
                shown = show(value.encode(), _WIDTH)
                yield Broken(f"'{shown}' of the server in two exchanges of {mechanism}"), tests
            seen.setdefault(value, session)
    if len(seen) > 1:
        yield HELD, ()


@dataclass(frozen=True)
class _Pair:
    """Two sessions, one after the other, on one filling of one maildrop."""

    earlier: SessionFacts
    later: SessionFacts

    @property
    def tests(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self.earlier.test, self.later.test)))

    @property
    def counts(self) -> tuple[int, int] | None:
        """The messages at both openings, told by the same command."""
        for word in ("UIDL", "LIST", "STAT"):
            if word in self.earlier.counts and word in self.later.counts:
                return self.earlier.counts[word], self.later.counts[word]
        return None

    @property
    def missing(self) -> set[str]:
        """Unique-ids of the earlier session that the later one has no more."""
        return set(_ids(self.earlier)) - set(_ids(self.later))

    @property
    def new(self) -> set[str]:
        """Unique-ids of the later session that the earlier one did not have."""
        return set(_ids(self.later)) - set(_ids(self.earlier))

    @property
    def renamed(self) -> str:
        """A unique-id that has the size of another message of the earlier session, or ''.

        Another size alone says nothing: stores of the mbox kind add header fields.
        """
        if not (_are_distinct(self.earlier) and _are_distinct(self.later)):
            return ""  # another rule: that ids are unique
        earlier, later = _sizes_by_id(self.earlier), _sizes_by_id(self.later)
        common = earlier.keys() & later.keys()
        moved = [name for name in earlier if name in common and later[name] != earlier[name]]
        # A size of which there was none says that the store rewrote messages, not that ids moved.
        if any(later[name] not in earlier.values() for name in common):
            return ""
        return next(iter(moved), "")

    @property
    def ids_tell(self) -> bool:
        """By the unique-ids of both sessions it is sure which message is which."""
        known = _sizes_by_id(self.earlier).keys() & _sizes_by_id(self.later).keys()
        common = set(_ids(self.earlier)) & set(_ids(self.later))
        if self.new or self.renamed or common - known:
            return False
        return _are_distinct(self.earlier) and _are_distinct(self.later)

    @property
    def marked(self) -> set[str]:
        """Unique-ids that the earlier session marked as deleted."""
        return self.ids_of(self.earlier.marked)

    def ids_of(self, numbers: Iterable[int]) -> set[str]:
        """Unique-ids that messages of the earlier session had."""
        ids = self.earlier.unique_ids or {}
        return {ids[number] for number in numbers if number in ids}


def _ids(session: SessionFacts) -> Iterable[str]:
    return (session.unique_ids or {}).values()


def _sizes_by_id(session: SessionFacts) -> dict[str, int]:
    ids = session.unique_ids or {}
    return {ids[number]: size for number, size in session.sizes.items() if number in ids}


def _are_distinct(session: SessionFacts) -> bool:
    ids = list(_ids(session))
    return len(set(ids)) == len(ids)


def _pairs(sessions: Sequence[SessionFacts]) -> Iterator[_Pair]:
    by_filling: dict[str, list[SessionFacts]] = defaultdict(list)
    for session in sessions:
        # A session that told nothing may have removed something all the same.
        if session.filling and (_tells(session) or session.marked or session.may_change):
            by_filling[session.filling].append(session)
    for group in by_filling.values():
        group.sort(key=lambda session: session.opened)
        # Sessions side by side, and what comes behind them, have no clear order.
        if any(one.closed > other.opened for one, other in pairwise(group)):
            continue
        for one, other in pairwise(group):
            # A server may be at it still, and shows the mail to others meanwhile.
            if one.ended == "quit unanswered" and one.marked:
                break
            if _tells(one) and _tells(other):
                yield _Pair(one, other)


def _tells(session: SessionFacts) -> bool:
    """It says what was in the maildrop, and nothing else changed that."""
    return bool(session.counts) and not session.may_change


def update_removes(sessions: Sequence[SessionFacts]) -> _Judged:
    """What was marked is gone after a positive reply to QUIT (RFC 1939, section 6)."""
    for pair in _pairs(sessions):
        marked = len(pair.earlier.marked)
        if pair.earlier.ended != "quit" or not marked or pair.counts is None:
            continue
        still = pair.marked.intersection(_ids(pair.later)) if pair.ids_tell else set()
        before, after = pair.counts
        if still:
            yield Broken(f"{len(still)} of {marked} marked messages still there"), pair.tests
        elif after > before - marked:
            yield Broken(f"{after} messages, of {before} with {marked} marked"), pair.tests
        else:
            yield HELD, ()


def unmarked_stay(sessions: Sequence[SessionFacts]) -> _Judged:
    """What was not marked is there after QUIT (RFC 1939, section 6).

    A site may remove what was retrieved (section 8), unless EXPIRE NEVER says
    that this one does not (RFC 2449, section 6.7).
    """
    for pair in _pairs(sessions):
        earlier = pair.earlier
        if earlier.ended == "dropped" or earlier.expires:
            continue
        gone = set(earlier.marked) | (set() if earlier.keeps else set(earlier.digests))
        yield from _loss(pair, len(gone), pair.ids_of(gone), "QUIT")


def no_removal_without_quit(sessions: Sequence[SessionFacts]) -> _Judged:
    """Everything is there after a session without QUIT (RFC 1939, section 6)."""
    for pair in _pairs(sessions):
        if pair.earlier.ended == "dropped":
            yield from _loss(pair, 0, set(), "a session without QUIT")


def _loss(pair: _Pair, removed: int, removed_ids: set[str], how: str) -> _Judged:
    """Fewer messages than may be there, or as many and others than the marked gone."""
    if pair.counts is None:
        return
    before, after = pair.counts
    if after < before - removed:
        yield Broken(f"{after} messages after {how}, {before - removed} expected"), pair.tests
    elif (
        pair.ids_tell and pair.missing - removed_ids and removed_ids.intersection(_ids(pair.later))
    ):
        yield Broken(f"another message than the marked one is gone after {how}"), pair.tests
    else:
        yield HELD, ()


def ids_persist(sessions: Sequence[SessionFacts]) -> _Judged:
    """A message has the same unique-id in the next session (RFC 1939, section 7)."""
    for pair in _pairs(sessions):
        earlier, later = pair.earlier, pair.later
        if earlier.unique_ids is None or later.unique_ids is None:
            continue
        if pair.new:
            shown = ", ".join(sorted(pair.new)[:3])
            yield Broken(f"unique-ids that the session before did not have: {shown}"), pair.tests
        elif pair.renamed:
            got = f"the unique-id '{pair.renamed}' for a message of another size than before"
            yield Broken(got), pair.tests
        else:
            yield HELD, ()


def ids_are_not_reused(sessions: Sequence[SessionFacts]) -> _Judged:
    """A unique-id does not come back for another message (RFC 1939, section 7)."""
    owners: dict[tuple[str, str], tuple[str, SessionFacts]] = {}
    judged = False
    for session in sessions:
        if session.account is None or session.unique_ids is None:
            continue
        if not _are_distinct(session):
            continue  # another rule: that ids are unique
        for number, unique_id in session.unique_ids.items():
            digest = session.digests.get(number)
            if digest is None:
                continue
            key = (session.account, unique_id)
            known, first = owners.setdefault(key, (digest, session))
            judged = True
            if known != digest:
                yield (
                    Broken(f"the unique-id '{unique_id}' for two different messages"),
                    tuple(dict.fromkeys((first.test, session.test))),
                )
    if judged:
        yield HELD, ()


def observe_sessions(sessions: Sequence[SessionFacts]) -> Iterator[Seen]:
    """What several sessions together show of the freedom that the RFCs leave."""
    for pair in _pairs(sessions):
        earlier, marked = pair.earlier, len(pair.earlier.marked)
        if pair.counts is None:
            continue
        gone = pair.counts[0] - pair.counts[1]
        if earlier.ended == "quit refused" and marked:
            how_many = "none" if gone <= 0 else "all" if gone >= marked else "some"
            yield "partial-update", f"{how_many} of the marked messages"
        # Sections 8 of RFC 1939 and 6.7 of RFC 2449: a site may have rules of its own.
        if earlier.ended == "quit" and earlier.expires and earlier.digests:
            yield "removal-by-policy", f"what was retrieved {'goes' if gone > marked else 'stays'}"


# Seconds behind the last session with a maildrop, after which nobody can have it any more.
_RELEASED = 2.0


def lock_is_released(sessions: Sequence[SessionFacts]) -> _Judged:
    """The maildrop is free when all who had it have quit (RFC 1939, section 6).

    A session that was dropped may hold the lock for longer, and so may others where the
    mailbox is not ours to fill.
    """
    by_account: dict[str, list[SessionFacts]] = defaultdict(list)
    for session in sorted(sessions, key=lambda session: session.opened):
        if session.account is not None:
            by_account[session.account].append(session)
    for group in by_account.values():
        if not any(session.filling for session in group):
            continue
        had: list[SessionFacts] = []
        for session in group:
            if any(each.ended not in _ENDS_OF_QUIT for each in had):
                break
            if session.locked_out and had and not _is_beside_one(session, group):
                free_for = session.opened - max(each.closed for each in had)
                if free_for > _RELEASED:
                    got = f"a maildrop in use {free_for:.0f} s after all who had it have quit"
                    yield Broken(got), (had[-1].test, session.test)
            if session.logged_in:
                if had:
                    yield HELD, ()
                had.append(session)


def _is_beside_one(session: SessionFacts, group: Sequence[SessionFacts]) -> bool:
    """Another session had the maildrop at some time while this one was open."""
    return any(
        other.logged_in and other.opened < session.closed and other.closed > session.opened
        for other in group
    )


_ENDS_OF_QUIT = frozenset({"quit", "quit refused"})


OVER_SESSIONS: Mapping[str, Callable[[Sequence[SessionFacts]], _Judged]] = {
    "rfc1939-6-lock-released": lock_is_released,
    "rfc1939-6-update-removes": update_removes,
    "rfc1939-6-unmarked-stay": unmarked_stay,
    "rfc1939-6-no-quit-no-removal": no_removal_without_quit,
    "rfc1939-7-uidl-persistent": ids_persist,
    "rfc1939-7-uidl-no-reuse": ids_are_not_reused,
    "rfc1939-7-apop-timestamp-differs": timestamps_differ,
    "rfc2195-2-challenge-differs": partial(challenges_differ, "CRAM-MD5", within_one=False),
    "rfc2831-2.1.1-nonce-differs": partial(challenges_differ, "DIGEST-MD5"),
    "rfc5802-5.1-nonce-differs": partial(challenges_differ, "SCRAM"),
}


def judge_sessions(sessions: Sequence[SessionFacts]) -> list[OverSessions]:
    """What each rule over several sessions came to; rules that nothing touched are left out."""
    judged = []
    for rule, check in OVER_SESSIONS.items():
        results = list(check(sessions))
        broken = next((result for result in results if isinstance(result[0], Broken)), None)
        if broken is not None:
            judged.append(OverSessions(rule, *broken))
        elif results:
            judged.append(OverSessions(rule, *results[0]))
    return judged
