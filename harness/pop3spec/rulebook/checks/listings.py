"""Checks of STAT, LIST, UIDL, DELE and RSET: which messages there are (sections 4, 5 and 7)."""

import re
from collections import Counter
from collections.abc import Callable
from itertools import islice

from pop3spec.protocol.commands import COMMANDS, State, message_number
from pop3spec.protocol.listings import DropListing, scan_listing, unique_id_listing
from pop3spec.protocol.text import show
from pop3spec.rulebook.history import History, number_of
from pop3spec.rulebook.judgement import (
    HELD,
    SHOWN,
    Broken,
    Judgement,
    count_of_messages,
    in_words,
    is_bare,
    is_judged,
    is_positive,
    names_plainly,
    quote,
    refused,
)
from pop3spec.transcript import Exchange, Kind


def stat_drop_listing(exchange: Exchange, before: History) -> Judgement:
    """STAT is answered +OK, with count and octets."""
    if is_refused_listing(exchange, before, "STAT") and exchange.reply is not None:
        return Broken(quote(exchange.reply.status_line))
    if not is_positive(exchange, "STAT") or exchange.reply is None:
        return None
    if exchange.drop_listing is not None and exchange.reply.status_line[:4] == b"+OK ":
        return HELD
    return Broken(f"{quote(exchange.reply.status_line)}")


def list_scan_listing(exchange: Exchange, before: History) -> Judgement:
    """Each line of LIST, and the reply to LIST with an argument, is a scan listing."""
    if not is_positive(exchange, "LIST"):
        return None
    return _forms(exchange, scan_listing)


def uidl_unique_id_listing(exchange: Exchange, before: History) -> Judgement:
    """Each line of UIDL, and the reply to UIDL with an argument, is a unique-id listing."""
    if not is_positive(exchange, "UIDL"):
        return None
    return _forms(exchange, unique_id_listing)


def _forms(exchange: Exchange, read: Callable[[bytes], object | None]) -> Judgement:
    reply, texts = exchange.reply, exchange.listing_texts
    if reply is None or not texts:
        return None
    bad = next((text for text in texts if read(text) is None), None)
    if bad is None:
        return HELD
    return Broken(f"the line {quote(bad)}" if reply.is_multiline else quote(reply.status_line))


def unique_id_form(exchange: Exchange, before: History) -> Judgement:
    """A unique-id has 1 to 70 octets, each printable and not blank."""
    listings = exchange.unique_id_listings
    if not listings:
        return None
    for listing in listings:
        if not _UNIQUE_ID.fullmatch(listing.unique_id):
            octets = len(listing.unique_id)
            return Broken(f"the unique-id {quote(listing.unique_id)} of {octets} octets")
    return HELD


_UNIQUE_ID = re.compile(rb"[!-~]{1,70}")


def is_refused_listing(exchange: Exchange, before: History, word: str) -> bool:
    """A command without argument that shows the maildrop is refused for no reason."""
    return (
        exchange.keyword == word
        and exchange.is_err
        and is_bare(exchange)
        and is_judged(exchange, before)
        and before.state is State.TRANSACTION
        and not _says_why(exchange)
    )


# Commands that show one message and change nothing.
_SHOW_ONE = frozenset({"RETR", "TOP", "LIST", "UIDL"})


def list_argument(exchange: Exchange, before: History) -> Judgement:
    """LIST n speaks of message n."""
    numbers = [listing.number for listing in exchange.scan_listings or ()]
    return _argument(exchange, before, "LIST", numbers)


def uidl_argument(exchange: Exchange, before: History) -> Judgement:
    """UIDL n speaks of message n."""
    if exchange.is_err and not before.offers("UIDL"):
        return None  # perhaps UIDL is not there at all
    numbers = [listing.number for listing in exchange.unique_id_listings or ()]
    return _argument(exchange, before, "UIDL", numbers)


def _argument(exchange: Exchange, before: History, word: str, numbers: list[int]) -> Judgement:
    if exchange.keyword != word or not is_judged(exchange, before) or exchange.reply is None:
        return None
    number = number_of(exchange)
    if number is None or len(exchange.arguments) != 1:
        return None
    if exchange.is_err:
        return wrongly_refused(exchange, before)
    if not exchange.is_ok or not numbers or not _exists(number, before):
        return None
    if numbers == [number]:
        return HELD
    return Broken(f"{quote(exchange.reply.status_line)}, which is about {in_words(numbers)}")


