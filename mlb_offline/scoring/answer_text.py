"""What every reader does first: drop the reasoning block, normalise, recognise a cut answer.

Rules P1 to P5 of docs/scoring.md.
"""

from __future__ import annotations

import re
import unicodedata

_THINK = re.compile(
    r"<(/?)(?:think(?:ing)?|thought|reasoning)>|◁(/?)think▷|<\|(?:begin|(end))_of_thought\|>", re.IGNORECASE
)
_CHANNEL = re.compile(r"<\|channel\|>(\w{1,20})[^<]{0,60}<\|message\|>")
_FINAL_RESPONSE = re.compile(r"^[ \t]{0,3}#{1,6} {0,2}final response\b[ \t:：]{0,3}", re.IGNORECASE | re.MULTILINE)
_CUT_REASONS = frozenset({"length", "max_tokens"})
_TURN_START = re.compile(
    r"\s{0,9}(?:<\|im_start\|>|<\|start_header_id\|>)?\s?assistant\s?(?:<\|end_header_id\|>|\n)\s{0,9}"
)
_TURN_END = re.compile(
    r"<\|(?:im_end|im_start|endoftext|eot_id|end|return|user|observation|start_header_id|end_of_text)\|>"
    r"|<[｜|](?:end▁of▁sentence|User|Assistant)[｜|]>|<(?:end_of_turn|start_of_turn|reserved_10[67])>"
)
_LLAMA_END = "</s>"

# A run of more than 30 combining marks occurs in no language (UAX #15, Stream-Safe Text Format), and ordering
# such a run takes quadratic time: 64,000 marks keep CPython busy for two seconds.
_MOST_MARKS = 30


class Unreadable(Exception):  # noqa: N818 - an outcome, not an error
    """No answer can be made out; ``reason`` is the machine word that goes into ``Score.note``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def after_thinking(text: str) -> str:
    """The model's own answer: what follows its reasoning block (rule P1), up to the end of its turn (rule P5).

    Raises:
        Unreadable: a block is opened and never closed, or no channel is the final one: only reasoning was returned.
    """
    text = _own_turn(_final_channel(text))
    tags = list(_THINK.finditer(text))
    if tags:
        last = tags[-1]
        if not any(last.groups()):
            raise Unreadable("unclosed-think")
        text = text[last.end() :]
    headings = list(_FINAL_RESPONSE.finditer(text))
    return text[headings[-1].end() :] if headings else text


def _final_channel(text: str) -> str:
    """What a model that speaks in channels (gpt-oss) says in its last final one; the others are its thinking."""
    channels = list(_CHANNEL.finditer(text))
    if not channels:
        return text
    final = next((channel for channel in reversed(channels) if channel[1] == "final"), None)
    if final is None:
        raise Unreadable("unclosed-think")
    return text[final.end() :]


def _own_turn(text: str) -> str:
    """The text before a control token of a chat template: what follows belongs to another turn (rule P5)."""
    start = _TURN_START.match(text)
    begin = 0 if start is None else start.end()
    end = _TURN_END.search(text, begin)
    own = text[begin : len(text) if end is None else end.start()]
    # <s>…</s> may also strike a text through: then nothing is cut here.
    return own if "<s>" in own else own.split(_LLAMA_END, 1)[0]


def nfkc(text: str) -> str:
    """Unicode NFKC (rule P2); text with an absurd run of combining marks is left as it is."""
    if text.isascii():
        return text
    if len(text) > _MOST_MARKS and _longest_mark_run(text) > _MOST_MARKS:
        return text
    return unicodedata.normalize("NFKC", text)


def unit_text(text: str) -> str:
    """The form in which two strings are compared: NFKC, then trimmed (DESIGN, section 2)."""
    return nfkc(text).strip()


def was_cut(finish_reason: str | None) -> bool:
    """Whether the server stopped the answer at its length limit (rule P3)."""
    return finish_reason in _CUT_REASONS


def _longest_mark_run(text: str) -> int:
    if text.isascii() or not any(map(unicodedata.combining, set(text))):
        return 0
    longest = run = 0
    for character in text:
        run = run + 1 if unicodedata.combining(character) else 0
        longest = max(longest, run)
    return longest
