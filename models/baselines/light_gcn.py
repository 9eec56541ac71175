"""LightGCN: embeddings of users and items, smoothed over who took what."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional

from models.evaluation.contender import Fitted, Hyperparameters
from models.text_encoder import choose_device

from .full_softmax import fast_dtype
from .history import interactions
from .torch_fit import fit_epochs, seeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from interest_graph.interaction_graph import InteractionGraph
    from models.evaluation.cases import Cases
    from models.evaluation.context import Context

Floats = npt.NDArray[np.float32]
INITIAL_STD = 0.1


class LightGCN:
    """Light graph convolution (He et al. 2020, arXiv:2002.02126).

        E = 1/(L + 1) Σ_{l=0..L} Â^l E⁰,  Â = D^-½ A D^-½,  s(u, i) = e_u · e_i / ‖e_i‖^power

    Instead of one negative for each positive (BPR), a softmax over all items of a batch and
    uniformly drawn ones is learned (Wu et al. 2022, arXiv:2201.02327), which needs a tenth of the
    epochs: cosines over a temperature. The learning rate falls along a cosine to nothing over
    `decay_epochs`, all of which are trained; with 0 it stays, and the validation stops training.
    The propagation is written with sparse matrices: Â is symmetric, so that its gradient is a
    product with Â again, several times as fast on a CPU as PyG's `LGConv`, to which a test holds
    it equal. Users' embeddings are propagated over the history at ranking time. Learned by
    cosines, an item's length still says how popular it is; `item_norm_power` is how much of it is
    taken away: 0 leaves the inner product of the paper, 1 the cosine.
    """

    name = "light_gcn"
    seeded = True
    defaults: Mapping[str, Any] = {
        "dim": 64,
        "layers": 3,
        "learning_rate": 1e-2,
        "temperature": 0.1,
        "l2": 1e-7,
        "item_norm_power": 0.5,
        "negatives": 1024,
        "batch_pairs": 16384,
        "decay_epochs": 20,
        "epochs": 200,
        "patience": 10,
    }

    def __init__(self, context: Context) -> None:
        self._threads, self._device = context.threads, choose_device(context.device)

    def fit(
        self,
        graph: InteractionGraph,
        hyperparameters: Hyperparameters,
        seed: int,
        check: Cases | None,
    ) -> Fitted:
        """Train; `found` is the number of epochs."""
        given = dict(hyperparameters)
        taken = interactions(graph)
        with seeded(seed, self._threads):
            model = Embeddings(*taken.shape, given["dim"]).to(self._device)
            ranker = LightGCNRanker(model, given["layers"], given["item_norm_power"])
            optimizer = torch.optim.Adam(model.parameters(), given["learning_rate"])
            steps = -(-taken.nnz // given["batch_pairs"]) * given["decay_epochs"]
            falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
            adjacency = sparse_tensor(normalized_adjacency(taken), self._device)
            rng = np.random.default_rng(seed)

            def train_epoch() -> None:
                ranker.forget()
                for batch in _pair_batches(taken, given["batch_pairs"], rng):
                    users, items = (part.to(self._device) for part in batch)
                    optimizer.zero_grad()
                    table = propagate(model.table, adjacency, given["layers"])
                    loss = _loss(table, model.users, users, items, given)
                    loss = loss + given["l2"] * model.table.square().sum()
                    loss.backward()
                    optimizer.step()
                    if steps:
                        falling.step()

            most, judge = (given["decay_epochs"], None) if steps else (given["epochs"], check)
            epochs = fit_epochs(model, train_epoch, ranker, most, judge, given["patience"])
            ranker.forget()
        return Fitted(ranker, {"epochs": epochs})


class Embeddings(nn.Module):
    """E⁰: users first, then items."""

    def __init__(self, users: int, items: int, dim: int) -> None:
        super().__init__()
        self.users = users
        self.table = nn.Parameter(torch.randn(users + items, dim) * INITIAL_STD)


class _Propagated(torch.autograd.Function):
    """A constant symmetric sparse matrix times a dense one."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, adjacency: Tensor) -> Tensor:
        ctx.adjacency = adjacency
        return adjacency @ table

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        return ctx.adjacency @ grad_outputs[0], None


