"""`pop3spec gallery`: what it reads and refuses, what it publishes, and where its links lead."""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from html import escape as html_escape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from command import Ended, apart, here
from samples import BLOCKED, FAIL, KNOWN, MUST, OTHER, PASS, WARN, hostile, results

from pop3spec import __version__
from pop3spec.collected import home
from pop3spec.gallery.adjudication import read_adjudications, read_errata
from pop3spec.gallery.published import document, published
from pop3spec.reference.faults import FAULTS
from pop3spec.report.results import Results, read_results, write_results
from pop3spec.rulebook.advice import advice
from pop3spec.rulebook.rules import rulebook

ADVISED = "rfc1939-3-status-indicator"
RUN_FROM = "/clones/of/somebody"
PRIVATE = results(
    PASS,
    replace(
        FAIL,
        replay="pop3spec run 127.0.0.1:38813 x.yaml::y --target-profile=/tmp/run-x7/profile.yaml",
        transcript=(
            "0.001 -- connected to 127.0.0.1:38813",
            "0.002 S: -ERR cannot lock /tmp/run-x7/mail/alice.lock\\r\\n",
            "0.003 S: -ERR /etc/passwd and rfc1939/retr and +OK/-ERR\\r\\n",
        ),
        detail=f"maildir:{RUN_FROM}/mail/{{user}}: [::1]:4711 and localhost:995 are not there",
    ),
    target={"address": "127.0.0.1:38813", "greeting": "+OK hello"},
    options={
        "target-profile": "/tmp/run-x7/profile.yaml",
        "maildrop": f"maildir:{RUN_FROM}/mail/{{user}}",
        "report-dir": "reports/servers/alpha",
    },
)
ALPHA = results(PASS, FAIL, WARN, KNOWN, replace(BLOCKED, exercised=()), version=__version__)
BETA = results(
    PASS,
    observations=({"id": "second-user", "value": "+OK"},),
    target={"address": "127.0.0.1:1", "implementation": "Beta 2"},
    version=__version__,
)


def escape(text: str) -> str:
    """Text as it stands in a page."""
    return html_escape(text).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")


