"""A witness that looks many times a second whether limits hold: slots of pools, runs at once, runs of one tag's value.

One statement sees one moment. Times that attempts bear are no evidence: they are taken before a lock is waited for.
"""

from __future__ import annotations

import threading

import psycopg2
from stack import Stack

LOOK_SECONDS = 0.03
HELD = """
SELECT 'pool ' || pool, count(*) FROM attempts WHERE status = 'RUNNING' AND pool IS NOT NULL GROUP BY 1
UNION ALL
SELECT 'runs', count(*) FROM runs WHERE status IN ('STARTING', 'STARTED', 'CANCELING')
UNION ALL
SELECT 'family ' || t.value, count(*) FROM runs r JOIN run_tags t ON t.run_id = r.run_id AND t.key = 'family'
WHERE r.status IN ('STARTING', 'STARTED', 'CANCELING') GROUP BY 1
"""


class Witness:
    """Looks until it is stopped.

    Args:
        limits: by what is counted: ``pool <name>``, ``runs``, ``family`` (each value of that tag).
    """

    def __init__(self, stack: Stack, limits: dict[str, int]) -> None:
        self.stack, self.limits = stack, limits
        self.looks = 0
        self.most: dict[str, int] = {}
        self.exceeded: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="witness", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()
        self._thread.join(30)

    def limit_of(self, what: str) -> int | None:
        """Return the limit that holds for something that was counted."""
        return self.limits.get(what, self.limits.get(what.partition(" ")[0]))

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._look_on_one_connection()
            except psycopg2.Error:
                self._stop.wait(0.2)

    def _look_on_one_connection(self) -> None:
        connection = psycopg2.connect(
            host="127.0.0.1", port=self.stack.postgres_port, user="postgres", dbname="postgres", connect_timeout=5
        )
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                while not self._stop.wait(LOOK_SECONDS):
                    cursor.execute(HELD)
                    self.looks += 1
                    for what, count in cursor.fetchall():
                        self._note(what, int(count))
        finally:
            connection.close()

    def _note(self, what: str, count: int) -> None:
        if count <= self.most.get(what, 0):
            return
        self.most[what] = count
        limit = self.limit_of(what)
        if limit is not None and count > limit:
            self.exceeded.append(f"{what}: {count} at once, the limit is {limit}")
