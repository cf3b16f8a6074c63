"""The signed list of judge models: ``MANIFEST.json`` and ``MANIFEST.json.sig`` beside the model files.

1. ``MANIFEST.json`` has one spelling: UTF-8 JSON, indented by 2, keys sorted, none left out, a newline at the end.
2. ``MANIFEST.json.sig`` is a DSSE envelope (``trust.dsse``) over exactly those bytes, of the type ``PAYLOAD_TYPE``.
3. Nothing of the list is read before a trusted publisher's signature over it has been checked.
4. A model file is known by its name or its content: under a listed name nothing but the listed content will do.
5. A file that is not listed is used only where it is installed (``installed``) or the operator accepts it, and its
   record says so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NoReturn, Self

import pydantic
from pydantic import ConfigDict, Field, JsonValue, PrivateAttr, StringConstraints

from mlb_offline.bundle.manifest import Digest, Positive, Text, Time
from mlb_offline.configuration import explain
from mlb_offline.errors import InputError, NotEvaluableError, TrustError
from mlb_offline.judge.annotation import Family
from mlb_offline.judge.installed import InstalledJudge
from mlb_offline.judge.lexicon import embedded_sha256
from mlb_offline.judge.prompt import shipped_prompt
from mlb_offline.judge.rendering import VERSION
from mlb_offline.language import tr
from mlb_offline.regular_file import measured, read_at_most
from mlb_offline.trust.dsse import Signer, open_envelope, sign_envelope
from mlb_offline.trust.files import create
from mlb_offline.trust.signing import VerifyKey
from mlb_offline.trust.store import TrustSet, load_public_key

NAME: Final = "MANIFEST.json"
SUFFIX: Final = ".sig"
PAYLOAD_TYPE: Final = "application/vnd.mlb-offline.judges+json"
PUBLISHER = "publisher.pem"
"""Package data: the public key of whoever published the models that belong to this version of the package."""

_LARGEST = 1 << 20
_LARGEST_ENVELOPE = 2 << 20  # base64 of the list, and its signatures

FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,199}$")]
Rate = Annotated[float, Field(ge=0, le=1)]


class _Strict(pydantic.BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Prompt(_Strict):
    """The wording with which the judge was trained and must be asked; SHA-256 of its text."""

    name: Text
    version: Positive
    sha256: Digest


class Calibration(_Strict):
    """Platt's correction: the probability of 是 is sigmoid(scale × logit + shift), logit being its log-odds."""

    scale: Annotated[float, Field(gt=0)]
    shift: float


class TrainingData(_Strict):
    """Data that made the judge: its name, its licence and what it was used for."""

    name: Text
    licence: Text
    use: Text


class Figures(_Strict):
    """Agreement with the labels of one set: n criteria; null where a figure is not defined, as AUC of one class."""

    n: Positive
    accuracy: Rate
    f1: Rate | None
    kappa: Annotated[float, Field(ge=-1, le=1)] | None
    auc: Rate | None


class Judge(_Strict):
    """One judge model.

    ``role`` is its place in the panel and ``file`` the name of its file, in the list's folder, ``size`` bytes long;
    ``parameters`` is their number, ``calibration`` goes by family of criteria, ``figures`` by name of the labelled set;
    ``config``, ``seed``, ``trained_on`` (the machine, in words) and ``tool_version`` (of this package) say how it was
    made, and ``limits``, in sentences, what it must not be relied on for.
    """

    name: Text
    role: Literal["A", "B"]
    file: FileName
    format: Literal["gguf", "onnx"]
    size: Positive
    sha256: Digest
    architecture: Text
    quantisation: Text
    parameters: Positive
    prompt: Prompt
    calibration: Annotated[dict[Family, Calibration], Field(min_length=1)]
    data: Annotated[list[TrainingData], Field(min_length=1, max_length=100)]
    config: dict[str, JsonValue]
    seed: Annotated[int, Field(ge=0, le=2**53 - 1)]
    trained_on: Text
    tool_version: Text
    figures: Annotated[dict[Text, Figures], Field(min_length=1)]
    limits: Annotated[list[Text], Field(min_length=1, max_length=100)]


