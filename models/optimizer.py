"""How fast each part of the model learns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from .fit_config import FitConfig
    from .recommender import Recommender
    from .text_encoder import TextEncoder

BETAS = (0.9, 0.98)  # a rare item's step after a pause is far smaller than with 0.999


def make_optimizer(
    model: Recommender, text_encoder: TextEncoder | None, config: FitConfig
) -> torch.optim.Optimizer:
    """AdamW with one group for networks, tables, edge refinements and the text encoder."""
    networks: list[nn.Parameter] = []
    tables: list[nn.Parameter] = []
    identities = list(model.graph_encoder.identity.parameters())
    for name, parameter in model.named_parameters():
        if name == "edge_net.refinement" or "encoder.identity" in name:
            continue
        table = parameter.dim() <= 1 and "norm" not in name and "bias" not in name
        table = table or name.startswith("edge_net")
        (tables if table else networks).append(parameter)
    rate = config.learning_rate
    groups: list[dict[str, Sequence[nn.Parameter] | float]] = [
        {"params": networks, "lr": rate, "weight_decay": config.weight_decay},
        {"params": tables, "lr": rate * config.table_rate, "weight_decay": 0.0},
        {
            "params": identities,
            "lr": rate * config.identity_rate,
            "weight_decay": config.identity_decay,
        },
        {
            "params": [model.edge_net.refinement],
            "lr": rate * config.refinement_rate,
            "weight_decay": config.refinement_decay,
        },
    ]
    if text_encoder is not None:
        groups.append(
            {
                "params": list(text_encoder.parameters()),
                "lr": config.text_rate,
                "weight_decay": config.weight_decay,
            }
        )
    return torch.optim.AdamW(groups, betas=BETAS)
