"""AUTH of the honest reference server, and each SASL mechanism end to end.

Clients are written here from the RFCs; for SCRAM the one of the library scramp
is taken, with the examples that the RFCs give beside it.
"""

import base64
import hashlib
import hmac
import json
import re
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import scramp
from rawclient import RawClient, challenge_in, connected, encoded, pem_file, trusting

from pop3spec.reference import MemoryStore, ReferenceServer
from pop3spec.reference.certificates import authority
from pop3spec.reference.faults.fault import Fault
from pop3spec.reference.maildrops import Maildrops
from pop3spec.reference.sasl import MECHANISMS
from pop3spec.reference.sasl.cram import CramMd5
from pop3spec.reference.sasl.digest import DigestMd5
from pop3spec.reference.sasl.mechanism import Challenge, Granted, Mechanism, Refused
from pop3spec.reference.sasl.plaintext import Plain
from pop3spec.reference.sasl.saslprep import prepared
from pop3spec.reference.sasl.scram import Scram, ScramSha1, ScramSha256
from pop3spec.reference.server import mechanisms_with_faults

LONG = "n" * 255
ACCOUNTS = {
    "alice": "secret",
    "bob": "two words  x",
    "a,b=c": "comma",
    "zoë": "pässword",
    "кот": "пароль",
    LONG: "p" * 255,
}
TOKENS = {"alice": "dG9rZW4gb2YgYWxpY2U=", "bob": "token-of-bob"}
PASSWORD_MECHANISMS = [
    *("PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5"),
    *("SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"),
]
TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


@pytest.fixture(scope="module")
def server() -> Iterator[ReferenceServer]:
    with ReferenceServer(
        MemoryStore(),
        ACCOUNTS,
        tls=authority().tls(),
        tokens=TOKENS,
        welcomes_strangers=True,
    ) as running:
        yield running


@pytest.fixture
def client(server: ReferenceServer) -> Iterator[RawClient]:
    """In the clear."""
    with connected(server.address) as found:
        yield found


@pytest.fixture
def secure(server: ReferenceServer) -> Iterator[RawClient]:
    """In TLS 1.3, without a certificate of its own."""
    with connected(server.tls_address, trusting()) as found:
        yield found


# Clients.


def plain(client: RawClient, user: str, password: str) -> bytes:
    return client.ask("AUTH PLAIN " + encoded(f"\0{user}\0{password}".encode()))


def plain_in_two_steps(client: RawClient, user: str, password: str) -> bytes:
    assert client.ask("AUTH PLAIN") == b"+ \r\n"
    return client.answer(f"\0{user}\0{password}".encode())


def login(client: RawClient, user: str, password: str) -> bytes:
    assert client.challenge("AUTH LOGIN") == b"Username:"
    assert challenge_in(client.answer(user.encode())) == b"Password:"
    return client.answer(password.encode())


def cram_md5(client: RawClient, user: str, password: str) -> bytes:
    asked = client.challenge("AUTH CRAM-MD5")
    digest = hmac.new(password.encode(), asked, "md5").hexdigest()
    return client.answer(f"{user} {digest}".encode())


def md5(text: bytes) -> bytes:
    return hashlib.md5(text).digest()


def digest_values(said: dict[str, str], password: bytes) -> tuple[str, str]:
    """What client and server have to say (RFC 2831, section 2.1.2.1), all of it ISO 8859-1."""
    first = md5(f"{said['username']}:{said['realm']}:".encode("latin-1") + password)
    first += f":{said['nonce']}:{said['cnonce']}".encode()
    if "authzid" in said:
        first += f":{said['authzid']}".encode()
    middle = f":{said['nonce']}:{said['nc']}:{said['cnonce']}:{said['qop']}:"

    def value(method: str) -> str:
        second = md5(f"{method}:{said['digest-uri']}".encode()).hex()
        return md5((md5(first).hex() + middle + second).encode()).hex()

    return value("AUTHENTICATE"), value("")


def digest_response(asked: bytes, user: str, password: str, **changes: str) -> tuple[bytes, str]:
    """A digest-response, and what the server has to answer."""
    found = dict(re.findall(r'([a-z-]+)="?([^",]*)"?', asked.decode()))
    said = {
        "username": user,
        "realm": found["realm"],
        "nonce": found["nonce"],
        "cnonce": "OA6MHXh6VqTrRk",
        "nc": "00000001",
        "qop": "auth",
        "digest-uri": "pop/localhost",
    } | {name.replace("_", "-"): value for name, value in changes.items()}
    ours, theirs = digest_values(said, password.encode("latin-1"))
    said.setdefault("response", ours)
    bare = ("nc", "qop", "response")
    text = ",".join(f"{k}={v}" if k in bare else f'{k}="{v}"' for k, v in said.items())
    return text.encode("latin-1"), theirs


def digest_md5(client: RawClient, user: str, password: str) -> bytes:
    asked = client.challenge("AUTH DIGEST-MD5")
    response, theirs = digest_response(asked, user, password)
    reply = client.answer(response)
    if not reply.startswith(b"+ "):
        return reply
    assert challenge_in(reply) == b"rspauth=" + theirs.encode()
    return client.ask("")


def binding_of(client: RawClient) -> tuple[str, bytes]:
    """tls-unique where there is such a thing, else the digest of the server's certificate."""
    assert isinstance(client.socket, ssl.SSLSocket)
    unique = client.socket.get_channel_binding("tls-unique")
    if client.socket.version() == "TLSv1.2":
        assert unique is not None
        return "tls-unique", unique
    shown = client.socket.getpeercert(binary_form=True)
    assert shown is not None
    return "tls-server-end-point", hashlib.sha256(shown).digest()


