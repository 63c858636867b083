"""A web server on this machine that can break off, lie, or not know ranges."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Site:
    """What the server holds and how it behaves.

    `breaks`: after how many bytes each of the next answers ends. `requests`: the range each request asked for.
    """

    files: dict[str, bytes]
    address: str = ""
    ranges: bool = True
    lengths: bool = True
    breaks: list[int] = field(default_factory=list)
    requests: list[str | None] = field(default_factory=list)


@contextmanager
def serving(files: dict[str, bytes], **behaviour) -> Iterator[Site]:
    """Serve the bytes of some names until the end of the block."""
    site = Site(files, **behaviour)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            asked = self.headers.get("Range")
            site.requests.append(asked)
            data = site.files.get(self.path.lstrip("/"))
            if data is None:
                self.send_error(404)
                return
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and site.ranges else 0
            if start >= len(data) and start:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(data)}")
                self.end_headers()
                return
            self.send_response(206 if asked and site.ranges else 200)
            if asked and site.ranges:
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            if site.lengths:
                self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            self.wfile.write(data[start:][: site.breaks.pop(0) if site.breaks else None])

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        site.address = f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield site
        finally:
            server.shutdown()
            thread.join()
