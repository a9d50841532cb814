"""Certificates: frozen lists, what is granted, and that nothing altered passes the check."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from command import Ended, apart, here, judge_here
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

import pop3spec
from pop3spec.certificate.issue import _own_files, certificate_of
from pop3spec.certificate.lists import all_lists, current_lists
from pop3spec.report.results import Results, write_results
from pop3spec.report.rows import RuleRow, ScenarioRow
from pop3spec.rulebook.rules import Level, rulebook
from pop3spec.verdict import Verdict

PACKAGE = Path(pop3spec.__file__).parent
PRODUCT = "Example Mail 3.2 <b>"

# A list that was released stays as it is, to the octet: its digest is here for ever.
FROZEN = {
    "rfc1939-core-2026-11-23": "7481504eafbb60b999a380020336cff8393733af",
    "rfc1939-optional-2026-11-23": "a0b449e38912923442f869aef2f9a990dc3bcb78",
    "rfc2449-2026-11-23": "ec43061f96f798e74677d53d3b3545741bcfca8b",
    "tls-2026-11-23": "262cbedf45ad77a4b069e30154838310475d58ec",
    "sasl-2026-11-23": "22882b63d0910736a737f0339bec50c7bc1c9a5d",
    "rfc6856-2026-11-23": "4b33bc8dc48839c9b44c2e9e64fcdd73c574e702",
    "sasl-anonymous-2026-11-23": "9e513cb33a237edc92f3d1594fd7fbffc0af49dc",
    "sasl-cram-md5-2026-11-23": "552adcb0ade5e207397527906e3bb6e7002ce679",
    "sasl-digest-md5-2026-11-23": "02e4f2f0e583589caaae1b15e568a75a44c5c377",
    "sasl-oauthbearer-2026-11-23": "06ed3d19102ed98e2d69e416683cd6bf2c8dd7d0",
    "sasl-plain-2026-11-23": "b7dc43e44deddc05e4a6ff566e7644bd33d108b8",
    "sasl-scram-2026-11-23": "7ade25cfef523a42aa9ba470f1882d0d0843e359",
}


def test_a_list_that_was_released_is_never_changed() -> None:
    assert {each.name: each.digest[:40] for each in all_lists()} == FROZEN


def test_a_list_has_requirements_of_the_rulebook_alone_and_none_twice() -> None:
    for each in all_lists():
        ids = (*each.required, *each.where_offered)
        assert len(ids) == len(set(ids)), each.name
        assert all(rulebook()[id].level is Level.MUST for id in ids), each.name


def test_every_must_of_today_is_in_a_class() -> None:
    listed = {id for each in current_lists() for id in (*each.required, *each.where_offered)}

    assert {id for id, rule in rulebook().items() if rule.level is Level.MUST} == listed


# --- What is granted ---


def results(changed: Mapping[str, Verdict] | None = None, **facts: Any) -> Results:
    """Those of a server that is perfect but for these rules."""
    rules = tuple(
        RuleRow(
            id=rule.id,
            rfc=rule.rfc,
            section=rule.section,
            level=rule.level,
            title=rule.summary,
            verdict=(changed or {}).get(rule.id, Verdict.PASS),
        )
        for rule in rulebook().values()
    )
    row = ScenarioRow(id="a/b::c", title="t", file="f", line=1, verdict=Verdict.PASS)
    given: dict[str, Any] = {
        "version": "1.0",
        "rules_digest": "a" * 64,
        "scenarios_digest": "b" * 64,
        "target": {"address": "mail.example:110", "greeting": "+OK \x1b[2J<i>"},
        "started": datetime(2026, 11, 23, tzinfo=UTC),
        "seconds": 1.5,
        "seed": 7,
        "options": {"maildrop": "maildir:/srv/{user}", "slow": True},
        "whole_files": frozenset(_own_files()),
    }
    return Results(rules=rules, scenarios=(row,), **(given | facts))


def statuses(found: Results) -> dict[str, str]:
    certificate = certificate_of(found, "c" * 64, PRODUCT, current_lists())
    return {each["id"]: each["status"] for each in certificate["classes"]}


def test_a_perfect_server_is_granted_every_class() -> None:
    assert set(statuses(results()).values()) == {"granted"}


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.BLOCKED, Verdict.UNTESTED])
def test_a_requirement_that_was_not_shown_refuses_its_classes_alone(verdict: Verdict) -> None:
    found = statuses(results({"rfc1939-5-retr": verdict}))

    assert {id for id, status in found.items() if status != "granted"} == {
        "rfc1939-core",
        "rfc1939-optional",
    }
    assert found["rfc1939-core"] == "refused"


def test_what_is_not_offered_is_not_applied_for() -> None:
    apop = {id: Verdict.NOT_APPLICABLE for id in rulebook() if id.startswith("rfc1939-7-apop")}

    found = statuses(results(apop))

    assert found["rfc1939-optional"] == "not applied for"
    assert found["rfc1939-core"] == "granted"


@pytest.mark.parametrize("verdict", [Verdict.NOT_APPLICABLE, Verdict.UNTESTED])
def test_a_requirement_about_what_a_server_may_leave_out_is_no_obstacle(verdict: Verdict) -> None:
    found = statuses(results({"rfc2449-6.5-login-delay-form": verdict}))

    assert found["rfc2449"] == "granted"


def test_where_it_was_blocked_such_a_requirement_is_an_obstacle() -> None:
    found = statuses(results({"rfc2449-6.5-login-delay-form": Verdict.BLOCKED}))

    assert found["rfc2449"] == "refused"


OBSTACLES: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "insecure": ({"options": {"insecure": True}}, "--insecure"),
    "no fuzzing": ({"options": {"fuzz": "off"}}, "--fuzz=off"),
    "a part": ({"whole_files": frozenset(sorted(_own_files())[1:])}, "not everything was run"),
    "old results": ({"scenarios_digest": ""}, "do not say which scenarios"),
}


@pytest.mark.parametrize(("facts", "words"), OBSTACLES.values(), ids=OBSTACLES)
def test_what_was_not_a_whole_run_grants_nothing(facts: Mapping[str, Any], words: str) -> None:
    found = results(**facts)

    certificate = certificate_of(found, "c" * 64, PRODUCT, current_lists())

    assert set(statuses(found).values()) == {"refused"}
    assert any(words in each for each in certificate["obstacles"])


def test_a_later_suite_with_more_rules_grants_the_same_classes() -> None:
    found = results()
    more = replace(
        found.rules[0], id="rfc1939-5-found-later", level=Level.MUST, verdict=Verdict.FAIL
    )
    later = replace(found, version="9.0", rules=(*found.rules, more))

    certificate = certificate_of(later, "c" * 64, PRODUCT, current_lists())

    assert statuses(later) == statuses(found)
    assert certificate["not_scored"] == ["rfc1939-5-found-later"]


# --- The files and their check ---


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with results and an unsigned certificate."""
    write_results(tmp_path / "results.json", results({"rfc1939-7-apop": Verdict.FAIL}))
    ended = here(tmp_path, "certify", "results.json", f"--product={PRODUCT}")
    assert ended.code == 0, ended.text
    return tmp_path


