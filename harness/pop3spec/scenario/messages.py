"""What a maildrop is filled with, as octets."""

from collections.abc import Iterable

from pop3spec.scenario.examples import SLUG
from pop3spec.scenario.problem import Problem
from pop3spec.scenario.resolved import Message
from pop3spec.stock import STOCK
from pop3spec.template import encoded
from pop3spec.yamlfile import did_you_mean, quoted


def filling(written: Iterable[str], under: str) -> tuple[Message, ...]:
    """The messages of a maildrop; Problem where one is neither of the stock nor a text."""
    messages = []
    for index, text in enumerate(written):
        try:
            messages.append(message_of(text))
        except ValueError as error:
            raise Problem(str(error), under, index) from None
    return tuple(messages)


def message_of(text: str) -> Message:
    """A message of the stock, or a text of lines; ValueError where it is neither."""
    stock = STOCK.get(text)
    if stock is not None:
        return Message(text, stock.octets)
    if "\n" in text:
        return Message(None, b"".join(line + b"\r\n" for line in lines_of(text)))
    if SLUG.fullmatch(text) is None:
        raise ValueError(f"{quoted(text)} is neither a stock message nor a text of lines")
    raise ValueError(f"unknown stock message {quoted(text)}{did_you_mean(text, STOCK)}")


def lines_of(text: str) -> tuple[bytes, ...]:
    """The lines of a block text, without their ends."""
    lines = encoded(text.replace("\r\n", "\n"), "utf-8").split(b"\n")
    if not lines[-1]:
        lines.pop()
    return tuple(lines)
