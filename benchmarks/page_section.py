"""Generated parts of pages, each between two markers; what is around them is written by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_section(page: Path, name: str, text: str) -> None:
    """Put a text between `<!-- name: begin -->` and `<!-- name: end -->`.

    Args:
        page: The page.
        name: Of the section.
        text: What is to stand there, without markers.

    Raises:
        ValueError: The page has no such section.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        message = f"{page} lacks {end if found else begin}"
        raise ValueError(message)
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
