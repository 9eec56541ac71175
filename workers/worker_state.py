"""What an update worker's process holds: connections and models, made after the fork."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from interest_graph.graph.store import GraphStore
from interest_graph.published_model import ModelShelf
from interest_graph.redis_client import connect
from interest_graph.serving_state import ServingState

if TYPE_CHECKING:
    from collections.abc import Callable

    from interest_graph.item_neighborhood import ItemEncoder
    from interest_graph.settings import Settings


class WorkerState:
    """Everything is made on first use, so that no connection crosses a fork."""

    def __init__(self, settings: Settings, on_retry: Callable[[], object] | None = None) -> None:
        self._settings = settings
        self._on_retry = on_retry
        self._encoder: ItemEncoder | None = None

    @cached_property
    def graph(self) -> GraphStore:
        """The graph."""
        store = GraphStore(self._settings)
        if self._on_retry is not None:
            store.on_retry = self._on_retry
        return store

    @cached_property
    def serving(self) -> ServingState:
        """The serving state."""
        return ServingState(connect(self._settings.serving_url, self._settings), self._settings)

    @cached_property
    def shelf(self) -> ModelShelf:
        """The published model."""
        return ModelShelf(self._settings.models_dir, self.serving)

    def close(self) -> None:
        """Close the connections that were made."""
        if "graph" in self.__dict__:
            self.graph.close()

    def warm(self) -> None:
        """Load the published model, if there is one, with its text encoder."""
        manifest, _ = self.serving.head()
        if manifest is not None:
            self.shelf.current(manifest)
            self.encoder(manifest.model_version).encode_texts(["warm"])

    def encoder(self, model_version: str) -> ItemEncoder:
        """The item encoder of a published model, loaded once."""
        from models.item_encoder import ItemEncoder  # noqa: PLC0415 torch loads after the fork

        if self._encoder is None or self._encoder.model_version != model_version:
            self._encoder = ItemEncoder.load(
                self._settings.models_dir / model_version,
                device=self._settings.device,
                threads=self._settings.torch_threads,
            )
        return self._encoder
