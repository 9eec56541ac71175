"""One step of the seed formula over the whole graph, in plain NumPy and a loop over the items.

Code of its own, from the formula and the checkpoint's tensors alone: what an incremental refresh
writes must equal it.

    u_i      = Σ_p β_ip W_p x_p
    h_i(t+1) = (1 - g_i) u_i + g_i Σ_j a_ij h_j(t)
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import load_file

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

SNAPSHOT = """
MATCH (item:Item)
RETURN item.item_id AS item_id, item.title AS title,
  item.embedding AS embedding, item.text_embedding AS text,
  [(item)-[:IN_CATEGORY]->(c) | [c.category_id, c.path]] AS categories,
  [(item)-[:MADE_BY]->(b) | b.name] AS brands,
  [(item)-[s:SIMILAR_TO]->(other) WHERE other <> item AND other.embedding IS NOT NULL
    | [s.weight, other.item_id]] AS similar"""


@dataclass
class WholeGraph:
    """A frozen state of the whole graph, with a model's tensors."""

    items: dict[str, dict[str, Any]]
    tensors: dict[str, Any]
    identities: dict[str, Any]
    config: dict[str, Any]
    encode: Callable[[Sequence[str]], Any]

    @classmethod
    def read(
        cls, rows: list[dict[str, Any]], directory: Path, encode: Callable[[Sequence[str]], Any]
    ) -> WholeGraph:
        """Freeze what `SNAPSHOT` returned."""
        return cls(
            {row["item_id"]: row for row in rows},
            load_file(directory / "checkpoint.safetensors"),
            json.loads((directory / "identities.json").read_bytes()),
            json.loads((directory / "config.json").read_bytes()),
            encode,
        )

    def step(self) -> dict[str, Any]:
        """h(t+1) of every item from the frozen h(t)."""
        return {item_id: self._item(row) for item_id, row in self.items.items()}

    def _item(self, row: dict[str, Any]) -> Any:
        x = self._text(row)
        own = self._own(row, x)
        top = sorted(row["similar"], key=lambda edge: (-edge[0], edge[1]))
        top = top[: self.config["num_neighbors"]]
        if not top:
            return own
        strength = np.log1p(np.array([weight for weight, _ in top]))
        others = [self.items[other] for _, other in top]
        static = self._static(x)
        logits = []
        for other, value in zip(others, strength, strict=True):
            seen = np.concatenate([static, self._static(self._text(other)), [value]])
            logits.append(self._net("neighbor", seen)[0] + value)
        attention = np.exp(np.array(logits) - max(logits))
        attention /= attention.sum()
        related = attention @ np.array([other["embedding"] for other in others])
        seen = np.concatenate([static, [np.log1p(len(top)), strength.sum()]])
        gate = self._net("gate", seen) + self._tensor("gate_out.bias")
        share = self.config["graph_encoder"]["neighbor_share"] / (1 + np.exp(-gate[0]))
        return (1 - share) * own + share * related

    def _own(self, row: dict[str, Any], x: Any) -> Any:
        """u_i from text, identity, categories and brand."""
        sources: list[tuple[int, Any, Any, float]] = []
        if x.any():
            value = self._project("item", x) + self._words(row["title"])
            sources.append((0, value, self._static(x), 0.0))
        number = self.identities["items"].get(row["item_id"])
        if number is not None:
            nothing = np.zeros(self.config["graph_encoder"]["static_dim"])
            experience = float(self.identities["experience"][number])
            sources.append((1, self._tensor("identity.item")[number], nothing, experience))
        for name, text in row["categories"]:
            sources.append(self._named(2, "category", self.identities["categories"], name, text))
        brands = self.identities["brands"]
        sources += [self._named(3, "brand", brands, name, name) for name in row["brands"]]
        if not sources:
            return np.zeros(self.config["dim"])
        logits = []
        for kind, _, static, experience in sources:
            seen = np.concatenate([self._static(x), static, [experience]])
            logits.append(self._net("source", seen, self._tensor("source_embedding")[kind])[0])
        beta = np.exp(np.array(logits) - max(logits))
        beta /= beta.sum()
        return beta @ np.array([value for _, value, _, _ in sources])

    def _words(self, title: str) -> Any:
        """The vectors of the known words and pairs of words in a title, over √n."""
        words = title.lower().replace(",", " ").split()
        words += [f"{left} {right}" for left, right in pairwise(words)]
        rows = [self.identities["words"][w] for w in set(words) if w in self.identities["words"]]
        return self._tensor("identity.word")[rows].sum(0) / np.sqrt(max(len(rows), 1))

    def _named(
        self, kind: int, node: str, known: dict[str, int], name: str, text: str
    ) -> tuple[int, Any, Any, float]:
        """A category or a brand as a source."""
        x = self.encode([text])[0].astype(np.float64)
        value = self._project(node, x)
        if name in known:
            value = value + self._tensor(f"identity.{node}")[known[name]]
        return kind, value, self._static(x), 0.0

    def _net(self, name: str, seen: Any, extra: Any = 0.0) -> Any:
        """A network with one hidden layer."""
        hidden = self._tensor(f"{name}_net.weight") @ seen + self._tensor(f"{name}_net.bias")
        return self._tensor(f"{name}_out.weight") @ np.maximum(hidden + extra, 0)

    def _project(self, node: str, x: Any) -> Any:
        """W x of a centred text."""
        return self._tensor(f"project.{node}.weight") @ (x - self._tensor("text_mean"))

    def _static(self, x: Any) -> Any:
        """The leading directions of a text; zeros for none."""
        if not x.any():
            return np.zeros(self.config["graph_encoder"]["static_dim"])
        return self._tensor("text_basis") @ (x - self._tensor("text_mean"))

    def _text(self, row: dict[str, Any]) -> Any:
        """A stored text embedding."""
        if row["text"] is None:
            return np.zeros(self.config["text_dim"])
        return np.frombuffer(row["text"], dtype="<f4").astype(np.float64)

    def _tensor(self, name: str) -> Any:
        return self.tensors[f"graph_encoder.{name}"].astype(np.float64)
