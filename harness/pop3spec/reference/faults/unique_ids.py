"""Faults in UIDL and in unique-ids (RFC 1939, section 7)."""
# ruff: noqa: ARG002 -- a step that replaces another need not use all that it is given

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pop3spec.reference.faults.fault import FaultTable
from pop3spec.reference.maildrops import Maildrops, Message
from pop3spec.reference.session import Session
from pop3spec.reference.stores import Store

TABLE = FaultTable()
fault = TABLE.fault


# Unique-id listings.


@fault(
    "uidl-with-size-behind",
    breaks=["rfc1939-7-uidl-unique-id-listing"],
    copies="what is allowed in a scan listing, more behind it, is done in UIDL too",
)
class _UidlWithSizeBehind(Session):
    def unique_id_listings(self, messages: Sequence[Message]) -> bytes:
        return self.lines([b"%b %d" % (self.unique_id_listing(m), m.size) for m in messages])


@fault(
    "blank-behind-last-unique-id",
    breaks=["rfc1939-7-uidl-unique-id-listing"],
    copies="fields are joined with blanks, and the last line has an empty field more",
    edge=True,
)
class _BlankBehindLastUniqueId(Session):
    def unique_id_listings(self, messages: Sequence[Message]) -> bytes:
        listings = [self.unique_id_listing(message) for message in messages]
        return self.lines([*listings[:-1], *(last + b" " for last in listings[-1:])])


@fault(
    "uidl-n-without-number",
    breaks=["rfc1939-7-uidl-unique-id-listing", "rfc1939-7-uidl-argument"],
    copies="Twisted (issue 9104): UIDL with a number gives the unique-id alone",
)
class _UidlNWithoutNumber(Session):
    def uidl_one(self, message: Message) -> bytes:
        return self.positive(message.unique_id)


@fault(
    "uidl-n-lists-all",
    breaks=["rfc1939-7-uidl-unique-id-listing", "rfc1939-7-uidl-argument", "rfc1939-3-single-line"],
    copies="Mailpit before 1.27.5: the argument is ignored, and the whole listing sent",
)
class _UidlNListsAll(Session):
    def uidl_one(self, message: Message) -> bytes:
        return self.uidl_command()


@fault(
    "uidl-n-counts-visible",
    breaks=["rfc1939-7-uidl-argument"],
    copies="the number is used as an index into the messages that are not marked",
    edge=True,
)
class _UidlNCountsVisible(Session):
    def uidl_one(self, message: Message) -> bytes:
        visible = self.visible()
        if message.number > len(visible):
            return self.no_such_message()
        return super().uidl_one(visible[message.number - 1])


@fault(
    "uidl-leaves-out-last",
    breaks=["rfc1939-7-uidl-complete"],
    copies="a loop from 1 to below the count",
)
class _UidlLeavesOutLast(Session):
    def unique_id_listings(self, messages: Sequence[Message]) -> bytes:
        last = self.messages[-1] if self.messages else None
        return super().unique_id_listings([each for each in messages if each is not last])


@fault(
    "uidl-ends-at-empty-message",
    breaks=["rfc1939-7-uidl-complete"],
    copies="Dovecot before February 2007: no unique-id for one message ends the listing early",
    edge=True,
)
class _UidlEndsAtEmptyMessage(Session):
    def unique_id_listings(self, messages: Sequence[Message]) -> bytes:
        listed = []
        for message in messages:
            if not message.size:
                break
            listed.append(message)
        return super().unique_id_listings(listed)


@fault(
    "uidl-shows-marked",
    breaks=["rfc1939-7-uidl-without-marked"],
    copies="the optional command was added later and takes the list of the login",
)
class _UidlShowsMarked(Session):
    def unique_id_listings(self, messages: Sequence[Message]) -> bytes:
        return super().unique_id_listings(self.messages)