def scram(mechanism: str, *, in_two_steps: bool = False) -> Callable[[RawClient, str, str], bytes]:
    def log_in(client: RawClient, user: str, password: str) -> bytes:
        binding = binding_of(client) if mechanism.endswith("PLUS") else None
        ours = scramp.ScramClient([mechanism], user, password, channel_binding=binding)
        first = encoded(ours.get_client_first().encode())
        if in_two_steps:
            assert client.ask(f"AUTH {mechanism}") == b"+ \r\n"
            asked = client.challenge(first)
        else:
            asked = client.challenge(f"AUTH {mechanism} {first}")
        ours.set_server_first(asked.decode())
        reply = client.answer(ours.get_client_final().encode())
        if not reply.startswith(b"+ "):
            return reply
        ours.set_server_final(challenge_in(reply).decode())  # verifies the server
        return client.ask("")

    return log_in


CLIENTS: dict[str, Callable[[RawClient, str, str], bytes]] = {
    "PLAIN": plain,
    "LOGIN": login,
    "CRAM-MD5": cram_md5,
    "DIGEST-MD5": digest_md5,
    **{name: scram(name) for name in PASSWORD_MECHANISMS if name.startswith("SCRAM")},
}


def refused(reply: bytes, *, for_credentials: bool = False) -> bool:
    assert reply.endswith(b"\r\n")
    return reply.startswith(b"-ERR ") and (b"[AUTH]" in reply) == for_credentials


def is_before_login(client: RawClient) -> bool:
    return refused(client.ask("STAT")) and client.ask("USER alice").startswith(b"+OK")


# Each mechanism.


@pytest.mark.parametrize("mechanism", PASSWORD_MECHANISMS)
def test_the_right_password_opens_the_maildrop(secure: RawClient, mechanism: str) -> None:
    reply = CLIENTS[mechanism](secure, "alice", "secret")

    assert reply.startswith(b"+OK ")
    assert secure.ask("STAT") == b"+OK 0 0\r\n"
    assert secure.ask("QUIT").startswith(b"+OK")


@pytest.mark.parametrize("mechanism", PASSWORD_MECHANISMS)
@pytest.mark.parametrize(("user", "password"), [("alice", "wrong"), ("nobody", "secret")])
def test_wrong_credentials_are_told_apart_by_nobody(
    secure: RawClient, mechanism: str, user: str, password: str
) -> None:
    reply = CLIENTS[mechanism](secure, user, password)

    assert reply == b"-ERR [AUTH] wrong name or password\r\n"
    assert is_before_login(secure)
    # AUTH left nothing behind, so the next one goes through.
    assert CLIENTS[mechanism](secure, "alice", "secret").startswith(b"+OK ")


@pytest.mark.parametrize(
    "mechanism", [name for name in PASSWORD_MECHANISMS if not name.endswith("PLUS")]
)
def test_a_mechanism_that_needs_no_tls_works_in_the_clear(
    client: RawClient, mechanism: str
) -> None:
    assert CLIENTS[mechanism](client, "alice", "secret").startswith(b"+OK ")


@pytest.mark.parametrize(
    ("log_in", "version"),
    [
        (plain_in_two_steps, TLS_1_3),
        (scram("SCRAM-SHA-1", in_two_steps=True), TLS_1_3),
        (scram("SCRAM-SHA-256-PLUS", in_two_steps=True), TLS_1_2),
        (scram("SCRAM-SHA-1-PLUS"), TLS_1_2),
    ],
)
def test_the_initial_response_may_come_later(
    server: ReferenceServer,
    log_in: Callable[[RawClient, str, str], bytes],
    version: ssl.TLSVersion,
) -> None:
    with connected(server.tls_address, trusting(version=version)) as client:
        assert log_in(client, "alice", "secret").startswith(b"+OK ")


@pytest.mark.parametrize(
    ("mechanism", "user"),
    [
        (mechanism, user)
        for mechanism in PASSWORD_MECHANISMS
        for user in ("bob", "a,b=c", "zoë")
        if (mechanism, user) != ("DIGEST-MD5", "zoë")  # see the test of its two encodings
    ],
)
def test_names_and_passwords_may_have_what_needs_care(
    secure: RawClient, mechanism: str, user: str
) -> None:
    assert CLIENTS[mechanism](secure, user, ACCOUNTS[user]).startswith(b"+OK ")


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "SCRAM-SHA-1", "SCRAM-SHA-256"])
@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("кот", "пароль"),
        ("al\u00adice", "secret"),
        ("ａｌｉｃｅ", "secret"),
        ("zoe\u0308", "pässword"),
    ],
)
def test_names_and_passwords_are_compared_as_saslprep_leaves_them(
    secure: RawClient, mechanism: str, user: str, password: str
) -> None:
    assert CLIENTS[mechanism](secure, user, password).startswith(b"+OK ")


@pytest.mark.parametrize(
    ("user", "name", "hashed", "password"),
    [
        ("кот", "кот".encode(), "кот".encode(), "пароль".encode()),
        # Where ISO 8859-1 reaches, the digest takes that, however the name was sent.
        ("zoë", "zoë".encode(), b"zo\xeb", b"p\xe4ssword"),
        ("zoë", b"zo\xeb", b"zo\xeb", b"p\xe4ssword"),
    ],
    ids=["only utf-8 has it", "sent as utf-8", "sent as latin-1"],
)
def test_digest_md5_takes_names_in_two_encodings(
    secure: RawClient, user: str, name: bytes, hashed: bytes, password: bytes
) -> None:
    found = re.findall(rb'(realm|nonce)="([^"]*)"', secure.challenge("AUTH DIGEST-MD5"))
    (_, realm), (_, nonce) = found
    secret = md5(hashed + b":" + realm + b":" + password) + b":" + nonce + b":c"
    tail = md5(b"AUTHENTICATE:pop/localhost").hex().encode()
    value = md5(md5(secret).hex().encode() + b":" + nonce + b":00000001:c:auth:" + tail).hex()
    charset = b"charset=utf-8," if name == user.encode() else b""
    reply = secure.answer(
        charset + b'username="%b",realm="%b",nonce="%b",nc=00000001,cnonce="c",'
        b'digest-uri="pop/localhost",response=%b' % (name, realm, nonce, value.encode())
    )

    assert challenge_in(reply).startswith(b"rspauth=")
    assert secure.ask("").startswith(b"+OK")


