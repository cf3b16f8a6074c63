"""The page as a file: one piece, no network, nothing readable without the passphrase."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import pytest
from adjudication_cases import HOSTILE, KEY, PACKET, PASSPHRASE
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mlb_offline.adjudication.page import build_page
from mlb_offline.benchmark.catalogue import DATASETS
from mlb_offline.errors import UsageError
from mlb_offline.trust.canonical import parse_canonical

PAGE = build_page(PACKET, PASSPHRASE, KEY).decode()


def parts(tag: str) -> list[str]:
    return re.findall(rf"<{tag}>(.*?)</{tag}>", PAGE, re.DOTALL)


def sealed() -> dict:
    (data,) = re.findall(r'<script type="application/json" id="sealed">(.*?)</script>', PAGE)
    return parse_canonical(data.encode())


def opened(record: dict, key: bytes) -> bytes:
    bound = f'{{"format":"mlb-offline/adjudication-page/v1","packet":"{PACKET.id}"}}'.encode()
    return AESGCM(key).decrypt(base64.b64decode(record["nonce"]), base64.b64decode(record["ciphertext"]), bound)


def test_its_policy_allows_its_own_script_and_style_and_no_network() -> None:
    def digest(text: str) -> str:
        return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    (script,), (style,) = parts("script"), parts("style")
    assert (
        f"default-src 'none'; script-src '{digest(script)}'; style-src '{digest(style)}'; "
        "base-uri 'none'; form-action 'none'" in PAGE
    )
    for word in (
        *("http://", "https://", "fetch(", "XMLHttpRequest", "WebSocket", "import(", "url(", "@import", "eval("),
        *("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "style=", "onclick="),
    ):
        assert word not in PAGE, word


def test_the_passphrase_and_nothing_else_opens_it_as_documented() -> None:
    data = sealed()
    assert data["format"] == "mlb-offline/adjudication-page/v1"
    assert data["pbkdf2"]["iterations"] == 600_000
    salt = base64.b64decode(data["pbkdf2"]["salt"])
    assert len(salt) == 16
    key = opened(data["wrapped"], hashlib.pbkdf2_hmac("sha256", PASSPHRASE.encode(), salt, 600_000))
    assert key == KEY
    content = opened(data["content"], HKDF(hashes.SHA256(), 32, None, b"mlb-offline/v1/adjudication/page").derive(key))
    assert content == PACKET.content
    with pytest.raises(InvalidTag):
        opened(data["wrapped"], hashlib.pbkdf2_hmac("sha256", b"another passphrase", salt, 600_000))


def test_nothing_of_the_packet_but_its_id_stands_in_it_in_clear() -> None:
    assert PACKET.id in PAGE
    for task in PACKET.tasks:
        for text in (task.answer, task.question, task.criterion):
            assert not text or text not in PAGE
    for text in (HOSTILE, PACKET.run, PACKET.identity_sha256, PASSPHRASE, json.dumps(PASSPHRASE)):
        assert text not in PAGE


def test_two_pages_of_one_packet_share_no_salt_nonce_or_ciphertext() -> None:
    def texts(value: object) -> set[str]:
        return set().union(*map(texts, value.values())) if isinstance(value, dict) else {str(value)}

    (data,) = re.findall(r'id="sealed">(.*?)</script>', build_page(PACKET, PASSPHRASE, KEY).decode())
    same = texts(json.loads(data)) & texts(sealed())
    assert same == {"mlb-offline/adjudication-page/v1", PACKET.id, "600000"}


@pytest.mark.parametrize("passphrase", ["", "elevenchars", "\ud800" * 12])
def test_a_short_or_broken_passphrase_is_refused(passphrase) -> None:
    with pytest.raises(UsageError):
        build_page(PACKET, passphrase, KEY)


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        build_page(PACKET, PASSPHRASE, KEY[:16])


def test_it_says_who_settles_and_what_is_not_shown() -> None:
    assert "由医生独立评定" in PAGE
    assert "不显示被测模型的名称，也不显示裁判模型的意见" in PAGE
    assert "要点与回答均为“不详”时选是" in PAGE


def test_it_knows_the_datasets_whose_criterion_is_itself_the_question() -> None:
    (listed,) = re.findall(r"ASKED_AS_WRITTEN = new Set\((\[.*?\])\)", PAGE)
    assert set(json.loads(listed)) == {d.id for d in DATASETS.values() if d.metric in {"judge-safety", "judge-ethics"}}
