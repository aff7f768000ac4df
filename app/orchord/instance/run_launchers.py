"""Which run launcher a run goes to: the instance's own, or a further one that its file names and a tag asks for.

The port is launchers.py; loading the classes is plugins.py; what is decided when a run is launched is placement.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from threading import Lock
from typing import TYPE_CHECKING, Any

from orchord.errors import InstanceConfigError, OrchordError, did_you_mean
from orchord.instance.launchers import RunLauncher
from orchord.instance.plugins import PluginSpec, load_class, parse_plugin
from orchord.instance.section_reader import shown_value
from orchord.runs import Run

if TYPE_CHECKING:
    from orchord.instance.config import InstanceConfig
    from orchord.instance.instance import OrchordInstance

LAUNCHER_TAG = "orchord/launcher"
OWN_LAUNCHER = "default"


def parse_run_launchers(value: Any, mistakes: list[str]) -> dict[str, PluginSpec]:
    """Read ``run_launchers``: by name, further launchers that runs may ask for; mistakes are added."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        mistakes.append(f"run_launchers: found {shown_value(value)}, expected a mapping of names to launchers.")
        return {}
    specs: dict[str, PluginSpec] = {}
    for name, section in value.items():
        path = f"run_launchers.{name}"
        if not isinstance(name, str) or not name or name == OWN_LAUNCHER:
            mistakes.append(
                f"run_launchers: found the name {name!r}. Give text; '{OWN_LAUNCHER}' is the launcher of run_launcher."
            )
            continue
        spec = parse_plugin("run_launcher", section, mistakes, path=path)
        if spec is not None:
            specs[name] = spec
    return specs


def launcher_name(config: InstanceConfig, tag: str) -> str:
    """Return the name that ``orchord/launcher`` means: of a further launcher, or "" for the instance's own.

    Args:
        config: the instance file.
        tag: a name of ``run_launchers``, the class name of one of them, or ``default``.

    Raises:
        LookupError: no launcher is called so, or several are; the text says which there are.
    """
    if tag in config.run_launchers:
        return tag
    if tag in ("", OWN_LAUNCHER, config.run_launcher.class_name):
        return ""
    of_class = [name for name, spec in config.run_launchers.items() if spec.class_name == tag]
    if len(of_class) == 1:
        return of_class[0]
    if of_class:
        raise LookupError(
            f"found {LAUNCHER_TAG}: '{tag}', the class of several of this instance's launchers. Say which: "
            f"{', '.join(sorted(of_class))}."
        )
    known = [OWN_LAUNCHER, *sorted(config.run_launchers)]
    raise LookupError(
        f"found {LAUNCHER_TAG}: '{tag}', which this instance does not have.{did_you_mean(tag, known)} It has "
        f"{', '.join(known)}; add it to run_launchers in orchord.yaml."
    )


class Launchers:
    """The run launchers of one instance, each made when it is first asked for. Safe for threads."""

    def __init__(self, instance: OrchordInstance) -> None:
        self._instance = instance
        self._made: dict[str, RunLauncher] = {}
        self._lock = Lock()

    def named(self, name: str) -> RunLauncher:
        """Return a launcher by its name in ``run_launchers``; "" is the instance's own.

        Raises:
            InstanceConfigError: there is none of this name, or its class cannot be used.
        """
        with self._lock:
            made = self._made.get(name)
            if made is None:
                made = self._made[name] = self._make(name)
            return made

    def of(self, run: Run) -> RunLauncher:
        """Return the launcher that a run was recorded with.

        Raises:
            InstanceConfigError: the instance does not have it any longer, or its class cannot be used.
        """
        return self.named(run.launcher)

    def stopping(self, run: Run) -> RunLauncher:
        """Return who stops a run: its own launcher, or where that cannot be had the instance's."""
        try:
            return self.named(run.launcher)
        except InstanceConfigError:
            return self.named("")

    def problems(self) -> Iterator[tuple[str, OrchordError]]:
        """Yield the further launchers that cannot be used, by their path in the file, and why."""
        for name in self._instance.config.run_launchers:
            try:
                self.named(name)
            except OrchordError as error:
                yield f"run_launchers.{name}", error

    def dispose(self) -> None:
        """Give back what all of them hold; they are made again when they are asked for."""
        with self._lock:
            made, self._made = self._made, {}
        for launcher in made.values():
            launcher.dispose()

    def _make(self, name: str) -> RunLauncher:
        config = self._instance.config
        spec = config.run_launcher if not name else _spec_of(config.run_launchers, name)
        return load_class(spec, RunLauncher)(self._instance, spec.config)  # type: ignore[type-abstract]


def _spec_of(specs: Mapping[str, PluginSpec], name: str) -> PluginSpec:
    spec = specs.get(name)
    if spec is None:
        known = ", ".join(sorted(specs)) or "none"
        raise InstanceConfigError(
            f"No run launcher is called '{name}'",
            [f"run_launchers of the instance file has {known}.{did_you_mean(name, specs)}"],
        )
    return spec
