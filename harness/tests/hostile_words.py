"""A server that says what terminals, markup and CI systems would take for something else."""

from pathlib import Path

from scripted import Line, close

# Escape sequences for terminals, as octets of C0, of C1 and in UTF-8; an overwritten line.
TERMINAL = b"\x1b[2J\x1b]0;pwned\x07\x9b31m\xc2\x9b31m\rgone\x08\x7f"
# Right to left, a zero-width space, a soft hyphen, what XML does not permit, what is no UTF-8.
UNICODE = "\u202etxt.exe\u2066\u200b\u00ad\ufeff\ufffe\uffff".encode() + b"\xed\xa0\x80\xff\x00"
MARKUP = b"<script>alert(1)</script><img src=x onerror=alert(1)>]]>&lt;&#0;<!--"
MARKDOWN = b"| `x` ``` @octocat #1 [x](https://e.example) **b** www.e.example a@e.example"
TEMPLATES = b"{{7*7}} {% raw %} ${7*7} <%= 7*7 %> %s %(x)s"
RUNNERS = b"PASSED ===== 3 passed in 0.1s ===== ok 1 - fine ##[error]pwned"
# What CI systems execute at the start of a line, blanks aside, or anywhere.
COMMANDS = (
    b"::error::pwned",
    b"  ::set-output name=x::pwned",
    b"##teamcity[testFailed name='x']",
    b"##vso[task.setvariable variable=x]pwned",
    b"section_start:1:pwned\r\x1b[0K",
    b"===== 3 passed in 0.1s =====",
)
EVERYTHING = b" ".join((MARKUP, MARKDOWN, TERMINAL, UNICODE, TEMPLATES, RUNNERS, *COMMANDS))
LINES = (EVERYTHING, TERMINAL, UNICODE, MARKUP, MARKDOWN, TEMPLATES, RUNNERS, *COMMANDS)
# What can be read of it in every report: nothing is left out in silence.
SEEN = ("pwned", "alert(1)", "octocat", "{{7*7}}", "##")

MAIL = b"".join(line + b"\r\n" for line in (b"Subject: " + EVERYTHING, b"", *LINES))
LISTING = b"".join(line + b"\r\n" for line in (*LINES, b"USER", b"UIDL", b"TOP"))


def hostile(line: Line) -> None:
    """Serve one session: alice may log in, and hears all of it; nobody else may."""
    user = b""
    line.say(b"+OK " + EVERYTHING + b"\r\n")
    while command := line.hear().strip():
        keyword, _, argument = command.partition(b" ")
        match keyword.upper():
            case b"USER":
                user = argument
                line.say(b"+OK " + EVERYTHING + b"\r\n")
            case b"PASS" if user == b"alice":
                line.say(b"+OK " + EVERYTHING + b"\r\n")
            case b"CAPA":
                line.say(b"+OK " + EVERYTHING + b"\r\n" + LISTING + b".\r\n")
            case b"STAT":
                line.say(b"+OK 1 %d %s\r\n" % (len(MAIL), EVERYTHING))
            case b"LIST":
                line.say(b"+OK\r\n1 %d\r\n%s.\r\n" % (len(MAIL), LISTING))
            case b"UIDL":
                line.say(b"+OK\r\n1 " + EVERYTHING + b"\r\n" + LISTING + b".\r\n")
            case b"RETR" | b"TOP":
                line.say(b"+OK " + EVERYTHING + b"\r\n" + MAIL + b".\r\n")
            case b"QUIT":
                line.say(b"+OK " + EVERYTHING + b"\r\n")
                close(line)
                return
            case _:
                line.say(b"-ERR " + EVERYTHING + b"\r\n")


SCENARIOS = """\
about: a test
scenarios:
  - id: refused
    title: NOOP is accepted before the login, says this scenario
    rules: [rfc1939-3-wrong-state]
    state: AUTHORIZATION
    steps:
      - send: NOOP
        expect: +OK
  - id: mail
    title: The mail is read
    rules: [rfc1939-5-retr]
    state: TRANSACTION
    steps:
      - send: RETR 1
        expect: {status: +OK, contains-lines: "never said"}
  - id: listings
    title: The listings are read
    rules: [rfc1939-7-uidl-unique-id-listing]
    state: TRANSACTION
    steps:
      - send: STAT
      - send: LIST
      - send: UIDL
        expect: {status: +OK, text: "never said"}
  - id: capabilities
    title: The capabilities are read
    rules: [rfc2449-5-capability-line]
    state: AUTHORIZATION
    steps:
      - send: CAPA
        expect: {status: +OK, lines: "never said"}
  - id: unknown
    title: What is offered by nobody is not applicable
    rules: [rfc1939-5-noop]
    requires: [NEVER-SAID]
    state: TRANSACTION
    steps:
      - send: NOOP
  - id: filled
    title: What needs a door is blocked
    rules: [rfc1939-5-noop]
    state: TRANSACTION
    maildrop: [plain-text]
    steps:
      - send: NOOP
"""
ACCOUNTS = "alice:correct-horse-9\nmallory:battery-staple-8"


def written(directory: Path) -> Path:
    """The scenarios, as a file in a directory."""
    path = directory / "hostile.yaml"
    path.write_text(SCENARIOS)
    return path
