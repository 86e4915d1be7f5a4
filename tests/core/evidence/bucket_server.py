"""A bucket that speaks as much of S3 as archives need: conditional puts, lists, and objects that are locked."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

_DATE = "Thu, 01 Jan 2026 00:00:00 GMT"


class Bucket(ThreadingHTTPServer):
    """`objects`: by their keys. `locked`: keys that can't be deleted. `requests`: what was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, bytes] = {}
        self.locked: set[str] = set()
        self.requests: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Bucket
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        self.server.requests.append(
            f"{self.command} {self.path} {self.headers.get('Authorization', '')[:16]}"
        )

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        if "list-type" in (query := parse_qs(urlsplit(self.path).query)):
            self._list({name: values[0] for name, values in query.items()})
        elif (content := self.server.objects.get(self._key)) is None:
            self._answer(404, _error("NoSuchKey", "The specified key does not exist."))
        else:
            self._answer(200, content)

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("If-None-Match") == "*" and self._key in self.server.objects:
            return self._answer(412, _error("PreconditionFailed", "The object exists."))
        self.server.objects[self._key] = content
        return self._answer(200, b"")

    def do_POST(self) -> None:  # the deletion of several objects
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        told = ""
        for part in body.split("<Key>")[1:]:
            key = part.partition("</Key>")[0]
            if key in self.server.locked:
                words = "<Code>AccessDenied</Code><Message>Object is locked until 2030.</Message>"
                told += f"<Error><Key>{key}</Key>{words}</Error>"
            else:
                self.server.objects.pop(key, None)
                told += f"<Deleted><Key>{key}</Key></Deleted>"
        self._answer(200, f"<DeleteResult>{told}</DeleteResult>".encode())

    @property
    def _key(self) -> str:
        return unquote(urlsplit(self.path).path).removeprefix("/bucket/")

    def _list(self, query: dict[str, str]) -> None:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter")
        keys = [
            key
            for key in sorted(self.server.objects)
            if key.startswith(prefix)
            and key > query.get("start-after", "")
            and (delimiter is None or delimiter not in key.removeprefix(prefix))
        ]
        told = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            f'<ETag>"1"</ETag><Size>{len(self.server.objects[key])}</Size></Contents>'
            for key in keys
        )
        self._answer(
            200, f"<ListBucketResult><IsTruncated>false</IsTruncated>{told}</ListBucketResult>".encode()
        )

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", '"1"')
        self.send_header("Last-Modified", _DATE)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _error(code: str, message: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()


@contextmanager
def bucket() -> Iterator[Bucket]:
    """Served while the block runs; its name is `bucket`."""
    with Bucket() as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