def verify(place: Path, *words: str) -> Ended:
    return here(place, "verify", "certificate.json", *words)


def test_a_certificate_follows_from_its_results(place: Path) -> None:
    before = [(place / f"certificate.{kind}").read_bytes() for kind in ("json", "html")]

    assert verify(place).code == 0
    assert here(place, "certify", "results.json", f"--product={PRODUCT}").code == 0
    assert [(place / f"certificate.{kind}").read_bytes() for kind in ("json", "html")] == before


def test_one_octet_altered_anywhere_is_refused_with_its_place(place: Path) -> None:
    file = place / "certificate.json"
    octets = file.read_bytes()
    for at in range(0, len(octets), 97):
        file.write_bytes(octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1 :])

        ended = verify(place)

        assert ended.code == 1, (at, octets[at - 20 : at + 20])
        assert ended.text.strip(), at
        assert "Traceback" not in ended.text


def test_a_class_that_was_granted_by_hand_is_named(place: Path) -> None:
    file = place / "certificate.json"
    certificate = json.loads(file.read_text())
    assert certificate["classes"][1]["status"] == "refused"
    certificate["classes"][1]["status"] = "granted"
    file.write_text(json.dumps(certificate, ensure_ascii=False, indent=2) + "\n")

    assert "classes.1.status: 'granted', the results say 'refused'" in verify(place).text


