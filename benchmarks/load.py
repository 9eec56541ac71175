"""Load on HTTP servers: a closed loop by wrk, an open loop by oha.

A closed loop sends the next request when an answer is there, and so finds how much a server can do.
An open loop sends at a constant rate, whatever the server does, and takes a request's time from the
moment at which it was due: a pause of the server counts for every request that was due in it.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SCRIPT = """
local paths = {{{paths}}}
local headers = {{{headers}}}
local n = 0
request = function()
  n = n + 1
  return wrk.format("GET", paths[(n * 7919) % #paths + 1], headers)
end
"""
CLOSED_PERCENTILES = {
    "p50_ms": r"50%\s+([\d.]+)(us|ms|s)",
    "p99_ms": r"99%\s+([\d.]+)(us|ms|s)",
}
SCALE = {"us": 0.001, "ms": 1.0, "s": 1000.0}
OPEN_PERCENTILES = {"p50_ms": "p50", "p99_ms": "p99"}
CONNECTIONS = 64
"""Of an open loop: enough that requests wait for the server and not for one of these."""
GRACE_S = 60
FIRST_S = 1.0
INSTALL = {
    "wrk": "Debian: apt-get install wrk",
    "oha": "1.16 or newer: cargo install oha --locked",
    "py-spy": "PyPI: uv tool install py-spy",
}


@dataclass(frozen=True, slots=True)
class Requests:
    """What is asked for, over and over.

    Args:
        url: Of the server.
        paths: Which are asked for, in any order.
        headers: Of every request.
        bodies: Bodies to POST, in any order; none to GET.
    """

    url: str
    paths: Sequence[str]
    headers: Mapping[str, str] = field(default_factory=dict)
    bodies: Sequence[str] = ()


def need(*programs: str) -> None:
    """End with what to do when a program is missing."""
    missing = [f"{name} is missing: {INSTALL[name]}" for name in programs if not shutil.which(name)]
    if missing:
        sys.exit("\n".join(missing))


def closed_loop(asked: Requests, connections: int, seconds: float) -> dict[str, Any]:
    """How many requests a second a server answers.

    Args:
        asked: Without bodies.
        connections: Each has one request under way at any time.
        seconds: Of load.

    Returns:
        `requests_per_s`, `p50_ms`, `p99_ms` and `errors`: answers that were no success, and
        connections that failed or had no answer in time.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        paths = ",".join(f'"{path}"' for path in asked.paths)
        headers = ",".join(f'["{name}"]="{value}"' for name, value in asked.headers.items())
        script.write(SCRIPT.format(paths=paths, headers=headers))
        script.flush()
        words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency"]
        output = _output([*words, "-s", script.name, asked.url], seconds)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    figures: dict[str, Any] = {"requests_per_s": round(float(rate[1])) if rate else 0}
    for name, pattern in CLOSED_PERCENTILES.items():
        found = re.search(pattern, output)
        figures[name] = round(float(found[1]) * SCALE[found[2]], 2) if found else None
    return {**figures, "errors": errors_of(output)}


def errors_of(output: str) -> int:
    """Errors that `wrk` tells of.

    >>> errors_of("Socket errors: connect 0, read 3, write 0, timeout 2")
    5
    >>> errors_of("Non-2xx or 3xx responses: 4")
    4
    """
    told = re.findall(r"(?:Socket errors|Non-2xx or 3xx responses):(.*)", output)
    return sum(int(number) for line in told for number in re.findall(r"\d+", line))


def open_loop(asked: Requests, rate: float, seconds: float) -> dict[str, Any]:
    """How long answers take at a constant rate, from when each request was due.

    Args:
        asked: What for.
        rate: Requests a second.
        seconds: In which they are due; a server that cannot follow takes longer.

    Returns:
        `requests_per_s` that were answered, `p50_ms`, `p99_ms`, and `errors`: requests without an
        answer, or with one that was no success.
    """
    with OpenLoop(asked, rate, seconds) as load:
        return load.result()


class OpenLoop:
    """An open loop in the background; the end of `with` ends it.

    It is made a second after the load begins, when it is known to have begun.

    Args:
        asked: What for.
        rate: Requests a second.
        seconds: In which they are due.

    Raises:
        RuntimeError: The program ends at once, with an error.
    """

    def __init__(self, asked: Requests, rate: float, seconds: float) -> None:
        self._seconds = seconds
        self._folder = tempfile.TemporaryDirectory(prefix="load-")
        count = max(1, round(rate * seconds))
        words = ["oha", "--no-tui", "--output-format", "json", "--latency-correction"]
        words += ["-q", f"{rate:g}", "-n", str(count), "-c", str(min(CONNECTIONS, count))]
        for name, value in asked.headers.items():
            words += ["-H", f"{name}: {value}"]
        if asked.bodies:
            words += ["-m", "POST", "-T", "application/json", "-Z", self._lines("b", asked.bodies)]
        urls = [asked.url + path for path in asked.paths]
        words += ["--urls-from-file", self._lines("urls", urls)]
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)  # noqa: S603 our own arguments
        with suppress(subprocess.TimeoutExpired):  # with a wrong option it ends at once
            self._process.wait(min(FIRST_S, seconds / 2))
            self._refuse_failure()

    def __enter__(self) -> Self:
        """Nothing more to do."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it, whether it is done or not."""
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()

    def result(self) -> dict[str, Any]:
        """Wait until everything is answered; what `open_loop` returns.

        Raises:
            RuntimeError: The program failed, or did not end.
        """
        try:
            output, _ = self._process.communicate(timeout=self._seconds * 3 + GRACE_S)
        except subprocess.TimeoutExpired as error:
            message = f"the server takes more than three times the {self._seconds:g} s of load"
            raise RuntimeError(message) from error
        self._refuse_failure()
        return read_open(json.loads(output))

    def _refuse_failure(self) -> None:
        if self._process.returncode:
            message = f"oha ended with {self._process.returncode}; it must be {INSTALL['oha']}"
            raise RuntimeError(message)

    def _lines(self, name: str, lines: Sequence[str]) -> str:
        """A file of lines, as long as the load lasts."""
        path = Path(self._folder.name, name)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return str(path)


def read_open(found: Mapping[str, Any]) -> dict[str, Any]:
    """What `open_loop` returns, from what oha prints."""
    statuses = found["statusCodeDistribution"]
    good = sum(count for status, count in statuses.items() if status.startswith("2"))
    bad = sum(statuses.values()) - good + sum(found["errorDistribution"].values())
    latency = found["latencyPercentiles"]
    figures = {
        name: round(latency[percentile] * 1000, 2) if latency[percentile] is not None else None
        for name, percentile in OPEN_PERCENTILES.items()
    }
    return {"requests_per_s": round(found["summary"]["requestsPerSec"]), **figures, "errors": bad}


def _output(command: list[str], seconds: float) -> str:
    """What a program prints that ends by itself."""
    done = subprocess.run(  # noqa: S603 our own arguments
        command, capture_output=True, text=True, check=True, timeout=seconds + GRACE_S
    )
    return done.stdout