def run(folder: Path, name: str, found: Results) -> Path:
    """The report directory of a run that found this."""
    directory = folder / "reports" / "servers" / name
    directory.mkdir(parents=True)
    write_results(directory / "results.json", found)
    return directory


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A directory below which two runs have reported."""
    run(tmp_path, "alpha", ALPHA)
    run(tmp_path, "beta", BETA)
    return tmp_path


def judged(folder: Path, name: str, text: str) -> None:
    directory = folder / "reports" / "gallery" / "adjudication"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{name}.yaml").write_text(text)


JUDGEMENT = (
    "server: alpha\nversion: '3.2'\njudgements:\n"
    f"  - rule: {MUST}\n    exchange: RETR 1 -> .one\n    because: a dot is doubled\n"
    "    clients: all of them\n"
)


def files(folder: Path) -> dict[str, bytes]:
    gallery = folder / "reports" / "gallery"
    return {
        path.relative_to(gallery).as_posix(): path.read_bytes()
        for path in sorted(gallery.rglob("*"))
        if path.is_file()
    }


def page(folder: Path, name: str) -> str:
    return (folder / "reports" / "gallery" / name).read_text("utf-8")


def built(folder: Path, *words: str) -> Ended:
    ended = here(folder, "gallery", *words)
    assert ended.code == 0, ended.text
    return ended


# --- What it makes, from what ---


def test_it_shows_all_runs_below_the_reports(runs: Path) -> None:
    ended = built(runs)

    assert "alpha: from reports/servers/alpha\nbeta: from reports/servers/beta\n" in ended.text
    assert ended.text.endswith("written: reports/gallery/index.html\n")
    written = files(runs)
    assert {"index.html", "gallery.css", "gallery.js", "errata.html"} < written.keys()
    assert {f"rules/{id}.html" for id in rulebook()} < written.keys()
    assert {"alpha/index.html", "alpha/results.json", "beta/results.json"} < written.keys()


def test_the_same_results_make_the_same_octets_in_any_order_and_from_the_gallery_alone(
    runs: Path,
) -> None:
    judged(runs, "alpha", JUDGEMENT)
    built(runs, "reports/servers/alpha", "reports/servers/beta")
    first = files(runs)

    built(runs, "reports/servers/beta", "reports/servers/alpha")
    assert files(runs) == first

    shutil.rmtree(runs / "reports" / "servers")
    built(runs)
    assert files(runs) == first

    built(runs, "reports/gallery", "--into=elsewhere")
    elsewhere = (runs / "elsewhere" / "index.html").read_bytes()
    assert elsewhere == first["index.html"]


def test_a_run_of_one_server_leaves_the_others_in_the_gallery(runs: Path) -> None:
    built(runs)
    shutil.rmtree(runs / "reports" / "servers")
    run(runs, "beta", results(FAIL))

    built(runs, "reports/servers/beta")

    assert read_results(runs / "reports/gallery/alpha/results.json").scenarios
    assert read_results(runs / "reports/gallery/beta/results.json").scenarios[0].id == FAIL.id


def test_the_page_of_a_rule_that_there_is_no_more_goes(runs: Path) -> None:
    built(runs)
    old = runs / "reports" / "gallery" / "rules" / "rfc1939-3-gone.html"
    old.write_text("old")

    built(runs)

    assert not old.exists()


def test_it_says_which_results_come_from_another_version_or_other_rules(runs: Path) -> None:
    run(runs, "older", results(PASS, rules_digest="0123456789abcdef", rules=ALPHA.rules[:3]))
    run(runs, "beyond", results(PASS, version="99"))

    ended = built(runs)

    assert "older: older was judged by pop3spec 1.0, rules 0123456789ab; run it" in ended.text
    assert "older: beyond was judged by pop3spec 99, rules " in ended.text
    assert "older: alpha" not in ended.text
    assert "but by another: beyond, older." in page(runs, "index.html")
    assert "The rules of that run did not have this one." in page(runs, f"rules/{OTHER}.html")


def test_a_report_in_the_gallery_leads_to_the_pages_of_its_rules(runs: Path) -> None:
    built(runs)

    text = page(runs, "alpha/index.html")
    assert '<a href="../index.html">All servers</a>' in text
    assert f'<a href="../rules/{MUST}.html">{MUST}</a>' in text


def test_a_page_of_a_rule_says_what_is_known_of_it(runs: Path) -> None:
    built(runs)

    text = page(runs, f"rules/{ADVISED}.html")
    assert "Why it matters" in text
    assert escape(advice()[ADVISED].fix) in text
    assert "https://www.rfc-editor.org/rfc/rfc1939#section-3" in text
    assert escape(next(f.copies for f in FAULTS.values() if ADVISED in f.breaks)) in text


def test_other_commands_import_nothing_of_it(tmp_path: Path) -> None:
    told = apart(
        tmp_path,
        "-c",
        "import sys, pop3spec.cli, pop3spec.plugin, pop3spec.report.page;"
        "print([name for name in sys.modules if 'gallery' in name or name == 'jinja2'])",
    )

    assert told.text == "[]\n"


# --- Adjudication and errata ---


def test_an_adjudication_stands_on_the_page_of_its_rule(runs: Path) -> None:
    judged(runs, "alpha", JUDGEMENT)

    ended = built(runs)

    text = page(runs, f"rules/{MUST}.html")
    assert "RETR 1 -&gt; .one" in text
    assert "a dot is doubled" in text
    assert "all of them" in text
    assert "Not adjudicated yet." not in text
    assert "not adjudicated yet: 1 (alpha 1)" in ended.text  # the warning
    assert "alpha 3.2" in page(runs, "alpha/index.html")


def test_what_is_not_adjudicated_is_shown_so_and_what_is_in_vain_is_told(runs: Path) -> None:
    judged(runs, "alpha", JUDGEMENT.replace(MUST, OTHER))
    judged(runs, "gamma", "server: gamma\n")

    ended = built(runs)

    assert "Not adjudicated yet." in page(runs, f"rules/{MUST}.html")
    assert "not adjudicated yet: 2 (alpha 2)" in ended.text
    assert f"stale: {OTHER} is adjudicated, and the results of alpha do not" in ended.text
    assert "stale: gamma is adjudicated, and there are no results of it" in ended.text


def test_what_is_seen_sometimes_stands_on_the_page_of_a_rule_that_held(runs: Path) -> None:
    judged(runs, "alpha", JUDGEMENT.replace(MUST, OTHER) + "    sometimes: yes\n")

    ended = built(runs)

    text = page(runs, f"rules/{OTHER}.html")
    assert "Not seen in this run" in text
    assert "a dot is doubled" in text
    assert "stale" not in ended.text


def test_the_version_is_that_of_the_run_and_another_one_is_told(runs: Path) -> None:
    judged(runs, "alpha", JUDGEMENT)
    results = runs / "reports" / "servers" / "alpha" / "results.json"
    data = json.loads(results.read_text())
    data["target"]["version"] = "3.3"
    results.write_text(json.dumps(data))

    ended = built(runs)

    assert "alpha 3.3" in page(runs, "alpha/index.html")
    assert "outdated: alpha 3.3 was judged, and 3.2 adjudicated" in ended.text


def test_errata_have_a_page_and_stand_with_their_rule(runs: Path) -> None:
    (runs / "reports" / "gallery").mkdir()
    (runs / "reports" / "gallery" / "errata.yaml").write_text(
        f"errata:\n  - {{date: 2026-11-20, rule: {MUST}, was: 'the old', now: 'the new', "
        "because: 'of the RFC'}\n"
        "  - {date: 2026-11-22, rule: rfc1939-3-gone, was: a rule, now: none, because: it erred}\n"
    )

    built(runs)

    assert "of the RFC" in page(runs, f"rules/{MUST}.html")
    text = page(runs, "errata.html")
    assert text.index("2026-11-22") < text.index("2026-11-20")
    assert f'href="rules/{MUST}.html"' in text
    assert 'href="rules/rfc1939-3-gone.html"' not in text


# --- Bad input ---


@pytest.mark.parametrize(
    "text, said",
    [
        ("server: [", "alpha.yaml:1:"),
        ("server: beta\n", "alpha.yaml:1:9: the server 'beta' belongs into beta.yaml"),
        ("server: ../x\n", "alpha.yaml:1:9: server: '../x' is not a name of letters"),
        (JUDGEMENT.replace("because", "why"), "alpha.yaml:6:5: unknown key 'why' in a judgement"),
        (JUDGEMENT.replace(MUST, f"{MUST}x"), f"4:11: unknown rule '{MUST}x' (did you mean"),
        ("server: alpha\nserver: alpha\n", "alpha.yaml:2:1: duplicate key 'server'"),
    ],
)
def test_a_bad_adjudication_is_refused_in_a_sentence(runs: Path, text: str, said: str) -> None:
    judged(runs, "alpha", text)

    ended = here(runs, "gallery")

    assert ended.code == 4
    [sentence] = ended.text.splitlines()
    assert said in sentence
    assert "reports/gallery/index.html" not in files(runs)


def test_a_bad_date_in_the_errata_is_refused_in_a_sentence(runs: Path) -> None:
    (runs / "reports" / "gallery").mkdir()
    (runs / "reports" / "gallery" / "errata.yaml").write_text(
        f"errata:\n  - {{date: '20.11.', rule: {MUST}, was: a, now: b, because: c}}\n"
    )

    ended = here(runs, "gallery")

    assert ended.code == 4
    assert ended.sentences == [
        "ERROR: reports/gallery/errata.yaml:2:12: date: '20.11.' is no date: "
        "write it like 2027-06-30"
    ]


@pytest.mark.parametrize(
    "words, said",
    [
        (["nowhere"], "nowhere: no results.json in it; name a run's report directory"),
        (["reports/servers/alpha", "again/alpha"], "again/alpha: reports/servers/alpha has the"),
        (["rules"], "rules: the directory's name is that of the server"),
        (["a b"], "a b: the directory's name is that of the server"),
        (["reports/gallery"], "reports/gallery: no results.json in it; name a run's"),
        (["broken"], "broken/results.json: no JSON in UTF-8"),
        (["--adjudication=nowhere"], "nowhere: no directory; name one with --adjudication=DIR"),
        (["--into=broken/results.json"], "cannot write broken/results.json: "),
        (["--into=rules"], "rules: that is the report of a run; name another --into"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_a_sentence(
    runs: Path, words: Sequence[str], said: str
) -> None:
    for name in ("again/alpha", "rules", "a b", "broken"):
        (runs / name).mkdir(parents=True)
        write_results(runs / name / "results.json", BETA)
    (runs / "broken" / "results.json").write_text("{")

    ended = here(runs, "gallery", *words)

    assert ended.code == 4
    [sentence] = ended.text.splitlines()
    assert sentence.startswith(f"ERROR: {said}")


def test_without_any_results_it_says_what_to_name(tmp_path: Path) -> None:
    ended = here(tmp_path, "gallery")

    assert ended.code == 4
    assert ended.text.startswith("ERROR: no results below reports/servers, and none in reports/")


# --- What is published ---


def test_what_tells_of_the_machine_is_not_published(tmp_path: Path) -> None:
    run(tmp_path, "alpha", PRIVATE)

    built(tmp_path)

    told = b"".join(files(tmp_path).values()).decode()
    assert not [word for word in ("38813", "4711", "/tmp", RUN_FROM, "run-x7") if word in told]
    kept = read_results(tmp_path / "reports/gallery/alpha/results.json")
    assert kept.target["address"] == "alpha"
    assert kept.options["target-profile"] == "…/profile.yaml"
    assert kept.options["maildrop"] == "maildir:…/{user}"
    assert kept.options["report-dir"] == "reports/servers/alpha"
    [failed] = [row for row in kept.scenarios if row.findings]
    assert failed.replay == "pop3spec run HOST:PORT x.yaml::y --target-profile=…/profile.yaml"
    assert failed.transcript == (
        "0.001 -- connected to HOST:PORT",
        "0.002 S: -ERR cannot lock …/alice.lock\\r\\n",
        "0.003 S: -ERR /etc/passwd and rfc1939/retr and +OK/-ERR\\r\\n",
    )


def test_what_was_published_once_is_published_again_as_it_is() -> None:
    once = published(PRIVATE, "alpha 1:2")

    assert document(published(once, "alpha 1:2")) == document(once)
    assert Results.from_data(json.loads(document(once))) == Results.from_data(once.to_data())


# --- Links, and text that servers sent ---


class _Page(HTMLParser):
    """The places in a page, the addresses that it names, and its elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append((tag, given))
        self.ids += [str(given["id"])] if "id" in given else []
        self.addresses += [str(given[name]) for name in ("href", "src") if name in given]


