"""What can go wrong with the local stack, always with what to do about it."""

from __future__ import annotations

from interest_graph.errors import InterestGraphError

ELSEWHERE = (
    "Or use servers of your own: set INTEREST_GRAPH_NEO4J_URI, INTEREST_GRAPH_NEO4J_PASSWORD, "
    "INTEREST_GRAPH_LOG_URL, INTEREST_GRAPH_SERVING_URL and INTEREST_GRAPH_BROKER_URL. "
    "Or run everything in containers: docker compose up"
)


class LocalStackError(InterestGraphError):
    """The local stack cannot do what it was asked.

    Args:
        message: What is wrong, in one sentence.
        remedy: What the reader can do about it.
    """

    def __init__(self, message: str, remedy: str) -> None:
        self.remedy = remedy
        super().__init__(message)
