"""voidpop's own handler on one address; runs in voidpop's environment, as `HOST PORT`."""

import sys

import trio  # type: ignore[import-not-found,unused-ignore]  # lives in that environment
import voidpop  # type: ignore[import-not-found,unused-ignore]  # lives in that environment


async def serve(host: str, port: int) -> None:
    """Serve for ever."""
    await trio.serve_tcp(voidpop.handler, port, host=host)


if __name__ == "__main__":
    trio.run(serve, sys.argv[1], int(sys.argv[2]))
