"""Ports for servers of tests that begin to listen only a while after their port was chosen.

Of what the system says is free now, another server, or any connection, may take it meanwhile; these come from a range
that the system gives to nobody, of which each process of a test run has a part of its own.
"""

from __future__ import annotations

import itertools
import os

from orchord.embedded.processes import port_is_free

_FIRST = 20_000
_EACH = 1_000

_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_own = itertools.cycle(range(_FIRST + _worker * _EACH, _FIRST + (_worker + 1) * _EACH))


def own_port() -> int:
    """Return a port at which nobody listens, and that no other process of this test run will choose."""
    return next(port for port in itertools.islice(_own, _EACH) if port_is_free(port))
