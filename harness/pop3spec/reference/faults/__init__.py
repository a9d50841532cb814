"""The faults of the reference server: FAULTS, name -> Fault, and their code by topic."""

from collections.abc import Mapping

from pop3spec.reference.faults import (
    framing,
    limits,
    listings,
    locks,
    login,
    messages,
    refusals,
    secrets,
    service,
    syntax,
    timer,
    unique_ids,
    update,
)
from pop3spec.reference.faults.fault import Fault

_TOPICS = (
    framing,
    syntax,
    limits,
    timer,
    login,
    secrets,
    locks,
    listings,
    unique_ids,
    messages,
    refusals,
    update,
    service,
)

FAULTS: Mapping[str, Fault] = {
    name: fault for topic in _TOPICS for name, fault in topic.TABLE.faults.items()
}
