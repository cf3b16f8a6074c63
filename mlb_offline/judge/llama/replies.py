"""What a model writes after each of many prompts, most probable token by most probable token.

For judges that reason before they answer. All prompts are continued side by side: one token of each a pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mlb_offline.judge.llama.context import LlamaContext, Row
from mlb_offline.judge.llama.verdicts import Tokens, read_common


@dataclass
class _Reply:
    sequence: int
    position: int
    next: int
    tokens: list[int] = field(default_factory=list)
    ended: bool = False


class ReplyWriter:
    """Continues prompts.

    Args:
        context: the opened model.
        longest: the most tokens of a reply.
    """

    def __init__(self, context: LlamaContext, *, longest: int) -> None:
        self._context, self._longest = context, longest

    def write(self, prompts: Sequence[Tokens]) -> list[str | None]:
        """A reply to each prompt, in order; None where the model did not come to an end.

        Args:
            prompts: of tokens, none empty, none longer than the context less the longest reply.
        """
        if not prompts:
            return []
        shared = read_common(self._context, prompts)
        rests = [prompt[shared:] for prompt in prompts]
        found: list[str | None] = []
        while len(found) < len(rests):
            some = self._fitting(rests[len(found) :], shared)
            found += self._together(some, shared)
        return found

    def _fitting(self, rests: Sequence[Tokens], shared: int) -> Sequence[Tokens]:
        """As many as fit in side by side, with the replies yet to come."""
        size = count = 0
        for rest in rests[: self._context.sequences - 1]:
            size += len(rest) + self._longest
            if count and shared + size > self._context.tokens:
                break
            count += 1
        return rests[:count]

    def _together(self, rests: Sequence[Tokens], shared: int) -> list[str | None]:
        rows = []
        for sequence, rest in enumerate(rests, start=1):
            if shared:
                self._context.share(0, sequence)
            rows.append(Row((sequence,), shared, rest, (len(rest) - 1,)))
        replies = [
            _Reply(sequence, shared + len(rest), int(logits.argmax()))
            for sequence, (rest, (logits,)) in enumerate(zip(rests, self._context.read(rows), strict=True), start=1)
        ]
        for _ in range(self._longest):
            going = [one for one in replies if not one.ended]
            for one in going:
                one.ended = self._context.ends(one.next)
            going = [one for one in going if not one.ended]
            if not going:
                break
            read = self._context.read([Row((one.sequence,), one.position, (one.next,), (0,)) for one in going])
            for one, (logits,) in zip(going, read, strict=True):
                one.tokens.append(one.next)
                one.position += 1
                one.next = int(logits.argmax())
        for one in replies:
            self._context.cut(one.sequence, 0)
        return [self._context.written(one.tokens) if one.ended else None for one in replies]
