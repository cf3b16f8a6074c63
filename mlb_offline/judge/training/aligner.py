"""Judge B's network: it aligns every character of the criterion with the answer, compares, and pools.

Unlike judge A it reads the whole answer, in both directions, and is told nothing but which characters and concepts are
equal; where the answer speaks of the criterion it finds out by itself. Soft alignment and comparison after Parikh et
al. 2016 (arXiv 1606.01933) and Chen et al. 2017 (ESIM, arXiv 1609.06038); dilated convolutions as encoder.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

FEATURES = 9
FAR = -1e4
"""Added to alignments with padding."""


@dataclass(frozen=True)
class AlignerShape:
    """Sizes: vocabulary (id 0 is padding), width, heads of the alignment, blocks of the encoder, blocks after it."""

    vocabulary: int
    width: int
    heads: int
    encoder: int
    comparison: int


Side = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Characters, concepts, and what is related to these; of one shape."""


class Convolution(nn.Module):
    """A gated convolution over positions, added to what comes in; padding stays zero."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.convolution = nn.Conv1d(width, 2 * width, 3, padding=dilation, dilation=dilation)
        self.output = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, mask: torch.Tensor, drop: float) -> torch.Tensor:
        """x of shape (batch, length, width), mask (batch, length, 1) of 0 and 1."""
        inside = self.convolution((self.norm(x) * mask).transpose(1, 2)).transpose(1, 2)
        value, gate = inside.chunk(2, dim=-1)
        inside = self.output(value * torch.sigmoid(gate))
        return (x + functional.dropout(inside, drop, self.training)) * mask


class Encoder(nn.Module):
    """Characters to vectors that know their neighbourhood of 2^(blocks + 1) - 1 characters."""

    def __init__(self, shape: AlignerShape) -> None:
        super().__init__()
        self.embedding = nn.Embedding(shape.vocabulary, shape.width, padding_idx=0)
        nn.init.normal_(self.embedding.weight, std=0.05)
        self.blocks = nn.ModuleList(Convolution(shape.width, 2**index) for index in range(shape.encoder))
        self.norm = nn.LayerNorm(shape.width)

    def forward(self, ids: torch.Tensor, drop: float = 0.0) -> torch.Tensor:
        """ids (batch, length) to (batch, length, width)."""
        mask = (ids > 0).unsqueeze(-1).to(self.norm.weight.dtype)
        x = functional.dropout(self.embedding(ids), drop, self.training) * mask
        for block in self.blocks:
            x = block(x, mask, drop)
        encoded: torch.Tensor = self.norm(x) * mask
        return encoded


def _ahead(x: torch.Tensor) -> torch.Tensor:
    """Shift a matrix (batch, criterion, answer) one step along its diagonal: position (i, j) sees (i + 1, j + 1)."""
    down = torch.cat((x[:, 1:], torch.zeros_like(x[:, :1])), dim=1)
    return torch.cat((down[:, :, 1:], torch.zeros_like(down[:, :, :1])), dim=2)


def _behind(x: torch.Tensor) -> torch.Tensor:
    up = torch.cat((torch.zeros_like(x[:, :1]), x[:, :-1]), dim=1)
    return torch.cat((torch.zeros_like(up[:, :, :1]), up[:, :, :-1]), dim=2)


def match_features(  # noqa: PLR0917 - the inputs of the exported graph
    answer: torch.Tensor,
    answer_concepts: torch.Tensor,
    answer_parents: torch.Tensor,
    criterion: torch.Tensor,
    criterion_concepts: torch.Tensor,
    criterion_confusable: torch.Tensor,
) -> torch.Tensor:
    """What is equal between criterion and answer, of shape (batch, criterion, answer, FEATURES), 0 or 1 (the last
    scaled): the character; the pair with the character after, before; three in a row; five in a row; the concept; the
    criterion's concept and a parent of the answer's; the concept it is mistaken for; the share of equal characters in
    seven along the diagonal.

    Args:
        answer: characters' ids (batch, answer); 0 is padding. Likewise the concepts, 0 for none.
        criterion: characters' ids (batch, criterion), and the concepts.
    """
    real = (criterion > 0).unsqueeze(2) & (answer > 0).unsqueeze(1)
    same = ((criterion.unsqueeze(2) == answer.unsqueeze(1)) & real).float()
    after, before = _ahead(same), _behind(same)
    after2, before2 = _ahead(after), _behind(before)
    after3, before3 = _ahead(after2), _behind(before2)
    row = after + before + after2 + before2 + after3 + before3 + same

    def equal(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return ((left.unsqueeze(2) == right.unsqueeze(1)) & (left > 0).unsqueeze(2)).float()

    features = (
        same,
        same * after,
        same * before,
        torch.maximum(same * after * after2, torch.maximum(same * before * before2, same * after * before)),
        (row >= 5).float() * same,
        equal(criterion_concepts, answer_concepts),
        equal(criterion_concepts, answer_parents),
        equal(criterion_confusable, answer_concepts),
        row * real / 7.0,
    )
    return torch.stack(features, dim=-1)


class Aligner(nn.Module):
    """Answers and criteria to the log-odds of 是."""

    def __init__(self, shape: AlignerShape) -> None:
        super().__init__()
        width, heads = shape.width, shape.heads
        self.shape = shape
        self.encoder = Encoder(shape)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in "qkv")
        self.of_match = nn.Parameter(torch.linspace(1.0, 4.0, FEATURES).repeat(heads, 1) * 0.5)
        self.nothing = nn.Parameter(torch.zeros(heads))
        self.compare = nn.Sequential(
            nn.Linear(3 * width + FEATURES * (heads + 1) + 2 * heads, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        self.after = nn.ModuleList(Convolution(width, 2**index) for index in range(shape.comparison))
        self.support = nn.Linear(width, 1)
        self.weigh = nn.Linear(width, 1)
        self.decide = nn.Sequential(
            nn.LayerNorm(3 * width), nn.Linear(3 * width, width), nn.GELU(), nn.Linear(width, 1)
        )

    def forward(  # noqa: PLR0917 - the inputs of the exported graph
        self,
        answer: torch.Tensor,
        answer_concepts: torch.Tensor,
        answer_parents: torch.Tensor,
        owner: torch.Tensor,
        criterion: torch.Tensor,
        criterion_concepts: torch.Tensor,
        criterion_confusable: torch.Tensor,
        drop: float = 0.0,
    ) -> torch.Tensor:
        """Log-odds (criteria,).

        Args:
            answer: characters' ids (answers, characters); 0 is padding. Likewise its concepts and their parents.
            owner: for every criterion the row of its answer (criteria,).
            criterion: characters' ids (criteria, characters), its concepts, and what they are mistaken for.
            drop: share of activations dropped in training.
        """
        said = self.encoder(answer, drop)
        compared = self.compared(
            said,
            (answer, answer_concepts, answer_parents),
            owner,
            (criterion, criterion_concepts, criterion_confusable),
            drop,
        )
        return self.pooled(*compared)

    def compared(
        self, said: torch.Tensor, answer: Side, owner: torch.Tensor, criterion: Side, drop: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What every character of the criteria is found to be, (criteria, characters, width), and where there is one,
        (criteria, characters, 1), of answers that are encoded already: ``said`` (answers, characters, width). In
        training ``support`` reads from it whether the answer supports the character."""
        wanted = self.encoder(criterion[0], drop)
        answer = (answer[0][owner], answer[1][owner], answer[2][owner])
        features = match_features(*answer, *criterion)
        mask = (criterion[0] > 0).unsqueeze(-1).to(wanted.dtype)
        x = self.compare(self._aligned(said[owner], wanted, features, answer[0] > 0)) * mask
        for block in self.after:
            x = block(x, mask, drop)
        return x, mask

    def _aligned(
        self, said: torch.Tensor, wanted: torch.Tensor, features: torch.Tensor, real: torch.Tensor
    ) -> torch.Tensor:
        batch, length, width = wanted.shape
        heads = self.shape.heads

        def split(x: torch.Tensor) -> torch.Tensor:
            return x.view(batch, -1, heads, width // heads).transpose(1, 2)

        scores = split(self.query(wanted)) @ split(self.key(said)).transpose(2, 3) * (width // heads) ** -0.5
        scores = scores + (features @ self.of_match.T).permute(0, 3, 1, 2)
        scores = scores + torch.where(real, 0.0, FAR)[:, None, None, :]
        none = self.nothing.view(1, heads, 1, 1).expand(batch, heads, length, 1)
        weights = torch.softmax(torch.cat((scores, none), dim=-1), dim=-1)
        aligned = (weights[..., :-1] @ split(self.value(said))).transpose(1, 2).reshape(batch, length, width)
        found = torch.einsum("bhij,bijf->bihf", weights[..., :-1], features).reshape(batch, length, -1)
        certain = torch.cat((weights.amax(dim=-1), weights[..., -1]), dim=1).transpose(1, 2)
        return torch.cat((wanted, aligned, wanted * aligned, found, features.amax(dim=2), certain), dim=-1)

    def pooled(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Log-odds (criteria,) of what ``compared`` gives."""
        share = torch.softmax(self.weigh(x) + (mask - 1.0) * -FAR, dim=1)
        weighed = (share * x).sum(dim=1)
        mean = (x * mask).sum(dim=1) / mask.sum(dim=1)
        worst = (x + (mask - 1.0) * -FAR).amax(dim=1)
        logit: torch.Tensor = self.decide(torch.cat((weighed, mean, worst), dim=-1)).squeeze(-1)
        return logit
