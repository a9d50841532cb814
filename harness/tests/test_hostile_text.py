"""A hostile server's words, in everything that a run writes: they are seen, and do nothing."""

import json
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import junit2htmlreport.parser as junit2html
import junitparser
import pytest
from command import Ended, apart
from hostile_words import ACCOUNTS, COMMANDS, SEEN, hostile, written
from lxml import etree
from markdown_it import MarkdownIt
from scripted import Scripted
from terminal import on_a_terminal

from pop3spec.report.text import inert


@dataclass(frozen=True)
class Judged:
    """How a run ended, and where it wrote."""

    ended: Ended
    reports: Path

    def text(self, name: str) -> str:
        return (self.reports / name).read_text("utf-8")


@pytest.fixture(scope="module", params=[(), ("-n", "2")], ids=["one-process", "two-processes"])
def judged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Judged:
    directory = tmp_path_factory.mktemp("hostile")
    written(directory)
    with Scripted([hostile]) as server:
        ended = apart(
            directory,
            *("-m", "pop3spec", "run", str(server.address), "hostile.yaml"),
            *(
                "--report-dir=out",
                "--summary-md=out.md",
                "--transcripts=all",
                "-rA",
                "--reply-timeout=1",
            ),
            *request.param,
            POP3SPEC_ACCOUNT=ACCOUNTS,
            POP3SPEC_STATE=str(directory / "state"),
            TERM="xterm",
        )
    return Judged(ended, directory / "out")


def unseen(text: str) -> list[str]:
    """The characters that a person does not see, or that move what stands around them."""
    return [
        f"U+{ord(character):04X}"
        for character in text
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
        and character != "\n"
    ]


def test_the_verdict_is_about_the_rules_and_not_about_the_words(judged: Judged) -> None:
    verdicts = {
        row["id"]: row["verdict"] for row in json.loads(judged.text("results.json"))["scenarios"]
    }

    assert judged.ended.code == 1, judged.ended.text
    assert "INTERNALERROR" not in judged.ended.text
    assert verdicts["hostile::refused"] == "fail"
    assert verdicts["hostile::unknown"] == "not-applicable"
    assert verdicts["hostile::filled"] == "blocked"


def test_everything_that_is_written_can_be_seen(judged: Judged) -> None:
    files = [path for path in judged.reports.rglob("*") if path.is_file()]
    summary = (judged.reports.parent / "out.md").read_text("utf-8")
    texts = {path.name: path.read_text("utf-8") for path in files}

    assert any(path.parent.name == "transcripts" for path in files)
    for name, text in {**texts, "out.md": summary, "terminal": judged.ended.text}.items():
        assert not unseen(text), name
    for name in ("results.json", "junit.xml"):
        assert [word for word in SEEN if word not in texts[name].replace("&lt;", "<")] == []
    assert all(word in judged.ended.text for word in SEEN if word != "##")
    assert all(password not in judged.ended.text for password in ("correct-horse", "battery"))


def test_no_line_of_the_output_begins_with_words_of_the_server(judged: Judged) -> None:
    lines = [*judged.ended.text.splitlines()]
    for path in (judged.reports / "transcripts").iterdir():
        lines += path.read_text("utf-8").splitlines()

    assert not [line for line in lines if line.lstrip().startswith(("::", "section_", "PASSED ="))]
    assert not [line for line in lines if line.startswith("=====") and "0.1s" in line]


def test_no_machine_that_reads_the_output_finds_a_command(judged: Judged) -> None:
    assert not re.search(r"##\w*\[", judged.ended.text)
    assert not re.search(r"^\s*::", judged.ended.text, re.MULTILINE)


@pytest.mark.parametrize("command", [octets.decode() for octets in COMMANDS])
def test_a_command_of_a_machine_loses_its_sign_and_is_still_read(command: str) -> None:
    shown = inert(command)

    assert not re.search(r"##\w*\[|^\s*::", shown)
    assert ("pwned" in shown) is ("pwned" in command)


# What pytest colours with, and what the live line is moved and erased with.
OURS = re.compile(r"\x1b\[([0-9;]*m|[JKA]|\d+G)")


