"""DagsterType: what values of inputs and outputs are checked against, and how annotations become such types.

Checks are shallow and cheap: a list's first items are looked at, not a million of them. Config types are config/.
"""

from __future__ import annotations

import collections.abc
import functools
import operator
import typing
from collections.abc import Callable, Mapping
from typing import Any as TypingAny
from typing import ForwardRef, Literal, TypeVar, Union, get_args, get_origin

from orchord.definitions.config.types import ConfigType, ScalarType
from orchord.errors import InvalidDefinitionError, TypeCheckError

if typing.TYPE_CHECKING:
    from orchord.definitions.metadata import MetadataValue

_LOOKED_AT = 100
Checker = Callable[[TypingAny], bool]


def _takes_two(function: Callable[..., TypingAny]) -> bool:
    code = getattr(function, "__code__", None)
    if code is None:
        code = getattr(getattr(function, "__call__", None), "__code__", None)  # noqa: B004
    if code is None:
        return True
    bound = hasattr(function, "__self__") or not hasattr(function, "__code__")
    return int(code.co_argcount) - (1 if bound else 0) >= 2


def _shown(value: TypingAny) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:79] + "…"


class TypeCheck:
    """What a type's own check function may return: whether the value fits, why not, and metadata to record."""

    def __init__(
        self,
        success: bool,
        description: str | None = None,
        metadata: Mapping[str, MetadataValue | TypingAny] | None = None,
    ) -> None:
        self.success = success
        self.description = description
        self.metadata = dict(metadata or {})

    def __bool__(self) -> bool:
        return self.success


class DagsterType:
    """A type that values are checked against while a step runs.

    Args:
        type_check_fn: Takes ``(context, value)`` or ``(value)``; returns a bool or a TypeCheck.
        name: Unique name, shown to users.
        description: For people.
        typing_type: The Python type that type hints would say.
        metadata: For people.
        config_type: What a value of this type looks like in run config; None when it cannot be given there.
    """

    def __init__(
        self,
        type_check_fn: Callable[..., TypingAny],
        name: str,
        description: str | None = None,
        typing_type: TypingAny = TypingAny,
        metadata: Mapping[str, TypingAny] | None = None,
        config_type: ConfigType | None = None,
    ) -> None:
        if not callable(type_check_fn):
            raise InvalidDefinitionError(f"The type_check_fn of type {name!r} is {type_check_fn!r}; give a function.")
        self.name = name
        self.display_name = name
        self.description = description
        self.typing_type = typing_type
        self.metadata = dict(metadata or {})
        self.config_type = config_type
        self._type_check_fn = type_check_fn
        self._takes_context = _takes_two(type_check_fn)

    def type_check(self, context: TypingAny, value: TypingAny) -> TypeCheck:
        """Check a value.

        Raises:
            TypeCheckError: the type's own function returned neither a bool nor a TypeCheck.
        """
        found = self._type_check_fn(context, value) if self._takes_context else self._type_check_fn(value)
        if isinstance(found, TypeCheck):
            return found
        if isinstance(found, bool):
            return TypeCheck(found)
        raise TypeCheckError(
            f"The type_check_fn of type '{self.name}' returned {found!r} ({type(found).__name__}). "
            "Return a bool or a TypeCheck."
        )

    def check(self, value: TypingAny, context: TypingAny = None) -> str | None:
        """Return why a value does not fit, or None when it does."""
        found = self.type_check(context, value)
        if found.success:
            return None
        if found.description:
            return found.description
        return f"found {_shown(value)} ({type(value).__name__}), expected {self.name}"

    @property
    def is_nothing(self) -> bool:
        """Whether this is Nothing: an order without a value."""
        return self is Nothing

    @property
    def is_any(self) -> bool:
        """Whether every value fits, so that checking can be left out."""
        return self is Any

    def __repr__(self) -> str:
        return f"<DagsterType '{self.name}'>"


OrchordType = DagsterType


class PythonObjectDagsterType(DagsterType):
    """Values that are instances of a Python class, or of one of several."""

    def __init__(
        self,
        python_type: type | tuple[type, ...],
        name: str | None = None,
        description: str | None = None,
        metadata: Mapping[str, TypingAny] | None = None,
        config_type: ConfigType | None = None,
    ) -> None:
        types_ = python_type if isinstance(python_type, tuple) else (python_type,)
        if not types_ or not all(isinstance(item, type) for item in types_):
            raise InvalidDefinitionError(f"python_type is {python_type!r}; give a class, or a tuple of classes.")
        self.python_type = python_type
        shown = name or " | ".join(item.__name__ for item in types_)
        super().__init__(
            lambda value: isinstance(value, python_type),
            shown,
            description,
            functools.reduce(operator.or_, types_),
            metadata,
            config_type,
        )


def _always(value: TypingAny) -> bool:
    return True


Any = DagsterType(_always, "Any", "Every value fits.", TypingAny, config_type=ScalarType("Any"))
Nothing = DagsterType(lambda value: value is None, "Nothing", "An order: no value is passed.", type(None))
String = DagsterType(lambda value: isinstance(value, str), "String", None, str, config_type=ScalarType("String"))
Int = DagsterType(
    lambda value: isinstance(value, int) and not isinstance(value, bool),
    "Int",
    None,
    int,
    config_type=ScalarType("Int"),
)
# As in type hints, an integer does where a float is asked for.
Float = DagsterType(
    lambda value: isinstance(value, (float, int)) and not isinstance(value, bool),
    "Float",
    None,
    float,
    config_type=ScalarType("Float"),
)
Bool = DagsterType(lambda value: isinstance(value, bool), "Bool", None, bool, config_type=ScalarType("Bool"))

