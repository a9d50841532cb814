"""Sessions and large replies beside other clients: goals 5 and 6 of the performance figures.

`python harness/benchmarks/sessions.py [ROUNDS]`. Needs a C compiler, and for the second
figure of 5 Debian's package postal. Every client speaks to the same server in C.

5: sessions a second, 16 at once, octets alone and judged by every rule / poplib in 16
   threads (goal 1.1); and, with a message retrieved and deleted in each, / rabid with 16
   processes (goal 1.0)
6: RETR of 10 MB read and un-stuffed / poplib (goal 4); with all strict checks (goal 2);
   speeds, so that more is better
"""

import poplib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from native import HARNESS, FastServer, fast_server, show

sys.path.insert(0, str(HARNESS))

from pop3spec.connection import connect
from pop3spec.opening import open_session
from pop3spec.protocol.commands import is_multiline
from pop3spec.protocol.replies import Reply
from pop3spec.recorder import Recorder
from pop3spec.target import Account, Address, Target

THREADS, SESSIONS = 16, 1600
RABID_SECONDS = 5.0
MEGABYTES = 10
ALICE = Account("alice", "a long password")


def target_at(port: int) -> Target:
    """A target with one account."""
    return Target(Address("127.0.0.1", port), accounts=(ALICE,), allow_cleartext=True)


def ours(port: int, commands: Sequence[str] = ()) -> None:
    """One session as the suite drives and judges it."""
    session = open_session(target_at(port), Recorder(), account=ALICE, may_delete=True)
    session.log_in(ALICE)
    for command in commands:
        session.exchange(command)
    session.exchange("QUIT")
    session.close()


def bare(port: int, commands: Sequence[str] = ()) -> None:
    """One session of what carries the octets, with nobody to judge."""
    connection = connect(Address("127.0.0.1", port), 5.0)
    connection.next_reply(multiline=False, timeout=5.0)
    for line in (f"USER {ALICE.user}", f"PASS {ALICE.password}", *commands, "QUIT"):
        octets = f"{line}\r\n".encode()
        connection.send(octets, 5.0)
        connection.next_reply(multiline=is_multiline(octets), timeout=5.0)
    connection.close()


def theirs(port: int) -> None:
    """One session of poplib."""
    client = poplib.POP3("127.0.0.1", port)
    client.user(ALICE.user)
    client.pass_(ALICE.password)
    client.quit()


def per_second(one: Callable[[], None]) -> float:
    """Sessions a second, THREADS at once."""

    def some() -> None:
        for _ in range(SESSIONS // THREADS):
            one()

    threads = [threading.Thread(target=some) for _ in range(THREADS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return SESSIONS / (time.perf_counter() - began)


Way = Callable[..., None]
# A message is fetched, as rabid does it.
FETCH = ("LIST", "RETR 1", "DELE 1")


def beside_poplib(folder: Path, rounds: int) -> dict[Way, list[float]]:
    """Goal 5, first figure, for each way of ours."""
    ratios: dict[Way, list[float]] = {bare: [], ours: []}
    with fast_server(folder, 1, 1000) as server:
        for _ in range(rounds):
            limit = per_second(lambda: theirs(server.port))
            for way, values in ratios.items():
                values.append(per_second(partial(way, server.port)) / limit)
    return ratios


def beside_rabid(rabid: str, folder: Path, rounds: int) -> dict[Way, list[float]]:
    """Goal 5, second figure."""
    users = folder / "users"
    users.write_text(f"{ALICE.user} password\n", "utf-8")
    ratios: dict[Way, list[float]] = {bare: [], ours: []}
    with fast_server(folder, 1, 1040) as server:
        for _ in range(rounds):
            limit = rabid_per_second(rabid, users, server)
            for way, values in ratios.items():
                values.append(per_second(partial(way, server.port, FETCH)) / limit)
    return ratios


def rabid_per_second(rabid: str, users: Path, server: FastServer) -> float:
    """Sessions a second that rabid makes until it is ended."""
    before = server.sessions()
    process = subprocess.Popen(
        [
            *(rabid, "-p", str(THREADS), "-c", "1", "-r", "10000000"),
            *(f"[127.0.0.1]{server.port}", str(users)),
        ],
        cwd=users.parent,  # it writes a log
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with suppress(subprocess.TimeoutExpired):
        process.wait(RABID_SECONDS)
    count = server.sessions() - before
    process.terminate()
    process.wait(10)
    return count / RABID_SECONDS


def read_only(port: int) -> float:
    """Seconds to read and un-stuff a message, without a judgement."""
    connection = connect(Address("127.0.0.1", port), 5.0)
    for line, multiline in ((b"", False), (b"USER a", False), (b"PASS b", False)):
        if line:
            connection.send(line + b"\r\n", 5.0)
        connection.next_reply(multiline=multiline, timeout=5.0)
    began = time.perf_counter()
    connection.send(b"RETR 1\r\n", 5.0)
    reply: Reply | None = connection.next_reply(multiline=True, timeout=30.0).reply
    assert reply is not None
    size = len(reply.content)
    seconds = time.perf_counter() - began
    assert size > MEGABYTES * 1_000_000 - 80
    connection.close()
    return seconds


def judged(port: int) -> float:
    """Seconds to read and judge a message."""
    session = open_session(target_at(port), Recorder(), account=ALICE)
    session.log_in(ALICE)
    session.exchange("LIST 1")
    began = time.perf_counter()
    session.exchange("RETR 1")
    seconds = time.perf_counter() - began
    session.close()
    return seconds


def by_poplib(port: int) -> float:
    """Seconds that poplib takes."""
    client = poplib.POP3("127.0.0.1", port)
    client.user("a")
    client.pass_("b")
    began = time.perf_counter()
    client.retr(1)
    seconds = time.perf_counter() - began
    client.close()
    return seconds


def large(folder: Path, rounds: int) -> tuple[list[float], list[float]]:
    """Goal 6."""
    with fast_server(folder, 1, MEGABYTES * 1_000_000) as server:
        times = [
            (by_poplib(server.port), read_only(server.port), judged(server.port))
            for _ in range(rounds)
        ]
    return [poplib / read for poplib, read, _ in times], [poplib / all for poplib, _, all in times]


def main() -> None:
    """Take each figure in turn."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    rabid = shutil.which("rabid") or shutil.which("rabid", path="/usr/sbin")
    names = {bare: "octets alone", ours: "judged"}
    with tempfile.TemporaryDirectory() as folder:
        for way, values in beside_poplib(Path(folder), rounds).items():
            show(f"5 sessions/s, {names[way]} / poplib in threads", values, ">= 1.1")
        if rabid is None:
            print("5 sessions/s / rabid: not taken, install Debian's package postal")
        else:
            for way, values in beside_rabid(rabid, Path(folder), rounds).items():
                show(f"5 sessions/s, {names[way]} / rabid", values, ">= 1.0")
    with tempfile.TemporaryDirectory() as folder:
        read, strict = large(Path(folder), rounds)
        show("6 RETR of 10 MB un-stuffed / poplib", read, ">= 4")
        show("6 with all strict checks / poplib", strict, ">= 2")


if __name__ == "__main__":
    main()
