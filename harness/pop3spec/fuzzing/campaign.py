"""A property tried with many examples: what breaks a rule is repeated, shrunk and written down."""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from pop3spec.accounts import Mailbox
from pop3spec.fixtures import BLOCKED, Ground, Maildrop, blocked
from pop3spec.fuzzing.draws import Memory, drawn
from pop3spec.fuzzing.found import scenario_text
from pop3spec.fuzzing.play import HASTY, PATIENT, QUICK, Play
from pop3spec.fuzzing.shrink import shrunk
from pop3spec.fuzzing.steps import Accusation, Act, Conversation, Step
from pop3spec.maildrop.journal import state_directory
from pop3spec.opening import open_session
from pop3spec.recorder import Recorder
from pop3spec.refusals import SessionRefused
from pop3spec.rulebook.judgement import Broken
from pop3spec.rulebook.over_sessions import judge_sessions
from pop3spec.rulebook.rules import rulebook
from pop3spec.run import Run
from pop3spec.runner import attempt
from pop3spec.scenario import ScenarioError, load_scenarios
from pop3spec.target import Transport
from pop3spec.verdict import Finding

# What one broken rule may cost: plays, and seconds.
_MOST_PLAYS, _MOST_SECONDS = 150, 10.0
# Examples that cannot be tried in a row, and failures of a rule that do not repeat.
_MOST_BLOCKED, _MOST_UNSTABLE = 3, 3
# Rules of one property that are looked at closely.
_MOST_RULES = 12
# Starts of a server that died of what is known already.
_MOST_REVIVED = 3
# What may be the cause of what a neighbour sees.
_STIMULI = frozenset({Act.SAY, Act.POUR, Act.RESET, Act.CLOSE, Act.DELIVER, Act.EMPTY})
# Totals that are wrong where the sizes in them change, which breaks a rule of its own.
_TOTALS = frozenset(
    {"rfc1939-5-stat-total", "rfc1939-5-stat-without-marked", "rfc1939-5-rset-unmarks"}
)
_SIZES_CHANGE = "rfc1939-4-size-fixed"
# Seconds between two lines about how far it is.
_PROGRESS = 30.0


def _comes_before(one: Accusation, other: Accusation) -> bool:
    """What was broken in a step may be the cause of what is broken in a later one."""
    return one.rule != other.rule and one.step >= 0 and (other.step < 0 or one.step <= other.step)


def _with_looks(conversation: Conversation) -> Conversation:
    """The same with a look at all sizes before and behind each command after a login."""
    steps: list[Step] = []
    logged_in: set[int] = set()
    for step in conversation.steps:
        if step.act is Act.CONNECT:
            logged_in.discard(step.session)
        if step.act is Act.LOG_IN:
            logged_in.add(step.session)
        look = Step(Act.SAY, step.session, b"LIST\r\n")
        is_watched = step.act is Act.SAY and step.session in logged_in
        steps += [look, step, look] if is_watched else [step]
    return replace(conversation, steps=tuple(steps))


@dataclass(frozen=True)
class Property:
    """What is tried: how octets become the beginning of a conversation, and its steps.

    `connections` are open at the same time, at most. One that `can_stay_outside` is of use without
    a login as well.
    """

    name: str
    size: int
    begin: Callable[[bytes], Conversation]
    steps: Callable[[bytes, Play], Iterator[Step]]
    connections: int = 2
    can_stay_outside: bool = False


@dataclass(frozen=True)
class Found:
    """A rule that was broken: how, by which steps, and the file that does it again.

    `example` counts the examples up to the one that showed it, from 1. `file` is None where no
    scenario can do it; `repeats` says that the file broke the rule when it was tried.
    """

    accusation: Accusation
    conversation: Conversation
    example: int
    file: Path | None = None
    repeats: bool = False


