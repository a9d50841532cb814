"""Is a certificate what its results say? Every octet of it follows from them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pop3spec.certificate.issue import certificate_of, digest_of, lists_of, octets_of
from pop3spec.certificate.page import page_text
from pop3spec.certificate.signature import FIELD, problem_of
from pop3spec.report.results import ResultsError, read_results
from pop3spec.report.text import one_line

_SCHEMA_FILE = Path(__file__).parent / "certificate.schema.json"


class CertificateError(Exception):
    """A file that is no certificate; the message says where, and the mend."""


def read_certificate(path: Path) -> dict[str, Any]:
    """A certificate, of the form that its schema has; CertificateError."""
    try:
        octets = path.read_bytes()
    except OSError as error:
        raise CertificateError(f"{path}: {error.strerror}") from error
    try:
        found = json.loads(octets)
    except (ValueError, RecursionError) as error:
        raise CertificateError(f"{path}: no JSON in UTF-8 ({error})") from error
    if problem := schema_problem(found):
        raise CertificateError(f"{path}: {problem}")
    certificate: dict[str, Any] = found
    written = octets_of(certificate)
    if octets != written:
        place = next(
            (at for at, (a, b) in enumerate(zip(octets, written, strict=False)) if a != b),
            min(len(octets), len(written)),
        )
        raise CertificateError(f"{path}: not as pop3spec writes it, from octet {place} on")
    return certificate


def schema_problem(certificate: object) -> str:
    """Where the form is not that of the schema, and how; '' where it is."""
    error = next(iter(sorted(_validator().iter_errors(certificate), key=str)), None)
    if error is None:
        return ""
    place = ".".join(map(str, error.absolute_path)) or "the whole"
    return f"{place}: {one_line(error.message, 200)}"


@cache
def _validator() -> Any:
    # Only `verify` pays for this import.
    import jsonschema

    return jsonschema.Draft202012Validator(json.loads(_SCHEMA_FILE.read_text("utf-8")))


def problems(certificate_file: Path, results_file: Path, key_file: Path | None) -> Iterator[str]:
    """What is wrong, each as a sentence that begins with the place; none where nothing is."""
    certificate = read_certificate(certificate_file)
    if problem := problem_of(certificate, key_file):
        yield problem
    try:
        results = read_results(results_file)
    except ResultsError as error:
        yield f"results: {error}"
        return
    digest = digest_of(results_file)
    if digest != certificate["results"]["sha256"]:
        yield (
            f"results.sha256: {results_file} is not the file that was certified"
            f" ({digest[:12]}…, not {certificate['results']['sha256'][:12]}…)"
        )
        return
    try:
        lists = lists_of(certificate)
    except KeyError as error:
        yield f"classes: this version has no list {error}; verify with a later one"
        return
    again = certificate_of(results, digest, certificate["product"], lists)
    plain = {name: value for name, value in certificate.items() if name != FIELD}
    yield from differences(plain, again)
    page = certificate_file.with_suffix(".html")
    if page.exists() and page.read_bytes() != page_text(certificate).encode():
        yield f"{page.name}: not the page of this certificate"


def differences(told: object, right: object, place: str = "") -> Iterator[str]:
    """The places where two documents differ, with what stands there."""
    if isinstance(told, Mapping) and isinstance(right, Mapping):
        for name in sorted({*told, *right}, key=str):
            below = f"{place}.{name}" if place else str(name)
            if name not in told or name not in right:
                yield f"{below}: {'too much' if name in told else 'missing'}"
            else:
                yield from differences(told[name], right[name], below)
    elif _is_list(told) and _is_list(right):
        assert isinstance(told, Sequence)
        assert isinstance(right, Sequence)
        if len(told) != len(right):
            yield f"{place}: {len(told)} entries, the results say {len(right)}"
            return
        for index, (a, b) in enumerate(zip(told, right, strict=True)):
            yield from differences(a, b, f"{place}.{index}")
    elif told != right:
        yield one_line(f"{place}: {told!r}, the results say {right!r}", 300)


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple)


def changed_classes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """The classes that a repeated run does not say the same of, as sentences."""
    again = {(each["id"], each["date"]): each for each in new["classes"]}
    for each in old["classes"]:
        now = again[each["id"], each["date"]]
        if now["status"] != each["status"]:
            rules = ", ".join(f"{one['rule']} {one['verdict']}" for one in now["missing"][:5])
            why = f" ({rules})" if rules else ""
            yield f"{each['id']}: was {each['status']}, is now {now['status']}{why}"
