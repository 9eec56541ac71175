"""Cross-entropy over all items without ever holding all logits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

ROWS = 512


class FullSoftmax(torch.autograd.Function):
    """Weighted sum of -log softmax(h Eᵀ)[target], with its gradients made in the same pass.

    The logits of `ROWS` states at a time are turned in place into probabilities P, from which
    ∂/∂h = w (P E − E[target]) and ∂/∂E = Σ w (P − onehot)ᵀ h follow at once.

    Shapes:
        states: (N, d); items: (V, d); targets: (N,) int64; weights: (N,). Returns a scalar.
    """

    @staticmethod
    def forward(
        ctx: Any, states: Tensor, items: Tensor, targets: Tensor, weights: Tensor
    ) -> Tensor:
        """The loss, a scalar; its gradients are kept for `backward`."""
        to_states, to_items = torch.empty_like(states), torch.zeros_like(items)
        loss = states.new_zeros(())
        buffer = states.new_empty(min(ROWS, len(states)), len(items))
        for start in range(0, len(states), ROWS):
            rows = slice(start, min(start + ROWS, len(states)))
            target, weight = targets[rows, None], weights[rows, None]
            logits = torch.mm(states[rows], items.T, out=buffer[: len(target)])
            logits -= logits.amax(1, keepdim=True)
            wanted = logits.gather(1, target)
            total = logits.exp_().sum(1, keepdim=True)
            loss += (weight * (total.log() - wanted)).sum()
            logits *= weight / total
            logits.scatter_add_(1, target, -weight)
            torch.mm(logits, items, out=to_states[rows])
            to_items.addmm_(logits.T, states[rows])
        ctx.save_for_backward(to_states, to_items)
        return loss

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, None, None]:
        """The gradients, scaled."""
        to_states, to_items = ctx.saved_tensors
        return to_states * grad_outputs[0], to_items * grad_outputs[0], None, None
