"""Pretraining on the corpora, packed into sequences of one length: judge A predicts the next character, judge B's
encoder those that are hidden from it (Devlin et al. 2019, arXiv 1810.04805)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from mlb_offline.judge.training.aligner import Encoder
from mlb_offline.judge.training.corpora import Document
from mlb_offline.judge.training.decoder import Decoder
from mlb_offline.judge.vocabulary import BEGIN, Vocabulary


def packed(documents: list[Document], vocabulary: Vocabulary, *, length: int, seed: int) -> npt.NDArray[np.int32]:
    """All documents in a seeded order, one after another, each opened by ``<s>``, cut into (rows, length + 1)."""
    order = np.random.default_rng(seed).permutation(len(documents))
    begin = vocabulary.ids[BEGIN]
    stream: list[int] = []
    for index in order:
        stream.append(begin)
        stream += vocabulary.text("\n".join(documents[index].passages))
    rows = len(stream) // (length + 1)
    return np.asarray(stream[: rows * (length + 1)], dtype=np.int32).reshape(rows, length + 1)


HIDDEN = 0.15
"""Share of the characters that are hidden from judge B's encoder."""


def _batch(rows: npt.NDArray[np.int32], step: int, batch: int, seed: int) -> torch.Tensor:
    """The rows of a step; every epoch has an order of its own."""
    per_epoch = max(1, len(rows) // batch)
    epoch, within = divmod(step, per_epoch)
    order = np.random.default_rng((seed, epoch)).permutation(len(rows))[within * batch : (within + 1) * batch]
    return torch.from_numpy(rows[order].astype(np.int64))


def hidden_character_loss(
    encoder: Encoder, rows: npt.NDArray[np.int32], step: int, batch: int, seed: int, *, mask: int
) -> torch.Tensor:
    """Mean cross-entropy, in nats a hidden character; ``mask`` is the id that stands in its place."""
    tokens = _batch(rows, step, batch, seed)
    hidden = torch.rand(tokens.shape) < HIDDEN
    device = encoder.embedding.weight.device
    encoded = encoder(torch.where(hidden, mask, tokens).to(device), 0.0)[hidden.to(device)]
    logits = functional.linear(encoded, encoder.embedding.weight).float()
    return functional.cross_entropy(logits, tokens[hidden].to(device))


def next_character_loss(model: Decoder, rows: npt.NDArray[np.int32], step: int, batch: int, seed: int) -> torch.Tensor:
    """Mean cross-entropy, in nats a character, of the batch of a step."""
    tokens = _batch(rows, step, batch, seed).to(model.token_embd.weight.device)
    hidden = model(tokens[:, :-1])
    return functional.cross_entropy(model.logits(hidden).float().flatten(0, 1), tokens[:, 1:].flatten())
