"""The entry of interpreters that are started for steps: ``python -m orchord.execution.processes.main``.

Not for people: the numbers are of sockets that the starting process hands on (children.py, template.py).
"""

from __future__ import annotations

import os
import socket
import sys

from orchord.execution.processes.child import become_step_process, serve_step, to_the_end
from orchord.execution.processes.children import IMPORT_PATH_VARIABLE
from orchord.execution.processes.template import template_main
from orchord.settings import environment_value


def main(arguments: list[str]) -> int:
    """Be what the arguments say: ``step DATA`` or ``template ASKED LIFE``."""
    folders = (environment_value(IMPORT_PATH_VARIABLE) or "").split(os.pathsep)
    sys.path += [folder for folder in folders if folder and folder not in sys.path]
    role, *numbers = arguments
    sockets = [socket.socket(fileno=int(number)) for number in numbers]
    for one in sockets:
        one.set_inheritable(False)
    if role == "template":
        return template_main(*sockets)
    become_step_process()
    return serve_step(sockets[0], None)


if __name__ == "__main__":
    to_the_end(lambda: main(sys.argv[1:]))
