"""How a report gets onto disk: whole or not at all."""

import os
import stat
from pathlib import Path


def replace_file(path: Path, octets: bytes) -> None:
    """Write the file in one step, so that no reader finds half of it; its mode stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        if path.exists():
            # Before anything is in it: the file may hold what nobody else may read.
            part.touch(0o600)
            part.chmod(stat.S_IMODE(path.stat().st_mode))
        part.write_bytes(octets)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def append_file(path: Path, octets: bytes) -> None:
    """Add to the end of a file that others may write as well, in one go where that can be."""
    with path.open("ab", buffering=0) as file:
        while octets:
            octets = octets[file.write(octets) :]
