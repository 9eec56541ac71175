"""Clients that take their time hold neither a process nor its memory: real processes, real sockets.

The processes of these tests wait two seconds for a header or a body.
"""

from __future__ import annotations

import contextlib
import json
import socket
from typing import TYPE_CHECKING

from tests.hostile.raw_client import connect, head, post, receive

if TYPE_CHECKING:
    from tests.hostile.conftest import ApiProcesses

LIVE = head("GET", "/v1/health/live")
EVENT = {"user_id": "u-slow", "item_id": "item-00", "event_type": "view"}
MANY = 200
MEMORY_MB = 150
"""What a process may grow by: 64 MiB of unfinished bodies, and what becomes of them."""


def assert_served(api: ApiProcesses) -> None:
    """Others are served: lists and events, several times, by whichever process."""
    keys = api.shop.keys
    for number in range(6):
        assert api.send(LIVE).status == 200
        recommendations = head("GET", f"/v1/users/u-{number}/recommendations", keys["read"])
        assert api.send(recommendations).status == 200
        body = json.dumps({**EVENT, "event_id": f"served-{number}"}).encode()
        assert api.send(post("/v1/events", keys["events:write"], body)).status == 202


def test_a_body_that_never_comes_holds_nobody(api_processes: ApiProcesses) -> None:
    """While many wait for bodies others are served; each waiting one gets a 408 with a reason."""
    key = api_processes.shop.keys["events:write"]
    with contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(connect(api_processes.port)) for _ in range(20)]
        for connection in waiting:
            connection.sendall(post("/v1/events", key, b"[", Content_Length="100"))
        assert_served(api_processes)
        for connection in waiting:
            answer = receive(connection)
            assert (answer.status, answer.problem["code"]) == (408, "body_timeout")
    api_processes.assert_alive()


def test_a_body_of_a_byte_a_second_is_cut_off(api_processes: ApiProcesses) -> None:
    """Dripping does not prolong the time in which the whole body must arrive."""
    key = api_processes.shop.keys["events:write"]
    with connect(api_processes.port) as connection:
        connection.sendall(head("POST", "/v1/events", key, Transfer_Encoding="chunked"))
        connection.settimeout(0.5)
        answered = False
        while not answered:
            connection.sendall(b"1\r\n[\r\n")
            with contextlib.suppress(TimeoutError):
                connection.recv(1, socket.MSG_PEEK)
                answered = True
        connection.settimeout(30)
        assert receive(connection).status in {400, 408, 415}


def test_headers_that_never_end_are_cut_off(api_processes: ApiProcesses) -> None:
    """Hundreds of unfinished headers leave others served, and end within the stated time."""
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connect(api_processes.port)) for _ in range(MANY)]
        for connection in slow:
            connection.sendall(LIVE[:-2] + b"X-Slow: ")
        assert_served(api_processes)
        assert receive(slow[0]).status in {0, 408}
    api_processes.assert_alive()


def test_readers_that_never_read_hold_nobody(api_processes: ApiProcesses) -> None:
    """Answers that are not taken leave others served, in bounded memory."""
    before = api_processes.memory_mb()
    with contextlib.ExitStack() as stack:
        for _ in range(40):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", api_processes.port))
            connection.sendall(head("GET", "/docs/assets/js/swagger-ui-bundle.js"))
        assert_served(api_processes)
        grown = [now - was for now, was in zip(api_processes.memory_mb(), before, strict=True)]
        assert max(grown) < MEMORY_MB, grown
    api_processes.assert_alive()


def test_unfinished_bodies_are_bounded(api_processes: ApiProcesses) -> None:
    """A hundred bodies of nearly 5 MiB, held back: some are refused, all memory stays bounded."""
    key = api_processes.shop.keys["events:write"]
    size = 5 * 1024 * 1024
    before = api_processes.memory_mb()
    with contextlib.ExitStack() as stack:
        waiting = []
        for _ in range(60):
            connection = stack.enter_context(connect(api_processes.port))
            connection.settimeout(5)
            waiting.append(connection)
            start = post("/v1/events", key, b" " * (size - 1), Content_Length=str(size))
            with contextlib.suppress(TimeoutError, BrokenPipeError, ConnectionResetError):
                connection.sendall(start)
        statuses = {receive(connection).status for connection in waiting}
    assert statuses <= {0, 408, 503}
    assert 503 in statuses
    grown = [now - was for now, was in zip(api_processes.peak_mb(), before, strict=True)]
    assert max(grown) < MEMORY_MB, grown
    assert_served(api_processes)
    api_processes.assert_alive()


def test_a_client_that_leaves_in_the_middle_sends_nothing(api_processes: ApiProcesses) -> None:
    """Lines of a body whose end never came are not accepted, however complete they look."""
    key, services = api_processes.shop.keys["events:write"], api_processes.shop.services
    line = json.dumps({**EVENT, "event_id": "half-sent"}).encode() + b"\n"
    for fields in ({"Content_Length": "1000"}, {"Transfer_Encoding": "chunked"}):
        chunked = "Transfer_Encoding" in fields
        body = b"%x\r\n%s\r\n" % (len(line), line) if chunked else line
        with connect(api_processes.port) as connection:
            kind = {"Content_Type": "application/x-ndjson"}
            connection.sendall(head("POST", "/v1/events", key, **kind, **fields) + body)
    assert_served(api_processes)
    payloads = [entry.payload for entry in services.events.entries()]
    assert not [payload for payload in payloads if b"half-sent" in payload]
