"""Benchmarks: they print their set-up, their baseline and their figures, and can come out badly."""
