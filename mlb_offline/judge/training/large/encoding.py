"""From criteria to tokens: the base's chat template around the prompt, and the verdict as the reply.

The text is encoded by tokenizer.json itself and nothing else, because that is what the exported file holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlb_offline.errors import InputError
from mlb_offline.judge.annotation import Criterion
from mlb_offline.judge.prompt import NO, YES, Prompt
from mlb_offline.judge.training.large.base import Base
from mlb_offline.judge.training.large.libraries import library
from mlb_offline.language import tr

_PLACE = "MLB-OFFLINE-MESSAGE"
_SHOWN = 5
# Templates of Llama 3 write today's date unless they are given one; the prompt would change from day to day.
_TEMPLATE_VARIABLES = {"enable_thinking": False, "date_string": "26 Jul 2024"}


@dataclass(frozen=True)
class Example:
    """A criterion in tokens.

    Attributes:
        id, family: of the criterion.
        text: the whole prompt, chat template included.
        prompt: its tokens.
        verdict: tokens of the right reply.
        label: whether 是 is right.
    """

    id: str
    family: str
    text: str
    prompt: tuple[int, ...]
    verdict: tuple[int, ...]
    label: bool


@dataclass(frozen=True)
class Encoder:
    """Renders and encodes criteria for a base.

    Attributes:
        tokenizer: ``tokenizers.Tokenizer`` of tokenizer.json.
        prompt: the wording.
        prefix, suffix: what the chat template puts before and after the message.
        yes, no: tokens of the two replies; they differ in the first.
    """

    tokenizer: Any
    prompt: Prompt
    prefix: str
    suffix: str
    yes: tuple[int, ...]
    no: tuple[int, ...]

    def render(self, criterion: Criterion) -> str:
        """The whole prompt, as it is put to the model."""
        return self.prefix + self.prompt.render(criterion) + self.suffix

    def tokens(self, text: str) -> tuple[int, ...]:
        """A text's tokens, nothing added."""
        return tuple(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def encode(self, criteria: Sequence[Criterion], max_tokens: int) -> list[Example]:
        """All criteria, in order.

        Raises:
            InputError: some are longer than ``max_tokens`` (prompt and verdict), or hold a control token.
        """
        examples = [self._example(criterion) for criterion in criteria]
        long = [one for one in examples if len(one.prompt) + len(one.verdict) > max_tokens]
        if long:
            named = _named([f"{one.id}（{len(one.prompt) + len(one.verdict)}）" for one in long])
            longest = max(len(one.prompt) + len(one.verdict) for one in long)
            raise InputError(
                tr(
                    f"{len(long)} 条标注超过 max_tokens = {max_tokens}：{named}",
                    f"{len(long)} annotations are longer than max_tokens = {max_tokens}: {named}",
                ),
                field="max_tokens",
                remedy=tr(
                    f"将配方的 max_tokens 提高到 {longest} 以上，或移除这些标注；程序不会截断",
                    f"raise max_tokens of the recipe to {longest}, or take these out; nothing is ever cut",
                ),
            )
        self._require_plain(examples)
        return examples

    def _example(self, criterion: Criterion) -> Example:
        text = self.render(criterion)
        verdict = self.yes if criterion.label else self.no
        return Example(criterion.id, criterion.family, text, self.tokens(text), verdict, criterion.label)

    def _require_plain(self, examples: Sequence[Example]) -> None:
        """Only the chat template may bring control tokens: one from an answer would speak with the system's voice."""
        control = {number for number, one in self.tokenizer.get_added_tokens_decoder().items() if one.special}
        expected = sum(token in control for token in self.tokens(self.prefix + _PLACE + self.suffix))
        spoilt = [one.id for one in examples if sum(token in control for token in one.prompt) != expected]
        if spoilt:
            raise InputError(
                tr(
                    f"{len(spoilt)} 条标注的文字含有该分词器的控制词元：{_named(spoilt)}",
                    f"the text of {len(spoilt)} annotations holds control tokens of this tokenizer: {_named(spoilt)}",
                ),
                remedy=tr("移除或改写这些标注", "take these out or rewrite them"),
            )


def open_encoder(base: Base, prompt: Prompt) -> Encoder:
    """The encoder of a base.

    Raises:
        InputError: tokenizer.json cannot be read; there is no chat template, or it fails or loses the message; the
            two verdicts begin with the same token.
    """
    tokenizers = library("tokenizers")
    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(base.tokenizer))
    except Exception as error:  # noqa: BLE001 - the library raises bare Exception
        raise InputError(
            tr(f"tokenizer.json 无法读取：{error}", f"tokenizer.json cannot be read: {error}"),
            file=base.tokenizer,
            remedy=tr("重新复制基座文件夹", "copy the base's folder again"),
        ) from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    prefix, suffix = _around(base)
    yes, no = verdict_tokens(base, tokenizer, prefix + _PLACE + suffix)
    return Encoder(tokenizer, prompt, prefix, suffix, yes, no)