@fault(
    "uidl-made-once",
    breaks=["rfc1939-7-uidl-without-marked"],
    copies="the listing is made at the first UIDL and kept, whatever is marked later",
    edge=True,
)
class _UidlMadeOnce(Session):
    made: bytes | None = None

    def unique_id_listings(self, messages: Sequence[Message]) -> bytes:
        if self.made is None:
            self.made = super().unique_id_listings(messages)
        return self.made


# The form of a unique-id, and within one session.


@fault(
    "unique-id-with-8-bit-octet",
    breaks=["rfc1939-7-unique-id-form"],
    copies="the unique-id is made of raw octets of a digest",
)
class _UniqueIdWith8BitOctet(Maildrops):
    def open(self, user: str) -> list[Message]:
        return [replace(m, unique_id=b"\xe9" + m.unique_id) for m in super().open(user)]


@fault(
    "unique-id-of-71-octets",
    breaks=["rfc1939-7-unique-id-form"],
    copies="Courier before June 2003: the unique-id is a file name, however long it is",
    edge=True,
)
class _UniqueIdOf71Octets(Maildrops):
    def open(self, user: str) -> list[Message]:
        return [replace(m, unique_id=m.unique_id.ljust(71, b"x")) for m in super().open(user)]


@fault(
    "no-unique-id-for-a-message-without-octets",
    breaks=["rfc1939-7-unique-id-form"],
    copies="servers met by getmail in 2007: the line of UIDL has the number and a blank",
    edge=True,
)
class _NoUniqueIdForAMessageWithoutOctets(Maildrops):
    def open(self, user: str) -> list[Message]:
        return [m if m.size else replace(m, unique_id=b"") for m in super().open(user)]


@fault(
    "uidl-n-in-another-form",
    breaks=["rfc1939-7-unique-id-fixed"],
    copies="Cyrus, April 2002: listing and single answer are printed in two formats",
)
class _UidlNInAnotherForm(Session):
    def uidl_one(self, message: Message) -> bytes:
        return super().uidl_one(replace(message, unique_id=b"0." + message.unique_id))


@fault(
    "unique-id-tells-what-was-read",
    breaks=["rfc1939-7-unique-id-fixed"],
    copies="Courier, June 2003: the flags in the file name move with RETR, and the id with them",
    edge=True,
)
class _UniqueIdTellsWhatWasRead(Session):
    def retr_reply(self, message: Message, content: bytes) -> bytes:
        unique_id = message.unique_id.removesuffix(b"S") + b"S"
        self.messages[message.number - 1] = replace(message, unique_id=unique_id)
        return super().retr_reply(message, content)


# Unique-ids in a maildrop and over sessions.


class _AssignedIds(Maildrops):
    """Maildrops that give unique-ids of their own, and remember them."""

    def __init__(self, store: Store, accounts: Mapping[str, str], stamp: str) -> None:
        super().__init__(store, accounts, stamp)
        self.assigned: dict[str, dict[str, bytes]] = {}
        self.logins = 0

    def open(self, user: str) -> list[Message]:
        self.logins += 1
        messages = super().open(user)
        assigned = self.assigned.setdefault(user, {})
        self.prune(assigned, {message.key for message in messages})
        identified = []
        for message in messages:
            if message.key not in assigned:
                assigned[message.key] = self.new_id(message, assigned)
            identified.append(replace(message, unique_id=assigned[message.key]))
        return identified

    def prune(self, assigned: dict[str, bytes], present: set[str]) -> None:
        """Forget what may be forgotten, given the keys of the messages that are there."""

    def new_id(self, message: Message, assigned: Mapping[str, bytes]) -> bytes:
        """A unique-id for a message that was not seen before."""
        return message.unique_id


@fault(
    "unique-id-of-the-login",
    breaks=["rfc1939-7-unique-id-unique"],
    copies="the unique-id is the time at which a message was first seen, in whole seconds",
)
class _UniqueIdOfTheLogin(_AssignedIds):
    def new_id(self, message: Message, assigned: Mapping[str, bytes]) -> bytes:
        return b"seen-%d" % self.logins


