"""Fuzzed commands and sessions a second, as ratios: goal 7 of the project's performance figures.

`python harness/benchmarks/fuzzing.py [ROUNDS [PYTHON]]`, where PYTHON is that of an environment
with boofuzz in it, for the comparison of sessions. The target is the reference server in a process
of its own. The lines are drawn from the grammar once; the pairs are taken in turn in each round,
so that a machine that drifts drifts for both.

loop:  a hand-written loop that sends the same lines, and reads the reply to each
batch: the same lines in one segment, split into replies without looking at them
ours:  the session of the suite, pipelined: recorded, and judged by every rule (goal 0.3 of loop)

plays:   sessions of the property `commands`, judged, each maildrop filled before and looked into
         behind it
boofuzz: sessions with a fuzzed command, of which nothing is judged (goal: plays twice as many)
"""

import contextlib
import itertools
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from runs import ROOT, served

from pop3spec.fixtures import Maildrop
from pop3spec.fuzzing import grammar
from pop3spec.fuzzing.draws import drawn
from pop3spec.fuzzing.play import Play
from pop3spec.fuzzing.properties import PROPERTIES
from pop3spec.maildrop.doors import open_door
from pop3spec.opening import open_session
from pop3spec.protocol.commands import is_multiline
from pop3spec.protocol.replies import ReplyReader
from pop3spec.recorder import Recorder
from pop3spec.rulebook.history import Filling
from pop3spec.run import Run
from pop3spec.settings import Settings
from pop3spec.stock import message
from pop3spec.target import Account, Address, Target, Tls
from pop3spec.transcript import Kind

LINES = 1200
BATCH = 60
# Of the two ways that are compared by sessions.
EXAMPLES, CASES = 200, 200
USER, PASSWORD = "user0", "a long password 0"


def lines() -> list[bytes]:
    """Lines that a client may send, as the grammar draws them."""
    made = []
    for octets in itertools.islice(drawn("benchmark", 1, grammar.SIZE), LINES // 10):
        for at in range(grammar.HEAD, grammar.SIZE - grammar.WIDTH, grammar.WIDTH):
            made.append(grammar.line(octets[at : at + grammar.WIDTH]))
    return made[:LINES]


def connected(address: Address) -> socket.socket:
    """A raw session in the TRANSACTION state."""
    sock = socket.create_connection((address.host, address.port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(f"USER {USER}\r\nPASS {PASSWORD}\r\n".encode())
    with sock.makefile("rb") as replies:
        for _ in range(3):
            replies.readline()
    return sock


def loop(address: Address, sent: Sequence[bytes]) -> float:
    """Seconds for a line at a time."""
    with connected(address) as sock, sock.makefile("rb") as replies:
        begun = time.perf_counter()
        for line in sent:
            sock.sendall(line)
            status = replies.readline()
            if status.startswith(b"+OK") and is_multiline(line):
                while replies.readline() != b".\r\n":
                    pass
        return time.perf_counter() - begun


def batch(address: Address, sent: Sequence[bytes]) -> float:
    """Seconds for many lines at a time, of which the replies are only counted."""
    with connected(address) as sock:
        begun = time.perf_counter()
        reader = ReplyReader()
        for at in range(0, len(sent), BATCH):
            some = sent[at : at + BATCH]
            sock.sendall(b"".join(some))
            for line in some:
                while reader.next_reply(multiline=is_multiline(line)) is None:
                    reader.feed(sock.recv(1 << 18))
        return time.perf_counter() - begun


def ours(address: Address, sent: Sequence[bytes]) -> float:
    """Seconds for many lines at a time in a session that judges itself."""
    account = Account(USER, PASSWORD)
    target = Target(address, (account,), allow_cleartext=True)
    filling = Filling(is_clean=True, is_distinct=True)
    session = open_session(target, Recorder(), account=account, filling=filling, may_delete=True)
    session.log_in(account)
    begun = time.perf_counter()
    for at in range(0, len(sent), BATCH):
        some = sent[at : at + BATCH]
        session.send_octets(b"".join(some))
        for _ in some:
            session.receive()
    seconds = time.perf_counter() - begun
    session.close()
    return seconds


def played(address: Address, folder: Path) -> float:
    """Sessions a second of the property `commands`."""
    accounts = tuple(Account(f"user{n}", f"a long password {n}") for n in (1, 2))
    tls = Tls(insecure=True)
    target = Target(address, accounts, tls=tls, allow_cleartext=True, allow_stress=True)
    run = Run(Settings(target, folder), target, open_door(f"maildir:{folder}/{{user}}"))
    run.begin()
    drops = [Maildrop(run, mailbox) for mailbox in run.mailboxes]
    subject, sessions = PROPERTIES["commands"], 0
    plans = list(itertools.islice(drawn("commands", 1, subject.size), EXAMPLES))
    begun = time.perf_counter()
    for octets in plans:
        play = Play(run, drops, subject.begin(octets))
        for step in subject.steps(octets, play):
            play.do(step)
        play.finish()
        play.close()
        sessions += sum(each.kind is Kind.GREETING for each in play.recorder.transcript)
    return sessions / (time.perf_counter() - begun)


def boofuzzed(python: str, address: Address) -> float:
    """Sessions a second of boofuzz."""
    program = ROOT / "harness" / "benchmarks" / "boofuzz_sessions.py"
    words = [python, str(program), address.host, str(address.port), USER, PASSWORD, str(CASES)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def compare_sessions(rounds: int, python: str) -> None:
    """Print the rates of sessions and their ratio."""
    rates: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as directory, served(Path(directory)) as place:
        host, _, port = place.rpartition(":")
        address = Address(host, int(port))
        for _ in range(rounds):
            rates.append((played(address, Path(directory)), boofuzzed(python, address)))
    for name, each in zip(("plays", "boofuzz"), zip(*rates, strict=True), strict=True):
        print(f"{name:<8} {statistics.median(each):>6.0f} sessions/s")
    print(f"plays / boofuzz {statistics.median(own / other for own, other in rates):.2f}")


def main(rounds: int) -> None:
    """Print the rates and their ratios."""
    sent = lines()
    ways = {"loop": loop, "batch": batch, "ours": ours}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        with contextlib.ExitStack() as opened:
            place = opened.enter_context(served(folder))
            for number in range(3):
                name = f"{1700000000 + number}.M{number}.benchmark"
                text = message(f"benchmark-{number}", [b"line"] * (number + 1))
                (folder / USER / "new" / name).write_bytes(text)
            host, _, port = place.rpartition(":")
            for _ in range(rounds):
                for name, way in ways.items():
                    seconds[name].append(way(Address(host, int(port)), sent))
    rates = {name: LINES / statistics.median(taken) for name, taken in seconds.items()}
    for name, rate in rates.items():
        print(f"{name:<6} {rate:>8.0f} commands/s")
    for name in ("loop", "batch"):
        pairs = zip(seconds[name], seconds["ours"], strict=True)
        ratio = statistics.median(other / own for other, own in pairs)
        print(f"ours / {name:<6} {ratio:.2f}")


if __name__ == "__main__":
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    main(times)
    if len(sys.argv) > 2:
        compare_sessions(times, sys.argv[2])
