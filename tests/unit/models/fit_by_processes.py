"""Fits the small shop by however many processes `torchrun` started, and saves what came out.

torchrun --nproc-per-node 2 tests/unit/models/fit_by_processes.py FILE [--leave-out]
"""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import torch
from conftest import small_config
from synthetic import make_graph

from models.fit_data import Texts, make_fit_data, model_shape
from models.fitting import Fit
from models.processes import Processes, joined
from models.recommender import RecommenderConfig


def fit(processes: Processes, *, leave_out: bool) -> dict[str, object]:
    """Weights, embeddings and losses; `leave_out` as usual at random, or nothing."""
    graph, config = make_graph(), small_config()
    rng = np.random.default_rng(0)
    groups = (graph.item_texts, graph.category_texts, graph.brand_ids)
    texts = Texts(*(rng.standard_normal((len(one), 32)).astype(np.float32) for one in groups))
    now = float(graph.event_time.max())
    data = make_fit_data(graph, texts, config, now, torch.device("cpu"))
    shape = model_shape(config, graph, 32)
    if not leave_out:
        shape = RecommenderConfig(
            replace(shape.graph_encoder, identity_dropout=0.0, word_dropout=0.0),
            shape.interest_encoder,
        )
    settings = replace(config.fit, model=shape, epochs=3, batch_events=200, full_softmax_items=10)
    done = Fit(data, settings, None, lambda *_: None, processes=processes).run()
    return {
        "weights": done.model.state_dict(),
        "embeddings": done.embeddings,
        "edges": done.edge_weights,
        "losses": done.losses,
    }


def main() -> None:
    """Save what each process has."""
    torch.set_num_threads(1)
    with joined() as processes:
        found = fit(processes, leave_out="--leave-out" in sys.argv)
        torch.save(found, f"{sys.argv[1]}-{processes.rank}")


if __name__ == "__main__":
    main()
