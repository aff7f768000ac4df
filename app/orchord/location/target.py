"""LocationTarget: where the code of a location is, and what the location is called. Plain data.

Reading targets from a workspace file is workspace.py; importing what they name is importing.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from orchord.errors import CodeLocationLoadError

# Queues are called steps.<location>, workers <location>@<id>, and paths of the REST API hold the name.
_NOT_IN_NAMES = "@%:,/\\*#?"
_LONGEST_NAME = 100


@dataclass(frozen=True)
class LocationTarget:
    """Where the code of a location is: one of a module, a package and a file.

    Attributes:
        module: a module's name, such as ``etl.definitions``.
        package: a package's name.
        file: the path of a Python file.
        attribute: the variable (or function without arguments) that holds the Definitions; needed if there are several.
        working_directory: the folder that is first on ``sys.path``; default: the current one.
        name: what the location is called; default: the module's, package's or file's name.
    """

    module: str | None = None
    file: Path | None = None
    package: str | None = None
    attribute: str | None = None
    working_directory: Path | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        given = [value for value in (self.module, self.file, self.package) if value is not None]
        if len(given) != 1:
            what = "none of them" if not given else ", ".join(map(str, given))
            raise CodeLocationLoadError(f"A code location is one module, one package or one file; given is {what}.")
        if self.file is not None:
            object.__setattr__(self, "file", Path(self.file))
        if self.working_directory is not None:
            object.__setattr__(self, "working_directory", Path(self.working_directory))
        _check_name(self.location_name)

    @property
    def location_name(self) -> str:
        """What the location is called."""
        if self.name is not None:
            return self.name
        return self.module or self.package or (self.file.stem if self.file is not None else "")

    @property
    def arguments(self) -> tuple[str, ...]:
        """The options by which an ``orchord`` command loads the same code under the same name."""
        options = {
            "-m": self.module,
            "--package-name": self.package,
            "-f": self.file,
            "-a": self.attribute,
            "-d": self.working_directory,
            "--location-name": self.location_name,
        }
        return tuple(str(item) for name, value in options.items() if value is not None for item in (name, value))

    @property
    def import_folders(self) -> tuple[Path, ...]:
        """The folders that its imports are looked for in first."""
        directory = (self.working_directory or Path.cwd()).absolute()
        if self.file is None:
            return (directory,)
        own = (directory / self.file).parent.absolute()
        return (own,) if self.working_directory is None or own == directory else (own, directory)


def _check_name(name: str) -> None:
    """Refuse a name that could not be part of a queue's and a worker's name, or of an address."""
    found = sorted({letter for letter in name if letter in _NOT_IN_NAMES or not letter.isprintable()})
    if found:
        shown = " ".join(repr(letter) for letter in found)
        raise CodeLocationLoadError(f"The location name {name!r} holds {shown}. Give a location_name without.")
    if not 0 < len(name) <= _LONGEST_NAME:
        raise CodeLocationLoadError(
            f"The location name {name[:40]!r} has {len(name)} characters. Give a location_name of 1 to {_LONGEST_NAME}."
        )