class _Products(torch.autograd.Function):
    """A Bᵀ, (n, m) float32; it and its gradients are multiplied in `dtype`."""

    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor, dtype: torch.dtype) -> Tensor:
        left, right = left.to(dtype), right.to(dtype)
        ctx.save_for_backward(left, right)
        return (left @ right.T).float()

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, None]:
        left, right = ctx.saved_tensors
        grad = grad_outputs[0].to(left.dtype)
        return (grad @ right).float(), (grad.T @ left).float(), None


def normalized_adjacency(taken: sparse.csr_array) -> sparse.csr_array:
    """Â of the bipartite graph, (users + items, users + items) float32."""
    pairs, users = taken.tocoo(), taken.shape[0]
    one, other = pairs.row.astype(np.int64), pairs.col.astype(np.int64) + users
    row, column = np.concatenate([one, other]), np.concatenate([other, one])
    size = sum(taken.shape)
    scale = np.maximum(np.bincount(row, minlength=size), 1.0) ** -0.5
    values = (scale[row] * scale[column]).astype(np.float32)
    return sparse.csr_array((values, (row, column)), shape=(size, size))


def sparse_tensor(adjacency: sparse.csr_array, device: torch.device) -> Tensor:
    """A sparse matrix as a tensor."""
    arrays = (adjacency.indptr, adjacency.indices, adjacency.data)
    starts, columns, values = (torch.from_numpy(array) for array in arrays)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta", UserWarning)
        return torch.sparse_csr_tensor(
            starts, columns, values, adjacency.shape, device=device, check_invariants=True
        )


def propagate(table: Tensor, adjacency: Tensor, layers: int) -> Tensor:
    """The mean of E⁰ and its `layers` propagations, (users + items, d)."""
    total = layer = table
    for _ in range(layers):
        layer = _Propagated.apply(layer, adjacency)
        total = total + layer
    mean: Tensor = total / (layers + 1)
    return mean


def _pair_batches(
    taken: sparse.csr_array, size: int, rng: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """All pairs of user and item, shuffled."""
    pairs = taken.tocoo()
    order = rng.permutation(len(pairs.row))
    for start in range(0, len(order), size):
        chosen = order[start : start + size]
        yield (
            torch.from_numpy(pairs.row[chosen].astype(np.int64)),
            torch.from_numpy(pairs.col[chosen].astype(np.int64)),
        )


def _loss(
    table: Tensor, num_users: int, users: Tensor, items: Tensor, given: Mapping[str, Any]
) -> Tensor:
    """Sampled softmax over cosines; negatives are uniform over all items."""
    drawn = torch.randint(len(table) - num_users, (given["negatives"],), device=table.device)
    user = functional.normalize(table[users], dim=1) / given["temperature"]
    item = functional.normalize(table[num_users + items], dim=1)
    negative = functional.normalize(table[num_users + drawn], dim=1)
    positive = (user * item).sum(1)
    products = _Products.apply(user, negative, fast_dtype(table.device))
    total = torch.logaddexp(positive, torch.logsumexp(products, 1))
    return cast("Tensor", (total - positive).mean())


class LightGCNRanker:
    """Scores by embeddings propagated over the history of the cases.

    Args:
        model: The embeddings E⁰.
        layers: Propagations.
        norm_power: Power of its length that an item's embedding is divided by.
    """

    def __init__(self, model: Embeddings, layers: int, norm_power: float) -> None:
        self._model, self._layers, self._norm_power = model, layers, norm_power
        self._history: tuple[InteractionGraph, Tensor] | None = None
        self._propagated: tuple[Floats, Floats] | None = None

    def forget(self) -> None:
        """The embeddings have changed."""
        self._propagated = None

    @torch.inference_mode()
    def __call__(self, cases: Cases) -> Floats:
        """Scores of all items for some cases."""
        table = self._model.table.detach()
        if self._history is None or self._history[0] is not cases.history:
            adjacency = normalized_adjacency(interactions(cases.history))
            self._history = cases.history, sparse_tensor(adjacency, table.device)
            self.forget()
        if self._propagated is None:
            self._propagated = self._embeddings(table, self._history[1])
        users, items = self._propagated
        return np.asarray(users[cases.users] @ items.T, np.float32)

    def _embeddings(self, table: Tensor, adjacency: Tensor) -> tuple[Floats, Floats]:
        """Of users and items, the latter shortened."""
        after = propagate(table, adjacency, self._layers).cpu().numpy()
        users, items = after[: self._model.users], after[self._model.users :]
        lengths = np.linalg.norm(items, axis=1, keepdims=True)
        return users, np.asarray(items / np.maximum(lengths, 1e-12) ** self._norm_power, np.float32)
