"""The stand-in for an instance in a run that belongs to none: a folder, and no database until one is asked for.

``execute_in_process()`` without an instance must stay quick, so what user code rarely asks for is made when it does.
Real instances are orchord.instance's, which stands above this package and installs the maker of ephemeral ones here.
"""

from __future__ import annotations

import importlib
import shutil
import tempfile
import weakref
from collections.abc import Callable
from typing import Any

# Loaded by name when its maker is wanted and not installed yet: `import orchord` is quick because it leaves it out.
_INSTANCES = "orchord.instance"
_maker: list[Callable[[], Any]] = []


def install_ephemeral(maker: Callable[[], Any]) -> None:
    """Set what makes an ephemeral instance with storage. Called once, by the package that has instances."""
    _maker[:] = [maker]


class TransientInstance:
    """An instance for one in-process run. Its folder goes when it is closed or collected."""

    def __init__(self) -> None:
        self._folder: str | None = None
        self._removal: weakref.finalize[[str], TransientInstance] | None = None
        self._ephemeral: Any = None

    def storage_directory(self) -> str:
        """Return the folder in which IO managers without a ``base_dir`` store values."""
        if self._folder is None:
            self._folder = tempfile.mkdtemp(prefix="orchord-run-")
            self._removal = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        return self._folder

    def close(self) -> None:
        """Remove the folder, and dispose of the database if one was made."""
        if self._removal is not None:
            self._removal()
            self._folder = self._removal = None
        if self._ephemeral is not None:
            self._ephemeral.dispose()
            self._ephemeral = None

    def __enter__(self) -> TransientInstance:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        """Answer what only an instance with storage can."""
        if name.startswith("_"):
            raise AttributeError(name)
        if self._ephemeral is None:
            if not _maker:
                importlib.import_module(_INSTANCES)
            self._ephemeral = _maker[0]()
        return getattr(self._ephemeral, name)
