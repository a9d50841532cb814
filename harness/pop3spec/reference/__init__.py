"""The embedded reference server: all of RFC 1939, honest, or with faults by name."""

from pop3spec.reference.door import MemoryDoor
from pop3spec.reference.faults import FAULTS
from pop3spec.reference.faults.fault import Fault
from pop3spec.reference.server import ReferenceServer
from pop3spec.reference.stores import MaildirStore, MemoryStore

__all__ = ["FAULTS", "Fault", "MaildirStore", "MemoryDoor", "MemoryStore", "ReferenceServer"]
