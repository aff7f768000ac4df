"""``.configured()``: the same kind of object with its config fixed, or mapped from another config.

Ops, graphs, resources, IO managers, executors and loggers mix ``Configurable`` in. What config a job as a whole takes
is job_config.py beside this package.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self, TypeVar

from orchord.definitions.config.check import check_config
from orchord.definitions.config.config_class import Config, build_config
from orchord.definitions.config.env import default_env_names, env_names, env_references, env_resolved
from orchord.definitions.config.schema import ConfigSchema, as_schema
from orchord.definitions.config.types import ConfigType, ShapeType
from orchord.definitions.type_hints import type_hints
from orchord.errors import InvalidConfigError, InvalidDefinitionError, InvalidInvocationError

_DefinitionT = TypeVar("_DefinitionT", bound="Configurable")


@dataclass(frozen=True)
class ConfigLayer:
    """One use of ``.configured()``: what is taken from outside, and what it becomes inside."""

    outer: ConfigSchema
    config_fn: Callable[[Any], Any]
    config_cls: type[Config] | None = None
    fixed: Any = None

    def inner_config(self, value: Any) -> Any:
        """Return the config that a checked value becomes."""
        given = build_config(self.config_cls, value) if self.config_cls is not None else self.outer.to_python(value)
        inner = self.config_fn(given)
        return inner.to_config_dict() if isinstance(inner, Config) else inner


class Configurable:
    """A mix-in for whatever has config. ``config_type`` is what it takes from outside, None for anything."""

    config_type: ConfigType | None = None
    _config_schema: ConfigSchema | None = None
    _config_layers: tuple[ConfigLayer, ...] = ()
    _configured_needs_name = False

    def configured(
        self,
        config_or_config_fn: Any,
        name: str | None = None,
        config_schema: Any = None,
        description: str | None = None,
    ) -> Self:
        """Return a copy with its config fixed, or made from another config.

        Args:
            config_or_config_fn: The config, or a function from the new config to this object's.
            name: The copy's name, for ops and graphs.
            config_schema: What the function takes; from its annotation when that is a Config class.
            description: The copy's description.

        Raises:
            InvalidDefinitionError: a config does not fit; every mistake is listed.
        """
        if self._configured_needs_name and name is None:
            raise InvalidDefinitionError(
                f"configured() of {self!r} has no name. Give name= to tell it from the original."
            )
        if callable(config_or_config_fn) and not isinstance(config_or_config_fn, Config):
            layer = _mapping_layer(config_or_config_fn, config_schema)
        else:
            layer = self._fixed_layer(config_or_config_fn, config_schema)
        made = copy.copy(self)
        changes: dict[str, Any] = {
            "config_type": layer.outer.config_type,
            "_config_schema": self._config_schema or (ConfigSchema(self.config_type) if self.config_type else None),
            "_config_layers": (layer, *self._config_layers),
        }
        if name is not None:
            changes["name"] = name
        if description is not None:
            changes["description"] = description
        for attribute, value in changes.items():
            object.__setattr__(made, attribute, value)
        made.__dict__.pop("env_var_names", None)
        return made

    @cached_property
    def env_var_names(self) -> frozenset[str]:
        """The environment variables that it reads by itself, beneath whatever config it is given."""
        inner = self._config_schema.config_type if self._config_schema is not None else self.config_type
        names = set() if inner is None else set(default_env_names(inner))
        for layer in self._config_layers:
            names.update(env_names(layer.fixed), default_env_names(layer.outer.config_type))
        return frozenset(names)

    def resolve_config(self, raw: Any, path: str = "") -> Any:
        """Check config given from outside, and return it as user code sees it.

        Defaults are filled in, ``configured`` layers applied, environment variables read, and enums' Python values put
        in. For the process that runs user code.

        Raises:
            InvalidConfigError: every mistake, with its path.
        """
        value = raw
        for layer in self._config_layers:
            value = layer.inner_config(_checked(layer.outer.config_type, value, path))
            path = f"{path}(configured)" if path else "configured"
        schema = self._config_schema
        if schema is None:
            return value if self.config_type is None or self._config_layers else _checked(self.config_type, value, path)
        return schema.to_python(_checked(schema.config_type, value, path))

    def _fixed_layer(self, config: Any, config_schema: Any) -> ConfigLayer:
        if config_schema is not None:
            raise InvalidDefinitionError(
                "configured() has a config_schema and a fixed config. A schema is for the config of a function; "
                "leave it out, or give a function."
            )
        plain = env_references(config.to_config_dict() if isinstance(config, Config) else config)
        if self.config_type is not None:
            mistakes = check_config(self.config_type, plain, "config").mistakes
            if mistakes:
                raise InvalidConfigError(f"configured() of {self!r} has config that does not fit", mistakes)
        return ConfigLayer(ConfigSchema(ShapeType("", {})), lambda _: plain, fixed=plain)


def _mapping_layer(config_fn: Callable[..., Any], config_schema: Any) -> ConfigLayer:
    config_cls = config_class_of(config_fn) if config_schema is None else None
    return ConfigLayer(as_schema(config_cls or config_schema), config_fn, config_cls)


def config_class_of(function: Callable[..., Any]) -> type[Config] | None:
    """Return the Config class that a function's only parameter is annotated with, or None."""
    try:
        parameters = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return None
    hints = type_hints(function)
    hint = hints.get(parameters[0]) if len(parameters) == 1 else None
    return hint if isinstance(hint, type) and issubclass(hint, Config) else None


def configured(
    configurable: _DefinitionT,
    config_schema: Any = None,
    name: str | None = None,
    description: str | None = None,
) -> Callable[[Callable[..., Any]], _DefinitionT]:
    """Decorate a function from a new config to an object's config; the result is the configured object.

    Ops and graphs get the function's name unless one is given.

    Raises:
        InvalidInvocationError: what is to be configured has no config.
    """
    if not isinstance(configurable, Configurable):
        raise InvalidInvocationError(
            f"@configured was given {configurable!r} ({type(configurable).__name__}), which has no config. "
            "Give an op, graph, resource, IO manager, executor or logger, as in @configured(my_resource)."
        )

    def decorate(config_fn: Callable[..., Any]) -> _DefinitionT:
        needs_name = configurable._configured_needs_name
        return configurable.configured(
            config_fn,
            name=name or (config_fn.__name__ if needs_name else None),
            config_schema=config_schema,
            description=description or inspect.getdoc(config_fn),
        )

    return decorate


def _checked(type_: ConfigType, value: Any, path: str) -> Any:
    plain = env_references(value)
    if plain is None and isinstance(type_, ShapeType):
        plain = {}
    result = check_config(type_, plain, path)
    if result.mistakes:
        raise InvalidConfigError("Config has mistakes", result.mistakes)
    return env_resolved(result.value, type_, path)


def required_config(config_type: ConfigType | None) -> bool:
    """Whether config has to be given: ``{}`` alone does not satisfy the type."""
    return config_type is not None and bool(check_config(config_type, {}).mistakes)
