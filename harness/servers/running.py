"""What a server that is up offers, and the target profile that says so."""

import json
import secrets
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

# Scenarios wait side by side, and each of them holds an account meanwhile.
USERS = (
    *("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"),
    *("ivan", "judy", "kim", "leo", "mona", "nina", "oscar", "peggy"),
)
TIMEOUTS: Mapping[str, str] = {"connect": "15s", "login": "30s", "reply": "6s"}
TLS_NAME = "localhost"
PROFILE = "profile.yaml"
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
    """A server that answers, and how to reach and to fill it."""

    address: str
    tls_address: str | None
    accounts: tuple[Account, ...]
    maildrop: str
    ca: Path | None
    profile: Path
    version: str
    other_doors: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()
    refuses_cleartext: bool = False
    timeouts: Mapping[str, str] = field(default_factory=lambda: TIMEOUTS)
    sasl_accounts: tuple[Account, ...] = ()


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


def profile_text(running: Running) -> str:
    """The target profile of a running server, as YAML."""
    # A JSON string is a YAML string too, so quoting needs no YAML library.
    lines = [f"target: {running.address}"]
    if running.tls_address is not None:
        lines.append(f"tls-target: {running.tls_address}")
    if running.ca is not None:
        lines += [f"ca: {json.dumps(str(running.ca))}", f"tls-name: {TLS_NAME}"]
    lines.append(f"maildrop: {json.dumps(running.maildrop)}")
    lines += [f"# or maildrop: {json.dumps(door)}" for door in running.other_doors]
    lines.append("accounts:")
    lines += [
        f"  - {{user: {json.dumps(account.user)}, password: {json.dumps(account.password)}}}"
        for account in running.accounts
    ]
    if running.sasl_accounts:
        lines.append("sasl-accounts:")
        lines += [
            f"  - {{user: {account.user}, password: {account.password}, mechanisms: [PLAIN]}}"
            for account in running.sasl_accounts
        ]
    timeouts = ", ".join(f"{name}: {value}" for name, value in running.timeouts.items())
    lines.append(f"timeouts: {{{timeouts}}}")
    if running.refuses_cleartext:
        lines.append("cleartext-logins: refused")
    if running.restart:
        lines.append(f"hooks: {{restart: {json.dumps(shlex.join(running.restart))}}}")
    return "\n".join(lines) + "\n"


def address_in(profile: Path) -> tuple[str, int]:
    """Where the server of a profile that we wrote listens."""
    first = profile.read_text(encoding="utf-8").partition("\n")[0]
    host, _, port = first.removeprefix("target: ").rpartition(":")
    return host, int(port)


def write_profile(running: Running) -> Running:
    """Write the profile where the value says, and hand the value back."""
    running.profile.touch(mode=0o600)
    running.profile.write_text(profile_text(running), encoding="utf-8")
    return running