def _exists(number: int, before: History) -> bool:
    """The message is known to be there and is not marked as deleted."""
    known = before.count is not None and 1 <= number <= before.count
    return known and number not in before.marked and not before.filling.may_change


def _is_shown(number: int, before: History) -> bool:
    """The message is there: by the filling, else by a listing of the server's own."""
    if before.filling.count is not None:
        return _exists(number, before)
    listed = number in before.sizes or number in before.unique_ids
    return listed and number not in before.marked and not before.filling.may_change


def wrongly_refused(exchange: Exchange, before: History) -> Judgement:
    """A refusal although the message that is named is there."""
    number = number_of(exchange)
    if before.state is not State.TRANSACTION or number is None or exchange.reply is None:
        return None
    if not _is_shown(number, before) or not names_plainly(exchange, number):
        return None
    if number in before.unmarked and exchange.keyword in _SHOW_ONE:
        return None  # judged by rset_unmarks
    if _says_why(exchange) or _may_need_utf8(exchange, before):
        return None
    of = f" of {before.count}" if before.count is not None else ""
    return Broken(f"{quote(exchange.reply.status_line)} for message {number}{of}")


def _says_why(exchange: Exchange) -> bool:
    """The system failed (RFC 3206), a lock is held, or the message is for UTF-8 mode (RFC 6856)."""
    codes = (b"[SYS/", b"[IN-USE]", b"[UTF8]")
    return exchange.reply is not None and exchange.reply.text.upper().startswith(codes)


_OF_UTF8 = frozenset({"LIST", "RETR", "TOP"})


def _may_need_utf8(exchange: Exchange, before: History) -> bool:
    """The message may be one that is refused without UTF8, even without saying so (RFC 6856)."""
    if exchange.keyword not in _OF_UTF8 or not before.announces_utf8 or before.is_utf8_mode:
        return False
    is_ours = before.filling.count is not None or before.filling.is_clean
    return before.filling.is_unusual or not is_ours


def retr_existing(exchange: Exchange, before: History) -> Judgement:
    """RETR of a message that is there is answered with it."""
    return _named(exchange, before, "RETR")


def dele_existing(exchange: Exchange, before: History) -> Judgement:
    """DELE of a message that is there and not marked is answered +OK."""
    return _named(exchange, before, "DELE")


def _named(exchange: Exchange, before: History, word: str) -> Judgement:
    if exchange.keyword != word or not is_judged(exchange, before):
        return None
    number = number_of(exchange)
    if number is None or len(exchange.arguments) != 1:
        return None
    if exchange.is_err:
        return wrongly_refused(exchange, before)
    return HELD if exchange.is_ok and _exists(number, before) else None


# No maildrop has so many messages, whatever arrives.
_BEYOND_ANY = 1 << 31


def no_such_message(exchange: Exchange, before: History) -> Judgement:
    """A number that no message has is refused."""
    if before.state is not State.TRANSACTION or exchange.kind is not Kind.COMMAND:
        return None
    command = COMMANDS.get(exchange.keyword)
    if command is None or not command.names_message or not exchange.arguments:
        return None
    number = message_number(exchange.arguments[0])
    if number is None and not exchange.arguments[0].isdigit():
        return None
    count = before.count
    fits = count is None or before.filling.may_change or (number or 0) <= count
    if number is not None and 0 < number < _BEYOND_ANY and fits:
        return None
    return refused(
        exchange,
        f"for message {show(exchange.arguments[0], 30)}"
        + (f" of {count}" if count is not None else ""),
    )


def dele_marked(exchange: Exchange, before: History) -> Judgement:
    """A command that names a marked message is refused."""
    if before.state is not State.TRANSACTION or exchange.kind is not Kind.COMMAND:
        return None
    number = number_of(exchange)
    if number is None or number not in before.marked:
        return None
    return refused(exchange, f"for message {number}, which is marked as deleted")


