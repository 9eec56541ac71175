"""Cross-entropy over all items without ever holding all logits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

ROWS = 256


class FullSoftmax(torch.autograd.Function):
    """Weighted sum of -log softmax(h Eᵀ)[target], with its gradients made in the same pass.

    The logits of `ROWS` states at a time are turned in place into probabilities P, from which
    ∂/∂h = w (P E − E[target]) and ∂/∂E = Σ w (P − onehot)ᵀ h follow at once. Processors that
    multiply bfloat16 by themselves do so: twice as fast, and what is rounded is far less than what
    dropout adds.

    Shapes:
        states: (N, d); items: (V, d); targets: (N,) int64; weights: (N,). Returns a scalar.
    """

    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        items: Tensor,
        targets: Tensor,
        weights: Tensor,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """The loss, a scalar; its gradients, made by products in `dtype`, are kept."""
        to_states, to_items = torch.empty_like(states), torch.zeros_like(items)
        loss = states.new_zeros(())
        buffer = states.new_empty(min(ROWS, len(states)), len(items))
        short_states, short_items = states.to(dtype), items.to(dtype)
        for start in range(0, len(states), ROWS):
            rows = slice(start, min(start + ROWS, len(states)))
            target, weight = targets[rows, None], weights[rows, None]
            logits = buffer[: len(target)].copy_(short_states[rows] @ short_items.T)
            logits -= logits.amax(1, keepdim=True)
            wanted = logits.gather(1, target)
            total = logits.exp_().sum(1, keepdim=True)
            loss += (weight * (total.log() - wanted)).sum()
            logits *= weight / total
            logits.scatter_add_(1, target, -weight)
            shares = logits.to(dtype)
            to_states[rows] = shares @ short_items
            to_items += shares.T @ short_states[rows]
        ctx.save_for_backward(to_states, to_items)
        return loss

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients, scaled."""
        to_states, to_items = ctx.saved_tensors
        return to_states * grad_outputs[0], to_items * grad_outputs[0], None, None, None


def fast_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the device multiplies it by itself, else float32."""
    if device.type == "cuda":
        return torch.bfloat16
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return torch.bfloat16 if supported() else torch.float32
