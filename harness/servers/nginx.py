"""nginx from Debian as a mail proxy in front of a Dovecot of its own; STLS, TLS, APOP, AUTH.

It asks a little HTTP server of ours who may log in. What it says itself is said before the
log-in; after it the Dovecot speaks, in whose Maildirs the mail is. It closes on lines
above 128 octets, and a wrong password takes a second.

The mail belongs to one user id, MAIL_OWNER, which owns the directories below `mail`.
Whoever delivers as root hands each file to the owner of the Maildir directory.
"""

import json
import sys
from pathlib import Path

from servers import backend, certificates
from servers.environments import PROGRAMS
from servers.processes import free_ports, give_back, take, wait_for_greeting, wait_for_port
from servers.roots import Plan, Recipe, enter, install
from servers.running import PROFILE, Running, long_accounts, new_accounts, write_profile
from servers.stores import MAIL_OWNER, make_maildirs

NAME = "nginx"
RECIPE = Recipe(NAME, ("libnginx-mod-mail", NAME, backend.PACKAGE))
HOST = "127.0.0.1"

CONFIGURATION = """\
load_module modules/ngx_mail_module.so;
daemon off;
user www-data;
worker_processes 2;
error_log stderr;
pid /run/nginx.pid;
events {{
  worker_connections 4096;
}}
mail {{
  server_name localhost;
  auth_http {host}:{auth_port}/;
  pop3_auth plain apop cram-md5;
  ssl_certificate {certificate};
  ssl_certificate_key {key};
  server {{
    listen {host}:{port};
    protocol pop3;
    starttls on;
  }}
  server {{
    listen {host}:{tls_port} ssl;
    protocol pop3;
  }}
}}
"""


def describe() -> str:
    """One line: what the server is, where it comes from, what it stores in."""
    return "nginx (Debian libnginx-mod-mail; a proxy to a Dovecot with Maildir; STLS, TLS, APOP)"


def up(state: Path) -> Running:
    """Start nginx, what it asks and the Dovecot behind it, with their state in this directory."""
    version = install(RECIPE)
    state = take(state)
    accounts, long = new_accounts(), long_accounts()
    everybody = (*accounts, *long)
    port, tls_port, backend_port, auth_port = free_ports(4, HOST)
    mail, tls = state / "mail", state / "tls"
    tls.mkdir()
    make_maildirs(mail, {account.user: MAIL_OWNER for account in accounts})
    settings = {
        "host": HOST,
        "port": auth_port,
        "server": backend.HOST,
        "server_port": backend_port,
        "users": {account.user: account.password for account in everybody},
    }
    (state / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    configuration = CONFIGURATION.format(
        host=HOST,
        port=port,
        tls_port=tls_port,
        auth_port=auth_port,
        certificate=certificates.CERTIFICATE,
        key=certificates.KEY,
    )
    program = PROGRAMS / "serve_auth_http.py"
    plan = Plan(
        command=("/bin/sh", "-c", f"{backend.START}; exec /usr/sbin/nginx"),
        files={"/etc/nginx/nginx.conf": configuration, **backend.files(backend_port, everybody)},
        binds={"/srv/mail": mail, certificates.PLACE: tls},
        prepare=certificates.MAKE_CERTIFICATE,
        beside=(sys.executable, "-I", str(program), str(state / "settings.json")),
    )
    enter(RECIPE, state, plan)
    wait_for_greeting(state, HOST, port)
    wait_for_port(state, HOST, tls_port)
    wait_for_port(state, HOST, auth_port)
    return write_profile(
        NAME,
        Running(
            host=HOST,
            ports={"port": port, "tls_port": tls_port},
            accounts=accounts,
            profile=state / PROFILE,
            version=version,
            sasl_accounts=long,
        ),
    )


def down(state: Path) -> None:
    """End nginx and what belongs to it, and remove the directory."""
    give_back(state)
