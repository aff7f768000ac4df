"""A run's own copy of a pydantic resource: config laid over its fields, EnvVars read, nested resources put in.

The classes that users write are configurable.py; in which order resources are set up is opening.py.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from orchord.definitions.config.annotations import input_name, own_document
from orchord.definitions.config.check import check_config
from orchord.definitions.config.config_class import validation_mistakes
from orchord.definitions.config.env import env_references, env_resolved, holds_env_var
from orchord.definitions.config.plain import NotPlain, plain_value
from orchord.definitions.config.types import ConfigField, NoneableType, ScalarType, ShapeType, UnionType
from orchord.definitions.resources.definition import ResourceDefinition, held_open
from orchord.errors import InvalidConfigError

if TYPE_CHECKING:
    from orchord.definitions.resources.context import InitResourceContext


class PythonicResource(ResourceDefinition):
    """The definition behind a ConfigurableResource.

    Args:
        resource_cls: The user's class.
        values: The values of fields that are known, by the fields' names.
        holder: The resource, or partial resource, that this defines.
    """

    def __init__(self, resource_cls: Any, values: Mapping[str, Any], holder: Any) -> None:
        super().__init__(resource_cls, description=own_document(resource_cls))
        self.takes_context = True
        self.resource_cls: type[BaseModel] = resource_cls
        self._values = dict(values)
        self._holder = holder
        self._nested = {name: found for name, value in values.items() if (found := _nested(value)) is not None}
        skipped = resource_cls.resource_field_names() | self._nested.keys()
        self._keys = {input_name(name, field): name for name, field in resource_cls.model_fields.items()}
        shape: ShapeType = resource_cls.to_config_type()
        fields = {key: item for key, item in shape.fields.items() if self._keys.get(key, key) not in skipped}
        self._given: dict[str, Any] = {}
        self.shape = ShapeType(
            shape.name,
            {key: self._with_value(key, item) for key, item in fields.items()},
            permissive=shape.permissive,
            description=self.description,
        )
        self.config_type = self.shape
        self.required_resource_keys = frozenset[str]().union(
            *(item.required_resource_keys for item in self._nested.values())
        )

    @property
    def nested(self) -> Mapping[str, Any]:
        """The definitions of the resources in its fields, by field name."""
        return self._nested

    @cached_property
    def env_var_names(self) -> frozenset[str]:
        """The environment variables in its fields, those of resources in its fields included."""
        return super().env_var_names.union(*(item.env_var_names for item in self._nested.values()))

    @property
    def identity(self) -> Any:
        """The user's object: where it stands under a key and in a field, both mean one resource."""
        return self._holder

    @property
    def is_partial(self) -> bool:
        """Whether fields are left to run config."""
        return not isinstance(self._holder, BaseModel)

    @property
    def name(self) -> str:
        """The class's name."""
        return self.resource_cls.__name__

    def resolve_config(self, raw: Any, path: str = "") -> Any:
        """Check config from outside, and return it with the resource's own values as defaults, EnvVars read.

        Raises:
            InvalidConfigError: every mistake, with its path.
        """
        result = check_config(self.shape, {} if raw is None else env_references(raw), path)
        if result.mistakes:
            raise InvalidConfigError("Config has mistakes", result.mistakes)
        return env_resolved(result.value, self.shape, path)

    @contextmanager
    def provide(self, context: InitResourceContext, nested: Mapping[str, Any]) -> Iterator[Any]:
        """Make the run's copy, set it up, provide what it makes, and tear it down."""
        copy: Any = self.launched(context, nested)
        managed = copy.yield_for_execution(context)
        if inspect.isgenerator(managed):
            managed = held_open(managed, self.name)
        with managed as value:
            yield value

    def launched(self, context: InitResourceContext, nested: Mapping[str, Any]) -> Any:
        """Make the run's copy of the resource, not yet set up.

        Raises:
            InvalidConfigError: pydantic refuses the config.
        """
        config = context.resource_config or {}
        changed = {
            self._keys.get(key, key): value
            for key, value in config.items()
            if key not in self._given or self._given[key] != value
        }
        copy: Any = self._copied() if not changed else self._validated(changed)
        kept = {name: value for name, value in self._values.items() if name not in changed}
        # Validated values are kept as they are: a validator that changes its value must not change it twice.
        copy.__dict__.update({**kept, **nested})
        hidden = {name: value for name, value in self._values.items() if holds_env_var(value)}
        copy._orchord_hidden, copy._orchord_context, copy._orchord_definition = hidden, context, None
        return copy

    def _copied(self) -> Any:
        if not isinstance(self._holder, BaseModel):
            return self._validated({})
        copy = self._holder.model_copy()
        self._set_private(copy)
        return copy

    def _validated(self, changed: Mapping[str, Any]) -> Any:
        values = {**self._values, **changed}
        names = {name: key for key, name in self._keys.items()}
        copy = self.resource_cls.__new__(self.resource_cls)
        mistakes: list[str] = []
        try:
            # Not the class's own __init__, which may take anything: pydantic's, which takes fields.
            BaseModel.__init__(copy, **{names.get(name, name): value for name, value in values.items()})
        except ValidationError as error:
            mistakes = validation_mistakes(error, self.shape)
        if mistakes:
            raise InvalidConfigError(f"Config does not fit {self.name}", mistakes)
        if isinstance(self._holder, BaseModel):
            self._keep_private(copy, self._holder)
        return copy

    def _set_private(self, copy: Any) -> None:
        """Give a copy private attributes of its own, so that one run does not see another's."""
        object.__setattr__(copy, "__pydantic_private__", None)
        copy.model_post_init(None)
        self._keep_private(copy, self._holder)

    def _keep_private(self, copy: Any, holder: BaseModel) -> None:
        """A class with its own ``__init__`` may have set private attributes there; nothing else can make them again."""
        if getattr(self.resource_cls, "__pydantic_custom_init__", False) and holder.__pydantic_private__:
            copy.__pydantic_private__.update(holder.__pydantic_private__)

    def _with_value(self, key: str, field: ConfigField) -> ConfigField:
        """A field whose value is known need not be given, and shows that value, unless it is secret."""
        name = self._keys.get(key, key)
        if name not in self._values:
            return field
        value = self._values[name]
        type_ = NoneableType(field.type) if value is None and not isinstance(field.type, NoneableType) else field.type
        by_reference = holds_env_var(value)
        try:
            plain = plain_value(type_, value)
        except NotPlain:
            return ConfigField(type_, False, description=field.description, is_secret=field.is_secret)
        if not by_reference:
            self._given[key] = plain
        elif not check_config(type_, plain).success:
            # A type that knows no references, such as an enum: the text is read at launch, and checked by pydantic.
            type_ = UnionType((ScalarType("StringSource"), type_))
        if field.is_secret and not by_reference and value is not None:
            return ConfigField(type_, False, description=field.description, is_secret=True)
        return ConfigField(type_, False, True, plain, field.description, field.is_secret or by_reference)


def _nested(value: Any) -> ResourceDefinition | None:
    if isinstance(value, ResourceDefinition):
        return value
    define = getattr(type(value), "get_resource_definition", None)
    return value.get_resource_definition() if define is not None else None