def stat_count(exchange: Exchange, before: History) -> Judgement:
    """STAT, LIST and UIDL count the same messages."""
    told = _told_count(exchange)
    if told is None:
        return None
    word, count = told
    if before.marked or before.unmarked or before.filling.may_change:
        # Wrong totals there are judged by the rules about DELE and RSET.
        return HELD if count in _other_counts(before, word).values() else None
    if word == "STAT" and before.drop_listing is not None:
        return None  # against an earlier STAT: count_fixed
    if word == "STAT" and before.filling.count not in (None, count):
        return Broken(
            f"a count of {count}, with {count_of_messages(before.filling.count or 0)} there"
        )
    for other, others in _other_counts(before, word).items():
        if count == others:
            continue
        if "STAT" in (word, other) and before.filling.count is None:
            return Broken(f"{count} in {word}, {others} in {other}")
    known = word == "STAT" and before.filling.count is not None
    return HELD if known or _other_counts(before, word) else None


def _told_count(exchange: Exchange) -> tuple[str, int] | None:
    if exchange.drop_listing is not None:
        return "STAT", exchange.drop_listing.count
    if exchange.reply is None or not exchange.reply.is_multiline:
        return None
    if exchange.scan_listings is not None:
        return "LIST", len({listing.number for listing in exchange.scan_listings})
    if exchange.unique_id_listings is not None:
        return "UIDL", len({listing.number for listing in exchange.unique_id_listings})
    return None


def _other_counts(before: History, word: str) -> dict[str, int]:
    """How many messages the other listings had at the same point of the session."""
    counts = {}
    if before.drop_listing is not None and word != "STAT":
        counts["STAT"] = before.drop_listing.count
    if before.scan_listing is not None and word != "LIST":
        counts["LIST"] = len(before.scan_listing)
    if before.unique_id_count is not None and word != "UIDL":
        counts["UIDL"] = before.unique_id_count
    return counts


def count_fixed(exchange: Exchange, before: History) -> Judgement:
    """Without a mark, the count of STAT does not shrink."""
    drop, earlier = exchange.drop_listing, before.drop_listing
    if drop is None or earlier is None or before.filling.may_change:
        return None
    if drop.count < earlier.count:
        return Broken(f"a count of {drop.count}, after {earlier.count} and no DELE")
    return HELD


def no_arrivals(exchange: Exchange, before: History) -> Judgement:
    """No message appears that was not there at the opening."""
    if before.marked or before.unsure or not before.filling.may_change:
        return None
    if before.first_told is None:
        return None
    told = _told_count(exchange)
    if told is None:
        return None
    if told[1] > before.first_told:
        return Broken(f"{count_of_messages(told[1])}, {before.first_told} at the opening")
    return HELD


def stat_without_marked(exchange: Exchange, before: History) -> Judgement:
    """STAT leaves out what is marked."""
    drop, first = exchange.drop_listing, before.first_drop
    if drop is None or not before.marked or before.filling.may_change:
        return None
    # By what STAT itself told at the opening: a count that was wrong then is not this fault.
    count = first.count if first is not None else before.count
    if count is None:
        return None
    if drop.count != count - len(before.marked):
        return Broken(f"a count of {drop.count}, with {in_words(before.marked)} of {count} marked")
    if first is None or before.announces_utf8 or not _sizes_add_up(first, before):
        return HELD
    octets = first.octets - sum(before.sizes[number] for number in before.marked)
    if drop.octets == octets:
        return HELD
    return Broken(f"{drop.octets} octets; without the marked messages it is {octets}")


def _sizes_add_up(first: DropListing, before: History) -> bool:
    """Every size is known, and their sum is what STAT told at the opening."""
    return len(before.sizes) == first.count and sum(before.sizes.values()) == first.octets


