"""The item matrix and its deltas."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest

from interest_graph.errors import CheckpointError
from interest_graph.item_matrix import SPARE_ROWS, ItemDelta, ItemMatrix


def make_matrix() -> ItemMatrix:
    """Three items of dimension 2; a → b and b → c."""
    return ItemMatrix(
        "v1",
        ["a", "b", "c"],
        np.arange(6, dtype=np.float32).reshape(3, 2),
        np.zeros(3, np.float32),
        np.array([[1, -1], [2, -1], [-1, -1]], np.int32),
        np.array([[0.5, 0], [0.25, 0], [0, 0]], np.float32),
    )


def make_delta(epoch: int, item_id: str, neighbor_ids: list[str]) -> ItemDelta:
    """A delta of one item."""
    weights = [1.0 / (place + 1) for place in range(len(neighbor_ids))]
    values, bias = np.array([[7, 8]], np.float32), np.array([0.5], np.float32)
    return ItemDelta(epoch, "v1", [item_id], values, bias, [neighbor_ids], [weights])


@pytest.mark.parametrize(
    "damage",
    [
        {"neighbor_rows": np.array([[1, -1], [3, -1], [-1, -1]], np.int32)},
        {"neighbor_rows": np.array([[1, -2], [2, -1], [-1, -1]], np.int32)},
        {"neighbor_rows": np.full((3, 2), -1, np.int64)},
        {"embeddings": np.zeros((3, 2))},
        {"embeddings": np.zeros((3, 2), np.float32, order="F")},
        {"bias": np.zeros(2, np.float32)},
        {"neighbor_rows": np.array([[1, -1], [-1, -1], [-1, -1], [3, -1]], np.int32)},
    ],
)
def test_arrays_that_kernels_cannot_trust_are_refused(damage: dict[str, np.ndarray]) -> None:
    """Edges that lead to no row, other types, other orders and lengths."""
    arrays = {
        "embeddings": np.zeros((3, 2), np.float32),
        "bias": np.zeros(3, np.float32),
        "neighbor_rows": np.full((3, 2), -1, np.int32),
        "neighbor_weights": np.zeros((3, 2), np.float32),
    }
    ItemMatrix("v1", ["a", "b", "c"], **arrays)
    with pytest.raises(CheckpointError):
        ItemMatrix("v1", ["a", "b", "c"], **{**arrays, **damage})


def test_a_delta_survives_packing() -> None:
    """Unpacking gives back every field of a packed delta, newlines in ids included."""
    delta = make_delta(3, "line\nbreak", ["a", "b"])
    again = ItemDelta.unpack(delta.pack())
    assert again.item_ids == ["line\nbreak"]
    assert (again.epoch, again.model_version) == (3, "v1")
    assert (again.neighbor_ids, again.neighbor_weights) == ([["a", "b"]], [[1.0, 0.5]])
    np.testing.assert_array_equal(again.embeddings, delta.embeddings)
    np.testing.assert_array_equal(again.bias, delta.bias)


def test_an_empty_delta_survives_packing() -> None:
    """A delta without items counts as an epoch."""
    nothing = ItemDelta(1, "v1", [], np.zeros((0, 2), np.float32), np.zeros(0, np.float32), [], [])
    matrix = make_matrix()
    assert matrix.apply(ItemDelta.unpack(nothing.pack()))
    assert matrix.epoch == 1


@pytest.mark.parametrize(
    "damaged", [b"", b"{}\n", b"nonsense\n1234", make_delta(1, "a", []).pack()[:-1]]
)
def test_damaged_bytes_are_refused(damaged: bytes) -> None:
    """Bytes that are no delta raise CheckpointError."""
    with pytest.raises(CheckpointError):
        ItemDelta.unpack(damaged)


def test_a_delta_replaces_a_row_and_its_edges() -> None:
    """Applying writes embedding, bias and edges; edges to unknown items are dropped."""
    matrix = make_matrix()
    assert matrix.apply(make_delta(1, "a", ["nobody", "c"]))
    np.testing.assert_array_equal(matrix.embeddings[0], [7, 8])
    assert matrix.bias[0] == 0.5
    np.testing.assert_array_equal(matrix.neighbor_rows[0], [2, -1])
    np.testing.assert_array_equal(matrix.neighbor_weights[0], [0.5, 0])


def test_a_delta_of_what_became_popular_changes_nothing_else() -> None:
    """Items as they are but for their bias: embeddings and edges are the same to the bit."""
    matrix, before = make_matrix(), make_matrix()
    delta = matrix.delta(["b", "c"], np.array([1, 2], np.float32))
    delta = replace(ItemDelta.unpack(delta.pack()), epoch=1)
    matrix.apply(delta)
    np.testing.assert_array_equal(matrix.bias, [0, 1, 2])
    np.testing.assert_array_equal(matrix.embeddings, before.embeddings)
    np.testing.assert_array_equal(matrix.neighbor_rows, before.neighbor_rows)
    np.testing.assert_array_equal(matrix.neighbor_weights, before.neighbor_weights)


def test_a_row_has_changed_only_when_its_embedding_moved() -> None:
    """Another bias and other edges leave what was read with a row good; a move does not."""
    matrix, row = make_matrix(), np.array([0])
    delta = make_delta(1, "a", ["c"])
    delta.embeddings[0] = matrix.embeddings[0]
    matrix.apply(delta)
    assert (matrix.bias[0], matrix.neighbor_rows[0, 0]) == (0.5, 2)
    assert not matrix.changed_since(0, row)
    matrix.apply(make_delta(2, "a", ["c"]))
    assert matrix.changed_since(1, row)
    assert not matrix.changed_since(2, row)


def test_a_new_item_is_appended_and_the_rest_stays() -> None:
    """An item without a row gets the next one; earlier rows keep their values as arrays grow."""
    matrix = make_matrix()
    before = matrix.embeddings.copy()
    for epoch in range(1, 2002):
        matrix.apply(make_delta(epoch, f"new-{epoch}", ["a", f"new-{epoch - 1}"]))
    assert len(matrix.item_ids) == len(matrix.embeddings) == len(matrix.bias) == 2004
    np.testing.assert_array_equal(matrix.embeddings[:3], before)
    assert matrix.row_of["new-2001"] == 2003
    np.testing.assert_array_equal(matrix.neighbor_rows[2003], [0, 2002])
    np.testing.assert_array_equal(matrix.neighbor_rows[2], [-1, -1])


def test_new_items_take_spare_rows_of_a_mapped_matrix_and_nothing_is_copied(
    tmp_path: Path,
) -> None:
    """Until they are used up, all embeddings stay where they are mapped; so do edges and bias."""
    make_matrix().save(tmp_path)
    matrix = ItemMatrix.load(tmp_path)
    before = [matrix.embeddings, matrix.bias, matrix.neighbor_rows, matrix.neighbor_weights]
    for epoch in range(1, SPARE_ROWS + 1):
        matrix.apply(make_delta(epoch, f"new-{epoch}", ["a"]))
    after = [matrix.embeddings, matrix.bias, matrix.neighbor_rows, matrix.neighbor_weights]
    assert all(np.shares_memory(*pair) for pair in zip(before, after, strict=True))
    matrix.apply(make_delta(SPARE_ROWS + 1, "one-more", ["new-1"]))
    assert not np.shares_memory(before[0], matrix.embeddings)
    assert len(matrix.item_ids) == len(matrix.embeddings) == SPARE_ROWS + 4
    np.testing.assert_array_equal(matrix.embeddings[:3], before[0])
    assert matrix.neighbor_rows[-1].tolist() == [3, -1]


def test_an_item_and_its_neighbour_may_arrive_together() -> None:
    """Edges between two new items of one delta are kept."""
    values, bias = np.zeros((2, 2), np.float32), np.zeros(2, np.float32)
    matrix = make_matrix()
    matrix.apply(ItemDelta(1, "v1", ["x", "y"], values, bias, [["y"], ["x"]], [[0.5], [0.5]]))
    assert matrix.neighbor_rows[3:5, 0].tolist() == [4, 3]


def test_deltas_apply_once_in_order_and_for_one_model() -> None:
    """A repeated delta changes nothing; a gap or another model is refused."""
    matrix = make_matrix()
    assert matrix.apply(make_delta(1, "a", []))
    assert not matrix.apply(make_delta(1, "b", []))
    np.testing.assert_array_equal(matrix.embeddings[1], [2, 3])
    with pytest.raises(CheckpointError, match="missing"):
        matrix.apply(make_delta(3, "a", []))
    other = make_matrix()
    other.model_version = "v2"
    with pytest.raises(CheckpointError, match="model v1"):
        other.apply(make_delta(1, "a", []))


def test_loading_maps_a_directory_without_changing_it(tmp_path: Path) -> None:
    """Applying a delta to a loaded matrix leaves the published files as they are."""
    matrix = make_matrix()
    (tmp_path / "config.json").write_bytes(orjson.dumps({"model_version": "v1"}))
    (tmp_path / "items.json").write_bytes(orjson.dumps(matrix.item_ids))
    for name, array in (
        ("item_embeddings", matrix.embeddings),
        ("item_bias", matrix.bias),
        ("neighbor_rows", matrix.neighbor_rows),
        ("neighbor_weights", matrix.neighbor_weights),
    ):
        np.save(tmp_path / f"{name}.npy", array)
    loaded = ItemMatrix.load(tmp_path)
    loaded.apply(make_delta(1, "a", ["b"]))
    again = ItemMatrix.load(tmp_path)
    np.testing.assert_array_equal(again.embeddings, matrix.embeddings)
    assert again.epoch == 0


def test_a_missing_directory_is_a_checkpoint_error(tmp_path: Path) -> None:
    """Loading what is not there raises CheckpointError."""
    with pytest.raises(CheckpointError, match="cannot read"):
        ItemMatrix.load(tmp_path)
