"""Reads the results of servers, and writes the gallery."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pop3spec import __version__
from pop3spec.gallery.adjudication import (
    Adjudication,
    is_server_name,
    read_adjudications,
    read_errata,
)
from pop3spec.gallery.matrix import Server, matrix
from pop3spec.gallery.pages import Gallery, by_whom, pages
from pop3spec.gallery.published import document, published
from pop3spec.register import register
from pop3spec.report.files import replace_file
from pop3spec.report.page import page_text
from pop3spec.report.results import ResultsError, read_results
from pop3spec.rulebook.advice import advice
from pop3spec.rulebook.rules import is_rule_id, observations, rulebook, rules_digest
from pop3spec.yamlfile import YamlError

RUNS = Path("reports") / "servers"
GALLERY = Path("reports") / "gallery"

RESULTS = "results.json"
# What stands beside the servers' directories.
_OURS = frozenset(
    [
        *("rules", "adjudication", "errata.yaml", "gallery.css", "gallery.js"),
        *("index.html", "observations.html", "errata.html"),
    ]
)


class GalleryError(Exception):
    """What the gallery is to be made of cannot be used; the message says the mend."""


@dataclass(frozen=True)
class Source:
    """Where the results of a server are read; `is_kept` where the gallery has them already."""

    name: str
    directory: Path
    is_kept: bool = False


def sources(given: Sequence[Path], into: Path) -> tuple[Source, ...]:
    """Where each server's results are, by name: those given, else all runs of servers.

    What the gallery has of other servers stays in it. GalleryError.
    """
    if not given and RUNS.is_dir():
        given = _with_results(RUNS)
    found: dict[str, Source] = {}
    for directory in given:
        for each in _with_results(directory) if _is_gallery(directory) else [directory]:
            name = _name_of(each)
            if name in found and not _is_same(found[name].directory, each):
                raise GalleryError(
                    f"{each}: {found[name].directory} has the same name; "
                    "name one of them, or rename a directory"
                )
            found[name] = Source(name, each)
    for each in _with_results(into) if into.is_dir() else ():
        found.setdefault(_name_of(each), Source(each.name, each, is_kept=True))
    if not found:
        raise GalleryError(
            f"no results below {RUNS}, and none in {into}; "
            "name the report directories of runs, which hold results.json"
        )
    return tuple(found[name] for name in sorted(found))


def _with_results(directory: Path) -> list[Path]:
    return sorted(path.parent for path in directory.glob(f"*/{RESULTS}"))


def _is_gallery(directory: Path) -> bool:
    return not (directory / RESULTS).exists() and (directory / "gallery.css").exists()


def _is_same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _name_of(directory: Path) -> str:
    name = directory.resolve().name
    if not is_server_name(name) or name in _OURS:
        raise GalleryError(
            f"{directory}: the directory's name is that of the server in the gallery; rename it to "
            "letters, digits, '.', '_' and '-', and to none of the gallery's own names"
        )
    return name


def read(found: Iterable[Source], adjudication: Path) -> Gallery:
    """The gallery of these servers; GalleryError."""
    rules = rulebook()
    try:
        judged = read_adjudications(adjudication, rules.keys())
        errata = read_errata(adjudication.parent / "errata.yaml")
        servers = [_server(source, judged) for source in found]
    except (YamlError, ResultsError) as error:
        raise GalleryError(str(error)) from error
    return Gallery(
        matrix(servers, register().rules),
        version=__version__,
        digest=rules_digest(),
        errata=errata,
        observations=observations(),
        advice=advice(),
        strangers=tuple(sorted(judged.keys() - {server.name for server in servers})),
    )


def _server(source: Source, judged: Mapping[str, Adjudication]) -> Server:
    file = source.directory / RESULTS
    if not file.exists():
        raise ResultsError(f"{source.directory}: no {RESULTS} in it; name a run's report directory")
    results = read_results(file)
    adjudication = judged.get(source.name, Adjudication(server=source.name))
    server = Server(source.name, results, adjudication)
    return Server(source.name, published(results, server.label), adjudication)


def write(gallery: Gallery, into: Path) -> None:
    """Write the pages, with results and report of each server; OSError, GalleryError."""
    if (into / RESULTS).exists():
        raise GalleryError(f"{into}: that is the report of a run; name another --into")
    for server in gallery.matrix.servers:
        text = page_text(server.results, gallery="../")
        replace_file(into / server.name / RESULTS, document(server.results).encode())
        replace_file(into / server.report, text.encode())
    written = set()
    for name, text in pages(gallery):
        replace_file(into / name, text.encode())
        written.add(into / name)
    # Pages of rules that there are no more; other files are not ours.
    for path in (into / "rules").glob("*.html"):
        if path not in written and is_rule_id(path.stem):
            path.unlink()


def said(gallery: Gallery) -> Iterator[str]:
    """What a person has to know beside the pages, line by line."""
    matrix = gallery.matrix
    for name, rule in matrix.stale:
        yield f"stale: {rule} is adjudicated, and the results of {name} do not show it broken"
    for name in gallery.strangers:
        yield f"stale: {name} is adjudicated, and there are no results of it"
    for server in matrix.outdated:
        adjudicated = server.adjudication.version
        yield (
            f"outdated: {server.name} {server.version} was judged, and {adjudicated} adjudicated; "
            "look at the judgements again"
        )
    for server in gallery.older:
        yield f"older: {server.name} was judged by {by_whom(server)}; run it again"
    counts = Counter(name for name, _ in matrix.unadjudicated)
    if counts:
        each = ", ".join(f"{name} {number}" for name, number in sorted(counts.items()))
        yield f"not adjudicated yet: {counts.total()} ({each})"
