"""Commands in the clear behind STLS: found in each spelling, and not where there are none."""

import pytest
from suite_proof import Conversation, conversations, converse

INJECTION = "robust-no-command-injection"
BAITED = [each for each in conversations() if INJECTION in each.rules]
BLANKS = "commands-survive-stls-with-blanks"
# Behind STLS the first octets are the ClientHello's, so what comes late spoils the handshake.
HARMLESS = ("two writes", "a late write")


def spelling(conversation: Conversation) -> str:
    bait = conversation.arguments.get("bait")
    return bait.title if bait is not None else str(conversation.arguments)  # type: ignore[attr-defined]


def fault_for(conversation: Conversation) -> str:
    """A reference server that accepts STLS in this spelling, and keeps what follows it."""
    return BLANKS if "a blank" in spelling(conversation) else "commands-survive-stls"


@pytest.mark.parametrize("conversation", BAITED, ids=spelling)
def test_what_survives_stls_is_found_in_this_spelling(conversation: Conversation) -> None:
    accused = converse(conversation, fault_for(conversation))

    expected = set() if spelling(conversation) in HARMLESS else {INJECTION}
    assert set(accused.rules) == expected


@pytest.mark.parametrize("conversation", BAITED, ids=spelling)
def test_a_sound_server_is_not_accused_of_it(conversation: Conversation) -> None:
    accused = converse(conversation)

    assert accused.rules == {}
