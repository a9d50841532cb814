"""Each fault of the reference server in AUTH and its mechanisms: visibly wrong on the wire."""

import socket
import ssl
import statistics
import time

import pytest
from faultscripts import (
    LONG,
    Script,
    ask,
    auth,
    capa,
    challenges,
    clear,
    login,
    shows,
    tls,
)
from rawclient import RawClient, connected, encoded

from pop3spec.reference import ReferenceServer
from pop3spec.reference.certificates import authority

RIGHT = encoded(b"\0alice\0secret")
OK, ERR = rb"\+OK", rb"-ERR"
WITHOUT_SASL = rb"\A(?!.*SASL)"


def b64(text: str) -> str:
    return encoded(text.encode())


def long_plain(user: str) -> str:
    return b64(f"{LONG}\0{user}\0{'w' * (765 - len(LONG) - len(user))}")


def first_of_scram(message: str) -> str:
    return f"AUTH SCRAM-SHA-256 {b64(message)}"


def greeting_while_an_exchange_waits(server: ReferenceServer) -> bytes:
    with connected(server.address) as waiting:
        waiting.ask("AUTH PLAIN")
        with socket.create_connection(server.address, 0.3) as other:
            try:
                return other.recv(512)
            except TimeoutError:
                return b"<silence>"


def is_later_for_real_names(client: RawClient) -> bytes:
    took: dict[str, list[float]] = {"alice": [], "nobody": []}
    for name in ("alice", "nobody") * 3:
        began = time.monotonic()
        ask(f"USER {name}", "PASS no")(client)
        took[name].append(time.monotonic() - began)
    real, none = (statistics.median(times) for times in took.values())
    return b"later" if real - none > 0.03 else b"as soon"


def repeats(command: str, part: int = 0) -> Script:
    """A part of a challenge comes back, when three come within a second or two."""

    def say(client: RawClient) -> bytes:
        seen = [one.split(b",")[part][-32:] for one in challenges(command, 3)(client).split(b"\n")]
        return b"again" if len(set(seen)) < len(seen) else b"new"

    return Script(b"again", clear(say))


def clearly(pattern: bytes, *steps: object) -> Script:
    return Script(pattern, clear(*steps))  # type: ignore[arg-type]  # steps of a session


def in_tls(pattern: bytes, *steps: object) -> Script:
    return Script(pattern, tls(*steps))  # type: ignore[arg-type]  # steps of a session


# Another server's.
OTHER = ssl.PEM_cert_to_DER_cert(authority().self_signed().chain.decode())
BEGIN_SCRAM = first_of_scram("n,,n=alice,r=0123456789abcdefghij")
WRONG = auth("SCRAM-SHA-256", password="no")

