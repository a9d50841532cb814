"""Scenario, Step, Expect: what a scenario file says, checked and resolved.

The Written… classes are the grammar of a file, one field a key; the schema for
editors is made from them. `load_scenarios` resolves examples, messages and
places to fill in, and refuses what cannot be run or could do harm. Nothing here
knows of targets or sockets.
"""

from pop3spec.scenario.loading import load_scenarios, scenario_id, schema_text
from pop3spec.scenario.problem import ScenarioError
from pop3spec.scenario.resolved import (
    Authenticate,
    Expect,
    Message,
    Observe,
    Scenario,
    ScenarioFile,
    Step,
)
from pop3spec.scenario.written import (
    BUILT_IN,
    ClientClose,
    Closes,
    Handshake,
    Status,
    WrittenExpect,
    WrittenFile,
    WrittenScenario,
    WrittenStep,
)

__all__ = [
    "BUILT_IN",
    "Authenticate",
    "ClientClose",
    "Closes",
    "Expect",
    "Handshake",
    "Message",
    "Observe",
    "Scenario",
    "ScenarioError",
    "ScenarioFile",
    "Status",
    "Step",
    "WrittenExpect",
    "WrittenFile",
    "WrittenScenario",
    "WrittenStep",
    "load_scenarios",
    "scenario_id",
    "schema_text",
]
