"""The page in a real browser, with real keys pressed, files chosen and downloads taken."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chromium
import pytest
from adjudication_cases import HOSTILE, KEY, ODD_NOTE, OTHER_REVIEWER, PACKET, PASSPHRASE, REVIEWER, TRUST

from mlb_offline.adjudication.page import build_page
from mlb_offline.adjudication.result import FORMAT, PAYLOAD_TYPE, make_result, open_result
from mlb_offline.trust.canonical import canonical_json
from mlb_offline.trust.dsse import pae
from mlb_offline.trust.keys import KeyKind, load_signing_key, new_key
from mlb_offline.trust.sealing import PrivateKeyFile, seal_seed
from mlb_offline.trust.store import load_trust

pytestmark = pytest.mark.skipif(chromium.find() is None, reason="no chromium on this machine")

KEY_PASSPHRASE = "密钥 passphrase"
NAME = f"mlb-offline/adjudication/{PACKET.id}"
STORED = f"localStorage.getItem('{NAME}')"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page, the reviewer's key pair as ``keys new`` makes it, and what would not do in its place."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "page.html").write_bytes(build_page(PACKET, PASSPHRASE, KEY))
    new_key(KeyKind.REVIEWER, folder, KEY_PASSPHRASE)
    new_key(KeyKind.REPORT, folder, None)
    new_key(KeyKind.REVIEWER, folder / "open", None)
    return folder


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Chromium]:
    folder = tmp_path_factory.mktemp("chromium")
    (folder / "downloads").mkdir()
    with chromium.Chromium(folder / "profile", folder / "downloads") as browser:
        browser.size(1280, 800)
        yield browser


@pytest.fixture
def browser(running: chromium.Chromium, world: Path) -> chromium.Chromium:
    """At the gate of the page, with nothing kept and nothing downloaded."""
    running.open(world / "page.html")
    running.run("localStorage.clear()")
    running.reload()
    running.events.clear()
    for file in running.downloads.iterdir():
        file.unlink()
    return running


def enter(browser: chromium.Chromium, passphrase: str = PASSPHRASE) -> None:
    browser.type("passphrase", passphrase)
    browser.press("Enter")
    browser.until("!el('open').disabled && (el('desk').hidden === false || el('gate-said').classList.contains('bad'))")


@pytest.fixture
def desk(browser: chromium.Chromium) -> chromium.Chromium:
    enter(browser)
    return browser


def text(browser: chromium.Chromium, element: str) -> str:
    return str(browser.run(f"el({element!r}).innerText"))


def settled(browser: chromium.Chromium) -> list[str | None]:
    chips = "[...document.querySelectorAll('.chips button')].map((chip) => chip.dataset.verdict ?? null)"
    return list(browser.run(chips))


def kept(browser: chromium.Chromium) -> None:
    """Wait until the browser has stored what was settled."""
    time.sleep(0.05)
    browser.until(f"{STORED} !== null")
    browser.run("new Promise((resolve) => setTimeout(resolve, 50))")


def use_key(browser: chromium.Chromium, key: Path, passphrase: str = KEY_PASSPHRASE) -> str:
    """Choose a key in the open dialog, go, and give what the page then says."""
    browser.choose("key-file", key)
    browser.type("key-passphrase", passphrase)
    browser.press("Enter")
    browser.until("!el('key-go').disabled")
    return text(browser, "key-said")


def saved(browser: chromium.Chromium, key: Path) -> Path:
    browser.click("#save")
    said = use_key(browser, key)
    assert "已签署并保存" in said
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        (*files,) = browser.downloads.glob("*.json")
        if files:
            return files[0]
        time.sleep(0.05)
    raise AssertionError("nothing was downloaded")


def test_the_right_passphrase_opens_it_and_another_does_not(browser: chromium.Chromium) -> None:
    enter(browser, PASSPHRASE + " ")
    assert text(browser, "gate-said") == "口令错误"
    assert browser.run("el('desk').hidden") is True
    browser.run("el('passphrase').value = ''")
    enter(browser)
    assert text(browser, "count") == "已完成 0 / 6 · 剩余 6"
    assert text(browser, "criterion") == "社区获得性肺炎"
    assert browser.run("el('passphrase').value") == ""


def test_it_asks_the_network_for_nothing_and_its_policy_is_never_broken(desk: chromium.Chromium, world: Path) -> None:
    desk.press("y")
    saved(desk, world / "open" / "reviewer.key.json")
    assert desk.complaints() == []
    assert [url for url in desk.requested() if not url.startswith(("file:///", "blob:null", "blob:file:"))] == []


def test_an_answer_is_shown_as_text_whatever_it_holds(desk: chromium.Chromium) -> None:
    for _ in range(3):
        desk.press("ArrowRight")
    assert desk.run("el('answer').textContent") == HOSTILE
    assert desk.run("document.querySelectorAll('#answer *, img').length") == 0
    assert desk.run("document.title") == "医生评定 · Adjudication"


def test_keys_settle_move_and_undo(desk: chromium.Chromium) -> None:
    desk.press("1")
    desk.press("N")
    assert settled(desk)[:3] == ["是", "否", None]
    assert text(desk, "criterion") == "胸部影像见新出现的斑片状浸润影"
    desk.press("ArrowLeft")
    assert text(desk, "criterion") == "发热、咳嗽等急性呼吸道症状"
    desk.press("y")
    assert settled(desk)[:3] == ["是", "是", None]
    desk.press("u")
    desk.press("z", control=True)
    assert settled(desk)[:3] == ["是", None, None]
    assert text(desk, "criterion") == "发热、咳嗽等急性呼吸道症状"
    desk.press("x")
    desk.press("1", control=True)
    assert text(desk, "count") == "已完成 1 / 6 · 剩余 5"


def test_the_undecided_may_say_why_and_undo_loses_no_note(desk: chromium.Chromium) -> None:
    desk.press("?")
    assert desk.run("document.activeElement.id") == "note"
    desk.call("Input.insertText", text="1 与 y 在此只是文字")
    desk.press("Enter")
    assert settled(desk)[:2] == ["?", None]
    assert text(desk, "criterion") == "发热、咳嗽等急性呼吸道症状"
    desk.press("u")
    assert settled(desk)[0] is None
    assert desk.run("el('note').value") == "1 与 y 在此只是文字"


def test_after_a_verdict_the_next_open_one_follows_and_the_open_ones_can_be_listed(desk: chromium.Chromium) -> None:
    desk.press("ArrowRight")
    desk.press("1")
    desk.press("ArrowLeft")
    desk.press("ArrowLeft")
    desk.press("1")
    assert text(desk, "place").startswith("第 3 / 6 项")
    desk.click("#only-open")
    assert desk.run("[...document.querySelectorAll('.chips button')].filter((c) => !c.hidden).length") == 4
    for _ in range(4):
        desk.press("1")
    assert desk.run("el('none-open').hidden") is False
    assert text(desk, "count") == "已完成 6 / 6 · 剩余 0"
    assert "全部已评定" in text(desk, "notice")


def test_buttons_do_what_keys_do(desk: chromium.Chromium) -> None:
    desk.click(".verdicts [data-verdict='否']")
    desk.click("#next")
    desk.click(".verdicts [data-verdict='是']")
    assert settled(desk)[:3] == ["否", None, "是"]
    desk.click("#undo")
    desk.click(".chips button")
    assert settled(desk)[:3] == ["否", None, None]
    assert desk.run("document.querySelector('.verdicts [aria-pressed=true]').dataset.verdict") == "否"


def test_points_and_written_questions_are_explained_each_in_its_way(desk: chromium.Chromium) -> None:
    assert "均为“不详”时选是" in text(desk, "rule")
    for _ in range(4):
        desk.press("ArrowRight")
    assert text(desk, "rule") == "是：该说法对此回答成立；否：不成立。"
    assert desk.run("el('question-part').hidden") is True
    desk.click("#language")
    assert text(desk, "rule") == "是: it holds of this answer; 否: it does not."


def test_what_was_settled_survives_a_reload_encrypted(desk: chromium.Chromium) -> None:
    desk.press("n")
    desk.type("note", "看不清的备注")
    kept(desk)
    stored = json.loads(desk.run(STORED))
    assert set(stored) == {"format", "packet", "nonce", "ciphertext"}
    assert "否" not in json.dumps(stored, ensure_ascii=False)
    desk.reload()
    assert desk.run("el('desk').hidden") is True
    enter(desk)
    assert settled(desk)[:2] == ["否", None]
    assert "已恢复上次的进度：1 项" in text(desk, "notice")
    assert desk.run("el('note').value") == "看不清的备注"


DAMAGES = [
    "'{}'",
    "text.slice(0, -9)",
    "text.replace(/\"ciphertext\":\"(.)/, (all, first) => '\"ciphertext\":\"' + (first === 'A' ? 'B' : 'A'))",
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_autosave_is_refused_and_kept_until_the_physician_says_otherwise(desk, damage) -> None:
    desk.press("n")
    kept(desk)
    desk.run(f"(() => {{ const text = {STORED}; localStorage.setItem({NAME!r}, {damage}); }})()")
    damaged = desk.run(STORED)
    desk.reload()
    enter(desk)
    assert "已损坏" in text(desk, "gate-said")
    assert desk.run("el('desk').hidden") is True
    assert desk.run(STORED) == damaged
    desk.click("#drop-damaged")
    assert settled(desk) == [None] * 6


def test_where_nothing_can_be_stored_it_says_so(desk: chromium.Chromium) -> None:
    desk.run("Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); }; 0")
    desk.press("n")
    desk.until("el('notice').innerText.includes('无法自动保存')")
    assert settled(desk)[0] == "否"
    desk.click("h2")  # browsers ask only whom they have seen act
    desk.reload()
    asked = [event for event in desk.events if event.get("method") == "Page.javascriptDialogOpening"]
    assert [event["params"]["type"] for event in asked] == ["beforeunload"]


def test_a_second_window_stops_this_one_from_overwriting_it(desk: chromium.Chromium) -> None:
    desk.press("n")
    kept(desk)
    stored = desk.run(STORED)
    desk.run(f"dispatchEvent(new StorageEvent('storage', {{ key: '{NAME}' }})); 0")
    desk.press("n")
    assert "另一窗口" in text(desk, "notice")
    desk.press("ArrowRight")
    desk.run("new Promise((resolve) => setTimeout(resolve, 50))")
    assert settled(desk)[:2] == ["否", None]
    assert desk.run(STORED) == stored


def test_a_partial_result_goes_on_in_another_browser_and_ends_complete(desk, world, tmp_path) -> None:
    trust, key = load_trust([world / "reviewer.pub.pem"]), world / "reviewer.key.json"
    desk.press("1")
    desk.press("?")
    desk.run(f"el('note').value = {json.dumps(ODD_NOTE)}; el('note').dispatchEvent(new Event('input')); 0")
    note = desk.run("el('note').value")  # a text area has line feeds alone
    desk.press("Enter")
    file = saved(desk, key)
    assert file.name.endswith("-partial.json")
    partial = open_result(file.read_bytes(), PACKET, KEY, trust, file=file)
    assert (partial.verdicts, partial.complete) == ({"t0001": "是", "t0002": "?"}, False)
    assert partial.notes == {"t0002": note}
    assert partial.fingerprint in text(desk, "key-said")
    assert partial.reviewer == load_signing_key(key, KEY_PASSPHRASE, KeyKind.REVIEWER).keyid
    carried = file.rename(tmp_path / file.name)

    (tmp_path / "downloads").mkdir()
    with chromium.Chromium(tmp_path / "profile", tmp_path / "downloads") as second:
        second.open(world / "page.html")
        enter(second)
        assert settled(second) == [None] * 6
        second.click("#load")
        second.choose("earlier", carried)
        use_key(second, key)
        assert settled(second)[:3] == ["是", "?", None]
        for verdict in "ynyn":
            second.press(verdict)
        file = saved(second, key)
        assert file.name.endswith("-complete.json")
        whole = open_result(file.read_bytes(), PACKET, KEY, trust, file=file)
    assert whole.complete
    assert whole.verdicts == dict(zip([task.id for task in PACKET.tasks], "是?是否是否", strict=True))
    assert whole.notes == partial.notes


def test_the_progress_kept_here_can_be_cleared_after_saving(desk: chromium.Chromium, world: Path) -> None:
    desk.press("y")
    saved(desk, world / "open" / "reviewer.key.json")
    desk.click("#forget")
    assert desk.run(f"{STORED} !== null")
    desk.click("#forget")
    desk.until("document.readyState === 'complete' && el('desk').hidden && !el('gate').hidden")
    assert desk.run(STORED) is None


def load(browser: chromium.Chromium, raw: bytes, folder: Path, seed: int = 7) -> str:
    (folder / "earlier.json").write_bytes(raw)
    browser.click("#load")
    browser.choose("earlier", folder / "earlier.json")
    return use_key(browser, key_of(seed, folder), "")


def key_of(seed: int, folder: Path) -> Path:
    """A key file without passphrase for one of the reviewers of the cases."""
    private = seal_seed(bytes([seed] * 32), "reviewer", None, demonstration=False)
    path = folder / f"{seed}.key.json"
    path.write_text(private.model_dump_json())
    return path


def test_what_the_writer_made_is_loaded_and_can_be_undone(desk: chromium.Chromium, tmp_path: Path) -> None:
    desk.press("n")
    raw = make_result(PACKET, KEY, REVIEWER, {"t0004": "是"}, {"t0001": "旧备注"})
    assert "将取代本页现有的 1 项" in load(desk, raw, tmp_path)
    assert settled(desk)[0] == "否"
    use_key(desk, tmp_path / "7.key.json", "")
    assert settled(desk) == [None, None, None, "是", None, None]
    desk.press("u")
    assert settled(desk) == ["否", None, None, None, None, None]


def test_a_result_of_another_physician_packet_or_key_is_not_gone_on_with(desk, tmp_path) -> None:
    raw = make_result(PACKET, KEY, REVIEWER, {"t0001": "是"})
    for changed, seed, words in (
        (raw, 8, "另一位医生"),
        (make_result(PACKET, bytes(32), REVIEWER, {"t0001": "是"}), 7, "已被改动或损坏"),
        (raw.replace(PACKET.id.encode(), b"5f0c1a52-7c1e-4d5e-9f0a-1b2c3d4e5f61"), 7, "另一任务包"),
        (raw[:-10], 7, "不是 JSON"),
        (raw + b"\n", 7, "不是规范 JSON"),
    ):
        assert words in load(desk, changed, tmp_path, seed)
        desk.click("#key-close")
    assert settled(desk) == [None] * 6


def test_a_page_settled_under_one_key_is_not_signed_with_another(desk: chromium.Chromium, tmp_path: Path) -> None:
    load(desk, make_result(PACKET, KEY, REVIEWER, {"t0001": "是"}), tmp_path)
    desk.click("#save")
    assert "另一位医生" in use_key(desk, key_of(8, tmp_path), "")
    kept(desk)
    desk.reload()
    enter(desk)
    desk.click("#save")
    assert "另一位医生" in use_key(desk, key_of(8, tmp_path), "")
    assert OTHER_REVIEWER.keyid != REVIEWER.keyid
    assert not list(desk.downloads.iterdir())


def changed_key(world: Path, folder: Path, change: Any) -> Path:
    private = json.loads((world / "reviewer.key.json").read_text())
    change(private)
    path = folder / "changed.key.json"
    path.write_text(json.dumps(private))
    return path


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda key: key.update(created="2020-01-01T00:00:00Z"), "口令错误，或私钥文件已被改动"),
        (lambda key: key.update(kind="report"), "不是评定医生"),
        (lambda key: key.update(more=1), "字段不符合格式"),
        (lambda key: key.update(format="x"), "不是私钥文件"),
        (lambda key: key["scrypt"].update(n=2**18), "超出范围"),
        (lambda key: key["scrypt"].update(n=100_000), "超出范围"),
        (lambda key: key["scrypt"].update(n=2**9), "超出范围"),
        (lambda key: key["scrypt"].update(r=9), "超出范围"),
        (lambda key: key["scrypt"].update(p=5), "超出范围"),
        (lambda key: key["scrypt"].update(p=1.5), "超出范围"),
        (lambda key: key["scrypt"].update(salt="AAAA"), "超出范围"),
        (lambda key: key["sealed"].update(nonce="AAAA"), "已损坏"),
    ],
)
def test_a_key_file_that_was_changed_or_would_eat_memory_is_refused(desk, world, tmp_path, change, words) -> None:
    desk.click("#save")
    assert words in use_key(desk, changed_key(world, tmp_path, change))


def test_a_wrong_passphrase_no_file_and_other_files_are_refused(desk: chromium.Chromium, world: Path) -> None:
    desk.click("#save")
    desk.click("#key-go")
    desk.until("!el('key-go').disabled")
    assert text(desk, "key-said") == "请选择私钥文件"
    assert "密钥口令错误" in use_key(desk, world / "reviewer.key.json", "wrong")
    assert "不是评定医生" in use_key(desk, world / "report.key.json")
    assert "不是 JSON" in use_key(desk, world / "reviewer.pub.pem")
    assert not list(desk.downloads.iterdir())


def test_a_browser_without_ed25519_is_told_before_any_work(browser: chromium.Chromium, world: Path) -> None:
    # No browser without it can be had here, so its answer is put in its place.
    browser.run("crypto.subtle.generateKey = async () => { throw new DOMException('no', 'NotSupportedError'); }; 0")
    enter(browser)
    browser.until("el('notice').innerText.includes('不支持 Ed25519')")
    browser.click("#save")
    assert "不支持 Ed25519" in use_key(browser, world / "open" / "reviewer.key.json")


RFC_7914 = [  # section 12; the fourth takes 1 GiB, which no key file may
    ("", "", 16, 1, 1, "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442"
     "fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906"),
    ("password", "NaCl", 1024, 8, 16, "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
     "2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640"),
    ("pleaseletmein", "SodiumChloride", 16384, 8, 1, "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
     "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"),
]  # fmt: skip


@pytest.mark.parametrize(("password", "salt", "n", "r", "p", "expected"), RFC_7914)
def test_scrypt_gives_the_vectors_of_the_rfc(running, world, password, salt, n, r, p, expected) -> None:
    running.open(world / "page.html")
    call = f"scrypt(utf8({password!r}), utf8({salt!r}), {n}, {r}, {p}, 64).then(hex)"
    assert running.run(call) == expected


@pytest.mark.parametrize(
    ("password", "salt", "iterations", "expected"),
    [
        ("passwd", "salt", 1, "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
         "a49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783"[:64]),
        ("Password", "NaCl", 80000, "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56"
         "a1d425a1225833549adb841b51c9b3176a272bdebba1d078478f62b397f33c8d"),
    ],
)  # fmt: skip
def test_pbkdf2_gives_the_vectors_of_the_rfc(running, world, password, salt, iterations, expected) -> None:
    running.open(world / "page.html")
    call = f"pbkdf2(utf8({password!r}), utf8({salt!r}), {iterations}, 64).then(hex)"
    assert running.run(call).startswith(expected)


ODD_VALUES = [
    {"b": 1, "a": '€$\u000f\nA\'B"\\\\"/', "é": [True, False, None], "😀": {}, "ﬁ": "x", "e\u0301": 2**53 - 1},
    {"notes": {"t2": ODD_NOTE, "t10": "\u007f\u0080\u2028\u2029\ufeff\ufffd", "t1": "".join(map(chr, range(32)))}},
    ["\U0001f600\U0010ffff", "", -1, 0, 500],
]


@pytest.mark.parametrize("value", ODD_VALUES)
def test_canonical_json_is_the_same_bytes_in_both_languages(running, world, value) -> None:
    running.open(world / "page.html")
    assert running.run(f"hex(utf8(canonical({json.dumps(value)})))") == canonical_json(value).hex()


SIGN_AND_SHOW = """
const page = await openPage(JSON.parse(el("sealed").textContent), passphrase), work = new Work(page.packet);
work.replace({ verdicts, notes });
const signer = await openSigner(key, ""), body = utf8(canonical(resultBody(page, work, signer.keyid, instant)));
const signature = await signer.sign(pae(RESULT_TYPE, body));
return [signer.keyid, signer.fingerprint, hex(body), hex(signature), await makeResult(page, work, signer, instant)];
"""


def test_what_the_page_signs_is_byte_for_byte_what_the_writer_signs(desk, tmp_path) -> None:
    instant, verdicts, notes = "2026-02-01T09:30:00.123Z", {"t0002": "否", "t0001": "?"}, {"t0001": ODD_NOTE}
    key = key_of(7, tmp_path).read_text()
    keyid, fingerprint, body, signature, file = desk.run(
        f"(async ([passphrase, verdicts, notes, key, instant]) => {{{SIGN_AND_SHOW}}})"
        f"({json.dumps([PASSPHRASE, verdicts, notes, key, instant])})"
    )
    assert (keyid, fingerprint) == (REVIEWER.keyid, REVIEWER.verify_key.fingerprint)
    expected = {
        "format": FORMAT,
        "packet": PACKET.id,
        "run": PACKET.run,
        "identity_sha256": PACKET.identity_sha256,
        "content_sha256": PACKET.content_sha256,
        "reviewer": REVIEWER.keyid,
        "saved": instant,
        "complete": False,
        "verdicts": verdicts,
        "notes": notes,
    }
    assert body == canonical_json(expected).hex()
    assert signature == REVIEWER.sign(pae(PAYLOAD_TYPE, bytes.fromhex(body))).hex()
    there, here = (
        open_result(raw, PACKET, KEY, TRUST, file="r")
        for raw in (file.encode(), make_result(PACKET, KEY, REVIEWER, verdicts, notes, saved=instant))
    )
    assert there == here


def test_a_note_with_half_a_character_becomes_one_that_can_be_signed(desk: chromium.Chromium) -> None:
    assert desk.run("wellFormed('a\\ud800b\\udc00\\ud83d\\ude00')") == "a\ufffdb\ufffd\U0001f600"


def test_a_key_file_is_read_as_the_other_program_reads_it(world: Path) -> None:
    raw = json.loads((world / "reviewer.key.json").read_text())
    assert PrivateKeyFile.model_validate(raw).scrypt.n == 2**17


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (420, 560), (900, 500)])
def test_everything_needed_to_settle_is_in_view(desk, width, height) -> None:
    desk.size(width, height)
    for _ in range(4):
        desk.press("ArrowRight")  # to a long answer
    outside = desk.run(
        "[...document.querySelectorAll('#criterion, .verdicts button, #save, #count, #answer')].filter((e) => {"
        "const b = e.getBoundingClientRect();"
        "return b.height < 10 || b.left < 0 || b.right > innerWidth || b.top < 0 ||"
        " (e.id !== 'answer' && b.bottom > innerHeight); }).map((e) => e.id || e.outerHTML)"
    )
    desk.size(1280, 800)
    assert outside == []
