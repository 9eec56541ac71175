"""The API's processes ask for huge pages, unless they are told otherwise."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from api.huge_pages import start_with_huge_pages

SHOWN = """
import os
from api.huge_pages import start_with_huge_pages
print("started", flush=True)
start_with_huge_pages()
print(os.environ.get("GLIBC_TUNABLES"), os.environ.get("HUGE_PAGES_ASKED_FOR", ""))
"""


def shown(tunables: str | None) -> list[str]:
    """What a program prints that starts with these tunables."""
    environment = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    if tunables is not None:
        environment["GLIBC_TUNABLES"] = tunables
    ran = subprocess.run(  # noqa: S603 our own arguments
        [sys.executable, "-c", SHOWN], env=environment, capture_output=True, text=True, check=True
    )
    return ran.stdout.split()


def test_it_starts_once_more_where_tunables_are_taken_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A program with rights of its own never sees the variable, and yet it does not go round."""
    started: list[str] = []
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "execv", lambda *_: started.append(os.environ["GLIBC_TUNABLES"]))
    monkeypatch.setenv("HUGE_PAGES_ASKED_FOR", "1")
    monkeypatch.setenv("GLIBC_TUNABLES", "")  # and so it is put back, whatever becomes of it
    start_with_huge_pages()
    assert not started
    assert "HUGE_PAGES_ASKED_FOR" not in os.environ
    start_with_huge_pages()
    assert started == ["glibc.malloc.hugetlb=1"]


@pytest.mark.parametrize(
    ("tunables", "expected"),
    [
        (None, ["started", "started", "glibc.malloc.hugetlb=1"]),
        (
            "glibc.malloc.check=0",
            ["started", "started", "glibc.malloc.check=0:glibc.malloc.hugetlb=1"],
        ),
        ("glibc.malloc.hugetlb=0", ["started", "glibc.malloc.hugetlb=0"]),
    ],
)
def test_it_starts_once_more_unless_it_was_told(tunables: str | None, expected: list[str]) -> None:
    """It starts anew once, keeps what else is said, and obeys who says 0."""
    if sys.platform != "linux":
        expected = ["started", str(tunables)]
    assert shown(tunables) == expected
