"""Judge A's network: a decoder of the Llama architecture, small, with tied embeddings.

Written as llama.cpp computes it (RMS norm before each half, rotary positions on neighbouring pairs, SwiGLU, no bias),
so that the weights go into a GGUF file as they are. Touvron et al. 2023 (arXiv 2302.13971), Su et al. 2021
(arXiv 2104.09864).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

EPSILON = 1e-5
ROPE_BASE = 10_000.0


@dataclass(frozen=True)
class DecoderShape:
    """Sizes: vocabulary, width, layers, heads, inner width of the feed-forward half, longest sequence."""

    vocabulary: int
    width: int
    layers: int
    heads: int
    inner: int
    context: int


class Norm(nn.Module):
    """Root-mean-square norm with a gain."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x of any shape that ends in width."""
        return functional.rms_norm(x, self.weight.shape, self.weight.to(x.dtype), EPSILON)


def rotary(context: int, head: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines of shape (context, head / 2)."""
    rates = ROPE_BASE ** (-torch.arange(0, head, 2, dtype=torch.float64) / head)
    angles = torch.outer(torch.arange(context, dtype=torch.float64), rates)
    return angles.cos().float(), angles.sin().float()


def rotate(x: torch.Tensor, cosines: torch.Tensor, sines: torch.Tensor) -> torch.Tensor:
    """Turn neighbouring pairs of the last axis; x has shape (batch, heads, length, head)."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cosines - odd * sines, even * sines + odd * cosines), dim=-1).flatten(-2)


class Block(nn.Module):
    """Attention and feed-forward halves, each added to what comes in."""

    def __init__(self, shape: DecoderShape) -> None:
        super().__init__()
        width = shape.width
        self.heads = shape.heads
        self.attn_norm, self.ffn_norm = Norm(width), Norm(width)
        self.attn_q, self.attn_k, self.attn_v, self.attn_output = (nn.Linear(width, width, bias=False) for _ in "qkvo")
        self.ffn_gate, self.ffn_up = (nn.Linear(width, shape.inner, bias=False) for _ in "gu")
        self.ffn_down = nn.Linear(shape.inner, width, bias=False)

    def forward(self, x: torch.Tensor, cosines: torch.Tensor, sines: torch.Tensor, drop: float) -> torch.Tensor:
        """x of shape (batch, length, width); no position sees a later one."""
        batch, length, width = x.shape
        inside = self.attn_norm(x)
        q, k, v = (
            layer(inside).view(batch, length, self.heads, width // self.heads).transpose(1, 2)
            for layer in (self.attn_q, self.attn_k, self.attn_v)
        )
        q, k = rotate(q, cosines, sines).to(v.dtype), rotate(k, cosines, sines).to(v.dtype)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        mixed = self.attn_output(mixed.transpose(1, 2).reshape(batch, length, width))
        x = x + functional.dropout(mixed, drop, self.training)
        inside = self.ffn_norm(x)
        fed = self.ffn_down(functional.silu(self.ffn_gate(inside)) * self.ffn_up(inside))
        return x + functional.dropout(fed, drop, self.training)


class Decoder(nn.Module):
    """Tokens (batch, length) to hidden states (batch, length, width); logits by the embedding's rows."""

    def __init__(self, shape: DecoderShape) -> None:
        super().__init__()
        self.shape = shape
        self.token_embd = nn.Embedding(shape.vocabulary, shape.width)
        self.blk = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.output_norm = Norm(shape.width)
        cosines, sines = rotary(shape.context, shape.width // shape.heads)
        self.cosines: torch.Tensor
        self.sines: torch.Tensor
        self.register_buffer("cosines", cosines, persistent=False)
        self.register_buffer("sines", sines, persistent=False)
        self.reset()

    def reset(self) -> None:
        """Draw new weights: normal, 0.02, the layers that write into the residual stream smaller."""
        for name, parameter in self.named_parameters():
            if parameter.dim() < 2:
                continue
            residual = name.endswith(("attn_output.weight", "ffn_down.weight"))
            nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * self.shape.layers) if residual else 0.02)

    def forward(self, tokens: torch.Tensor, *, drop: float = 0.0) -> torch.Tensor:
        """Hidden states after the last norm; padding stands at the end, where it changes nothing before it."""
        length = tokens.shape[1]
        cosines, sines = self.cosines[:length], self.sines[:length]
        x = functional.dropout(self.token_embd(tokens), drop, self.training)
        for block in self.blk:
            x = block(x, cosines, sines, drop)
        hidden: torch.Tensor = self.output_norm(x)
        return hidden

    def log_odds(self, hidden: torch.Tensor, yes: int, no: int) -> torch.Tensor:
        """Log-odds (...) of one token against another of hidden states of shape (..., width)."""
        difference = self.token_embd.weight[yes] - self.token_embd.weight[no]
        return (hidden.to(difference.dtype) @ difference).float()
