"""A store that fails for a while: requests are tried again, with pauses that grow, and as often as the settings say."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import pytest

from orchord.object_stores.bucket import Bucket
from orchord.object_stores.s3 import s3_settings


class Failing(http.server.BaseHTTPRequestHandler):
    """Answers that it is overloaded, so many times; then that all is well."""

    failures = 0
    requests = 0

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        type(self).requests += 1
        self.send_response(503 if self.requests <= self.failures else 200)
        self.send_header("ETag", '"x"')
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def failing(object_store_library: None) -> Iterator[tuple[type[Failing], str]]:
    """A server, and its URL."""

    class Handler(Failing):
        pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Handler, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def bucket(url: str, attempts: int) -> Bucket:
    return Bucket(
        s3_settings("b", endpoint_url=url, access_key_id="k", secret_access_key="secret", max_attempts=attempts)
    )


def test_what_fails_for_a_while_is_tried_again(failing) -> None:
    handler, url = failing
    handler.failures = 3
    made = bucket(url, attempts=4)
    with made.writing("key") as writer:
        writer.write(b"value")
    assert handler.requests == 4
    made.close()


def test_what_fails_for_longer_is_given_up(failing) -> None:
    handler, url = failing
    handler.failures = 9
    made = bucket(url, attempts=2)
    with pytest.raises(ConnectionError, match="Failed to write s3://b/key: .*503"):
        made.put("key", b"value")
    assert handler.requests == 2
    made.close()
