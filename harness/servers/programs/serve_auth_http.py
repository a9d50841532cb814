"""The little HTTP server that nginx asks who may log in, and to which server it goes then.

Runs by itself, with one argument: a JSON file of settings. It answers as the module
ngx_mail_auth_http_module wants it: everything is in header fields.
"""

import hashlib
import hmac
import json
import sys
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

# For each method: what the client must have sent, of the right password and the challenge.
PROOFS: Mapping[str, Callable[[str, str], str]] = {
    "plain": lambda password, _challenge: password,
    "apop": lambda password, challenge: hashlib.md5(
        (challenge + password).encode(), usedforsecurity=False
    ).hexdigest(),
    "cram-md5": lambda password, challenge: hmac.new(
        password.encode(), challenge.encode(), "md5"
    ).hexdigest(),
}


def answer(asked: Mapping[str, str], settings: Mapping[str, Any]) -> dict[str, str]:
    """The header fields that let a client in, or refuse it."""
    # Names and passwords come escaped, since they may hold line ends.
    user = unquote(asked.get("Auth-User", ""), errors="surrogateescape")
    sent = unquote(asked.get("Auth-Pass", ""), errors="surrogateescape")
    password = settings["users"].get(user)
    prove = PROOFS.get(asked.get("Auth-Method", ""))
    if password is None or prove is None or prove(password, asked.get("Auth-Salt", "")) != sent:
        # Without a time to wait nginx would close the connection.
        return {"Auth-Status": "Invalid login or password", "Auth-Wait": "1"}
    return {
        "Auth-Status": "OK",
        "Auth-Server": settings["server"],
        "Auth-Port": str(settings["server_port"]),
        # The client of APOP and CRAM-MD5 never sent it, and the server wants it.
        "Auth-Pass": password,
    }


class Server(ThreadingHTTPServer):
    """Knows the accounts."""

    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """Listen where the settings say."""
        self.settings = settings
        super().__init__((settings["host"], settings["port"]), Handler)


class Handler(BaseHTTPRequestHandler):
    """Answers any GET."""

    def do_GET(self) -> None:
        """One question of nginx."""
        assert isinstance(self.server, Server)
        self.send_response(200)
        for name, value in answer(dict(self.headers), self.server.settings).items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Nothing: a request is a log-in of a test."""


if __name__ == "__main__":
    Server(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))).serve_forever()