# What the RFCs give as examples.


def mechanism_of(kind: type[Mechanism], user: str, secret: str, nonce: bytes = b"") -> Mechanism:
    mechanism = kind(Maildrops(MemoryStore(), {user: secret}, "1.1"), None)
    mechanism.nonce = lambda: nonce  # type: ignore[method-assign]  # the nonce of the example
    return mechanism


SCRAM_EXAMPLES = {
    "RFC 5802": (
        ScramSha1,
        b"fyko+d2lbbFgONRv9qkxdawL",
        b"3rfcNHYJY1ZVvWVs7j",
        "QSXCR+Q6sek8bf92",
        b"v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        b"rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    ),
    "RFC 7677": (
        ScramSha256,
        b"rOprNGfwEbeRWgbNEkqO",
        b"%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        "W22ZaJ0SNY7soEsUEjb6gQ==",
        b"dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    ),
}


@pytest.mark.parametrize("example", SCRAM_EXAMPLES)
def test_scram_does_what_the_example_of_its_rfc_shows(example: str) -> None:
    kind, theirs, ours, salt, proof, verifier = SCRAM_EXAMPLES[example]
    mechanism = mechanism_of(kind, "user", "pencil", ours)
    mechanism.salt = lambda: base64.b64decode(salt)  # type: ignore[attr-defined]  # as above
    asked = mechanism.begin(b"n,,n=user,r=" + theirs)

    assert asked == Challenge(b"r=%b%b,s=%b,i=4096" % (theirs, ours, salt.encode()))
    final = mechanism.respond(b"c=biws,r=%b%b,p=%b" % (theirs, ours, proof))
    assert final == Challenge(b"v=" + verifier)
    assert mechanism.respond(b"") == Granted("user")


def test_cram_md5_does_what_the_example_of_its_rfc_shows() -> None:
    mechanism = mechanism_of(CramMd5, "tim", "tanstaaftanstaaf")
    assert isinstance(mechanism, CramMd5)
    mechanism.begin(None)
    mechanism.asked = b"<1896.697170952@postoffice.reston.mci.net>"

    assert mechanism.respond(b"tim b913a602c7eda7a495b4e6e7334d3890") == Granted("tim")


def test_digest_md5_does_what_the_example_of_rfc_5034_shows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    realm = b"elwood.innosoft.com"
    monkeypatch.setattr("pop3spec.reference.sasl.digest.REALM", realm)
    mechanism = mechanism_of(DigestMd5, "chris", "secret", b"OA6MG9tEQGm2hh")
    mechanism.begin(None)
    step = mechanism.respond(
        b'charset=utf-8,username="chris",realm="elwood.innosoft.com",nonce="OA6MG9tEQGm2hh",'
        b'nc=00000001,cnonce="OA6MHXh6VqTrRk",digest-uri="pop/elwood.innosoft.com",'
        b"response=b0d56d2f054c24b62072322106468db9,qop=auth"
    )

    assert step == Challenge(b"rspauth=0b971462cef5e8f930db9a33b02fc9a0")
    assert mechanism.respond(b"") == Granted("chris")


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("USER", "USER"),
        ("ª", "a"),
        ("Ⅸ", "IX"),
        ("a\u00a0b", "a b"),
        ("\u0007", None),
        ("\u0627\u0031", None),
        ("\u0627\u0031\u0628", "\u0627\u0031\u0628"),
        ("\u00ad", None),
        ("a\r\n", None),
        ("a\0", None),
    ],
)
def test_saslprep_does_what_the_examples_of_its_rfc_show(text: str, result: str | None) -> None:
    assert prepared(text.encode()) == (None if result is None else result.encode())


# Challenges do not come back.


@pytest.mark.parametrize("command", ["CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"])
def test_no_challenge_comes_twice(server: ReferenceServer, command: str) -> None:
    first = " " + encoded(b"n,,n=alice,r=abc") if command.startswith("SCRAM") else ""
    seen = []
    for _ in range(3):
        with connected(server.address) as client:
            for _ in range(2):
                seen.append(client.challenge(f"AUTH {command}{first}"))
                assert refused(client.ask("*"))

    assert len(set(seen)) == len(seen)


def test_the_salt_tells_neither_by_change_nor_by_absence_who_exists(client: RawClient) -> None:
    salts: dict[str, set[bytes]] = {}
    for user in ("alice", "bob", "nobody", "nobody else") * 2:
        asked = client.challenge("AUTH SCRAM-SHA-256 " + encoded(f"n,,n={user},r=abc".encode()))
        client.ask("*")
        salts.setdefault(user, set()).add(asked.split(b",")[1])

    assert [len(found) for found in salts.values()] == [1, 1, 1, 1]
    assert len(set.union(*salts.values())) == 4


# AUTH itself.


