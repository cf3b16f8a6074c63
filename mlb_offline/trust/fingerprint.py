"""Fingerprints that two people can compare over the telephone."""

from __future__ import annotations


def fingerprint(digest: bytes) -> str:
    """The first 16 bytes of a SHA-256 as eight groups of five decimal digits, each one big-endian 16-bit number.

    Digits are read aloud alike in every language; 128 bits leave no room for a second key with the same ones.
    """
    numbers = (int.from_bytes(digest[index : index + 2], "big") for index in range(0, 16, 2))
    return " ".join(f"{number:05d}" for number in numbers)
