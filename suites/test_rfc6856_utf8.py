"""UTF8: messages in and outside of UTF-8 mode, and names in UTF-8 (RFC 6856, sections 2 and 5).

The mode is for the whole of a session, so that each test has sessions of its own.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import pytest

from pop3spec.authentication import authenticate
from pop3spec.fixtures import Maildrop, blocked, not_applicable
from pop3spec.refusals import refusal
from pop3spec.rulebook.history import body_of
from pop3spec.rulebook.observers import came_back
from pop3spec.sasl import Identity, begin
from pop3spec.session import Session
from pop3spec.stock import CRLF, STOCK, message
from pop3spec.target import Account, Transport
from pop3spec.transcript import Exchange

ASCII_MODE = "rfc6856-2.1-ascii-mode"
UTF8_MODE = "rfc6856-2.1-utf8-mode"
SIZE = "rfc6856-2.1-list-size"
AFTER_LOGIN = "rfc6856-2-utf8-after-login"
IN_TRANSACTION = "rfc6856-2-utf8-in-transaction"
NO_ARGUMENT = "rfc6856-2.1-no-argument"
NAMES = "rfc6856-2.2-utf8-names"
INVALID = "rfc6856-2.2-invalid-utf8"
SASLPREP = "rfc6856-2.2-saslprep"
CODE = "rfc6856-5-utf8-code"

# No maildrop of a test has so many messages.
NOBODY = 999
# Letters of ASCII become those of full width, which SASLprep makes the same (RFC 4013).
FULL_WIDTH = 0xFEE0


def with_field(name: str, field: str) -> bytes:
    """A message with a header field at the end of its header."""
    ascii_alone = message(name, (b"One line.",))
    return ascii_alone.replace(CRLF * 2, CRLF + field.encode() + CRLF * 2, 1)


# Where the header has UTF-8, and behind how much of ASCII.
NEEDS_UTF8: Mapping[str, bytes] = {
    "subject": STOCK["utf-8-header"].octets,
    "address": with_field("address", "Cc: Jürgen <jürgen@größe.example>"),
    "folded line": with_field("folded", "X-Folded: one" + "\r\n line with ümläuts"),
    "one character": with_field("one", "X-Name: 文"),
    "behind 10 KiB": with_field("behind", "X-Long: " + "\r\n long" * 1700 + "\r\nX-Last: größer"),
}
BODY = STOCK["utf-8-body"].octets


# --- Messages ---


@pytest.mark.rules(ASCII_MODE, CODE, IN_TRANSACTION)
def test_without_utf8_a_message_that_needs_it_is_refused_or_replaced(
    international: Maildrop,
) -> None:
    """By RETR and TOP, wherever in the header it is; a refused UTF8 after the login is none."""
    need_utf8(international)
    international.fill([*NEEDS_UTF8.values(), BODY])
    session = international.open("ascii")
    for word in ("STAT", "LIST", "UIDL"):
        session.exchange(word)

    for _ in range(2):
        for number, where in enumerate(NEEDS_UTF8, 1):
            for line in (f"LIST {number}", f"UIDL {number}"):
                session.exchange(line)
            for line in (f"TOP {number} 0", f"TOP {number} 5", f"RETR {number}"):
                exchange = session.exchange(line)
                international.hold(ASCII_MODE, as_it_is(exchange, where))
                observe_without_utf8(international, exchange)
        if session.exchange("UTF8").is_ok:
            break  # judged by itself
    exchange = session.exchange(f"RETR {len(NEEDS_UTF8) + 1}")
    is_same = exchange.reply is not None and not lacking(exchange, BODY)
    how = "sent as it is" if is_same else came_back(exchange)
    international.observe("eight-bit-body", f"RETR: {how}")
    session.exchange("DELE 1")
    session.exchange("RSET")
    session.quit()


def as_it_is(exchange: Exchange, where: str) -> str:
    """Words for octets above 127 in a header that was sent."""
    if not exchange.is_ok or exchange.reply is None:
        return ""
    content = exchange.reply.content
    head = content.removesuffix(body_of(content) or b"")
    return "" if head.isascii() else f"octets above 127 in the header ({where})"


def observe_without_utf8(maildrop: Maildrop, exchange: Exchange) -> None:
    """How a message that needs UTF8 is refused, or what takes its place."""
    if exchange.reply is None:
        return
    if exchange.is_err:
        has_code = exchange.reply.text.upper().startswith(b"[UTF8]")
        value = f"{exchange.keyword}: refused with{'' if has_code else 'out'} [UTF8]"
        maildrop.observe("refusal-without-utf8", value)
        return
    maildrop.observe("refusal-without-utf8", f"{exchange.keyword}: replaced")
    is_encoded = b"=?utf-8?" in exchange.reply.content.lower()
    maildrop.observe("surrogate-message", "encoded words" if is_encoded else "something else")


def by_pass(session: Session, maildrop: Maildrop) -> Exchange:
    """USER and PASS."""
    session.exchange(f"USER {maildrop.mailbox.account.user}")
    return session.exchange(f"PASS {maildrop.mailbox.account.password}")


def by_apop(session: Session, maildrop: Maildrop) -> Exchange:
    """APOP, where the greeting has a timestamp."""
    if session.timestamp is None:
        not_applicable("APOP is not offered")
    account = maildrop.mailbox.account
    return session.exchange(f"APOP {account.user} {session.apop_digest(account.password)}")


def by_plain(session: Session, maildrop: Maildrop) -> Exchange:
    """AUTH PLAIN, where it is announced."""
    need(maildrop, "SASL PLAIN")
    account = maildrop.mailbox.account
    client = begin("PLAIN", Identity(account.user, account.password))
    return authenticate(session, maildrop.recorder, "PLAIN", client)


def by_second_try(session: Session, maildrop: Maildrop) -> Exchange:
    """USER and PASS, behind a wrong password."""
    maildrop.count_failed_login()
    session.exchange(f"USER {maildrop.mailbox.account.user}")
    session.exchange("PASS not-the-password")
    return by_pass(session, maildrop)


Login = Callable[[Session, Maildrop], Exchange]
WAYS: Mapping[str, Login] = {
    "pass": by_pass,
    "apop": by_apop,
    "plain": by_plain,
    "second-try": by_second_try,
}
each_way = pytest.mark.parametrize("way", WAYS)


@each_way
@pytest.mark.rules(UTF8_MODE, SIZE, AFTER_LOGIN, IN_TRANSACTION, CODE)
def test_in_utf8_mode_messages_are_sent_as_they_are(international: Maildrop, way: str) -> None:
    """However the login is made; sizes are those of what is sent."""
    need_utf8(international)
    if way != "apop":
        need_permission(international)
    international.fill([*NEEDS_UTF8.values(), BODY])
    session = greeted(international, way)
    session.exchange("CAPA")
    enter_utf8_mode(international, session)
    session.exchange("CAPA")
    need_login(WAYS[way](session, international))
    session.exchange("CAPA")

    international.hold(UTF8_MODE, wrong_in_mode(session))
    # What fails here fails for other reasons than the mode.
    for line in (f"RETR {NOBODY}", f"TOP {NOBODY} 0", f"LIST {NOBODY}"):
        session.exchange(line)
    session.exchange("UTF8")
    international.hold(UTF8_MODE, wrong_in_mode(session))
    session.quit()


@pytest.mark.rules(UTF8_MODE)
def test_a_second_utf8_leaves_the_session_in_utf8_mode(international: Maildrop) -> None:
    """Whatever is said to it."""
    need_utf8(international)
    international.fill([*NEEDS_UTF8.values(), BODY])
    session = greeted(international, "second")
    enter_utf8_mode(international, session)
    international.observe("second-utf8", came_back(session.exchange("UTF8")))
    international.patiently(partial(international.log_in, session))

    international.hold(UTF8_MODE, wrong_in_mode(session))
    session.quit()


def wrong_in_mode(session: Session) -> str:
    """Words for a message that is not sent as it is."""
    for word in ("STAT", "LIST", "UIDL"):
        session.exchange(word)
    for number, (where, stored) in enumerate([*NEEDS_UTF8.items(), ("body", BODY)], 1):
        for line in (f"RETR {number}", f"TOP {number} 5"):
            exchange = session.exchange(line)
            if exchange.is_err:
                return f"{came_back(exchange)} to {line} in UTF-8 mode"
            if exchange.is_ok and (line_there := lacking(exchange, stored)):
                return f"{line} without the line {line_there!r} in UTF-8 mode ({where})"
    return ""


def lacking(exchange: Exchange, stored: bytes) -> str:
    """A line beyond ASCII of a message that was not sent, none if all were."""
    lines = () if exchange.reply is None else exchange.reply.lines
    wanted = [line for line in stored.split(CRLF) if not line.isascii()]
    return next((line.decode() for line in wanted if line not in lines), "")


@pytest.mark.parametrize("argument", ["USER", "x"])
@pytest.mark.rules(NO_ARGUMENT)
def test_utf8_with_an_argument_is_refused(international: Maildrop, argument: str) -> None:
    """The argument of the capability is none of the command."""
    need_utf8(international)
    enter_utf8_mode(international, greeted(international, "without"))
    exchange = greeted(international, "with").exchange(f"UTF8 {argument}")

    words = f"'+OK' to UTF8 with the argument {argument!r}" if exchange.is_ok else ""
    international.hold(NO_ARGUMENT, words)


def test_what_stls_comes_to_behind_utf8(international: Maildrop) -> None:
    """No client may do that, and the server may refuse it: an observation."""
    need_utf8(international)
    if "STLS" not in international.run.observed.features_on(Transport.PLAIN):
        not_applicable("STLS is not offered")
    session = greeted(international, "stls", Transport.PLAIN)
    enter_utf8_mode(international, session)
    session.expect_anything()
    international.observe("stls-after-utf8", came_back(session.exchange("STLS")))
    session.close()


# --- Names and passwords ---


@pytest.mark.parametrize("mode", ["ascii", "utf8"])
@pytest.mark.parametrize("way", ["pass", "apop"])
@pytest.mark.rules(NAMES)
def test_a_name_and_a_password_in_utf8_log_in(international: Maildrop, way: str, mode: str) -> None:
    """Before the command UTF8 and after it."""
    need_utf8_names(international)
    need_permission(international)
    account = international_account(international)
    session = greeted(international, f"{way}-{mode}")
    session.leave_maildrop()
    if mode == "utf8":
        enter_utf8_mode(international, session)
    if way == "apop" and session.timestamp is None:
        not_applicable("APOP is not offered")
    lines = [f"USER {account.user}", f"PASS {account.password}"]
    if way == "apop":
        lines = [f"APOP {account.user} {session.apop_digest(account.password)}"]
    exchange = said(session, lines)
    if exchange.is_err and refusal(exchange).is_limit:
        blocked(refusal(exchange))

    words = f"{came_back(exchange)} to a name or password in UTF-8 ({way}, {mode} mode)"
    international.hold(NAMES, "" if exchange.is_ok else words)
    session.quit()


def foreign_octet(user: bytes, password: bytes) -> tuple[bytes, bytes]:
    """One octet that is never in UTF-8, behind the name."""
    return user + b"\xff", password


def cut_name(user: bytes, password: bytes) -> tuple[bytes, bytes]:
    """The first octet of two, behind the name."""
    return user + b"\xc3", password


def cut_password(user: bytes, password: bytes) -> tuple[bytes, bytes]:
    """The first octet of two, behind the password."""
    return user, password + b"\xc3"


def octet_within(user: bytes, password: bytes) -> tuple[bytes, bytes]:
    """One that goes on with a character that has not begun, in the midst of the password."""
    return user, password[:1] + b"\x80" + password[1:]


def overlong(user: bytes, password: bytes) -> tuple[bytes, bytes]:
    """The first letter of the name on two octets, where one is enough."""
    return bytes((0xC0 | user[0] >> 6, 0x80 | user[0] & 0x3F)) + user[1:], password


Spelling = Callable[[bytes, bytes], tuple[bytes, bytes]]
ILL_FORMED: Mapping[str, Spelling] = {
    "foreign-octet": foreign_octet,
    "cut-name": cut_name,
    "cut-password": cut_password,
    "octet-within": octet_within,
    "overlong": overlong,
}


@pytest.mark.parametrize("mode", ["ascii", "utf8"])
@pytest.mark.parametrize("form", ILL_FORMED)
@pytest.mark.rules(INVALID)
def test_a_name_or_a_password_that_is_not_utf8_is_refused(
    international: Maildrop, form: str, mode: str
) -> None:
    """What is left of it is right."""
    need_utf8_names(international)
    need_permission(international)
    right = international.mailbox.account
    if not right.user[0].isascii():
        blocked("the name of the account does not begin with a letter of ASCII")
    wrong = ILL_FORMED[form](right.user.encode(), right.password.encode())
    refuse_octets(international, wrong, form, mode)


@pytest.mark.parametrize("of", ["name", "password"])
@pytest.mark.rules(INVALID)
def test_a_name_or_a_password_in_latin_1_is_refused(international: Maildrop, of: str) -> None:
    """It is right in UTF-8."""
    need_utf8_names(international)
    need_permission(international)
    right = international_account(international)
    user, password = right.user, right.password
    wrong = (user.encode(), password.encode("latin-1", "replace"))
    if of == "name":
        wrong = (user.encode("latin-1", "replace"), password.encode())
    if wrong == (user.encode(), password.encode()) or b"?" in b"".join(wrong):
        blocked(f"the {of} of the account is not in ISO 8859-1, or in ASCII")
    refuse_octets(international, wrong, f"{of} in ISO 8859-1", "ascii")


def refuse_octets(
    maildrop: Maildrop, credentials: tuple[bytes, bytes], form: str, mode: str
) -> None:
    """A login with octets that are not UTF-8, which has to fail."""
    session = greeted(maildrop, mode)
    session.leave_maildrop()
    if mode == "utf8":
        enter_utf8_mode(maildrop, session)
    maildrop.count_failed_login()
    user, password = credentials
    is_name = not is_utf8(user)
    session.send_octets(b"USER " + user + CRLF)
    exchange = session.receive()
    if exchange.is_err and not is_name:
        blocked("USER is refused")
    if exchange.is_ok:
        session.send_octets(b"PASS " + password + CRLF)
        exchange = session.receive()

    words = f"a login with a {'name' if is_name else 'password'} that is not UTF-8 ({form})"
    maildrop.hold(INVALID, words if exchange.is_ok else "")
    session.close()


def is_utf8(octets: bytes) -> bool:
    """Well-formed UTF-8 (RFC 3629)."""
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return True


def wide(text: str) -> str:
    """The first letter or digit in full width."""
    return next(
        text[:place] + chr(ord(letter) + FULL_WIDTH) + text[place + 1 :]
        for place, letter in enumerate(text)
        if letter.isascii() and letter.isalnum()
    )


def with_soft_hyphen(text: str) -> str:
    """A soft hyphen, of which SASLprep makes nothing."""
    return f"{text[:1]}\u00ad{text[1:]}"


@pytest.mark.parametrize("spelling", [wide, with_soft_hyphen], ids=["full-width", "soft-hyphen"])
@pytest.mark.parametrize("of", ["name", "password"])
@pytest.mark.rules(SASLPREP)
def test_another_spelling_that_saslprep_makes_the_same_logs_in(
    international: Maildrop, of: str, spelling: Callable[[str], str]
) -> None:
    """What another keyboard makes of the same word."""
    need_utf8_names(international)
    need_permission(international)
    right = international.mailbox.account
    other = replace(right, user=spelling(right.user))
    if of == "password":
        other = replace(right, password=spelling(right.password))
    international.count_failed_login()
    session = greeted(international, of)
    session.leave_maildrop()
    exchange = said(session, [f"USER {other.user}", f"PASS {other.password}"])
    if exchange.is_err and refusal(exchange).is_limit:
        blocked(refusal(exchange))

    words = f"{came_back(exchange)} to another spelling of the {of}"
    international.hold(SASLPREP, "" if exchange.is_ok else words)
    session.quit()


# --- What has to be so before that is judged ---


def need(maildrop: Maildrop, feature: str) -> None:
    """The target announces it."""
    observed = maildrop.run.observed
    if feature not in observed.features_on(maildrop.transport or observed.transport):
        not_applicable(f"{feature} is not offered")


def need_utf8(maildrop: Maildrop) -> None:
    """UTF8 is announced."""
    need(maildrop, "UTF8")


def need_utf8_names(maildrop: Maildrop) -> None:
    """UTF8 is announced with its argument USER."""
    need(maildrop, "UTF8")
    observed = maildrop.run.observed
    listed = observed.announced_on(maildrop.transport or observed.transport) or {}
    if "USER" not in {word.upper() for word in listed.get("UTF8", ())}:
        not_applicable("UTF8 USER is not offered")


def need_permission(maildrop: Maildrop) -> None:
    """What is nearly the right password may go over this connection."""
    run = maildrop.run
    layer = maildrop.transport or run.observed.transport
    if layer is Transport.PLAIN and not run.target.allow_cleartext:
        blocked("a password would go over an unencrypted connection; see --allow-cleartext")


def need_login(exchange: Exchange) -> None:
    """The login succeeded."""
    if not exchange.is_ok:
        blocked(refusal(exchange))


def international_account(maildrop: Maildrop) -> Account:
    """An account with something else than ASCII in its name or password."""
    target = maildrop.run.target
    accounts = (*target.sasl_accounts, *target.accounts)
    fitting = [each for each in accounts if not (each.user + each.password).isascii()]
    if not fitting:
        blocked("it needs an account with UTF-8 in its name or password; see sasl-accounts")
    return fitting[0]


def greeted(maildrop: Maildrop, name: str, transport: Transport | None = None) -> Session:
    """A session in the AUTHORIZATION state."""
    return maildrop.patiently(partial(maildrop.greeted, name, transport=transport))


def enter_utf8_mode(maildrop: Maildrop, session: Session) -> None:
    """UTF8, which a server may refuse although it is announced."""
    exchange = session.exchange("UTF8")
    maildrop.observe("utf8-refused", "no" if exchange.is_ok else came_back(exchange))
    if not exchange.is_ok:
        not_applicable("UTF8 is refused")


def said(session: Session, lines: list[str]) -> Exchange:
    """The last reply to some lines, of which each follows a positive one."""
    exchange = session.exchange(lines[0])
    for line in lines[1:]:
        if exchange.is_ok:
            exchange = session.exchange(line)
    return exchange
