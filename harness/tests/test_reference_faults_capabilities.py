"""Each fault of CAPA shows where it should, and the honest server does not show it."""

import hashlib
import re

import pytest
from faultscripts import Script, Step, ask, auth, capa, clear, login, shows, stls, tls
from rawclient import RawClient


def without(tag: bytes) -> bytes:
    """No line of what is heard has this tag."""
    return rb"(?m)\A(?!.*^" + tag + rb"\b)"


def apop(client: RawClient) -> bytes:
    """A login with the digest for this session."""
    found = re.search(rb"<.*>", client.greeting)
    assert found is not None
    return client.ask("APOP alice " + hashlib.md5(found[0] + b"secret").hexdigest())


def clearly(pattern: bytes, *steps: Step) -> Script:
    """Steps in the clear."""
    return Script(pattern, clear(*steps))


SCRIPTS: dict[str, Script] = {
    "capa-before-the-login-alone": clearly(rb"-ERR", login, ask("CAPA")),
    "capa-refused-behind-a-refused-login": clearly(
        rb"-ERR CAPA", auth("PLAIN", password="no"), ask("CAPA")
    ),
    "argument-of-capa-ignored": clearly(rb"\+OK", ask("CAPA x")),
    "blank-behind-each-tag": clearly(rb"TOP \n", capa),
    "blank-of-a-mechanism-left-out": clearly(rb"SASL \S+  \S", capa),
    "empty-line-for-a-capability-left-out": clearly(rb"\n\Z", login, capa),
    "tag-with-a-dot": clearly(rb"X-EXAMPLE\.ORG", capa),
    "options-of-the-build-in-one-line": clearly(rb"[^\n]{513}", capa),
    "line-as-long-as-the-buffer": clearly(rb"[^\n]{511}", capa),
    "pipelining-before-the-login-alone": clearly(without(b"PIPELINING"), login, capa),
    "expire-lost-by-apop": clearly(without(b"EXPIRE"), apop, capa),
    "user-before-the-login-alone": clearly(without(b"USER"), login, capa),
    "user-not-for-who-came-by-apop": clearly(without(b"USER"), apop, capa),
    "no-mechanism-after-the-login": clearly(rb"SASL(\n|\Z)", login, capa),
    "mechanism-in-use-left-out": clearly(rb"SASL(?! PLAIN|.* PLAIN )", auth("PLAIN"), capa),
    "capability-from-the-second-list-on": clearly(rb"X-QUOTA", capa, capa),
    "no-pipelining-behind-a-refused-login": clearly(
        without(b"PIPELINING"), auth("PLAIN", password="no"), capa
    ),
    "pipelining-yes": clearly(rb"PIPELINING yes", capa),
    "implementation-without-a-name": clearly(rb"IMPLEMENTATION(\n|\Z)", capa),
    "user-for-the-clear-alone": clearly(rb"<TLS>-ERR", stls, ask("USER alice")),
    "user-unknown-on-the-port-for-tls": Script(rb"-ERR", tls(ask("USER alice"))),
    "user-announced-and-refused-in-the-clear": clearly(rb"(?m)^USER$", capa),
    "login-delay-in-minutes": clearly(rb"LOGIN-DELAY 5m", capa),
    "login-delay-with-user-after-the-login": clearly(rb"LOGIN-DELAY 0 USER", login, capa),
    "smallest-delay-before-the-login": clearly(rb"LOGIN-DELAY 1", apop, capa),
    "delay-of-the-configuration-behind-rset": clearly(rb"LOGIN-DELAY 1", login, ask("RSET"), capa),
    "other-period-without-a-word": clearly(rb"EXPIRE 5.*EXPIRE 30", capa, login, capa),
    "expire-with-a-unit": clearly(rb"EXPIRE 30d", capa),
    "expire-minus-one": clearly(rb"EXPIRE -1", capa),
    "expire-with-user-after-the-login": clearly(rb"EXPIRE 30 USER", login, capa),
    "largest-period-before-the-login": clearly(rb"EXPIRE 60.*EXPIRE 30", capa, login, capa),
    "never-is-the-smallest-period": clearly(rb"NEVER USER.*EXPIRE 14", capa, login, capa),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_fault_shows_and_the_honest_server_does_not(name: str) -> None:
    assert shows(name, SCRIPTS[name]) == (True, False)
