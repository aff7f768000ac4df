"""ResourceDefinition and ``@resource``: a function that makes what ops share, such as a client or a connection.

The pydantic form is configurable.py; setting resources up and tearing them down is opening.py.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar, overload

from orchord.definitions.config.configurable import Configurable
from orchord.definitions.config.schema import ConfigSchema, as_schema
from orchord.definitions.config.types import ANY
from orchord.definitions.resources.context import InitResourceContext
from orchord.errors import InvalidDefinitionError, InvalidInvocationError

_DefinitionT = TypeVar("_DefinitionT", bound="ResourceDefinition")


class ResourceDefinition(Configurable):
    """How a resource is made.

    Args:
        resource_fn: Takes an InitResourceContext, or nothing; returns the resource, or yields it once and then tears
            it down.
        config_schema: What ``context.resource_config`` holds; anything when it is not given.
        description: For people.
        required_resource_keys: Other resources that ``context.resources`` must hold.
        version: The version of the function's code.
    """

    def __init__(
        self,
        resource_fn: Callable[..., Any],
        config_schema: Any = None,
        description: str | None = None,
        required_resource_keys: Iterable[str] | None = None,
        version: str | None = None,
    ) -> None:
        if not callable(resource_fn):
            raise InvalidDefinitionError(f"A resource's function is {resource_fn!r}; it must be callable.")
        self.resource_fn = resource_fn
        self.description = description
        self.required_resource_keys = frozenset(required_resource_keys or ())
        self.version = version
        self.takes_context = _takes_context(resource_fn)
        self._config_schema: ConfigSchema | None = None if config_schema is None else as_schema(config_schema)
        self.config_type = ANY if self._config_schema is None else self._config_schema.config_type

    @classmethod
    def hardcoded_resource(cls, value: Any, description: str | None = None) -> ResourceDefinition:
        """Make a resource of a value that stands already."""
        return HardcodedResource(value, description)

    @classmethod
    def none_resource(cls, description: str | None = None) -> ResourceDefinition:
        """Make a resource that is None."""
        return HardcodedResource(None, description)

    @classmethod
    def string_resource(cls, description: str | None = None) -> ResourceDefinition:
        """Make a resource that is the string given as its config."""
        return ResourceDefinition(lambda context: context.resource_config, config_schema=str, description=description)

    @classmethod
    def mock_resource(cls, description: str | None = None) -> ResourceDefinition:
        """Make a resource that is a new ``unittest.mock.MagicMock`` in each run."""

        def make(context: InitResourceContext) -> Any:
            # Slow to import, and wanted in tests alone.
            return importlib.import_module("unittest.mock").MagicMock()

        return ResourceDefinition(make, description=description)

    @property
    def nested(self) -> Mapping[str, Any]:
        """Resources that this one holds in its fields, by field name."""
        return {}

    @property
    def identity(self) -> Any:
        """The object whose identity says that two keys, or a key and a field, mean the same resource."""
        return self

    @property
    def is_partial(self) -> bool:
        """Whether it was made by ``configure_at_launch()``."""
        return False

    @contextmanager
    def provide(self, context: InitResourceContext, nested: Mapping[str, Any]) -> Iterator[Any]:
        """Make the resource, and tear it down at the end.

        Args:
            context: What the function is given; its ``resource_config`` is resolved already.
            nested: What the resources in its fields provide.
        """
        made = self.resource_fn(context) if self.takes_context else self.resource_fn()
        if not inspect.isgenerator(made):
            yield made
            return
        with held_open(made, self.name) as value:
            yield value

    @property
    def name(self) -> str:
        """The function's name, for texts."""
        return getattr(self.resource_fn, "__name__", type(self.resource_fn).__name__)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function directly, as in a test: with a context from ``build_init_resource_context``, or nothing.

        Raises:
            InvalidInvocationError: more or other arguments are given.
        """
        given = [*args, *kwargs.values()]
        if len(given) > 1 or (given and not (given[0] is None or isinstance(given[0], InitResourceContext))):
            raise InvalidInvocationError(
                f"Resource '{self.name}' is called with {len(given)} arguments ({', '.join(map(repr, given))}). "
                "Give one context made by build_init_resource_context, or nothing."
            )
        context = given[0] if given and given[0] is not None else InitResourceContext()
        resolved = context.replace_config(self.resolve_config(context.resource_config, "config"))
        return self.resource_fn(resolved) if self.takes_context else self.resource_fn()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} '{self.name}'>"


class HardcodedResource(ResourceDefinition):
    """A resource that is a value which stands already."""

    def __init__(self, value: Any, description: str | None = None) -> None:
        super().__init__(lambda: value, description=description)
        self.value = value

    @property
    def identity(self) -> Any:
        return self.value

    @property
    def name(self) -> str:
        return type(self.value).__name__


def as_resource_definition(thing: Any) -> ResourceDefinition:
    """Return how a resource is made. A plain object is a resource that stands already.

    Raises:
        InvalidInvocationError: it is a class of resources where an instance is meant.
    """
    if isinstance(thing, ResourceDefinition):
        return thing
    if not getattr(thing, "__orchord_resource__", False):
        return ResourceDefinition.hardcoded_resource(thing)
    if isinstance(thing, type):
        raise InvalidInvocationError(
            f"{thing.__name__} is a class of resources. Give an instance, as in {thing.__name__}(...), or "
            f"{thing.__name__}.configure_at_launch()."
        )
    definition: ResourceDefinition = thing.get_resource_definition()
    return definition


@contextmanager
def held_open(generator: Any, name: str) -> Iterator[Any]:
    """Take what a generator yields once, and run the rest of it at the end.

    The generator is resumed at the end whether or not the step failed, so code after the ``yield`` is its tear-down
    even without a ``finally``.
    """
    try:
        value = next(generator)
    except StopIteration:
        raise InvalidDefinitionError(f"Resource '{name}' is a generator that yielded nothing. Yield it once.") from None
    try:
        yield value
    finally:
        if next(generator, _ENDED) is not _ENDED:
            generator.close()
            raise InvalidDefinitionError(f"Resource '{name}' is a generator that yielded twice. Yield it once.")


_ENDED = object()


@overload
def resource(config_schema: Callable[..., Any]) -> ResourceDefinition: ...
@overload
def resource(
    config_schema: Any = None,
    description: str | None = None,
    required_resource_keys: Iterable[str] | None = None,
    version: str | None = None,
) -> Callable[[Callable[..., Any]], ResourceDefinition]: ...
def resource(
    config_schema: Any = None,
    description: str | None = None,
    required_resource_keys: Iterable[str] | None = None,
    version: str | None = None,
) -> Any:
    """Make a resource of the decorated function, which takes an InitResourceContext or nothing.

    The function returns the resource, or yields it once; what follows the ``yield`` is its tear-down.

    Args:
        config_schema: What ``context.resource_config`` holds.
        description: For people; the function's docstring when it is not given.
        required_resource_keys: Other resources that ``context.resources`` must hold.
        version: The version of the function's code.
    """
    return definition_decorator(ResourceDefinition, config_schema, description, required_resource_keys, version)


def definition_decorator(
    definition: Callable[..., _DefinitionT],
    config_schema: Any,
    description: str | None,
    required_resource_keys: Iterable[str] | None,
    version: str | None,
) -> Any:
    """Build a decorator that works with and without parentheses, for one kind of resource definition."""

    def decorate(function: Callable[..., Any], schema: Any = None) -> _DefinitionT:
        made = definition(function, schema, description or inspect.getdoc(function), required_resource_keys, version)
        made.__doc__ = function.__doc__
        return made

    is_bare = callable(config_schema) and not isinstance(config_schema, type)
    is_bare = is_bare and not hasattr(config_schema, "config_type")
    return decorate(config_schema) if is_bare else lambda function: decorate(function, config_schema)


def _takes_context(function: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        return False
    taken = [
        item
        for item in parameters
        if item.kind in (item.POSITIONAL_ONLY, item.POSITIONAL_OR_KEYWORD, item.VAR_POSITIONAL)
    ]
    required = [item for item in taken if item.default is item.empty and item.kind is not item.VAR_POSITIONAL]
    if len(required) > 1:
        raise InvalidDefinitionError(
            f"A resource's function takes {', '.join(item.name for item in required)}. "
            "It may take one parameter, the context, or none."
        )
    return bool(taken)
