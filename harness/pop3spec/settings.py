"""Options + target profile -> Target and what else a run was asked for."""

import math
import os
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pop3spec.connection import ConnectionFailed, tls_context
from pop3spec.rulebook.rules import Level
from pop3spec.target import (
    Account,
    CleartextLogins,
    KnownDeviation,
    Place,
    Profile,
    Target,
    TargetError,
    Tls,
    Transport,
    load_profile,
    parse_account,
    parse_address,
    parse_target,
    parse_transports,
)

ACCOUNT_VARIABLE = "POP3SPEC_ACCOUNT"
FAILED_LOGINS = 3
EXAMPLES = 100


@dataclass(frozen=True)
class Settings:
    """What a run was asked for. `target` is None for the embedded reference server.

    `is_seeded`: the seed was chosen, and none of it may come from an earlier run. `examples` are
    those of each fuzzed property, 0 where there is to be no fuzzing.
    """

    target: Target | None
    report_dir: Path
    transports: tuple[Transport, ...] = ()
    level: Level = Level.MUST
    require_complete: bool = False
    jobs: int | None = None
    seed: int = 0
    is_seeded: bool = False
    examples: int = EXAMPLES
    fuzz_seconds: float | None = None
    slow: bool = False
    keep_transcripts: bool = False
    summary_md: Path | None = None
    allow_delete: bool = False
    known_deviations: tuple[KnownDeviation, ...] = ()
    baseline: Path | None = None
    certify: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


def _whole(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit()) or int(text) < least:
            raise ValueError(f"a whole number, at least {least}")
        return int(text)

    return read


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.0 < seconds < math.inf:
        raise ValueError("a number of seconds, more than 0")
    return seconds


def _examples(text: str) -> int:
    if text == "off":
        return 0
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise ValueError("a number of examples, at least 1, or off")
    return int(text)


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(" or ".join(words))
        return text

    return read


# How to read the options that are more than a text; ValueError says what is wanted.
_READERS: Mapping[str, Callable[[str], Any]] = {
    "max_failed_logins": _whole(0),
    "reply_timeout": _seconds,
    "level": _one_of("must", "should"),
    "jobs": _whole(1),
    "fuzz": _examples,
    "fuzz_seconds": _seconds,
    "seed": _whole(0),
    "transcripts": _one_of("failed", "all"),
}


def _read(name: str, value: Any) -> Any:
    if value == "":  # a variable that is not set must not mean the default
        raise TargetError(f"--{name.replace('_', '-')}: the value is missing")
    if name not in _READERS or not isinstance(value, str):
        return value
    try:
        return _READERS[name](value)
    except ValueError as wanted:
        option = name.replace("_", "-")
        raise TargetError(f"--{option}={value}: it has to be {wanted}") from None


