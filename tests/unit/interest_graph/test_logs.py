"""What may reach a log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import pytest
import structlog

from interest_graph.logs import MASKED, configure_logs

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Other tests must not write to the stream that pytest closes after this one."""
    yield
    structlog.reset_defaults()


def test_what_must_not_be_written_is_masked(capsys: pytest.CaptureFixture[str]) -> None:
    """Fields that carry keys or ids of users are masked, whatever a caller passes."""
    configure_logs()
    structlog.get_logger().info("event", **dict.fromkeys(MASKED, "hush"), item_id="lamp")
    line = orjson.loads(capsys.readouterr().err)
    assert {line[name] for name in MASKED} == {"***"}
    assert (line["event"], line["level"], line["item_id"]) == ("event", "info", "lamp")


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
