"""An end to waiting for a server that keeps us busy: libraries bound single reads alone."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def bounded(sock: Callable[[], socket.socket | None], seconds: float) -> Iterator[None]:
    """End the connection after so many seconds; what comes of that is a TimeoutError."""
    done = threading.Event()
    is_late = False

    def end() -> None:
        nonlocal is_late
        if done.wait(seconds):
            return
        is_late = True
        connected = sock()
        if connected is not None:
            with suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)

    watch = threading.Thread(target=end, daemon=True)
    watch.start()
    try:
        yield
    except Exception as error:
        if is_late:
            raise TimeoutError from error
        raise
    finally:
        done.set()
        watch.join()
