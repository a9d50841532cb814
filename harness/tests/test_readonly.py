"""Somebody's mail and no door: a whole run loses not one message and changes none.

Also where the server wrongly removes what was read, for no mail of others is read.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from command import apart
from test_suites import QUIET

from pop3spec.collected import home
from pop3spec.fixtures import messages
from pop3spec.reference.server import ReferenceServer
from pop3spec.reference.stores import MaildirStore, MemoryStore, Store
from pop3spec.session import Recorder, open_session
from pop3spec.target import Account, Address, Target

PASSWORD = "correct-horse-9"
MAIL: Mapping[str, Sequence[bytes]] = {
    "alice": [*messages(12, "private"), b"Subject: dots\r\n\r\n.\r\n..\r\nno final line end"],
    "bob": messages(1, "the-only-one"),
    "carol": [],
}


def in_memory() -> Store:
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


def run_on(store: Store, directory: Path, *faults: str) -> Mapping[str, str]:
    """The verdicts of a whole run with no door; some of it has to be judged."""
    accounts = dict.fromkeys(MAIL, PASSWORD)
    with ReferenceServer(store, accounts, faults=faults) as server:
        ended = apart(
            home(),
            *("-m", "pytest", "-q", *QUIET, "scenarios", "suites", f"--report-dir={directory}"),
            f"--target=127.0.0.1:{server.address[1]}",
            POP3SPEC_ACCOUNT="\n".join(f"{user}:{PASSWORD}" for user in MAIL),
        )
    rows = json.loads((directory / "results.json").read_text())["scenarios"]
    assert ended.code in (0, 1), ended.text
    return {row["id"]: row["verdict"] for row in rows}


def test_a_run_leaves_the_mail_of_others_as_it_is(tmp_path: Path) -> None:
    store = in_maildirs(tmp_path / "mail")
    before = digests(store)

    verdicts = list(run_on(store, tmp_path / "reports").values())

    assert digests(store) == before
    assert verdicts.count("pass") > 50
    assert set(verdicts) <= {"pass", "blocked", "not-applicable"}


# All of them in one server, which so removes mail on the slightest occasion.
CARELESS = (
    "retr-implies-dele",
    "retr-removes",
    "broken-session-removes-what-was-read",
    "end-of-stream-updates",
    "rset-without-effect",
    "emptied-maildrop-loses-arrivals",
)


def test_a_run_gives_a_careless_server_no_occasion_to_remove(tmp_path: Path) -> None:
    store = in_memory()
    before = digests(store)

    verdicts = run_on(store, tmp_path / "reports", *CARELESS)

    assert digests(store) == before
    assert "fail" not in verdicts.values()


@pytest.mark.parametrize("fault", ["retr-implies-dele", "retr-removes"])
def test_reading_would_be_an_occasion(fault: str) -> None:
    store = in_memory()
    account = Account("alice", PASSWORD)

    with ReferenceServer(store, {"alice": PASSWORD}, faults=[fault]) as server:
        target = Target(Address(*server.address), allow_cleartext=True)
        session = open_session(target, Recorder(), account=account)
        session.log_in(account)
        session.exchange("RETR 1")
        session.quit()

    assert len(store.entries("alice")) == len(MAIL["alice"]) - 1
