"""The command: `python -m servers up|down|restart|list|judge|all|repeat|together`.

`harness` is on the path.
"""

import argparse
import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType

from pop3spec.yamlfile import YamlError
from servers import roots, slots
from servers.judge import FAILED, judge, line, table
from servers.record import put_on_record
from servers.registry import SERVERS
from servers.repeat import flips, is_comparable, read, repeat
from servers.roots import cache_of
from servers.running import LeftOutError, Server, ServerFailedError
from servers.together import judge_together, tail

PROMISE = (
    "Nothing of your system is touched: each server lives in a root or an environment of its own "
    "below {cache}, keeps its state in a temporary directory, listens on loopback alone, and is "
    "ended when it was judged."
)
INTERRUPTED = {signal.SIGINT: "SIGINT", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "SIGHUP"}


def up(options: argparse.Namespace) -> int:
    """Start one server and leave it running."""
    for server in options.servers:
        forget_installation(server, options)
        running = slots.bring_up(server, options.state_dir)
        if options.known:
            put_on_record(server.NAME, running.profile)
        print(f"{server.NAME} {running.version} on {running.address}; profile {running.profile}")
    return 0


def down(options: argparse.Namespace) -> int:
    """End one server."""
    for server in options.servers:
        was_there = slots.bring_down(server, options.state_dir)
        told = "ended and removed" if was_there else "was not up"
        if options.state_dir is None and slots.is_in_use(server.NAME):
            told += "; another command works with one, and will end it"
        print(f"{server.NAME}: {told}")
        forget_installation(server, options)
    return 0


def restart(options: argparse.Namespace) -> int:
    """Kill one server and start it again, with its mail."""
    for server in options.servers:
        roots.restart(server.NAME, slots.place_of(server, options.state_dir))
        print(f"{server.NAME}: killed and started again")
    return 0


def show(_options: argparse.Namespace) -> int:
    """One line for each server."""
    for server in SERVERS.values():
        print(f"{server.NAME:18} {server.describe()}")
    return 0


def judge_some(options: argparse.Namespace) -> int:
    """Judge one server, and hand on the exit code; or all, one after the other."""
    print(PROMISE.format(cache=cache_of("")), flush=True)
    judged = []
    for server in options.servers:
        forget_installation(server, options)
        judged.append(judge(server, options.state_dir, options.pytest_options, known=options.known))
    print("", *map(line, judged), sep="\n")
    if len(judged) == 1:
        return judged[0].exit_code or 0
    print("", "Rules by their verdict:", *table(judged), sep="\n")
    return 0 if all(each.is_accounted_for for each in judged) else 1


def repeat_one(options: argparse.Namespace) -> int:
    """Judge one server again and again; 1 when a verdict was not the same each time."""
    print(PROMISE.format(cache=cache_of("")), flush=True)
    [server] = options.servers
    serial = options.times // 2 if options.serial is None else options.serial
    judged = []
    for number, each in repeat(server, options.times, serial, options.pytest_options):
        judged.append((number, each))
        print(f"{number} of {options.times}: {line(each)}", flush=True)
        if each.exit_code is None:
            return 0
    failed = [number for number, each in judged if not is_comparable(each)]
    found = flips(read(judged))
    print("", *(told for flip in found for told in flip.lines), sep="\n")
    seconds = ", ".join(f"{each.seconds:.0f}" for _, each in judged)
    print(f"{server.NAME}: {options.times} times ({seconds} s), {len(found)} flips")
    if failed:
        print(f"{server.NAME}: not judged in {', '.join(map(str, failed))}", file=sys.stderr)
        return FAILED
    return 1 if found else 0


def together(options: argparse.Namespace) -> int:
    """Judge some side by side; 1 where pop3spec failed, or found what is not adjudicated."""
    print(PROMISE.format(cache=cache_of("")), flush=True)
    names = [server.NAME for server in options.servers]
    several = list(judge_together(names, options.pytest_options, options.within))
    for told in several:
        if told.is_broken:
            print(f"\n{told.name}: the last that was written:", tail(told), sep="\n")
    print("", *(told.line for told in several), sep="\n")
    return 1 if any(told.is_broken or told.has_news for told in several) else 0


