"""What the probe makes of a target: how it is reached, what it offers, what its door shows."""

import json
import socket
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from scripted import HELLO, LOGIN, Line, Move, Scripted, close

from pop3spec import probe as probes
from pop3spec.accounts import Mailbox
from pop3spec.embedded import Embedded, start_embedded
from pop3spec.probe import PROBE_MESSAGE, Observed, observed_from, probe, reach
from pop3spec.recorder import Recorder
from pop3spec.reference.door import MemoryDoor
from pop3spec.reference.offer import Cleartext
from pop3spec.reference.server import ReferenceServer
from pop3spec.reference.stores import MemoryStore
from pop3spec.target import Account, Address, Target, TargetError, Timeouts, Transport

ALICE, BOB = Account("alice", "correct-horse"), Account("bob", "battery-staple")
BYE: Sequence[Move] = ("QUIT", b"+OK\r\n", close)
NO_CAPA: Sequence[Move] = ("CAPA", b"-ERR\r\n")
LOOK = (HELLO, *NO_CAPA)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "_BACK_OFF", (0.01, 0.01))


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def server(store: MemoryStore) -> Iterator[ReferenceServer]:
    accounts = {account.user: account.password for account in (ALICE, BOB)}
    with ReferenceServer(store, accounts) as started:
        yield started


def target_of(server: ReferenceServer) -> Target:
    return Target(
        Address(*server.address), (ALICE, BOB), timeouts=Timeouts(5, 5, 5), allow_cleartext=True
    )


def looked(*scripts: Sequence[Move], **changes: Any) -> tuple[Observed, Mailbox]:
    """What the probe sees of scripted sessions: before the login, and then each login."""
    mailbox = Mailbox(ALICE)
    with Scripted(*scripts) as server:
        target = replace(server.target(), **changes)
        observed = probe(target, [mailbox], None, Recorder())
    return observed, mailbox


def test_the_reference_server_is_seen_as_it_is(server: ReferenceServer, store: MemoryStore) -> None:
    recorder = Recorder()
    mailboxes = [Mailbox(ALICE), Mailbox(BOB)]
    observed = probe(target_of(server), mailboxes, MemoryDoor(store), recorder)

    assert observed.transport is Transport.PLAIN
    assert not observed.use_apop
    assert {"TOP", "UIDL", "USER", "CAPA", "APOP"} <= observed.features
    assert observed.capabilities["AUTHORIZATION"] == observed.capabilities["TRANSACTION"]
    assert observed.announced is not None
    assert observed.announced["EXPIRE"] == ("NEVER",)
    assert observed.implementation is not None
    assert observed.implementation.startswith("pop3spec-")
    assert observed.greeting.startswith("+OK pop3spec reference server")
    assert (observed.login_problem, observed.door_problem) == ("", "")
    assert not any(mailbox.problem for mailbox in mailboxes)
    # Its own sessions are judged like all others, and nothing of its message stays.
    assert recorder.findings == []
    assert recorder.exercised
    assert [store.entries(account.user) for account in (ALICE, BOB)] == [[], []]


def test_what_was_observed_crosses_processes_as_plain_data(
    server: ReferenceServer, store: MemoryStore
) -> None:
    observed = probe(target_of(server), [Mailbox(ALICE)], MemoryDoor(store), Recorder())

    assert observed_from(json.loads(json.dumps(observed.as_data()))) == observed
    refused = Observed(transports=(Transport.STLS,), login_problem="no", is_refused=True)
    assert observed_from(json.loads(json.dumps(refused.as_data()))) == refused


def test_without_accounts_only_the_greeting_is_looked_at(server: ReferenceServer) -> None:
    observed = probe(target_of(server), [], None, Recorder())

    assert "AUTHORIZATION" in observed.capabilities
    assert "TRANSACTION" not in observed.capabilities
    assert observed.login_problem == ""


def test_a_server_without_capa_shows_its_features_by_use() -> None:
    after = ("CAPA", b"-ERR\r\n", "TOP 1 0", b"+OK\r\nA: b\r\n\r\n.\r\n", "UIDL", b"-ERR\r\n")

    observed, _ = looked(LOOK, [HELLO, *LOGIN, *after, *BYE])

    assert observed.features == {"TOP", "USER"}
    assert observed.capabilities == {}
    assert observed.announced is None