class OtherFile(_Strict):
    """A file that judges need beside their models, such as a lexicon; size in bytes."""

    name: FileName
    size: Positive
    sha256: Digest


class Manifest(_Strict):
    """The list: judges and the other files that they need. ``created`` is RFC 3339 in UTC to the second."""

    format: Literal["mlb-offline/judges/v1"]
    created: Time
    judges: Annotated[list[Judge], Field(min_length=1, max_length=100)]
    files: Annotated[list[OtherFile], Field(max_length=100)] = Field(default_factory=list)

    _publishers: tuple[VerifyKey, ...] = PrivateAttr(default=())

    @pydantic.model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [judge.name for judge in self.judges]
        files = [judge.file for judge in self.judges] + [file.name for file in self.files]
        twice = sorted({name for group in (names, files) for name in group if group.count(name) > 1})
        if twice:
            raise ValueError(tr(f"重复的名称：{', '.join(twice)}", f"listed twice: {', '.join(twice)}"))
        return self

    @property
    def publishers(self) -> tuple[VerifyKey, ...]:
        """The trusted keys that signed it; none where it was not opened by ``open_manifest``."""
        return self._publishers

    @property
    def sha256(self) -> str:
        """SHA-256 of ``to_bytes``, 64 hex digits."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def to_bytes(self) -> bytes:
        """The one spelling of it."""
        text = json.dumps(self.model_dump(mode="json"), ensure_ascii=False, indent=2, sort_keys=True)
        return text.encode("utf-8") + b"\n"


@dataclass(frozen=True)
class JudgeRecord:
    """A model file as it was found, for reports.

    Attributes:
        file: its name, without its folder.
        sha256: of its content, 64 hex digits.
        size: in bytes.
        judge: its entry in the list; None: it is not listed.
        installed: what was recorded when it was installed here; None: it is listed, or the operator accepted it.
    """

    file: str
    sha256: str
    size: int
    judge: Judge | None
    installed: InstalledJudge | None = None

    @property
    def listed(self) -> bool:
        """Whether a trusted publisher vouches for it."""
        return self.judge is not None

    @property
    def accepted(self) -> bool:
        """Whether it is used on nothing but the operator's word, this time."""
        return not self.listed and self.installed is None

    @property
    def reasons(self) -> bool:
        """Whether it writes its reasons before its verdict: an installed judge may."""
        return self.installed is not None and self.installed.reasons

    @property
    def name(self) -> str:
        """That of the list, or under which it was installed, or of the file."""
        known = self.judge or self.installed
        return self.file if known is None else known.name

    def to_json(self) -> dict[str, Any]:
        """``{file, sha256, size, listed, accepted}``; with ``{name, role}`` where it is listed, with ``{name,
        installed}`` where it is installed, the last as ``InstalledJudge.to_json`` gives it."""
        found = {
            "file": self.file,
            "sha256": self.sha256,
            "size": self.size,
            "listed": self.listed,
            "accepted": self.accepted,
        }
        if self.judge is not None:
            return found | {"name": self.judge.name, "role": self.judge.role}
        if self.installed is not None:
            return found | {"name": self.installed.name, "installed": self.installed.to_json()}
        return found


def write_manifest(path: Path, manifest: Manifest, signers: Sequence[Signer]) -> None:
    """Write the list and, beside it, its signature; never over existing files.

    Raises:
        InputError: a file exists or cannot be written.
    """
    body = manifest.to_bytes()
    create(path, body, mode=0o644)
    create(signature_of(path), sign_envelope(PAYLOAD_TYPE, body, signers), mode=0o644)


def signature_of(path: Path) -> Path:
    """Where the signature of a list stands."""
    return path.with_name(path.name + SUFFIX)


