"""A root of its own for a Debian server: the user's system is read, never written.

The packages are installed once, into overlays of the system's own directories
whose upper halves are kept in a cache. A run puts a third, empty half in memory on
top, changes root into it and starts the server there, in a mount and a process
namespace of its own: ending its first process ends all others and unmounts
everything, whatever happens to us.
"""

import fcntl
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from servers.processes import (
    BETWEEN_TRIES,
    GONE_WITHIN,
    adopt,
    children_of,
    end_all_but_callers,
    is_alive,
    log_tail,
    start,
    wait_for_greeting,
)
from servers.running import PROFILE, LeftOutError, ServerFailedError, address_in

LAYERED = ("usr", "etc", "var", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
DEVICES = {"null": 3, "zero": 5, "full": 7, "random": 8, "urandom": 9}
TOOLS = ("unshare", "mount", "chroot", "apt-get", "dpkg-query")
NAMESPACE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-eu")
INSTALL_WITHIN = 900.0
STAMP = "installed.json"
# A process namespace counts from 1, so that a server that was started again in the same second
# would have process numbers, and timestamps made of them, twice.
ELSEWHERE = """\
echo $(( $(date +%s%N) / 1000 % 30000 + 500 )) 2>/dev/null >/proc/sys/kernel/ns_last_pid || true
"""
SCRIPT = "enter.sh"
# Keeps the packages' scripts from starting daemons on the machine's real ports.
POLICY = "#!/bin/sh\nexit 101\n"
LISTENER = Path(__file__).parent / "programs" / "listener.py"


@dataclass(frozen=True)
class Recipe:
    """What to install: packages, and whose version to report."""

    name: str
    packages: tuple[str, ...]

    @property
    def version_of(self) -> str:
        """The package that gives the server its version."""
        return self.packages[0]


@dataclass(frozen=True)
class Plan:
    """What to run in the root: files to write, directories to show, commands."""

    command: tuple[str, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    binds: Mapping[str, Path] = field(default_factory=dict)
    prepare: str = ""
    listen: str | None = None
    # A program of ours that the server needs: outside the root, and ended with it.
    beside: tuple[str, ...] = ()


def cache_of(name: str) -> Path:
    """Where a server's installation is kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "pop3spec" / "servers" / name


def demand_roots() -> None:
    """Raise LeftOutError where this machine cannot give a server a root of its own."""
    if os.geteuid() != 0:
        raise LeftOutError("needs root and overlay mounts")
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        raise LeftOutError(f"needs {', '.join(missing)}")
    probe = "mount -t tmpfs t /mnt && cd /mnt && mkdir u w && "
    probe += "mount -t overlay o -o lowerdir=/usr,upperdir=u,workdir=w /mnt"
    done = subprocess.run([*NAMESPACE, "-c", probe], capture_output=True, check=False)
    if done.returncode != 0:
        raise LeftOutError("needs root and overlay mounts")


def install(recipe: Recipe) -> str:
    """Install the packages unless the cache has them, and return the server's version."""
    demand_roots()
    cache = cache_of(recipe.name)
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = fingerprint(recipe)
        try:
            stamp = json.loads((cache / STAMP).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            stamp = {}
        if stamp.get("fingerprint") != wanted:
            stamp = {"fingerprint": wanted, "version": _install_afresh(recipe, cache)}
            (cache / STAMP).write_text(json.dumps(stamp) + "\n", encoding="utf-8")
    return str(stamp["version"])


def enter(recipe: Recipe, state: Path, plan: Plan) -> None:
    """Start the plan's command in a fresh copy of the installed root."""
    files = state / "files"
    for path, text in plan.files.items():
        target = files / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    (state / "root").mkdir()
    script = ELSEWHERE + _mounts(state / "root", cache_of(recipe.name), lasting=False)
    if plan.files:
        script += f"cp -R {shlex.quote(str(files))}/. root/\n"
    for path, source in plan.binds.items():
        script += f"mkdir -p root{path}; mount --bind {shlex.quote(str(source))} root{path}\n"
    if plan.prepare:
        (state / "prepare.sh").write_text(plan.prepare, encoding="utf-8")
        script += f"chroot root /bin/sh -eu < {shlex.quote(str(state / 'prepare.sh'))}\n"
    if plan.beside:
        script += f"{shlex.join(plan.beside)} &\n"
    script += f"exec {shlex.join(_command(plan))}\n"
    (state / SCRIPT).write_text(script, encoding="utf-8")
    _run_script(recipe.name, state)


def restart(name: str, state: Path) -> None:
    """Kill a server that runs in such a root, and start the same one again."""
    if not (state / SCRIPT).is_file():
        raise ServerFailedError(f"{name} is not up, or cannot be started again")
    end_all_but_callers(state)
    _run_script(name, state)
    host, port = address_in(state / PROFILE)
    wait_for_greeting(state, host, port)


def _run_script(name: str, state: Path) -> None:
    outer = start(state, [*NAMESPACE, state / SCRIPT])
    # Ending the namespace's first process ends all of it, so that one is remembered too.
    deadline = time.monotonic() + GONE_WITHIN
    while not (inner := children_of(outer.pid)):
        if not is_alive(outer) or time.monotonic() > deadline:
            raise ServerFailedError(f"{name} did not start: {log_tail(state)}")
        time.sleep(BETWEEN_TRIES)
    for process in inner:
        adopt(state, process.pid)


def _command(plan: Plan) -> Sequence[str]:
    if plan.listen is None:
        return ("chroot", "root", *plan.command)
    return (sys.executable, "-I", str(LISTENER), plan.listen, "root", *plan.command)


def fingerprint(recipe: Recipe) -> str:
    """Changes with the recipe, and with the packages of the system below the overlay."""
    digest = hashlib.sha256(repr(recipe).encode())
    digest.update(Path("/var/lib/dpkg/status").read_bytes())
    return digest.hexdigest()


def _install_afresh(recipe: Recipe, cache: Path) -> str:
    packages = " ".join(recipe.packages)
    print(
        f"{recipe.name}: installing {packages} into a root of its own below {cache}; "
        "your system is left as it is",
        file=sys.stderr,
        flush=True,
    )
    for old in ("layers", "root"):
        shutil.rmtree(cache / old, ignore_errors=True)
    (cache / STAMP).unlink(missing_ok=True)
    (cache / "root").mkdir()
    apt = "chroot root env DEBIAN_FRONTEND=noninteractive apt-get -q -y"
    options = "--no-install-recommends -o Dpkg::Options::=--force-unsafe-io"
    script = _mounts(cache / "root", cache, lasting=True)
    script += f"printf %s {shlex.quote(POLICY)} > root/usr/sbin/policy-rc.d\n"
    script += "chmod 755 root/usr/sbin/policy-rc.d\n"
    # Lists that are missing or too old are fetched once, in the root as well.
    script += f"{apt} install {options} {packages} || "
    script += f"{{ {apt} update; {apt} install {options} {packages}; }}\n"
    script += "chroot root apt-get clean\n"
    (cache / "install.sh").write_text(script, encoding="utf-8")
    log = cache / "install.log"
    with log.open("wb") as output:
        try:
            done = subprocess.run(
                [*NAMESPACE, str(cache / "install.sh")],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,
                timeout=INSTALL_WITHIN,
            )
        except subprocess.TimeoutExpired:
            raise LeftOutError(f"{packages}: not installed in time, see {log}") from None
    if done.returncode != 0:
        raise LeftOutError(f"{packages}: cannot be installed here, see {log}")
    return _version(recipe, cache)


def _version(recipe: Recipe, cache: Path) -> str:
    admin = cache / "layers" / "var" / "upper" / "lib" / "dpkg"
    query = ["dpkg-query", f"--admindir={admin}", "-W", "-f", "${Version}", recipe.version_of]
    done = subprocess.run(query, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _mounts(mountpoint: Path, cache: Path, *, lasting: bool) -> str:
    """The script that builds `root` below the mountpoint and leaves us beside it."""
    layers = cache / "layers"
    lines = [
        f"mount -t tmpfs -o mode=0755 pop3spec {shlex.quote(str(mountpoint))}",
        f"cd {shlex.quote(str(mountpoint))}",
        "mkdir root layers",
    ]
    for top in LAYERED:
        system = Path("/") / top
        if system.is_symlink():
            lines.append(f"ln -s {shlex.quote(str(system.readlink()))} root/{top}")
        elif system.is_dir():
            kept = layers / top / "upper"
            half = layers / top if lasting else Path("layers") / top
            lower = str(system) if lasting else f"{kept}:{system}"
            options = f"lowerdir={lower},upperdir={half}/upper,workdir={half}/work"
            lines.append(f"mkdir -p root/{top} {shlex.quote(str(half))}/upper")
            lines.append(f"mkdir -p {shlex.quote(str(half))}/work")
            lines.append(f"mount -t overlay overlay -o {shlex.quote(options)} root/{top}")
    lines.append("mkdir -p root/proc root/dev root/run/lock root/tmp root/srv root/root root/home")
    lines.append("chmod 1777 root/tmp root/run/lock; mount -t proc proc root/proc")
    lines += [f"mknod -m 666 root/dev/{name} c 1 {minor}" for name, minor in DEVICES.items()]
    lines.append("mkdir -m 1777 root/dev/shm; ln -s /proc/self/fd root/dev/fd")
    # In a container these two are mounts, which an overlay does not show.
    for name in ("resolv.conf", "hosts"):
        lines.append(f"cp -L --remove-destination /etc/{name} root/etc/{name} || true")
    return "\n".join(lines) + "\n"