def test_a_server_that_closes_at_capa_is_still_looked_at() -> None:
    after = ("CAPA", b"-ERR\r\n", "TOP 1 0", b"-ERR\r\n", "UIDL", b"+OK\r\n.\r\n")

    observed, _ = looked([HELLO, "CAPA", close], [HELLO, *LOGIN, *after, *BYE])

    assert observed.features == {"UIDL", "USER"}


def test_capabilities_of_both_states_are_offered() -> None:
    before = ("CAPA", b"+OK\r\nSASL PLAIN SCRAM-SHA-1\r\nUSER\r\n.\r\n")
    after = ("CAPA", b"+OK\r\nTOP\r\nUIDL\r\nEXPIRE 0\r\n.\r\n")

    observed, _ = looked([HELLO, *before], [HELLO, *LOGIN, *after, *BYE])

    assert {"CAPA", "SASL PLAIN", "SASL SCRAM-SHA-1", "TOP", "EXPIRE"} <= observed.features
    assert observed.announced == {
        "SASL": ("PLAIN", "SCRAM-SHA-1"),
        "USER": (),
        "TOP": (),
        "UIDL": (),
        "EXPIRE": ("0",),
    }


def test_what_a_proxy_does_not_announce_before_the_login_is_not_asked_of_it() -> None:
    before = b"+OK\r\nTOP\r\nUSER\r\n.\r\n"
    after = b"+OK\r\nTOP\r\nUIDL\r\nAUTH-RESP-CODE\r\nSASL PLAIN\r\n.\r\n"

    observed, _ = looked(
        (HELLO, "CAPA", before, *BYE), (HELLO, *LOGIN, "CAPA", after, *BYE), accounts=(ALICE,)
    )

    assert {"TOP", "UIDL", "USER"} <= observed.features
    assert not {"AUTH-RESP-CODE", "SASL", "SASL PLAIN"} & observed.features
    assert "AUTH-RESP-CODE" in observed.capabilities["TRANSACTION"]


def test_a_busy_target_is_asked_again() -> None:
    after = (*NO_CAPA, "TOP 1 0", b"-ERR\r\n", "UIDL", b"-ERR\r\n")

    observed, mailbox = looked(
        [b"-ERR too many\r\n", close],
        LOOK,
        [HELLO, *LOGIN[:3], b"-ERR [IN-USE] locked\r\n"],
        [HELLO, "USER alice", close],
        [HELLO, *LOGIN, *after, *BYE],
    )

    assert mailbox.problem == ""
    assert observed.login_problem == ""


def test_a_lock_that_stays_makes_the_mailbox_unusable_but_refuses_nobody() -> None:
    observed, mailbox = looked(LOOK, [HELLO, *LOGIN[:3], b"-ERR [IN-USE] locked\r\n"])

    assert "alice: the login (PASS) is refused for now" in mailbox.problem
    assert observed.login_problem == mailbox.problem
    assert not observed.is_refused


def test_a_wrong_password_is_refused_for_good_and_tried_once() -> None:
    with Scripted(LOOK, [HELLO, *LOGIN[:3], b"-ERR wrong\r\n"]) as server:
        mailbox = Mailbox(ALICE)
        observed = probe(server.target(), [mailbox], None, Recorder())
        connections = len(server.lines)

    assert observed.is_refused
    assert mailbox.problem == "alice: the login (PASS) is refused"
    assert connections == 2


def test_one_account_that_works_is_enough(server: ReferenceServer) -> None:
    mailboxes = [Mailbox(Account("alice", "wrong-one")), Mailbox(BOB)]

    observed = probe(target_of(server), mailboxes, None, Recorder())

    assert observed.login_problem == ""
    assert mailboxes[0].problem
    assert not mailboxes[1].problem


def test_apop_is_the_way_where_a_password_may_not_go_in_the_clear(
    server: ReferenceServer, store: MemoryStore
) -> None:
    target = Target(
        Address(*server.address), (ALICE,), timeouts=Timeouts(5, 5, 5), allow_cleartext=False
    )
    recorder = Recorder()

    observed = probe(target, [Mailbox(ALICE)], MemoryDoor(store), recorder)

    assert observed.use_apop
    assert not any(exchange.keyword == "PASS" for exchange in recorder.transcript)


def test_where_no_way_is_permitted_that_is_the_problem() -> None:
    observed, _ = looked(LOOK, allow_cleartext=False)

    assert "--allow-cleartext" in observed.login_problem
    assert not observed.is_refused


