"""Learned models only: encoders, losses, training, evaluation, checkpoints."""

import warnings

with warnings.catch_warnings():
    # torch_geometric compiles functions with torch.jit as it is imported, of which torch warns.
    warnings.simplefilter("ignore", FutureWarning)
    import torch_geometric.nn  # noqa: F401
