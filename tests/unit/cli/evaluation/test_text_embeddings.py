"""What contenders are given beside a graph."""

from __future__ import annotations

import pytest

from cli.evaluation.build import EventColumns, ItemFacts, build_graph
from cli.evaluation.text_embeddings import make_context


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_networks_are_fitted_on_the_device_that_is_there(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`auto` is decided once, for all contenders; without texts there is nothing to embed."""
    import numpy as np
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    none = np.zeros(0, np.int64)
    graph = build_graph(
        [ItemFacts("a")], ["u"], EventColumns(none, none, np.zeros(0)), {"view": 1.0}
    )
    context = make_context(graph, 2, {}, device)
    assert (context.device, context.threads, context.text_embeddings) == ("cpu", 2, None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert make_context(graph, 1, {}, device).device == ("cuda" if device == "auto" else "cpu")
