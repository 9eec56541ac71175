"""Where the recommendation benchmark says that time goes."""

from __future__ import annotations

import ast
from pathlib import Path

from benchmarks.recommendation import PARTS, SERVER, part_of, samples

ROOT = Path(__file__).parents[3]


def test_every_part_is_a_function_that_is_there() -> None:
    """A function that is renamed would leave its time to the part around it."""
    for file, function in PARTS:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        names = {
            node.name
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert function in names, (file, function)


def test_a_sample_is_the_innermost_part_s() -> None:
    """What a part calls is its own, unless that is a part itself; the rest is the server's."""
    request = "__call__ (api/gateway.py:1);answer (api/short_way.py:2)"
    computing = f"{request};recommend_each (/opt/shop/interest_graph/recommend.py:3)"
    assert part_of(request) == "the rest of a request"
    assert part_of(f"{computing};sort (numpy/core.py:9)") == "the rest of the lists"
    assert part_of(f"{computing};Scorer.terms (interest_graph/scores.py:7)") == (
        "what each event contributes to the best"
    )
    assert part_of("run_until_complete (uvloop/loop.pyx:1)") == SERVER
    assert part_of("<module> (main.py)") == SERVER


def test_samples_are_summed_by_part() -> None:
    """A line of py-spy's is a stack and how often it was seen; other threads do not count."""
    lines = [
        "thread (7): MainThread;Gateway.call (x.py:1);told (api/plain_request.py:2) 3",
        "thread (7): MainThread;told (api/plain_request.py:9) 4",
        "thread (7): MainThread;idle (a file.py:2) 5",
        "thread (8) 6",
        "thread (9): writer_0;told (api/plain_request.py:2) 7",
    ]
    assert samples(lines) == {"header fields, log line, metrics": 7, SERVER: 5}
