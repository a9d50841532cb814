"""Target: the server under test, with what its owner says of it.

Reads addresses, accounts and target profiles. What the server itself shows is
in `probe`.
"""

import datetime
import ipaddress
import shlex
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Annotated, ClassVar
from urllib.parse import unquote, urlsplit

from pop3spec.yamlfile import Duration, Location, ReadAs, YamlError, key, load, quoted

PLAIN_PORT, TLS_PORT = 110, 995


class TargetError(Exception):
    """What was said about the target cannot be used; the message says the mend."""


class Transport(Enum):
    """How a session is secured."""

    PLAIN = "plain"
    STLS = "stls"
    TLS = "tls"


class CleartextLogins(Enum):
    """What the owner says of passwords without TLS (RFC 8314, section 4)."""

    REFUSED = "refused"
    PERMITTED = "permitted"


@dataclass(frozen=True)
class Address:
    """Where a server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """It is this machine, so no stranger is harmed."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


@dataclass(frozen=True)
class Account:
    """A mailbox that the suite may use. The password shows in no text form."""

    user: str = field(metadata=key("The name that USER gets."))
    password: str = field(repr=False, metadata=key("The password. It is masked in every output."))
    token: str = field(
        default="", repr=False, metadata=key("A token for OAUTHBEARER and XOAUTH2, masked as well.")
    )
    mechanisms: tuple[str, ...] = field(
        default=("PLAIN", "LOGIN"),
        metadata=key("SASL mechanisms for which the server has what it needs of this account."),
    )

    def __str__(self) -> str:
        return self.user


@dataclass(frozen=True)
class Tls:
    """Trust for TLS: certificate files, the expected name, or no verification."""

    ca: Path | None = None
    name: str | None = None
    insecure: bool = False
    client_cert: Path | None = None
    client_key: Path | None = None


@dataclass(frozen=True)
class Timeouts:
    """How long to wait, in seconds."""

    connect: Duration = field(default=15.0, metadata=key("For the connection and the greeting."))
    login: Duration = field(default=30.0, metadata=key("For the reply to a login or to QUIT."))
    reply: Duration = field(default=6.0, metadata=key("For any other reply."))
    run: Duration = field(
        default=3600.0,
        metadata=key("For the whole run; what remains then is blocked. LOGIN-DELAY comes on top."),
    )


@dataclass(frozen=True)
class Limits:
    """What the target bears."""

    connections: int | None = field(
        default=None, metadata=key("Connections at the same time; more are not opened.")
    )


def _words_of(text: str) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise ValueError(f"{text!r} cannot be split into words: {error}") from None
    if not words:
        raise ValueError("the command is missing")
    return words


Words = Annotated[
    tuple[str, ...], ReadAs(_words_of, "a command", {"type": "string", "pattern": r"\S"})
]


@dataclass(frozen=True)
class Hooks:
    """Commands of the owner's that do to the server what no client can."""

    restart: Words = field(
        default=(), metadata=key("Kills the server's processes and starts it again.")
    )


def _day(text: str) -> str:
    try:
        if len(text) != len("YYYY-MM-DD"):
            raise ValueError
        datetime.date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{quoted(text)} is not a day; write YYYY-MM-DD") from None
    return text


