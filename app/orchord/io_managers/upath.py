"""UPathIOManager: a base for IO managers that keep one file for each value, on a disk or on any store of fsspec.

How one value becomes a file is its subclass's matter; the pickles of object stores are object_store.py.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import shutil
from abc import abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Any

from orchord.definitions.io_context import InputContext, OutputContext
from orchord.definitions.io_manager import IOManager
from orchord.definitions.metadata import MetadataValue
from orchord.errors import InvariantViolationError


class UPathIOManager(IOManager):
    """Keeps each value in one file below a base path: write ``dump_to_path`` and ``load_from_path``.

    An asset's file is ``<base>/<key part>/<key part>``, an op's output ``<base>/<run id>/<step key>/<output name>``,
    each with the ``extension``. On a local disk a file is replaced whole or not at all: ``dump_to_path`` is given a
    path beside the final one. Stores of objects replace objects whole by themselves.

    Args:
        base_path: a folder: a path, a ``upath.UPath``, or text, which with ``://`` in it needs universal-pathlib
            (``pip install 'orchord[upath]'``); without one, the current folder.

    Attributes:
        extension: what file names end with, as ``.csv``.
        atomic_replace: set to False, ``dump_to_path`` is given the final path on a local disk too.
    """

    extension: str | None = None
    atomic_replace: bool = True

    def __init__(self, base_path: Any = None) -> None:
        if self.extension and not self.extension.startswith("."):
            raise InvariantViolationError(
                f"{type(self).__name__}.extension is {self.extension!r}; it must begin with a dot, "
                f"as '.{self.extension}'."
            )
        self._base_path = as_path("." if base_path is None else base_path)

    @abstractmethod
    def dump_to_path(self, context: OutputContext, obj: Any, path: Any) -> None:
        """Write a value to a path."""

    @abstractmethod
    def load_from_path(self, context: InputContext, path: Any) -> Any:
        """Read the value at a path; may be a coroutine.

        Raises:
            FileNotFoundError: nothing is there.
        """

    def handle_output(self, context: OutputContext, obj: Any) -> None:
        """Store a value, and note its path and what ``get_metadata`` says."""
        path = self._get_path(context)
        self.make_directory(path.parent)
        context.log.debug(self.get_writing_output_log_message(path))
        if self.atomic_replace and _is_local(path):
            self._dump_beside(context, obj, Path(path))
        else:
            self.dump_to_path(context, obj, path)
        context.add_output_metadata({"path": MetadataValue.path(str(path)), **self.get_metadata(context, obj)})

    def load_input(self, context: InputContext) -> Any:
        """Read a value."""
        path = self._get_path(context)
        context.log.debug(self.get_loading_input_log_message(path))
        value = self.load_from_path(context, path)
        return asyncio.run(value) if inspect.iscoroutine(value) else value

    def has_output(self, context: OutputContext) -> bool:
        """Return whether the value is stored."""
        return self.path_exists(self._get_path(context))

    def get_metadata(self, context: OutputContext, obj: Any) -> Mapping[str, Any]:
        """Return metadata to note with the output."""
        return {}

    def get_asset_relative_path(self, context: InputContext | OutputContext) -> Any:
        """Return where below the base an asset's value is, without the extension."""
        return PurePath(*checked_parts(context.get_asset_identifier()))

    def get_op_output_relative_path(self, context: InputContext | OutputContext) -> Any:
        """Return where below the base an op's output is, without the extension."""
        return PurePath(*checked_parts(context.get_identifier()))

    def make_directory(self, path: Any) -> None:
        """Make a folder, where the store has folders."""
        path.mkdir(parents=True, exist_ok=True)

    def path_exists(self, path: Any) -> bool:
        """Return whether anything is at a path."""
        return bool(path.exists())

    def unlink(self, path: Any) -> None:
        """Remove what is at a path."""
        path.unlink()

    @property
    def fs(self) -> Any:
        """The fsspec file system of a ``UPath``."""
        return self._base_path.fs

    @property
    def storage_options(self) -> dict[str, Any]:
        """The fsspec options of a ``UPath``, which readers of frames take; none for a local path."""
        return dict(getattr(self._base_path, "storage_options", {}))

    def get_loading_input_log_message(self, path: Any) -> str:
        """Return what is logged before a value is read."""
        return f"Loading {path}"

    def get_writing_output_log_message(self, path: Any) -> str:
        """Return what is logged before a value is written."""
        return f"Writing {path}"

    def _get_path(self, context: InputContext | OutputContext) -> Any:
        return self._with_extension(self._get_path_without_extension(context))

    def _get_path_without_extension(self, context: InputContext | OutputContext) -> Any:
        if context.has_asset_key:
            relative = self.get_asset_relative_path(context)
        else:
            relative = self.get_op_output_relative_path(context)
        return self._base_path.joinpath(*(part for part in relative.parts if part != "/"))

    def _with_extension(self, path: Any) -> Any:
        return path.with_name(path.name + self.extension) if self.extension else path

    def _dump_beside(self, context: OutputContext, obj: Any, path: Path) -> None:
        # The suffix stays, as libraries go by it.
        beside = path.with_name(f".{path.stem[:80]}.{os.urandom(6).hex()}{path.suffix}")
        try:
            self.dump_to_path(context, obj, as_path(beside))
            _replace(beside, path)
        finally:
            _remove(beside)


def as_path(given: Any) -> Any:
    """Return a path for what users give: a ``UPath`` for a URL, else a local path.

    Raises:
        ImportError: a URL is given, and universal-pathlib is not installed.
    """
    if not isinstance(given, str):
        return given
    if "://" not in given:
        return Path(given)
    try:
        from upath import UPath  # noqa: PLC0415 - optional
    except ImportError as error:
        raise ImportError(
            f"{given.partition('://')[0]}:// paths are universal-pathlib's, which is not installed. "
            "Run: pip install 'orchord[upath]'."
        ) from error
    return UPath(given)


def checked_parts(parts: Any) -> tuple[str, ...]:
    """Return parts of a path, each of which is the name of a file or folder.

    Raises:
        InvariantViolationError: one is not.
    """
    for part in parts:
        if part in ("", ".", "..") or "/" in part or "\\" in part or "\0" in part:
            raise InvariantViolationError(
                f"{part!r} in {list(parts)!r} cannot be the name of a file or folder. Rename the asset or op."
            )
    return tuple(parts)


def _is_local(path: Any) -> bool:
    return isinstance(path, Path) and getattr(path, "protocol", "") in ("", "file", "local")


def _replace(beside: Path, path: Path) -> None:
    """Move a file, or the folder that some formats make, to its place."""
    if beside.is_dir() and path.exists():
        # Folders cannot be swapped; the old one steps aside first.
        aside = path.with_name(f".{path.stem[:80]}.{os.urandom(6).hex()}.old")
        os.replace(path, aside)
        os.replace(beside, path)
        _remove(aside)
        return
    os.replace(beside, path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    with suppress(OSError):
        path.unlink()
