"""What reads alike lends evidence: who lends, how much, and what becomes of edges."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from synthetic import make_graph

from models import likeness
from models.item_evidence import LIKENESS, EvidenceConfig, evidence
from models.likeness import lenders
from models.words import learn_vocabulary, words_of

SHOP = make_graph(users=20, events=20)
TEXTS = np.random.default_rng(0).standard_normal((44, 6)).astype(np.float32)
TEXTS[43] = 0  # the last item says nothing
RAW = EvidenceConfig(source_power=0, target_power=0)


def _share(item: int) -> dict[int, float]:
    """Whom an item borrows of, by the formula, one pair after the other."""
    vocabulary = learn_vocabulary(SHOP.item_texts)
    said = [[w for w in words_of(text) if w in vocabulary] for text in SHOP.item_texts]
    used = Counter(word for words in said for word in words)
    rare = {word: np.log(45 / (1 + used[word])) + 1 for word in vocabulary}

    def cosine(left: dict[str, float], right: dict[str, float]) -> float:
        product = sum(left[word] * right[word] for word in left.keys() & right.keys())
        lengths = [np.sqrt(sum(x * x for x in side.values())) for side in (left, right)]
        return product / max(lengths[0] * lengths[1], 1e-9)

    def like(other: int) -> float:
        texts = float(TEXTS[item] @ TEXTS[other])
        texts /= max(float(np.linalg.norm(TEXTS[item]) * np.linalg.norm(TEXTS[other])), 1e-9)
        words = cosine(*({w: rare[w] for w in said[one]} for one in (item, other)))
        brands = SHOP.item_brand[[item, other]]
        shelves = (dict.fromkeys(map(str, SHOP.item_categories[one]), 1.0) for one in (item, other))
        total = texts + words + likeness.BRAND * (brands[0] == brands[1] >= 0)
        return max(total + likeness.CATEGORY * cosine(*shelves), 0.0) ** likeness.SHARPNESS

    taken = set(SHOP.event_item.tolist()) - {item}
    amounts = {other: like(other) for other in taken}
    best = sorted(amounts, key=lambda one: -amounts[one])[: likeness.LENDERS]
    total = sum(amounts[one] for one in best)
    return {one: amounts[one] / total for one in best if amounts[one] > 0}


@pytest.mark.parametrize("item", [0, 17, 40, 43])
def test_shares_are_what_the_formula_says(item: int) -> None:
    """Text, words, brand and categories add up; the most alike items with events lend, cubed."""
    row = lenders(SHOP, TEXTS)[[item]].tocoo()
    found = dict(zip(row.col.tolist(), row.data.tolist(), strict=True))
    assert found == pytest.approx(_share(item), abs=1e-5)


def test_nobody_borrows_of_themselves_or_of_what_nobody_took() -> None:
    """Items 40 to 43 have no events: they borrow and do not lend."""
    lent = lenders(SHOP, TEXTS).toarray()
    assert not lent.diagonal().any()
    assert not lent[:, 40:].any()
    np.testing.assert_allclose(lent[:43].sum(1), 1, rtol=1e-5)


def test_where_nothing_is_said_nothing_is_lent() -> None:
    """Without texts, brands and categories there is no likeness."""
    silent = replace(
        SHOP,
        item_texts=[""] * 44,
        item_brand=np.full(44, -1),
        item_categories=[()] * 44,
    )
    assert lenders(silent, np.zeros((44, 1), np.float32)).nnz == 0


def test_borrowed_evidence_is_added_to_an_items_own() -> None:
    """E + b (e + l 1) Sᵀ without its diagonal; on the scale that evidence has."""
    lent = lenders(SHOP, TEXTS)
    direct = evidence(SHOP, RAW).toarray()
    found = evidence(SHOP, replace(RAW, borrowed=2.0), lent).toarray()
    between = direct * (1 - np.eye(44))
    strongest_edge = between.max(1)
    itself = LIKENESS * strongest_edge[strongest_edge > 0].mean() * np.eye(44)
    expected = direct + 2.0 * ((between + itself) @ lent.toarray().T) * (1 - np.eye(44))
    np.testing.assert_allclose(found / found.sum(), expected / expected.sum(), atol=1e-6)


def test_what_is_taken_leads_to_its_likes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where nothing that followed it leads there: a lender lends itself."""
    monkeypatch.setattr(likeness, "LENDERS", 2)
    near = replace(RAW, window=1)
    lent = lenders(SHOP, TEXTS)
    places = lent.toarray().T > 0
    direct = evidence(SHOP, near).toarray() * (1 - np.eye(44))
    assert ((direct + direct @ lent.toarray().T)[places] == 0).any()
    assert (evidence(SHOP, replace(near, borrowed=1.0), lent).toarray()[places] > 0).all()


def test_a_new_item_is_followed_to_as_its_likes_are() -> None:
    """Nobody took items 40 to 42; most of what leads to them comes from their own aisle."""
    lent = lenders(SHOP, np.zeros((44, 1), np.float32))
    assert not evidence(SHOP, RAW).toarray()[:, 40:].any()
    found = evidence(SHOP, replace(RAW, borrowed=1.0), lent).toarray()
    for aisle in range(3):
        incoming = found[:40, 40 + aisle].reshape(4, 10).sum(1)
        assert incoming.argmax() == aisle
