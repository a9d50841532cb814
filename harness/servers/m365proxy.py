"""m365proxy from PyPI: its POP3 sessions, with Maildirs in place of Microsoft 365.

It asks Microsoft's web service who may log in and for the messages. A few lines of ours
answer in its place, with honest sizes and unique-ids; everything that is said to a client
is its own. It keeps the connection open after QUIT, so a session that waits for its end
costs the whole time for a reply, which is short here. It all runs as the user who starts
it, who owns the Maildirs.
"""

import json
from pathlib import Path

from servers import certificates
from servers.environments import PROGRAMS, Release, install
from servers.processes import free_ports, give_back, start, take, wait_for_greeting
from servers.running import PROFILE, Running, new_accounts, write_profile

NAME = "m365proxy"
RELEASE = Release(NAME, "2.2.6")
HOST = "127.0.0.1"


def describe() -> str:
    """One line: what the server is, where it comes from, what it stores in."""
    return "m365proxy (PyPI m365proxy; Maildir for Microsoft 365; plain, STLS and TLS)"


def up(state: Path) -> Running:
    """Start m365proxy with its whole state below this directory."""
    python = install(RELEASE)
    state = take(state)
    accounts = new_accounts()
    port, tls_port = free_ports(2, HOST)
    mail, tls = state / "mail", state / "tls"
    for account in accounts:
        for part in ("new", "cur", "tmp"):
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
    start(state, [python, "-I", PROGRAMS / "serve_m365proxy.py", state / "settings.json"])
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
    """End m365proxy and remove the directory."""
    give_back(state)