SCRIPTS: dict[str, Script] = {
    # AUTH
    "digest-md5-only-announced": clearly(ERR, ask("AUTH DIGEST-MD5")),
    "cram-md5-unknown-inside-tls": in_tls(ERR, ask("AUTH CRAM-MD5")),
    "sasl-announced-before-login-only": clearly(WITHOUT_SASL, login, capa),
    "sasl-not-announced-behind-auth": clearly(WITHOUT_SASL, auth("PLAIN"), capa),
    "mechanism-announced-in-the-words-of-imap": clearly(rb"SASL.* AUTH=PLAIN ", capa),
    "mechanism-announced-twice-inside-tls": in_tls(rb"SASL.* PLAIN .* PLAIN", capa),
    "mechanism-of-21-characters": clearly(rb"SASL.* [A-Z0-9-]{21}\n", capa),
    "unknown-mechanism-is-plain": clearly(OK, ask(f"AUTH QZJX {RIGHT}")),
    "mechanism-known-by-its-beginning": clearly(OK, ask(f"AUTH PLAINX {RIGHT}")),
    "unknown-mechanism-is-asked-first": clearly(rb"\+ ", ask("AUTH QZJX")),
    "auth-after-login": clearly(rb"\+ .*\+OK", auth("PLAIN"), ask("AUTH PLAIN", RIGHT)),
    "auth-behind-pass": clearly(rb"\+ .*\+OK", login, ask("AUTH PLAIN", RIGHT)),
    "long-challenge-folded": clearly(rb"\+ \S{76} \S+", ask("AUTH DIGEST-MD5")),
    "challenge-without-padding": clearly(rb"[A-Za-z0-9+/]\r\n", ask(BEGIN_SCRAM)),
    "empty-challenge-without-blank": clearly(rb"\A\+\r\n", ask("AUTH PLAIN")),
    "scram-begins-without-blank": clearly(rb"\A\+\r\n", ask("AUTH SCRAM-SHA-1")),
    "plain-asks-in-words": clearly(rb"\+ \w", ask("AUTH PLAIN")),
    "scram-names-the-host-first": clearly(rb"\+ \w", ask("AUTH SCRAM-SHA-1")),
    "initial-response-of-plain-overlooked": clearly(rb"\+ \r\n", ask(f"AUTH PLAIN {RIGHT}")),
    "equals-sign-is-no-initial-response": clearly(rb"\+ \r\n", ask("AUTH PLAIN =")),
    "initial-response-of-cram-md5-ignored": clearly(rb"\+ ", ask("AUTH CRAM-MD5 dGVzdA==")),
    "empty-initial-response-of-cram-md5-ignored": clearly(rb"\+ ", ask("AUTH CRAM-MD5 =")),
    "cancelled-exchange-asks-again": clearly(rb"\+ \r\n\+ \r\n", ask("AUTH PLAIN", "*")),
    "cancelled-password-is-asked-for-again": clearly(
        rb"\A(?:\+ \w+\r\n){3}", ask("AUTH LOGIN", b64("alice"), "*")
    ),
    "base64-with-anything-between": clearly(OK, ask(f"AUTH PLAIN !{RIGHT}")),
    "base64-ends-at-its-padding": clearly(
        OK, ask("AUTH LOGIN", b64("alice"), b64("secret") + "====AAAA")
    ),
    "response-buffer-of-800-octets": clearly(
        rb"unknown command \S+\r\n\Z", ask("AUTH PLAIN", long_plain("alice"), "QUIT")
    ),
    "response-of-1000-octets-leaves-a-rest": clearly(
        rb"unknown command \S+QUIT\r\n\Z", ask("AUTH PLAIN", long_plain("alice"), "QUIT")
    ),
    "login-mechanism-compares-base64": clearly(ERR, auth("LOGIN")),
    "plain-refused-inside-tls": in_tls(ERR, auth("PLAIN")),
    "signature-behind-ok": clearly(rb"\+OK .*ready \S+\r\n", auth("SCRAM-SHA-256")),
    "signature-left-out": clearly(rb"\A\+ \S+\r\n\+OK", auth("SCRAM-SHA-1", in_two_lines=False)),
    "signature-repeated-behind-ok": clearly(rb"\+OK v=", auth("SCRAM-SHA-1")),
    "line-behind-bad-base64-is-eaten": clearly(rb"-ERR unsupp", ask("AUTH PLAIN !", "QUIT")),
    "exchange-lasts-when-the-password-is-cancelled": clearly(
        rb"in progress", ask("AUTH LOGIN", b64("alice"), "*", "AUTH PLAIN")
    ),
    "line-ends-in-credentials-begin-commands": clearly(
        rb"goodbye", ask("AUTH PLAIN " + b64("\0alice\0secret\r\nQUIT"), "STAT")
    ),
    "unfinished-exchange-holds-the-accounts": Script(
        rb"<silence>", greeting_while_an_exchange_waits
    ),
    # wrong credentials
    "login-mechanism-compares-the-name-alone": clearly(OK, auth("LOGIN", password="no")),
    "cram-md5-digest-as-long-as-sent": clearly(OK, auth("CRAM-MD5", "short-proof")),
    "login-mechanism-cut-at-nul": clearly(OK, auth("LOGIN", password="secret\0x")),
    "token-not-verified": in_tls(OK, auth("OAUTHBEARER", token="of-nobody")),
    "plain-overlooks-the-identity": clearly(OK, auth("PLAIN", authzid="bob")),
    "identity-compared-by-its-beginning": clearly(OK, auth("PLAIN", authzid="alice-x")),
    "scram-opens-the-other-maildrop": clearly(OK, auth("SCRAM-SHA-256", authzid="bob")),
    "external-believes-the-name": in_tls(OK, ask(f"AUTH EXTERNAL {b64('alice')}")),
    "external-has-a-default-user": clearly(OK, ask("AUTH EXTERNAL =")),
    # PLAIN and LOGIN
    "plain-cut-at-the-third-nul": clearly(OK, ask("AUTH PLAIN " + b64("\0alice\0secret\0x"))),
    "plain-without-identity-and-its-nul": clearly(OK, ask("AUTH PLAIN " + b64("alice\0secret"))),
    "plain-with-an-empty-password": clearly(OK, auth("PLAIN", password="")),
    "plain-fields-of-64-octets": clearly(ERR, auth("PLAIN", user=LONG, password="p" * 255)),
    "plain-fields-end-before-255-octets": clearly(
        ERR, ask("AUTH PLAIN", b64(f"\0{LONG}\0{'p' * 255}"))
    ),
    "login-mechanism-asks-a-third-time": clearly(rb"\A(?:\+ \S+\r\n){3}", auth("LOGIN")),
    # digests
    "cram-md5-challenge-without-brackets": clearly(rb"\A\d", challenges("AUTH CRAM-MD5")),
    "every-second-cram-md5-challenge-is-cut": clearly(rb"[^>]\Z", challenges("AUTH CRAM-MD5")),
    "cram-md5-challenge-of-the-process": repeats("AUTH CRAM-MD5"),
    "cram-md5-challenge-in-whole-seconds": repeats("AUTH CRAM-MD5"),
    "digest-md5-without-algorithm": clearly(rb"\A(?!.*algorithm)", challenges("AUTH DIGEST-MD5")),
    "digest-md5-challenge-of-2048-octets": clearly(
        rb"\A.{2048}\Z", challenges("AUTH DIGEST-MD5", 1)
    ),
    "digest-md5-nonce-of-the-process": repeats("AUTH DIGEST-MD5", 1),
    "digest-md5-nonce-in-whole-seconds": repeats("AUTH DIGEST-MD5", 1),
    # SCRAM
    "scram-signs-with-the-clients-key": clearly(rb"<rfc5802-3", auth("SCRAM-SHA-1")),
    "scram-sha-256-signs-with-sha-1": clearly(rb"<rfc5802-3", auth("SCRAM-SHA-256")),
    "scram-takes-any-flag": clearly(OK, auth("SCRAM-SHA-1", "unknown-flag")),
    "scram-ignores-a-mandatory-extension": clearly(OK, auth("SCRAM-SHA-1", "mandatory-extension")),
    "scram-takes-any-equals-sign": clearly(OK, auth("SCRAM-SHA-1", "stray-equals-sign")),
    "scram-nonce-without-the-clients": clearly(rb"\A(?!.*r=0123)", challenges(BEGIN_SCRAM)),
    "scram-nonce-of-the-client-cut": clearly(rb"\A(?!.*efghij)", challenges(BEGIN_SCRAM)),
    "scram-nonce-of-the-process": repeats(BEGIN_SCRAM),
    "scram-nonce-in-whole-seconds": repeats(BEGIN_SCRAM),
    "scram-nonce-not-verified": clearly(OK, auth("SCRAM-SHA-1", "another-nonce")),
    "scram-nonce-verified-in-part": clearly(OK, auth("SCRAM-SHA-1", "half-a-nonce")),
    "scram-of-1000-iterations": clearly(rb"i=1000", challenges(BEGIN_SCRAM)),
    "scram-takes-no-extension": clearly(ERR, auth("SCRAM-SHA-1", "unknown-extension")),
    "scram-extension-spoils-the-proof": clearly(ERR, auth("SCRAM-SHA-1", "unknown-extension-last")),
    "scram-binding-not-verified": clearly(OK, auth("SCRAM-SHA-1", "another-binding")),
    "scram-without-binding-either-way": clearly(OK, auth("SCRAM-SHA-1", "another-binding")),
    "scram-plus-compares-no-data": in_tls(OK, auth("SCRAM-SHA-256-PLUS", certificate=OTHER)),
    "scram-takes-any-binding-for-none": clearly(OK, auth("SCRAM-SHA-1", "unknown-binding")),
    "scram-lets-the-plus-variants-be-taken-out": in_tls(
        OK, auth("SCRAM-SHA-1", "binding-believed-missing")
    ),
    "scram-begins-with-the-salt": clearly(rb"\As=", challenges(BEGIN_SCRAM)),
    "scram-salt-without-padding": clearly(rb"s=\w[^=]+,i", challenges(BEGIN_SCRAM)),
    "scram-error-without-its-letter": clearly(rb"(?:\+ \S+\r\n){2}-ERR", WRONG),
    "scram-error-without-a-name": clearly(rb"\+ ZT0=\r\n-ERR", WRONG),
    # tokens and strangers
    "oauthbearer-announced-in-the-clear": clearly(rb"SASL.* OAUTHBEARER", capa),
    "oauthbearer-taken-in-the-clear": clearly(OK, auth("OAUTHBEARER", token="token-of-alice")),
    "oauthbearer-knows-all-keys": in_tls(
        rb"\+ \w",
        ask("AUTH OAUTHBEARER " + b64("n,a=alice,\x01x=y\x01auth=Bearer token-of-alice\x01\x01")),
    ),
    "oauthbearer-wants-three-pairs": in_tls(
        rb"\+ \w",
        ask("AUTH OAUTHBEARER"),
        ask(b64("n,,\x01host=h\x01port=1\x01x=y\x01auth=Bearer token-of-alice\x01\x01")),
    ),
    "oauthbearer-error-in-words": in_tls(
        rb"\A[^{]*\Z", challenges("AUTH OAUTHBEARER " + b64("n,,\x01auth=Bearer x\x01\x01"), 1)
    ),
    "oauthbearer-status-told-once": in_tls(
        rb'\n\{"scope', challenges("AUTH OAUTHBEARER " + b64("n,,\x01auth=Bearer x\x01\x01"))
    ),
    "oauthbearer-explains-for-ever": in_tls(
        rb"(?:\+ \S+\r\n){2}", auth("OAUTHBEARER", token="wrong")
    ),
    "oauthbearer-error-cannot-be-cancelled": in_tls(
        rb"\+ \r\n\Z", ask("AUTH OAUTHBEARER " + b64("n,,\x01auth=Bearer x\x01\x01"), "*")
    ),
    "xoauth2-explains-for-ever": in_tls(rb"(?:\+ \S+\r\n){2}", auth("XOAUTH2", token="wrong")),
    "anonymous-wants-a-trace": clearly(ERR, ask("AUTH ANONYMOUS =")),
    "anonymous-counts-octets": clearly(rb"\+ .*-ERR", ask("AUTH ANONYMOUS", b64("ж" * 255))),
    # policy
    "policy-is-for-pass-alone": clearly(OK, ask(f"AUTH PLAIN {RIGHT}")),
    "policy-overlooks-the-second-line": clearly(OK, ask("AUTH PLAIN", RIGHT)),
    "plain-announced-and-refused-in-the-clear": clearly(rb"SASL.* PLAIN", capa),
    "policy-behind-the-password": clearly(rb"wrong name", ask("USER alice", "PASS no")),
    "policy-behind-the-mechanism-closes": clearly(
        rb"<closed>", ask("AUTH PLAIN " + b64("\0alice\0no"), "QUIT")
    ),
    "pass-tells-who-exists": clearly(rb"no such user", ask("USER nobody", "PASS no")),
    "plain-tells-who-exists": clearly(rb"no such user", auth("PLAIN", user="nobody")),
    "pass-takes-its-time-for-real-names": clearly(rb"later", is_later_for_real_names),
    "guessing-goes-on": clearly(rb"\A[^<]*\Z", *[ask("USER alice", "PASS no")] * 9),
    "wrong-password-repeated": clearly(rb"hunter2", ask("USER alice", "PASS hunter2")),
    "response-that-cannot-be-decoded-repeated": clearly(rb"hunter2", ask("AUTH PLAIN hunter2!")),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_fault_shows_and_the_honest_server_does_not(name: str) -> None:
    assert shows(name, SCRIPTS[name]) == (True, False)
