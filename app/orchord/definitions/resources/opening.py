"""Setting resources up in the order of their needs, and tearing them down in the reverse.

What one resource does then is its definition's ``provide``; what user code sees of them is values.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from orchord.definitions.resources.context import InitResourceContext
from orchord.definitions.resources.definition import ResourceDefinition, as_resource_definition
from orchord.definitions.resources.values import Resources
from orchord.errors import (
    InvalidConfigError,
    InvalidDefinitionError,
    ResourceInitError,
    did_you_mean,
    numbered,
)

if TYPE_CHECKING:
    from orchord.runs import Run


@contextmanager
def open_resources(
    defs: Mapping[str, ResourceDefinition],
    raw_config: Mapping[str, Any],
    keys: AbstractSet[str],
    *,
    run: Run | None = None,
    instance: Any = None,
    log: Any = None,
) -> Iterator[Resources]:
    """Set up the named resources and what they need, and tear them down at the end.

    Args:
        defs: Every resource definition at hand, by key.
        raw_config: The ``resources`` part of run config: ``{key: {"config": ...}}``.
        keys: The resources wanted.
        run: The run for which they are set up.
        instance: The instance.
        log: The logger that resources get. With one, a failing tear-down is logged; without, it is raised.

    Raises:
        InvalidDefinitionError: keys are missing, or resources need each other in a circle.
        InvalidConfigError: config has mistakes, those of all resources together.
        ResourceInitError: a resource could not be set up; those set up before it have been torn down.
    """
    opening = _Opening(defs, run, instance, log)
    opening.resolve(raw_config, keys)
    try:
        for key in sorted(keys):
            opening.open_key(key)
        yield Resources({key: opening.values[key] for key in keys})
    except BaseException:
        opening.close(raises=False)
        raise
    opening.close(raises=log is None)


@contextmanager
def build_resources(
    resources: Mapping[str, Any],
    instance: Any = None,
    resource_config: Mapping[str, Any] | None = None,
    run: Run | None = None,
    dagster_run: Run | None = None,
    log_manager: Any = None,
) -> Iterator[Resources]:
    """Set resources up outside of a run, as in a test or a script, and tear them down at the end.

    Args:
        resources: Resources, definitions or plain values, by key.
        instance: What their contexts' ``instance`` is.
        resource_config: Their config, as in run config: ``{key: {"config": ...}}``.
        run: What their contexts' ``run`` is.
        dagster_run: The same, by an older name.
        log_manager: The logger that they get.

    Raises:
        ResourceInitError: a resource could not be set up.
    """
    defs = {key: as_resource_definition(value) for key, value in resources.items()}
    with open_resources(
        defs, resource_config or {}, defs.keys(), run=run or dagster_run, instance=instance, log=log_manager
    ) as opened:
        yield opened


def needed_resource_keys(defs: Mapping[str, ResourceDefinition], keys: AbstractSet[str]) -> tuple[set[str], list[str]]:
    """Return the keys that some resources need in all, themselves included, and what is wrong with those needs.

    Returns:
        The keys that exist, and one sentence for each key that is missing or needs itself.
    """
    needed: set[str] = set()
    mistakes: list[str] = []
    by_identity = _keys_by_identity(defs)

    def visit(key: str, needed_by: str | None, trail: tuple[str, ...]) -> None:
        if key in trail:
            circle = " -> ".join([*trail[trail.index(key) :], key])
            mistakes.append(f"Resources need each other in a circle: {circle}.")
            return
        if key not in defs:
            by = f", which resource '{needed_by}' requires" if needed_by else ""
            mistakes.append(f"No resource '{key}' is given{by}.{did_you_mean(key, defs)}")
            return
        if key in needed:
            return
        for inner in _needs(defs[key], by_identity):
            visit(inner, key, (*trail, key))
        needed.add(key)

    for key in sorted(keys):
        visit(key, None, ())
    return needed, list(dict.fromkeys(mistakes))


def resource_needs(defs: Mapping[str, ResourceDefinition]) -> dict[str, tuple[str, ...]]:
    """Return what each resource needs directly, without those that need nothing."""
    by_identity = _keys_by_identity(defs)
    needs = {key: tuple(_needs(definition, by_identity)) for key, definition in defs.items()}
    return {key: keys for key, keys in needs.items() if keys}


def _needs(definition: ResourceDefinition, by_identity: Mapping[int, str]) -> list[str]:
    keys = set(definition.required_resource_keys)
    for inner in definition.nested.values():
        key = by_identity.get(id(inner.identity))
        keys |= {key} if key is not None else set(_needs(inner, by_identity))
    return sorted(keys)


def _keys_by_identity(defs: Mapping[str, ResourceDefinition]) -> dict[int, str]:
    found: dict[int, str] = {}
    for key, definition in defs.items():
        found.setdefault(id(definition.identity), key)
    return found


class _Opening:
    """The resources of one scope: which are open, and in which order to close them."""

    def __init__(self, defs: Mapping[str, ResourceDefinition], run: Run | None, instance: Any, log: Any) -> None:
        self._defs = defs
        self._run, self._instance, self._log = run, instance, log
        self._key_of = _keys_by_identity(defs)
        self._configs: dict[str, Any] = {}
        self._nested_values: dict[int, Any] = {}
        self._open: list[tuple[str, AbstractContextManager[Any]]] = []
        self.values: dict[str, Any] = {}

    def resolve(self, raw_config: Mapping[str, Any], keys: AbstractSet[str]) -> None:
        """Find what is needed and check its config, before anything is set up."""
        needed, mistakes = needed_resource_keys(self._defs, keys)
        if mistakes:
            raise InvalidDefinitionError(numbered("Resources cannot be set up", mistakes))
        wrong: list[str] = []
        for key in sorted(needed):
            entry = raw_config.get(key)
            try:
                config = entry.get("config") if isinstance(entry, Mapping) else entry
                self._configs[key] = self._defs[key].resolve_config(config, f"resources.{key}.config")
            except InvalidConfigError as error:
                wrong += error.mistakes
        if wrong:
            raise InvalidConfigError("Resources' config has mistakes", wrong)

    def open_key(self, key: str) -> Any:
        if key not in self.values:
            self.values[key] = self._opened(key, self._defs[key], self._configs[key])
        return self.values[key]

    def _open_nested(self, label: str, definition: ResourceDefinition) -> Any:
        marker = id(definition.identity)
        key = self._key_of.get(marker)
        if key is not None:
            return self.open_key(key)
        if marker not in self._nested_values:
            try:
                config = definition.resolve_config(None, f"resources.{label}")
            except InvalidConfigError as error:
                headline = f"Config of nested resource '{label}' has mistakes"
                if definition.is_partial:
                    hint = "configured at launch, it needs a key of its own among the resources"
                    headline = f"Nested resource '{label}' has no config ({hint})"
                raise InvalidConfigError(headline, error.mistakes) from None
            self._nested_values[marker] = self._opened(label, definition, config)
        return self._nested_values[marker]

    def _opened(self, label: str, definition: ResourceDefinition, config: Any) -> Any:
        for key in sorted(definition.required_resource_keys):
            self.open_key(key)
        nested = {name: self._open_nested(f"{label}.{name}", inner) for name, inner in definition.nested.items()}
        context = InitResourceContext(
            resource_config=config,
            resources=Resources({key: self.values[key] for key in definition.required_resource_keys}),
            resource_def=definition,
            all_resource_defs=self._defs,
            instance=self._instance,
            run=self._run,
            log=self._log,
        )
        manager = definition.provide(context, nested)
        try:
            value = manager.__enter__()
        except InvalidConfigError as error:
            path = f"resources.{label}.config"
            raise InvalidConfigError(error.headline, [f"{path}.{mistake}" for mistake in error.mistakes]) from None
        except Exception as error:
            raise ResourceInitError(
                f"Resource '{label}' could not be set up: {type(error).__name__}: {error}"
            ) from error
        self._open.append((label, manager))
        return value

    def close(self, raises: bool) -> None:
        """Tear everything down, the last first; one failure does not keep the others open."""
        failures: list[tuple[str, Exception]] = []
        while self._open:
            label, manager = self._open.pop()
            try:
                manager.__exit__(None, None, None)
            except Exception as error:  # noqa: BLE001 - the user's tear-down must not keep the others from theirs
                failures.append((label, error))
        for label, failure in failures:
            text = f"Resource '{label}' failed in its tear-down: {type(failure).__name__}: {failure}"
            if raises:
                raise ResourceInitError(text) from failure
            if self._log is not None:
                self._log.error(text)
