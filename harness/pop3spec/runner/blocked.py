"""What ends a scenario before its end."""


class Blocked(Exception):
    """The scenario cannot be tried, or not to its end; `again`: alone it perhaps can."""

    def __init__(self, reason: str, *, again: bool = False) -> None:
        super().__init__(reason)
        self.again = again
