"""The IO managers that come with Orchord. Importing this package makes ``fs_io_manager`` the default one.

What an IO manager is, and how to write one, is in definitions/io_manager.py.
"""

from __future__ import annotations

from orchord.definitions import default_io_manager
from orchord.io_managers.filesystem import FilesystemIOManager, fs_io_manager
from orchord.io_managers.in_memory import InMemoryIOManager, mem_io_manager

default_io_manager.install(lambda: fs_io_manager)

__all__ = ["FilesystemIOManager", "InMemoryIOManager", "fs_io_manager", "mem_io_manager"]
