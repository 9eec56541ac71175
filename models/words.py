"""Words of texts: what an item says of itself, each with a vector that events teach."""

from __future__ import annotations

import html
import re
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WORD = re.compile(r"\w+(?:'\w+)*")
MOST_WORDS = 120
LEAST_ITEMS = 3
LEAST_ITEMS_OF_PAIR = 5


def words_of(text: str) -> list[str]:
    """The distinct words of a text and the distinct pairs of neighbouring ones, in small letters.

    Args:
        text: May hold HTML's character references. Of a long text the first `MOST_WORDS` words
            count.

    >>> words_of("Nail Lacquer, nail &amp; lacquer")
    ['nail', 'lacquer', 'nail lacquer', 'lacquer nail']
    """
    words = [found.group() for found in WORD.finditer(html.unescape(text).casefold())][:MOST_WORDS]
    pairs = (f"{left} {right}" for left, right in pairwise(words))
    return list(dict.fromkeys([*words, *pairs]))


def learn_vocabulary(texts: Iterable[str]) -> dict[str, int]:
    """A row for each word of at least `LEAST_ITEMS` texts, and for pairs of a few more."""
    counts = Counter(word for text in texts for word in words_of(text))
    least = {word: LEAST_ITEMS_OF_PAIR if " " in word else LEAST_ITEMS for word in counts}
    known = sorted(word for word, count in counts.items() if count >= least[word])
    return {word: row for row, word in enumerate(known)}


def word_links(texts: Sequence[str], vocabulary: dict[str, int]) -> list[tuple[int, int]]:
    """(row of the word, position of the text) of every known word of every text, by text."""
    return [
        (vocabulary[word], position)
        for position, text in enumerate(texts)
        for word in words_of(text)
        if word in vocabulary
    ]
