"""Somebody's mail and no door: a whole run loses not one message and changes none.

A server that removes what was read although nobody said QUIT loses the one message that
is read first, says the run, and nothing more.
"""

import hashlib
import json
import os
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest
from command import apart
from test_suites import QUIET, rules_broken, suite

from pop3spec.collected import home
from pop3spec.fixtures import messages
from pop3spec.maildrop.journal import own_part
from pop3spec.opening import open_session
from pop3spec.recorder import Recorder
from pop3spec.reference.faults import FAULTS
from pop3spec.reference.faults.fault import Fault
from pop3spec.reference.maildrops import Maildrops, Message
from pop3spec.reference.server import ReferenceServer
from pop3spec.reference.session import Session
from pop3spec.reference.stores import MaildirStore, MemoryStore, Store
from pop3spec.target import Account, Address, Target, load_profile
from servers.registry import SERVERS
from servers.running import LeftOutError

PASSWORD = "correct-horse-9"
NO_REMOVAL = "rfc1939-6-no-quit-no-removal"
MAIL: Mapping[str, Sequence[bytes]] = {
    "alice": [*messages(12, "private"), b"Subject: dots\r\n\r\n.\r\n..\r\nno final line end"],
    "bob": messages(1, "the-only-one"),
    "carol": [],
}


# --- What the server was told ---


class Listening(Session):
    """The keywords that each session was told; of what would read, what was not refused."""

    heard: ClassVar[list[list[str]]] = []
    guard: ClassVar = threading.Lock()

    def __init__(self, maildrops: Maildrops, failed_login_delay: float = 0.0) -> None:
        super().__init__(maildrops, failed_login_delay)
        self.told: list[str] = []
        with self.guard:
            self.heard.append(self.told)

    def answer(self, line: bytes) -> bytes:
        word = line.partition(b" ")[0].decode("latin-1").upper()
        reply = super().answer(line)
        if word not in ("RETR", "TOP") or reply.startswith(b"+OK"):
            self.told.append(word)
        return reply

    def enter(self, user: str, messages: list[Message]) -> None:
        self.told.append("(login)")
        super().enter(user, messages)


@pytest.fixture(autouse=True)
def _listening(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Listening, "heard", [])
    fault = Fault("Listening", frozenset(), "none", False, (Listening,))
    monkeypatch.setitem(FAULTS, "Listening", fault)


def dangerous() -> list[list[str]]:
    """Sessions with DELE, or with QUIT behind RETR or TOP, since their login."""
    found = []
    for told in Listening.heard:
        if "(login)" not in told:
            continue
        since = told[told.index("(login)") :]
        reads = [place for place, word in enumerate(since) if word in ("RETR", "TOP")]
        quits = "QUIT" in since[reads[0] :] if reads else False
        if "DELE" in since or quits:
            found.append(since)
    return found


# --- The mail ---


def in_memory() -> MemoryStore:
    store = MemoryStore()
    for user, mail in MAIL.items():
        for each in mail:
            store.deliver(user, each)
    return store


def in_maildirs(directory: Path) -> Store:
    for user, mail in MAIL.items():
        for folder in ("new", "cur", "tmp"):
            (directory / user / folder).mkdir(parents=True)
        for number, each in enumerate(mail):
            (directory / user / "cur" / f"{number}.somebody:2,S").write_bytes(each)
    return MaildirStore(directory)


def digests(store: Store) -> dict[str, list[tuple[str, bytes, str]]]:
    """Key, unique-id and digest of every message."""
    found = {}
    for user in MAIL:
        entries = store.entries(user)
        texts = [store.content(user, entry.key) or b"" for entry in entries]
        found[user] = [
            (entry.key, entry.unique_id, hashlib.sha256(text).hexdigest())
            for entry, text in zip(entries, texts, strict=True)
        ]
    return found


@dataclass(frozen=True)
class Result:
    """The verdicts of a run, and the rules that it judged and accused."""

    verdicts: Counter[str] = field(default_factory=Counter)
    rules: Mapping[str, str] = field(default_factory=dict)

    def with_verdict(self, verdict: str) -> set[str]:
        return {rule for rule, found in self.rules.items() if found == verdict}


