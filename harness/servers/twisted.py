"""Twisted's POP3 protocol from PyPI, with a small server around it: Maildir, TLS port, CRAM-MD5.

Its own MaildirMailbox crashes at RETR, TOP and UIDL on Python 3 and deletes into a folder that
it does not make; the program around it mends these places and nothing else. It all
runs as the user who starts it, who owns the Maildirs.
"""

import json
from pathlib import Path

from servers import certificates
from servers.environments import PROGRAMS, Release, install
from servers.processes import free_ports, give_back, start, take, wait_for_greeting
from servers.running import PROFILE, Running, new_accounts, write_profile

NAME = "twisted"
RELEASE = Release(NAME, "26.10.0", extra="tls")
HOST = "127.0.0.1"


def describe() -> str:
    """One line: what the server is, where it comes from, what it stores in."""
    return "twisted.mail.pop3 (PyPI twisted; Maildir; plain and TLS; CRAM-MD5)"


def up(state: Path) -> Running:
    """Start Twisted with its whole state below this directory."""
    python = install(RELEASE)
    state = take(state)
    accounts = new_accounts()
    port, tls_port = free_ports(2, HOST)
    mail, tls = state / "mail", state / "tls"
    for account in accounts:
        for part in ("new", "cur", "tmp", ".Trash/cur"):
            (mail / account.user / part).mkdir(parents=True)
    tls.mkdir()
    certificates.make_certificate(tls)
    settings = {
        "host": HOST,
        "port": port,
        "tls_port": tls_port,
        "key": str(tls / "server.key"),
        "certificate": str(tls / "server.pem"),
        "mail": str(mail),
        "users": {account.user: account.password for account in accounts},
    }
    (state / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    start(state, [python, "-I", PROGRAMS / "serve_twisted.py", state / "settings.json"])
    wait_for_greeting(state, HOST, port)
    return write_profile(
        NAME,
        Running(
            host=HOST,
            ports={"port": port, "tls_port": tls_port},
            accounts=accounts,
            profile=state / PROFILE,
            version=RELEASE.version,
        ),
    )


def down(state: Path) -> None:
    """End Twisted and remove the directory."""
    give_back(state)