def embedded_publisher() -> VerifyKey:
    """The publisher of the models that belong to this version of the package.

    Raises:
        TrustError: the package has no such key.
    """
    resource = resources.files("mlb_offline.judge").joinpath(PUBLISHER)
    if not resource.is_file():
        raise TrustError(
            tr("本程序未内置裁判模型发布者的公钥", "this program comes with no public key of a publisher of judges"),
            file=PUBLISHER,
            remedy=tr(
                "用 --trust 给出发布者公钥（指纹须经可靠途径核对）",
                "name the publisher's public key with --trust, after comparing its fingerprint by a reliable way",
            ),
        )
    with resources.as_file(resource) as path:
        return load_public_key(path)


def open_manifest(folder: Path, trusted: TrustSet | None = None) -> Manifest:
    """Check the signature of a folder's list, and read it. The files that it lists are not looked at.

    Args:
        folder: holds ``MANIFEST.json`` and ``MANIFEST.json.sig``.
        trusted: keys of publishers; None: the one in the package.

    Raises:
        NotEvaluableError: there is no list.
        InputError: a file cannot be read, or the list, though signed, is not what it must be; names the field.
        TrustError: the list is not signed, not by a trusted publisher, or not with these bytes.
    """
    path = folder / NAME
    body = _read(path, _LARGEST)
    if body is None:
        raise NotEvaluableError(
            tr("没有裁判模型清单，无法进行裁判评分", "there is no list of judge models: nothing can be judged"),
            file=path,
            remedy=tr(
                "裁判模型应在 MLB_DATA/models 中（judge 命令可用 --models 另行指定）",
                "the judge models belong into MLB_DATA/models (judge commands take --models)",
            ),
        )
    envelope = _read(signature_of(path), _LARGEST_ENVELOPE)
    if envelope is None:
        raise _distrusted(
            signature_of(path), "裁判模型清单没有签名文件", "the list of judge models has no signature file"
        )
    keys = (trusted or TrustSet((embedded_publisher(),))).of("publisher")
    signed, publishers = open_envelope(envelope, PAYLOAD_TYPE, keys, file=signature_of(path))
    if signed != body:
        raise _distrusted(path, "清单内容与所签内容不同", "the list is not the one that was signed")
    manifest = parse_manifest(body, file=path)
    manifest._publishers = publishers
    return manifest


def parse_manifest(data: bytes, *, file: Path) -> Manifest:
    """Read a list, with **nothing** verified.

    Raises:
        InputError: not UTF-8, not JSON, not in its one spelling, or a field is missing, unknown or wrong.
    """
    try:
        manifest = Manifest.model_validate(json.loads(data.decode("utf-8"), parse_constant=_no_number))
        same = manifest.to_bytes() == data
    except pydantic.ValidationError as error:
        field, message = explain(error)
        raise _malformed(file, message, message, field=field) from None
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", None)
        raise _malformed(file, f"不是 JSON：{error}", f"not JSON: {error}", line=line) from None
    # What two readers could read differently, such as a key that stands twice, has no place in what is signed.
    if not same:
        raise _malformed(
            file,
            "写法不符（缩进、键的顺序）",
            "not spelled by the rules (indent, order of keys)",
        )
    return manifest


def check_judge(
    file: Path,
    manifest: Manifest,
    *,
    accept_unlisted: bool = False,
    installed: Mapping[str, InstalledJudge] | None = None,
) -> JudgeRecord:
    """Hash a model file (the one that a link leads to) and find it in the list, or among those installed.

    Args:
        file: the model file.
        manifest: as ``open_manifest`` gave it.
        accept_unlisted: whether a file that is not listed may be used; one that bears a listed name never may.
        installed: judges that may be used without being listed, by SHA-256, as ``installed.known_judges`` gives them.

    Raises:
        InputError: it cannot be read or is no regular file.
        TrustError: it bears a listed name but has other content, is not listed and not accepted, or was trained on
            other evidence than this program would show it.
    """
    sha256, size = measured_model(file)
    judge = next((one for one in manifest.judges if one.file == file.name), None)
    if judge is not None:
        _require(file, judge, sha256, size)
    else:
        judge = next((one for one in manifest.judges if one.sha256 == sha256), None)
    known = None if judge is not None else (installed or {}).get(sha256)
    if judge is not None:
        _require_same_shown(judge, file)
    elif known is None and not accept_unlisted:
        raise TrustError(
            tr(f"裁判模型不在签名清单中（SHA-256 {sha256}）", f"the judge model is not listed (SHA-256 {sha256})"),
            file=file,
            remedy=tr(
                "自己的模型先用 judge install 安装；或加 --accept-unlisted，报告会写明",
                "a model of your own: judge install it first; or add --accept-unlisted, and the report will say so",
            ),
        )
    return JudgeRecord(file.name, sha256, size, judge, known)


