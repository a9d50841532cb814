"""The time between two logins to one account, where the target wants some (LOGIN-DELAY).

RFC 2449, section 6.5.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pop3spec.refusals import SessionRefused

# Seconds between two logins to one account that are waited for; with more there is no second.
MAX_LOGIN_DELAY = 120


@dataclass(eq=False)
class Logins:
    """How long an account has to wait, where the target wants time between two logins.

    RFC 2449, section 6.5: the time is announced, for everybody and after the login for this
    account, and counts from the last login that succeeded. `grace` is for a server whose
    clock knows whole seconds; `stopped` ends each wait.
    """

    grace: float = 1.0
    stopped: threading.Event = field(default_factory=threading.Event)
    _everybody: float = 0.0
    _own: dict[str, float] = field(default_factory=dict)
    _last: dict[str, float] = field(default_factory=dict)

    def announced(self, listed: Mapping[str, Sequence[str]], user: str | None = None) -> None:
        """Take the delay from a capability list, that of a session of a user if one is named."""
        value = "".join(listed.get("LOGIN-DELAY", ())[:1])
        seconds = float(value) if value.isascii() and value.isdigit() else 0.0
        if user is None:
            self._everybody = seconds
        else:
            self._own[user] = seconds

    def succeeded(self, user: str) -> None:
        """The account was logged in a moment ago."""
        self._last[user] = time.monotonic()

    def missing(self, user: str) -> float:
        """The seconds until this account may log in again."""
        delay, last = self._own.get(user, self._everybody), self._last.get(user)
        if not delay or last is None:
            return 0.0
        return max(0.0, last + delay + self.grace - time.monotonic())


class TooEarly(SessionRefused):
    """The target wants so much time between two logins that it is not waited for."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"the target wants {seconds:.0f} s more before the next login (LOGIN-DELAY)",
            is_limit=False,
        )


def await_turn(logins: Logins | None, user: str | None) -> None:
    """Wait until an account may log in; TooEarly where that takes too long."""
    if logins is None or user is None:
        return
    missing = logins.missing(user)
    if missing > MAX_LOGIN_DELAY + logins.grace:
        raise TooEarly(missing)
    if missing:
        logins.stopped.wait(missing)
