"""Helpers and fakes that users' tests may use, as Orchord's own tests do.

``eventually`` waits for a condition. ``FakeRunLauncher`` (in fake_launcher.py) ends runs without a broker, and
``FakeCourier`` (in fake_courier.py) keeps what it is given.
"""

from orchord.testing.waiting import eventually

__all__ = ["eventually"]
