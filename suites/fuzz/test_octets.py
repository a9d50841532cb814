"""Octets that are no POP3 at all, and the client that comes next."""

from pop3spec.fixtures import Ground, blocked
from pop3spec.fuzzing.campaign import explore
from pop3spec.fuzzing.properties import PROPERTIES


def test_whatever_one_client_sends_the_next_one_is_served(ground: Ground) -> None:
    """Other protocols, NUL, halves of lines and of exchanges, TLS in the clear, noise."""
    if not ground.run.target.allow_stress:
        blocked("it sends what no client does, and a lot of it; permit that with --allow-stress")
    explore(ground, PROPERTIES["octets"])
