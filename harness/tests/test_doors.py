"""Doors: what --maildrop says, and what every door does alike."""

import os
import resource
import shlex
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pop3spec import expectations
from pop3spec.accounts import Mailbox
from pop3spec.maildrop import Door, DoorError, command, delivery
from pop3spec.maildrop.doors import open_door
from pop3spec.masking import masker_for
from pop3spec.probe import Observed
from pop3spec.runner import Judge
from pop3spec.scenario import load_scenarios
from pop3spec.target import Account, Address, Target, Transport
from pop3spec.verdict import Verdict

ONE = b"Subject: one\r\n\r\nfirst\r\n.\r\n"
TWO = b"Subject: two\r\n\r\nsecond \xe9\r\n"
FOREIGN = b"Subject: mine\n\nhello\n"

# A delivery agent: puts what it reads, with a field before it, into the Maildir it is told.
AGENT = """\
import pathlib, sys, time
maildir = pathlib.Path(sys.argv[1])
name = f"{time.time_ns()}.agent"
message = b"Delivered-To: somebody\\n" + sys.stdin.buffer.read()
(maildir / "tmp" / name).write_bytes(message)
(maildir / "tmp" / name).rename(maildir / "new" / name)
"""


@pytest.fixture(autouse=True)
def _state_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POP3SPEC_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(delivery, "ARRIVES_WITHIN", 0.2)


@pytest.fixture
def mail(tmp_path: Path) -> Path:
    for part in ("", "alice", "alice/tmp", "alice/new", "alice/cur"):
        (tmp_path / "mail" / part).mkdir()
    (tmp_path / "mail" / "alice.mbox").touch()
    return tmp_path / "mail"


# --- An LMTP server ---


@dataclass
class Listener:
    """An LMTP server that delivers into Maildirs, and refuses what it was told to refuse."""

    mail: Path
    port: int = 0
    refusals: dict[str, str] = field(default_factory=dict)
    heard: list[str] = field(default_factory=list)
    extensions: tuple[str, ...] = ("8BITMIME",)
    delivers: bool = True
    delivered: int = 0

    @property
    def spec(self) -> str:
        return f"lmtp://127.0.0.1:{self.port}"

    def deliver(self, recipient: str, message: bytes) -> None:
        self.delivered += 1
        if self.delivers:
            added = b"Return-Path: <>\r\nReceived: from localhost\r\n\tby here; today\r\n"
            path = self.mail / recipient.partition("@")[0] / "new" / f"{self.delivered}.lmtp"
            path.write_bytes((added + message).replace(b"\r\n", b"\n"))


class Lmtp(socketserver.StreamRequestHandler):
    """One session of the listener."""

    def handle(self) -> None:
        listener: Listener = self.server.listener  # type: ignore[attr-defined]  # set below
        recipient = ""
        self.say(listener.refusals.get("greeting", "220 here LMTP"))
        while line := self.rfile.readline().decode().strip():
            verb = line.split()[0].upper()
            listener.heard.append(verb + line[len(verb) :])
            if verb == "QUIT":
                self.say("221 bye")
                return
            if verb in listener.refusals:
                self.say(listener.refusals[verb])
            elif verb == "LHLO":
                self.say("\r\n".join(["250-here", *map("250-{}".format, listener.extensions)]))
                self.say("250 PIPELINING")
            elif verb == "DATA":
                self.say("354 go on")
                message = b""
                while (text := self.rfile.readline()) != b".\r\n":
                    message += text.removeprefix(b".")
                refusal = listener.refusals.get("message")
                if refusal is None:
                    listener.deliver(recipient, message)
                self.say(refusal or "250 delivered")
            else:
                recipient = line.partition("TO:<")[2].rstrip(">")
                self.say("250 fine")

    def say(self, line: str) -> None:
        self.wfile.write(line.encode() + b"\r\n")


@contextmanager
def serving(listener: Listener) -> Iterator[None]:
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Lmtp) as server:
        server.listener = listener  # type: ignore[attr-defined]  # where the handler finds it
        listener.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield
        server.shutdown()
        thread.join()


@pytest.fixture
def listener(mail: Path) -> Iterator[Listener]:
    listener = Listener(mail)
    with serving(listener):
        yield listener


def agent(mail: Path) -> str:
    program = shlex.join([sys.executable, "-c", AGENT])
    return f"command:{program} {mail}/{{user}}"


def opened(spec: str, allow_delete: bool = False) -> Door:
    door = open_door(spec, allow_delete=allow_delete)
    assert door is not None
    return door


# --- What all doors do alike ---


