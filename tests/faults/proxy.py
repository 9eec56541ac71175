"""A TCP proxy that can be told to fail: connections reset, answers held back, bytes swallowed."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 65_536
RESET = struct.pack("ii", 1, 0)  # closing then sends RST instead of FIN


class FaultyProxy:
    """Forwards every connection to a server, in a thread of its own.

    Args:
        name: What it stands between.
        port: The server's port on the loopback address.
    """

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self._target = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._writers: set[asyncio.StreamWriter] = set()
        self._delay_s = 0.0
        self._swallowing = False
        self._meanwhile: Callable[[], object] | None = None
        self._let_through = 0
        self.port = 0

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        self.port = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, and drop every connection."""
        self.reset()
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def reset(self) -> bool:
        """Reset every connection; whether there was one."""
        found = bool(self._writers)
        self._call(self._reset_all)
        return found

    def delay(self, seconds: float) -> None:
        """Hold back everything that comes from now on by so many seconds; 0 heals."""
        self._delay_s = seconds

    def half_open(self, *, swallow: bool) -> None:
        """Swallow all bytes and close nothing, as when a cable is cut; False heals by a reset."""
        self._swallowing = swallow
        if not swallow:
            self.reset()

    def lose_answer(self, meanwhile: Callable[[], object] = lambda: None, after: int = 0) -> None:
        """Lose what the server says next, with every connection, once it was said.

        Args:
            meanwhile: What happens after it and before a client can know.
            after: Answers that come through before.
        """
        self._meanwhile, self._let_through = meanwhile, after

    @property
    def losing(self) -> bool:
        """Whether an answer is still to be lost."""
        return self._meanwhile is not None

    def heal(self) -> None:
        """Forward again."""
        self._delay_s, self._swallowing = 0.0, False

    def _call(self, work: Callable[[], object]) -> None:
        """Run something in the loop's thread and wait for it."""
        done = threading.Event()

        def run() -> None:
            work()
            done.set()

        self._loop.call_soon_threadsafe(run)
        done.wait(5)

    async def _listen(self) -> int:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _close(self) -> None:
        """Stop listening, and end what still forwards."""
        self._server.close()
        ours = asyncio.current_task()
        tasks = [task for task in asyncio.all_tasks() if task is not ours]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, back}
        answers = self._pump(there, writer, answers=True)
        await asyncio.gather(self._pump(reader, back), answers)
        self._writers -= {writer, back}

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool = False
    ) -> None:
        """Forward one direction until it ends."""
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                if answers and self._loses():
                    self._reset_all()
                    break
                if self._delay_s:
                    await asyncio.sleep(self._delay_s)
                if not self._swallowing:
                    writer.write(data)
                    await writer.drain()
        writer.close()

    def _loses(self) -> bool:
        """Whether this answer is the one to be lost."""
        if self._meanwhile is None:
            return False
        if self._let_through:
            self._let_through -= 1
            return False
        meanwhile, self._meanwhile = self._meanwhile, None
        meanwhile()
        return True

    def _reset_all(self) -> None:
        for writer in self._writers:
            connection = writer.get_extra_info("socket")
            if connection is not None:
                with contextlib.suppress(OSError):
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()
