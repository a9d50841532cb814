"""Which octets give a password away."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pop3spec.masking import forms_of, masker_for
from pop3spec.target import Account

ALICE = Account("alice", "correct-horse")
SECRET = b"correct-horse"

ECHOES = {
    "as it is": SECRET,
    "hex": SECRET.hex().encode(),
    "HEX": SECRET.hex().upper().encode(),
    "base64": base64.b64encode(SECRET),
    "md5": hashlib.md5(SECRET).hexdigest().encode(),
    "MD5": hashlib.md5(SECRET).hexdigest().upper().encode(),
    "md5 in base64": base64.b64encode(hashlib.md5(SECRET).digest()),
    "sha1": hashlib.sha1(SECRET).hexdigest().encode(),
    "sha256": hashlib.sha256(SECRET).hexdigest().encode(),
    "sha512 in base64": base64.b64encode(hashlib.sha512(SECRET).digest()),
    "base64 for URLs": base64.urlsafe_b64encode(SECRET),
    "upper case": SECRET.upper(),
    "PLAIN": base64.b64encode(b"\0alice\0" + SECRET),
    "PLAIN with an authorization identity": base64.b64encode(b"alice\0alice\0" + SECRET),
}


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
def test_no_form_of_a_password_comes_through(echo: bytes) -> None:
    masker = masker_for([ALICE])

    assert masker.mask(b"-ERR <" + echo + b"> is wrong\r\n") == b"-ERR <***> is wrong\r\n"
    assert masker.mask_text(f"got '{echo.decode()}'") == "got '***'"


@given(st.binary(min_size=4, max_size=24), st.binary(max_size=9), st.binary(max_size=9))
def test_base64_of_a_text_around_the_password_tells_nothing_of_it(
    secret: bytes, before: bytes, behind: bytes
) -> None:
    text = base64.b64encode(before + secret + behind)

    # What base64 of the secret alone has to hold, the digits that neighbours share left out.
    assert any(form in text for form in forms_of(secret))


@pytest.mark.parametrize("password", ["abcd", "x y z", "pä55", "\\n\\r", "p*.[]"])
def test_short_and_awkward_passwords_are_hidden_too(password: str) -> None:
    masker = masker_for([Account("bob", password)])
    octets = password.encode()

    assert octets not in masker.mask(b"-ERR " + octets)
    assert base64.b64encode(octets) not in masker.mask(base64.b64encode(b"\0bob\0" + octets))


def test_passwords_below_four_octets_are_everyday_words() -> None:
    assert masker_for([Account("bob", "abc")]).forms == ()


def test_a_password_that_holds_another_is_hidden_as_a_whole() -> None:
    masker = masker_for([Account("a", "horse"), Account("b", "correct-horse")])

    assert masker.mask(b"correct-horse horse") == b"*** ***"


def test_more_secrets_are_hidden_on_request() -> None:
    assert masker_for([], [b"a-token"]).mask(b"+OK a-token") == b"+OK ***"


@pytest.mark.parametrize(
    "text", ["PASS correct-ho…", "'PASS correct-ho...", "'it was ...ct-horse'"]
)
def test_what_a_shortened_quotation_leaves_of_a_password_is_hidden(text: str) -> None:
    masked = masker_for([ALICE]).mask_text(text)

    assert "***" in masked
    assert "orrect" not in masked
    assert "horse" not in masked