def run_on(
    target: Sequence[str],
    accounts: Mapping[str, str],
    directory: Path,
    paths: Sequence[str] = ("scenarios", "suites"),
) -> Result:
    """A run with no door."""
    ended = apart(
        home(),
        *("-m", "pytest", "-q", *QUIET, *paths, f"--report-dir={directory}"),
        *target,
        POP3SPEC_ACCOUNT="\n".join(f"{user}:{password}" for user, password in accounts.items()),
    )
    assert ended.code in (0, 1), ended.text
    results = json.loads((directory / "results.json").read_text())
    return Result(
        Counter(row["verdict"] for row in results["scenarios"]),
        {row["id"]: row["verdict"] for row in results["rules"]},
    )


def run_here(store: Store, directory: Path, *faults: str, **more: Sequence[str]) -> Result:
    accounts = dict.fromkeys(MAIL, PASSWORD)
    with ReferenceServer(store, accounts, faults=("Listening", *faults)) as server:
        return run_on([f"--target=127.0.0.1:{server.address[1]}"], accounts, directory, **more)


# Rules about mail that is there; what needs known mail, or marks, is not among them.
JUDGED = {
    *("rfc1939-4-size-fixed", "rfc1939-4-message-numbers"),
    *("rfc1939-5-stat-count", "rfc1939-5-stat-total", "rfc1939-5-list-argument"),
    *("rfc1939-5-list-empty", "rfc1939-5-no-such-message", "rfc1939-5-retr-same"),
    *("rfc1939-5-noop", "rfc1939-5-rset", "rfc1939-3-malformed-number", NO_REMOVAL),
    *("rfc1939-7-top", "rfc1939-7-uidl-argument", "rfc1939-7-unique-id-fixed"),
    *("rfc1939-7-uidl-persistent", "rfc1939-11-exact-size"),
}


def test_a_run_judges_the_mail_of_others_and_leaves_it_as_it_is(tmp_path: Path) -> None:
    store = in_maildirs(tmp_path / "mail")
    before = digests(store)

    result = run_here(store, tmp_path / "reports")

    assert digests(store) == before
    assert dangerous() == []
    assert any("RETR" in told for told in Listening.heard)
    assert result.verdicts.keys() <= {"pass", "blocked", "not-applicable"}
    assert result.with_verdict("pass") >= JUDGED


# Each of them removes mail on the slightest occasion; together they remove what was read.
CARELESS = (
    "end-of-stream-updates",
    "broken-session-removes-what-was-read",
    "rset-without-effect",
    "emptied-maildrop-loses-arrivals",
)


@pytest.mark.parametrize("faults", [("retr-implies-dele",), CARELESS], ids=["quit", "careless"])
def test_a_run_gives_a_careless_server_no_occasion_to_remove(
    tmp_path: Path, faults: Sequence[str]
) -> None:
    store = in_memory()
    before = digests(store)

    result = run_here(store, tmp_path / "reports", *faults)

    assert digests(store) == before
    assert dangerous() == []
    assert result.with_verdict("fail") == set()


@pytest.mark.parametrize(
    "faults",
    [("retr-removes",), ("retr-implies-dele", "end-of-stream-updates")],
    ids=["retr", "any-end"],
)
def test_where_reading_alone_removes_one_message_is_lost_and_that_is_said(
    tmp_path: Path, faults: Sequence[str]
) -> None:
    store = in_memory()

    result = run_here(store, tmp_path / "reports", *faults, paths=["suites"])

    lost = sum(map(len, MAIL.values())) - sum(len(store.entries(user)) for user in MAIL)
    assert dangerous() == []
    assert result.with_verdict("fail") == {NO_REMOVAL}
    assert lost == 1


