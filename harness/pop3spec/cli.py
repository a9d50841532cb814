"""The pop3spec command, and what each of its words does."""

import argparse
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from pop3spec import __version__

USAGE = 4


class UsageError(Exception):
    """What was typed cannot be done; the message says the mend."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is the one that interface and pytest share."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["run"]:
        return run(given[1:])
    parser = _parser()
    options = parser.parse_args(given)
    try:
        command: Callable[[argparse.Namespace], int] = options.command
        return command(options)
    except UsageError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return USAGE
    except BrokenPipeError:
        return 0


class _Parser(argparse.ArgumentParser):
    """Bad usage has the exit code 4, as everywhere in pop3spec."""

    def error(self, message: str) -> "None":  # type: ignore[override]  # it exits
        """One sentence, then the end."""
        self.exit(USAGE, f"ERROR: {self.prog}: {message}; see {self.prog} --help\n")


_LEVEL_HELP = "the levels that fail a run, as for run (default: must)"


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="pop3spec", description="Conformance of POP3 servers.")
    parser.add_argument("--version", action="version", version=f"pop3spec {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    commands.add_parser(
        "run",
        add_help=False,
        help="judge a server: run [HOST:PORT] [PATH ...] [options as for pytest]",
    )
    rules = commands.add_parser("rules", help="the register of rules, and of what is excluded")
    rules.add_argument(
        "id", nargs="?", metavar="RULE", help="this rule whole: the reason, the mend, what tests it"
    )
    rules.add_argument("--json", action="store_true", help="as JSON")
    rules.add_argument("--rfc", metavar="NAME", help="only of this RFC, or of practice or robust")
    rules.add_argument("--level", choices=("must", "should", "may"), help="only of this level")
    rules.add_argument(
        "--proof", choices=("proven", "unproven"), help="only rules that faults prove, or do not"
    )
    rules.set_defaults(command=show_rules)
    validate = commands.add_parser("validate", help="check scenario files and target profiles")
    validate.add_argument("files", nargs="+", metavar="FILE", help="a file or a directory")
    validate.set_defaults(command=validate_files)
    diff = commands.add_parser("diff", help="what changed between two results.json")
    diff.add_argument("old", type=Path, metavar="OLD", help="the earlier results.json")
    diff.add_argument("new", type=Path, metavar="NEW", help="the later one")
    diff.add_argument("--format", choices=("terminal", "markdown"), default="terminal")
    diff.add_argument("--level", choices=("must", "should"), default="must", help=_LEVEL_HELP)
    diff.set_defaults(command=show_changes)
    accept = commands.add_parser(
        "accept", help="record what fails in a results.json as known deviations of a profile"
    )
    accept.add_argument("results", type=Path, metavar="RESULTS", help="a results.json")
    accept.add_argument(
        "--target-profile",
        type=Path,
        metavar="FILE",
        required=True,
        help="the profile that gets the records; it is made where there is none",
    )
    accept.add_argument("--level", choices=("must", "should"), default="must", help=_LEVEL_HELP)
    accept.set_defaults(command=accept_failures)
    serve = commands.add_parser("serve", help="the embedded reference server")
    serve.add_argument("--host", default="127.0.0.1", help="where to listen")
    serve.add_argument("--port", type=int, default=1110, help="where to listen (default: 1110)")
    serve.add_argument(
        "--tls-port",
        type=int,
        metavar="PORT",
        help="where TLS comes first (default: 1995; any free one with --port=0)",
    )
    serve.add_argument(
        "--account",
        action="append",
        metavar="USER:PASSWORD",
        help="repeatable (default: alice:wonderland)",
    )
    serve.add_argument("--maildir", type=Path, metavar="DIR", help="a Maildir for each user in it")
    serve.add_argument(
        "--failed-login-delay", type=float, default=0.0, metavar="SECONDS", help="as servers do"
    )
    serve.add_argument(
        "--cleartext",
        choices=("permitted", "refused"),
        default="permitted",
        help="passwords without TLS",
    )
    serve.add_argument(
        "--certificate",
        choices=("good", "expired", "early", "misnamed", "self-signed", "foreign"),
        default="good",
        help="the certificate to show, made at the start",
    )
    serve.add_argument("--fault", action="append", default=[], metavar="NAME", help="repeatable")
    serve.add_argument("--list-faults", action="store_true", help="the faults, and what they break")
    serve.set_defaults(command=serve_reference)
    report = commands.add_parser("report", help="the page for a person, from a results.json")
    report.add_argument("results", type=Path, metavar="RESULTS", help="a results.json")
    report.add_argument(
        "--output", type=Path, metavar="FILE", help="default: index.html beside RESULTS"
    )
    report.set_defaults(command=write_report)
    certify = commands.add_parser("certify", help="a certificate, from a results.json")
    certify.add_argument("results", type=Path, metavar="RESULTS", help="a results.json")
    certify.add_argument(
        "--product", required=True, metavar="NAME", help="what is certified: 'Product 3.2'"
    )
    certify.add_argument(
        "--output", type=Path, metavar="DIR", help="default: the directory of RESULTS"
    )
    certify.add_argument(
        "--key", type=Path, metavar="FILE", help="sign it with this private key (Ed25519, PEM)"
    )
    certify.set_defaults(command=issue_certificate)
    verify = commands.add_parser("verify", help="hold a certificate against its results")
    verify.add_argument("certificate", type=Path, metavar="CERTIFICATE", help="certificate.json")
    verify.add_argument(
        "--results", type=Path, metavar="FILE", help="default: results.json beside it"
    )
    verify.add_argument(
        "--key", type=Path, metavar="FILE", help="it has to be signed by this key (Ed25519, PEM)"
    )
    verify.add_argument(
        "--rerun", action="store_true", help="repeat the run as well, and compare the classes"
    )
    verify.set_defaults(command=verify_certificate)
    gallery = commands.add_parser("gallery", help="the matrix of servers, from their reports")
    gallery.add_argument(
        "directories",
        nargs="*",
        type=Path,
        metavar="DIRECTORY",
        help="the report directory of a run, named as the server (default: reports/servers/*)",
    )
    gallery.add_argument(
        "--adjudication",
        type=Path,
        metavar="DIR",
        help="why what is broken is a violation (default: reports/gallery/adjudication)",
    )
    gallery.add_argument(
        "--into", type=Path, metavar="DIR", help="where to write (default: reports/gallery)"
    )
    gallery.set_defaults(command=write_gallery)
    return parser


# --- run ---


def run(arguments: Sequence[str]) -> int:
    """Judge a server with pytest, with root, configuration and plugin pinned."""
    import pytest

    from pop3spec.collected import home

    if any(word in ("-h", "--help") for word in arguments):
        print(_RUN_HELP)
        return 0
    target, rest = _target_of(arguments)
    words, has_paths = _for_pytest(rest)
    root = home()
    settings = Path(__file__).with_name("run.ini")
    ours = (str(root / "scenarios"), str(root / "suites"))
    return int(
        pytest.main(
            [
                f"--rootdir={root}",
                f"--config-file={settings}",
                "-p",
                "pop3spec.plugin",
                *([f"--target={target}"] if target else []),
                # In front, where no option takes them for its value.
                *(() if has_paths else ours),
                *words,
            ]
        )
    )


_RUN_HELP = """usage: pop3spec run [HOST:PORT] [PATH ...] [options]