def rset_unmarks(exchange: Exchange, before: History) -> Judgement:
    """After RSET the listings are those of the opening."""
    if not before.unmarked or before.marked or before.filling.may_change:
        return None
    if exchange.drop_listing is not None:
        return _same_drop_after_rset(exchange.drop_listing, before)
    listed = _listed_numbers(exchange)
    if listed is not None:
        missing = _lost_by_rset(exchange, before).difference(listed)
        return Broken(f"a listing without {in_words(missing)} after RSET") if missing else HELD
    number = number_of(exchange)
    if number is None or number not in before.unmarked or not is_judged(exchange, before):
        return None
    if not names_plainly(exchange, number) or exchange.keyword not in _SHOW_ONE:
        return None
    if exchange.is_err and exchange.reply is not None and not _says_why(exchange):
        if exchange.keyword not in before.shown:
            return None  # perhaps it is refused for any message
        return Broken(f"{quote(exchange.reply.status_line)} for message {number} after RSET")
    return HELD if exchange.is_ok else None


def _same_drop_after_rset(drop: DropListing, before: History) -> Judgement:
    first = before.first_drop
    count = first.count if first is not None else before.count
    if count is None:
        return None
    if drop.count != count:
        return Broken(f"a count of {drop.count} after RSET, {count} at the opening")
    # A server that corrects a size on reading breaks another rule.
    if first is None or before.contents or before.announces_utf8 or drop.octets == first.octets:
        return HELD
    return Broken(f"{drop.octets} octets after RSET, {first.octets} at the opening")


def _lost_by_rset(exchange: Exchange, before: History) -> frozenset[int]:
    """What the same command listed before it was marked; else a gap is not RSET's."""
    return before.unmarked & before.first_listed.get(exchange.keyword, frozenset())


def _listed_numbers(exchange: Exchange) -> list[int] | None:
    """The numbers of a full listing, in its order."""
    if exchange.reply is None or not exchange.reply.is_multiline:
        return None
    if exchange.scan_listings is not None:
        return [listing.number for listing in exchange.scan_listings]
    if exchange.unique_id_listings is not None:
        return [listing.number for listing in exchange.unique_id_listings]
    return None


def message_numbers(exchange: Exchange, before: History) -> Judgement:
    """The numbers in a listing lie between 1 and the count, each once."""
    numbers = _listed_numbers(exchange)
    if not numbers:
        return None
    repeated = [number for number, times in Counter(numbers).items() if times > 1]
    if repeated:
        return Broken(f"{in_words(repeated)} listed more than once")
    if 0 in numbers:
        return Broken("a message with the number 0")
    # Without a filling the listing itself tells how many there are.
    count = before.filling.count
    if count is None and before.is_untouched:
        count = len(numbers)
    above = {number for number in numbers if count is not None and number > count}
    if above and not before.filling.may_change:
        return Broken(f"{in_words(above)} in a maildrop of {count_of_messages(count or 0)}")
    return HELD


def list_complete(exchange: Exchange, before: History) -> Judgement:
    """LIST has every message that is not marked."""
    if is_refused_listing(exchange, before, "LIST"):
        return _listing_refused(exchange, before)
    return _complete(exchange, before) if exchange.keyword == "LIST" else None


def uidl_complete(exchange: Exchange, before: History) -> Judgement:
    """UIDL has every message that is not marked."""
    if is_refused_listing(exchange, before, "UIDL"):
        # Of an empty maildrop RFC 1939 tells only for LIST what the listing is.
        is_shown = before.offers("UIDL") and not before.filling.may_change
        has_some = before.count is not None and before.count > len(before.marked)
        return _listing_refused(exchange, before) if is_shown and has_some else None
    return _complete(exchange, before) if exchange.keyword == "UIDL" else None


def _listing_refused(exchange: Exchange, before: History) -> Judgement:
    """A refusal of a listing where there may be something to list."""
    if exchange.reply is None or not before.count:
        return None  # of an empty maildrop: list_empty
    messages = count_of_messages(before.count)
    return Broken(f"{quote(exchange.reply.status_line)} for a maildrop of {messages}")


def _complete(exchange: Exchange, before: History) -> Judgement:
    numbers = _listed_numbers(exchange)
    if numbers is None or before.filling.may_change:
        return None
    count = before.filling.count
    if count is None:
        return None  # a gap is judged by message_numbers, a wrong count by stat_count
    there = {*numbers, *before.marked, *_lost_by_rset(exchange, before)}
    # Not all of them: a listing may claim a number of twenty digits.
    missing = list(islice((n for n in range(1, count + 1) if n not in there), SHOWN + 1))
    if missing:
        return Broken(f"no line for {in_words(missing)} of {count_of_messages(count)}")
    return HELD if count else None


