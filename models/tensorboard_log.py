"""TensorBoard's files, written while training runs."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@contextmanager
def tensorboard_log(
    log_dir: Path | None, stage: str
) -> Iterator[Callable[[int, dict[str, float]], None]]:
    """A function that writes the figures of a step to TensorBoard's files, if they are wanted.

    Args:
        log_dir: Where the files go; None writes none.
        stage: Their folder.
    """
    if log_dir is None:
        yield lambda _step, _figures: None
        return
    from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 slow to import

    writer = SummaryWriter(str(log_dir / stage))

    def write(step: int, figures: dict[str, float]) -> None:
        for name, value in figures.items():
            writer.add_scalar(name, value, step)

    try:
        yield write
    finally:
        writer.close()
