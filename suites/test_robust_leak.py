"""What another account has, in the replies to what no client may send."""

from collections.abc import Iterator
from functools import partial

import pytest

from pop3spec.fixtures import Maildrop, blocked, messages
from pop3spec.transcript import Exchange

RULE = "robust-no-leak"
WORD = "canary-qx7zj4"
# A secret that is shorter may stand in a reply by chance.
TELLING = 8

STIMULI = {
    "nul": b"NO\0OP\r\n",
    "octets-above-127": b"USER \xff\xfe\xfd\r\n",
    "control-characters": b"\x01\x02\x03\r\n",
    "a-long-line": b"NOOP " + b"x" * 2000 + b"\r\n",
    "a-format": b"USER %s%s%s%x%x%n\r\n",
    "an-unknown-command": b"XQZJ\r\n",
    "a-bad-number": b"LIST 1abc\r\n",
}


@pytest.mark.parametrize("octets", STIMULI.values(), ids=STIMULI)
@pytest.mark.parametrize("after_login", [False, True], ids=["before-login", "behind-login"])
@pytest.mark.rules(RULE)
def test_no_reply_has_mail_or_a_secret_of_another_account(
    two_maildrops: tuple[Maildrop, Maildrop], octets: bytes, after_login: bool
) -> None:
    """One session has just read its mail; another one is told nothing of it."""
    owner, stranger = two_maildrops
    owner.fill(messages(2, WORD))
    stranger.fill(messages(1))
    reader = owner.open("reader")
    for number in (1, 2):
        if not reader.exchange(f"RETR {number}").is_ok:
            blocked("RETR is refused")
    other = (
        stranger.open("other")
        if after_login
        else stranger.patiently(partial(stranger.greeted, "other"))
    )
    other.send_octets(octets)
    told = list(replies(other.receive()))
    other.close()
    reader.quit()

    owner.hold(RULE, leaked(owner, told))


def replies(exchange: Exchange) -> Iterator[bytes]:
    """The octets of a reply, or of what came in its place."""
    yield exchange.partial
    if exchange.reply is not None:
        yield exchange.reply.wire


def leaked(owner: Maildrop, told: list[bytes]) -> str:
    """What stands in the replies that is the owner's, in words."""
    if any(WORD.encode() in octets for octets in told):
        return "mail of another account in a reply"
    secret = owner.mailbox.account.password.encode()
    if len(secret) >= TELLING and any(secret in octets for octets in told):
        return "the password of another account in a reply"
    return ""
