"""The text encoder: a real transformer, offline."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from interest_graph.errors import SettingsError
from interest_graph.item import content_hash
from models.text_encoder import TextEncoder, cached_embeddings


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return TextEncoder()


def test_texts_of_one_meaning_lie_together(encoder: TextEncoder) -> None:
    """Rows have length one, and a paraphrase is nearer than another subject."""
    vectors = encoder.encode(["fresh whole milk", "full-fat milk", "motor oil"])
    assert vectors.dtype == np.float32
    assert vectors.shape == (3, encoder.dim)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2


def test_batches_do_not_change_embeddings(encoder: TextEncoder) -> None:
    """Order, repeats and batch size leave each text's vector as it is; blanks have zeros."""
    texts = ["tea", "a much longer text about green tea from Japan", "tea", " ", ""]
    one, other = encoder.encode(texts), encoder.encode(texts[::-1], batch_size=1)[::-1]
    np.testing.assert_allclose(one, other, atol=1e-5)
    np.testing.assert_array_equal(one[0], one[2])
    assert not one[3:].any()
    assert encoder.encode([]).shape == (0, encoder.dim)


def test_the_cache_spares_what_it_holds(encoder: TextEncoder) -> None:
    """Only missing texts are encoded; entries of another dimension are encoded again."""
    cache = {content_hash("tea", encoder.text_model): np.ones(encoder.dim, np.float32)}
    cache[content_hash("milk", encoder.text_model)] = np.ones(3, np.float32)
    found = cached_embeddings(encoder, ["tea", "milk", "tea"], cache)
    np.testing.assert_array_equal(found[0], np.ones(encoder.dim))
    np.testing.assert_array_equal(found[0], found[2])
    assert len(cache[content_hash("milk", encoder.text_model)]) == encoder.dim


def test_gradients_reach_every_layer(encoder: TextEncoder) -> None:
    """The forward pass lets gradients through to word embeddings and all layers."""
    encoder(["green tea", "oil"]).square().sum().mul(torch.tensor(2.0)).backward()
    with_gradient = {
        name for name, parameter in encoder.named_parameters() if parameter.grad is not None
    }
    assert any("word_embeddings" in name for name in with_gradient)
    assert any("layer.5.attention" in name for name in with_gradient)
    encoder.zero_grad()


def test_an_unknown_model_is_a_settings_error() -> None:
    """A path that holds no model is refused with its name."""
    with pytest.raises(SettingsError, match="no/such/model"):
        TextEncoder("/no/such/model")
