"""Who may import what: the architecture, as a table."""

import ast
import fnmatch
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import pop3spec

ROOT = Path(pop3spec.__file__).parent

# A part of the package -> the other parts that it may import.
# Below the line that tells a server's mistakes from ours nothing knows of pytest or reports.
PARTS: Mapping[str, str] = {
    # What POP3, YAML and messages are.
    "protocol": "",
    "yamlfile": "",
    "template": "",
    "stock": "",
    "transcript": "protocol",
    # What the RFCs require, and what a test is.
    "rulebook": "protocol transcript yamlfile",
    "verdict": "transcript rulebook",
    "scenario": "protocol yamlfile template stock target sasl",
    # A login by SASL: what a client says, and how a session carries it.
    "sasl": "protocol rulebook",
    "authentication": "protocol transcript sasl recorder session",
    "target": "protocol yamlfile",
    "masking": "protocol transcript target",
    # How a target is driven.
    "connection": "protocol transcript target",
    "client_lines": "protocol",
    "outstanding": "protocol transcript client_lines",
    "harm": "client_lines",
    "recorder": "transcript rulebook verdict",
    "refusals": "transcript rulebook",
    "login_delay": "refusals",
    "session": (
        "protocol transcript target connection rulebook client_lines outstanding harm recorder"
        " refusals login_delay"
    ),
    "opening": "target connection rulebook recorder refusals login_delay session",
    "expectations": "protocol transcript scenario template",
    "maildrop": "target",
    "accounts": "target",
    "claims": "target maildrop",
    "probe": (
        "protocol transcript target connection rulebook recorder refusals login_delay session"
        " opening maildrop accounts"
    ),
    "schedule": "verdict accounts",
    "liveness": "transcript",
    "runner": (
        "protocol transcript target rulebook verdict scenario template recorder refusals"
        " login_delay harm session opening maildrop accounts expectations probe schedule"
        " authentication sasl connection liveness"
    ),
    "settings": "target connection rulebook",
    "hooks": "",
    "run": (
        "transcript target rulebook verdict scenario masking connection recorder refusals"
        " login_delay opening maildrop accounts probe schedule runner settings hooks liveness"
    ),
    # The embedded server: it knows the protocol, and nothing of how it is judged.
    "reference": "protocol maildrop",
    "embedded": "target maildrop reference",
    # What people see.
    "report": "protocol rulebook verdict",
    "about": "collected",
    "register": "yamlfile rulebook reference about",
    "fixtures": (
        "target rulebook verdict stock recorder refusals login_delay session opening maildrop"
        " accounts schedule settings run embedded hooks"
    ),
    # Stimuli drawn at random, and what they have to be answered with.
    "model": "protocol",
    "fuzzing": (
        "protocol transcript target rulebook verdict scenario stock recorder refusals session"
        " opening sasl authentication maildrop accounts runner run fixtures model"
    ),
    "options": "",
    "collected": "target rulebook scenario",
    "fleet": "settings",
    "progress": "",
    "live": "report",
    "watching": "schedule run progress live",
    "deviations": "yamlfile target rulebook collected",
    "accept": "report target rulebook verdict yamlfile",
    "tally": "transcript rulebook verdict report",
    "gallery": "yamlfile rulebook verdict report register",
    "certificate": "yamlfile rulebook verdict report settings collected",
    "plugin": (
        "masking connection transcript target rulebook verdict scenario recorder refusals maildrop"
        " probe settings run embedded fixtures report options collected deviations tally watching"
        " claims fleet liveness certificate"
    ),
    "cli": (
        "target rulebook scenario options collected reference register report deviations accept"
        " certificate gallery"
    ),
    "__main__": "cli",
    "__init__": "",
}

# A module that is not ours -> the files that may import it. No other library is imported.
LIBRARIES: Mapping[str, str] = {
    "yaml": "yamlfile/*",
    "junit_xml": "report/junit",
    "jinja2": "report/page report/templates certificate/page gallery/pages",
    "jsonschema": "certificate/verify",
    "cryptography": "certificate/signature",
    "pytest": "plugin/* fixtures/* watching cli",
    "_pytest": "plugin/secrets plugin/running",  # for a type, and to run a test once more
    "scramp": "sasl/scram",
    "trustme": "reference/certificates",
    "hypothesis": "fuzzing/draws",
}

# Of the standard library: sockets and TLS stand at the edges, and nobody takes poplib's word.
EDGES: Mapping[str, str] = {
    "poplib": "",
    "socket": "connection maildrop reference",
    "select": "connection reference",
    "ssl": "connection reference maildrop",
    "subprocess": "maildrop hooks",
}


def files() -> list[str]:
    return sorted(path.relative_to(ROOT).with_suffix("").as_posix() for path in ROOT.rglob("*.py"))


def imports(file: str) -> Iterator[str]:
    """The full names of the modules that a file imports, wherever in it."""
    tree = ast.parse((ROOT / f"{file}.py").read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: a relative import"
            module = str(node.module)
            yield module
            # `from pop3spec import x` names a module, too.
            yield from (f"{module}.{alias.name}" for alias in node.names if module == "pop3spec")


def part_of(file: str) -> str:
    return file.partition("/")[0]


@pytest.mark.parametrize("file", files())
def test_a_module_imports_what_its_part_may(file: str) -> None:
    part = part_of(file)
    others = {
        module.split(".")[1]
        for module in imports(file)
        if module.startswith("pop3spec.") and not module.endswith("__version__")
    }

    assert part in PARTS, f"give {part} a line in the table"
    assert others - {part} <= set(PARTS[part].split())


def test_the_table_has_no_line_too_many() -> None:
    assert set(PARTS) == {part_of(file) for file in files()}


def test_a_library_is_imported_in_one_place() -> None:
    found = {
        (name, file)
        for file in files()
        for name in {module.split(".")[0] for module in imports(file)}
        if name != "pop3spec" and name not in sys.stdlib_module_names
    }

    allowed = [(name, place) for name, places in LIBRARIES.items() for place in places.split()]
    used = {
        (name, place)
        for name, place in allowed
        for library, file in found
        if name == library and fnmatch.fnmatch(file, place)
    }
    assert {name for name, _ in found} <= LIBRARIES.keys()
    assert all(
        any(name == library and fnmatch.fnmatch(file, place) for name, place in allowed)
        for library, file in found
    )
    assert used == set(allowed)


@pytest.mark.parametrize("name", EDGES)
def test_input_and_output_stand_at_the_edges(name: str) -> None:
    users = {
        part_of(file)
        for file in files()
        if name in {module.split(".")[0] for module in imports(file)}
    }

    assert users <= set(EDGES[name].split())
