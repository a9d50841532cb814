"""boofuzz against a POP3 server: sessions a second, for `fuzzing.py` beside it.

`PYTHON harness/benchmarks/boofuzz_sessions.py HOST PORT USER PASSWORD SESSIONS`, where PYTHON is
that of an environment with boofuzz in it. Each session logs in, sends a command whose keyword or
number is fuzzed, reads what comes, and closes. It is set up to be quick: no pauses, nothing
logged, no page.
"""

import contextlib
import io
import os
import sys
import tempfile
import time

from boofuzz import (  # type: ignore[import-not-found]  # in an environment of its own
    Request,
    Session,
    Static,
    String,
    Target,
    TCPSocketConnection,
)


def main(host: str, port: int, user: str, password: str, sessions: int) -> None:
    """Print how many sessions a second there were."""
    target = Target(connection=TCPSocketConnection(host, port, recv_timeout=1.0, send_timeout=1.0))
    # Where it puts its results.
    os.chdir(tempfile.mkdtemp(prefix="boofuzz-"))
    fuzzer = Session(
        target=target,
        sleep_time=0.0,
        restart_sleep_time=0.0,
        fuzz_loggers=[],
        console_gui=False,
        keep_web_open=False,
        web_port=None,
        receive_data_after_each_request=True,
        receive_data_after_fuzz=True,
        index_end=sessions,
    )
    greeted = Request("user", children=(Static("user-line", f"USER {user}\r\n"),))
    known = Request("pass", children=(Static("pass-line", f"PASS {password}\r\n"),))
    fuzzed = Request(
        "command",
        children=(
            String("keyword", "RETR", max_len=100),
            Static("blank", " "),
            String("number", "1", max_len=100),
            Static("end", "\r\n"),
        ),
    )
    fuzzer.connect(greeted)
    fuzzer.connect(greeted, known)
    fuzzer.connect(known, fuzzed)
    begun = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        fuzzer.fuzz()
    seconds = time.perf_counter() - begun
    print(f"{fuzzer.num_cases_actually_fuzzed / seconds:.1f}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5]))
