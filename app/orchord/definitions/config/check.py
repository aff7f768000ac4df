"""Checking a value against a config type: every mistake at once, and the value with its defaults filled in.

Pure and quick: snapshots are checked here by servers without user code. Environment variables are not read here but
in env.py; a value that refers to one (``{"env": NAME}``) passes.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

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
    all_optional,
    describe,
)
from orchord.errors import did_you_mean

KEY_PATTERNS = {
    "Int": r"^-?[0-9]{1,300}$",
    "Float": r"^-?[0-9]{1,300}(\.[0-9]{1,300})?$",
    "Bool": r"^(true|false)$",
}
"""How keys that are no strings are written in JSON, whose keys all are."""

_SUGGESTION_BUDGET = 10_000
_SHOWN_CHARACTERS = 80
_KIND_NAMES = {str: "String", bool: "Bool", int: "Int", float: "Float", list: "a list", tuple: "a list", dict: "a dict"}


@dataclass
class CheckResult:
    """What a check found: the value with defaults filled in, and one sentence for each mistake."""

    value: Any
    mistakes: list[str] = field(default_factory=list)

    @property
    def success(self) -> bool:
        """Whether there are no mistakes."""
        return not self.mistakes


def check_config(type_: ConfigType, value: Any, path: str = "") -> CheckResult:
    """Check a value, and fill in defaults.

    Args:
        type_: What the value must look like.
        value: Plain data (what JSON or YAML can hold). It is not changed.
        path: Where the value stands, such as ``ops.read.config``; each mistake names the path of its own value.

    Returns:
        The resolved value, and every mistake. With mistakes the value is not to be used.
    """
    check = _Check()
    resolved = check.run(type_, value, path, secret=False)
    return CheckResult(resolved, check.mistakes)


def is_env_reference(value: Any) -> bool:
    """Whether a value is ``{"env": NAME}``."""
    return isinstance(value, Mapping) and len(value) == 1 and isinstance(value.get("env"), str)


def constraint_mistake(type_: ScalarType, value: Any) -> str | None:
    """Return which constraint a value of the right kind breaks, in words, or None."""
    constraints = type_.constraints
    if isinstance(value, str):
        if len(value) < constraints.get("min_length", 0) or len(value) > constraints.get("max_length", math.inf):
            return describe(type_)
        pattern = constraints.get("pattern")
        return describe(type_) if pattern is not None and not _compiled(pattern).search(value) else None
    for name, breaks in _NUMBER_CONSTRAINTS.items():
        if name in constraints and breaks(value, constraints[name]):
            return describe(type_)
    return None


def shown(value: Any) -> str:
    """Word a found value and its kind, shortened, for an error text."""
    if value is None:
        return "None"
    text = repr(value) if not isinstance(value, (dict, list, tuple)) or len(value) <= 20 else "{…}"
    text = text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"
    kind = _KIND_NAMES.get(type(value), type(value).__name__)
    return f"{text} ({kind})"


def _breaks_multiple(value: float, step: float) -> bool:
    if isinstance(value, int) and isinstance(step, int):
        return value % step != 0
    quotient = value / step
    return abs(quotient - round(quotient)) > 1e-9 * max(1.0, abs(quotient))


_NUMBER_CONSTRAINTS: dict[str, Callable[[Any, Any], bool]] = {
    "ge": lambda value, limit: value < limit,
    "gt": lambda value, limit: value <= limit,
    "le": lambda value, limit: value > limit,
    "lt": lambda value, limit: value >= limit,
    "multiple_of": _breaks_multiple,
}


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _same(left: Any, right: Any) -> bool:
    """Equal, and True is not 1."""
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)


@dataclass
class _Check:
    mistakes: list[str] = field(default_factory=list)
    budget: int = _SUGGESTION_BUDGET

    def run(self, type_: ConfigType, value: Any, path: str, secret: bool) -> Any:
        handler = _HANDLERS[type(type_)]
        return handler(self, type_, value, path, secret)

    def refuse(self, path: str, value: Any, expected: str, secret: bool) -> Any:
        found = "a hidden value" if secret else shown(value)
        self.mistakes.append(f"{path or 'config'}: found {found}, expected {expected}.")
        return value

    def suggestion(self, name: str, known: Iterable[str]) -> str:
        """Nearest names cost a comparison each; thousands of wrong keys get no suggestion after the first ones."""
        names = list(known)
        self.budget -= len(names)
        return did_you_mean(name, names) if self.budget >= 0 else ""

    def scalar(self, type_: ScalarType, value: Any, path: str, secret: bool) -> Any:
        name = type_.name
        if name == "Any":
            return value
        if name.endswith("Source"):
            if is_env_reference(value):
                return dict(value)
            name = name.removesuffix("Source")
        plain = as_scalar(name, value)
        if plain is None:
            hint = ', or {"env": NAME}' if isinstance(value, Mapping) and type_.name.endswith("Source") else ""
            return self.refuse(path, value, describe(type_) + hint, secret)
        if type_.constraints and constraint_mistake(type_, plain):
            return self.refuse(path, value, describe(type_), secret)
        return plain

    def noneable(self, type_: NoneableType, value: Any, path: str, secret: bool) -> Any:
        if value is None:
            return None
        count = len(self.mistakes)
        resolved = self.run(type_.inner, value, path, secret)
        if len(self.mistakes) > count and isinstance(type_.inner, ScalarType):
            self.mistakes[-1] = self.mistakes[-1].removesuffix(".") + " or None."
        return resolved

    def array(self, type_: ArrayType, value: Any, path: str, secret: bool) -> Any:
        if not isinstance(value, (list, tuple)):
            return self.refuse(path, value, describe(type_), secret)
        self.length(type_.constraints, value, path, "items")
        return [self.run(type_.inner, item, f"{path}[{index}]", secret) for index, item in enumerate(value)]

    def map(self, type_: MapType, value: Any, path: str, secret: bool) -> Any:
        if not isinstance(value, Mapping):
            return self.refuse(path, value, describe(type_), secret)
        self.length(type_.constraints, value, path, "keys")
        resolved = {}
        for key, item in value.items():
            inner_path = _joined(path, key)
            resolved[self.map_key(type_.key, key, inner_path)] = self.run(type_.value, item, inner_path, secret)
        return resolved

    def map_key(self, type_: ConfigType, key: Any, path: str) -> Any:
        if isinstance(key, str) and isinstance(type_, ScalarType):
            key = _plain_key(type_.name.removesuffix("Source"), key)
        return self.run(type_, key, path, False)

    def length(self, constraints: Mapping[str, Any], value: Any, path: str, noun: str) -> None:
        least, most = constraints.get("min_length", 0), constraints.get("max_length", math.inf)
        if not least <= len(value) <= most:
            bounds = [f"at least {least}"] * (least > 0) + [f"at most {most}"] * (most != math.inf)
            self.mistakes.append(f"{path or 'config'}: found {len(value)} {noun}, expected {' and '.join(bounds)}.")

    def enum(self, type_: EnumType, value: Any, path: str, secret: bool) -> Any:
        for known in (*type_.values, *type_.also):
            if _same(known, value):
                return known
        self.refuse(path, value, describe(type_), secret)
        if isinstance(value, str):
            hint = self.suggestion(value, [item for item in type_.values if isinstance(item, str)])
            self.mistakes[-1] += hint if "Did you mean" in hint else ""
        return value

    def shape(self, type_: ShapeType, value: Any, path: str, secret: bool) -> Any:
        if not isinstance(value, Mapping):
            return self.refuse(path, value, describe(type_), secret)
        resolved: dict[Any, Any] = {}
        fields = type_.fields
        for key, item in value.items():
            known = fields.get(key) if isinstance(key, str) else None
            if known is not None:
                resolved[key] = self.run(known.type, item, _joined(path, key), secret or known.is_secret)
            elif type_.permissive:
                resolved[key] = item
            else:
                missing = [name for name in fields if name not in value]
                hint = self.suggestion(str(key), missing) or self.suggestion(str(key), fields)
                hint = hint if fields else " No keys are known here."
                self.mistakes.append(f"{_joined(path, key)}: unknown key.{hint}")
        if type_.permissive or len(resolved) < len(fields):
            self.fill(fields, resolved, path, secret)
        return resolved

    def fill(self, fields: Mapping[str, ConfigField], resolved: dict[Any, Any], path: str, secret: bool) -> None:
        for name, item in fields.items():
            if name in resolved:
                continue
            if item.has_default:
                default = item.default
                if isinstance(default, (dict, list)):
                    # A copy, as the caller may change it; and a nested shape may have defaults of its own to fill in.
                    default = self.run(item.type, copy.deepcopy(default), _joined(path, name), secret)
                resolved[name] = default
            elif item.is_required and isinstance(item.type, ShapeType) and not all_optional(item.type):
                # What is missing is what stands in it: the path says more than "a dict".
                self.fill(item.type.fields, {}, _joined(path, name), secret)
            elif item.is_required:
                what = f" ({item.description})" if item.description else ""
                self.mistakes.append(f"{_joined(path, name)}: missing, expected {describe(item.type)}{what}.")

    def selector(self, type_: SelectorType, value: Any, path: str, secret: bool) -> Any:
        if not isinstance(value, Mapping):
            return self.refuse(path, value, describe(type_), secret)
        if type_.discriminator is not None and type_.discriminator in value:
            flat = dict(value)
            tag = flat.pop(type_.discriminator)
            value = {tag if isinstance(tag, str) else shown(tag): flat}
        if not value and all_optional(type_):
            value = {name: copy.deepcopy(item.default) for name, item in type_.fields.items()}
        unknown = [key for key in value if key not in type_.fields]
        for key in unknown:
            self.mistakes.append(f"{_joined(path, key)}: unknown key.{self.suggestion(str(key), type_.fields)}")
        if not unknown and len(value) != 1:
            found = ", ".join(repr(key) for key in value) or "none"
            self.mistakes.append(f"{path or 'config'}: found {found}, expected {describe(type_)}.")
        return {
            key: self.run(type_.fields[key].type, item, _joined(path, key), secret or type_.fields[key].is_secret)
            for key, item in value.items()
            if key in type_.fields
        }

    def union(self, type_: UnionType, value: Any, path: str, secret: bool) -> Any:
        fitting: list[Any] = []
        attempts: list[list[str]] = []
        for option in type_.options:
            attempt = _Check(budget=0)
            resolved = attempt.run(option, value, path, secret)
            if not attempt.mistakes:
                if type(resolved) is type(value) and resolved == value:
                    return resolved
                fitting.append(resolved)
            attempts.append(attempt.mistakes)
        if fitting:
            return fitting[0]
        # When one option alone is of the value's kind, its own mistakes say more than "expected A or B".
        alike = [index for index, option in enumerate(type_.options) if _of_kind(option, value)]
        if len(alike) == 1:
            self.run(type_.options[alike[0]], value, path, secret)
            return value
        return self.refuse(path, value, describe(type_), secret)


_HANDLERS: dict[type, Callable[..., Any]] = {
    ScalarType: _Check.scalar,
    NoneableType: _Check.noneable,
    ArrayType: _Check.array,
    MapType: _Check.map,
    EnumType: _Check.enum,
    ShapeType: _Check.shape,
    SelectorType: _Check.selector,
    UnionType: _Check.union,
}


def as_scalar(name: str, value: Any) -> Any:
    """Return a value as the named plain scalar (String, Int, Float, Bool), or None when it is not one."""
    if name == "String":
        return value if isinstance(value, str) else None
    if name == "Bool":
        return value if isinstance(value, bool) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if isinstance(value, int):
        try:
            return value if name == "Int" else float(value)
        except OverflowError:
            return None
    if not math.isfinite(value):
        return None
    if name == "Float":
        return value
    # JSON has one kind of number: 3.0 is the integer 3 there.
    return int(value) if value.is_integer() else None


def _plain_key(name: str, key: str) -> Any:
    """JSON's keys are strings: a number or a boolean is written as one."""
    if name == "Bool":
        return {"true": True, "false": False}.get(key, key)
    pattern = KEY_PATTERNS.get(name)
    if pattern is None or not _compiled(pattern).fullmatch(key):
        return key
    return int(key) if name == "Int" else float(key)


def _of_kind(option: ConfigType, value: Any) -> bool:
    if isinstance(option, NoneableType):
        return _of_kind(option.inner, value)
    if isinstance(value, Mapping):
        return isinstance(option, (ShapeType, SelectorType, MapType))
    if isinstance(value, (list, tuple)):
        return isinstance(option, ArrayType)
    return isinstance(option, ScalarType) and as_scalar(option.name.removesuffix("Source"), value) is not None


def _joined(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)
