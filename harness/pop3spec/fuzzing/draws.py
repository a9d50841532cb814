"""Octets drawn by Hypothesis, and those that broke a rule in an earlier run.

The only module that imports Hypothesis, which takes about a second.
"""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

# Drawn at once; each chunk has a seed of its own, so that the first ones never depend on how
# many follow.
CHUNK = 100


def drawn(name: str, seed: int, size: int) -> Iterator[bytes]:
    """Plans of so many octets for a property, without end; a seed gives the same each time."""
    chunk = 0
    while True:
        number = int.from_bytes(sha256(f"{name} {seed} {chunk}".encode()).digest()[:8])
        yield from _chunk(number, size)
        chunk += 1


def _chunk(number: int, size: int) -> list[bytes]:
    from hypothesis import HealthCheck, Phase, given, seed, settings
    from hypothesis import strategies as st
    from hypothesis.configuration import set_hypothesis_home_dir

    plans: list[bytes] = []

    @seed(number)
    @settings(
        max_examples=CHUNK,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(st.binary(min_size=size, max_size=size))
    def collect(octets: bytes) -> None:
        plans.append(octets)

    # It would keep notes of its own in the current directory.
    with TemporaryDirectory(prefix="pop3spec-") as directory:
        set_hypothesis_home_dir(directory)
        try:
            collect()
        finally:
            set_hypothesis_home_dir(None)
    return plans


class Memory:
    """The plans that broke a rule in earlier runs, in Hypothesis's database below a directory."""

    def __init__(self, directory: Path) -> None:
        from hypothesis.database import DirectoryBasedExampleDatabase

        self._database = DirectoryBasedExampleDatabase(directory)

    def plans(self, name: str, size: int) -> list[bytes]:
        """Those of a property, in a fixed order."""
        return sorted(each for each in self._database.fetch(name.encode()) if len(each) == size)

    def keep(self, name: str, octets: bytes) -> None:
        """Remember a plan."""
        self._database.save(name.encode(), octets)

    def forget(self, name: str, octets: bytes) -> None:
        """Forget a plan that breaks nothing any more."""
        self._database.delete(name.encode(), octets)
