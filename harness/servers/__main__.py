"""The command: `python -m servers up|down|restart|list|judge|all`, with `harness` on the path."""

import argparse
import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType

from servers import roots, slots
from servers.judge import FAILED, judge, line
from servers.registry import SERVERS
from servers.roots import cache_of
from servers.running import LeftOutError, Server, ServerFailedError


def up(options: argparse.Namespace) -> int:
    """Start one server and leave it running."""
    for server in options.servers:
        forget_installation(server, options)
        running = slots.bring_up(server, options.state_dir)
        print(f"{server.NAME} {running.version} on {running.address}; profile {running.profile}")
    return 0


def down(options: argparse.Namespace) -> int:
    """End one server."""
    for server in options.servers:
        was_there = slots.bring_down(server, options.state_dir)
        print(f"{server.NAME}: {'ended and removed' if was_there else 'was not up'}")
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
    judged = []
    for server in options.servers:
        forget_installation(server, options)
        judged.append(judge(server, options.state_dir, options.pytest_options))
    print("", *map(line, judged), sep="\n")
    if len(judged) == 1:
        return judged[0].exit_code or 0
    return 0 if all(each.is_accounted_for for each in judged) else 1


def forget_installation(server: Server, options: argparse.Namespace) -> None:
    """With --fresh, remove what the cache has of a server."""
    if options.fresh:
        slots.bring_down(server, None)
        shutil.rmtree(cache_of(server.NAME), ignore_errors=True)


COMMANDS: Mapping[str, Callable[[argparse.Namespace], int]] = {
    "up": up,
    "down": down,
    "restart": restart,
    "list": show,
    "judge": judge_some,
    "all": judge_some,
}


def parser() -> argparse.ArgumentParser:
    """The command line; what it does not know goes to pytest."""
    it = argparse.ArgumentParser(prog="python -m servers", allow_abbrev=False)
    it.add_argument("command", choices=COMMANDS, help="what to do; `all` is `judge all`")
    it.add_argument("name", nargs="?", choices=[*SERVERS, "all"], help="which server")
    it.add_argument("--state-dir", type=Path, help="where its state goes (a temporary directory)")
    it.add_argument("--fresh", action="store_true", help="forget the cached installation")
    return it


def read_options(words: Sequence[str]) -> argparse.Namespace:
    """The options, with the servers in place of their names."""
    it = parser()
    options, rest = it.parse_known_args(words)
    judges = COMMANDS[options.command] is judge_some
    if rest and not judges:
        it.error(f"unknown: {' '.join(rest)}")
    everything = options.command == "all" or options.name == "all"
    if options.command == "list":
        options.servers = []
    elif everything and (judges or options.command == "down"):
        options.servers = list(SERVERS.values())
    elif options.name is None or everything:
        it.error(f"{options.command} needs the name of one server: {', '.join(SERVERS)}")
    else:
        options.servers = [SERVERS[options.name]]
    if options.state_dir is not None:
        if len(options.servers) != 1:
            it.error("--state-dir is for one server")
        options.state_dir = options.state_dir.absolute()
    options.pytest_options = [word for word in rest if word != "--"]
    return options


def main(words: Sequence[str]) -> int:
    """Do what the command line says; the exit code."""
    options = read_options(words)
    # As an exception, so that a server that we started is ended on the way out.
    signal.signal(signal.SIGTERM, stop)
    try:
        return COMMANDS[options.command](options)
    except LeftOutError as problem:
        print(f"{options.servers[0].NAME}: left out: {problem}")
        return 0
    except ServerFailedError as problem:
        print(f"{options.servers[0].NAME}: did not come up: {problem}", file=sys.stderr)
        return FAILED


def stop(number: int, _frame: FrameType | None) -> None:
    """Leave through the clean-up."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
