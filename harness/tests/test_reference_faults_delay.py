"""LOGIN-DELAY in the reference server: what it says in time, and what its faults say instead."""

import threading
import time
from collections.abc import Sequence

import pytest
from rawclient import connected

from pop3spec.reference import MemoryStore, ReferenceServer
from pop3spec.reference.offer import LoginDelay

ACCOUNTS = {"alice": "secret", "bob": "other"}
IN, EARLY = b"+OK maildrop", b"-ERR [LOGIN-DELAY]"

# Fault -> when alice logs in, in seconds, and what she hears with it; honest is AT.
MOMENTS = (0.0, 0.7, 1.1)
AT = [IN, EARLY, IN]
SCRIPTS: dict[str, Sequence[bytes]] = {
    "delay-only-announced": [IN, IN, IN],
    "refused-login-begins-the-delay-again": [IN, EARLY, EARLY],
    "delay-looked-up-for-the-name": AT,
}


def logins(*faults: str) -> tuple[list[bytes], list[bytes]]:
    """The replies to USER, and the last ones, of a login at each moment."""
    names, ends = [], []
    server = ReferenceServer(MemoryStore(), ACCOUNTS, faults=faults, login_delay=LoginDelay(1))
    with server:
        begun = time.monotonic()
        for moment in MOMENTS:
            threading.Event().wait(max(0.0, begun + moment - time.monotonic()))
            with connected(server.address) as client:
                names.append(client.ask("USER alice"))
                is_named = names[-1].startswith(b"+OK")
                ends.append(client.ask("PASS secret") if is_named else names[-1])
                client.ask("QUIT")
    return names, ends


def test_the_delay_counts_from_the_last_login_that_succeeded() -> None:
    names, ends = logins()

    assert [end.startswith(word) for end, word in zip(ends, AT, strict=True)] == [True] * 3
    assert all(name.startswith(b"+OK") for name in names)


@pytest.mark.parametrize("fault", SCRIPTS)
def test_a_fault_of_the_delay_differs_from_the_honest_server(fault: str) -> None:
    names, ends = logins(fault)

    said = zip(ends, SCRIPTS[fault], strict=True)
    assert [end.startswith(word) for end, word in said] == [True] * 3
    is_at_user = fault == "delay-looked-up-for-the-name"
    assert any(name.startswith(EARLY) for name in names) is is_at_user


def test_each_account_has_its_own_delay_and_hears_of_it_after_the_login() -> None:
    delay = LoginDelay(60, {"bob": 0})
    with ReferenceServer(MemoryStore(), ACCOUNTS, login_delay=delay) as server:
        with connected(server.address) as client:
            before = client.lines("CAPA")
        for _ in range(2):
            with connected(server.address) as client:
                client.ask("USER bob")
                assert client.ask("PASS other").startswith(IN)
                after = client.lines("CAPA")
                client.ask("QUIT")

    assert b"LOGIN-DELAY 60 USER" in before
    assert b"LOGIN-DELAY 0" in after


def test_a_server_without_a_delay_announces_none() -> None:
    with ReferenceServer(MemoryStore(), ACCOUNTS) as server, connected(server.address) as client:
        listed = client.lines("CAPA")

    assert not any(line.startswith(b"LOGIN-DELAY") for line in listed)
