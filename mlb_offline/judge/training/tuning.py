"""Teaching both networks verdicts: from criteria to batches of numbers, losses and log-odds."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch.nn import functional

from mlb_offline.judge.annotation import Criterion
from mlb_offline.judge.evidence import Answer
from mlb_offline.judge.lexicon import Lexicon
from mlb_offline.judge.rendering import Side, aligner_answer, aligner_criterion, decoder_parts, padded
from mlb_offline.judge.training.aligner import Aligner
from mlb_offline.judge.training.decoder import Decoder
from mlb_offline.judge.vocabulary import NO, YES, Vocabulary

FIXED_QUESTIONS = 3
"""Of an ethics answer's six criteria so many are taught at a time: they share nearly all of their tokens."""


WIDEST = 1.6
"""Of prompts that go together the longest has at most so many times the tokens of the shortest."""


@dataclass(frozen=True)
class Reader:
    """What turns text into numbers: the lexicon and the vocabulary."""

    lexicon: Lexicon
    vocabulary: Vocabulary

    def answer(self, text: str) -> Answer:
        """An answer prepared for many criteria."""
        return Answer(text, self.lexicon)


def thinned(criteria: Sequence[Criterion], seed: str) -> list[Criterion]:
    """The criteria with at most ``FIXED_QUESTIONS`` of each ethics answer."""
    rng = random.Random(seed)  # noqa: S311 - not for secrets
    ethics = {one.answer_id for one in criteria if one.family == "ethics"}
    kept = {
        (answer, name)
        for answer in sorted(ethics)
        for name in rng.sample([one.name for one in criteria if one.answer_id == answer], FIXED_QUESTIONS)
    }
    return [one for one in criteria if one.family != "ethics" or (one.answer_id, one.name) in kept]


def labels_of(criteria: Sequence[Criterion]) -> torch.Tensor:
    """1.0 for 是."""
    return torch.tensor([float(one.label) for one in criteria])


def decoder_tokens(reader: Reader, criteria: Sequence[Criterion]) -> list[list[int]]:
    """Judge A's prompts as token ids."""
    answers = {one.answer: reader.answer(one.answer) for one in criteria}
    return [reader.vocabulary.encode(decoder_parts(one, answers[one.answer])) for one in criteria]


def decoder_logits(model: Decoder, reader: Reader, rows: Sequence[list[int]], *, drop: float = 0.0) -> torch.Tensor:
    """Log-odds (rows,) of prompts; they are padded at the end and read at their last token."""
    rows = [row[-model.shape.context :] for row in rows]
    device = model.token_embd.weight.device
    hidden = model(torch.tensor(padded(rows), device=device), drop=drop)
    last = torch.tensor([len(row) - 1 for row in rows], device=device)
    ids = reader.vocabulary.ids
    return model.verdict(hidden[torch.arange(len(rows), device=device), last], ids[YES], ids[NO])


def decoder_loss(model: Decoder, reader: Reader, criteria: Sequence[Criterion], *, drop: float) -> torch.Tensor:
    """Mean binary cross-entropy; the batch is cut into parts of like length to save padding."""
    rows = sorted(zip(decoder_tokens(reader, criteria), labels_of(criteria), strict=True), key=lambda row: len(row[0]))
    parts: list[list[tuple[list[int], torch.Tensor]]] = [[]]
    for row in rows:
        if parts[-1] and len(row[0]) > WIDEST * len(parts[-1][0][0]):
            parts.append([])
        parts[-1].append(row)
    losses = []
    for part in parts:
        logits = decoder_logits(model, reader, [row for row, _ in part], drop=drop)
        truth = torch.stack([label for _, label in part]).to(logits.device)
        losses.append(functional.binary_cross_entropy_with_logits(logits, truth, reduction="sum"))
    return torch.stack(losses).sum() / len(rows)


Inputs = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


def aligner_inputs(reader: Reader, criteria: Sequence[Criterion]) -> Inputs:
    """Judge B's inputs in the order of ``Aligner.forward``; every distinct answer once."""
    order = list(dict.fromkeys(one.answer for one in criteria))
    place = {text: index for index, text in enumerate(order)}
    answers = [aligner_answer(reader.answer(text), reader.lexicon, reader.vocabulary) for text in order]
    wanted = [aligner_criterion(one, reader.lexicon, reader.vocabulary) for one in criteria]
    owner = torch.tensor([place[one.answer] for one in criteria])
    return (*_stacked(answers), owner, *_stacked(wanted))


def _stacked(sides: Sequence[Side]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return (
        torch.tensor(padded([side.ids for side in sides], 8)),
        torch.tensor(padded([side.concepts for side in sides], 8)),
        torch.tensor(padded([side.others for side in sides], 8)),
    )


def aligner_loss(model: Aligner, reader: Reader, criteria: Sequence[Criterion], *, drop: float) -> torch.Tensor:
    """Mean binary cross-entropy of a batch; answers are encoded once, and short criteria go apart from long ones."""
    device = model.nothing.device
    order = sorted(criteria, key=lambda one: (one.name != "point", len(one.text)))
    *answer, owner, ids, concepts, others = (tensor.to(device) for tensor in aligner_inputs(reader, order))
    labels = labels_of(order).to(device)
    said = model.encoder(answer[0], drop)
    points = sum(one.name == "point" for one in order)
    edges = sorted({0, points // 2, points, len(order)})
    losses = []
    for start, end in pairwise(edges):
        longest = max(8, int((ids[start:end] > 0).sum(dim=1).max()))
        criterion = (ids[start:end, :longest], concepts[start:end, :longest], others[start:end, :longest])
        logits = model.verdicts(said, (answer[0], answer[1], answer[2]), owner[start:end], criterion, drop).float()
        losses.append(functional.binary_cross_entropy_with_logits(logits, labels[start:end], reduction="sum"))
    return torch.stack(losses).sum() / len(order)


class TorchJudge:
    """A network as a judge: for development figures, calibration, and comparison with what was exported."""

    def __init__(self, model: Decoder | Aligner, reader: Reader, *, batch: int = 32) -> None:
        self._model, self._reader, self._batch = model, reader, batch

    @torch.no_grad()
    def logits(self, criteria: Sequence[Criterion]) -> list[float]:
        """Log-odds of 是, one a criterion, in float32."""
        self._model.eval()
        found: list[float] = []
        for start in range(0, len(criteria), self._batch):
            some = criteria[start : start + self._batch]
            if isinstance(self._model, Decoder):
                values = decoder_logits(self._model, self._reader, decoder_tokens(self._reader, some))
            else:
                device = self._model.nothing.device
                values = self._model(*(tensor.to(device) for tensor in aligner_inputs(self._reader, some)))
            found += values.float().cpu().tolist()
        return found

    def probabilities(self, criteria: Sequence[Criterion]) -> list[float]:
        """Probabilities of 是."""
        return torch.sigmoid(torch.tensor(self.logits(criteria))).tolist()
