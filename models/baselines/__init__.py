"""Baselines: what else could be picked, one contender a file."""

from .tune_baselines import tune_baselines

__all__ = ["tune_baselines"]
