"""pytest: options, collection, test results, failure text, reports.

The only part that turns outcomes into test results. It is loaded by the clone's conftest.py,
by `pop3spec run`, or with `-p pop3spec.plugin`; its hooks are those that are imported here.
"""

import sys

import pytest

from pop3spec.plugin.collecting import (
    pytest_collect_file,
    pytest_collection_finish,
    pytest_deselected,
    pytest_generate_tests,
)
from pop3spec.plugin.configuring import pytest_addoption, pytest_configure, pytest_unconfigure
from pop3spec.plugin.ending import pytest_sessionfinish
from pop3spec.plugin.processes import (
    pytest_configure_node,
    pytest_testnodedown,
    pytest_testnodeready,
    pytest_xdist_setupnodes,
)
from pop3spec.plugin.python_tests import pytest_pyfunc_call
from pop3spec.plugin.running import (
    pytest_runtest_makereport,
    pytest_runtest_protocol,
    pytest_runtestloop,
    pytest_sessionstart,
)
from pop3spec.plugin.secrets import pytest_make_collect_report
from pop3spec.plugin.terminal import pytest_report_header, pytest_terminal_summary

__all__ = [
    "pytest_addoption",
    "pytest_collect_file",
    "pytest_collection_finish",
    "pytest_configure",
    "pytest_configure_node",
    "pytest_deselected",
    "pytest_generate_tests",
    "pytest_make_collect_report",
    "pytest_pyfunc_call",
    "pytest_report_header",
    "pytest_runtest_makereport",
    "pytest_runtest_protocol",
    "pytest_runtestloop",
    "pytest_sessionfinish",
    "pytest_sessionstart",
    "pytest_terminal_summary",
    "pytest_testnodedown",
    "pytest_testnodeready",
    "pytest_unconfigure",
    "pytest_xdist_setupnodes",
]

if sys.platform == "win32":  # pragma: no cover
    raise pytest.UsageError("pop3spec needs a POSIX system")