@pytest.mark.parametrize(
    "line",
    [
        *("AUTH", "AUTH ", "AUTH  PLAIN", "AUTH PLAIN ", "AUTH\tPLAIN", "AUTH PLAIN  ="),
        *("AUTH NONSENSE", "AUTH NONSENSE =", "AUTH PLAIN-", "AUTH SCRAM-SHA-512"),
        *("AUTH PLAIN = =", "AUTH PLAIN AGFsaWNlAHNlY3JldA== x"),
        *("AUTH EXTERNAL =", "AUTH OAUTHBEARER", "AUTH SCRAM-SHA-1-PLUS"),
        *("AUTH LOGIN =", "AUTH LOGIN YWxpY2U=", "AUTH CRAM-MD5 =", "AUTH CRAM-MD5 YWxpY2U="),
    ],
)
def test_what_auth_does_not_take_is_refused_at_once(client: RawClient, line: str) -> None:
    assert refused(client.ask(line))
    assert is_before_login(client)


BAD_BASE64 = [
    *("=AAA", "AAA=BBB", "AAA", "A", "AA=", "AAAA=", "A===", "====", "AAAA\tAAAA", "AA AA"),
    *("AGFsaWNlAHNlY3JldA", "AGFsaWNlAHNlY3JldA=", "AGFsaWNlAHNlY3JldA===", "AGFs-WNl", "AG_s"),
    *("AGFsaWNlAHNlY3JldA==!", "!", "**", "* ", " *", "+ ", "\0", "\xff", "AAAA====AAAA"),
]


@pytest.mark.parametrize("text", BAD_BASE64)
def test_what_is_not_base64_is_refused_and_not_mended(client: RawClient, text: str) -> None:
    assert client.ask("AUTH PLAIN") == b"+ \r\n"
    client.send(text.encode("latin-1") + b"\r\n")

    assert refused(client.line())
    assert is_before_login(client)


@pytest.mark.parametrize("text", [text for text in BAD_BASE64 if " " not in text and text != "*"])
def test_what_is_not_base64_is_no_initial_response(client: RawClient, text: str) -> None:
    client.send(b"AUTH PLAIN " + text.encode("latin-1") + b"\r\n")

    assert refused(client.line())
    assert is_before_login(client)


def test_an_equals_sign_is_an_empty_response_in_the_command_alone(client: RawClient) -> None:
    assert client.ask("AUTH ANONYMOUS") == b"+ \r\n"
    assert refused(client.ask("="))
    assert client.ask("AUTH ANONYMOUS =").startswith(b"+OK")


def test_an_empty_line_is_an_empty_response(client: RawClient) -> None:
    assert client.ask("AUTH ANONYMOUS") == b"+ \r\n"
    assert client.ask("").startswith(b"+OK")


@pytest.mark.parametrize(
    "lines",
    [
        ["AUTH PLAIN"],
        ["AUTH LOGIN"],
        ["AUTH LOGIN", "YWxpY2U="],
        ["AUTH CRAM-MD5"],
        ["AUTH DIGEST-MD5"],
        ["AUTH SCRAM-SHA-1"],
        ["AUTH SCRAM-SHA-256 " + encoded(b"n,,n=alice,r=abc")],
        ["AUTH ANONYMOUS"],
    ],
)
def test_an_asterisk_cancels_at_every_step(client: RawClient, lines: list[str]) -> None:
    for line in lines:
        assert client.ask(line).startswith(b"+ ")

    assert refused(client.ask("*"))
    assert is_before_login(client)


def test_an_asterisk_in_place_of_the_last_empty_response_cancels_as_well(
    client: RawClient,
) -> None:
    response, _ = digest_response(client.challenge("AUTH DIGEST-MD5"), "alice", "secret")
    assert client.answer(response).startswith(b"+ ")

    assert refused(client.ask("*"))
    assert is_before_login(client)


def test_what_answers_the_proof_of_the_server_is_empty(client: RawClient) -> None:
    response, _ = digest_response(client.challenge("AUTH DIGEST-MD5"), "alice", "secret")
    assert client.answer(response).startswith(b"+ ")

    assert refused(client.answer(b"thanks"))
    assert is_before_login(client)


def test_the_name_of_a_mechanism_has_no_case(client: RawClient) -> None:
    assert client.ask("auth Plain AGFsaWNlAHNlY3JldA==").startswith(b"+OK")


@pytest.mark.parametrize("log_in", ["USER alice\r\nPASS secret", "AUTH PLAIN AGFsaWNlAHNlY3JldA=="])
def test_after_the_login_auth_is_refused(client: RawClient, log_in: str) -> None:
    for line in log_in.split("\r\n"):
        assert client.ask(line).startswith(b"+OK")

    for line in ("AUTH PLAIN", "AUTH", "AUTH PLAIN AGFsaWNlAHNlY3JldA==", "AUTH NONSENSE"):
        assert refused(client.ask(line))
    assert client.ask("STAT").startswith(b"+OK")


def test_an_exchange_may_come_in_one_piece_and_commands_behind_it(client: RawClient) -> None:
    client.send(b"AUTH PLAIN\r\nAGFsaWNlAHNlY3JldA==\r\nSTAT\r\nQUIT\r\n")
    replies = client.rest().split(b"\r\n")

    assert [reply[:3] for reply in replies] == [b"+ ", b"+OK", b"+OK", b"+OK", b""]


def test_a_second_session_is_told_that_the_maildrop_is_in_use(
    server: ReferenceServer, client: RawClient
) -> None:
    with connected(server.address) as other:
        assert plain(other, "alice", "secret").startswith(b"+OK")

        assert client.ask("AUTH PLAIN AGFsaWNlAHNlY3JldA==").startswith(b"-ERR [IN-USE]")
        assert is_before_login(client)


