"""A real HTTP server on loopback: it serves what a test puts there, and git repositories as git itself serves them."""

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass
class Answer:
    """What is answered at a path. `hangs` sends the head and never the body."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    hangs: bool = False


@dataclass
class HttpFiles:
    """A server: `answers` by path, and the folder below which /git/ serves repositories."""

    url: str
    answers: dict[str, Answer]
    repositories: Path
    asked: list[str]
    hosts: list[str]
    stopping: threading.Event


@contextmanager
def serve_files(repositories: Path) -> Iterator[HttpFiles]:
    """Serves until the block ends."""
    files = HttpFiles("", {}, repositories, [], [], threading.Event())

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            files.asked.append(self.path)
            files.hosts.append(self.headers["Host"])
            if self.path.startswith("/git/"):
                self._serve_git(b"")
                return
            answer = files.answers.get(self.path, Answer(status=404))
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body) + answer.hangs))
            self.end_headers()
            self.wfile.write(answer.body)
            if answer.hangs:
                files.stopping.wait(30)

        def do_POST(self) -> None:
            self._serve_git(self.rfile.read(int(self.headers.get("Content-Length", 0))))

        def _serve_git(self, body: bytes) -> None:
            path, _, query = self.path.removeprefix("/git").partition("?")
            environment = {
                "GIT_PROJECT_ROOT": str(files.repositories),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "PATH": os.environ["PATH"],
            }
            done = subprocess.run(["git", "http-backend"], input=body, capture_output=True, env=environment, check=True)
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            fields = dict(line.split(": ", 1) for line in head.decode().splitlines())
            self.send_response(int(fields.pop("Status", "200").split()[0]))
            for name, value in fields.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    files.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield files
    finally:
        files.stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()
