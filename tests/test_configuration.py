"""What people write by hand is checked, and every fault is named in the language in use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import BaseModel, ConfigDict, Field

from mlb_offline.configuration import LARGEST, load_toml
from mlb_offline.errors import InputError
from mlb_offline.language import current, set_language


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    limit: Annotated[int, Field(ge=1)] = 1


@pytest.fixture(autouse=True)
def _keep_language() -> Iterator[None]:
    before = current()
    yield
    set_language(before)


def refused(tmp_path: Path, content: bytes) -> InputError:
    file = tmp_path / "s.toml"
    file.write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_toml(Settings, file, what="settings", remedy="mend it")
    assert caught.value.file == str(file)
    assert caught.value.remedy == "mend it"
    return caught.value


@pytest.mark.parametrize(
    ("content", "line", "field"),
    [
        (b'name = "a"\nlimit = 0\n', 2, "limit"),
        (b'name = "a"\nlimit = "b"\n', 2, "limit"),
        (b'name = "a"\n\nother = 1\n', 3, "other"),
        (b"limit = 1\n", None, "name"),
        (b'name = "a"\nlimit = = 1\n', 2, None),
        (b'name = "a', 1, None),
        (b'name = "a"\n# \xff\n', 2, None),
        (b"#" * (LARGEST + 1), None, None),
        (b"name = " + b"[" * 5000, None, None),
        (b"limit = " + b"9" * 10000, None, None),
    ],
)
def test_a_fault_is_named_by_line_and_field(
    tmp_path: Path, content: bytes, line: int | None, field: str | None
) -> None:
    error = refused(tmp_path, content)
    assert (error.line, error.field) == (line, field)


@pytest.mark.parametrize(
    ("content", "chinese"),
    [(b"", "缺少该字段"), (b'name = "a"\nlimit = 0\n', "不能小于 1"), (b'name = "a"\nx = 0\n', "没有这个字段")],
)
def test_messages_of_the_checker_come_in_chinese(tmp_path: Path, content: bytes, chinese: str) -> None:
    set_language("zh")
    assert chinese in refused(tmp_path, content).message
    set_language("en")
    assert chinese not in refused(tmp_path, content).message


def test_a_table_can_be_adjusted_before_it_is_checked(tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    file.write_text("limit = 3\n")
    found = load_toml(Settings, file, what="settings", remedy="", adjust=lambda raw: raw.update(name="given"))
    assert (found.name, found.limit) == ("given", 3)
