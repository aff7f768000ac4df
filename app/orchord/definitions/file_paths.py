"""``file_relative_path``: data files that lie beside the code that reads them.

Nothing is read here; where code itself is found is location/.
"""

from __future__ import annotations

import os


def file_relative_path(dunderfile: str, relative_path: str) -> str:
    """Return the path of a file that lies beside a module: ``file_relative_path(__file__, "data/orders.csv")``.

    Args:
        dunderfile: the module's ``__file__``.
        relative_path: the file's path from the module's folder.
    """
    return os.path.join(os.path.dirname(dunderfile), relative_path)
