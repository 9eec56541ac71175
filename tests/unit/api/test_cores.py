"""Whether cores are scarce."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from api import cores
from api.cores import CoreWatch

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The kernel's account of a thread, which has waited for two seconds."""
    file = tmp_path / "schedstat"
    file.write_text("1 2000000000 3\n")
    monkeypatch.setattr(cores, "ACCOUNT", file)
    return file


def waited(account: Path, seconds: float) -> None:
    """Have it wait for as long in all."""
    account.write_text(f"1 {seconds * 1e9:.0f} 3\n")


def test_cores_are_scarce_where_a_thread_waits_for_one(account: Path) -> None:
    """A third of the time since the last look is enough; what was before that counts nothing."""
    watch = CoreWatch()
    assert not watch.scarce(100.0)
    waited(account, 2.4)
    assert not watch.scarce(100.05)  # a look costs more than a list has time for
    assert watch.scarce(101.2)
    waited(account, 2.5)
    assert not watch.scarce(102.2)


def test_one_slow_moment_does_not_make_them_scarce(account: Path) -> None:
    """A look after a fifth of half a second counts a fifth."""
    watch = CoreWatch()
    assert not watch.scarce(100.0)
    waited(account, 2.1)
    assert not watch.scarce(100.1)
    waited(account, 2.2)
    assert watch.scarce(100.2)


@pytest.mark.parametrize("text", [None, "", "no numbers at all"])
def test_where_the_kernel_does_not_say_they_are_scarce(account: Path, text: str | None) -> None:
    """Another system, or a kernel without an account."""
    if text is None:
        account.unlink()
    else:
        account.write_text(text)
    watch = CoreWatch()
    assert watch.scarce(100.0)
    assert watch.scarce(101.0)


def test_the_account_of_this_thread_is_read_where_there_is_one() -> None:
    """On Linux it goes forwards; elsewhere nobody counts."""
    before = cores._waited_s()
    assert 0 <= before <= cores._waited_s()
    assert (before < float("inf")) == (sys.platform == "linux")
