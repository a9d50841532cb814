"""Which YAML files are scenarios here, and how their scenarios are called."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path

from pop3spec.rulebook.rules import observation_ids, rulebook
from pop3spec.scenario import Scenario, ScenarioFile, load_scenarios, scenario_id
from pop3spec.target import Transport

SUFFIXES = (".yaml", ".yml")


def home() -> Path:
    """The directory that holds `scenarios/` and `suites/`: the clone, or the installed package."""
    package = Path(__file__).resolve().parent
    return package if (package / "scenarios").is_dir() else package.parent.parent


@cache
def scenarios_digest() -> str:
    """A SHA-256 over all scenarios and suites of ours, and their names."""
    root, digest = home(), sha256()
    for path in sorted((*(root / "scenarios").rglob("*.yaml"), *(root / "suites").rglob("*.py"))):
        octets = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()} {len(octets)}\n".encode())
        digest.update(octets)
    return digest.hexdigest()


@dataclass
class ScenarioFiles:
    """The scenario files that a command line names, read at most once.

    `named` are the files and directories on the command line.
    """

    named: Sequence[Path]
    _read: dict[Path, ScenarioFile] = field(default_factory=dict)

    @property
    def own(self) -> Path:
        """Our own scenarios."""
        return home() / "scenarios"

    def takes(self, path: Path) -> bool:
        """A YAML file is named itself, or lies in a named directory, or is one of ours."""
        if path.suffix not in SUFFIXES:
            return False
        return path.is_relative_to(self.own) or self._root(path) is not None

    def _root(self, path: Path) -> Path | None:
        """What was named on the command line and holds this file of a user's own."""
        for named in self.named:
            # A directory above all of ours means ours, not each YAML file in it.
            if path.is_relative_to(named) and not home().is_relative_to(named):
                return named
        return None

    def below(self) -> Iterator[Path]:
        """Every scenario file that the command line reaches, in order."""
        for named in self.named:
            if named.is_file():
                if self.takes(named):
                    yield named
            elif self.own.is_relative_to(named):
                yield from _files(self.own)
            else:
                yield from (path for path in _files(named) if self.takes(path))

    def read(self, path: Path) -> ScenarioFile:
        """Read a file; ScenarioError says where it is malformed."""
        known = self._read.get(path)
        if known is None:
            known = self._read[path] = load_scenarios(
                path, rulebook().keys(), _shown(path), observation_ids()
            )
        return known

    def name(self, path: Path, scenario: Scenario) -> str:
        """The id of a scenario in results, profiles and diffs."""
        if path.is_relative_to(self.own):
            return scenario_id(path, self.own, scenario.id)
        return scenario_id(path, self._root(path) or path, scenario.id)

    def ids(self) -> frozenset[str]:
        """The ids of the scenarios that the command line reaches."""
        return frozenset(
            self.name(path, scenario)
            for path in self.below()
            for scenario in self.read(path).scenarios
        )

    def topics(self) -> Iterable[str]:
        """The topics of the files that were read."""
        return {file.topic for file in self._read.values() if file.topic}


def _files(directory: Path) -> Iterator[Path]:
    for path in sorted(directory.rglob("*")):
        if path.suffix in SUFFIXES and path.is_file():
            yield path


def _shown(path: Path) -> str:
    """The file as messages name it: from the current directory, or from our home."""
    for base in (Path.cwd(), home()):
        if path.is_relative_to(base):
            return path.relative_to(base).as_posix()
    return str(path)


def with_transport(name: str, transport: Transport, transports: Sequence[Transport]) -> str:
    """The name of a scenario on a transport, where there are several."""
    return name if len(transports) < 2 else f"{name}[{transport.value}]"
