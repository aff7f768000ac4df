"""Environment variables in config: EnvVar, and putting their values in at launch.

Config as data holds ``{"env": NAME}`` and never the value; a value is read only in the process that runs user code,
and appears in no repr and no error text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from orchord.definitions.config.check import as_scalar, check_config, constraint_mistake, is_env_reference
from orchord.definitions.config.types import (
    ArrayType,
    ConfigType,
    MapType,
    NoneableType,
    ScalarType,
    SelectorType,
    ShapeType,
    UnionType,
    describe,
)
from orchord.errors import InvalidConfigError, InvariantViolationError
from orchord.settings import environment_value

_TRUE_WORDS = frozenset({"true", "1", "yes", "on"})
_FALSE_WORDS = frozenset({"false", "0", "no", "off"})


class EnvVar(str):
    """The value of an environment variable, read when a run is launched: ``EnvVar("TOKEN")``, ``EnvVar.int("PORT")``.

    It stands in for a string (or, by ``EnvVar.int``, an integer) in config and in resources. Use it as a value and you
    get an error rather than the variable's name; ``get_value()`` reads the variable.
    """

    __slots__ = ()

    @classmethod
    def int(cls, name: str) -> IntEnvVar:
        """Stand in for an integer."""
        return IntEnvVar.create(name)

    @property
    def env_var_name(self) -> str:
        """The variable's name."""
        return str.__str__(self)

    def get_value(self, default: str | None = None) -> str | None:
        """Read the variable now; ``default`` when it is not set."""
        value = environment_value(self.env_var_name)
        return default if value is None else value

    def __str__(self) -> str:
        raise InvariantViolationError(
            f"{self!r} is used as a value, but it stands for one: it is read when a run is launched. "
            "Pass it on as config, or read it now by get_value()."
        )

    def __format__(self, spec: str) -> str:
        return str(self)

    def __repr__(self) -> str:
        return f"EnvVar({str.__str__(self)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (EnvVar, (str.__str__(self),))


class IntEnvVar(int):
    """The integer form of EnvVar; made by ``EnvVar.int(NAME)``."""

    env_var_name: str

    @classmethod
    def create(cls, name: str) -> IntEnvVar:
        """Make one for a variable's name."""
        made = cls(0)
        made.env_var_name = name
        return made

    def get_value(self, default: int | None = None) -> int | None:
        """Read the variable now as an integer; ``default`` when it is not set.

        Raises:
            InvalidConfigError: the variable does not hold an integer.
        """
        text = environment_value(self.env_var_name)
        if text is None:
            return default
        value = _parsed("Int", text)
        if value is None:
            raise InvalidConfigError("Config cannot be read", [_unfit(self.env_var_name, "Int")])
        return int(value)

    def __str__(self) -> str:
        raise InvariantViolationError(
            f"{self!r} is used as a value, but it stands for one: it is read when a run is launched. "
            "Pass it on as config, or read it now by get_value()."
        )

    def __format__(self, spec: str) -> str:
        return str(self)

    def __repr__(self) -> str:
        return f"EnvVar.int({self.env_var_name!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (IntEnvVar.create, (self.env_var_name,))


def is_env_var(value: Any) -> bool:
    """Whether a value is an EnvVar of either kind."""
    return isinstance(value, (EnvVar, IntEnvVar))


def holds_env_var(value: Any) -> bool:
    """Whether a value is an EnvVar or plain data that holds one."""
    if isinstance(value, (EnvVar, IntEnvVar)):
        return True
    if isinstance(value, Mapping):
        return any(holds_env_var(item) for item in value.values())
    return isinstance(value, (list, tuple, set, frozenset)) and any(holds_env_var(item) for item in value)


