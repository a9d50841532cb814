"""What a server that is up offers, and the target profile that says so."""

import json
import secrets
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Protocol

# Scenarios wait side by side, and each of them holds an account meanwhile.
USERS = (
    *("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"),
    *("ivan", "judy", "kim", "leo", "mona", "nina", "oscar", "peggy"),
)
# The name in the certificates, as the templates have it, too.
TLS_NAME = "localhost"
PROFILE = "profile.yaml"
TEMPLATES = Path(__file__).parent / "profiles"
# Octets of a name and of a password (RFC 4616, section 2).
LONGEST = 255


class LeftOutError(Exception):
    """A server cannot be installed here; the message says what it needs."""


class ServerFailedError(Exception):
    """A server was installed and did not come up; the message says what it wrote."""


@dataclass(frozen=True)
class Account:
    """A mailbox of the server, with its password."""

    user: str
    password: str


@dataclass(frozen=True)
class Running:
    """A server that answers, and where the profile is that says how to reach and to fill it.

    `ports` are those that the placeholders of the server's template name: `port`, and what
    else it listens on.
    """

    host: str
    ports: Mapping[str, int]
    accounts: tuple[Account, ...]
    profile: Path
    version: str
    sasl_accounts: tuple[Account, ...] = ()

    @property
    def address(self) -> str:
        """Where it speaks POP3."""
        return f"{self.host}:{self.ports['port']}"


class Server(Protocol):
    """What every server module offers."""

    NAME: str

    def describe(self) -> str:
        """One line: what the server is, where it comes from, what it stores in."""

    def up(self, state: Path) -> Running:
        """Start the server with its whole state below this directory."""

    def down(self, state: Path) -> None:
        """End the server and remove the directory."""


def new_accounts(users: Sequence[str] = USERS) -> tuple[Account, ...]:
    """Accounts with a fresh strong password each."""
    return tuple(Account(user, secrets.token_hex(10)) for user in users)


def long_accounts() -> tuple[Account, ...]:
    """An account with the longest name that PLAIN has to take, and one with such a password."""
    return (
        Account("longest-name-".ljust(LONGEST, "n"), secrets.token_hex(10)),
        Account("longest-password", secrets.token_hex(LONGEST)[:LONGEST]),
    )


def profile_text(template: str, running: Running) -> str:
    """The target profile of a running server: its template, filled in.

    Raises KeyError where the template names what the server does not have.
    """
    state = running.profile.parent
    values = {
        "host": running.host,
        "version": _quoted(running.version),
        "state": _quoted(str(state)),
        "restart": json.dumps(shlex.join(restart_command(template, state))),
        "accounts": _flow(account_entry(account) for account in running.accounts),
        "sasl_accounts": _flow(
            account_entry(account) | {"mechanisms": ["PLAIN"]} for account in running.sasl_accounts
        ),
    }
    text = (TEMPLATES / f"{template}.yaml").read_text(encoding="utf-8")
    return Template(text).substitute(values, **running.ports)


def account_entry(account: Account) -> dict[str, object]:
    """An account as a profile has it."""
    return {"user": account.user, "password": account.password}


def restart_command(name: str, state: Path) -> tuple[str, ...]:
    """What kills a server and starts it again, called from wherever."""
    harness = Path(__file__).resolve().parents[1]
    python = ("env", f"PYTHONPATH={harness}", sys.executable, "-m", "servers")
    return (*python, "restart", name, f"--state-dir={state}")


def address_in(profile: Path) -> tuple[str, int]:
    """Where the server of a profile that we wrote listens."""
    lines = profile.read_text(encoding="utf-8").splitlines()
    [target] = (line for line in lines if line.startswith("target: "))
    host, _, port = target.removeprefix("target: ").rpartition(":")
    return host, int(port)


def write_profile(name: str, running: Running) -> Running:
    """Write the profile of a server where the value says, and hand the value back."""
    running.profile.touch(mode=0o600)
    running.profile.write_text(profile_text(name, running), encoding="utf-8")
    return running


def _quoted(text: str) -> str:
    """As it stands between double quotes, in JSON and so in YAML."""
    return json.dumps(text)[1:-1]


def _flow(entries: Iterable[Mapping[str, object]]) -> str:
    """A list in YAML, a line for each entry."""
    return "[\n" + "".join(f"  {json.dumps(entry)},\n" for entry in entries) + "  ]"
