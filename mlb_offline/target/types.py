"""What a target is asked, what it answers, and the three ways in which it may not.

Whose fault it is decides what happens next: ``Retry`` is the moment's fault (ask again), ``ItemFailed`` is this
request's (outcome ``failed``), ``TargetError`` is the set-up's (stop; the run can be resumed).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Parameters:
    """How answers are generated; part of the run's identity.

    Attributes:
        temperature: 0 (greedy) to 2.
        max_tokens: most tokens in one answer, at least 1.
        seed: of the first repeat; repeat *r* is asked with ``seed + r``, since a server that honours seeds would
            else give every repeat the same answer.
        top_p: above 0, at most 1.
        extra: further members of the request object, as the server documents them.
    """

    temperature: float = 0.0
    max_tokens: int = 2048
    seed: int = 0
    top_p: float = 1.0
    extra: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)

    def to_json(self) -> dict[str, Any]:
        """As a JSON object for the identity and the report."""
        return {
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "seed": self.seed,
            "top_p": self.top_p,
            "extra": dict(self.extra),
        }


@dataclass(frozen=True)
class Question:
    """One request to make: the prompt of an item, and which repeat of it this is (from 0)."""

    dataset: str
    item: str
    prompt: str
    repeat: int


@dataclass(frozen=True)
class Response:
    """One answer.

    Attributes:
        text: the answer, valid Unicode (lone surrogates replaced by U+FFFD); may be empty.
        finish_reason: as the server gave it: ``stop``, ``length``, ``tool_calls``, ...
        model: the name under which the server says it answered.
        prompt_tokens: tokens of the prompt, if the server counts them.
        completion_tokens: tokens of the answer, if the server counts them.
        seconds: from sending the request to having the whole answer.
        reasoning: thinking that the server returned apart from the answer; never scored.
    """

    text: str
    finish_reason: str | None
    model: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    seconds: float
    reasoning: str | None


class Retry(Exception):  # noqa: N818 - it is an instruction to the engine, not an error
    """The moment's fault: the engine asks the same question again.

    Attributes:
        after: seconds to wait that the server asked for, 0 to 3,600; None where it named none.
        throttled: the server says that it is asked too much (429): only this shrinks concurrency.
        cause: stable code: ``timeout``, ``server-down``, ``connection-lost``, ``throttled``, ``http-503``, ...
        message: the same for a person, in the language in use.
    """

    def __init__(self, *, after: float | None = None, throttled: bool = False, cause: str, message: str = "") -> None:
        super().__init__(message or cause)
        self.after = after
        self.throttled = throttled
        self.cause = cause
        self.message = message or cause


class ItemFailed(Exception):  # noqa: N818 - an outcome of one item
    """This one request is refused for good: outcome ``failed``, which counts as wrong.

    Attributes:
        reason: stable code: ``context-too-long``, ``content-filter``, ``http-400``, ``no-answer``, ...
        message: the same for a person, in the language in use; never holds the prompt.
    """

    def __init__(self, reason: str, message: str = "") -> None:
        super().__init__(message or reason)
        self.reason = reason
        self.message = message or reason


class Target(Protocol):
    """A model under test, opened and ready to be asked.

    Attributes:
        description: canonical JSON object for the run's identity: kind, endpoint or file digest, model, parameters.
            Read it after ``probe()``, which may find out the model's name. Never holds a secret.
        parallel: False where questions must be asked one at a time.
        indicative: True where the answers' origin cannot be vouched for (a file): such a run can never pass.
    """

    @property
    def description(self) -> Mapping[str, Any]:
        """See the class."""
        ...

    @property
    def parallel(self) -> bool:
        """See the class."""
        ...

    @property
    def indicative(self) -> bool:
        """See the class."""
        ...

    async def probe(self) -> Mapping[str, Any]:
        """What the target says of itself, before the first question.

        Raises:
            TargetError: it cannot be reached or does not offer the model.
        """
        ...

    async def ask(self, question: Question) -> Response:
        """The answer to one question.

        Raises:
            Retry, ItemFailed, TargetError: as the module says.
        """
        ...

    async def close(self) -> None:
        """Give back connections and memory; the target cannot be asked afterwards."""
        ...


def clean_text(text: str) -> str:
    """The text with lone surrogates (JSON may escape them) replaced, so that it can be stored as UTF-8."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
