"""Serving: latency by concurrency and throughput of recommendations, next to a bare WSGI route.

Usage: python -m benchmarks.serving --data-dir .interest-graph [--seconds 10] [--json FILE]
"""

from __future__ import annotations

import argparse
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from .report import Report
from .target import Target, target

if TYPE_CHECKING:
    from collections.abc import Iterator

CONNECTIONS = (1, 8, 32)
SCRIPT = """
local users = {{{users}}}
local n = 0
request = function()
  n = n + 1
  local path = "/v1/users/" .. users[(n * 7919) % #users + 1] .. "/recommendations?k=10"
  return wrk.format("GET", path, {{["Authorization"] = "Bearer {token}"}})
end
"""
PATTERNS = {
    "p50_ms": r"50%\s+([\d.]+)(us|ms|s)",
    "p90_ms": r"90%\s+([\d.]+)(us|ms|s)",
    "p99_ms": r"99%\s+([\d.]+)(us|ms|s)",
}
SCALE = {"us": 0.001, "ms": 1.0, "s": 1000.0}


def wrk(url: str, connections: int, seconds: int, script: Path | None) -> dict[str, object]:
    """One run of wrk: requests a second, percentiles, answers that were no success."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", url]
    if script is not None:
        command[1:1] = ["-s", str(script)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 our own arguments
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    figures: dict[str, object] = {"requests_per_s": round(float(rate.group(1))) if rate else 0}
    for name, pattern in PATTERNS.items():
        found = re.search(pattern, output)
        figures[name] = round(float(found.group(1)) * SCALE[found.group(2)], 2) if found else None
    figures["errors"] = int(bad.group(1)) if bad else 0
    return figures


@contextmanager
def bare_route(workers: int) -> Iterator[str]:
    """A bare Flask route under the same server with as many processes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        *(sys.executable, "-m", "granian", "--interface", "wsgi", "--factory"),
        *("benchmarks.bare_app:create_app", "--host", "127.0.0.1", "--port", str(port)),
        *("--workers", str(workers), "--blocking-threads", "1", "--no-ws"),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603 our own arguments
    url = f"http://127.0.0.1:{port}/"
    try:
        for _ in range(100):
            try:
                requests.get(url, timeout=1).raise_for_status()
                break
            except requests.ConnectionError:
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait()


def measure(stack: Target, seconds: int, report: Report) -> None:
    """Recommendations and the bare route in turn, at each concurrency."""
    with tempfile.TemporaryDirectory() as folder, bare_route(stack.settings.api_workers) as bare:
        script = Path(folder) / "recommend.lua"
        users = ",".join(f'"{user}"' for user in stack.users[:500])
        script.write_text(SCRIPT.format(users=users, token=stack.token), encoding="utf-8")
        wrk(stack.url, 1, 2, script)  # every process loads the model before anything counts
        for connections in CONNECTIONS:
            base = wrk(bare, connections, seconds, None)
            ours = wrk(stack.url, connections, seconds, script)
            ratio = round(
                float(str(ours["requests_per_s"])) / float(str(base["requests_per_s"])), 3
            )
            report.add(what="bare route", connections=connections, **base)
            report.add(
                what="recommendations, k=10", connections=connections, **ours, of_bare_route=ratio
            )


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=Path(".interest-graph"))
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is missing: apt-get install wrk")
    with target(options.data_dir) as stack:
        report = Report("Serving", {**stack.described, "seconds_a_run": options.seconds})
        measure(stack, options.seconds, report)
    report.show(options.json)


if __name__ == "__main__":
    main()
