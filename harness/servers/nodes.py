"""A directory of its own for a server from npm.

The package and what it needs are kept in the cache, its release pinned. No script of a
package runs while it is installed.
"""

import fcntl
import json
import shutil
import subprocess
import sys
from pathlib import Path

from servers.environments import PROGRAMS, Release
from servers.roots import STAMP, cache_of
from servers.running import LeftOutError

INSTALL_WITHIN = 600.0
COMMAND = ("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--omit=dev")


def install(release: Release) -> Path:
    """Install the release unless the cache has it, and return the directory of the package."""
    missing = [tool for tool in ("node", "npm") if shutil.which(tool) is None]
    if missing:
        raise LeftOutError(f"needs {', '.join(missing)}")
    cache = cache_of(release.name)
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    wanted = {"package": _package(release)}
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            stamp = json.loads((cache / STAMP).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            stamp = None
        if stamp != wanted:
            print(
                f"{release.name}: installing {_package(release)} below {cache}; "
                "nothing goes into your own packages",
                file=sys.stderr,
                flush=True,
            )
            (cache / STAMP).unlink(missing_ok=True)
            _install_afresh(release, cache)
            (cache / STAMP).write_text(json.dumps(wanted) + "\n", encoding="utf-8")
    return cache / "node" / "node_modules" / release.name


def command(program: str, *arguments: str | Path) -> list[str | Path]:
    """The command that runs a program of ours."""
    return [shutil.which("node") or "node", PROGRAMS / program, *arguments]


def _package(release: Release) -> str:
    return f"{release.name}@{release.version}"


def _install_afresh(release: Release, cache: Path) -> None:
    directory = cache / "node"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    log = cache / "install.log"
    with log.open("wb") as output:
        try:
            done = subprocess.run(
                [*COMMAND, f"--prefix={directory}", _package(release)],
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,
                timeout=INSTALL_WITHIN,
            )
        except subprocess.TimeoutExpired:
            raise LeftOutError(f"{_package(release)}: not installed in time, see {log}") from None
    if done.returncode != 0:
        raise LeftOutError(f"{_package(release)}: cannot be installed here, see {log}")
