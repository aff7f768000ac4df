"""ConfigurableResource and its factory form: resources as pydantic classes, with a life cycle and nested resources.

An instance is a plain object, usable as such in tests. What makes a run's own copy of it, with environment variables
read and nested resources set up, is launched.py.
"""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, get_args

from pydantic import ConfigDict, PrivateAttr
from pydantic.fields import FieldInfo
from typing_extensions import TypeVar

from orchord.definitions.config.annotations import is_union, model_type, unwrapped
from orchord.definitions.config.config_class import Config
from orchord.definitions.config.env import holds_env_var
from orchord.definitions.config.types import ShapeType
from orchord.definitions.resources.definition import ResourceDefinition
from orchord.definitions.resources.definition import as_resource_definition as as_resource_definition
from orchord.definitions.resources.launched import PythonicResource
from orchord.definitions.resources.opening import open_resources
from orchord.definitions.resources.param import ResourceDependencyMarker
from orchord.errors import InvalidInvocationError

if TYPE_CHECKING:
    from orchord.definitions.resources.context import InitResourceContext

_ValueT = TypeVar("_ValueT", default=Any)
_FactoryT = TypeVar("_FactoryT", bound="ConfigurableResourceFactory[Any]")


class ConfigurableResourceFactory(Config, ABC, Generic[_ValueT]):
    """A resource that provides another object: write ``create_resource``.

    Fields are config, checked by pydantic, or other resources. A field's value may be an EnvVar, which is read when a
    run is launched.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, hide_input_in_errors=True)
    __orchord_resource__: ClassVar[bool] = True

    _orchord_definition: Any = PrivateAttr(default=None)
    _orchord_context: Any = PrivateAttr(default=None)
    _orchord_hidden: dict[str, Any] = PrivateAttr(default_factory=dict)

    @abstractmethod
    def create_resource(self, context: "InitResourceContext") -> _ValueT:
        """Return the object that user code gets."""

    def setup_for_execution(self, context: "InitResourceContext") -> None:
        """Prepare the resource, before anything uses it. Called once for each process that uses it."""

    def teardown_after_execution(self, context: "InitResourceContext") -> None:
        """Clean up. Called when everything that used the resource has ended, whether or not it failed."""

    @contextlib.contextmanager
    def yield_for_execution(self, context: "InitResourceContext") -> Iterator[_ValueT]:
        """Set up, provide the resource, tear down. Override it instead of the two methods to use a ``with`` inside."""
        self.setup_for_execution(context)
        try:
            yield self.create_resource(context)
        finally:
            self.teardown_after_execution(context)

    @classmethod
    def configure_at_launch(cls: type[_FactoryT], **values: Any) -> "PartialResource":
        """Return this resource with fields left to run config (``resources.<key>.config``).

        Args:
            **values: Fields that are known already; run config may override them.
        """
        return PartialResource(cls, values)

    def get_resource_context(self) -> "InitResourceContext":
        """Return the context of the run, while the resource is set up and used in one.

        Raises:
            InvalidInvocationError: the resource is used outside of a run.
        """
        if self._orchord_context is None:
            raise InvalidInvocationError(
                f"{type(self).__name__}.get_resource_context() was called outside of a run. In a test, use "
                "build_resources, or with_resource_context(build_init_resource_context(...))."
            )
        context: InitResourceContext = self._orchord_context
        return context

    def with_resource_context(self, context: "InitResourceContext") -> Self:
        """Return a copy whose ``get_resource_context()`` returns a context."""
        made = self.model_copy()
        made._orchord_context = context
        return made

    def get_resource_definition(self) -> ResourceDefinition:
        """Return how this resource is made; always the same definition."""
        definition: PythonicResource | None = self._orchord_definition
        # A copy of a resource has copied this attribute too, and is another resource.
        if definition is None or definition.identity is not self:
            definition = self._orchord_definition = PythonicResource(type(self), self.__dict__, self)
        return definition

    @contextlib.contextmanager
    def process_config_and_initialize_cm(self) -> Iterator[_ValueT]:
        """Set the resource up outside of a run: EnvVars read, nested resources set up; tear it down at the end."""
        with open_resources({"resource": self.get_resource_definition()}, {}, {"resource"}) as resources:
            yield resources.get("resource")

    def process_config_and_initialize(self) -> _ValueT:
        """Set the resource up outside of a run, for one that has nothing to tear down.

        Raises:
            InvalidInvocationError: it has a tear-down; use ``process_config_and_initialize_cm``.
        """
        cls = type(self)
        plain = ConfigurableResourceFactory
        if (
            cls.teardown_after_execution is not plain.teardown_after_execution
            or cls.yield_for_execution is not plain.yield_for_execution
        ):
            raise InvalidInvocationError(
                f"{cls.__name__} has a tear-down, so process_config_and_initialize() would leave it open. "
                "Use `with resource.process_config_and_initialize_cm() as value:`."
            )
        return self.process_config_and_initialize_cm().__enter__()

    @classmethod
    def resource_field_names(cls) -> frozenset[str]:
        """Return the fields that hold other resources, by what their annotations say."""
        return frozenset(name for name, field in cls.model_fields.items() if is_resource_field(field))

    @classmethod
    def to_config_type(cls) -> ShapeType:
        """Return what this class's config looks like, as data, without the fields that hold other resources."""
        return model_type(cls, cls.resource_field_names())

    @classmethod
    def _gate_passes(cls, name: str, field: FieldInfo) -> Callable[[Any], bool]:
        wanted = [item for item in _alternatives(field.annotation) if isinstance(item, type)]

        def passes(value: Any) -> bool:
            if isinstance(value, PartialResource):
                return any(issubclass(value.resource_cls, item) for item in wanted)
            return isinstance(value, ResourceDefinition) or holds_env_var(value)

        return passes if is_resource_field(field) else holds_env_var

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            yield name, self._orchord_hidden.get(name or "", value) if self.__pydantic_private__ else value

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__


class ConfigurableResource(ConfigurableResourceFactory[_ValueT], Generic[_ValueT]):
    """A resource that user code uses itself. Its fields are config, or other resources."""

    def create_resource(self, context: "InitResourceContext") -> Any:
        """Return what user code gets: this object, unless a class overrides it."""
        return self


class PartialResource:
    """A resource some of whose fields run config gives. Made by ``configure_at_launch()``."""

    __orchord_resource__ = True

    def __init__(self, resource_cls: type[ConfigurableResourceFactory[Any]], values: dict[str, Any]) -> None:
        self.resource_cls = resource_cls
        self.values = values
        self._definition = PythonicResource(resource_cls, values, self)

    def get_resource_definition(self) -> ResourceDefinition:
        """Return how this resource is made; always the same definition."""
        return self._definition

    def __repr__(self) -> str:
        return f"{self.resource_cls.__name__}.configure_at_launch({', '.join(self.values)})"


def is_resource_field(field: FieldInfo) -> bool:
    """Whether a resource's field holds another resource, by what its annotation says."""
    if any(isinstance(item, ResourceDependencyMarker) for item in field.metadata):
        return True
    return any(getattr(item, "__orchord_resource__", False) is True for item in _alternatives(field.annotation))


def _alternatives(annotation: Any) -> list[Any]:
    inner, _ = unwrapped(annotation)
    return [item for arg in get_args(inner) for item in _alternatives(arg)] if is_union(inner) else [inner]
