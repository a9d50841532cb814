"""A virtual environment of its own for a server from PyPI.

Nothing is installed into the interpreter that runs us. The environment is kept in
the cache; the packages are pinned, so that what is judged stays the same.
"""

import fcntl
import json
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

from servers.roots import STAMP, cache_of
from servers.running import LeftOutError

INSTALL_WITHIN = 300.0
PROGRAMS = Path(__file__).parent / "programs"


@dataclass(frozen=True)
class Release:
    """One release on PyPI."""

    name: str
    version: str
    extra: str = ""

    @property
    def requirement(self) -> str:
        """What pip is asked for."""
        extra = f"[{self.extra}]" if self.extra else ""
        return f"{self.name}{extra}=={self.version}"


def install(release: Release) -> Path:
    """Install the release unless the cache has it, and return its interpreter."""
    cache = cache_of(release.name)
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    environment = cache / "venv"
    python = environment / "bin" / "python"
    wanted = {"requirement": release.requirement, "python": sys.version}
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            stamp = json.loads((cache / STAMP).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            stamp = None
        if stamp != wanted or not python.exists():
            print(
                f"{release.name}: installing {release.requirement} into an environment of its "
                f"own below {cache}; your own environment is left as it is",
                file=sys.stderr,
                flush=True,
            )
            (cache / STAMP).unlink(missing_ok=True)
            _install_afresh(release, environment, python, cache / "install.log")
            (cache / STAMP).write_text(json.dumps(wanted) + "\n", encoding="utf-8")
    return python


def _install_afresh(release: Release, environment: Path, python: Path, log: Path) -> None:
    venv.create(environment, clear=True, with_pip=True)
    with log.open("wb") as output:
        try:
            done = subprocess.run(
                [str(python), "-m", "pip", "install", release.requirement],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,
                timeout=INSTALL_WITHIN,
            )
        except subprocess.TimeoutExpired:
            raise LeftOutError(f"{release.requirement}: not installed in time, see {log}") from None
    if done.returncode != 0:
        raise LeftOutError(f"{release.requirement}: cannot be installed here, see {log}")
