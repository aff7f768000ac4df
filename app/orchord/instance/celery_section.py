"""The instance file's ``celery``: addresses that look like some, and names that queues may bear.

What the keys mean is in sections.py; the app that is made of them is the workers'.
"""

from __future__ import annotations

import re
from typing import Any

from orchord.instance.section_reader import read_section
from orchord.instance.sections import DEFAULT_BROKER, CelerySettings

_QUEUE_NAME = re.compile(r"[\w.-]{1,100}")


def parse_celery(value: Any, mistakes: list[str]) -> CelerySettings:
    """Return the section as its value; what is wrong is added to ``mistakes``."""
    section = read_section("celery", value, CelerySettings, mistakes)
    given = value if isinstance(value, dict) else {}
    for key in ("broker", "result_backend"):
        if key in given and not (isinstance(given[key], str) and "://" in given[key]):
            mistakes.append(f"celery.{key}: expected a URL such as {DEFAULT_BROKER}.")
    mistakes += [
        f"celery.queues[{number}]: found '{name}', expected up to 100 letters, digits and any of '_', '-' and '.'."
        for number, name in enumerate(section.queues)
        if not _QUEUE_NAME.fullmatch(name)
    ]
    if given.get("result_backend") is None and not section.broker.startswith(("redis", "valkey", "sentinel")):
        mistakes.append("celery.result_backend: missing. With this broker, give a Redis or Valkey URL for chords.")
    return section
