"""One spelling for every value."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlb_offline.trust.canonical import canonical_json, decode_base64, encode_base64, parse_canonical

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=10,
)


@given(values)
def test_what_is_canonical_is_read_back(value):
    assert parse_canonical(canonical_json(value)) == value


@given(values, st.booleans())
def test_any_other_spelling_is_refused(value, ascii_only):
    other = json.dumps(value, ensure_ascii=ascii_only, indent=1).encode() + b" "
    with pytest.raises(ValueError, match="not canonical"):
        parse_canonical(other)


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"\xff", b'{"b":1,"a":2}', b'{"a":1,"a":1}', b"NaN", b'"\\u0041"', b"[1, 2]", b"1.0", b'"\\ud800"'],
)
def test_what_is_not_canonical_json_is_refused(data):
    with pytest.raises(ValueError, match="JSON"):
        parse_canonical(data)


def test_nesting_without_end_is_refused_and_not_a_crash():
    with pytest.raises(ValueError, match="JSON"):
        parse_canonical(b"[" * 100_000)


@pytest.mark.parametrize("value", [2**60, float("nan"), "\ud800", {1: 2}, object()])
def test_what_has_no_canonical_form_is_refused(value):
    with pytest.raises(ValueError, match=r"JCS|UTF-8|serialize|key|exceeds|type"):
        canonical_json(value)


@given(st.binary())
def test_base64_is_read_back(data):
    assert decode_base64(encode_base64(data)) == data


@pytest.mark.parametrize("text", ["QQ", "QR==", "QQ==\n", " QQ==", "Q Q=", "QQ===", "Q-Q=", None, 3, b"QQ==", "é"])
def test_any_other_base64_is_refused(text):
    with pytest.raises(ValueError, match=r"base64|not a string"):
        decode_base64(text)