def test_an_account_of_the_longest_parts_logs_in(client: RawClient) -> None:
    response = f"{LONG}\0{LONG}\0{ACCOUNTS[LONG]}".encode()
    assert len(response) == 255 * 3 + 2
    assert client.ask("AUTH PLAIN") == b"+ \r\n"

    assert client.answer(response).startswith(b"+OK")


def test_a_response_may_be_longer_than_any_command(secure: RawClient) -> None:
    token = b"t" * 40_000
    assert secure.ask("AUTH OAUTHBEARER") == b"+ \r\n"
    reply = secure.answer(b"n,,\x01auth=Bearer " + token + b"\x01\x01")

    assert json.loads(challenge_in(reply)) == {"status": "invalid_token"}


@pytest.mark.parametrize("end", [b"", b"\r\n"], ids=["without its end", "with its end"])
def test_a_response_without_bound_ends_the_session(client: RawClient, end: bytes) -> None:
    assert client.ask("AUTH PLAIN") == b"+ \r\n"
    client.send(b"A" * 70_000 + end)

    assert refused(client.line())
    assert client.rest() == b""


def test_a_refused_login_is_as_slow_as_any() -> None:
    server = ReferenceServer(MemoryStore(), ACCOUNTS, failed_login_delay=0.3)
    with server, connected(server.address) as client:
        client.send(b"AUTH PLAIN AGFsaWNlAHdyb25n\r\n")
        client.socket.settimeout(0.15)
        with pytest.raises(TimeoutError):
            client.line()
        client.socket.settimeout(5)

        assert refused(client.line(), for_credentials=True)


# Malformed credentials.


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"alice",
        b"alice\0secret",
        b"\0alice",
        b"\0alice\0",
        b"\0\0secret",
        b"\0\0",
        b"\0alice\0secret\0",
        b"\0alice\0\0secret",
        b"\0alice\r\n\0secret",
        b"\0alice\0secret\r\n",
        b"\0ali\rce\0secret",
        b"a\nb\0alice\0secret",
        b"\0alice\0\xff\xfe",
        b"\0al\xedce\0secret",
    ],
)
def test_what_is_no_message_of_plain_is_refused_for_its_form(
    client: RawClient, response: bytes
) -> None:
    client.ask("AUTH PLAIN")

    assert refused(client.answer(response))
    assert is_before_login(client)


@pytest.mark.parametrize(("name", "password"), [(b"", b"x"), (b"alice", b""), (b"a\0b", b"secret")])
def test_what_is_no_name_or_password_of_login_is_refused_for_its_form(
    client: RawClient, name: bytes, password: bytes
) -> None:
    client.ask("AUTH LOGIN")
    client.answer(name)

    assert refused(client.answer(password))
    assert is_before_login(client)


@pytest.mark.parametrize(
    "response",
    [b"", b"alice", b"alice ", b" " + b"0" * 32, b"alice " + b"0" * 31, b"alice " + b"A" * 32],
)
def test_what_is_no_response_of_cram_md5_is_refused_for_its_form(
    client: RawClient, response: bytes
) -> None:
    client.ask("AUTH CRAM-MD5")

    assert refused(client.answer(response))
    assert is_before_login(client)


DIGEST_CHANGES = {
    "another nonce": {"nonce": "0" * 32},
    "another realm": {"realm": "elsewhere"},
    "a count that is not the first": {"nc": "00000002"},
    "protection that was not offered": {"qop": "auth-conf"},
    "another service": {"digest_uri": "imap/localhost"},
    "a digest in capitals": {"response": "A" * 32},
    "a short digest": {"response": "0" * 31},
    "no name": {"username": ""},
    "no nonce of its own": {"cnonce": ""},
}


@pytest.mark.parametrize("change", DIGEST_CHANGES)
def test_a_digest_response_for_something_else_is_refused(client: RawClient, change: str) -> None:
    asked = client.challenge("AUTH DIGEST-MD5")
    response, _ = digest_response(asked, "alice", "secret", **DIGEST_CHANGES[change])

    assert refused(client.answer(response))
    assert is_before_login(client)


@pytest.mark.parametrize(
    "mangle",
    [
        lambda text: text + b',nonce="x"',
        lambda text: text.replace(b'username="alice",', b""),
        lambda text: text.replace(b"realm=", b"realms="),
        lambda text: text.replace(b",cnonce", b";cnonce"),
        lambda text: text.rstrip(b'"') + b',x="open',
        lambda text: text + b',x="' + b"x" * 4096 + b'"',
        lambda text: b"",
    ],
)
def test_a_mangled_digest_response_is_refused(
    client: RawClient, mangle: Callable[[bytes], bytes]
) -> None:
    response, _ = digest_response(client.challenge("AUTH DIGEST-MD5"), "alice", "secret")

    assert refused(client.answer(mangle(response)))
    assert is_before_login(client)


@pytest.mark.parametrize(
    "mangle",
    [
        lambda text: b" , ," + text.replace(b",", b" ,\t,\r\n ") + b" ,",
        lambda text: text + b',opaque="x",x=y',
        lambda text: text.replace(b'"alice"', b'"\\a\\lice"'),
        lambda text: text.replace(b"nc=00000001", b'nc="00000001"'),
    ],
)
def test_a_digest_response_may_be_written_in_several_ways(
    client: RawClient, mangle: Callable[[bytes], bytes]
) -> None:
    response, theirs = digest_response(client.challenge("AUTH DIGEST-MD5"), "alice", "secret")

    assert challenge_in(client.answer(mangle(response))) == b"rspauth=" + theirs.encode()
    assert client.ask("").startswith(b"+OK")


def test_an_initial_response_of_digest_md5_is_answered_with_a_challenge(client: RawClient) -> None:
    asked = client.challenge("AUTH DIGEST-MD5 " + encoded(b'username="alice"'))
    response, _ = digest_response(asked, "alice", "secret")

    assert client.answer(response).startswith(b"+ ")
    assert client.ask("").startswith(b"+OK")