@pytest.mark.parametrize("name", ["results.json", "certificate.html"])
def test_other_files_of_the_certificate_are_held_against_it(place: Path, name: str) -> None:
    (place / name).write_bytes(
        (place / name).read_bytes().replace(b"mail.example", b"evil.example")
    )

    ended = verify(place)

    assert ended.code == 1
    assert name in ended.text


def keys(place: Path) -> tuple[Path, Path]:
    """A new pair, private and public, in PEM."""
    key = Ed25519PrivateKey.generate()
    private, public = place / "private.pem", place / "public.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return private, public


def test_a_signature_is_of_the_issuers_key_or_refused(place: Path) -> None:
    private, public = keys(place)
    assert "signature: there is none" in verify(place, f"--key={public}").text

    signed = here(place, "certify", "results.json", f"--product={PRODUCT}", f"--key={private}")

    assert signed.code == 0, signed.text
    assert verify(place, f"--key={public}").code == 0
    assert verify(place, f"--key={private}").code == 0
    _, other = keys(place)
    assert "of another key than --key" in verify(place, f"--key={other}").text


def test_a_signature_does_not_outlive_a_change(place: Path) -> None:
    private, _ = keys(place)
    here(place, "certify", "results.json", f"--product={PRODUCT}", f"--key={private}")
    file = place / "certificate.json"
    certificate = json.loads(file.read_text()) | {"product": "Another 1"}
    file.write_text(json.dumps(certificate, ensure_ascii=False, indent=2) + "\n")

    assert "signature.value: not the signature of this certificate" in verify(place).text


BAD = {
    "no results": (("certify", "none.json", "--product=x"), 4, "none.json: No such file"),
    "no key": (("certify", "results.json", "--product=x", "--key=none.pem"), 4, "none.pem"),
    "a key that is none": (
        ("certify", "results.json", "--product=x", "--key=results.json"),
        4,
        "openssl genpkey",
    ),
    "no certificate": (("verify", "none.json"), 1, "none.json: No such file"),
    "another JSON": (("verify", "results.json"), 1, "results.json: "),
    "no product": (("certify", "results.json"), 4, "--product"),
}


@pytest.mark.parametrize(("words", "code", "told"), BAD.values(), ids=BAD)
def test_bad_input_is_told_in_a_sentence(
    place: Path, words: tuple[str, ...], code: int, told: str
) -> None:
    ended = here(place, *words)

    assert ended.code == code
    assert told in ended.text
    assert "Traceback" not in ended.text


def test_the_page_says_that_it_is_self_issued_and_shows_text_as_text(place: Path) -> None:
    page = (place / "certificate.html").read_text()

    assert "Self-issued." in page
    assert "Example Mail 3.2 &lt;b&gt;" in page
    assert "<i>" not in page
    assert "pop3spec run mail.example:110" in page


# --- A run ---


def test_a_run_of_a_part_grants_nothing_and_its_files_have_the_published_forms(
    tmp_path: Path,
) -> None:
    ended = judge_here(
        tmp_path, "scenarios/rfc1939/greeting.yaml", "--certify=Reference 1", "--fuzz=off"
    )

    assert ended.code == 0, ended.text
    assert "nothing is granted: the run was without fuzzing" in ended.text
    assert "certificate: nothing is granted without fuzzing" in ended.text
    for name, folder in (("results", "report"), ("certificate", "certificate")):
        schema = json.loads((PACKAGE / folder / f"{name}.schema.json").read_text())
        jsonschema.validate(json.loads((tmp_path / f"reports/{name}.json").read_text()), schema)
    assert here(tmp_path, "verify", "reports/certificate.json").code == 0


def test_what_is_missing_is_named_before_the_run(tmp_path: Path) -> None:
    ended = judge_here(tmp_path, "127.0.0.1:1", "--certify=Product 1")

    assert ended.code == 4
    assert "certificate: the class rfc1939-core needs a door (--maildrop)" in ended.text


def test_a_target_that_is_gone_cannot_be_judged_again(tmp_path: Path) -> None:
    write_results(tmp_path / "results.json", results(target={"address": "127.0.0.1:1"}, options={}))
    assert here(tmp_path, "certify", "results.json", "--product=x").code == 0

    ended = judged_again(tmp_path)

    assert ended.code == 4
    assert "the target is unreachable: no connection to 127.0.0.1:1" in ended.text


def judged_again(place: Path) -> Ended:
    return apart(place, "-m", "pop3spec", "verify", "certificate.json", "--rerun")
