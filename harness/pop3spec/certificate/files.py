"""certificate.json and certificate.html, from a results.json."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pop3spec.certificate.issue import Status, certificate_of, digest_of, octets_of
from pop3spec.certificate.lists import current_lists, missing
from pop3spec.certificate.page import page_text
from pop3spec.certificate.signature import signed
from pop3spec.report.files import replace_file
from pop3spec.report.results import read_results
from pop3spec.settings import Settings


def issue(
    results_file: Path, product: str, directory: Path, key_file: Path | None = None
) -> dict[str, Any]:
    """Write both files into a directory; the certificate.

    ResultsError, KeyFileError or OSError where that cannot be.
    """
    results = read_results(results_file)
    certificate = certificate_of(results, digest_of(results_file), product, current_lists())
    if key_file is not None:
        certificate = signed(certificate, key_file)
    replace_file(directory / "certificate.json", octets_of(certificate))
    replace_file(directory / "certificate.html", page_text(certificate).encode())
    return certificate


def shortcomings(settings: Settings) -> Iterator[str]:
    """What a run with these settings cannot grant, a sentence for each class."""
    for listed in current_lists():
        lacks = list(missing(listed.needs, settings))
        if lacks:
            yield f"the class {listed.id} needs {', '.join(lacks)}"
    if settings.target is not None and settings.target.tls.insecure:
        yield "nothing is granted where certificates are not verified (--insecure)"
    if settings.examples == 0:
        yield "nothing is granted without fuzzing (--fuzz=off)"


def summary(certificate: Mapping[str, Any]) -> Iterator[str]:
    """What a certificate says, for the terminal."""
    yield from (f"nothing is granted: {each}" for each in certificate["obstacles"])
    width = max(len(each["id"]) for each in certificate["classes"])
    for each in certificate["classes"]:
        told = f"{each['id']:<{width}}  {each['status']}  ({each['held']} of {each['of']} held)"
        if each["status"] != Status.GRANTED.value and each["missing"]:
            first = ", ".join(f"{one['rule']} {one['verdict']}" for one in each["missing"][:3])
            left = len(each["missing"]) - 3
            told += f": {first}" + (f" and {left} more" if left > 0 else "")
        yield told