@dataclass(eq=False)
class Campaign:
    """The examples of one property against one target.

    `recorder` gets what the examples show, and for each broken rule the transcript of its
    shortest conversation. `where` names the target in what is remembered. `tell` is called with
    lines about how far it is.
    """

    run: Run
    maildrops: Sequence[Maildrop]
    subject: Property
    recorder: Recorder
    examples: int
    seconds: float | None = None
    directory: Path | None = None
    memory: Memory | None = None
    replay: Callable[[Sequence[str]], str] = " ".join
    tell: Callable[[str], object] = str
    where: str = ""
    stays_outside: bool = False
    found: list[Found] = field(default_factory=list)
    unstable: Counter[str] = field(default_factory=Counter)
    # Rules that were broken behind another one alone.
    consequences: Counter[str] = field(default_factory=Counter)
    tried: int = 0
    commands: int = 0
    _stuck: set[str] = field(default_factory=set)
    _is_dying: bool = False
    # Sessions are dropped for others that do nothing, so that a drop says nothing.
    _is_crowded: bool = False
    _revived: int = 0

    def explore(self) -> None:
        """Try all examples; `found` has what they broke."""
        self._revive()
        begun = told = time.monotonic()
        refused = 0
        for octets, is_known in self._plans():
            now = time.monotonic()
            if self.seconds is not None and now > begun + self.seconds:
                break
            if now > told + _PROGRESS:
                told = now
                self.tell(f"{self.subject.name}: {self.tried} examples, {len(self.found)} found")
            if self.run.judge.stopped.is_set() or len(self.found) >= _MOST_RULES:
                break
            if self._revived >= _MOST_REVIVED:
                self.tell(f"{self.subject.name}: ended, for the server dies again and again")
                break
            try:
                is_clean = self._try(octets)
            except BLOCKED:
                refused += 1
                if refused >= _MOST_BLOCKED:
                    if self.found:
                        break
                    raise
                continue
            refused = 0
            if self.memory is not None and is_known and is_clean:
                self.memory.forget(self._key, octets)
        if told > begun:
            rate = self.commands / (time.monotonic() - begun)
            self.tell(
                f"{self.subject.name}: {self.tried} examples, {len(self.found)} found;"
                f" {self.commands} commands, {rate:.0f} a second"
            )
        if self.unstable and not self.found:
            # Said, and never dressed up as a failure.
            blocked(f"unstable: {', '.join(sorted(self.unstable))} broken once, and not again")

    @property
    def _key(self) -> str:
        return f"{self.where or self.run.target.address} {self.subject.name}"

    def _plans(self) -> Iterable[tuple[bytes, bool]]:
        remembered = [] if self.memory is None else self.memory.plans(self._key, self.subject.size)
        yield from ((octets, True) for octets in remembered)
        fresh = drawn(self.subject.name, self.run.settings.seed, self.subject.size)
        yield from ((octets, False) for octets in islice(fresh, self.examples))

    @property
    def _told(self) -> Set[str]:
        seen = self.unstable + self.consequences
        often = {rule for rule, count in seen.items() if count >= _MOST_UNSTABLE}
        return {each.accusation.rule for each in self.found} | often

    def _usable(self, number: int) -> Sequence[Maildrop]:
        usable = [each for each in self.maildrops if each.mailbox.account.user not in self._stuck]
        if len(usable) < min(number, len(self.maildrops)) or not usable:
            blocked("no account is left that is not locked")
        return usable

    def _try(self, octets: bytes) -> bool:
        """Play one example; whether it broke nothing new."""
        self.tried += 1
        conversation = self.subject.begin(octets)
        play = self._begun(conversation, self._told, QUICK)
        try:
            for step in self.subject.steps(octets, play):
                play.do(step)
            play.finish()
        except BLOCKED:
            if not play.locked:
                raise
            return True  # an account the less
        finally:
            play.close()
            self._merge(play)
        new = [each for each in play.accusations if each.rule not in self._told]
        if not new:
            return True
        if self.memory is not None:
            self.memory.keep(self._key, octets)
        played = replace(conversation, steps=tuple(play.played))
        for accusation in new:
            if accusation.rule not in self._told:
                self._examine(played, accusation)
        return False

    def _begun(
        self, conversation: Conversation, ignored: Set[str], delays: Sequence[float]
    ) -> Play:
        self._revive()
        drops = self._usable(conversation.maildrops)
        return Play(
            self.run, drops, conversation, ignored, delays, self.stays_outside, not self._is_crowded
        )

    def _revive(self) -> None:
        """Start a server again that serves nobody any more, where that is possible."""
        is_robust = any(rulebook()[each.accusation.rule].is_robust for each in self.found)
        if self.run.restart is None or not (is_robust or self._is_dying or not self.tried):
            return
        if self._is_serving():
            return
        if not self._is_dying:
            self._revived += 1
        self.run.restart()

    def _is_serving(self) -> bool:
        try:
            open_session(self.run.target, Recorder(), self.run.observed.transport).close()
        except SessionRefused:
            return False
        return True

    def _merge(self, play: Play) -> None:
        # What is observed on the way depends on the seed, and so is no property of the target.
        self.recorder.exercised |= play.recorder.exercised
        self.commands += sum(1 for each in play.recorder.transcript if each.sent)
        # After a lock that stays the account is of no use any more.
        self._stuck |= play.locked

    # --- What was broken ---

    def _again(self, conversation: Conversation, rule: str, delays: Sequence[float]) -> Play | None:
        """Play the steps once more, from a fresh filling; None where the rule is not broken."""
        others = rulebook().keys() - {rule}
        for _ in self.maildrops:
            try:
                play = self._begun(conversation, others, delays)
            except BLOCKED:
                return None
            try:
                play.play(conversation.steps)
            except (BLOCKED, SessionRefused):
                if not play.locked:
                    return None
                continue  # with the next account
            finally:
                self._merge(play)
            return play if any(each.rule == rule for each in play.accusations) else None
        return None

    def _examine(self, conversation: Conversation, accusation: Accusation) -> None:
        """See whether it happens again, make it short, and write it down."""
        rule = accusation.rule
        self._is_dying = rulebook()[rule].is_robust
        play = self._again(conversation, rule, HASTY if self._is_dying else PATIENT)
        if play is None:
            self.unstable[rule] += 1
            return
        conversation, play = self._shortened(conversation, rule, play)
        self._is_dying = False
        accusation = next(each for each in play.accusations if each.rule == rule)
        acts = [step.act for step in conversation.steps]
        if acts[accusation.step] is Act.ASK and _STIMULI.isdisjoint(acts):
            self._is_crowded = True
            return
        if any(_comes_before(each, accusation) for each in play.accusations):
            self.consequences[rule] += 1
            return
        if rule in _TOTALS and self._changes_sizes(conversation):
            self.consequences[rule] += 1
            return
        found = Found(accusation, conversation, self.tried)
        found = self._written(found)
        self.found.append(found)
        self._report(found, play)

    def _changes_sizes(self, conversation: Conversation) -> bool:
        """Looked at more closely, it is the size of a message that becomes another one."""
        closer = _with_looks(conversation)
        play = self._again(closer, _SIZES_CHANGE, QUICK)
        if play is None:
            return False
        if _SIZES_CHANGE not in self._told:
            cause = next(each for each in play.accusations if each.rule == _SIZES_CHANGE)
            self._examine(closer, cause)
        return True

    def _shortened(
        self, conversation: Conversation, rule: str, play: Play
    ) -> tuple[Conversation, Play]:
        until, left, best = time.monotonic() + _MOST_SECONDS, _MOST_PLAYS, play

        def fails(shorter: Conversation) -> bool:
            nonlocal left, best
            # An account for each play: with a lock that stays there are not many.
            is_scarce = bool(self._stuck) and len(self.maildrops) - len(self._stuck) < 2
            if left <= 0 or time.monotonic() > until or is_scarce:
                return False
            left -= 1
            again = self._again(shorter, rule, QUICK)
            if again is not None:
                best = again
            return again is not None

        # What was done behind it, it did without.
        done = replace(conversation, steps=tuple(play.played))
        shortest = shrunk(done, fails)
        return shortest, best

    def _written(self, found: Found) -> Found:
        """The same with its scenario file, and whether that breaks the rule by itself."""
        conversation = found.conversation
        if len(self.run.settings.transports) > 1 and self._transport is not Transport.PLAIN:
            conversation = replace(conversation, in_tls=True)
        text = scenario_text(self.subject.name, conversation, found.accusation)
        if text is None or self.directory is None:
            return found
        several = len(self.run.settings.transports) > 1
        layer = f".{self._transport.value}" if several else ""
        path = self.directory / f"{self.subject.name}{layer}.{found.accusation.rule}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return replace(found, file=path, repeats=self._repeats(path, found.accusation.rule))

    def _repeats(self, path: Path, rule: str) -> bool:
        try:
            [scenario] = load_scenarios(path, rulebook().keys()).scenarios
        except ScenarioError:
            return False
        self._is_dying = rulebook()[rule].is_robust
        try:
            self._revive()
            mailbox = self._mailbox()
            outcome = attempt(
                self.run.judge, scenario, self._transport, mailbox, alone=True
            ).outcome
        except BLOCKED:
            return False
        finally:
            self._is_dying = False
        accused = {each.rule for each in outcome.findings}
        for judged in judge_sessions(outcome.facts):
            if isinstance(judged.judgement, Broken):
                accused.add(judged.rule)
        return rule in accused

    @property
    def _transport(self) -> Transport:
        return self.maildrops[0].transport or self.run.observed.transport

    def _mailbox(self) -> Mailbox:
        return self._usable(1)[0].mailbox

    def _report(self, found: Found, play: Play) -> None:
        """Leave the finding, and what was said, at the test."""
        accusation, recorder = found.accusation, self.recorder
        shift, late = len(recorder.transcript), play.recorder.begun - recorder.begun
        recorder.transcript += [
            replace(each, sent_at=each.sent_at + late, answered_at=each.answered_at + late)
            for each in play.recorder.transcript
        ]
        places = [each.exchange for each in play.recorder.findings if each.rule == accusation.rule]
        place = places[0] if places and places[0] is not None else None
        recorder.exercised.add(accusation.rule)
        recorder.findings.append(
            Finding(
                accusation.rule,
                f"{accusation.got} (example {found.example}; {self._how_to_repeat(found)})",
                exchange=None if place is None else place + shift,
                where=str(found.file) if found.file is not None else "",
                command=f"{self.subject.name}, {len(found.conversation.steps)} steps",
            )
        )

    def _how_to_repeat(self, found: Found) -> str:
        if found.file is None:
            return "no scenario can do it: it takes a second account, a neighbour, or lost mail"
        command = self.replay([str(found.file)])
        return command if found.repeats else f"{command} does not break it by itself"


