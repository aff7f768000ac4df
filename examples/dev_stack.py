"""``orchord dev`` as a child of a script: started on a free port, ready when it answers so, stopped with all it began.

Used by demo.py, and by ``make up`` and ``make down``: ``python examples/dev_stack.py up|down``.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

EXAMPLES = Path(__file__).resolve().parent
NUMBERS = EXAMPLES / "numbers" / "definitions.py"
STATE = EXAMPLES.parent / ".orchord"
READY_SECONDS = 60.0


class DevStack:
    """One ``orchord dev`` that serves the numbers example. Its output goes to ``log``."""

    def __init__(self, home: Path, log: Path, *options: str) -> None:
        self.log = log
        orchord = Path(sys.executable).with_name("orchord")
        command = [str(orchord), "dev", "-f", str(NUMBERS), "--home", str(home), "--no-reload", *options]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ORCHORD_")}
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, start_new_session=True
            )

    def wait_until_ready(self) -> str:
        """Return the stack's address once database, broker and worker answer.

        Raises:
            SystemExit: it ended, or was not ready in time; what it said is in the message.
        """
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            found = re.search(r"http://\S+", self.log.read_text(errors="replace"))
            if found and is_ready(found[0]):
                return found[0]
            time.sleep(0.05)
        self.stop()
        raise SystemExit(f"`orchord dev` was not ready within {READY_SECONDS:.0f} s. It said:\n{self.log.read_text()}")

    def stop(self) -> None:
        """Stop it as Ctrl-C would, and wait for its end."""
        stop(self.process.pid)
        self.process.wait(30)


def is_ready(address: str) -> bool:
    """Return whether a run could be started and carried out."""
    try:
        return httpx.get(f"{address}/readyz", timeout=2, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def stop(pid: int) -> None:
    """Ask a process to end; one that has ended is fine."""
    try:
        os.kill(pid, signal.SIGINT)
    except ProcessLookupError:
        return


def running_pid() -> int | None:
    """Return the process id that ``up`` noted, if that process still is an ``orchord dev``."""
    try:
        pid = int((STATE / "up.pid").read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return None
    return pid if b"dev" in command and str(NUMBERS).encode() in command else None


def up() -> None:
    """Start the stack in the background on port 3000 or the next free one, and print its address."""
    if running_pid() is None:
        STATE.mkdir(exist_ok=True)
        stack = DevStack(STATE / "home", STATE / "up.log")
        (STATE / "up.pid").write_text(str(stack.process.pid))
        (STATE / "up.address").write_text(stack.wait_until_ready())
    address = (STATE / "up.address").read_text()
    print(f"Orchord is at {address} (API documentation: {address}/docs); `make down` stops it.")
    print(f"""Try: curl -s '{address}/api/v1/runs?wait_seconds=60' --json '{{"job": "process_numbers"}}'""")
    print(f"Logs: {STATE / 'up.log'}. For the command line: export ORCHORD_HOME={STATE / 'home'}")


def down() -> None:
    """Stop what ``up`` started."""
    pid = running_pid()
    if pid is None:
        return
    stop(pid)
    deadline = time.monotonic() + 30
    while running_pid() is not None:
        if time.monotonic() > deadline:
            raise SystemExit(f"Process {pid} does not stop; see {STATE / 'up.log'}")
        time.sleep(0.05)
    print("Stopped.")


if __name__ == "__main__":
    {"up": up, "down": down}[sys.argv[1]]()
