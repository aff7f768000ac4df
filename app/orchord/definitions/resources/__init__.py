"""Resources: what ops share, and how it is set up and torn down.

The public names of the package, nothing else. IO managers' definitions are in definitions/io_manager.py.
"""

from orchord.definitions.resources.building import build_init_resource_context
from orchord.definitions.resources.configurable import (
    ConfigurableResource,
    ConfigurableResourceFactory,
    PartialResource,
)
from orchord.definitions.resources.context import InitResourceContext
from orchord.definitions.resources.definition import ResourceDefinition, as_resource_definition, resource
from orchord.definitions.resources.io_manager_classes import ConfigurableIOManager, ConfigurableIOManagerFactory
from orchord.definitions.resources.opening import build_resources, needed_resource_keys, open_resources
from orchord.definitions.resources.param import ResourceDependency, ResourceParam, is_resource_annotation
from orchord.definitions.resources.values import Resources, UnknownResourceError

__all__ = [
    "ConfigurableIOManager",
    "ConfigurableIOManagerFactory",
    "ConfigurableResource",
    "ConfigurableResourceFactory",
    "InitResourceContext",
    "PartialResource",
    "ResourceDefinition",
    "ResourceDependency",
    "ResourceParam",
    "Resources",
    "UnknownResourceError",
    "as_resource_definition",
    "build_init_resource_context",
    "build_resources",
    "is_resource_annotation",
    "needed_resource_keys",
    "open_resources",
    "resource",
]