_BUILT_IN: dict[TypingAny, DagsterType] = {
    str: String,
    int: Int,
    float: Float,
    bool: Bool,
    TypingAny: Any,
    object: Any,
    None: Any,
    type(None): Nothing,
}
_resolved: dict[TypingAny, DagsterType] = {}


def resolve_type(annotation: TypingAny) -> DagsterType:
    """Return the type of an annotation, a Python class or a DagsterType.

    What cannot be checked is ``Any``. ``type(None)``, which is what ``-> None`` says, is ``Nothing``.
    """
    if isinstance(annotation, DagsterType):
        return annotation
    try:
        known = _BUILT_IN.get(annotation) or _resolved.get(annotation)
    except TypeError:
        return _made(annotation)
    if known is None:
        known = _resolved[annotation] = _made(annotation)
    return known


def make_python_type_usable_as_dagster_type(python_type: type, dagster_type: DagsterType) -> None:
    """Have annotations with a Python class checked by a DagsterType of your own."""
    _resolved[python_type] = dagster_type


def usable_as_dagster_type(
    name: str | None = None, description: str | None = None
) -> Callable[[type[TypingAny]], type[TypingAny]]:
    """Decorate a class to give its type a name and a description of its own."""

    def decorate(python_type: type[TypingAny]) -> type[TypingAny]:
        made = PythonObjectDagsterType(python_type, name or python_type.__name__, description)
        make_python_type_usable_as_dagster_type(python_type, made)
        return python_type

    return decorate


def _made(annotation: TypingAny) -> DagsterType:
    checker = _checker(annotation)
    if checker is None:
        return Any
    if isinstance(annotation, type) and get_origin(annotation) is None and annotation not in _GENERIC:
        return PythonObjectDagsterType(annotation)
    return DagsterType(checker, _name(annotation), typing_type=annotation)


_GENERIC = (list, tuple, dict, set, frozenset)


def _checker(annotation: TypingAny) -> Checker | None:
    """Return what checks values of an annotation, or None when nothing can be checked."""
    origin, args = get_origin(annotation), get_args(annotation)
    if annotation in (TypingAny, object) or isinstance(annotation, (str, ForwardRef)):
        return None
    if annotation is None or annotation is type(None):
        return lambda value: value is None
    if isinstance(annotation, TypeVar):
        return _checker(annotation.__bound__) if annotation.__bound__ is not None else None
    if isinstance(annotation, typing.NewType):
        return _checker(annotation.__supertype__)
    if origin is typing.Annotated:
        return _checker(args[0])
    if origin is Literal:
        return lambda value: any(value == arg and isinstance(value, bool) == isinstance(arg, bool) for arg in args)
    if origin is Union or type(annotation).__name__ == "UnionType":
        return _any_of([_checker(arg) for arg in args])
    if isinstance(origin, type):
        return _generic(origin, args)
    if annotation in _BUILT_IN:
        built_in = _BUILT_IN[annotation]
        return lambda value: built_in.type_check(None, value).success
    return _class_checker(annotation) if isinstance(annotation, type) else None


def _class_checker(python_type: type) -> Checker | None:
    if getattr(python_type, "_is_protocol", False) and not getattr(python_type, "_is_runtime_protocol", False):
        return None
    if typing.is_typeddict(python_type):
        return lambda value: isinstance(value, dict)
    return lambda value: isinstance(value, python_type)


def _any_of(checkers: list[Checker | None]) -> Checker | None:
    known = [checker for checker in checkers if checker is not None]
    if len(known) < len(checkers):
        return None
    return lambda value: any(checker(value) for checker in known)


def _generic(origin: type, args: tuple[TypingAny, ...]) -> Checker | None:
    if origin is tuple:
        return _tuple(args)
    if issubclass(origin, collections.abc.Mapping):
        return _mapping(origin, args)
    if issubclass(origin, (list, set, frozenset)) or origin in (collections.abc.Sequence, collections.abc.Set):
        return _collection(origin, args)
    if origin is type:
        return lambda value: isinstance(value, type)
    return lambda value: isinstance(value, origin)


def _collection(origin: TypingAny, args: tuple[TypingAny, ...]) -> Checker:
    item = _checker(args[0]) if args else None

    def check(value: TypingAny) -> bool:
        if not isinstance(value, origin):
            return False
        return item is None or all(item(found) for found, _ in zip(value, range(_LOOKED_AT), strict=False))

    return check


def _mapping(origin: TypingAny, args: tuple[TypingAny, ...]) -> Checker:
    key, item = (_checker(args[0]), _checker(args[1])) if len(args) == 2 else (None, None)

    def check(value: TypingAny) -> bool:
        if not isinstance(value, origin):
            return False
        return all(
            (key is None or key(found)) and (item is None or item(value[found]))
            for found, _ in zip(value, range(_LOOKED_AT), strict=False)
        )

    return check


def _tuple(args: tuple[TypingAny, ...]) -> Checker:
    if not args:
        return lambda value: isinstance(value, tuple)
    if len(args) == 2 and args[1] is Ellipsis:
        return _collection(tuple, args[:1])
    items = [] if args == ((),) else [_checker(arg) for arg in args]

    def check(value: TypingAny) -> bool:
        if not isinstance(value, tuple) or len(value) != len(items):
            return False
        return all(item is None or item(found) for item, found in zip(items, value, strict=True))

    return check


def _name(annotation: TypingAny) -> str:
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return annotation.__name__
    return str(annotation).replace("typing.", "")
