"""The strict trailer at the end of a report (docs/format-report.md).

``<!--mlb-offline report trailer v1:BASE64-->`` and one line feed, then the end of the file. BASE64 is canonical
base64 of canonical JSON with exactly the keys of ``KEYS``. Everything before the comment is what is signed.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

from mlb_offline.report import canonical
from mlb_offline.report.canonical import refuse

FORMAT = "mlb-offline/report-trailer/v1"
OPEN = b"<!--mlb-offline report trailer v1:"
CLOSE = b"-->\n"
KEYS = ("format", "envelope", "certificates", "cosignatures", "timestamps")
RESERVED = KEYS[2:]
LIMIT = 64 * 2**20
"""Largest report file that is read, in bytes."""


@dataclass(frozen=True)
class Split:
    """A report file taken apart.

    Attributes:
        page: all bytes before the trailer.
        envelope: the DSSE envelope's bytes, not yet verified.
    """

    page: bytes
    envelope: bytes


def join(page: bytes, envelope: bytes) -> bytes:
    """The report file: the page, then its trailer."""
    value = {"format": FORMAT, "envelope": base64.b64encode(envelope).decode("ascii")}
    body = canonical.dump({**value, **{key: [] for key in RESERVED}})
    return page + OPEN + base64.b64encode(body) + CLOSE


def split(data: bytes, *, file: str | Path) -> Split:
    """Take a report file apart.

    Args:
        data: the whole file.
        file: its name, for messages.

    Raises:
        TrustError: no trailer, more than one, anything after it, or any but the canonical spelling of it.
    """
    count = data.count(OPEN)
    if count == 0:
        refuse("这不是报告，或其签名尾部缺失或损坏", "this is no report, or its trailer is missing or damaged", file)
    if count > 1:
        refuse(f"文件有 {count} 个签名尾部", f"the file has {count} signature trailers", file)
    if not data.endswith(CLOSE):
        refuse("签名尾部之后还有内容，或文件被截断", "something follows the trailer, or the file is cut short", file)
    start = data.index(OPEN)
    text = data[start + len(OPEN) : -len(CLOSE)]
    value = canonical.load(canonical.unbase64(text, file=file, field="trailer"), file=file, field="trailer")
    return Split(data[:start], _envelope(value, file))


def _envelope(value: object, file: str | Path) -> bytes:
    if not isinstance(value, dict) or set(value) != set(KEYS):
        refuse("签名尾部的字段不符合格式", "the trailer does not have exactly the keys of its format", file, "trailer")
    if value["format"] != FORMAT:
        refuse("签名尾部的版本未知", "the trailer's format is unknown", file, "trailer.format")
    for key in RESERVED:
        if value[key] != []:
            refuse(
                f"本版本不支持 {key}，且不会忽略无法核验的内容",
                f"this version does not support {key} and does not pass over what it cannot check",
                file,
                f"trailer.{key}",
            )
    envelope = value["envelope"]
    if not isinstance(envelope, str) or not envelope.isascii():
        refuse("签名信封不是文本", "the envelope is not text", file, "trailer.envelope")
    return canonical.unbase64(envelope.encode("ascii"), file=file, field="trailer.envelope")