def check_file(path: Path, entry: OtherFile) -> None:
    """Check another file that judges need.

    Raises:
        InputError: it cannot be read or is no regular file.
        TrustError: it is not the listed one.
    """
    _require(path, entry, *measured_model(path))


def _no_number(text: str) -> NoReturn:
    raise ValueError(text)


def _read(path: Path, limit: int) -> bytes | None:
    """The bytes of a file, None where there is none."""
    try:
        data = read_at_most(path, limit)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(path, error) from None
    if len(data) > limit:
        raise _malformed(path, f"超过 {limit >> 20} MiB", f"larger than {limit >> 20} MiB")
    return data


def measured_model(path: Path) -> tuple[str, int]:
    """As ``measured``, its faults told."""
    try:
        return measured(path)
    except OSError as error:
        raise _unreadable(path, error) from None


def _require(path: Path, entry: Judge | OtherFile, sha256: str, size: int) -> None:
    same_size = size == entry.size
    field, found, listed = ("sha256", sha256, entry.sha256) if same_size else ("size", size, entry.size)
    if found != listed:
        raise TrustError(
            tr(f"与签名清单不符：{found}，清单为 {listed}", f"not the listed file: {found}, the list says {listed}"),
            file=path,
            field=field,
            remedy=tr(
                "从介质重新复制该文件；自己的模型请另取文件名",
                "copy the file from its medium again; give a model of your own a name of its own",
            ),
        )


def _require_same_shown(judge: Judge, file: Path) -> None:
    """A judge is shown what it was trained on: the same evidence by the same lexicon, or one prompt; otherwise the
    list's figures would not hold. One that is asked in another way than ours is left alone."""
    told = (judge.prompt.name, judge.prompt.sha256)
    large = shipped_prompt()
    shown = {VERSION.split("/")[0]: (VERSION, embedded_sha256()), "large": (large.version, large.sha256)}
    own = shown.get(judge.prompt.name.split("/")[0], told)
    if told != own:
        raise TrustError(
            tr(
                f"它按另一版证据、词表或提示词训练（{told[0]} {told[1][:12]}…，本程序为 {own[0]} {own[1][:12]}…）",
                f"it was trained on another version of evidence, lexicon or prompt ({told[0]} {told[1][:12]}…, this"
                f" program has {own[0]} {own[1][:12]}…)",
            ),
            file=file,
            field="prompt",
            remedy=tr("使用与本程序同一版本的裁判模型", "use the judge models that belong to this version"),
        )


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(
        tr(f"无法读取：{error.strerror}", f"cannot be read: {error.strerror}"),
        file=path,
        remedy=tr("核对路径与权限", "check the path and the permissions"),
    )


def _malformed(path: Path, zh: str, en: str, *, line: int | None = None, field: str | None = None) -> InputError:
    return InputError(
        tr(f"裁判模型清单无效：{zh}", f"not a valid list of judge models: {en}"),
        file=path,
        line=line,
        field=field,
        remedy=tr("请发布者重新制作清单", "ask the publisher to make the list again"),
    )


def _distrusted(path: Path, zh: str, en: str) -> TrustError:
    return TrustError(
        tr(zh, en),
        file=path,
        remedy=tr("从介质重新复制清单及其签名", "copy the list and its signature from their medium again"),
    )
