"""Command lines from the grammar: right, nearly right and wrong, in one segment or in pieces."""

from pop3spec.fixtures import Ground
from pop3spec.fuzzing.campaign import explore
from pop3spec.fuzzing.properties import PROPERTIES


def test_any_command_line_gets_a_reply_or_a_clean_refusal(ground: Ground) -> None:
    """The rules judge each reply, the model what is left of the maildrop, and who comes next."""
    explore(ground, PROPERTIES["commands"])