def test_where_tls_fails_the_other_ways_are_tried() -> None:
    stamped = b"+OK <1.2@host>\r\n"
    after = (*NO_CAPA, "TOP 1 0", b"-ERR\r\n", "UIDL", b"-ERR\r\n")

    def digest(line: Line) -> None:
        assert line.hear().startswith(b"APOP alice ")

    observed, mailbox = looked(
        [stamped, "CAPA", b"+OK\r\nSTLS\r\n.\r\n"],
        [stamped, "STLS", b"-ERR not now\r\n"],
        [stamped, "USER alice", b"-ERR use TLS\r\n"],
        [stamped, "STLS", b"-ERR not now\r\n"],
        [stamped, digest, b"+OK\r\n", *after, *BYE],
    )

    assert mailbox.problem == ""
    assert observed.use_apop
    assert observed.transports == (Transport.PLAIN,)
    assert observed.problem_of(Transport.STLS) == "STLS is refused"


@pytest.fixture
def strict() -> Iterator[Embedded]:
    embedded = start_embedded(cleartext=Cleartext.REFUSED)
    yield embedded
    embedded.close()


def test_each_layer_is_asked_for_its_capabilities(strict: Embedded) -> None:
    mailbox = Mailbox(strict.target.accounts[0])

    observed = probe(strict.target, [mailbox], strict.door, Recorder())

    layers = {
        Transport.PLAIN: "AUTHORIZATION",
        Transport.STLS: "AUTHORIZATION after STLS",
        Transport.TLS: "AUTHORIZATION in TLS",
    }
    assert {*observed.capabilities} == {*layers.values(), "TRANSACTION"}
    assert [layer for layer in layers if "STLS" in observed.features_on(layer)] == [Transport.PLAIN]
    assert [layer for layer in layers if "SASL PLAIN" in observed.features_on(layer)] == [
        Transport.STLS,
        Transport.TLS,
    ]
    assert all("TOP" in observed.features_on(layer) for layer in layers)
    assert "PLAIN" not in (observed.announced_on(Transport.PLAIN) or {})["SASL"]
    assert observed_from(json.loads(json.dumps(observed.as_data()))) == observed


def test_a_target_that_refuses_cleartext_gets_no_password_in_the_clear(strict: Embedded) -> None:
    recorder = Recorder()

    observed = probe(strict.target, [Mailbox(strict.target.accounts[0])], strict.door, recorder)

    assert observed.transport is Transport.STLS
    assert observed.login_problem == ""
    logins = [each for each in recorder.transcript if each.keyword in ("USER", "PASS", "AUTH")]
    assert logins
    assert all(each.secure for each in logins)


@pytest.mark.parametrize(
    ("certificate", "words"),
    [
        ("expired", "has expired"),
        ("early", "is not valid yet"),
        ("misnamed", "is for another name"),
        ("self-signed", "is self-signed"),
        ("foreign", "has no issuer that is trusted"),
    ],
)
def test_a_certificate_that_does_not_verify_takes_its_layers_alone(
    certificate: str, words: str
) -> None:
    embedded = start_embedded(certificate=certificate)
    try:
        mailbox = Mailbox(embedded.target.accounts[0])
        observed = probe(embedded.target, [mailbox], embedded.door, Recorder())
    finally:
        embedded.close()

    assert observed.login_problem == observed.problem_of(Transport.PLAIN) == ""
    for layer in (Transport.STLS, Transport.TLS):
        assert words in observed.problem_of(layer)
        assert "--insecure" in observed.problem_of(layer)


def test_a_door_that_leads_elsewhere_is_found_out(server: ReferenceServer) -> None:
    elsewhere = MemoryDoor(MemoryStore())

    observed = probe(target_of(server), [Mailbox(ALICE)], elsewhere, Recorder())

    assert "put 1 message into the maildrop of alice" in observed.door_problem
    assert "the target shows 0" in observed.door_problem


def test_a_mailbox_whose_door_fails_is_not_used_where_others_are(
    server: ReferenceServer, store: MemoryStore
) -> None:
    store.deliver("alice", b"Subject: precious\r\n\r\n")
    mailboxes = [Mailbox(ALICE), Mailbox(BOB)]

    observed = probe(target_of(server), mailboxes, MemoryDoor(store), Recorder())

    assert observed.door_problem == ""
    assert mailboxes[0].problem.startswith("alice: the maildrop of 'alice' holds 1 messages")
    assert mailboxes[1].problem == ""
    assert [len(store.entries(user)) for user in ("alice", "bob")] == [1, 0]


