"""The forms of listings: read where they have it, None where they do not."""

import pytest

from pop3spec.protocol.listings import (
    DropListing,
    ScanListing,
    UniqueIdListing,
    capabilities,
    drop_listing,
    scan_listing,
    timestamps,
    unique_id_listing,
)
from pop3spec.protocol.replies import Reply

TWO_NUMBERS = [
    (b"2 320", (2, 320, b"")),
    (b"0 0", (0, 0, b"")),
    (b"2 320 octets", (2, 320, b"octets")),
    (b"2 320 ", (2, 320, b"")),
    (b"2 320  ", (2, 320, b" ")),
    (b"002 0320", (2, 320, b"")),
    (b"1 18446744073709551615", (1, 2**64 - 1, b"")),
    (b"", None),
    (b"2", None),
    (b"2 ", None),
    (b"2  320", None),
    (b" 2 320", None),
    (b"2\t320", None),
    (b"2 320octets", None),
    (b"2 320\t", None),
    (b"2 -1", None),
    (b"+2 320", None),
    (b"2 0x10", None),
    (b"2 320\n", None),
    (b"\xb2 320", None),
    (b"1 " + b"9" * 21, None),
    (b"[SYS/TEMP] 2 320", None),
]


@pytest.mark.parametrize(("text", "found"), TWO_NUMBERS)
def test_drop_and_scan_listings_are_two_numbers_and_perhaps_more(
    text: bytes, found: tuple[int, int, bytes] | None
) -> None:
    assert drop_listing(text) == (DropListing(*found) if found else None)
    assert scan_listing(text) == (ScanListing(*found) if found else None)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"1 whqtswO00WBw418f9t5JxYwZ", (1, b"whqtswO00WBw418f9t5JxYwZ")),
        (b"1 !~", (1, b"!~")),
        (b"1 ", (1, b"")),
        (b"1 \xe9\0\t", (1, b"\xe9\0\t")),
        (b"1 " + b"x" * 500, (1, b"x" * 500)),
        (b"1", None),
        (b"1 a b", None),
        (b"1 a ", None),
        (b"1  a", None),
        (b"x a", None),
        (b"", None),
    ],
)
def test_a_unique_id_listing_has_nothing_behind_the_unique_id(
    text: bytes, found: tuple[int, bytes] | None
) -> None:
    assert unique_id_listing(text) == (UniqueIdListing(*found) if found else None)


def test_a_capability_list_is_read_by_tags_in_upper_case() -> None:
    lines = b"TOP\r\nsasl PLAIN\r\nSASL scram-sha-1\r\nEXPIRE 60 USER\r\n\r\n"

    reply = Reply(b"+OK\r\n", lines)

    assert capabilities(reply) == {
        "TOP": (),
        "SASL": ("PLAIN", "scram-sha-1"),
        "EXPIRE": ("60", "USER"),
    }


@pytest.mark.parametrize(
    ("greeting", "found"),
    [
        (
            b"+OK POP3 <1896.697170952@dbc.mtview.ca.us>\r\n",
            (b"<1896.697170952@dbc.mtview.ca.us>",),
        ),
        (b"+OK <a@b> and <c@d>\r\n", (b"<a@b>", b"<c@d>")),
        (b"+OK <host>\r\n", ()),
        (b"+OK <a b@c>\r\n", ()),
        (b"+OK a@b\r\n", ()),
        (b"+OK <<1.2@h>>\r\n", (b"<1.2@h>",)),
    ],
)
def test_a_timestamp_is_a_msg_id_in_angle_brackets(
    greeting: bytes, found: tuple[bytes, ...]
) -> None:
    assert timestamps(greeting) == found
