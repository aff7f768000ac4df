"""ConfigMapping: a graph's or job's own small config, and the function that makes its ops' config of it.

Fixed or mapped config of one op or resource is configurable.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, overload

from orchord.definitions.config.check import check_config
from orchord.definitions.config.config_class import Config, build_config
from orchord.definitions.config.configurable import config_class_of
from orchord.definitions.config.env import env_references
from orchord.definitions.config.run_config import RunConfig
from orchord.definitions.config.schema import ConfigSchema, as_schema
from orchord.definitions.config.types import ConfigType, ShapeType
from orchord.errors import InvalidConfigError, InvalidDefinitionError


class ConfigMapping:
    """Makes the config of what is inside a graph or job of a config of its own.

    Args:
        config_fn: Takes the outer config, returns the inner one: a dict, or a RunConfig.
        config_schema: What the function takes; from its annotation when that is a Config class.
        receive_processed_config_values: False hands the function the config as given, without defaults.
    """

    def __init__(
        self,
        config_fn: Callable[[Any], Any],
        config_schema: Any = None,
        receive_processed_config_values: bool | None = None,
    ) -> None:
        if not callable(config_fn):
            raise InvalidDefinitionError(f"A ConfigMapping's config_fn is {config_fn!r}; it must be a function.")
        self.config_fn = config_fn
        self.config_cls: type[Config] | None = config_class_of(config_fn) if config_schema is None else None
        self.schema: ConfigSchema = as_schema(self.config_cls or config_schema)
        self.receive_processed_config_values = receive_processed_config_values is not False

    @property
    def config_type(self) -> ConfigType:
        """What the function takes, as data."""
        return self.schema.config_type

    def resolve(self, config: Any, path: str = "") -> dict[str, Any]:
        """Check outer config and return the inner config that it becomes.

        Raises:
            InvalidConfigError: the outer config has mistakes, or the function returned no dict.
        """
        plain = env_references(config)
        if plain is None and isinstance(self.config_type, ShapeType):
            plain = {}
        result = check_config(self.config_type, plain, path)
        if result.mistakes:
            raise InvalidConfigError("Config has mistakes", result.mistakes)
        value = result.value if self.receive_processed_config_values else plain
        if self.config_cls is not None:
            value = build_config(self.config_cls, value, path)
        else:
            value = self.schema.to_python(value)
        inner = self.config_fn(value)
        if isinstance(inner, RunConfig):
            return inner.to_config_dict()
        if not isinstance(inner, dict):
            found = f"{path or 'config'}: the function returned {type(inner).__name__}, expected a dict or RunConfig."
            raise InvalidConfigError("A config mapping's function is wrong", [found])
        references: dict[str, Any] = env_references(inner)
        return references


@overload
def config_mapping(config_fn: Callable[..., Any]) -> ConfigMapping: ...
@overload
def config_mapping(
    config_fn: None = None, *, config_schema: Any = None, receive_processed_config_values: bool | None = None
) -> Callable[[Callable[..., Any]], ConfigMapping]: ...
def config_mapping(
    config_fn: Callable[..., Any] | None = None,
    *,
    config_schema: Any = None,
    receive_processed_config_values: bool | None = None,
) -> ConfigMapping | Callable[[Callable[..., Any]], ConfigMapping]:
    """Make a ConfigMapping of the decorated function."""

    def make(function: Callable[..., Any]) -> ConfigMapping:
        return ConfigMapping(function, config_schema, receive_processed_config_values)

    return make if config_fn is None else make(config_fn)