def explore(ground: Ground, tried: Property) -> None:
    """Try a property as the run wants it; what it breaks is left at the test."""
    run = ground.run
    delays = [
        listed["LOGIN-DELAY"]
        for listed in run.observed.capabilities.values()
        if listed.get("LOGIN-DELAY")
    ]
    why = ""
    if any(each[0] != "0" for each in delays) and not run.settings.slow:
        why = "the target wants time between two logins, of which this needs many; see --slow"
    if run.door is None:
        why = "no door to fill the maildrop; name one with --maildrop"
    elif run.observed.door_problem:
        why = run.observed.door_problem
    if why and not tried.can_stay_outside:
        blocked(why)
    if why:
        # The reason is told with what is blocked for it.
        ground.tell(f"{tried.name}: before the login alone")
    most = run.target.limits.connections
    if most is not None and most < tried.connections:
        blocked(f"it needs {tried.connections} connections, and the target's limit is {most}")
    is_remembered = not (run.settings.is_seeded or os.environ.get("CI"))
    Campaign(
        run,
        ground.maildrops,
        tried,
        ground.recorder,
        run.settings.examples,
        run.settings.fuzz_seconds,
        ground.directory,
        Memory(state_directory() / "fuzzing") if is_remembered else None,
        ground.replay,
        ground.tell,
        # Its port is another one each time.
        "the embedded server" if run.settings.target is None else "",
        stays_outside=bool(why),
    ).explore()
