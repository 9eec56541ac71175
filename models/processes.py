"""Training by several processes that `torchrun` started: each reads its share of every batch.

    torchrun --nproc-per-node 2 -m cli train

All of them hold the whole model and draw the same batches. Each computes the loss of its windows as
part of the batch's, and the gradients are summed (gloo), so that every step is the step that one
process would take, and the models stay equal without being sent. What is not a gradient step
(texts, evidence, validation) each does by itself, and the first alone publishes.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar, cast

import torch
import torch.distributed as dist

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from torch import Tensor, nn

Value = TypeVar("Value")
PATIENCE = timedelta(hours=2)
"""How long a process waits for the others, of which the first may read and publish alone."""


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes of one training.

    Args:
        rank: This one's number, from 0.
        size: How many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that speaks for all."""
        return self.rank == 0

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its sum over all processes; what has none anywhere has zeros."""
        if self.size == 1:
            return
        given = [one for one in parameters if one.requires_grad]
        for one in given:
            if one.grad is None:
                one.grad = torch.zeros_like(one)
        together = torch.cat([cast("Tensor", one.grad).flatten() for one in given])
        dist.all_reduce(together)
        parts = torch.split(together, [one.numel() for one in given])
        for one, part in zip(given, parts, strict=True):
            one.grad = part.view_as(one)

    def sum(self, value: float) -> float:
        """The sum of a number over all processes."""
        if self.size == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64)
        dist.all_reduce(total)
        return float(total)

    def of_the_first(self, make: Callable[[], Value]) -> Value:
        """What the first process makes, in every process."""
        if self.size == 1:
            return make()
        held: list[Value | None] = [make() if self.first else None]
        dist.broadcast_object_list(held, src=0)
        return cast("Value", held[0])


ALONE = Processes()


@contextmanager
def joined() -> Iterator[Processes]:
    """Meet the other processes that `torchrun` started; alone without it."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE
        return
    dist.init_process_group("gloo", timeout=PATIENCE)
    try:
        yield Processes(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()
