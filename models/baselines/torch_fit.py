"""What every fit with torch does: its own seed and threads, and stopping by validation."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

from models.evaluation.metrics import MAIN_METRIC, evaluate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from models.evaluation.cases import Cases, Ranker

CHECK_CASES = 4000
EVERY_EPOCH = 10
EPOCHS_BETWEEN = 5


@contextmanager
def seeded(seed: int, threads: int) -> Iterator[None]:
    """Torch with a seed and a number of threads; both are put back."""
    before = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def fit_epochs(
    model: torch.nn.Module,
    train_epoch: Callable[[], None],
    ranker: Ranker,
    epochs: int,
    check: Cases | None,
    patience: int,
) -> int:
    """Train a model and leave it in its best state.

    Args:
        model: The model.
        train_epoch: Trains it for one epoch.
        ranker: Ranks with it as it stands.
        epochs: Epochs at most; exactly so many without a validation.
        check: The validation; of many cases the same `CHECK_CASES` each time. It is asked after
            each of the first `EVERY_EPOCH` epochs, then after every `EPOCHS_BETWEEN`-th and the
            last.
        patience: Epochs without a better validation after which training ends.

    Returns:
        The epochs of the best state.
    """
    if check is None:
        for _ in range(epochs):
            train_epoch()
        return epochs
    if len(check) > CHECK_CASES:
        chosen = np.random.default_rng(0).choice(len(check), CHECK_CASES, replace=False)
        check = check.take(np.sort(chosen))
    best, best_epoch, state = -1.0, 0, {}
    for epoch in range(1, epochs + 1):
        train_epoch()
        if EVERY_EPOCH < epoch < epochs and epoch % EPOCHS_BETWEEN:
            continue
        value = evaluate(ranker, check).metrics.get(MAIN_METRIC, 0.0)
        if value > best:
            best, best_epoch = value, epoch
            state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        if epoch - best_epoch >= patience:
            break
    model.load_state_dict(state)
    return best_epoch
