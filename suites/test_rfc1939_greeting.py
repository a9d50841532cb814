"""Greetings of connections that stand open at the same time."""

from collections.abc import Callable

import pytest

from pop3spec.refusals import SessionRefused
from pop3spec.session import Session

CONNECTIONS = 10


@pytest.mark.rules("rfc1939-7-apop-timestamp-differs")
def test_greetings_within_a_moment_have_different_timestamps(
    new_session: Callable[[], Session],
) -> None:
    """A timestamp made of seconds, or of the process, repeats here."""
    timestamps = []
    for _ in range(CONNECTIONS):
        try:
            timestamps.append(new_session().timestamp)
        except SessionRefused:
            break  # the target's limit on connections

    if None in timestamps:
        pytest.skip("not applicable: the greeting has no timestamp")
    if len(timestamps) < 2:
        pytest.skip("blocked: the target gives one connection at a time")
    assert len(set(timestamps)) == len(timestamps)
