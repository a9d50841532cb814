"""The options of pytest and of `pop3spec run`: one table for both.

The values are texts until `settings` reads them, so that what is wrong in one
is told in one sentence and not in argparse's way.
"""

from collections.abc import Sequence
from typing import Any

# name, what argparse needs besides the name
OPTIONS: Sequence[tuple[str, dict[str, Any]]] = (
    ("target", {"metavar": "HOST:PORT", "help": "the server to judge, or a pop3:// URL"}),
    ("tls-target", {"metavar": "HOST:PORT", "help": "its implicit-TLS port"}),
    ("transport", {"metavar": "LIST", "help": "plain, stls, tls, or several with commas"}),
    (
        "account",
        {
            "action": "append",
            "metavar": "USER:PASSWORD",
            "help": "a mailbox to use; repeatable; better given in POP3SPEC_ACCOUNT",
        },
    ),
    ("maildrop", {"metavar": "SPEC", "help": "the door: maildir:PATH/{user}, mbox:…, … or none"}),
    ("ca", {"metavar": "FILE", "help": "PEM certificates to trust"}),
    ("tls-name", {"metavar": "NAME", "help": "the name expected in the certificate"}),
    ("insecure", {"action": "store_true", "help": "do not verify the certificate"}),
    ("client-cert", {"metavar": "FILE", "help": "our certificate, PEM"}),
    ("client-key", {"metavar": "FILE", "help": "its key, PEM"}),
    ("target-profile", {"metavar": "FILE", "help": "all of this in YAML, and known deviations"}),
    ("allow-delete", {"action": "store_true", "help": "permit deleting mail of others"}),
    ("allow-cleartext", {"action": "store_true", "help": "permit passwords in the clear"}),
    ("allow-stress", {"action": "store_true", "help": "permit floods and over-long lines"}),
    ("max-failed-logins", {"metavar": "N", "help": "wrong logins for each account"}),
    ("reply-timeout", {"metavar": "SECONDS", "help": "for any reply"}),
    ("level", {"metavar": "must|should", "help": "the levels that fail the run"}),
    ("certify", {"metavar": "PRODUCT", "help": "write a certificate for it: 'Product 3.2'"}),
    ("require-complete", {"action": "store_true", "help": "blocked MUST rules fail as well"}),
    ("jobs", {"metavar": "N", "help": "bound everything in flight"}),
    ("fuzz", {"metavar": "N|off", "help": "fuzzed examples for each property (default: 100)"}),
    ("fuzz-seconds", {"metavar": "SECONDS", "help": "end each fuzzed property after that time"}),
    ("seed", {"metavar": "N", "help": "the same stimuli in the same order"}),
    ("slow", {"action": "store_true", "help": "also run what needs minutes"}),
    ("baseline", {"metavar": "FILE", "help": "an earlier results.json: fail on what got worse"}),
    ("transcripts", {"metavar": "failed|all", "help": "which transcripts to keep as files"}),
    ("summary-md", {"metavar": "FILE", "help": "append a summary in Markdown, for CI"}),
    ("report-dir", {"metavar": "DIR", "help": "where to write reports (default: reports)"}),
)

# Those that take the next word where no `=` joins them.
OPTIONS_WITH_VALUE = tuple(
    name for name, details in OPTIONS if details.get("action") != "store_true"
)