@pytest.mark.parametrize("fault", ["retr-implies-dele", "retr-removes"])
def test_quit_behind_reading_would_be_an_occasion(fault: str) -> None:
    store = in_memory()
    account = Account("alice", PASSWORD)

    with ReferenceServer(store, {"alice": PASSWORD}, faults=[fault]) as server:
        target = Target(Address(*server.address), allow_cleartext=True)
        session = open_session(target, Recorder(), account=account, may_delete=True)
        session.log_in(account)
        session.exchange("RETR 1")
        session.quit()

    assert len(store.entries("alice")) == len(MAIL["alice"]) - 1


# --- Real servers ---


def entries(box: Path) -> list[bytes]:
    """The messages of a Maildir or an mbox."""
    if box.is_dir():
        return [path.read_bytes() for path in box.glob("[nc][eu][wr]/*")]
    return [each.partition(b"\n")[2] for each in box.read_bytes().split(b"From somebody")[1:]]


@pytest.mark.skipif(
    os.environ.get("POP3SPEC_REAL_SERVERS") != "1",
    reason="installs and starts real servers, as root; ask for it with POP3SPEC_REAL_SERVERS=1",
)
@pytest.mark.parametrize("name", ["dovecot", "popa3d"])
def test_a_run_leaves_the_mail_in_a_real_server_as_it_is(name: str, tmp_path: Path) -> None:
    server = SERVERS[name]
    mail = [each.replace(b"\r\n", b"\n") for each in messages(12, "private")]
    try:
        running = server.up(tmp_path / "state")
    except LeftOutError as problem:
        pytest.skip(f"{name}: {problem}")
    try:
        kind, _, template = (load_profile(running.profile).maildrop or "").partition(":")
        box = Path(template.replace("{user}", "alice"))
        if kind == "mbox":
            stamp = b"From somebody@example.org Thu Jan  1 00:00:00 2026\n"
            with box.open("r+b") as file:  # the file's owner stays
                file.write(b"".join(stamp + each + b"\n" for each in mail))
        else:
            for number, each in enumerate(mail):
                path = box / "new" / f"{number}.somebody"
                path.write_bytes(each)
                os.chown(path, box.stat().st_uid, box.stat().st_gid)
        before = sorted(map(own_part, entries(box)))

        result = run_on(
            [f"--target-profile={running.profile}", "--maildrop=none"],
            {account.user: account.password for account in running.accounts},
            tmp_path / "reports",
            ("suites/test_rfc1939_readonly.py", "scenarios/rfc1939/commands.yaml"),
        )

        # Names, flags and fields of the store may be other ones.
        assert sorted(map(own_part, entries(box))) == before
        assert len(before) == len(mail)
    finally:
        server.down(tmp_path / "state")
    assert {NO_REMOVAL, "rfc1939-11-exact-size"} <= result.with_verdict("pass")


# --- What the suite sees of faults ---

LISTINGS = "test_listings_of_the_mail_that_is_there_agree"
NO_MESSAGE = "test_numbers_that_no_message_has_are_refused"
OPENINGS = "test_two_openings_show_the_same_unique_ids"
READ = "test_mail_that_is_read_is_whole_and_stays"
SEEN = (
    (LISTINGS, "total-of-stored-octets", "rfc1939-5-stat-total"),
    (LISTINGS, "list-n-tells-the-first", "rfc1939-5-list-argument"),
    (NO_MESSAGE, "zero-is-the-last", "rfc1939-5-no-such-message"),
    ("test_what_is_no_number_is_refused", "numbers-end-at-a-letter", "rfc1939-3-malformed-number"),
    (OPENINGS, "unique-id-of-the-session", "rfc1939-7-uidl-persistent"),
    (READ, "line-ends-counted-once", "rfc1939-11-exact-size"),
    (READ, "top-counts-header-lines", "rfc1939-7-top"),
    (READ, "retr-removes", NO_REMOVAL),
)


@pytest.mark.parametrize(("test", "fault", "rule"), SEEN, ids=[fault for _, fault, _ in SEEN])
def test_a_fault_shows_in_the_mail_that_is_there(test: str, fault: str, rule: str) -> None:
    accused = rules_broken(getattr(suite("readonly"), test), fault)

    assert rule in accused
