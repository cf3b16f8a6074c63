"""The mapping of a foreign table onto a dataset: a TOML file, checked (docs/importers.md lists its keys)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from mlb_offline.bundle.importers.files import Encoding
from mlb_offline.configuration import load_toml
from mlb_offline.language import tr

Text = Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"\S")]
ItemField = Literal["id", "specialty", "question", "scenario", "difficulty", "note", "evaluation_points"]
Constant = Literal["specialty", "scenario", "difficulty"]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Csv(_Strict):
    """How a CSV file is written."""

    delimiter: Annotated[str, StringConstraints(min_length=1, max_length=1)] = ","
    quote: Annotated[str, StringConstraints(min_length=1, max_length=1)] = '"'

    @model_validator(mode="after")
    def _distinct(self) -> Csv:
        if self.delimiter == self.quote or {self.delimiter, self.quote} & set("\n\r\0 "):
            raise ValueError(tr("delimiter 与 quote 须不同且可见", "delimiter and quote must differ and be visible"))
        return self


class Xlsx(_Strict):
    """Where in a workbook the table stands; the first sheet if nothing is said."""

    sheet: Text | None = None


class OptionsRule(_Strict):
    """Where the options are: inside the question, in one column, or in several.

    Attributes:
        in_question: they stand at the end of the question.
        column: one column holds them all.
        split: how: lettered (``A … B …`` in any known pattern), lines, json (a list of strings), or separator.
        separator: between the options, if split so.
        escaped_newlines: ``\\n`` written as two characters is a line break.
        columns: one column an option, A first; empty cells at the end are options that are not there.
    """

    in_question: bool = False
    column: Text | None = None
    split: Literal["lettered", "lines", "json", "separator"] = "lettered"
    separator: Annotated[str, StringConstraints(min_length=1)] | None = None
    escaped_newlines: bool = False
    columns: tuple[Text, ...] = Field(default=(), strict=False)

    @model_validator(mode="after")
    def _one_place(self) -> OptionsRule:
        if (self.in_question, self.column is not None, bool(self.columns)).count(True) != 1:
            raise ValueError(
                tr(
                    "in_question、column、columns 须恰给其一",
                    "exactly one of in_question, column and columns is needed",
                )
            )
        if (self.split == "separator") != (self.separator is not None):
            raise ValueError(tr("split = separator 与 separator 须同时给出", "split = separator goes with separator"))
        return self


class SpanRule(_Strict):
    """How a list of marked spans is written.

    Attributes:
        text: key of the span's own text; None if only offsets are given.
        label: key of its label.
        start: key of its first offset, in code points from 0.
        end: key of the offset after its last character; None if only the text tells the length.
        end_included: ``end`` is the offset of the last character itself.
    """

    text: Text | None = None
    label: Text
    start: Text
    end: Text | None = None
    end_included: bool = False

    @model_validator(mode="after")
    def _length_known(self) -> SpanRule:
        if self.text is None and self.end is None:
            raise ValueError(tr("text 与 end 至少给一个", "text or end is needed"))
        return self


class AnswerRule(_Strict):
    """Where the reference answer is, and how it is written.

    Attributes:
        read: letters, index or option (the option's text) for choices; line for CHIP-CDN; json; or spans.
        base: number of the first option, for index.
        separator: between the terms of a line, if it is not ``##``.
        spans: for spans.
        labels: label of a span → key of the answer; ``""`` leaves spans of that label aside.
    """

    column: Text
    read: Literal["letters", "index", "option", "line", "json", "spans"]
    base: Literal[0, 1] = 0
    separator: Text | None = None
    spans: SpanRule | None = None
    labels: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _whole(self) -> AnswerRule:
        if (self.read == "spans") != (self.spans is not None and bool(self.labels)):
            raise ValueError(tr("read = spans 须有 spans 与 labels", "read = spans goes with spans and labels"))
        return self


class TableMapping(_Strict):
    """A whole mapping file."""

    dataset: Text | None = None
    format: Literal["jsonl", "json", "csv", "xlsx"] | None = None
    encoding: Encoding = "utf-8"
    licence: Text
    source: Text
    reviewed_by: Text
    prompt: Text | None = None
    csv: Csv = Csv()
    xlsx: Xlsx = Xlsx()
    columns: dict[ItemField, Text]
    constants: dict[Constant, Text] = Field(default_factory=dict)
    options: OptionsRule | None = None
    answer: AnswerRule | None = None

    @model_validator(mode="after")
    def _question_named(self) -> TableMapping:
        if "question" not in self.columns:
            raise ValueError(tr("columns 须含 question", "columns must name question"))
        both = sorted(set(self.columns) & set(self.constants))
        if both:
            raise ValueError(tr(f"{both} 既是列又是常量", f"{both} is both a column and a constant"))
        return self

    def wanted(self) -> list[str]:
        """Every column that the mapping names."""
        names = [*self.columns.values()]
        if self.options is not None:
            names += [*self.options.columns, *([self.options.column] if self.options.column else [])]
        return names + ([self.answer.column] if self.answer else [])


def load_mapping(path: Path) -> TableMapping:
    """Read a mapping file.

    Raises:
        InputError: not TOML, or a key is missing, unknown or wrong; names line or field.
    """
    remedy = tr("见 docs/importers.md", "see docs/importers.md")
    return load_toml(TableMapping, path, what=tr("映射文件", "mapping"), remedy=remedy)
