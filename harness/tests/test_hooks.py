"""Hooks: a command of the owner's runs to its end, or one sentence says why it did not."""

import sys
from pathlib import Path

import pytest

from pop3spec.hooks import HookError, run_hook
from pop3spec.target import TargetError, load_profile


def test_a_hook_runs_as_it_stands_and_sees_no_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POP3SPEC_ACCOUNT", "alice:wonderland")
    program = "import os, sys; open(sys.argv[1], 'w').write(os.environ.get('POP3SPEC_ACCOUNT', ''))"

    run_hook("restart", [sys.executable, "-c", program, str(tmp_path / "a b $HOME")])

    assert (tmp_path / "a b $HOME").read_text() == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["/nonexistent/restart"], "the hook 'restart' cannot be run: No such file or directory"),
        (
            ["sh", "-c", "echo no such service >&2; exit 3"],
            "the hook 'restart' ended with exit code 3: no such service",
        ),
        (["sh", "-c", "kill -9 $$"], "the hook 'restart' ended with signal 9: no words"),
        (["sleep", "60"], "the hook 'restart' did not end within 0.3 s"),
    ],
)
def test_a_hook_that_fails_is_one_sentence(words: list[str], said: str) -> None:
    with pytest.raises(HookError) as error:
        run_hook("restart", words, done_within=0.3)

    assert str(error.value) == said


def test_what_a_hook_leaves_behind_does_not_keep_it_from_ending() -> None:
    run_hook("restart", ["sh", "-c", "sleep 3 & exit 0"], done_within=2.0)


def test_a_profile_names_a_hook_in_words_of_a_shell(tmp_path: Path) -> None:
    profile = tmp_path / "profile.yaml"
    profile.write_text("hooks: {restart: \"systemctl restart 'my server'\"}\n")

    assert load_profile(profile).hooks.restart == ("systemctl", "restart", "my server")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('hooks: {restart: "sh -c \'exit"}\n', "No closing quotation"),
        ('hooks: {restart: ""}\n', "the command is missing"),
        ("hooks: {reboot: now}\n", "unknown key 'reboot'"),
    ],
)
def test_a_hook_that_cannot_be_read_is_told_with_its_place(
    tmp_path: Path, text: str, problem: str
) -> None:
    profile = tmp_path / "profile.yaml"
    profile.write_text(text)

    with pytest.raises(TargetError, match=problem) as error:
        load_profile(profile)

    assert f"{profile}:1:" in str(error.value)
