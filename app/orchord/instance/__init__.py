"""The instance: what orchord.yaml names, wired into one object that launches runs and reads what is stored.

Parsing is config.py and storage_section.py, plug-ins plugins.py; launching is launch.py and reexecution.py; the ports
that workers and plug-ins implement are launchers.py and coordinators.py.
"""

from orchord.execution import install_ephemeral
from orchord.instance.config import InstanceConfig
from orchord.instance.coordinators import DefaultRunCoordinator, RunCoordinator
from orchord.instance.instance import OrchordInstance
from orchord.instance.launch import LaunchRequest
from orchord.instance.launchers import LaunchRunContext, RunLauncher, RunWatch

install_ephemeral(OrchordInstance.ephemeral)

__all__ = [
    "DefaultRunCoordinator",
    "InstanceConfig",
    "LaunchRequest",
    "LaunchRunContext",
    "OrchordInstance",
    "RunCoordinator",
    "RunLauncher",
    "RunWatch",
]
