"""What users define: ops, graphs, jobs, assets, resources, config, hooks, schedules and sensors, as pure objects.

Nothing here reads a clock, the environment or a disk. Steps are made in plan/, executed in execution/. Users import
the names from ``orchord``; modules of the product import them from the module that defines them.
"""

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchord.definitions.definitions_object import definitions as definitions
else:

    class _Package(ModuleType):
        """This package, which is called where users write ``@orchord.definitions``: one name for both."""

        def __call__(self, function: Any) -> Any:
            # The package's modules import the package first, so it cannot import them at its top.
            return importlib.import_module("orchord.definitions.definitions_object").definitions(function)

    definitions = sys.modules[__name__]
    definitions.__class__ = _Package
