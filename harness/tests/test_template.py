"""Tests of templates: places to fill in, in what is sent and in what is expected."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pop3spec.template import fill, match_text, template

VALUES = {"user": b"alice", "password": b"s{e}cret", "unique-id": b"a.*b"}


@pytest.mark.parametrize(
    "text, octets",
    [
        ("", b""),
        ("STAT", b"STAT"),
        ("USER {user}", b"USER alice"),
        ("{user}{user}", b"alicealice"),
        ("PASS {password}", b"PASS s{e}cret"),
        ("a {{user}} b", b"a {user} b"),
        ("{{{user}}}", b"{alice}"),
        ("{b64:user}", b"dXNlcg=="),
        ("{b64:}", b""),
        ("AUTH PLAIN {b64:\0{user}\0{password}}", b"AUTH PLAIN AGFsaWNlAHN7ZX1jcmV0"),
        ("{b64:{user}}}}", b"YWxpY2U=}"),
        ("{b64:{{}", b"ew=="),
    ],
)
def test_each_place_is_filled_in(text: str, octets: bytes) -> None:
    assert fill(template(text), VALUES) == octets


def test_octets_are_latin_1_where_that_is_asked_for() -> None:
    assert fill(template("é{b64:é}", "latin-1"), {}) == b"\xe96Q=="


@pytest.mark.parametrize(
    "text, problem",
    [
        ("{", "a lone '{': write {name}, or '{{' for a brace"),
        ("}", "a lone '}': write {name}, or '}}' for a brace"),
        ("{User}", "a lone '{'"),
        ("{}", "a lone '{'"),
        ("{b64:x", "'{b64:' has no end"),
        ("{b64:{b64:x}}", "a lone '{b64:'"),
    ],
)
def test_a_brace_that_means_nothing_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError) as caught:
        template(text)

    assert str(caught.value).startswith(problem)


def test_a_name_without_a_value_is_an_error() -> None:
    with pytest.raises(KeyError):
        fill(template("{b64:{nobody}}"), VALUES)


@given(st.text())
def test_any_text_with_doubled_braces_means_itself(text: str) -> None:
    doubled = text.replace("{", "{{").replace("}", "}}")

    assert fill(template(doubled), {}) == text.encode()


@pytest.mark.parametrize(
    "pattern, text, save, captured",
    [
        ("ready", b"ready", (), {}),
        ("ready", b"ready ", (), None),
        ("1 {id}", b"1 x.y", ("id",), {"id": b"x.y"}),
        ("1 {id}", b"1 x y", ("id",), None),
        ("1 {id}", b"1 ", ("id",), None),
        ("{id} and {id}", b"a and a", ("id",), {"id": b"a"}),
        ("{id} and {id}", b"a and b", ("id",), None),
        ("{a}/{b}", b"1/2", ("a", "b"), {"a": b"1", "b": b"2"}),
        ("1 {unique-id}", b"1 a.*b", (), {}),
        ("1 {unique-id}", b"1 a.xb", (), None),
        ("{user} {id}", b"alice 7", ("id",), {"id": b"7"}),
    ],
)
def test_a_text_matches_as_a_whole(
    pattern: str, text: bytes, save: tuple[str, ...], captured: dict[str, bytes] | None
) -> None:
    assert match_text(template(pattern), text, VALUES, save) == captured