@pytest.mark.parametrize("colour", ["yes", "no"])
def test_a_terminal_gets_no_escape_sequence_of_the_server(tmp_path: Path, colour: str) -> None:
    path = written(tmp_path)
    with Scripted([hostile]) as server:
        code, octets = on_a_terminal(
            tmp_path,
            *(str(server.address), path.name, "-rA", "--reply-timeout=1", f"--color={colour}"),
            POP3SPEC_ACCOUNT=ACCOUNTS,
            POP3SPEC_STATE=str(tmp_path / "state"),
        )

    # A terminal ends its lines itself, and pytest rewrites the one about collecting.
    text = re.sub(r"\r+(?=\n|\x1b\[1mcollect|collect)", "", octets.decode("utf-8"))
    coloured = re.findall(r"\x1b\[31m\x1b\[1mfail\x1b\[0m: rfc", text)
    assert code == 1
    assert len(coloured) == (3 if colour == "yes" else 0)
    assert not unseen(OURS.sub("", text))
    assert not re.search(r"##\w*\[|^\s*::", text, re.MULTILINE)


def test_the_junit_file_is_well_formed_and_names_every_scenario(judged: Judged) -> None:
    root = etree.fromstring(judged.text("junit.xml").encode())
    rows = json.loads(judged.text("results.json"))["scenarios"]

    assert len(list(root.iter("testcase"))) == len(rows)
    assert not list(root.iter("script"))


# --- The summary in Markdown ---

PERMITTED = {"code", "br", "details", "summary"}


def test_in_the_markdown_the_words_are_text_and_nothing_else(judged: Judged) -> None:
    """Read by a parser that knows tables and raw HTML, as GitHub's does."""
    text = (judged.reports.parent / "out.md").read_text("utf-8")
    parser = MarkdownIt("gfm-like", {"html": True, "linkify": False})

    page = etree.HTML(parser.render(text))

    assert {node.tag for node in page.iter() if isinstance(node.tag, str)} <= PERMITTED | {
        *("html", "body", "h2", "h3", "p", "strong", "ul", "li", "pre", "a"),
        *("table", "thead", "tbody", "tr", "th", "td"),
    }
    links = {node.get("href") for node in page.iter("a")}
    assert links
    assert all(link.startswith("https://www.rfc-editor.org/rfc/rfc") for link in links)
    widths = [{len(list(row)) for row in table.iter("tr")} for table in page.iter("table")]
    assert len(widths) == 2
    assert all(len(each) == 1 for each in widths)
    shown = "".join(page.itertext())
    assert "<script>alert(1)</script>" in shown
    assert "| `x` ```" in shown
    # Mentions are looked for in what stands together as text.
    assert not [each for each in page.itertext() if "@octocat" in each]


# --- junit.xml, by those who read it elsewhere ---


def counts(judged: Judged) -> dict[str, int]:
    """How many cases there are of each kind, as results.json has it."""
    verdicts = [row["verdict"] for row in json.loads(judged.text("results.json"))["scenarios"]]
    return {
        "tests": len(verdicts),
        "failures": verdicts.count("fail"),
        "errors": verdicts.count("error"),
        "skipped": verdicts.count("blocked") + verdicts.count("not-applicable"),
    }


def test_junitparser_reads_the_same_and_sees_the_words(judged: Judged) -> None:
    report = junitparser.JUnitXml.fromfile(str(judged.reports / "junit.xml"))
    [suite] = report
    cases = list(suite)
    texts = [each.text or "" for case in cases for each in case.result]

    told = {name: getattr(suite, name) for name in counts(judged)}
    assert told == counts(judged)
    suite.update_statistics()  # type: ignore[no-untyped-call]  # counts for itself
    assert {name: getattr(suite, name) for name in told} == told
    assert {case.name for case in cases} >= {"refused", "mail", "listings", "filled"}
    assert all(case.classname and case.time is not None for case in cases)
    assert any("<script>alert(1)</script>" in text and "]]>" in text for text in texts)
    assert not [text for text in texts if unseen(text)]


def test_junit2html_counts_the_same_and_makes_no_markup_of_the_words(judged: Judged) -> None:
    report = junit2html.Junit(str(judged.reports / "junit.xml"))
    cases = [case for suite in report.suites for case in suite.all()]
    source = report.html()
    page = etree.HTML(source)

    assert len(cases) == counts(judged)["tests"]
    assert sum(case.failed() for case in cases) == counts(judged)["failures"]
    assert sum(bool(case.skipped) for case in cases) == counts(judged)["skipped"]
    assert "<script>alert(1)" not in source
    assert not list(page.iter("img"))
    assert "alert(1)</script>" in "".join(page.find("body").itertext())
