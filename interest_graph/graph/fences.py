"""Fences of the log's partitions: which worker's transactions may write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .store import run

if TYPE_CHECKING:
    from collections.abc import Mapping

    import neo4j


def raise_fence(tx: neo4j.ManagedTransaction, number: int, owner: str) -> int:
    """Raise the fence of a partition: whoever raised it before can write no more.

    Waits for a transaction that holds it. Returns the new fence.
    """
    return int(run(tx, "write/raise_fence", number=number, owner=owner)[0]["fence"])


def hold_fences(tx: neo4j.ManagedTransaction, fences: Mapping[int, int], owner: str) -> set[int]:
    """Those of the partitions whose fence the owner raised last; it stays so until `tx` has ended.

    The owner is compared too: a graph that is restored from before gives out its numbers again.
    """
    rows = [{"number": number, "fence": fence} for number, fence in fences.items()]
    found = run(tx, "write/hold_fences", fences=rows, owner=owner)
    return {row["number"] for row in found}