def list_empty(exchange: Exchange, before: History) -> Judgement:
    """LIST of an empty maildrop is positive and has no lines."""
    if exchange.keyword != "LIST" or not is_bare(exchange) or not is_judged(exchange, before):
        return None
    if before.state is not State.TRANSACTION or before.count != 0:
        return None
    if before.filling.may_change:
        return None
    if exchange.reply is None:
        return Broken("no terminating line") if exchange.partial else None
    if exchange.is_err:
        return Broken(f"{quote(exchange.reply.status_line)} for an empty maildrop")
    return HELD if exchange.reply.is_multiline and not exchange.reply.payload else None


def list_without_marked(exchange: Exchange, before: History) -> Judgement:
    """LIST has no message that is marked."""
    return _without_marked(exchange, before) if exchange.keyword == "LIST" else None


def uidl_without_marked(exchange: Exchange, before: History) -> Judgement:
    """UIDL has no message that is marked."""
    return _without_marked(exchange, before) if exchange.keyword == "UIDL" else None


def _without_marked(exchange: Exchange, before: History) -> Judgement:
    numbers = _listed_numbers(exchange)
    if numbers is None or not before.marked:
        return None
    listed = before.marked.intersection(numbers)
    return Broken(f"a line for {in_words(listed)}, marked as deleted") if listed else HELD


def stat_total(exchange: Exchange, before: History) -> Judgement:
    """The octets of STAT are the sum of the sizes of LIST at the same point."""
    if before.announces_utf8 or before.filling.may_change:
        return None
    drop, listed = exchange.drop_listing, before.scan_listing
    if drop is None:
        if exchange.scan_listings is None or _listed_numbers(exchange) is None:
            return None
        drop = before.drop_listing
        listed = {listing.number: listing.octets for listing in exchange.scan_listings}
    if drop is None or listed is None or drop.count != len(listed):
        return None
    total = sum(listed.values())
    if drop.octets == total:
        return HELD
    return Broken(f"{drop.octets} octets in STAT, {total} as the sum of LIST")


def size_fixed(exchange: Exchange, before: History) -> Judgement:
    """LIST gives a message the size that it gave before."""
    listings = exchange.scan_listings
    if not listings:
        return None
    judged = False
    for listing in listings:
        earlier = before.sizes.get(listing.number)
        if earlier is None:
            continue
        judged = True
        if earlier != listing.octets:
            return Broken(f"size {listing.octets} of message {listing.number}, before {earlier}")
    return HELD if judged else None


def unique_id_fixed(exchange: Exchange, before: History) -> Judgement:
    """UIDL gives a message the unique-id that it gave before."""
    listings = exchange.unique_id_listings
    if not listings:
        return None
    judged = False
    for listing in listings:
        earlier = before.unique_ids.get(listing.number)
        if earlier is None:
            continue
        judged = True
        if earlier != listing.unique_id:
            return Broken(
                f"unique-id {quote(listing.unique_id)} of message {listing.number},"
                f" before {quote(earlier)}"
            )
    return HELD if judged else None


def unique_id_unique(exchange: Exchange, before: History) -> Judgement:
    """No two different messages have one unique-id."""
    listings = exchange.unique_id_listings
    if not listings:
        return None
    owners: dict[bytes, int] = {}
    if len(listings) == 1:  # of one message: beside what was told of the others
        owners = {uid: number for number, uid in before.unique_ids.items()}
    for listing in listings:
        other = owners.setdefault(listing.unique_id, listing.number)
        if other != listing.number and _differ(other, listing.number, before):
            return Broken(f"{quote(listing.unique_id)} for messages {other} and {listing.number}")
    return HELD if len(owners) > 1 else None


def _differ(one: int, other: int, before: History) -> bool:
    if before.filling.is_distinct:
        return True
    contents = before.contents.get(one), before.contents.get(other)
    if contents[0] is not None and contents[1] is not None:
        return contents[0].body_digest != contents[1].body_digest
    sizes = before.sizes.get(one), before.sizes.get(other)
    return None not in sizes and sizes[0] != sizes[1]
