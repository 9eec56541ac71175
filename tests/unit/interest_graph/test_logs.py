"""What may reach a log."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING

import orjson
import pytest
import structlog

from interest_graph.logs import MASKED, configure_logs, log_libraries

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Other tests must not write to the stream that pytest closes after this one."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    structlog.reset_defaults()
    root.handlers, root.level = handlers, level


def test_what_must_not_be_written_is_masked(capsys: pytest.CaptureFixture[str]) -> None:
    """Fields that carry keys or ids of users are masked, whatever a caller passes."""
    configure_logs()
    structlog.get_logger().info("event", **dict.fromkeys(MASKED, "hush"), item_id="lamp")
    line = orjson.loads(capsys.readouterr().err)
    assert {line[name] for name in MASKED} == {"***"}
    assert (line["event"], line["level"], line["item_id"]) == ("event", "info", "lamp")


def test_lines_go_to_a_standard_error_that_takes_text_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A test's runner or a supervisor may have put something else in its place."""
    monkeypatch.setattr("sys.stderr", out := io.StringIO())
    configure_logs()
    structlog.get_logger().info("event")
    assert orjson.loads(out.getvalue())["event"] == "event"


def test_a_trace_has_no_values(capsys: pytest.CaptureFixture[str]) -> None:
    """An exception is written as its class and its lines, without its message."""
    configure_logs()
    try:
        raise ValueError("hush")  # noqa: TRY301 the point of the test
    except ValueError:
        structlog.get_logger().exception("failed")
    text = capsys.readouterr().err
    line = orjson.loads(text)
    assert line["error"] == "ValueError"
    assert "test_logs.py" in line["trace"][-1]
    assert "hush" not in text


def test_the_level_holds(capsys: pytest.CaptureFixture[str]) -> None:
    """Lines below the level are not written."""
    configure_logs("warning")
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")
    assert [orjson.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == [
        "loud"
    ]


def test_a_failure_in_a_library_has_no_values(capsys: pytest.CaptureFixture[str]) -> None:
    """What went wrong is written with class, trace and task, without arguments and later lines."""
    configure_logs()
    log_libraries()
    library = logging.getLogger("celery.app.trace")
    try:
        raise KeyError("hush")  # noqa: TRY301 the point of the test
    except KeyError:
        context = {"name": "refresh", "id": "t-1", "exc": "KeyError('hush')", "args": "hush"}
        library.exception("Task %(name)s[%(id)s] raised: %(exc)s", context)
    library.error("Unknown task %s.\nThe body was: %s", "refresh", "hush")
    library.critical("Cannot decode: %r", ValueError("hush"))
    text = capsys.readouterr().err
    failed, unknown, undecoded = map(orjson.loads, text.splitlines())
    assert "hush" not in text
    assert (failed["error"], failed["task"], failed["task_id"]) == ("KeyError", "refresh", "t-1")
    assert "test_logs.py" in failed["trace"][-1]
    assert (unknown["event"], unknown["level"]) == ("Unknown task %s.", "error")
    assert undecoded["error"] == "ValueError"


def test_what_a_library_remarks_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    """A warning is written in full, but for what follows its first line; what is less is not."""
    configure_logs()
    log_libraries()
    library = logging.getLogger("celery.worker")
    library.info("quiet")
    library.warning("%s is away.\nThe message was: %s", "redis", "hush")
    line = orjson.loads(capsys.readouterr().err)
    assert (line["event"], line["logger"]) == ("redis is away.", "celery.worker")
