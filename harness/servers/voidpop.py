"""voidpop from PyPI: accepts every log-in and never has a message.

Its command line would listen on every interface, so a few lines of our own call its
handler on loopback alone. There is no store, hence no door.
"""

from pathlib import Path

from servers.environments import PROGRAMS, Release, install
from servers.processes import free_ports, give_back, start, take, wait_for_greeting
from servers.running import PROFILE, Running, new_accounts, write_profile

NAME = "voidpop"
RELEASE = Release(NAME, "0.1.0")
HOST = "127.0.0.1"


def describe() -> str:
    """One line: what the server is, where it comes from, what it stores in."""
    return "voidpop (PyPI voidpop; no store: every maildrop is empty; plain only)"


def up(state: Path) -> Running:
    """Start voidpop with its whole state below this directory."""
    python = install(RELEASE)
    state = take(state)
    [port] = free_ports(1, HOST)
    start(state, [python, "-I", PROGRAMS / "serve_voidpop.py", HOST, str(port)])
    wait_for_greeting(state, HOST, port)
    return write_profile(
        NAME,
        Running(
            host=HOST,
            ports={"port": port},
            accounts=new_accounts(),
            profile=state / PROFILE,
            version=RELEASE.version,
        ),
    )


def down(state: Path) -> None:
    """End voidpop and remove the directory."""
    give_back(state)