@pytest.mark.parametrize(
    "first",
    [
        *(b"", b"n", b"n,,", b"n,,n=alice", b"n,,r=abc,n=alice", b"n,,n=alice,r="),
        *(b"x,,n=alice,r=abc", b"n,a=,n=alice,r=abc", b"n,,n=,r=abc", b"n,,m=x,n=alice,r=abc"),
        *(b"n,,n=alice,r=abc,m=x", b"n,,n=alice,r=abc,", b"n,,n=alice,r=abc,xy"),
        *(b"n,,n=al=ice,r=abc", b"n,,n=al=2cice,r=abc", b"n,,n=alice,r=a\0c", b"n,,n=\xff,r=abc"),
        *(b"p=,,n=alice,r=abc", b"p=tls-unique,,n=alice,r=abc", b"n,,n=alice\0,r=abc"),
    ],
)
def test_what_is_no_first_message_of_scram_is_refused_for_its_form(
    client: RawClient, first: bytes
) -> None:
    assert client.ask("AUTH SCRAM-SHA-256") == b"+ \r\n"

    assert refused(client.answer(first))
    assert is_before_login(client)


def scram_final(asked: bytes, password: str, bare: bytes, bound: bytes, **changes: bytes) -> bytes:
    """A final message for SCRAM-SHA-256, of which parts can be changed."""
    parts = dict(part.split(b"=", 1) for part in asked.split(b","))
    salted = hashlib.pbkdf2_hmac(
        "sha256", password.encode(), base64.b64decode(parts[b"s"]), int(parts[b"i"])
    )
    key = hmac.digest(salted, b"Client Key", "sha256")
    unproven = b"c=" + base64.b64encode(bound) + b",r=" + changes.get("nonce", parts[b"r"])
    unproven += changes.get("more", b"")
    signature = hmac.digest(
        hashlib.sha256(key).digest(), b",".join((bare, asked, unproven)), "sha256"
    )
    proof = bytes(one ^ other for one, other in zip(key, signature, strict=True))
    return unproven + b",p=" + changes.get("proof", base64.b64encode(proof))


BARE = b"n=alice,r=abc"


@pytest.mark.parametrize(
    ("bound", "changes"),
    [
        (b"y,,", {}),
        (b"n,a=alice,", {}),
        (b"n,,more", {}),
        (b"", {}),
        (b"n,,", {"nonce": b"abc"}),
        (b"n,,", {"nonce": b"abcdef"}),
        (b"n,,", {"proof": b"****"}),
        (b"n,,", {"more": b",m=x"}),
        (b"n,,", {"more": b",xy"}),
    ],
)
def test_a_final_message_of_scram_that_does_not_fit_is_refused(
    client: RawClient, bound: bytes, changes: dict[str, bytes]
) -> None:
    asked = client.challenge("AUTH SCRAM-SHA-256 " + encoded(b"n,," + BARE))
    reply = client.answer(scram_final(asked, "secret", BARE, bound, **changes))

    assert reply.startswith(b"-ERR ")
    assert is_before_login(client)


def test_unknown_extensions_of_scram_are_ignored_but_proven(client: RawClient) -> None:
    bare = BARE + b",x=1,y=2=3"
    asked = client.challenge("AUTH SCRAM-SHA-256 " + encoded(b"n,," + bare))
    reply = client.answer(scram_final(asked, "secret", bare, b"n,,", more=b",z=9"))

    assert challenge_in(reply).startswith(b"v=")
    assert client.ask("").startswith(b"+OK")


# Channel binding.


def bound_login(
    client: RawClient, mechanism: str, header: bytes, data: bytes, password: str = "secret"
) -> bytes:
    first = client.ask(f"AUTH {mechanism} " + encoded(header + BARE))
    if not first.startswith(b"+ "):
        return first
    return client.answer(scram_final(challenge_in(first), password, BARE, header + data))


def test_another_channel_than_this_one_is_noticed(secure: RawClient) -> None:
    header = b"p=tls-server-end-point,,"
    kind, data = binding_of(secure)
    assert kind == "tls-server-end-point"

    assert refused(bound_login(secure, "SCRAM-SHA-256-PLUS", header, b"x" * len(data)))
    assert refused(bound_login(secure, "SCRAM-SHA-256-PLUS", header, b""))
    assert bound_login(secure, "SCRAM-SHA-256-PLUS", header, data).startswith(b"+ ")
    assert secure.ask("").startswith(b"+OK")


@pytest.mark.parametrize(
    ("mechanism", "header"),
    [
        ("SCRAM-SHA-256-PLUS", b"n,,"),
        ("SCRAM-SHA-256-PLUS", b"y,,"),
        ("SCRAM-SHA-256-PLUS", b"p=tls-unique,,"),
        ("SCRAM-SHA-256-PLUS", b"p=tls-nonsense,,"),
        ("SCRAM-SHA-256", b"y,,"),
        ("SCRAM-SHA-256", b"p=tls-server-end-point,,"),
    ],
)
def test_a_downgrade_of_the_channel_binding_is_noticed(
    secure: RawClient, mechanism: str, header: bytes
) -> None:
    assert refused(bound_login(secure, mechanism, header, b""))
    assert is_before_login(secure)


def test_in_the_clear_a_client_that_could_bind_is_welcome(client: RawClient) -> None:
    assert bound_login(client, "SCRAM-SHA-256", b"y,,", b"").startswith(b"+ ")
    assert client.ask("").startswith(b"+OK")


# Whom a login may act as.


