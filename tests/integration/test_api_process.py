"""`python -m api` as operators start it."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil
import requests

from cli.local_stack.ports import free_port

PATIENCE_S = 120.0


def test_the_api_and_its_processes_run_with_huge_pages_asked_for() -> None:
    """On Linux the program that was started, and those it forks, have the tunable, once."""
    port = free_port()
    served = ["--interface", "wsgi", "--factory", "benchmarks.bare_route:create_app"]
    command = [sys.executable, "-m", "api", *served, "--port", str(port), "--workers", "1"]
    with subprocess.Popen(command) as started:  # noqa: S603 our own arguments
        try:
            _wait_until_it_answers(port)
            program = psutil.Process(started.pid)
            forked = program.children(recursive=True)
            assert forked
            for process in (program, *forked):
                tunables = process.environ().get("GLIBC_TUNABLES", "")
                assert tunables.count("glibc.malloc.hugetlb=1") == (sys.platform == "linux")
        finally:
            started.terminate()


def _wait_until_it_answers(port: int) -> None:
    """Until a request has any answer."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            requests.get(f"http://127.0.0.1:{port}/", timeout=5)
        except requests.ConnectionError:
            assert time.monotonic() < deadline, "the API does not answer"
            time.sleep(0.1)
        else:
            return
