"""The clients of SASL: the RFCs' own examples, and a server's side that is not ours."""

import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from contextlib import suppress

import pytest
from scramp import ScramException, ScramMechanism

from pop3spec.protocol.sasl import decoded, decoded_challenge
from pop3spec.rulebook.judgement import Broken, Held
from pop3spec.sasl import MECHANISMS, Client, Identity, Unanswerable, begin
from pop3spec.sasl.scram import MOST_ITERATIONS, SERVER_SIGNATURE, Scram
from pop3spec.sasl.twists import ENCODING_TWISTS

USER = Identity("user", "pencil")
# RFC 5802, section 5, and RFC 7677, section 3.
EXAMPLES = {
    "SCRAM-SHA-1": (
        "fyko+d2lbbFgONRv9qkxdawL",
        "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
        "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    ),
    "SCRAM-SHA-256": (
        "rOprNGfwEbeRWgbNEkqO",
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    ),
}


@pytest.mark.parametrize("mechanism", EXAMPLES)
def test_scram_says_what_the_example_of_its_rfc_says(mechanism: str) -> None:
    nonce, server_first, client_final, server_final = EXAMPLES[mechanism]
    client = Scram(USER, mechanism, nonce)

    first = client.first()
    proof = client.answer(server_first.encode())
    last = client.answer(server_final.encode())

    assert first == f"n,,n=user,r={nonce}".encode()
    assert proof.octets == client_final.encode()
    assert (last.octets, last.judged) == (b"", ((SERVER_SIGNATURE, Held()),))


@pytest.mark.parametrize("mechanism", EXAMPLES)
@pytest.mark.parametrize(
    ("change", "judged"),
    [
        (lambda right: right.replace("v=r", "v=s").replace("v=6", "v=7"), [Broken]),
        (lambda right: right + ",x=y", [Held]),
        (lambda right: "e=invalid-proof", []),
        (lambda right: right.rstrip("="), []),
    ],
    ids=["another signature", "an extension", "an error", "no signature"],
)
def test_a_signature_is_judged_where_it_has_its_form(
    mechanism: str, change: Callable[[str], str], judged: list[type]
) -> None:
    nonce, server_first, _, server_final = EXAMPLES[mechanism]
    client = Scram(USER, mechanism, nonce)
    client.first()
    client.answer(server_first.encode())

    answer = client.answer(change(server_final).encode())

    assert [type(said) for _, said in answer.judged] == judged


@pytest.mark.parametrize(
    "server_first",
    [
        "r=another,s=QSXCR+Q6sek8bf92,i=4096",
        "r={nonce},s=QSXCR+Q6sek8bf92,i=4096",
        "s=QSXCR+Q6sek8bf92,r={nonce}x,i=4096",
        f"r={{nonce}}x,s=QSXCR+Q6sek8bf92,i={MOST_ITERATIONS + 1}",
        "",
    ],
    ids=["another nonce", "its own alone", "another order", "too many iterations", "nothing"],
)
def test_scram_makes_no_proof_of_what_the_server_may_not_say(server_first: str) -> None:
    client = Scram(USER, "SCRAM-SHA-1", "fyko")
    client.first()

    with pytest.raises(Unanswerable):
        client.answer(server_first.format(nonce="fyko").encode())


def converse(client: Client, mechanism: str, *, iterations: int = 4096) -> list[str]:
    """A run against a server's side of SCRAM that is not ours; how the judgements came out."""
    theirs = ScramMechanism(mechanism.removesuffix("-PLUS"))
    stored = theirs.make_auth_info(USER.password, iterations)
    server = theirs.make_server(lambda user: {USER.user: stored}[user])
    first = client.first()
    assert first is not None
    server.set_client_first(first.decode())
    answer = client.answer(server.get_server_first().encode())
    assert answer.octets is not None
    server.set_client_final(answer.octets.decode())
    last = client.answer(server.get_server_final().encode())
    assert last.octets == b""
    return [f"{rule}: {type(said).__name__}" for rule, said in last.judged]


@pytest.mark.parametrize("mechanism", EXAMPLES)
def test_a_server_that_is_not_ours_takes_the_proof_and_is_believed(mechanism: str) -> None:
    assert converse(begin(mechanism, USER), mechanism) == [f"{SERVER_SIGNATURE}: Held"]


@pytest.mark.parametrize("mechanism", EXAMPLES)
@pytest.mark.parametrize("twist", ["another-nonce", "half-a-nonce", "another-binding"])
def test_a_twisted_client_is_refused_by_a_server_that_is_not_ours(
    mechanism: str, twist: str
) -> None:
    with pytest.raises(ScramException):
        converse(begin(mechanism, USER, twist), mechanism)


def test_a_wrong_password_is_refused_by_a_server_that_is_not_ours() -> None:
    client = begin("SCRAM-SHA-256", Identity("user", "pencils"))

    with pytest.raises(ScramException):
        converse(client, "SCRAM-SHA-256")


def test_cram_md5_says_what_the_example_of_its_rfc_says() -> None:
    client = begin("CRAM-MD5", Identity("tim", "tanstaaftanstaaf"))

    assert client.first() is None
    answer = client.answer(b"<1896.697170952@postoffice.reston.mci.net>")
    assert answer.octets == b"tim b913a602c7eda7a495b4e6e7334d3890"


@pytest.mark.parametrize(
    ("identity", "message"),
    [
        (Identity("tim", "tanstaaftanstaaf"), b"\0tim\0tanstaaftanstaaf"),
        (Identity("Kurt", "xipj3plmq", authzid="Ursel"), b"Ursel\0Kurt\0xipj3plmq"),
    ],
    ids=["for oneself", "for another"],
)
def test_plain_says_what_the_examples_of_its_rfc_say(identity: Identity, message: bytes) -> None:
    assert begin("PLAIN", identity).first() == message


def test_oauthbearer_says_what_the_example_of_its_rfc_says() -> None:
    client = begin(
        "OAUTHBEARER",
        Identity(
            "user@example.com",
            token="vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==",
            host="server.example.com",
            port=143,
        ),
    )

    # RFC 7628, section 4.1.
    example = (
        "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyI"
        "HZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB"
    )
    assert client.first() == b64decode(example)


@pytest.mark.parametrize(
    ("mechanism", "dummy"), [("OAUTHBEARER", b"\x01"), ("XOAUTH2", b"")], ids=str
)
def test_an_error_about_a_token_is_answered_once(mechanism: str, dummy: bytes) -> None:
    client = begin(mechanism, Identity("alice", token="wrong"))
    client.first()

    assert client.answer(b'{"status":"401"}').octets == dummy
    with pytest.raises(Unanswerable):
        client.answer(b'{"status":"401"}')


def test_digest_md5_answers_for_what_it_was_told() -> None:
    client = begin("DIGEST-MD5", Identity('al"ice', "secret", host="pop.example"))

    answer = client.answer(b'realm="r",nonce="n\\"1",qop="auth,auth-int",algorithm=md5-sess')

    assert answer.octets is not None
    assert b'username="al\\"ice",realm="r",nonce="n\\"1"' in answer.octets
    assert b'digest-uri="pop/pop.example"' in answer.octets
    assert re.search(rb"response=[0-9a-f]{32}$", answer.octets)
    assert client.answer(b"rspauth=0").octets == b""


@pytest.mark.parametrize("challenge", [b"", b"go on", b'qop="auth"', b'nonce="n",qop="auth-conf"'])
def test_digest_md5_makes_nothing_of_a_challenge_without_what_it_needs(challenge: bytes) -> None:
    with pytest.raises(Unanswerable):
        begin("DIGEST-MD5", USER).answer(challenge)


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_client_that_is_asked_without_end_says_its_secret_once(mechanism: str) -> None:
    bindings = {"tls-unique": b"x"}
    client = begin(mechanism, Identity("alice", "secret-1", token="secret-1", bindings=bindings))
    told: list[bytes | None] = [client.first()]

    with suppress(Unanswerable):
        told += [client.answer(b"=again=").octets for _ in range(9)]

    assert sum(b"secret-1" in (octets or b"") for octets in told) <= 1


@pytest.mark.parametrize("octets", [b"", b"\0", b"ab", b"abc", b"\xff" * 700], ids=len)
def test_base64_is_read_as_it_is_written(octets: bytes) -> None:
    line = b64encode(octets)

    assert decoded(line) == octets
    assert decoded_challenge(b"+ " + line + b"\r\n") == octets
    # Whoever leaves out the blank, or doubles it, is understood and judged elsewhere.
    assert decoded_challenge(b"+" + line + b"\n") == octets
    assert decoded_challenge(b"+  " + line + b"\r\n") == octets
    assert decoded(line + b"!") is None
    assert decoded(b"=" + line) is None


@pytest.mark.parametrize(
    ("message", "sent"), [(b"abc", b"YWJj*"), (b"ab", b"YWI*="), (b"a", b"YQ*==")]
)
def test_a_character_behind_the_digits_is_before_their_padding(message: bytes, sent: bytes) -> None:
    assert ENCODING_TWISTS["character-behind"](message) == sent
