"""A web server of a folder, which knows ranges and asks for a password or a signature."""

import base64
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@contextmanager
def served(folder, *, user="", password="", signature=""):
    """Serve a folder; yields the URL. A refusal repeats what was asked, as some servers do."""
    words = base64.b64encode(f"{user}:{password}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            name, _, query = self.path.partition("?")
            if password and self.headers.get("Authorization") != f"Basic {words}":
                return self._refuse(f"wrong: {self.headers.get('Authorization')}")
            if signature and query != f"Signature={signature}":
                return self._refuse(f"wrong: {self.path}")
            file = Path(folder, name.lstrip("/"))
            if not file.is_file():
                return self._send(404, b"")
            data = file.read_bytes()
            asked = self.headers.get("Range")
            if asked is None:
                return self._send(200, data)
            start, _, end = asked.removeprefix("bytes=").partition("-")
            part = data[int(start) : int(end) + 1 if end else None]
            return self._send(206, part, f"bytes {start}-{int(start) + len(part) - 1}/{len(data)}")

        do_HEAD = do_GET

        def _refuse(self, why):
            self._send(403, why.encode(), reason=why)

        def _send(self, status, data, extent="", reason=None):
            self.send_response(status, reason)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Accept-Ranges", "bytes")
            if extent:
                self.send_header("Content-Range", extent)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def log_message(self, *args):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