@dataclass(frozen=True)
class Case:
    """A door, and how a stranger's message gets into its store."""

    spec: Callable[[Path, Listener], str]
    is_mbox: bool = False

    def put_foreign(self, mail: Path) -> None:
        if self.is_mbox:
            path = mail / "alice.mbox"
            path.write_bytes(path.read_bytes() + b"From friend Thu Jan  1\n" + FOREIGN + b"\n")
        else:
            (mail / "alice" / "cur" / "1.stranger:2,S").write_bytes(FOREIGN)


CASES = {
    "maildir": Case(lambda mail, _: f"maildir:{mail}/{{user}}"),
    "mbox": Case(lambda mail, _: f"mbox:{mail}/{{user}}.mbox", is_mbox=True),
    "lmtp": Case(lambda mail, listener: f"{listener.spec}+maildir:{mail}/{{user}}"),
    "command": Case(lambda mail, _: f"{agent(mail)} +maildir:{mail}/{{user}}"),
}


@pytest.fixture(params=list(CASES.values()), ids=list(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    chosen: Case = request.param
    return chosen


def without_added(messages: list[bytes]) -> list[bytes]:
    return sorted(message[message.index(b"Subject:") :] for message in messages)


def test_a_filling_is_the_whole_content(case: Case, mail: Path, listener: Listener) -> None:
    door = opened(case.spec(mail, listener))
    door.fill("alice", [ONE, ONE])

    door.fill("alice", [ONE, TWO])
    door.add("alice", TWO)

    assert without_added(door.contents("alice")) == [ONE, TWO, TWO]
    assert door.adds_headers or door.contents("alice").count(TWO) == 2


def test_an_empty_filling_empties_and_cleaning_twice_does_no_harm(
    case: Case, mail: Path, listener: Listener
) -> None:
    door = opened(case.spec(mail, listener))
    door.fill("alice", [ONE])

    door.fill("alice", [])

    assert door.contents("alice") == []
    door.clear("alice")
    door.clear("alice")
    assert door.contents("alice") == []


def test_a_message_that_begins_with_the_blank_line_is_known_again(
    case: Case, mail: Path, listener: Listener
) -> None:
    door = opened(case.spec(mail, listener))

    door.fill("alice", [b"\r\nbody\r\n"])

    opened(case.spec(mail, listener)).clear("alice")
    assert door.contents("alice") == []


def test_foreign_mail_stays(case: Case, mail: Path, listener: Listener) -> None:
    door = opened(case.spec(mail, listener))
    door.fill("alice", [ONE])
    case.put_foreign(mail)

    with pytest.raises(DoorError, match="holds 1 messages that the suite did not deliver"):
        door.fill("alice", [TWO])

    assert len(door.contents("alice")) == 2
    door.clear("alice")
    assert door.contents("alice") == [b"Subject: mine\r\n\r\nhello\r\n"]


def test_foreign_mail_goes_where_that_is_permitted(
    case: Case, mail: Path, listener: Listener
) -> None:
    door = opened(case.spec(mail, listener), allow_delete=True)
    case.put_foreign(mail)

    door.fill("alice", [ONE])

    assert without_added(door.contents("alice")) == [ONE]


def test_another_run_knows_what_a_run_left_that_died(
    case: Case, mail: Path, listener: Listener
) -> None:
    opened(case.spec(mail, listener)).fill("alice", [ONE, TWO])

    opened(case.spec(mail, listener)).clear("alice")

    assert opened(case.spec(mail, listener)).contents("alice") == []


def test_a_place_that_is_not_there_is_told_before_anything_is_delivered(
    case: Case, mail: Path, listener: Listener
) -> None:
    spec = case.spec(mail, listener)
    kind = "mbox" if case.is_mbox else "maildir"
    head, _, _ = spec.rpartition(f"{kind}:")

    with pytest.raises(DoorError, match="is no directory; create it, or correct --maildrop"):
        opened(f"{head}{kind}:{mail}/missing/{{user}}").fill("alice", [ONE])

    assert listener.delivered == 0
    assert not (mail / "missing").exists()


@pytest.fixture
def _without_rights(mail: Path) -> Iterator[None]:
    mail.chmod(0)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    yield
    if is_root:
        os.seteuid(0)
    mail.chmod(0o700)


@pytest.mark.usefixtures("_without_rights")
@pytest.mark.parametrize("act", ["fill", "add", "clear", "contents"])
def test_a_place_that_we_may_not_enter_is_a_door_error(
    case: Case, mail: Path, listener: Listener, act: str
) -> None:
    door = opened(case.spec(mail, listener))
    arguments = {"fill": ([ONE],), "add": (ONE,), "clear": (), "contents": ()}[act]

    with pytest.raises(DoorError) as caught:
        getattr(door, act)("alice", *arguments)

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["lmtp", "command"])
@pytest.mark.parametrize(
    "message",
    [
        b"Subject: x\r\n\r\nno end",
        b"Subject: x\r\n\r\na\rb\r\n",
        b"Subject: x\r\n\r\na\nb\r\n",
        b"Subject: x\r\n\r\n\0\r\n",
        b"Subject: x\r\n\r\n" + b"x" * 999 + b"\r\n",
        b"no header\r\n\r\nbody\r\n",
        b"Return-Path: <a@b>\r\nSubject: x\r\n\r\nbody\r\n",
        b"",
    ],
    ids=["no-line-end", "cr", "lf", "nul", "long", "no-header", "return-path", "nothing"],
)
def test_a_delivery_refuses_what_it_would_change(
    mail: Path, listener: Listener, kind: str, message: bytes
) -> None:
    door = opened(CASES[kind].spec(mail, listener))

    assert door.refuses(message).startswith("a delivery does not keep ")
    assert door.refuses(b"Subject: x\r\n\r\n" + b"x" * 998 + b"\r\n") == ""
    assert door.refuses(b"\r\nbody\r\n") == ""


def test_a_delivery_into_an_mbox_refuses_what_the_mbox_changes(mail: Path) -> None:
    door = opened(f"command:deliver {{user}}+mbox:{mail}/{{user}}")

    assert "'From '" in door.refuses(b"Subject: x\r\n\r\nFrom here\r\n")


# --- Maildirs ---


def test_a_missing_maildir_is_made_where_its_place_is_there(mail: Path) -> None:
    opened(f"maildir:{mail}/{{user}}").fill("bob", [ONE])

    assert sorted(path.name for path in (mail / "bob").iterdir()) == ["cur", "new", "tmp"]
    [path] = (mail / "bob" / "new").iterdir()
    assert path.read_bytes() == ONE.replace(b"\r\n", b"\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root delivers for others")
def test_what_root_delivers_belongs_to_the_owner_of_the_maildir(mail: Path) -> None:
    os.chown(mail / "alice", 20001, 8)

    opened(f"maildir:{mail}/{{user}}").fill("alice", [ONE])

    [path] = (mail / "alice" / "new").iterdir()
    assert (path.stat().st_uid, path.stat().st_gid) == (20001, 8)


@pytest.mark.parametrize("user", ["", "..", "a/b"])
def test_a_user_name_that_leads_elsewhere_is_refused(mail: Path, user: str) -> None:
    with pytest.raises(DoorError, match="is no name of a directory"):
        opened(f"maildir:{mail}/{{user}}").fill(user, [ONE])


@pytest.fixture
def _small_files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("_small_files")
def test_where_the_disk_is_full_no_part_of_a_filling_stays(mail: Path) -> None:
    with pytest.raises(DoorError, match="no delivery: File too large"):
        opened(f"maildir:{mail}/{{user}}").fill("alice", [ONE, b"Subject: x\r\n" * 10_000])

    assert [path for path in (mail / "alice").rglob("*") if path.is_file()] == []


# --- LMTP ---


def test_lmtp_hands_over_from_the_empty_address_to_the_bare_user(
    mail: Path, listener: Listener
) -> None:
    opened(CASES["lmtp"].spec(mail, listener)).fill("alice", [ONE, TWO])

    assert listener.heard == [
        "LHLO localhost",
        "MAIL FROM:<>",
        "RCPT TO:<alice>",
        "DATA",
        "MAIL FROM:<> BODY=8BITMIME",
        "RCPT TO:<alice>",
        "DATA",
        "QUIT",
    ]


def test_lmtp_adds_the_domain_that_it_was_given(mail: Path, listener: Listener) -> None:
    opened(f"{listener.spec}?domain=example.org+maildir:{mail}/{{user}}").fill("alice", [ONE])

    assert "RCPT TO:<alice@example.org>" in listener.heard


@pytest.mark.parametrize(
    "refusals, problem",
    [
        ({"greeting": "421 busy"}, "refuses the connection: 421 busy"),
        ({"LHLO": "500 what?"}, "refuses LHLO: 500 what?"),
        ({"MAIL": "451 later"}, "refuses MAIL: 451 later"),
        (
            {"RCPT": "550 5.1.1 <alice> unknown"},
            "refuses the recipient alice: 550 5.1.1 <alice> unknown; a domain is added with",
        ),
        ({"DATA": "554 no"}, "refuses DATA: 554 no"),
        ({"message": "552-5.2.2 \x1b[2J\r\n552 full"}, "refuses the message: 552 5.2.2 ?[2J full"),
    ],
    ids=["greeting", "lhlo", "mail", "recipient", "data", "mailbox-full"],
)
def test_an_lmtp_refusal_is_told_in_one_sentence_and_leaves_nothing(
    mail: Path, listener: Listener, refusals: dict[str, str], problem: str
) -> None:
    listener.refusals = refusals
    door = opened(CASES["lmtp"].spec(mail, listener))

    with pytest.raises(DoorError) as caught:
        door.fill("alice", [ONE])

    assert problem in str(caught.value)
    assert str(caught.value).isprintable()
    assert door.contents("alice") == []


def test_a_filling_that_is_refused_half_way_is_removed(mail: Path, listener: Listener) -> None:
    listener.extensions = ()
    door = opened(CASES["lmtp"].spec(mail, listener))

    with pytest.raises(DoorError, match="takes no messages with octets above 127"):
        door.fill("alice", [ONE, TWO])

    assert listener.delivered == 1
    assert door.contents("alice") == []


def test_mail_that_never_arrives_is_waited_for_until_the_deadline(
    mail: Path, listener: Listener
) -> None:
    listener.delivers = False
    door = opened(CASES["lmtp"].spec(mail, listener))

    with pytest.raises(DoorError, match=r"took 2 messages for alice, but 2 did not arrive in mai"):
        door.fill("alice", [ONE, TWO])


def test_an_lmtp_server_that_is_not_there_is_a_door_error(mail: Path, listener: Listener) -> None:
    listener.port = 1

    with pytest.raises(DoorError, match=r"^lmtp://127\.0\.0\.1:1: Connection refused$"):
        opened(CASES["lmtp"].spec(mail, listener)).fill("alice", [ONE])


# --- Commands ---


def refusing(mail: Path, words: str) -> Door:
    program = shlex.join([sys.executable, "-c", words])
    return opened(f"command:{program} {{user}} +maildir:{mail}/{{user}}")


@pytest.mark.parametrize(
    "words, problem",
    [
        ("import sys; sys.exit('over quota\\nsecond line')", "with exit code 1: over quota"),
        ("import sys; sys.exit('\\x1b[2J\\xff')", r"with exit code 1: \?\[2J."),
        ("raise SystemExit(75)", "with exit code 75: no words"),
        ("import os; os.kill(os.getpid(), 9)", "with signal 9: no words"),
    ],
    ids=["words", "control-characters", "silent", "killed"],
)
def test_a_command_that_fails_refuses_the_message(mail: Path, words: str, problem: str) -> None:
    with pytest.raises(DoorError, match=problem + "$"):
        refusing(mail, words).fill("alice", [ONE])

    assert list((mail / "alice" / "new").iterdir()) == []


def test_a_command_that_is_not_there_is_a_door_error(mail: Path) -> None:
    with pytest.raises(DoorError, match="cannot be run: No such file or directory"):
        opened(f"command:/no/such/program {{user}}+maildir:{mail}/{{user}}").fill("alice", [ONE])


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] not in "XZ"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_command_that_never_ends_is_ended_with_its_children(
    mail: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "DONE_WITHIN", 0.3)
    child = mail / "child"
    words = (
        "import subprocess, pathlib, sys;"
        "child = subprocess.Popen(['sleep', '60']);"
        f"pathlib.Path({str(child)!r}).write_text(str(child.pid));"
        "child.wait()"
    )

    with pytest.raises(DoorError, match="did not end within"):
        refusing(mail, words).fill("alice", [ONE])

    deadline = time.monotonic() + 5
    while is_running(int(child.read_text())) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_running(int(child.read_text()))


