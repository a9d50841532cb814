"""The process of a server on this machine, where its owner says which one it is."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Watched:
    """A process as it was found when watching began; `number` is None where there was none."""

    number: int | None

    @property
    def has_ended(self) -> bool:
        """It was there, and is not any more."""
        if self.number is None:
            return False
        try:
            os.kill(self.number, 0)
        except ProcessLookupError:
            return True
        except PermissionError:  # it is there, and somebody else's
            return False
        return False


def watched(file: Path | None) -> Watched:
    """The process whose number a file has."""
    try:
        text = "" if file is None else file.read_text("ascii").split()[0]
    except (OSError, UnicodeDecodeError, IndexError):
        text = ""
    return Watched(int(text) if text.isdigit() and int(text) > 1 else None)
