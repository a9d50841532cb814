"""fengtang from PyPI: the POP3 half of its built-in mail server.

It keeps the mail of all users in one table of an SQLite file, so there is one
account only: with more, the maildrops would be each other's. A few lines of our own
start its POP3 session handler and, at each log-in, bring its store in step with a
Maildir: new files pass through the store's own method, so what it does to messages
and to their order is its own; files that are gone leave the table. DELE never reaches
the store, so a deleted message stays, in the Maildir as well.

It all runs as the user who starts it, who owns the Maildir.
"""

import json
from pathlib import Path

from servers.environments import PROGRAMS, Release, install
from servers.processes import free_ports, give_back, start, take, wait_for_greeting
from servers.running import PROFILE, Running, new_accounts, write_profile

NAME = "fengtang"
RELEASE = Release(NAME, "0.1.1")
HOST = "127.0.0.1"


def describe() -> str:
    """One line: what the server is, where it comes from, what it stores in."""
    return "fengtang (PyPI fengtang; SQLite, filled from a Maildir; one account; plain only)"


def up(state: Path) -> Running:
    """Start fengtang with its whole state below this directory."""
    python = install(RELEASE)
    state = take(state)
    accounts = new_accounts(["alice"])
    [port] = free_ports(1, HOST)
    mail = state / "mail"
    for account in accounts:
        for part in ("new", "cur", "tmp"):
            (mail / account.user / part).mkdir(parents=True)
    settings = {
        "host": HOST,
        "port": port,
        "database": str(state / "fengtang.db"),
        "maildir": str(mail / accounts[0].user),
        "users": {account.user: account.password for account in accounts},
    }
    (state / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    start(state, [python, "-I", PROGRAMS / "serve_fengtang.py", state / "settings.json"])
    wait_for_greeting(state, HOST, port)
    return write_profile(
        NAME,
        Running(
            host=HOST,
            ports={"port": port},
            accounts=accounts,
            profile=state / PROFILE,
            version=RELEASE.version,
        ),
    )


def down(state: Path) -> None:
    """End fengtang and remove the directory."""
    give_back(state)
