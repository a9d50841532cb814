"""The messages that a scenario has in its maildrop, and what its sessions may know of them."""

import re
from collections.abc import Iterable
from contextlib import suppress

from pop3spec.maildrop import DoorError, OtherRunError
from pop3spec.probe import PROBE_MESSAGE
from pop3spec.rulebook.history import Filling, body_of, is_unusual
from pop3spec.runner.blocked import Blocked
from pop3spec.runner.case import Case
from pop3spec.runner.judge import Judge
from pop3spec.scenario import Message

# The beginning of a header field (RFC 5322, section 2.2).
_FIELD = re.compile(rb"[!-9;-~]+:")


class Filler:
    """Fills the maildrop of one scenario, where there is a door that opens."""

    def __init__(self, judge: Judge, case: Case) -> None:
        self._judge = judge
        self._mailbox = case.mailbox
        self._scenario = case.scenario
        self._has_delivered = False

    def fill(self) -> None:
        """Put the filling in; Blocked where the door does not let it."""
        door, mailbox = self._judge.door, self._mailbox
        if mailbox is None or door is None or self._judge.observed.door_problem:
            return
        # First of all: a filling that fails half-way is cleared at the end like any other.
        mailbox.filling += 1
        try:
            door.fill(mailbox.account.user, self._messages())
        except DoorError as error:
            if isinstance(error, OtherRunError):
                self._judge.other_runs.add(str(error))
            raise Blocked(str(error)) from error

    def deliver(self, messages: Iterable[Message]) -> None:
        """Add messages while sessions may be open; Blocked where the door does not let them."""
        door, mailbox = self._judge.door, self._mailbox
        if door is None or mailbox is None:
            raise Blocked("no door to deliver mail; name one with --maildrop")
        for message in messages:
            try:
                door.add(mailbox.account.user, message.octets)
            except DoorError as error:
                raise Blocked(str(error)) from error
        mailbox.filling += 1
        self._has_delivered = True

    def clear(self) -> None:
        """Take the filling out: a server that trips over a message serves who has none."""
        mailbox, door = self._mailbox, self._judge.door
        if mailbox is None or door is None or not mailbox.filling:
            return
        # What remains is said when the run ends and clears each maildrop once more.
        with suppress(DoorError):
            door.clear(mailbox.account.user)

    def known(self, *, is_first: bool) -> Filling:
        """What a session may know that begins now, the first one or a later one."""
        if self._judge.door is None or self._judge.observed.door_problem:
            return Filling(may_change=True)
        octets = self._messages()
        delivered = [one.octets for step in self._scenario.steps for one in step.deliver]
        every = octets + delivered
        # What earlier sessions left there is what they are judged by.
        is_as_filled = is_first and not self._has_delivered
        return Filling(
            count=len(octets) if is_as_filled else None,
            is_clean=all(_is_clean(message) for message in every),
            is_distinct=len(set(every)) == len(every),
            is_unusual=any(is_unusual(message) for message in every),
            body=_only_body(octets) if is_as_filled else None,
        )

    def _messages(self) -> list[bytes]:
        """The filling; a scenario that does not care gets one plain message."""
        if self._scenario.maildrop is None:
            return [PROBE_MESSAGE]
        return [message.octets for message in self._scenario.maildrop]


def _only_body(messages: list[bytes]) -> bytes | None:
    """The body of the only message, where it is one by RFC 5322."""
    if len(messages) != 1 or not _FIELD.match(messages[0]):
        return None
    return body_of(messages[0])


def _is_clean(message: bytes) -> bool:
    pairs = message.count(b"\r\n")
    return (
        message.endswith(b"\r\n")
        and message.count(b"\r") == pairs
        and message.count(b"\n") == pairs
    )
