"""What a contender raises when it cannot be run on a data set."""

from __future__ import annotations


class InfeasibleError(ValueError):
    """The contender cannot be run on this data set; the message says why."""
