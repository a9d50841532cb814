"""SASL in scenarios: what a client does wrong on purpose, and where its sessions are opened."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pop3spec.embedded import Embedded, start_embedded
from pop3spec.protocol.sasl import decoded
from pop3spec.run import Run
from pop3spec.runner import attempt
from pop3spec.sasl import Identity, begin, encoding
from pop3spec.sasl.twists import ENCODING_TWISTS
from pop3spec.scenario import load_scenarios
from pop3spec.settings import Settings
from pop3spec.target import Transport
from pop3spec.verdict import Outcome, Verdict

ALICE = Identity("alice", "wonderland")
CHALLENGE = b"<1896.697170952@postoffice.example.net>"
RIGHT = begin("CRAM-MD5", ALICE).answer(CHALLENGE).octets or b""

# One, two and no octets more than base64 has in whole groups.
MESSAGES = (b"\0al\0wonderland", b"\0ali\0wonderland", b"\0alic\0wonderland")


@pytest.mark.parametrize("message", MESSAGES, ids=["14-octets", "15-octets", "16-octets"])
@pytest.mark.parametrize("twist", sorted(ENCODING_TWISTS.keys() - {"unpadded"}))
def test_a_twisted_encoding_is_no_base64(twist: str, message: bytes) -> None:
    written = encoding(twist)(message)

    assert decoded(written) is None


@pytest.mark.parametrize(
    ("twist", "kept"),
    [("wrong-proof", 0), ("wrong-end-of-proof", 16), ("empty-proof", 0), ("short-proof", 16)],
)
def test_a_twisted_digest_is_right_up_to_a_place(twist: str, kept: int) -> None:
    name, _, right = RIGHT.partition(b" ")
    said = begin("CRAM-MD5", ALICE, twist).answer(CHALLENGE).octets or b""
    digest = said.removeprefix(name + b" ")

    assert digest != right
    assert digest[:kept] == right[:kept]
    assert digest[kept : kept + 1] != right[kept : kept + 1]


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "SCRAM-SHA-256"])
def test_scram_asks_to_act_as_somebody_else(mechanism: str) -> None:
    client = begin(mechanism, Identity("alice", "wonderland", authzid="bob,=x"))

    first = client.first() or b""

    assert first.startswith(b"n,a=bob=2C=3Dx,n=alice,r=")


# --- In a run ---

SCENARIO = """\
about: SASL
scenarios:
  - id: one
    title: It logs in
    rules: [rfc5034-4-login]
    {keys}
    state: AUTHORIZATION
    maildrop: [plain-text]
    steps:
      - authenticate: {login}
        expect: {expect}
      - send: STAT
        expect: {status}
"""


@pytest.fixture(scope="module")
def embedded() -> Iterator[Embedded]:
    """A reference server for all tests here."""
    started = start_embedded()
    yield started
    started.close()


def outcome_of(
    embedded: Embedded,
    tmp_path: Path,
    login: str,
    *,
    keys: str = "requires: []",
    expect: str = "+OK",
    status: str = "+OK",
) -> Outcome:
    """What a scenario comes to in a run that is in the clear."""
    path = tmp_path / "one.yaml"
    text = SCENARIO.format(keys=keys, login=login, expect=expect, status=status)
    path.write_text(text, encoding="utf-8")
    [scenario] = load_scenarios(path, None).scenarios
    run = Run(Settings(embedded.target, tmp_path), embedded.target, embedded.door)
    run.begin()
    mailbox = run.mailboxes[0]
    try:
        return attempt(run.judge, scenario, Transport.PLAIN, mailbox, alone=False).outcome
    finally:
        run.end()


def test_a_scenario_inside_tls_runs_so_in_a_run_in_the_clear(
    embedded: Embedded, tmp_path: Path
) -> None:
    keys = "encrypted: yes\n    requires: [SASL OAUTHBEARER]"
    outcome = outcome_of(embedded, tmp_path, "OAUTHBEARER", keys=keys)

    assert outcome.verdict is Verdict.PASS, outcome.detail


def test_a_login_by_certificate_is_not_held_against_the_filling(
    embedded: Embedded, tmp_path: Path
) -> None:
    keys = "encrypted: yes\n    requires: [SASL EXTERNAL]"
    outcome = outcome_of(embedded, tmp_path, "EXTERNAL", keys=keys)

    assert outcome.verdict is Verdict.PASS, outcome.detail
    assert all(fact.account is None for fact in outcome.facts)


def test_a_token_is_withheld_from_a_connection_in_the_clear(
    embedded: Embedded, tmp_path: Path
) -> None:
    careful = replace(embedded, target=replace(embedded.target, allow_cleartext=False))
    outcome = outcome_of(careful, tmp_path, "XOAUTH2", keys="transport: plain")

    assert outcome.verdict is Verdict.BLOCKED
    assert "unencrypted" in outcome.detail