def test_a_command_sees_its_words_and_no_shell_does(mail: Path) -> None:
    words = "import sys; sys.exit(repr(sys.argv[1:]))"
    program = shlex.join([sys.executable, "-c", words])
    door = opened(f"command:{program} '$HOME; x' {{user}}@x +maildir:{mail}/{{user}}")

    with pytest.raises(DoorError) as caught:
        door.fill("alice", [ONE])

    assert str(caught.value).endswith("['$HOME; x', 'alice@x']")


def test_a_command_does_not_see_the_passwords(mail: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POP3SPEC_ACCOUNT", "alice:secret")
    words = "import os, sys; sys.exit(os.environ.get('POP3SPEC_ACCOUNT', 'not seen'))"

    with pytest.raises(DoorError, match=r": not seen$"):
        refusing(mail, words).fill("alice", [ONE])


# --- What the runner makes of it ---


@pytest.mark.parametrize(
    "got, kept",
    [
        (b"A: 1|B: 2||body", b"A: 1|B: 2||body"),
        (b"Return-Path: <>|Received: by x|\tfor y|A: 1|B: 2||body", b"A: 1|B: 2||body"),
        (b"A: 1|B: 2|Status: RO|X-UID: 1||body", b"A: 1|B: 2||body"),
        (b"B: 2|A: 1||body", b"A: 1||body"),
        (b"A: 1||B: 2|body", b"A: 1||B: 2|body"),
        (b"A: 1|junk|B: 2||body", b"A: 1|junk|B: 2||body"),
        (b"A: 1|B: 2||Status: RO|body", b"A: 1|B: 2||Status: RO|body"),
    ],
    ids=["same", "before", "behind", "order", "blank-line", "no-field", "body"],
)
def test_only_whole_header_fields_count_as_added(got: bytes, kept: bytes) -> None:
    wanted = b"A: 1|B: 2||body".split(b"|")

    assert expectations.without_added(wanted, got.split(b"|")) == kept.split(b"|")


def test_a_message_that_the_door_cannot_carry_blocks_its_scenario(mail: Path) -> None:
    clone = Path(__file__).resolve().parents[2]
    file = load_scenarios(clone / "scenarios" / "rfc1939" / "retr.yaml", None)
    [scenario] = [each for each in file.scenarios if each.id == "from-line"]
    account = Account("alice", "secret")
    target = Target(Address("127.0.0.1", 1), (account,))
    door = opened(f"mbox:{mail}/{{user}}.mbox")
    judge = Judge(target, Observed(), door, masker_for(target.accounts))

    outcome = judge.why_not(scenario, Transport.PLAIN, Mailbox(account))

    assert outcome is not None
    assert outcome.verdict is Verdict.BLOCKED
    assert "a line that begins with 'From '" in outcome.detail


# --- What --maildrop says ---


@pytest.mark.parametrize("spec", ["", "none"])
def test_none_is_no_door(spec: str) -> None:
    assert open_door(spec) is None


@pytest.mark.parametrize(
    "spec",
    [
        "maildir:/mail/{user}",
        "mbox:/mail/{user}+maildir:odd",
        "lmtp://127.0.0.1:24",
        "lmtp://[::1]:24?domain=example.org+mbox:/mail/{user}",
        "lmtp:///run/lmtp+maildir:/mail/{user}/Maildir",
        "command:deliver -d {user}",
        "command:deliver -d {user}+maildir:box+maildir:/mail/{user}",
    ],
)
def test_a_door_is_named_as_it_was_asked_for(spec: str) -> None:
    assert opened(spec).name == spec


@pytest.mark.parametrize(
    "spec, problem",
    [
        ("imap4://x:1", "unknown door; write maildir:PATH/{user}, mbox:PATH/{user}, imap://"),
        ("/var/mail", "unknown door"),
        ("maildir:/var/mail", "the path of maildir: needs a {user} in it"),
        ("lmtp://x:1+mbox:/var/mail", "the path of mbox: needs a {user} in it"),
        ("lmtp://x", "'x' is not an address; write host:port"),
        ("lmtp:x:1", "cannot be read; write lmtp://host:port?domain=NAME"),
        ("lmtp://x:1?domian=y", "cannot be read; write lmtp://host:port?domain=NAME"),
        ("command:deliver", "the command needs a {user} in it"),
        ("command:", "the command needs a {user} in it"),
        ("command:'deliver {user}", "cannot be split into words: No closing quotation"),
    ],
)
def test_a_specification_that_cannot_be_is_told_with_the_mend(spec: str, problem: str) -> None:
    with pytest.raises(DoorError) as caught:
        open_door(spec)

    assert str(caught.value).startswith(f"--maildrop={spec}: ")
    assert problem in str(caught.value)


@pytest.mark.parametrize("kind", ["lmtp", "command"])
def test_a_delivery_that_cannot_be_undone_is_not_made(
    mail: Path, listener: Listener, kind: str
) -> None:
    spec = listener.spec if kind == "lmtp" else agent(mail)
    door = opened(spec)

    with pytest.raises(DoorError, match="cannot remove what it delivered; name the place"):
        door.fill("alice", [ONE])
    with pytest.raises(DoorError, match="cannot remove what it delivered"):
        door.add("alice", ONE)

    door.clear("alice")
    assert listener.delivered == 0
    assert list((mail / "alice" / "new").iterdir()) == []
