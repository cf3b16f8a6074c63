"""The chat template that a GGUF file carries, around a message."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

from mlb_offline.errors import InputError
from mlb_offline.judge.llama.context import LlamaContext
from mlb_offline.language import tr

KEY = "tokenizer.chat_template"
_PLACE = "MLB-OFFLINE-MESSAGE"
_OPENED, _NO_THOUGHT = "<think>", "\n\n</think>\n\n"
"""A template may begin the reply's thought; a judge that is not to reason is given an empty one."""
# Templates of Llama 3 write today's date unless they are given one; the prompt would change from day to day.
_VARIABLES = {"enable_thinking": False, "date_string": "26 Jul 2024", "tools": None, "documents": None}


@dataclass(frozen=True)
class Around:
    """The tokens that the template puts before and after a message; whether it leaves a thought open behind them."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    thinks: bool


def around(context: LlamaContext, *, thinking: bool = False) -> Around:
    """Render the file's template around a message.

    Args:
        context: the opened model.
        thinking: whether a model that can reason first may do so.

    Raises:
        InputError: the file has no template, or it fails, or it loses or repeats the message.
    """
    template = context.metadata(KEY)
    if template is None:
        raise _refusal(context, "没有对话模板", "carries no chat template")
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refused(message: str) -> NoReturn:
        raise TemplateError(message)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.globals["raise_exception"] = refused
    environment.globals["strftime_now"] = lambda _format: _VARIABLES["date_string"]
    told: dict[str, Any] = {**_VARIABLES, "enable_thinking": thinking, "add_generation_prompt": True}
    told |= {f"{name}_token": context.named(name) for name in ("bos", "eos")}
    try:
        text = environment.from_string(template).render(messages=[{"role": "user", "content": _PLACE}], **told)
    except Exception as error:  # noqa: BLE001 - a template is a program and may raise anything
        raise _refusal(context, f"的对话模板无法使用：{error}", f"has a chat template that fails: {error}") from None
    parts = text.split(_PLACE)
    if len(parts) != 2:
        raise _refusal(
            context, "的对话模板未原样放入消息", "has a chat template that does not keep the message as it is"
        )
    thinks = parts[1].rstrip().endswith(_OPENED)
    if thinks and not thinking:
        parts[1] += _NO_THOUGHT
    before, after = (tuple(context.tokenised(part, special=True)) for part in parts)
    if before[:1] != context.begin:
        before = (*context.begin, *before)
    return Around(before, after, thinks=thinks and thinking)


def _refusal(context: LlamaContext, zh: str, en: str) -> InputError:
    return InputError(
        tr(f"该 GGUF 文件{zh}", f"the GGUF file {en}"),
        file=context.file,
        field=KEY,
        remedy=tr(
            "使用带对话模板的模型文件（Instruct 版本）", "use a model file with a chat template: an instruct release"
        ),
    )