def settings_from(given: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    """Read the options, by their names with underscores; TargetError says the mend."""
    options = {name: _read(name, value) for name, value in given.items()}
    profile_path = options.get("target_profile")
    profile = load_profile(Path(profile_path)) if profile_path else Profile()
    base = Path(profile_path).parent if profile_path else Path()
    seed, examples = options.get("seed"), options.get("fuzz")
    return Settings(
        target=_target(options, profile, base, environ),
        report_dir=_report_dir(options.get("report_dir") or "reports"),
        transports=_transports(options, profile),
        level=Level(str(options.get("level") or "must").upper()),
        require_complete=bool(options.get("require_complete")),
        jobs=options.get("jobs"),
        seed=seed if seed is not None else random.SystemRandom().randrange(2**32),
        is_seeded=seed is not None,
        examples=EXAMPLES if examples is None else examples,
        fuzz_seconds=options.get("fuzz_seconds"),
        slow=bool(options.get("slow")),
        keep_transcripts=options.get("transcripts") == "all",
        summary_md=_appended("summary-md", options.get("summary_md")),
        allow_delete=bool(options.get("allow_delete")),
        known_deviations=profile.known_deviations,
        baseline=Path(options["baseline"]) if options.get("baseline") else None,
        certify=options.get("certify") or "",
        options=options,
    )


def _transports(options: Mapping[str, Any], profile: Profile) -> tuple[Transport, ...]:
    return parse_transports(options.get("transport") or profile.transport or "")


def _report_dir(name: str) -> Path:
    path = Path(name)
    there = next(each for each in (path, *path.absolute().parents) if each.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise TargetError(f"--report-dir={name}: no directory that can be written in")
    return path


def _appended(option: str, name: str | None) -> Path | None:
    """A file that can be added to, or made."""
    if not name:
        return None
    path = Path(name)
    if path.is_dir():
        raise TargetError(f"--{option}={name}: a directory; name a file")
    if not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        raise TargetError(f"--{option}={name}: no file that can be written")
    return path


def _target(
    options: Mapping[str, Any], profile: Profile, base: Path, environ: Mapping[str, str]
) -> Target | None:
    named = options.get("target") or profile.target
    tls_named = options.get("tls_target") or profile.tls_target
    tls_address = parse_address(tls_named) if tls_named else None
    # Read before it is known whether they are needed: a mistake in them is one anyway.
    transports = _transports(options, profile)
    tls = _tls(options, profile, base)
    given = [parse_account(text) for text in options.get("account") or ()]
    if named is not None:
        place = parse_target(named)
    elif tls_address is not None:
        place = Place(tls_address, implicit_tls=True)
    else:
        return None
    if place.implicit_tls:
        tls_address = place.address
    if Transport.TLS in transports and tls_address is None:
        raise TargetError("--transport=tls: name the port of it with --tls-target=host:port")
    loopback = place.address.is_loopback
    reply = options.get("reply_timeout")
    timeouts = profile.timeouts
    if reply is not None:
        timeouts = replace(timeouts, reply=reply)
    return Target(
        address=place.address,
        version=profile.version or "",
        tls_address=tls_address,
        accounts=_accounts(given, profile, place, environ),
        transports=transports,
        maildrop=options.get("maildrop") or profile.maildrop or "none",
        tls=tls,
        timeouts=timeouts,
        limits=profile.limits,
        sasl_accounts=profile.sasl_accounts,
        refuses_cleartext=profile.cleartext_logins is CleartextLogins.REFUSED,
        allow_delete=_permitted(options, "allow_delete", profile.allow_delete, default=False),
        allow_cleartext=_permitted(
            options, "allow_cleartext", profile.allow_cleartext, default=loopback
        ),
        allow_stress=_permitted(options, "allow_stress", profile.allow_stress, default=loopback),
        max_failed_logins=_most_failed_logins(options, profile, loopback=loopback),
        pid_file=_file(None, profile.pid_file, base, "pid-file"),
        hooks=profile.hooks,
    )


def _permitted(
    options: Mapping[str, Any], name: str, in_profile: bool | None, *, default: bool
) -> bool:
    if options.get(name):
        return True
    return default if in_profile is None else in_profile


def _most_failed_logins(
    options: Mapping[str, Any], profile: Profile, *, loopback: bool
) -> int | None:
    asked: int | None = options.get("max_failed_logins")
    if asked is not None:
        return asked
    if profile.max_failed_logins is not None:
        return profile.max_failed_logins
    return None if loopback else FAILED_LOGINS


def _accounts(
    given: Sequence[Account], profile: Profile, place: Place, environ: Mapping[str, str]
) -> tuple[Account, ...]:
    lines = environ.get(ACCOUNT_VARIABLE, "").splitlines()
    named = list(given) or [parse_account(line) for line in lines if line]
    if place.account is not None:
        named.insert(0, place.account)
    accounts = named or list(profile.accounts)
    users = [account.user for account in accounts]
    for user in users:
        if users.count(user) > 1:
            raise TargetError(f"the account {user!r} is given twice; each mailbox once")
    return tuple(accounts)


def _tls(options: Mapping[str, Any], profile: Profile, base: Path) -> Tls:
    tls = Tls(
        ca=_file(options.get("ca"), profile.ca, base, "--ca"),
        name=options.get("tls_name") or profile.tls_name,
        insecure=bool(options.get("insecure")) or profile.insecure,
        client_cert=_file(options.get("client_cert"), profile.client_cert, base, "--client-cert"),
        client_key=_file(options.get("client_key"), profile.client_key, base, "--client-key"),
    )
    if tls.client_key is not None and tls.client_cert is None:
        raise TargetError("--client-key: a key without its certificate; name --client-cert too")
    if tls.ca is not None or tls.client_cert is not None:
        try:
            tls_context(tls)
        except ConnectionFailed as error:
            raise TargetError(str(error)) from error
    return tls


def _file(option: str | None, in_profile: str | None, base: Path, name: str) -> Path | None:
    """The file that was named; a profile's paths count from the profile."""
    path = Path(option) if option else (base / in_profile if in_profile else None)
    if path is not None and not os.access(path, os.R_OK):
        raise TargetError(f"{name}={path}: there is no such file that can be read")
    return path