def env_references(value: Any) -> Any:
    """Return plain data with each EnvVar as ``{"env": NAME}``, fit to be stored."""
    if isinstance(value, (EnvVar, IntEnvVar)):
        return {"env": value.env_var_name}
    if isinstance(value, Mapping):
        return {key: env_references(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [env_references(item) for item in value]
    return value


def env_names(value: Any) -> Iterator[str]:
    """Yield the names of the environment variables that EnvVars and ``{"env": NAME}`` in a value refer to."""
    if is_env_var(value):
        yield value.env_var_name
    elif is_env_reference(value):
        yield value["env"]
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from env_names(item)
    elif isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        for item in value:
            yield from env_names(item)


def default_env_names(type_: ConfigType) -> Iterator[str]:
    """Yield the names of the environment variables that defaults in a config type refer to."""
    match type_:
        case ShapeType(fields=fields) | SelectorType(fields=fields):
            for field in fields.values():
                yield from env_names(field.default)
                yield from default_env_names(field.type)
        case NoneableType(inner=inner) | ArrayType(inner=inner) | MapType(value=inner):
            yield from default_env_names(inner)
        case UnionType(options=options):
            for option in options:
                yield from default_env_names(option)
        case _:
            return


def env_resolved(value: Any, type_: ConfigType | None = None, path: str = "") -> Any:
    """Put the values of environment variables in. For the process that runs user code alone.

    Args:
        value: Checked config: plain data, possibly with EnvVars.
        type_: With a type, ``{"env": NAME}`` is a reference only where the type is a ``…Source``, so that a field may
            itself be called ``env``, and values are read as the type says. Without, every such dict is a reference.
        path: Where the value stands, for error texts.

    Raises:
        InvalidConfigError: variables that are not set, or do not hold what the type says; all of them.
    """
    mistakes: list[str] = []
    resolved = _untyped(value, path, mistakes) if type_ is None else _typed(type_, value, path, mistakes)
    if mistakes:
        raise InvalidConfigError("Config refers to environment variables that cannot be used", mistakes)
    return resolved


def _untyped(value: Any, path: str, mistakes: list[str]) -> Any:
    if isinstance(value, IntEnvVar):
        return _read(ScalarType("Int"), value.env_var_name, path, mistakes)
    if isinstance(value, EnvVar):
        return _read(ScalarType("String"), value.env_var_name, path, mistakes)
    if is_env_reference(value):
        return _read(ScalarType("String"), value["env"], path, mistakes)
    if isinstance(value, Mapping):
        return {key: _untyped(item, _joined(path, key), mistakes) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_untyped(item, f"{path}[{index}]", mistakes) for index, item in enumerate(value)]
    return value


def _typed(type_: ConfigType, value: Any, path: str, mistakes: list[str]) -> Any:
    match type_:
        case ScalarType(name="Any"):
            return _untyped(value, path, mistakes) if holds_env_var(value) else value
        case ScalarType(name=name):
            if is_env_var(value):
                return _read(type_, value.env_var_name, path, mistakes)
            if name.endswith("Source") and is_env_reference(value):
                return _read(type_, value["env"], path, mistakes)
            return value
        case NoneableType(inner=inner):
            return value if value is None else _typed(inner, value, path, mistakes)
        case ArrayType(inner=inner) if isinstance(value, (list, tuple)):
            return [_typed(inner, item, f"{path}[{index}]", mistakes) for index, item in enumerate(value)]
        case MapType(value=inner) if isinstance(value, Mapping):
            return {key: _typed(inner, item, _joined(path, key), mistakes) for key, item in value.items()}
        case ShapeType(fields=fields) | SelectorType(fields=fields) if isinstance(value, Mapping):
            return {
                key: _typed(fields[key].type, item, _joined(path, key), mistakes) if key in fields else item
                for key, item in value.items()
            }
        case UnionType(options=options):
            plain = env_references(value)
            fitting = next((option for option in options if check_config(option, plain).success), None)
            return value if fitting is None else _typed(fitting, value, path, mistakes)
        case _:
            return value


def _read(type_: ScalarType, name: str, path: str, mistakes: list[str]) -> Any:
    where = f"{path or 'config'}: "
    text = environment_value(name)
    if text is None:
        mistakes.append(f"{where}environment variable {name!r} is not set. Set it where the run is executed.")
        return None
    value = _parsed(type_.name.removesuffix("Source"), text)
    if value is None or constraint_mistake(type_, value):
        mistakes.append(where + _unfit(name, describe(type_)))
        return None
    return value


def _unfit(name: str, expected: str) -> str:
    return f"environment variable {name!r} is set, but its value (not shown) is not {expected}."


def _parsed(name: str, text: str) -> Any:
    if name == "Bool":
        word = text.strip().lower()
        return True if word in _TRUE_WORDS else False if word in _FALSE_WORDS else None
    if name in ("Int", "Float"):
        try:
            return as_scalar(name, int(text) if name == "Int" else float(text))
        except ValueError:
            return None
    return text


def _joined(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)
