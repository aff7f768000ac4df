"""How annotations say "a resource": ResourceParam for ops' parameters, ResourceDependency for fields of resources.

The classes that are resources by themselves are configurable.py.
"""

from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar, get_args, get_origin

_T = TypeVar("_T")
_ValueT = TypeVar("_ValueT")


class ResourceParamMarker:
    """Stands in the metadata of an annotation whose value is a resource."""

    def __repr__(self) -> str:
        return "resource"


class ResourceDependencyMarker:
    """Stands in the metadata of a resource's field whose value is another resource."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __repr__(self) -> str:
        return f"ResourceDependency[{getattr(self.inner, '__name__', self.inner)}]"


ResourceParam = Annotated[_T, ResourceParamMarker()]
"""``db: ResourceParam[Engine]``: the parameter takes the resource of its own name, whatever its class."""


if TYPE_CHECKING:

    class ResourceDependency(Generic[_ValueT]):
        """``db: ResourceDependency[Engine]``: a field of a resource that holds another resource.

        It may be given a resource, a resource definition, or any object; in a run it holds what that one provides.
        """

        def __get__(self, instance: Any, owner: Any) -> _ValueT: ...

        def __set__(self, instance: Any, value: Any) -> None: ...

else:

    class ResourceDependency:
        """A field of a resource that holds another resource: a resource, a resource definition, or any object."""

        def __class_getitem__(cls, inner: Any) -> Any:
            return Annotated[Any, ResourceDependencyMarker(inner)]


def is_resource_annotation(annotation: Any) -> bool:
    """Whether a parameter with this annotation takes a resource: a ResourceParam, or a class of resources."""
    if get_origin(annotation) is Annotated:
        inner, *metadata = get_args(annotation)
        return any(isinstance(item, ResourceParamMarker) for item in metadata) or is_resource_annotation(inner)
    owner = get_origin(annotation) or annotation
    return isinstance(owner, type) and getattr(owner, "__orchord_resource__", False) is True
