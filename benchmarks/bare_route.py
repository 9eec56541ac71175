"""The baseline of lists: a Flask route that returns a constant, under the same server."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import requests
from flask import Flask, Response

from cli.local_stack.ports import LOOPBACK, free_port

from .load import Requests

if TYPE_CHECKING:
    from collections.abc import Iterator

TRIES, BETWEEN_TRIES_S = 300, 0.1


def create_app() -> Flask:
    """An application with the one route `/`."""
    app = Flask(__name__)
    body = b'{"items":[]}'

    @app.get("/")
    def constant() -> Response:
        return Response(body, mimetype="application/json")

    return app


@contextmanager
def bare_route(workers: int) -> Iterator[Requests]:
    """The route under the API's server with as many processes; yields what to ask for."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "granian", "--interface", "wsgi", "--factory"),
        *("benchmarks.bare_route:create_app", "--host", LOOPBACK, "--port", str(port)),
        *("--workers", str(workers), "--blocking-threads", "1", "--no-ws"),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603 our own arguments
    url = f"http://{LOOPBACK}:{port}"
    try:
        wait_until_it_answers(f"{url}/")
        yield Requests(url, ["/"])
    finally:
        process.terminate()
        process.wait()


def wait_until_it_answers(url: str) -> None:
    """Wait for a server that is starting.

    Raises:
        TimeoutError: It did not start.
    """
    for _ in range(TRIES):
        try:
            requests.get(url, timeout=5).raise_for_status()
        except requests.ConnectionError:
            time.sleep(BETWEEN_TRIES_S)
        else:
            return
    message = f"{url} does not answer"
    raise TimeoutError(message)
