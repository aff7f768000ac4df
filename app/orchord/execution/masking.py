"""Hiding secrets: the values that environment variables gave to config must not reach events.

The masker is built once per run in an executing process, from the config as it is written ({"env": NAME}); which
fields hold a secret is decided there, not here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

MASK = "******"

# Shorter values are no secrets (flags, digits, "dev"), and hiding them would maim every message.
MIN_SECRET_LENGTH = 4


class Masker:
    """Replaces secret values in texts by ``******``.

    Args:
        secrets: the values to hide; those shorter than four characters are left readable.
    """

    __slots__ = ("_secrets",)

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # The longest first, so that a secret that contains another one is hidden whole.
        self._secrets = sorted({one for one in secrets if len(one) >= MIN_SECRET_LENGTH}, key=len, reverse=True)

    def __bool__(self) -> bool:
        return bool(self._secrets)

    def text(self, text: str) -> str:
        """Return the text without secrets."""
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, MASK)
        return text

    def data(self, value: Any) -> Any:
        """Return JSON-able data in which no text, key included, shows a secret."""
        if not self._secrets:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.data(key): self.data(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.data(item) for item in value]
        return value


NOTHING_SECRET = Masker()