def test_where_no_door_works_the_mailboxes_are_there_to_be_looked_at(
    server: ReferenceServer, store: MemoryStore
) -> None:
    for account in (ALICE, BOB):
        store.deliver(account.user, b"Subject: precious\r\n\r\n")
    mailboxes = [Mailbox(ALICE), Mailbox(BOB)]

    observed = probe(target_of(server), mailboxes, MemoryDoor(store), Recorder())

    assert observed.door_problem.startswith("the maildrop of 'alice' holds 1 messages")
    assert [mailbox.problem for mailbox in mailboxes] == ["", ""]


def test_mail_of_others_that_top_showed_is_not_behind_a_quit() -> None:
    after = (*NO_CAPA, "TOP 1 0", b"+OK\r\nA: b\r\n\r\n.\r\n", "UIDL", b"-ERR\r\n")
    recorder = Recorder()
    with Scripted(LOOK, [HELLO, *LOGIN, *after]) as scripted:
        probe(scripted.target(), [Mailbox(ALICE)], None, recorder)

    assert [each.keyword for each in recorder.transcript][-2:] == ["TOP", "UIDL"]


class Interrupted(MemoryDoor):
    """An interrupt comes while the last of the mailboxes is filled."""

    def fill(self, user: str, messages: Sequence[bytes]) -> None:
        super().fill(user, messages)
        if user == BOB.user:
            raise KeyboardInterrupt


def test_a_probe_that_is_interrupted_takes_back_what_it_delivered(
    server: ReferenceServer, store: MemoryStore
) -> None:
    with pytest.raises(KeyboardInterrupt):
        probe(target_of(server), [Mailbox(ALICE), Mailbox(BOB)], Interrupted(store), Recorder())

    assert [store.entries(account.user) for account in (ALICE, BOB)] == [[], []]


def test_foreign_mail_closes_the_door_and_stays(
    server: ReferenceServer, store: MemoryStore
) -> None:
    store.deliver("alice", b"Subject: precious\r\n\r\n")

    observed = probe(target_of(server), [Mailbox(ALICE)], MemoryDoor(store), Recorder())

    assert "--allow-delete" in observed.door_problem
    assert len(store.entries("alice")) == 1


def test_the_probe_cleans_up_where_its_session_fails(store: MemoryStore) -> None:
    mailbox = Mailbox(ALICE)
    after = (*NO_CAPA, "TOP 1 0", b"-ERR\r\n", "UIDL", b"-ERR\r\n")
    scripts: list[Sequence[Move]] = [
        LOOK,
        [HELLO, *LOGIN, *after, *BYE],
        [HELLO, *LOGIN[:3], b"-ERR [IN-USE]\r\n"],
    ]
    with Scripted(*scripts) as scripted:
        observed = probe(scripted.target(), [mailbox], MemoryDoor(store), Recorder())

    assert "refused for now" in mailbox.problem
    assert observed.door_problem == ""
    assert store.entries("alice") == []


def test_a_target_that_cannot_be_reached_is_told_in_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = Address(*listener.getsockname())

    with pytest.raises(TargetError, match=r"the target is unreachable: .*refused"):
        reach(Target(closed))
    with Scripted([HELLO]) as server:
        reach(server.target())
        with pytest.raises(TargetError, match="unreachable"):
            reach(Target(server.address, tls_address=closed))


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ([b"-ERR busy\r\n", close], "gives no session: the greeting refuses the service"),
        ([close], "gives no session: no greeting"),
        ([], "cannot be judged: no greeting: no reply in time"),
    ],
)
def test_a_target_without_a_greeting_cannot_be_judged(script: list[Move], words: str) -> None:
    with Scripted(script) as server, pytest.raises(TargetError, match=words):
        probe(server.target(connect=0.3 if not script else 5.0), [], None, Recorder())


def test_the_message_of_the_probe_conforms_to_what_is_promised_of_fillings() -> None:
    assert PROBE_MESSAGE.endswith(b"\r\n")
    assert PROBE_MESSAGE.isascii()
    assert PROBE_MESSAGE.count(b"\n") == PROBE_MESSAGE.count(b"\r\n") == PROBE_MESSAGE.count(b"\r")
