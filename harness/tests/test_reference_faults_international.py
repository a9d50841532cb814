"""Each fault of the reference server in UTF8 and LANG: visibly wrong on the wire."""

import re
from base64 import b64encode
from collections.abc import Mapping
from hashlib import md5

import pytest
from rawclient import RawClient

from pop3spec.protocol.listings import timestamps
from pop3spec.reference import MemoryStore, ReferenceServer

ACCOUNTS = {"jürgen": "größe-7", "alice": "secret"}
MESSAGES = (
    b"Subject: one\r\n\r\nOne line.\r\n",
    "Subject: Größe\r\n\r\nOne line.\r\n".encode(),
    b"Subject: long\r\n" + b" long\r\n" * 200 + "X-Last: ß\r\n\r\nOne line.\r\n".encode(),
)
SIZE = len(MESSAGES[1])
LOGIN = b"USER alice|PASS secret|"
MODE = b"UTF8|" + LOGIN
PLAIN = b64encode(b"\0alice\0secret")
NAME, PASSWORD = "USER jürgen|".encode(), "PASS größe-7|".encode()
READY, SENT = rb"maildrop locked", "Größe".encode()
WITHOUT_UTF8 = rb"\A(?!.*UTF8 USER\r\n)"
NEEDED = rb"-ERR \[UTF8\]"

# What is said in a session, line by line, and what comes back with the fault alone.
SCRIPTS: Mapping[str, tuple[bytes, bytes]] = {
    "utf8-announced-before-login-alone": (LOGIN + b"CAPA", WITHOUT_UTF8),
    "utf8-not-announced-in-its-mode": (MODE + b"CAPA", WITHOUT_UTF8),
    "utf8-in-either-state": (LOGIN + b"UTF8", rb"this is UTF-8 mode"),
    "utf8-again-after-login": (MODE + b"UTF8", rb"UTF-8 mode.*UTF-8 mode"),
    "utf8-argument-ignored": (b"UTF8 USER", rb"this is UTF-8 mode"),
    "utf8-message-sent-to-anybody": (LOGIN + b"RETR 2", SENT),
    "utf8-header-shown-by-top": (LOGIN + b"TOP 2 0", SENT),
    "utf8-looked-for-in-the-first-block": (LOGIN + b"RETR 3", rb"X-Last"),
    "utf8-refused-and-on": (LOGIN + b"UTF8|RETR 2", SENT),
    "utf8-header-always-replaced": (MODE + b"RETR 2", rb"Subject: Gr\?\?"),
    "utf8-mode-lost-at-auth": (b"UTF8|AUTH PLAIN " + PLAIN + b"|RETR 2", NEEDED),
    "utf8-mode-lost-at-a-refused-login": (b"UTF8|USER x|PASS y|" + LOGIN + b"RETR 2", NEEDED),
    "utf8-mode-toggled": (b"UTF8|" + MODE + b"RETR 2", NEEDED),
    "utf8-surrogate-of-another-size": (LOGIN + b"RETR 2", rb"X-Replaced"),
    "utf8-size-in-characters": (MODE + b"LIST 2", b"\\+OK 2 %d\r\n" % (SIZE - 2)),
    "utf8-code-at-dele": (LOGIN + b"DELE 2", NEEDED),
    "utf8-code-for-no-message": (MODE + b"RETR 9", NEEDED),
    "utf8-code-in-its-mode": (MODE + b"TOP 2 0", NEEDED),
    "names-in-ascii-alone": (NAME + PASSWORD, rb"printable ASCII"),
    "names-in-ascii-behind-saslprep": (NAME + PASSWORD, rb"\[AUTH\]"),
    "names-in-utf8-after-the-command": (NAME + PASSWORD, rb"\[AUTH\]"),
    "apop-in-ascii-alone": ("APOP jürgen {apop}".encode(), rb"\[AUTH\]"),
    "ill-formed-octets-dropped": (b"USER al\xffice|PASS secret", READY),
    "cut-character-dropped": (b"USER alice|PASS secret\xc3", READY),
    "latin-1-taken-for-want-of-utf8": (b"USER j\xfcrgen|" + PASSWORD, READY),
    "overlong-characters-read": (b"USER \xc1\xa1lice|PASS secret", READY),
    "saslprep-left-out": (b"USER al\xc2\xadice|PASS secret", rb"\[AUTH\]"),
    "saslprep-of-names-alone": (b"USER alice|PASS se\xc2\xadcret", rb"\[AUTH\]"),
    "lang-after-login-alone": (b"LANG de", rb"-ERR"),
    "lang-in-the-case-of-the-list": (b"LANG DE", rb"-ERR"),
    "lang-answers-with-words": (b"LANG en", rb"\+OK language"),
    "lang-repeats-the-asterisk": (b"LANG *", rb"\+OK \*"),
    "lang-falls-back": (b"LANG qfy", rb"\+OK en"),
    "lang-by-the-first-letters": (b"LANG den", rb"\+OK de "),
    "lang-takes-any-tag": (b"LANG qfy", rb"\+OK qfy"),
    "language-described-first": (b"LANG", rb"English en\r\n"),
    "language-with-an-underscore": (b"LANG", rb"de_CH"),
    "languages-in-columns": (b"LANG", rb"en {4}English"),
    "language-described-in-latin-1": (b"LANG", rb"Fran\xe7ais"),
    "texts-in-latin-1": (b"LANG de", rb"ge\xe4ndert"),
    "texts-cut-within-a-character": (b"LANG fr|" + LOGIN + b"RETR 9", rb"a \xc3\r\n"),
}


def said(lines: bytes, *faults: str) -> bytes:
    """All that the server says to these lines and a QUIT."""
    store = MemoryStore()
    for message in MESSAGES:
        store.deliver("alice", message)
    with ReferenceServer(store, ACCOUNTS, faults=faults, is_international=True) as server:
        client = RawClient(server.address)
        [timestamp] = timestamps(client.greeting)
        digest = md5(timestamp + "größe-7".encode(), usedforsecurity=False).hexdigest()
        octets = lines.removesuffix(b"|").replace(b"{apop}", digest.encode())
        client.send(octets.replace(b"|", b"\r\n") + b"\r\nQUIT\r\n")
        heard = client.rest()
        client.close()
    return heard


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_fault_shows_and_the_honest_server_does_not_show_it(name: str) -> None:
    lines, pattern = SCRIPTS[name]

    assert re.search(pattern, said(lines, name), re.DOTALL)
    assert not re.search(pattern, said(lines), re.DOTALL)
