"""What is in an image, and its bill of materials (CycloneDX 1.6, JSON).

Read from the image's own files: Debian packages from dpkg's status, Python packages from their METADATA, and the
llama.cpp libraries inside llama-cpp-python's wheel by their names. Nothing is asked of the network.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from email.parser import HeaderParser
from typing import IO
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

_STATUS = "var/lib/dpkg/status"
_METADATA = re.compile(r"opt/mlb-offline/venv/lib/python3[^/]*/site-packages/[^/]+\.dist-info/METADATA")
_NATIVE = re.compile(r".*/llama_cpp/lib/(lib(?:llama|ggml)[^/]*\.so)")
_MANIFEST = "opt/mlb-offline/MANIFEST.sha256"
_DATA = re.compile(r"opt/mlb-offline/(?:models|bundles)/.+\.(?:gguf|onnx|mlbb)")


@dataclass
class Inventory:
    """What was found in the files of an image.

    Attributes:
        debian, python: packages as (name, version, licence or "").
        native: library → SHA-256 (hex).
        data: lines of sha256sum for models and bundles.
        manifest_sha256: of the manifest that was built into the image.
        size: bytes of all files.
    """

    debian: list[tuple[str, str, str]] = field(default_factory=list)
    python: list[tuple[str, str, str]] = field(default_factory=list)
    native: dict[str, str] = field(default_factory=dict)
    data: list[str] = field(default_factory=list)
    manifest_sha256: str = ""
    size: int = 0

    def take(self, name: str, size: int, content: IO[bytes] | None) -> None:
        """Look at one file."""
        self.size += size
        if content is None:
            return
        if name == _STATUS:
            self.debian = _debian(content.read().decode())
        elif _METADATA.fullmatch(name):
            headers = HeaderParser().parsestr(content.read().decode())
            licence = headers["License-Expression"] or headers["License"] or ""
            self.python.append((headers["Name"], headers["Version"], licence.splitlines()[0] if licence else ""))
        elif found := _NATIVE.fullmatch(name):
            self.native[found[1]] = hashlib.sha256(content.read()).hexdigest()
        elif name == _MANIFEST:
            self.manifest_sha256 = hashlib.sha256(content.read()).hexdigest()
        elif _DATA.fullmatch(name):
            self.data.append(f"{hashlib.file_digest(content, 'sha256').hexdigest()}  /{name}\n")  # type: ignore[arg-type]


def _debian(status: str) -> list[tuple[str, str, str]]:
    packages = (HeaderParser().parsestr(part) for part in status.split("\n\n") if part.strip())
    return [(one["Package"], one["Version"], "") for one in packages if one["Status"].endswith(" installed")]


def make_sbom(inventory: Inventory, *, version: str, arch: str, made: datetime) -> str:
    """The bill as text; checked against the schema of the standard.

    Raises:
        ValueError: it is not valid, or a kind of component is missing altogether.
    """
    if not (inventory.debian and inventory.python and inventory.native and inventory.manifest_sha256):
        raise ValueError("the image lacks Debian or Python packages, llama.cpp or its manifest")
    image = Component(name="mlb-offline", version=version, type=ComponentType.CONTAINER, bom_ref="mlb-offline")
    image.hashes.add(HashType(alg=HashAlgorithm.SHA_256, content=inventory.manifest_sha256))
    image.properties.add(Property(name="hash of", value="MANIFEST.sha256, which lists every file of the image"))
    components = [
        *(_component(*one, PackageURL("deb", "debian", one[0], one[1], {"arch": arch})) for one in inventory.debian),
        *(_component(*one, PackageURL("pypi", None, one[0].lower(), one[1])) for one in inventory.python),
    ]
    engine = next(one for one in inventory.python if one[0].replace("-", "_") == "llama_cpp_python")
    for name, digest in inventory.native.items():
        library = Component(
            name=name, version=f"in llama-cpp-python {engine[1]}", type=ComponentType.LIBRARY, bom_ref=name
        )
        library.hashes.add(HashType(alg=HashAlgorithm.SHA_256, content=digest))
        library.licenses.add(DisjunctiveLicense(id="MIT"))
        components.append(library)
    bom = Bom(components=components, serial_number=uuid5(NAMESPACE_URL, f"mlb-offline/{inventory.manifest_sha256}"))
    bom.metadata.component = image
    bom.metadata.timestamp = made
    bom.register_dependency(image, components)
    text: str = JsonV1Dot6(bom).output_as_string(indent=1)
    fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if fault is not None:
        raise ValueError(f"the SBOM is not valid: {fault}")
    return json.dumps(json.loads(text), ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def _component(name: str, version: str, licence: str, purl: PackageURL) -> Component:
    component = Component(
        name=name, version=version, type=ComponentType.LIBRARY, purl=purl, bom_ref=f"{purl.type}:{name}@{version}"
    )
    if licence:
        component.licenses.add(DisjunctiveLicense(name=licence[:200]))
    return component