Day = Annotated[
    str, ReadAs(_day, "a day as YYYY-MM-DD", {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d$"})
]


def _reason(text: str) -> str:
    if not text.strip():
        raise ValueError("the reason is missing; every report shows it")
    return text


Reason = Annotated[str, ReadAs(_reason, "a text", {"type": "string", "pattern": r"\S"})]


@dataclass(frozen=True)
class KnownDeviation:
    """A rule that the target is recorded as breaking."""

    noun: ClassVar[str] = "a known deviation"

    rule: str = field(metadata=key("The id of the rule."))
    why: Reason = field(metadata=key("Why it is accepted for now."))
    scenario: str | None = field(
        default=None, metadata=key("The id of the one scenario that it is about; absent: all.")
    )
    until: Day | None = field(
        default=None, metadata=key("The last day on which it is accepted, as YYYY-MM-DD.")
    )
    where: Location = field(default=Location("", 0, 0), compare=False)

    @property
    def last_day(self) -> datetime.date | None:
        """The day behind `until`."""
        return datetime.date.fromisoformat(self.until) if self.until else None


@dataclass(frozen=True)
class Profile:
    """A target profile: what the options can say, and known deviations, in YAML."""

    target: str | None = field(default=None, metadata=key("host:port, or a pop3:// URL."))
    version: str | None = field(
        default=None, metadata=key("Which version of the server this is; every report says so.")
    )
    tls_target: str | None = field(
        default=None, metadata=key("host:port of the implicit-TLS port of the same server.")
    )
    transport: str | None = field(
        default=None, metadata=key("plain, stls, tls, or several with commas.")
    )
    accounts: tuple[Account, ...] = field(
        default=(), metadata=key("The mailboxes that the suite may use.")
    )
    sasl_accounts: tuple[Account, ...] = field(
        default=(),
        metadata=key(
            "Accounts for logins alone: with a name or a password of 255 octets, = in the name,"
            " or letters beyond ASCII."
        ),
    )
    maildrop: str | None = field(default=None, metadata=key("The door, as --maildrop takes it."))
    ca: str | None = field(default=None, metadata=key("A PEM file of trusted certificates."))
    tls_name: str | None = field(default=None, metadata=key("The name in the certificate."))
    insecure: bool = field(default=False, metadata=key("Do not verify the certificate."))
    client_cert: str | None = field(default=None, metadata=key("The client's certificate, PEM."))
    client_key: str | None = field(default=None, metadata=key("The key of client-cert, PEM."))
    timeouts: Timeouts = field(default=Timeouts(), metadata=key("How long to wait."))
    limits: Limits = field(default=Limits(), metadata=key("What the target bears."))
    allow_delete: bool | None = field(
        default=None, metadata=key("Permit deleting mail that the suite did not deliver.")
    )
    allow_cleartext: bool | None = field(
        default=None, metadata=key("Permit real passwords over an unencrypted connection.")
    )
    allow_stress: bool | None = field(
        default=None, metadata=key("Permit floods, over-long lines and many idle connections.")
    )
    max_failed_logins: int | None = field(
        default=None, metadata=key("Deliberate wrong logins for each account.")
    )
    cleartext_logins: CleartextLogins = field(
        default=CleartextLogins.PERMITTED,
        metadata=key("Whether the server is set to refuse passwords without TLS."),
    )
    pid_file: str | None = field(
        default=None,
        metadata=key("A file with the number of the server's process, which fuzzing watches."),
    )
    hooks: Hooks = field(
        default=Hooks(), metadata=key("Commands that do to the server what no client can.")
    )
    known_deviations: tuple[KnownDeviation, ...] = field(
        default=(), metadata=key("The rules that the target is recorded as breaking.")
    )


@dataclass(frozen=True)
class Target:
    """The server under test."""

    address: Address
    accounts: tuple[Account, ...] = ()
    sasl_accounts: tuple[Account, ...] = ()
    tls_address: Address | None = None
    transports: tuple[Transport, ...] = ()
    maildrop: str = "none"
    tls: Tls = Tls()
    timeouts: Timeouts = Timeouts()
    limits: Limits = Limits()
    refuses_cleartext: bool = False
    allow_delete: bool = False
    allow_cleartext: bool = False
    allow_stress: bool = False
    max_failed_logins: int | None = 3
    pid_file: Path | None = None
    hooks: Hooks = Hooks()
    version: str = ""

    def address_for(self, transport: Transport) -> Address:
        """Where to connect for a transport; TargetError where there is no such port."""
        if transport is not Transport.TLS:
            return self.address
        if self.tls_address is None:
            raise TargetError("no implicit-TLS port is known; name it with --tls-target=host:port")
        return self.tls_address


def parse_address(text: str, default_port: int | None = None) -> Address:
    """Read host:port, [v6]:port or a host alone where there is a default port."""
    host, port = text, ""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise TargetError(f"{text!r} is not an address; write [v6]:port")
        port = rest[1:]
    elif text.count(":") == 1:
        host, port = text.split(":")
    elif text.count(":") > 1:
        raise TargetError(f"{text!r} is ambiguous; write an IPv6 address as [v6]:port")
    if not port and default_port is not None:
        return Address(host, default_port)
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        # A password may stand where no number is.
        shown = text if not port or port.isdigit() else f"{host}:***"
        raise TargetError(f"{shown!r} is not an address; write host:port, with a port below 65536")
    return Address(host, int(port))


@dataclass(frozen=True)
class Place:
    """What --target says: an address, whether TLS starts at once, perhaps an account."""

    address: Address
    implicit_tls: bool = False
    account: Account | None = None


def parse_target(text: str) -> Place:
    """Read host:port or a pop3:// or pop3s:// URL (RFC 2384 without its AUTH part)."""
    if "://" not in text:
        if "@" in text:  # not quoted: a password may stand in it
            raise TargetError("--target: with an account, write pop3://user:password@host:port")
        return Place(parse_address(text))
    scheme, _, rest = text.partition("://")
    if scheme not in ("pop3", "pop3s", "pop"):
        raise TargetError(f"--target: the scheme {scheme!r} is unknown; use pop3:// or pop3s://")
    try:
        url = urlsplit(f"pop3://{rest}")
        userinfo, _, hostport = url.netloc.rpartition("@")
    except ValueError as error:
        raise TargetError("--target: that URL cannot be read; write pop3://host:port") from error
    if url.path.strip("/") or url.query or url.fragment:
        raise TargetError("--target: nothing may follow the port in the URL")
    tls = scheme == "pop3s"
    address = parse_address(hostport, TLS_PORT if tls else PLAIN_PORT)
    if not userinfo:
        return Place(address, tls)
    user, colon, password = userinfo.partition(":")
    if not colon:
        raise TargetError("--target: a user without a password; give both, or --account")
    return Place(address, tls, Account(unquote(user), unquote(password)))


def parse_account(text: str) -> Account:
    """Read USER:PASSWORD; the first colon separates."""
    user, colon, password = text.partition(":")
    if not colon or not user:
        raise TargetError("an account is written USER:PASSWORD, with a colon between the two")
    if any(ord(character) < 0x20 for character in text):
        raise TargetError(f"the account {user!r} has a control character; one account a line")
    return Account(user, password)


def parse_transports(text: str) -> tuple[Transport, ...]:
    """Read plain,stls,tls."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    known = {transport.value: transport for transport in Transport}
    for name in names:
        if name not in known:
            raise TargetError(f"--transport: {name!r} is unknown; choose from {', '.join(known)}")
    return tuple(dict.fromkeys(known[name] for name in names))


def load_profile(path: Path) -> Profile:
    """Read a target profile; TargetError says file, line and the mend."""
    try:
        return load(path, Profile)
    except YamlError as error:
        raise TargetError(str(error)) from error
