"""Learned models only: encoders, losses, training, evaluation, checkpoints."""