def as_plain(client: RawClient, acts_as: str) -> bytes:
    return client.ask("AUTH PLAIN " + encoded(f"{acts_as}\0alice\0secret".encode()))


def as_digest(client: RawClient, acts_as: str) -> bytes:
    asked = client.challenge("AUTH DIGEST-MD5")
    response, _ = digest_response(asked, "alice", "secret", authzid=acts_as)
    reply = client.answer(response)
    return client.ask("") if reply.startswith(b"+ ") else reply


def as_scram(client: RawClient, acts_as: str) -> bytes:
    header = b"n,a=%b," % acts_as.encode() if acts_as else b"n,,"
    reply = bound_login(client, "SCRAM-SHA-256", header, b"")
    return client.ask("") if reply.startswith(b"+ ") else reply


def as_bearer(client: RawClient, acts_as: str) -> bytes:
    header = f"n,a={acts_as}," if acts_as else "n,,"
    token = TOKENS["alice"]
    reply = client.ask("AUTH OAUTHBEARER " + encoded(f"{header}\1auth=Bearer {token}\1\1".encode()))
    return client.answer(b"\1") if reply.startswith(b"+ ") else reply


ACTORS = {"PLAIN": as_plain, "DIGEST-MD5": as_digest, "SCRAM": as_scram, "OAUTHBEARER": as_bearer}


@pytest.mark.parametrize("mechanism", ACTORS)
@pytest.mark.parametrize("acts_as", ["", "alice"])
def test_a_client_may_act_as_itself(secure: RawClient, mechanism: str, acts_as: str) -> None:
    assert ACTORS[mechanism](secure, acts_as).startswith(b"+OK")


@pytest.mark.parametrize("mechanism", ACTORS)
@pytest.mark.parametrize("acts_as", ["bob", "nobody", "alic", "alice2", "ALICE"])
def test_a_client_may_not_act_as_another(secure: RawClient, mechanism: str, acts_as: str) -> None:
    assert refused(ACTORS[mechanism](secure, acts_as), for_credentials=True)
    assert is_before_login(secure)


# Tokens.


def bearer(user: str, token: str) -> str:
    more = "host=localhost\1port=995\1unknown=thing\1"
    return encoded(f"n,a={user},\1{more}auth=Bearer {token}\1\1".encode())


def xoauth2(user: str, token: str) -> str:
    return encoded(f"user={user}\1auth=Bearer {token}\1\1".encode())


@pytest.mark.parametrize(("name", "form"), [("OAUTHBEARER", bearer), ("XOAUTH2", xoauth2)])
@pytest.mark.parametrize("in_two_steps", [False, True])
def test_a_token_opens_the_maildrop_of_its_owner(
    secure: RawClient, name: str, form: Callable[[str, str], str], in_two_steps: bool
) -> None:
    response = form("alice", TOKENS["alice"])
    if in_two_steps:
        assert secure.ask(f"AUTH {name}") == b"+ \r\n"
    reply = secure.ask(response if in_two_steps else f"AUTH {name} {response}")

    assert reply.startswith(b"+OK")
    assert secure.ask("STAT").startswith(b"+OK")


@pytest.mark.parametrize(
    ("name", "form", "dummy", "status"),
    [("OAUTHBEARER", bearer, "AQ==", "invalid_token"), ("XOAUTH2", xoauth2, "", "401")],
)
@pytest.mark.parametrize(
    ("user", "token"),
    [("alice", "wrong"), ("alice", "token-of-bob"), ("nobody", "token-of-bob"), ("alice", "")],
)
def test_a_wrong_token_is_explained_and_then_refused(
    secure: RawClient,
    name: str,
    form: Callable[[str, str], str],
    dummy: str,
    status: str,
    user: str,
    token: str,
) -> None:
    explained = json.loads(secure.challenge(f"AUTH {name} {form(user, token)}"))

    assert explained["status"] == status
    assert refused(secure.ask(dummy), for_credentials=True)
    assert is_before_login(secure)


def test_a_wrong_token_may_be_followed_by_a_cancel(secure: RawClient) -> None:
    secure.challenge("AUTH OAUTHBEARER " + bearer("alice", "wrong"))

    assert refused(secure.ask("*"))
    assert is_before_login(secure)


@pytest.mark.parametrize(
    "response",
    [
        *(b"", b"\1", b"n,,", b"n,,\1", b"n,\1auth=Bearer x\1\1", b"n,,\1auth=Bearer x\1"),
        *(b"n,,auth=Bearer x\1\1", b"p=tls-unique,,\1auth=Bearer x\1\1"),
        *(b"n,,\1auth=Bearer \0x\1\1", b"n,a=al=ice,\1auth=Bearer x\1\1"),
    ],
)
def test_what_is_no_response_of_oauthbearer_is_refused_for_its_form(
    secure: RawClient, response: bytes
) -> None:
    secure.ask("AUTH OAUTHBEARER")

    assert refused(secure.answer(response))
    assert is_before_login(secure)


@pytest.mark.parametrize(
    ("pairs", "status"),
    [
        (b"auth=\1", "invalid_token"),
        (b"auth=Basic dG9rZW4=\1", "invalid_token"),
        (b"host=localhost\1", "invalid_request"),
        (b"auth=Bearer a\1auth=Bearer b\1", "invalid_request"),
    ],
)
def test_a_request_that_lacks_a_token_is_explained(
    secure: RawClient, pairs: bytes, status: str
) -> None:
    asked = secure.challenge("AUTH OAUTHBEARER " + encoded(b"n,,\1" + pairs + b"\1"))

    assert json.loads(asked) == {"status": status}


# Without a secret.


