"""The program of the process that uploads logs on behalf of one that forks: ``python -m orchord.instance.log_keeper``.

It reads tasks from its standard input, a line each, and writes what is done; it ends with its input.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from orchord.compute_logs.keeping import serve_tasks
from orchord.compute_logs.streams import StreamName
from orchord.instance.instance import OrchordInstance
from orchord.settings import Settings


def main() -> None:
    """Upload what is asked for, with the compute log manager of the home that the first argument names."""
    # Who stops the worker lets it finish what it has: the end of the input is the sign.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    instance = OrchordInstance.from_home(Settings(Path(sys.argv[1]), home_is_given=True), tells=False)
    manager = instance.compute_log_manager

    def keep(name: StreamName, path: str, is_complete: bool) -> None:
        manager.keep(name, path, is_complete=is_complete)

    def tell(line: bytes) -> None:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()

    serve_tasks(sys.stdin.buffer.readline, tell, keep)
    instance.dispose()


if __name__ == "__main__":
    main()
