"""The faults of the reference server: FAULTS, name -> Fault, and their code by topic."""

from collections.abc import Mapping

from pop3spec.reference.faults import (
    framing,
    listings,
    login,
    messages,
    service,
    syntax,
    unique_ids,
    update,
)
from pop3spec.reference.faults.fault import Fault

_TOPICS = (framing, syntax, login, listings, unique_ids, messages, update, service)

FAULTS: Mapping[str, Fault] = {
    name: fault for topic in _TOPICS for name, fault in topic.TABLE.faults.items()
}
