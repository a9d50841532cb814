"""The faults of the reference server: FAULTS, name -> Fault, and their code by topic."""

from collections.abc import Mapping
from itertools import chain

from pop3spec.reference.faults import framing
from pop3spec.reference.faults.fault import Fault

_TOPICS = (framing,)

FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for fault in chain.from_iterable(topic.TABLE.faults.values() for topic in _TOPICS)
}
