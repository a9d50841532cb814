"""WildDuck from npm: its POP3 server, with Maildirs in place of its databases.

It keeps accounts and mail in MongoDB and Redis. A few lines of ours answer in their
place, with honest sizes and unique-ids; everything that is said to a client is its own.
It takes passwords without TLS and runs in four processes, both of which it can be set to:
RETR 1.5 ends a process, and another is started for it. It all runs as the user who starts
it, who owns the Maildirs.
"""

import json
from pathlib import Path

from servers import certificates, nodes
from servers.environments import Release
from servers.processes import free_ports, give_back, start, take, wait_for_greeting
from servers.running import PROFILE, Running, new_accounts, write_profile

NAME = "wildduck"
RELEASE = Release(NAME, "1.46.1")
HOST = "127.0.0.1"


def describe() -> str:
    """One line: what the server is, where it comes from, what it stores in."""
    return "WildDuck (npm wildduck; Maildir for its databases; plain, STLS and TLS; PLAIN)"


def up(state: Path) -> Running:
    """Start WildDuck's POP3 server with its whole state below this directory."""
    package = nodes.install(RELEASE)
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
        "package": str(package),
        "version": RELEASE.version,
        "host": HOST,
        "port": port,
        "tls_port": tls_port,
        "key": str(tls / "server.key"),
        "certificate": str(tls / "server.pem"),
        "mail": str(mail),
        "users": {account.user: account.password for account in accounts},
    }
    (state / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    start(state, nodes.command("serve_wildduck.js", state / "settings.json"))
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
    """End WildDuck and remove the directory."""
    give_back(state)
