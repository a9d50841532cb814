"""A tiny inetd: one process for each connection, in another root, with TCP_NODELAY.

Runs by itself, as `listener.py HOST:PORT ROOT PROGRAM [ARGUMENT…]`; it knows nothing of POP3.
"""

import os
import signal
import socket
import sys


def serve(address: str, root: str, argv: list[str]) -> None:
    """Accept connections for ever, each handed to a program on its standard input and output."""
    host, _, port = address.rpartition(":")
    # Ended programs are reaped by the kernel.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.create_server((host, int(port)), backlog=128) as listening:
        while True:
            client, _ = listening.accept()
            with client:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if os.fork() == 0:
                    become(client, root, argv)


def become(client: socket.socket, root: str, argv: list[str]) -> None:
    """Turn this process into the program that talks to the client."""
    try:
        # The program may wait for children of its own.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.chroot(root)
        os.chdir("/")
        # Standard error stays in the log: on the socket it would look like replies.
        for descriptor in (0, 1):
            os.dup2(client.fileno(), descriptor)
        os.execv(argv[0], argv)
    finally:
        os._exit(127)


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], sys.argv[3:])