Judges the POP3 server at HOST:PORT (or a pop3:// URL); without one, the embedded
reference server. PATH names scenario files, directories of them, or single
scenarios as FILE::ID; without one, all scenarios of pop3spec run.

Most wanted options (all others as for pytest; see `pytest --help` in a clone):
  --account=USER:PASSWORD   a mailbox to use; better given in POP3SPEC_ACCOUNT
  --maildrop=SPEC           how known mail gets there: maildir:PATH/{user}
  --target-profile=FILE     all of this in a YAML file
  --report-dir=DIR          where junit.xml, results.json and index.html go (default: reports)
  -k WORDS, -m MARKERS      select scenarios
  --jobs=N                  bound everything in flight
"""


def _target_of(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """The first word, where it names a target and not a path."""
    if arguments and not arguments[0].startswith("-"):
        first = arguments[0]
        named = first.partition("::")[0] if "::" in first and not first.startswith("[") else first
        is_address = "://" in first or (":" in first and named == first)
        if is_address and not Path(named).exists():
            return first, list(arguments[1:])
    return None, list(arguments)


def _for_pytest(arguments: Sequence[str]) -> tuple[list[str], bool]:
    """The words with paths that pytest can find, and whether there are any."""
    from pop3spec.options import OPTIONS_WITH_VALUE

    takes_value = {f"--{name}" for name in OPTIONS_WITH_VALUE} | _PYTEST_WITH_VALUE
    words: list[str] = []
    has_paths = False
    before = ""
    for word in arguments:
        found = None if word.startswith("-") or before in takes_value else _found(word)
        words.append(found or word)
        has_paths |= found is not None
        before = word
    return words, has_paths


# Of pytest's own options, and its plugins', those whose value may look like one of our paths.
_PYTEST_WITH_VALUE = frozenset(
    [
        *("-k", "-m", "-n", "-p", "-o", "-r", "-W", "-c", "--maxfail", "--tb", "--durations"),
        *("--color", "--junit-xml", "--junitxml", "--basetemp", "--ignore", "--ignore-glob"),
        *("--deselect", "--log-file", "--confcutdir", "--rootdir", "--cov-config", "--cov-report"),
    ]
)


def _found(word: str) -> str | None:
    """A path that exists: from here, else from our home, as replay commands say it."""
    from pop3spec.collected import home

    path, colons, name = word.partition("::")
    if Path(path).exists():
        return word
    if path and (home() / path).exists():
        return f"{home() / path}{colons}{name}"
    return None


# --- rules ---


def show_rules(options: argparse.Namespace) -> int:
    """Print the register of clauses, or one rule."""
    from pop3spec.register import RegisterError, as_json, as_text, choose

    try:
        chosen = choose(options.id, options.rfc, options.level, options.proof)
    except RegisterError as error:
        raise UsageError(str(error)) from error
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print(as_json(chosen) if options.json else as_text(chosen, width))
    return 0


# --- validate ---


def validate_files(options: argparse.Namespace) -> int:
    """Check each file; exit 4 if one is malformed, with a sentence for each."""
    from pop3spec.collected import SUFFIXES

    problems = 0
    count = 0
    for name in options.files:
        path = Path(name)
        if not path.exists():
            raise UsageError(f"{name}: there is no such file")
        files = (
            [p for p in sorted(path.rglob("*")) if p.suffix in SUFFIXES]
            if path.is_dir()
            else [path]
        )
        for file in files:
            count += 1
            problem = _problem_of(file)
            if problem:
                problems += 1
                print(problem, file=sys.stderr)
    print(f"{count} files, {problems} malformed")
    return USAGE if problems else 0


# What no scenario file has; a profile has one of them.
_PROFILE_KEYS = ("target:", "accounts:", "known-deviations:")


def _problem_of(file: Path) -> str:
    from pop3spec.deviations import check_records
    from pop3spec.rulebook.rules import observation_ids, rulebook
    from pop3spec.scenario import ScenarioError, load_scenarios
    from pop3spec.target import TargetError, load_profile

    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        return f"{file}: {error.strerror}"
    is_profile = any(line.startswith(_PROFILE_KEYS) for line in text.splitlines())
    try:
        if is_profile:
            check_records(load_profile(file).known_deviations)
        else:
            load_scenarios(file, rulebook().keys(), observation_ids=observation_ids())
    except (ScenarioError, TargetError) as error:
        return str(error)
    return ""


# --- diff, accept ---

# What no terminal cuts off.
_WIDE = 500


def show_changes(options: argparse.Namespace) -> int:
    """Print what changed between two results; exit 1 if something got worse."""
    from pop3spec.report.changes import changes
    from pop3spec.report.news import as_markdown, as_terminal
    from pop3spec.report.results import ResultsError, read_results
    from pop3spec.rulebook.rules import Level

    try:
        old, new = read_results(options.old), read_results(options.new)
    except ResultsError as error:
        raise UsageError(str(error)) from error
    found = changes(old, new, Level(options.level.upper()))
    if options.format == "markdown":
        print(as_markdown(old, new, found))
    else:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDE
        print(as_terminal(old, new, found, width))
    return 1 if found.worse else 0


def accept_failures(options: argparse.Namespace) -> int:
    """Record what fails today as known deviations in a profile."""
    from datetime import date

    from pop3spec.accept import to_accept, write_records
    from pop3spec.deviations import check_records
    from pop3spec.report.results import ResultsError, read_results
    from pop3spec.rulebook.rules import Level, rulebook
    from pop3spec.target import Profile, TargetError, load_profile

    path = options.target_profile
    try:
        results = read_results(options.results)
        profile = load_profile(path) if path.exists() else Profile()
        named = {row.id.partition("[")[0] for row in results.scenarios}
        check_records(profile.known_deviations, named)
        level = Level(options.level.upper())
        told = to_accept(results, profile.known_deviations, rulebook(), level, date.today())
        if told.records:
            write_records(path, told.records)
    except (ResultsError, TargetError) as error:
        raise UsageError(str(error)) from error
    for record in told.records:
        print(f"recorded: {record.rule}{f' in {record.scenario}' if record.scenario else ''}")
    for sentence in told.left:
        print(f"not recorded: {sentence}")
    count = "1 record" if len(told.records) == 1 else f"{len(told.records)} records"
    more = (
        "; write the reasons into it" if told.records else ": nothing fails that it does not list"
    )
    print(f"{path}: {count} added{more}")
    return 0


# --- serve ---


def serve_reference(options: argparse.Namespace) -> int:
    """Run the reference server until it is interrupted."""
    from pop3spec.reference.faults import FAULTS, SEQUENCES
    from pop3spec.reference.offer import Cleartext
    from pop3spec.reference.serve import serve
    from pop3spec.target import TargetError, parse_account

    if options.list_faults:
        for fault in (*FAULTS.values(), *SEQUENCES.values()):
            print(f"{fault.name}: {fault.copies}")
            print(f"    breaks {', '.join(sorted(fault.breaks))}")
        return 0
    try:
        accounts = [parse_account(text) for text in options.account or ["alice:wonderland"]]
    except TargetError as error:
        raise UsageError(str(error)) from error

    def ready(address: tuple[str, int], tls_address: tuple[str, int], ca: Path) -> None:
        print(f"listening on {address[0]}:{address[1]}", flush=True)
        print(f"with TLS on {tls_address[0]}:{tls_address[1]}; trust it with --ca={ca}", flush=True)

    tls_port = options.tls_port
    if tls_port is None:
        tls_port = 1995 if options.port else 0
    try:
        serve(
            host=options.host,
            port=options.port,
            tls_port=tls_port,
            accounts={account.user: account.password for account in accounts},
            maildir=options.maildir,
            faults=options.fault,
            failed_login_delay=options.failed_login_delay,
            certificate=options.certificate,
            cleartext=Cleartext(options.cleartext),
            ready=ready,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        raise UsageError(
            f"cannot listen on {options.host}:{options.port}: {error.strerror}"
        ) from error
    return 0


# --- certify, verify ---


def issue_certificate(options: argparse.Namespace) -> int:
    """Write certificate.json and certificate.html."""
    from pop3spec.certificate.files import issue, summary
    from pop3spec.certificate.signature import KeyFileError
    from pop3spec.report.results import ResultsError

    directory = options.output or options.results.parent
    try:
        certificate = issue(options.results, options.product, directory, options.key)
    except (ResultsError, KeyFileError) as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        raise UsageError(f"{directory}: {error.strerror or error}") from error
    for line in summary(certificate):
        print(line)
    return 0


def verify_certificate(options: argparse.Namespace) -> int:
    """Say whether a certificate follows from its results; exit 1 where it does not."""
    from pop3spec.certificate.signature import KeyFileError
    from pop3spec.certificate.verify import CertificateError, problems

    file = options.certificate
    try:
        found = list(problems(file, options.results or file.with_name("results.json"), options.key))
    except KeyFileError as error:
        raise UsageError(str(error)) from error
    except CertificateError as error:
        found = [str(error)]
    for problem in found:
        print(problem, file=sys.stderr)
    if found:
        return 1
    print(f"{file}: holds")
    return rerun(file) if options.rerun else 0


def rerun(file: Path) -> int:
    """Repeat the run of a certificate; exit 1 where a class comes out otherwise."""
    import shlex
    from tempfile import TemporaryDirectory

    from pop3spec.certificate.issue import certificate_of, digest_of, lists_of
    from pop3spec.certificate.verify import changed_classes, read_certificate
    from pop3spec.report.results import ResultsError, read_results

    certificate = read_certificate(file)
    _, _, *words = shlex.split(certificate["repeat"])
    words = [word for word in words if not word.startswith("--certify=")]
    with TemporaryDirectory(prefix="pop3spec-") as directory:
        code = run([*words, f"--report-dir={directory}", "-q"])
        try:
            results = read_results(Path(directory) / "results.json")
        except ResultsError:
            return code or 1
        again = certificate_of(
            results,
            digest_of(Path(directory) / "results.json"),
            certificate["product"],
            lists_of(certificate),
        )
    changed = list(changed_classes(certificate, again))
    for problem in changed:
        print(problem, file=sys.stderr)
    if not changed:
        print(f"{file}: the run was repeated, and every class came out as before")
    return 1 if changed else 0


# --- report ---


def write_report(options: argparse.Namespace) -> int:
    """Write the page that a run with these results has written, or would have."""
    from pop3spec.report.page import write_page
    from pop3spec.report.results import ResultsError, read_results

    output: Path = options.output or options.results.with_name("index.html")
    try:
        results = read_results(options.results)
        if output.exists() and output.samefile(options.results):
            raise UsageError(f"{output}: that would overwrite the results; name another --output")
        write_page(output, results)
    except ResultsError as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        raise UsageError(f"cannot write {output}: {error.strerror or error}") from error
    print(f"written: {output}")
    return 0


# --- gallery ---


def write_gallery(options: argparse.Namespace) -> int:
    """Write the gallery, and say what is still open about it."""
    from pop3spec.gallery.build import GALLERY, GalleryError, read, said, sources, write

    into: Path = options.into or GALLERY
    if options.adjudication and not options.adjudication.is_dir():
        raise UsageError(f"{options.adjudication}: no directory; name one with --adjudication=DIR")
    try:
        found = sources(options.directories, into)
        gallery = read(found, options.adjudication or GALLERY / "adjudication")
        write(gallery, into)
    except GalleryError as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        raise UsageError(f"cannot write {into}: {error.strerror or error}") from error
    for source in found:
        print(f"{source.name}: from {source.directory}")
    for line in said(gallery):
        print(line)
    print(f"written: {into / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
