"""The faults of the reference server: FAULTS, name -> Fault, and their code by topic.

SEQUENCES are those that no scenario is made for.
"""

from collections.abc import Mapping

from pop3spec.reference.faults import (
    auth,
    capabilities,
    framing,
    implicit_tls,
    internationalisation,
    limits,
    listings,
    locks,
    login,
    mechanisms,
    messages,
    pipelining,
    policy,
    refusals,
    response_codes,
    secrets,
    sequences,
    service,
    stls,
    syntax,
    timer,
    unique_ids,
    update,
)
from pop3spec.reference.faults.fault import Fault

# What shows in TLS, in a login by SASL, or in the policy of logins.
TLS_AND_SASL = (stls, implicit_tls, auth, mechanisms, policy)

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
    response_codes,
    capabilities,
    update,
    service,
    internationalisation,
    pipelining,
    *TLS_AND_SASL,
)

FAULTS: Mapping[str, Fault] = {
    name: fault for topic in _TOPICS for name, fault in topic.TABLE.faults.items()
}

SEQUENCES: Mapping[str, Fault] = sequences.TABLE.faults