def leading_nowhere(gallery: Path) -> Iterator[tuple[str, str]]:
    """Page and address of each link that leads to no file, or to no place in it."""
    found = {path: _Page(path.read_text("utf-8")) for path in gallery.rglob("*.html")}
    for path, each in found.items():
        for address in each.addresses:
            if address.startswith("https://www.rfc-editor.org/rfc/rfc"):
                continue
            name, _, place = address.partition("#")
            goal = (path.parent / unquote(name)).resolve() if name else path
            if not goal.is_file() or (place and unquote(place) not in found[goal].ids):
                yield path.name, address


def test_every_link_leads_to_a_file_and_a_place_in_it(runs: Path) -> None:
    run(runs, "odd", hostile())
    judged(runs, "alpha", JUDGEMENT)

    built(runs)

    gallery = (runs / "reports" / "gallery").resolve()
    assert list(leading_nowhere(gallery)) == []
    index = _Page(page(runs, "index.html"))
    assert len(index.ids) == len(set(index.ids))
    cells = [address for address in index.addresses if "#scenario-" in address]
    assert len(cells) == 3  # a failure and a warning of alpha, a failure of the odd one


def test_text_of_servers_and_of_people_stays_text(runs: Path) -> None:
    run(runs, "odd", hostile())
    script = "<script>window.hit=1</script>\\u202e"
    judged(
        runs,
        "odd",
        f'server: odd\nversion: "{script}"\njudgements:\n  - rule: {MUST}\n'
        f'    exchange: "{script}"\n    because: "{script}"\n    clients: "{script}"\n',
    )

    built(runs)

    for name, octets in files(runs).items():
        if not name.endswith(".html"):
            continue
        text = octets.decode()
        tags = _Page(text).tags
        scripts = [given for tag, given in tags if tag == "script"]
        assert len(scripts) <= 1, name
        assert not [tag for tag, _ in tags if tag in ("img", "iframe")], name
        assert not [given for _, given in tags if any(key.startswith("on") for key in given)], name
        assert "<script>window" not in text, name
        assert "\u202e" not in text, name
        assert "\x1b" not in text, name
    assert "&lt;script&gt;window.hit=1" in page(runs, f"rules/{MUST}.html")


# --- What the repository keeps ---


def test_the_gallery_of_this_repository_can_be_made_again_and_tells_of_no_machine() -> None:
    kept = home() / "reports" / "gallery"

    judged = read_adjudications(kept / "adjudication", rulebook().keys())
    read_errata(kept / "errata.yaml")

    for file in kept.glob("*/results.json"):
        found, name = read_results(file), file.parent.name
        label = f"{name} {judged[name].version}".strip() if name in judged else name
        assert file.read_text("utf-8") == document(published(found, label)), file
