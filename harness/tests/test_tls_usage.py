"""Bad usage of TLS: one sentence with the mend; and runs on each transport."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from command import Ended, judge_here

from pop3spec.embedded import Embedded, start_embedded
from pop3spec.reference.certificates import authority

SCENARIO = """\
about: a test
scenarios:
  - id: stat
    title: STAT is refused before the login
    rules: [rfc1939-3-wrong-state]
    state: AUTHORIZATION
    steps:
      - send: STAT
        expect: -ERR
  - id: in-tls
    title: The same on the port with implicit TLS
    rules: [rfc1939-3-wrong-state]
    transport: tls
    state: AUTHORIZATION
    steps:
      - send: STAT
        expect: -ERR
"""
PROFILE = "timeouts: {connect: 1s, login: 1s, reply: 1s}\n"


@pytest.fixture
def one(tmp_path: Path) -> Path:
    """A directory with two small scenarios, a profile, and files of certificates."""
    (tmp_path / "one.yaml").write_text(SCENARIO)
    (tmp_path / "profile.yaml").write_text(PROFILE)
    (tmp_path / "ca.pem").write_bytes(authority().pem)
    mine = authority().client("alice")
    (tmp_path / "chain.pem").write_bytes(mine.chain)
    (tmp_path / "key.pem").write_bytes(mine.key)
    (tmp_path / "other.pem").write_bytes(authority().client("bob").key)
    return tmp_path


@pytest.fixture
def serve() -> Iterator[Callable[[str], Embedded]]:
    """Starts reference servers with a certificate of some kind."""
    started: list[Embedded] = []

    def start(certificate: str = "good") -> Embedded:
        started.append(start_embedded(certificate=certificate))
        return started[-1]

    yield start
    for each in started:
        each.close()


def assert_one_sentence(ended: Ended, *words: str) -> None:
    assert ended.code == 4, ended.text
    assert "Traceback" not in ended.text
    [sentence] = ended.sentences
    assert not [word for word in words if word not in sentence], sentence


BAD_CERTIFICATES: Sequence[tuple[str, str, str]] = (
    ("expired", "has expired", "renew it"),
    ("early", "is not valid yet", "correct the clocks"),
    ("misnamed", "is for another name", "--tls-name=NAME"),
    ("self-signed", "is self-signed", "--ca=FILE"),
    ("foreign", "has no issuer that is trusted", "--ca=FILE"),
)


@pytest.mark.parametrize(("kind", "fault", "mend"), BAD_CERTIFICATES)
def test_a_certificate_that_does_not_verify_is_told_with_its_fault_and_the_mend(
    one: Path, serve: Callable[[str], Embedded], kind: str, fault: str, mend: str
) -> None:
    target = serve(kind).target

    ended = judge_here(one, f"pop3s://{target.tls_address}", "one.yaml", "--ca=ca.pem")

    words = (f"the certificate of {target.tls_address} {fault}", mend, "--insecure")
    assert_one_sentence(ended, *words)


@pytest.mark.parametrize("mend", ["--insecure", "--tls-name=elsewhere.invalid"])
def test_the_mend_for_a_wrong_name_works(
    one: Path, serve: Callable[[str], Embedded], mend: str
) -> None:
    place = f"pop3s://{serve('misnamed').target.tls_address}"

    ended = judge_here(one, place, "one.yaml", "--ca=ca.pem", mend)

    assert ended.code == 0, ended.text
    assert "2 passed" in ended.text


def test_without_the_authority_the_good_certificate_is_not_trusted(
    one: Path, serve: Callable[[str], Embedded]
) -> None:
    ended = judge_here(one, f"pop3s://{serve('good').target.tls_address}", "one.yaml")

    assert_one_sentence(ended, "comes from a self-signed authority", "--ca=FILE")


def test_a_certificate_that_does_not_verify_blocks_its_layer_alone(
    one: Path, serve: Callable[[str], Embedded]
) -> None:
    target = serve("expired").target
    places = (f"--target={target.address}", f"--tls-target={target.tls_address}", "--ca=ca.pem")

    ended = judge_here(one, *places, "one.yaml", "-rs")

    assert ended.code == 0, ended.text
    assert "1 passed, 1 skipped" in ended.text
    assert "has expired" in ended.text


def test_a_port_for_tls_that_speaks_in_the_clear_is_told(
    one: Path, serve: Callable[[str], Embedded]
) -> None:
    plain = serve("good").target.address

    ended = judge_here(one, f"pop3s://{plain}", "one.yaml", "--insecure")

    assert_one_sentence(ended, f"no TLS with {plain}", f"--target={plain}")


def test_a_port_in_the_clear_that_speaks_tls_is_told(
    one: Path, serve: Callable[[str], Embedded]
) -> None:
    port = serve("good").target.tls_address

    ended = judge_here(one, str(port), "one.yaml", "--target-profile=profile.yaml")

    assert_one_sentence(ended, f"{port} speaks TLS from the start", f"--tls-target={port}")


BAD_FILES: Sequence[tuple[tuple[str, ...], tuple[str, ...]]] = (
    (("--client-cert=chain.pem",), ("--client-cert=chain.pem", "--client-key=FILE")),
    (("--client-key=key.pem",), ("--client-key", "name --client-cert too")),
    (("--client-cert=chain.pem", "--client-key=other.pem"), ("--client-key=other.pem",)),
    (("--ca=key.pem",), ("--ca=key.pem: not a readable file of PEM certificates",)),
)


@pytest.mark.parametrize(("options", "words"), BAD_FILES)
def test_files_that_do_not_fit_are_told(
    one: Path, options: Sequence[str], words: Sequence[str]
) -> None:
    ended = judge_here(one, "--target=127.0.0.1:1", "one.yaml", *options)

    assert_one_sentence(ended, *words)


def test_a_name_that_no_server_can_have_is_told(
    one: Path, serve: Callable[[str], Embedded]
) -> None:
    place = f"pop3s://{serve('good').target.tls_address}"

    ended = judge_here(one, place, "one.yaml", "--ca=ca.pem", "--tls-name=.example")

    assert_one_sentence(ended, "--tls-name=.example")


def test_the_embedded_server_runs_everything_on_each_transport(one: Path) -> None:
    ended = judge_here(one, "one.yaml", "--transport=plain,stls,tls")

    assert ended.code == 0, ended.text
    results = json.loads((one / "reports/results.json").read_text())
    verdicts = {each["id"].partition("::")[2]: each["verdict"] for each in results["scenarios"]}
    layers = ("plain", "stls", "tls")
    assert {f"stat[{layer}]": "pass" for layer in layers}.items() <= verdicts.items()