def verdict_tokens(
    base: Base, tokenizer: Any, text: str, words: tuple[str, str] = (YES, NO)
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The tokens of two replies after a text.

    Raises:
        InputError: a reply has no tokens of its own there, or both begin with the same one.
    """
    before = tokenizer.encode(text, add_special_tokens=False).ids
    both = [tokenizer.encode(text + word, add_special_tokens=False).ids for word in words]
    replies = [tuple(ids[len(before) :]) for ids in both]
    if any(not reply or ids[: len(before)] != before for reply, ids in zip(replies, both, strict=True)):
        raise _no_verdict(base, f"“{'”“'.join(words)}”与其前的文字并为一个词元", "run into the text before them", words)
    if replies[0][0] == replies[1][0]:
        raise _no_verdict(base, f"“{'”“'.join(words)}”的第一个词元相同", "begin with the same token", words)
    return replies[0], replies[1]


def _no_verdict(base: Base, zh: str, en: str, words: tuple[str, str]) -> InputError:
    return InputError(
        tr(f"判定词{zh}", f"the verdicts {words[0]} and {words[1]} {en}"),
        file=base.tokenizer,
        remedy=tr(
            "换用能区分判定词的分词器（Qwen2、Qwen3、Llama 3 的原始分词器均可）",
            "use a base whose tokenizer tells them apart: those of Qwen2, Qwen3 and Llama 3 do",
        ),
    )


def _around(base: Base) -> tuple[str, str]:
    transformers = library("transformers")
    remedy = tr(
        "换用带对话模板的基座（tokenizer_config.json 的 chat_template，或 chat_template.jinja），如 Instruct 版本",
        "use a base with a chat template (chat_template in tokenizer_config.json, or chat_template.jinja), "
        "such as an instruct release",
    )
    file = base.folder / "tokenizer_config.json"
    try:
        speaker = transformers.PreTrainedTokenizerFast.from_pretrained(
            base.folder, local_files_only=True, trust_remote_code=False
        )
        if not speaker.chat_template:
            raise InputError(
                tr("分词器没有对话模板", "the tokenizer has no chat template"),
                file=file,
                field="chat_template",
                remedy=remedy,
            )
        rendered = speaker.apply_chat_template(
            [{"role": "user", "content": _PLACE}], tokenize=False, add_generation_prompt=True, **_TEMPLATE_VARIABLES
        )
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 - a template is a program and may raise anything
        raise InputError(
            tr(f"对话模板无法使用：{error}", f"the chat template cannot be used: {error}"),
            file=file,
            field="chat_template",
            remedy=remedy,
        ) from None
    parts = str(rendered).split(_PLACE)
    if len(parts) != 2:
        raise InputError(
            tr(
                f"对话模板把消息写了 {len(parts) - 1} 次",
                f"the chat template writes the message {len(parts) - 1} times",
            ),
            file=file,
            field="chat_template",
            remedy=remedy,
        )
    return parts[0], parts[1]


def _named(ids: Sequence[str]) -> str:
    shown = "、".join(ids[:_SHOWN]) if tr("zh", "en") == "zh" else ", ".join(ids[:_SHOWN])
    return shown + (" …" if len(ids) > _SHOWN else "")