def forget_installation(server: Server, options: argparse.Namespace) -> None:
    """With --fresh, remove what the cache has of a server."""
    if options.fresh:
        slots.bring_down(server, None)
        if slots.is_in_use(server.NAME):
            raise ServerFailedError("another command works with it; --fresh has to wait for that")
        shutil.rmtree(cache_of(server.NAME), ignore_errors=True)


COMMANDS: Mapping[str, Callable[[argparse.Namespace], int]] = {
    "up": up,
    "down": down,
    "restart": restart,
    "list": show,
    "judge": judge_some,
    "all": judge_some,
    "repeat": repeat_one,
    "together": together,
}


def parser() -> argparse.ArgumentParser:
    """The command line; what it does not know goes to pytest."""
    it = argparse.ArgumentParser(prog="python -m servers", allow_abbrev=False)
    it.add_argument("command", choices=COMMANDS, help="what to do; `all` is `judge all`")
    it.add_argument("name", nargs="?", type=names, help="which server, or several: a,b; or all")
    it.add_argument("--state-dir", type=Path, help="where its state goes (a temporary directory)")
    it.add_argument(
        "--known",
        action="store_true",
        help="put what was adjudicated into the profile, as known deviations (up, judge, all)",
    )
    it.add_argument("--fresh", action="store_true", help="forget the cached installation")
    it.add_argument("--times", type=positive, default=10, help="repetitions of `repeat` (10)")
    it.add_argument(
        "--within", type=positive, default=900, help="seconds for each of `together` (900)"
    )
    it.add_argument(
        "--serial", type=int, help="how many of them with --jobs=1 (half of them); 0 is quick"
    )
    return it


def names(word: str) -> list[str]:
    """The servers that a word names."""
    found = list(SERVERS) if word == "all" else word.split(",")
    unknown = [name for name in found if name not in SERVERS]
    if unknown:
        known = ", ".join(SERVERS)
        raise argparse.ArgumentTypeError(f"no server {', '.join(unknown)}; there are {known}, all")
    return found


def positive(word: str) -> int:
    """A number of times."""
    number = int(word)
    if number < 1:
        raise ValueError(word)
    return number


def read_options(words: Sequence[str]) -> argparse.Namespace:
    """The options, with the servers in place of their names."""
    it = parser()
    options, rest = it.parse_known_args(words)
    command = options.command
    if rest and command not in ("judge", "all", "repeat", "together"):
        it.error(f"unknown: {' '.join(rest)}")
    if command == "list":
        options.servers = []
    elif command == "all":
        options.servers = list(SERVERS.values())
    elif options.name is None:
        it.error(f"{command} needs the name of a server: {', '.join(SERVERS)}")
    elif len(options.name) > 1 and command in ("up", "restart", "repeat"):
        it.error(f"{command} takes one server")
    else:
        options.servers = [SERVERS[name] for name in options.name]
    if options.known and command not in ("up", "judge", "all"):
        it.error("--known is for up, judge and all")
    if options.state_dir is not None:
        if len(options.servers) != 1 or command in ("repeat", "together"):
            it.error("--state-dir is for one server that is judged once")
        options.state_dir = options.state_dir.absolute()
    options.pytest_options = [word for word in rest if word != "--"]
    return options


def main(words: Sequence[str]) -> int:
    """Do what the command line says; the exit code."""
    options = read_options(words)
    # As an exception, so that a server that we started is ended on the way out.
    for number in INTERRUPTED:
        signal.signal(number, stop)
    try:
        return COMMANDS[options.command](options)
    except LeftOutError as problem:
        print(f"{options.servers[0].NAME}: left out: {problem}")
        return 0
    except (ServerFailedError, YamlError, OSError) as problem:
        name = options.servers[0].NAME if len(options.servers) == 1 else options.command
        print(f"{name}: {problem}", file=sys.stderr)
        return FAILED


def stop(number: int, _frame: FrameType | None) -> None:
    """Leave through the clean-up, which a second signal does not interrupt."""
    for each in INTERRUPTED:
        signal.signal(each, signal.SIG_IGN)
    name = INTERRUPTED[signal.Signals(number)]
    print(f"\n{name}: what was started is ended", file=sys.stderr, flush=True)
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
