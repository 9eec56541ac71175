"""What `make bench` runs, in which order, and with which sizes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One benchmark with its sizes.

    Args:
        name: Of its outcome's file and of its section in the page.
        module: Of `benchmarks`.
        sizes: Arguments of the run whose figures are published.
        quick: Arguments of a run that only shows that all is well.
        minutes: What the run with `sizes` takes about.
        peer: Whether it can measure a peer too.
    """

    name: str
    module: str
    sizes: tuple[str, ...]
    quick: tuple[str, ...]
    minutes: int
    peer: bool = False

    def arguments(self, *, quick: bool, peer: tuple[str, ...] = ()) -> tuple[str, ...]:
        """What follows `python -m`; options that name a peer where it can be measured."""
        peer = peer if self.peer else ()
        return (f"benchmarks.{self.module}", *(self.quick if quick else self.sizes), *peer)


STEPS = (
    Step(
        "serving-beauty",
        "serving",
        ("--shop", "beauty", "--seconds", "30", "--rounds", "5"),
        ("--shop", "small", "--seconds", "2", "--rounds", "1"),
        30,
        peer=True,
    ),
    Step(
        "serving-journey",
        "serving",
        ("--shop", "journey", "--seconds", "30", "--rounds", "5"),
        ("--shop", "small", "--seconds", "2", "--rounds", "1"),
        40,
    ),
    Step(
        "lists",
        "lists",
        ("--seconds", "20", "--turns", "3"),
        ("--items", "2000", "--users", "200", "--seconds", "2", "--turns", "1"),
        7,
    ),
    Step(
        "lists-large",
        "lists",
        ("--items", "92331", "--users", "2000", "--seconds", "10", "--turns", "3"),
        ("--items", "4000", "--users", "200", "--seconds", "2", "--turns", "1"),
        5,
    ),
    Step(
        "recommendation",
        "recommendation",
        (),
        (
            *("--items", "2000", "--users", "200", "--connections", "1", "8"),
            *("--seconds", "2", "--rate", "100"),
        ),
        3,
    ),
    Step(
        "freshness",
        "freshness",
        ("--shop", "beauty", "--seconds", "600", "--events-per-s", "200", "--lists-per-s", "500"),
        (
            *("--shop", "small", "--seconds", "10", "--warm-up", "5"),
            *("--events-per-s", "20", "--lists-per-s", "20"),
        ),
        15,
    ),
    Step("ingest", "ingest", (), ("--events", "2000", "--rounds", "1", "--warm-up", "0"), 15),
    Step("bulk-load", "bulk_load", (), ("--slice",), 30),
    Step(
        "growth",
        "growth",
        ("--events", "100000,1000000,10000000"),
        ("--events", "20000", "--repeats", "3", "--warm-up", "1"),
        15,
    ),
    Step(
        "refresh",
        "refresh",
        (),
        ("--events", "20000", "--many", "4", "--repeats", "2", "--warm-up", "0.5"),
        5,
    ),
    Step("memory", "memory", (), ("--items", "5000", "--users", "500", "--waiting", "2000"), 3),
    Step(
        "soak",
        "soak",
        ("--shop", "beauty", "--minutes", "20", "--warm-up", "12"),
        ("--shop", "small", "--minutes", "0.5", "--warm-up", "1", "--every", "5"),
        35,
    ),
)
