"""An ingest worker that is killed when it would put right who is in doubt.

`python -m tests.faults.dying_ingest` is `python -m workers.ingest` but for that.
"""

from __future__ import annotations

import os
import signal
from typing import NoReturn

from interest_graph.doubts import Doubts


def die(*_: object) -> NoReturn:
    """No clean end: nothing is put right, given back or logged."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


if __name__ == "__main__":
    from workers.ingest import main

    Doubts.put_right = die  # type: ignore[method-assign] # the death
    main()
