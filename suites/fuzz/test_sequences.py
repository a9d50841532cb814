"""Sequences of commands that nobody thought of, with a model of the maildrop beside them.

Each example begins with a fresh filling. What breaks a rule is repeated, made short, and written
as a scenario into `found/` of the report directory.
"""

from pop3spec.fixtures import Ground
from pop3spec.fuzzing.campaign import explore
from pop3spec.fuzzing.properties import PROPERTIES


def test_one_session_agrees_with_the_model(ground: Ground) -> None:
    """One session after the other on one maildrop, in whatever way each of them ends."""
    explore(ground, PROPERTIES["one-session"])


def test_several_sessions_agree_with_the_model(ground: Ground) -> None:
    """Two and three sessions at the same time, on one and on several maildrops."""
    explore(ground, PROPERTIES["several-sessions"])
