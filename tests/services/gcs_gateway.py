"""A gateway before fake-gcs-server, which lacks half of the XML API that object store libraries speak.

Run as a program: ``gcs_gateway.py PORT PORT_OF_THE_SERVER``. Uploads, also in parts, become the JSON API's; all else
passes as it is.
"""

from __future__ import annotations

import http.client
import http.server
import itertools
import json
import sys
import threading
from typing import Any
from urllib.parse import parse_qs, quote, unquote

NOT_OBJECTS = ("b", "batch", "download", "storage", "upload")
NOT_PASSED_ON = ("connection", "content-length", "host", "transfer-encoding")


class Uploads:
    """Uploads in parts that were begun and not ended."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._parts: dict[str, dict[int, bytes]] = {}
        self._lock = threading.Lock()

    def begin(self) -> str:
        with self._lock:
            name = f"upload-{next(self._numbers)}"
            self._parts[name] = {}
            return name

    def take(self, name: str, number: int, data: bytes) -> None:
        with self._lock:
            self._parts[name][number] = data

    def end(self, name: str) -> bytes:
        with self._lock:
            parts = self._parts.pop(name, {})
        return b"".join(parts[number] for number in sorted(parts))


class Gateway(http.server.BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    uploads = Uploads()
    server_port = 0

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def handle_request(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, query = self.path.partition("?")
        bucket, _, key = path.lstrip("/").partition("/")
        given = parse_qs(query, keep_blank_values=True)
        if bucket in NOT_OBJECTS or not key or self.command not in ("PUT", "POST", "DELETE"):
            self.pass_on(body)
        elif "uploads" in given:
            name = self.uploads.begin()
            self.answer(
                200,
                f"<InitiateMultipartUploadResult><UploadId>{name}</UploadId></InitiateMultipartUploadResult>".encode(),
            )
        elif "uploadId" in given:
            self.part(bucket, key, given, body)
        elif self.command == "PUT":
            self.put(bucket, key, body)
        else:
            self.pass_on(body)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_PATCH = handle_request

    def part(self, bucket: str, key: str, given: dict[str, list[str]], body: bytes) -> None:
        name = given["uploadId"][0]
        if self.command == "DELETE":
            self.uploads.end(name)
            self.answer(204)
        elif self.command == "PUT":
            number = int(given["partNumber"][0])
            self.uploads.take(name, number, body)
            self.answer(200, headers={"ETag": f'"part-{number}"'})
        else:
            stored = self.stored(bucket, key, self.uploads.end(name))
            self.answer(
                200,
                f"<CompleteMultipartUploadResult><ETag>{stored['etag']}</ETag>"
                "</CompleteMultipartUploadResult>".encode(),
                headers={"x-goog-generation": stored["generation"]},
            )

    def put(self, bucket: str, key: str, body: bytes) -> None:
        stored = self.stored(bucket, key, body)
        self.answer(
            200, headers={"ETag": '"{}"'.format(stored["etag"].strip('"')), "x-goog-generation": stored["generation"]}
        )

    def stored(self, bucket: str, key: str, body: bytes) -> dict[str, Any]:
        name = quote(unquote(key), safe="")
        path = f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name={name}"
        _, _, answer = self.ask("POST", path, body, {"Content-Type": "application/octet-stream"})
        found: dict[str, Any] = json.loads(answer)
        return found

    def pass_on(self, body: bytes) -> None:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in NOT_PASSED_ON}
        status, answered, data = self.ask(self.command, self.path, body, headers)
        passed = {name: value for name, value in answered.items() if name.lower() not in NOT_PASSED_ON}
        length = answered.get("Content-Length") if self.command == "HEAD" else None
        self.answer(status, data, passed, length)

    def ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server_port)
        try:
            connection.request(method, path, body, {**headers, "Host": f"127.0.0.1:{self.server_port}"})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def answer(
        self, status: int, data: bytes = b"", headers: dict[str, str] | None = None, length: str | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", length or str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


if __name__ == "__main__":
    own_port, Gateway.server_port = (int(argument) for argument in sys.argv[1:])
    http.server.ThreadingHTTPServer(("127.0.0.1", own_port), Gateway).serve_forever()