@fault(
    "unique-id-of-time-and-size",
    breaks=["rfc1939-7-unique-id-unique"],
    copies="time and size make the unique-id, so messages of the same size share one",
    edge=True,
)
class _UniqueIdOfTimeAndSize(_AssignedIds):
    def new_id(self, message: Message, assigned: Mapping[str, bytes]) -> bytes:
        return b"seen-%d-%d" % (self.logins, message.size)


@fault(
    "unique-id-of-the-session",
    breaks=["rfc1939-7-uidl-persistent"],
    copies="the unique-id is made at login and stored nowhere",
)
class _UniqueIdOfTheSession(_AssignedIds):
    def prune(self, assigned: dict[str, bytes], present: set[str]) -> None:
        assigned.clear()

    def new_id(self, message: Message, assigned: Mapping[str, bytes]) -> bytes:
        return b"%d-%d" % (self.logins, message.number)


@fault(
    "unique-id-is-the-number",
    breaks=["rfc1939-7-uidl-persistent", "rfc1939-7-uidl-no-reuse"],
    copies="the unique-id is the place in the maildrop, which moves when one before it goes",
)
class _UniqueIdIsTheNumber(Maildrops):
    def open(self, user: str) -> list[Message]:
        return [replace(m, unique_id=b"id-%d" % m.number) for m in super().open(user)]


class _RemembersWhatWasRead(Maildrops):
    def __init__(self, store: Store, accounts: Mapping[str, str], stamp: str) -> None:
        super().__init__(store, accounts, stamp)
        self.read: set[str] = set()

    def open(self, user: str) -> list[Message]:
        return [
            replace(m, unique_id=m.unique_id + b"S") if m.key in self.read else m
            for m in super().open(user)
        ]


@fault(
    "unique-id-of-flags",
    breaks=["rfc1939-7-uidl-persistent"],
    copies="Courier, June 2003: ids are made of what changes when a message was read",
    edge=True,
    parts=(_RemembersWhatWasRead,),
)
class _UniqueIdOfFlags(Session):
    def retr_reply(self, message: Message, content: bytes) -> bytes:
        assert isinstance(self.maildrops, _RemembersWhatWasRead)
        self.maildrops.read.add(message.key)
        return super().retr_reply(message, content)


class _IdsSavedAtQuit(_AssignedIds):
    def __init__(self, store: Store, accounts: Mapping[str, str], stamp: str) -> None:
        super().__init__(store, accounts, stamp)
        self.saved: set[str] = set()

    def prune(self, assigned: dict[str, bytes], present: set[str]) -> None:
        for key in [key for key in assigned if key not in self.saved]:
            del assigned[key]

    def new_id(self, message: Message, assigned: Mapping[str, bytes]) -> bytes:
        return b"%d-%d" % (self.logins, message.number)


@fault(
    "unique-ids-saved-at-quit",
    breaks=["rfc1939-7-uidl-persistent"],
    copies="new unique-ids are written in the UPDATE state, which a broken session never enters",
    edge=True,
    parts=(_IdsSavedAtQuit,),
)
class _UniqueIdsSavedAtQuit(Session):
    def update(self) -> bool:
        assert isinstance(self.maildrops, _IdsSavedAtQuit)
        self.maildrops.saved.update(message.key for message in self.messages)
        return super().update()


@fault(
    "unique-ids-begin-again",
    breaks=["rfc1939-7-uidl-no-reuse"],
    copies="Cyrus before 2.1: once the maildrop was emptied, ids are counted from 1 again",
    edge=True,
)
class _UniqueIdsBeginAgain(_AssignedIds):
    def prune(self, assigned: dict[str, bytes], present: set[str]) -> None:
        if not present & assigned.keys():
            assigned.clear()

    def new_id(self, message: Message, assigned: Mapping[str, bytes]) -> bytes:
        return b"uid-%d" % (len(assigned) + 1)
