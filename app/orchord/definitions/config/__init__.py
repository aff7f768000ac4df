"""Config: schemas, config classes, checking, and config as data.

The public names of the package, nothing else. What config a job as a whole takes is definitions/job_config.py.
"""

from orchord.definitions.config.check import CheckResult, check_config
from orchord.definitions.config.config_class import Config, PermissiveConfig, build_config
from orchord.definitions.config.configurable import Configurable, configured, required_config
from orchord.definitions.config.env import EnvVar, env_references, env_resolved
from orchord.definitions.config.json_schema import json_schema
from orchord.definitions.config.mapping import ConfigMapping, config_mapping
from orchord.definitions.config.run_config import RunConfig, as_run_config, laid_over
from orchord.definitions.config.schema import (
    Array,
    BoolSource,
    Enum,
    EnumValue,
    Field,
    IntSource,
    Map,
    Noneable,
    Permissive,
    ScalarUnion,
    Selector,
    Shape,
    StringSource,
    as_schema,
    to_config_type,
)
from orchord.definitions.config.types import (
    ArrayType,
    ConfigField,
    ConfigType,
    EnumType,
    MapType,
    NoneableType,
    ScalarType,
    SelectorType,
    ShapeType,
    UnionType,
    describe,
)

__all__ = [
    "Array",
    "ArrayType",
    "BoolSource",
    "CheckResult",
    "Config",
    "ConfigField",
    "ConfigMapping",
    "ConfigType",
    "Configurable",
    "Enum",
    "EnumType",
    "EnumValue",
    "EnvVar",
    "Field",
    "IntSource",
    "Map",
    "MapType",
    "Noneable",
    "NoneableType",
    "Permissive",
    "PermissiveConfig",
    "RunConfig",
    "ScalarType",
    "ScalarUnion",
    "Selector",
    "SelectorType",
    "Shape",
    "ShapeType",
    "StringSource",
    "UnionType",
    "as_run_config",
    "as_schema",
    "build_config",
    "check_config",
    "config_mapping",
    "configured",
    "describe",
    "env_references",
    "env_resolved",
    "json_schema",
    "laid_over",
    "required_config",
    "to_config_type",
]