@pytest.mark.parametrize("trace", ["", "sirhc", "sirhc@example.org", "кот", "t" * 255])
def test_strangers_have_an_empty_maildrop_of_their_own(server: ReferenceServer, trace: str) -> None:
    with connected(server.address) as one, connected(server.address) as other:
        for client in (one, other):
            assert client.ask("AUTH ANONYMOUS") == b"+ \r\n"
            assert client.answer(trace.encode()).startswith(b"+OK")
            assert client.ask("STAT") == b"+OK 0 0\r\n"


@pytest.mark.parametrize("trace", [b"a\0b", b"a\r\nb", b"\xff", b"t" * 256, b"@", b"a@", b"@b"])
def test_what_is_no_trace_is_refused(client: RawClient, trace: bytes) -> None:
    client.ask("AUTH ANONYMOUS")

    assert refused(client.answer(trace))
    assert is_before_login(client)


def test_strangers_are_welcome_only_where_the_server_says_so() -> None:
    with ReferenceServer(MemoryStore(), ACCOUNTS) as server, connected(server.address) as client:
        assert b"ANONYMOUS" not in client.capabilities()[b"SASL"]
        assert refused(client.ask("AUTH ANONYMOUS ="))


@pytest.fixture
def certified(server: ReferenceServer, tmp_path: Path) -> Iterator[RawClient]:
    """In TLS, with a certificate for alice."""
    file = pem_file(authority().client("alice"), str(tmp_path))
    with connected(server.tls_address, trusting(certificate_file=file)) as found:
        yield found


@pytest.mark.parametrize("response", [b"", b"alice"])
@pytest.mark.parametrize("in_two_steps", [False, True])
def test_a_certificate_opens_the_maildrop_of_the_name_in_it(
    certified: RawClient, response: bytes, in_two_steps: bool
) -> None:
    assert b"EXTERNAL" in certified.capabilities()[b"SASL"]
    text = encoded(response)
    if in_two_steps:
        assert certified.ask("AUTH EXTERNAL") == b"+ \r\n"
        reply = certified.ask(text)
    else:
        reply = certified.ask("AUTH EXTERNAL " + (text or "="))

    assert reply.startswith(b"+OK")


@pytest.mark.parametrize(
    ("response", "for_credentials"),
    [(b"bob", True), (b"nobody", True), (b"ali\0ce", False), (b"\xff", False), (b"a\r\n", False)],
)
def test_a_certificate_opens_no_other_maildrop(
    certified: RawClient, response: bytes, for_credentials: bool
) -> None:
    reply = certified.ask("AUTH EXTERNAL " + encoded(response))

    assert refused(reply, for_credentials=for_credentials)
    assert is_before_login(certified)


def test_a_certificate_works_after_stls_too(server: ReferenceServer, tmp_path: Path) -> None:
    file = pem_file(authority().client("bob"), str(tmp_path))
    with connected(server.address) as client:
        client.start_tls(trusting(version=TLS_1_2, certificate_file=file))

        assert is_before_login(client)  # the handshake alone is no login
        assert client.ask("AUTH EXTERNAL =").startswith(b"+OK")


def test_a_certificate_for_no_account_makes_no_offer(
    server: ReferenceServer, tmp_path: Path
) -> None:
    file = pem_file(authority().client("nobody"), str(tmp_path))
    with connected(server.tls_address, trusting(certificate_file=file)) as client:
        assert b"EXTERNAL" not in client.capabilities()[b"SASL"]
        assert refused(client.ask("AUTH EXTERNAL ="))


# What is on offer.


def test_the_mechanisms_fit_the_security_layer(
    client: RawClient, secure: RawClient, certified: RawClient
) -> None:
    clear = client.capabilities()[b"SASL"]
    within = secure.capabilities()[b"SASL"]
    needs_tls = {b"SCRAM-SHA-256-PLUS", b"SCRAM-SHA-1-PLUS", b"OAUTHBEARER", b"XOAUTH2"}

    assert {*within} - {*clear} == needs_tls
    assert {*certified.capabilities()[b"SASL"]} - {*within} == {b"EXTERNAL"}
    assert {name.decode() for name in within} | {"EXTERNAL"} == set(MECHANISMS)


def test_the_list_of_mechanisms_stays_after_the_login(client: RawClient) -> None:
    before = client.capabilities()[b"SASL"]
    plain(client, "alice", "secret")

    assert client.capabilities()[b"SASL"] == before


class _AnyProof(Scram):
    def is_proof(self, proof: bytes | None, salted: bytes, said: bytes) -> bool:
        return True


class _NoName(Plain):
    pass


def test_a_fault_of_a_mechanism_is_one_of_all_that_are_derived_from_it() -> None:
    faults = [Fault("any-proof", frozenset(), "", False, (_AnyProof, _NoName))]
    faulty = mechanisms_with_faults(faults)

    assert {name for name, kind in faulty.items() if issubclass(kind, _AnyProof)} == {
        name for name in MECHANISMS if name.startswith("SCRAM")
    }
    assert {name for name, kind in faulty.items() if issubclass(kind, _NoName)} == {"PLAIN"}
    assert faulty["SCRAM-SHA-1-PLUS"].is_proof is _AnyProof.is_proof  # type: ignore[attr-defined]
    assert faulty["LOGIN"] is MECHANISMS["LOGIN"]


@pytest.mark.parametrize("name", PASSWORD_MECHANISMS)
def test_a_mechanism_is_a_machine_without_a_server(name: str) -> None:
    mechanism = MECHANISMS[name](Maildrops(MemoryStore(), {"a": "b"}, "1.1"), None)
    step = mechanism.begin(None)

    assert isinstance(step, Challenge)
    assert isinstance(mechanism.respond(b"\0"), Challenge | Refused)
