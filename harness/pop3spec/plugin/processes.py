"""pytest-xdist: what each process is given, and what comes back."""

from typing import Any

import pytest

from pop3spec import fleet
from pop3spec.plugin.state import STATE
from pop3spec.report.text import one_line


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    """Nothing is copied to other machines unasked, least of all over a clone there."""
    session: Any = config.pluginmanager.get_plugin("dsession")
    if not config.getoption("rsyncdir"):
        session.nodemanager.roots = []


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a process of pytest-xdist its share, and what was seen of the target."""
    state = node.config.stash[STATE]
    count = int(node.workerinput["workercount"])
    node.workerinput["pop3spec_share"] = (state.shares.give(node.gateway.id, count), count)
    # Another machine has neither this one's environment nor its profile; the channel to it is
    # a pipe, or SSH, and no command line.
    node.workerinput["pop3spec_settings"] = fleet.packed(state.settings)
    if state.observed:
        node.workerinput["pop3spec_observed"] = state.observed
    if state.run is not None:
        users = [mailbox.account.user for mailbox in state.run.mailboxes if mailbox.problem]
        node.workerinput["pop3spec_unusable"] = users
    node.workerinput["pop3spec_taken"] = state.claims.taken
    node.workerinput["pop3spec_seed"] = state.settings.seed


@pytest.hookimpl(optionalhook=True)
def pytest_testnodeready(node: Any) -> None:
    """It has read its options, and imported what it needs."""
    node.config.stash[STATE].shares.ready(node.gateway.id)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Whoever comes in its place gets its accounts; UsageError if there is no use in that."""
    state = node.config.stash[STATE]
    # All of them collect the same.
    state.whole_files.update(getattr(node, "workeroutput", {}).get("pop3spec_whole_files", ()))
    was_ready = state.shares.take_back(node.gateway.id)
    if error and not was_ready:
        raise pytest.UsageError(
            f"a process did not start (--tx={node.gateway.spec}): {one_line(str(error), 200)};"
            " the same pop3spec and pytest have to be there, see docs/fleet.md"
        )
