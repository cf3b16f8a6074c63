"""Private key files: a 32-byte seed under a passphrase.

``{format, kind, created, demonstration, passphrase, scrypt: {n, r, p, salt}, sealed: {nonce, ciphertext}}``. The
seed is sealed with AES-256-GCM under scrypt (RFC 7914) of the passphrase; every other field is associated data in
canonical JSON, so none can be changed. Without a passphrase the file says ``"passphrase": false`` and the seed is
sealed under the empty one: then the file itself is the secret.
"""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from mlb_offline.configuration import explain
from mlb_offline.errors import InputError, TrustError
from mlb_offline.language import tr
from mlb_offline.trust.canonical import canonical_json, decode_base64, encode_base64
from mlb_offline.trust.files import read_json, require_private

Kind = Literal["publisher", "hospital", "report", "reviewer"]
PRIVATE_FORMAT: Final = "mlb-offline/private-key/v1"
SEED_LENGTH = 32
# 128·n·r bytes: 128 MiB with a passphrase; without one there is nothing to stretch.
N_WITH_PASSPHRASE = 2**17
N_WITHOUT = 2**10
N_MAX = 2**17
R_MAX = 8
P_MAX = 4


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Scrypt(_Strict):
    """Parameters of scrypt, bounded so that a hostile file cannot eat memory (128 MiB) or hours."""

    n: Annotated[int, Field(ge=N_WITHOUT, le=N_MAX)]
    r: Annotated[int, Field(ge=1, le=R_MAX)]
    p: Annotated[int, Field(ge=1, le=P_MAX)]
    salt: str

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.n & (self.n - 1):
            raise ValueError("n is not a power of two")
        if len(decode_base64(self.salt)) != 16:
            raise ValueError("the salt is not 16 bytes")
        return self

    def derive(self, passphrase: str) -> bytes:
        """The 32-byte key of the passphrase (UTF-8, as typed)."""
        return hashlib.scrypt(
            passphrase.encode("utf-8"),
            salt=decode_base64(self.salt),
            n=self.n,
            r=self.r,
            p=self.p,
            maxmem=256 * self.n * self.r + 2**20,
            dklen=32,
        )


class Sealed(_Strict):
    """The AES-256-GCM sealed seed: 12-byte nonce, 48 bytes of ciphertext and tag."""

    nonce: str
    ciphertext: str

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(decode_base64(self.nonce)) != 12 or len(decode_base64(self.ciphertext)) != SEED_LENGTH + 16:
            raise ValueError("the nonce is not 12 bytes or the ciphertext not 48")
        return self


class PrivateKeyFile(_Strict):
    """A private key file as it stands on disk."""

    format: Literal["mlb-offline/private-key/v1"]
    kind: Kind
    created: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
    demonstration: bool
    passphrase: bool
    scrypt: Scrypt
    sealed: Sealed

    def associated_data(self) -> bytes:
        """Canonical JSON of every field but ``sealed``."""
        return canonical_json(self.model_dump(exclude={"sealed"}))

    def unseal(self, passphrase: str | None, *, file: Path) -> bytes:
        """The 32-byte seed. A passphrase is not looked at where the file has none.

        Raises:
            TrustError: the file needs a passphrase, this is not the one, or the file was changed.
        """
        if self.passphrase and passphrase is None:
            raise TrustError(
                tr("该私钥受口令保护，未给出口令", "this private key has a passphrase, and none was given"),
                file=file,
                remedy=tr("用 --passphrase-file 给出口令文件", "name the file that holds it: --passphrase-file"),
            )
        key = self.scrypt.derive((passphrase or "") if self.passphrase else "")
        try:
            return AESGCM(key).decrypt(
                decode_base64(self.sealed.nonce),
                decode_base64(self.sealed.ciphertext),
                self.associated_data(),
            )
        except InvalidTag:
            raise TrustError(
                tr("口令错误，或私钥文件已被改动", "wrong passphrase, or the private key file was changed")
                if self.passphrase
                else tr("私钥文件已被改动", "the private key file was changed"),
                file=file,
                remedy=tr("核对口令，或从备份恢复该文件", "check the passphrase, or restore the file from a backup"),
            ) from None


def seal_seed(seed: bytes, kind: Kind, passphrase: str | None, *, demonstration: bool) -> PrivateKeyFile:
    """A new private key file's content, with a fresh salt and nonce."""
    n = N_WITHOUT if passphrase is None else N_WITH_PASSPHRASE
    nonce = os.urandom(12)
    unsealed = PrivateKeyFile(
        format=PRIVATE_FORMAT,
        kind=kind,
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        demonstration=demonstration,
        passphrase=passphrase is not None,
        scrypt=Scrypt(n=n, r=8, p=1, salt=encode_base64(os.urandom(16))),
        sealed=Sealed(nonce=encode_base64(nonce), ciphertext=encode_base64(bytes(SEED_LENGTH + 16))),
    )
    key = unsealed.scrypt.derive(passphrase or "")
    ciphertext = AESGCM(key).encrypt(nonce, seed, unsealed.associated_data())
    sealed = Sealed(nonce=encode_base64(nonce), ciphertext=encode_base64(ciphertext))
    return unsealed.model_copy(update={"sealed": sealed})


def is_private(raw: Any) -> bool:
    """Whether a JSON value claims to be a private key file."""
    return isinstance(raw, dict) and raw.get("format") == PRIVATE_FORMAT


def read_private(path: Path) -> PrivateKeyFile:
    """Read a private key file, without unsealing it.

    Raises:
        InputError: no such file, or no private key file.
        TrustError: others than its owner may read it.
    """
    raw, mode = read_json(path)
    if not is_private(raw):
        raise InputError(
            tr("不是私钥文件", "not a private key file"),
            file=path,
            remedy=tr("使用 keys new 写出的 *.key.json 文件", "use a *.key.json file that keys new wrote"),
        )
    require_private(path, mode, what=tr("私钥文件", "private key"))
    try:
        return PrivateKeyFile.model_validate(raw)
    except ValidationError as error:
        field, message = explain(error)
        raise InputError(
            tr(f"私钥文件无效：{message}", f"not a valid private key file: {message}"),
            file=path,
            field=field,
            remedy=tr("从备份恢复该文件", "restore the file from a backup"),
        ) from None
