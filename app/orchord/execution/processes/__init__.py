"""Steps in processes of their own, on this machine: started, followed, stopped, and what became of them.

What happens inside such a process is the same as anywhere else (step.py). Following a whole run's plan is
orchestration.py, one level up; containers are orchord_workers'.
"""

from orchord.execution.processes.children import ChildStarter, ForkStarter, SpawnStarter, StartFailedError
from orchord.execution.processes.request import ProcessRequest, StepMeans, StepSource
from orchord.execution.processes.step_process import StepProcesses
from orchord.execution.processes.template import StepTemplate

__all__ = [
    "ChildStarter",
    "ForkStarter",
    "ProcessRequest",
    "SpawnStarter",
    "StartFailedError",
    "StepMeans",
    "StepProcesses",
    "StepSource",
    "StepTemplate",
]
