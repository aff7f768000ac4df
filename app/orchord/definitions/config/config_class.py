"""Config and PermissiveConfig: config as pydantic classes, for ops, assets and resources.

Their types as data are made in annotations.py; resources build on these classes in ../resources/.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar, get_origin

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from orchord.definitions.config.annotations import model_type
from orchord.definitions.config.check import shown
from orchord.definitions.config.env import holds_env_var
from orchord.definitions.config.plain import plain_model
from orchord.definitions.config.python_values import Converter, converter_for
from orchord.definitions.config.types import ShapeType
from orchord.errors import InvalidConfigError

_QUICK_TYPES = frozenset({str, int, float, bool, type(None)})
_ConfigT = TypeVar("_ConfigT", bound=BaseModel)


def is_gated(model: type) -> bool:
    """Whether a model converts its own fields' config data."""
    return hasattr(model, "_gate_passes")


class FieldGate:
    """Stands before the validator of one field.

    It lets through what stands for a value that only launch knows (an EnvVar), and turns config data into what
    pydantic takes (selectors into tagged unions, names into enum members).
    """

    def __init__(self, convert: Converter | None, passes: Callable[[Any], bool]) -> None:
        self._convert = convert
        self._passes = passes

    def __call__(self, value: Any, validate: Callable[[Any], Any]) -> Any:
        if type(value) not in _QUICK_TYPES and self._passes(value):
            return value
        return validate(value if self._convert is None else self._convert(value))


def _set_gates(model: Any, schema: Mapping[str, Any]) -> None:
    fields = _model_fields(schema)
    known: dict[str, FieldInfo] = getattr(model, "__pydantic_fields__", {})
    for name, entry in fields.items():
        field = known.get(name)
        # pydantic wants to see a discriminator's own schema, and a literal is no place for an EnvVar.
        if field is None or get_origin(field.annotation) is Literal:
            continue
        holder = entry
        while holder["schema"]["type"] == "default":
            holder = holder["schema"]
        inner = holder["schema"]
        if isinstance(inner.get("function", {}).get("function"), FieldGate):
            continue
        metadata = (*field.metadata, field) if field.discriminator is not None else tuple(field.metadata)
        gate = FieldGate(converter_for(field.annotation, metadata, is_gated), model._gate_passes(name, field))
        holder["schema"] = core_schema.no_info_wrap_validator_function(gate, inner)


def _model_fields(schema: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the fields inside a model's schema, which validators of the whole model may wrap."""
    inner: Any = schema
    while isinstance(inner, Mapping):
        if inner.get("type") == "model-fields":
            found: dict[str, dict[str, Any]] = inner["fields"]
            return found
        inner = inner.get("schema")
    return {}


class Config(BaseModel):
    """Config of an op, an asset or a resource, as a pydantic class.

    Fields may be nested Config classes, ``Optional``, ``Literal``, enums, lists, dicts, unions and
    discriminated unions, with pydantic's constraints. Unknown keys are mistakes; instances are frozen. A field's value
    may be an EnvVar.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def to_config_type(cls) -> ShapeType:
        """Return what this class's config looks like, as data."""
        return model_type(cls)

    def to_config_dict(self) -> dict[str, Any]:
        """Return this config as plain data: EnvVars as ``{"env": NAME}``, enums by name, secrets left out."""
        return plain_model(self, self.to_config_type())

    @classmethod
    def _gate_passes(cls, name: str, field: FieldInfo) -> Callable[[Any], bool]:
        """Return what decides whether a value goes past the validator of a field."""
        return holds_env_var

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        # A generic or recursive class is known by reference; its gates stand in the schema referred to.
        _set_gates(cls, handler.resolve_ref_schema(schema) if schema["type"] == "definition-ref" else schema)
        return schema


class PermissiveConfig(Config):
    """Config that keeps keys it does not know, as attributes."""

    model_config = ConfigDict(extra="allow")


def build_config(model: type[_ConfigT], value: Any, path: str = "") -> _ConfigT:
    """Make an instance of a Config class from config data, for the function that asks for it.

    Raises:
        InvalidConfigError: what pydantic refuses; each mistake has its path. Secret values are not shown.
    """
    try:
        return model.model_validate({} if value is None else value)
    except ValidationError as error:
        mistakes = validation_mistakes(error, model_type(model), path)
    # Outside the handler: pydantic's own error shows values, and would be printed as this one's context.
    raise InvalidConfigError(f"Config does not fit {model.__name__}", mistakes)


def validation_mistakes(error: ValidationError, type_: ShapeType, path: str = "") -> list[str]:
    """Word each of pydantic's errors with its path and, unless the field is secret, the value found."""
    mistakes = []
    for item in error.errors(include_url=False, include_context=False):
        where = path
        for part in item["loc"]:
            where = f"{where}[{part}]" if isinstance(part, int) else f"{where}.{part}" if where else str(part)
        field = type_.fields.get(str(item["loc"][0])) if item["loc"] else None
        is_shown = item["type"] != "missing" and item["loc"] and not (field is not None and field.is_secret)
        found = f"found {shown(item['input'])}. " if is_shown else ""
        mistakes.append(f"{where or 'config'}: {found}{item['msg']}.")
    return mistakes
