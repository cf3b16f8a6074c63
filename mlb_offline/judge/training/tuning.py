"""Teaching both networks verdicts: from criteria to batches of numbers, losses and log-odds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch.nn import functional

from mlb_offline.judge.annotation import Criterion
from mlb_offline.judge.evidence import Answer, Mark
from mlb_offline.judge.lexicon import Lexicon
from mlb_offline.judge.rendering import (
    CONTEXT,
    Side,
    aligner_answer,
    aligner_criterion,
    decoder_ids,
    decoder_parts,
    padded,
    shown_point,
    shown_topic,
)
from mlb_offline.judge.training.aligner import Aligner
from mlb_offline.judge.training.decoder import Decoder
from mlb_offline.judge.training.lesson import Lesson
from mlb_offline.judge.vocabulary import NO, YES, Vocabulary

UNKNOWN_TARGET = math.nan
SUPPORTED, UNSUPPORTED = f"<{Mark.SAME}>", f"<{Mark.MISSING}>"
"""Tokens whose rows of the embedding tell, in training, a character that the answer supports from one it does not."""

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


def decoder_tokens(reader: Reader, criteria: Sequence[Criterion]) -> list[list[int]]:
    """Judge A's prompts as token ids."""
    answers = {one.answer: reader.answer(one.answer) for one in criteria}
    return [decoder_ids(one, answers[one.answer], reader.vocabulary) for one in criteria]


def decoder_logits(model: Decoder, reader: Reader, rows: Sequence[list[int]]) -> torch.Tensor:
    """Log-odds (rows,) of prompts; they are padded at the end and read at their last token."""
    return _verdicts(model, reader, model(_batch(model, rows)), rows)


def _batch(model: Decoder, rows: Sequence[list[int]]) -> torch.Tensor:
    return torch.tensor(padded(rows), device=model.token_embd.weight.device)


def _verdicts(model: Decoder, reader: Reader, hidden: torch.Tensor, rows: Sequence[list[int]]) -> torch.Tensor:
    last = torch.tensor([len(row) - 1 for row in rows], device=hidden.device)
    ids = reader.vocabulary.ids
    return model.log_odds(hidden[torch.arange(len(rows), device=hidden.device), last], ids[YES], ids[NO])


@dataclass(frozen=True)
class Row:
    """A prompt, its verdict, and for every token whether the answer supports the point's character (nan: no target)."""

    ids: list[int]
    label: float
    supported: list[float]


def decoder_row(lesson: Lesson, answer: Answer, vocabulary: Vocabulary) -> Row:
    """Judge A's prompt for a lesson, and what is asked after its characters."""
    ids: list[int] = []
    supported: list[float] = []
    position = 0
    for part in decoder_parts(lesson, answer):
        for piece in (part.text,) if part.control else part.text:
            tokens = vocabulary.encode([(piece, part.control)])
            known = part.point and lesson.faults is not None
            target = float(position not in (lesson.faults or ())) if known else UNKNOWN_TARGET
            position += part.point
            ids += tokens
            supported += [UNKNOWN_TARGET] * (len(tokens) - 1) + [target]
    return Row(ids[-CONTEXT:], float(lesson.label), supported[-CONTEXT:])


def decoder_loss(
    model: Decoder, reader: Reader, lessons: Sequence[Lesson], *, drop: float, support: float
) -> torch.Tensor:
    """Mean binary cross-entropy of the verdicts, and ``support`` times that of the characters whose fault is known.

    The batch is cut into parts of like length to save padding.
    """
    answers = {one.answer: reader.answer(one.answer) for one in lessons}
    rows = [decoder_row(one, answers[one.answer], reader.vocabulary) for one in lessons]
    rows.sort(key=lambda row: len(row.ids))
    parts: list[list[Row]] = [[]]
    for row in rows:
        if parts[-1] and len(row.ids) > WIDEST * len(parts[-1][0].ids):
            parts.append([])
        parts[-1].append(row)
    found = [_decoder_part(model, reader, part, drop) for part in parts]
    return _joint([one for one, _ in found], [one for _, one in found], support)


def _decoder_part(
    model: Decoder, reader: Reader, part: Sequence[Row], drop: float
) -> tuple[torch.Tensor, torch.Tensor]:
    rows = [row.ids for row in part]
    hidden = model(_batch(model, rows), drop=drop)
    verdicts = _losses(_verdicts(model, reader, hidden, rows), torch.tensor([row.label for row in part]))
    wide = max(map(len, rows))
    targets = torch.tensor([row.supported + [UNKNOWN_TARGET] * (wide - len(row.ids)) for row in part])
    ids = reader.vocabulary.ids
    characters = model.log_odds(hidden[~targets.isnan().to(hidden.device)], ids[SUPPORTED], ids[UNSUPPORTED])
    return verdicts, _losses(characters, targets[~targets.isnan()])


def _losses(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    return functional.binary_cross_entropy_with_logits(logits, truth.to(logits.device), reduction="none")


def _joint(verdicts: Sequence[torch.Tensor], characters: Sequence[torch.Tensor], support: float) -> torch.Tensor:
    every = torch.cat(list(characters))
    return torch.cat(list(verdicts)).mean() + support * (every.sum() / max(1, every.numel()))


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


def aligner_loss(
    model: Aligner, reader: Reader, lessons: Sequence[Lesson], *, drop: float, support: float
) -> torch.Tensor:
    """As ``decoder_loss``; answers are encoded once, and short criteria go apart from long ones."""
    device = model.nothing.device
    order = sorted(lessons, key=lambda one: (one.name != "point", len(one.text)))
    *answer, owner, ids, concepts, others = (tensor.to(device) for tensor in aligner_inputs(reader, order))
    said = model.encoder(answer[0], drop)
    points = sum(one.name == "point" for one in order)
    edges = sorted({0, points // 2, points, len(order)})
    verdicts, characters = [], []
    for start, end in pairwise(edges):
        longest = max(8, int((ids[start:end] > 0).sum(dim=1).max()))
        criterion = (ids[start:end, :longest], concepts[start:end, :longest], others[start:end, :longest])
        compared = model.compared(said, (answer[0], answer[1], answer[2]), owner[start:end], criterion, drop)
        logits = model.pooled(*compared).float()
        verdicts.append(_losses(logits, torch.tensor([float(one.label) for one in order[start:end]])))
        targets = torch.tensor([aligner_targets(one, longest) for one in order[start:end]])
        told = ~targets.isnan()
        characters.append(_losses(model.support(compared[0]).squeeze(-1).float()[told.to(device)], targets[told]))
    return _joint(verdicts, characters, support)


def aligner_targets(lesson: Lesson, longest: int) -> list[float]:
    """For every character of topic and point whether the answer supports it; nan where that is unknown."""
    targets = [UNKNOWN_TARGET] * longest
    if lesson.name == "point" and lesson.faults is not None:
        start = len(shown_topic(lesson)) + 1
        for place in range(min(len(shown_point(lesson)), longest - start)):
            targets[start + place] = float(place not in lesson.faults)
    return targets


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
