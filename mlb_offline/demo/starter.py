"""The starter bundle: ``bundles/src/starter`` sealed for a demonstration recipient whose private key everybody has.

``python -m mlb_offline.demo.starter`` (``make starter``) seals it anew. Core and plaintext follow from the source and a
seed that is no secret here, so they are equal each time; content key, salt, encapsulations and the publisher's key are
fresh. The publisher's private half is thrown away: nothing else can ever be signed with the key that ``demo`` trusts.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from mlb_offline.bundle.build import build_bundle
from mlb_offline.bundle.manifest import Manifest
from mlb_offline.bundle.source import read_source
from mlb_offline.installation import data_folder
from mlb_offline.trust.keys import KeyKind, load_recipient_public, load_signing_key, new_key

BUNDLE = "mlb-starter.mlbb"
KEYS = "starter-keys"
"""Beside the bundle: the publisher's public key, and both halves of the recipient's."""
SOURCE = Path("src", "starter")
SEED = hashlib.sha256(b"mlb-offline starter bundle").digest()
"""Of the order of the items, the bundle's UUID and its canary: public, as the items are."""
PUBLISHER, RECIPIENT = "publisher.pub.pem", "hospital.recipient.json"


def seal(folder: Path) -> Manifest:
    """Seal the source under ``folder`` again; the recipient's key is kept where there is one.

    Raises:
        InputError: the source is not as docs/format.md says, or a file cannot be written.
    """
    keys, out = folder / KEYS, folder / BUNDLE
    if not (keys / RECIPIENT).exists():
        key, *_ = new_key(KeyKind.HOSPITAL, keys, None, demonstration=True)
        key.chmod(0o644)  # no secret: whoever runs an image may read it
    source = read_source(folder / SOURCE)
    recipient = load_recipient_public(keys / RECIPIENT)
    with tempfile.TemporaryDirectory() as private:
        new_key(KeyKind.PUBLISHER, Path(private), None, demonstration=True)
        signer = load_signing_key(Path(private, "publisher.key.json"), None, KeyKind.PUBLISHER)
        fresh = Path(private, BUNDLE)
        manifest = build_bundle(source, signer, [recipient], fresh, now=datetime.now(UTC), shuffle_seed=SEED)
        for made, place in ((Path(private, PUBLISHER), keys / PUBLISHER), (fresh, out)):
            beside = shutil.copyfile(made, place.with_name(f"{place.name}.partial"))
            beside.replace(place)
    return manifest


def take_keys(folder: Path, keys: Path, trust: Path) -> None:
    """Copy the recipient's private key (mode 0600, as it must be to be read) and the public keys for a demonstration.

    Args:
        folder: holds the starter bundle.
        keys, trust: folders for private and for public keys.
    """
    given = folder / KEYS
    private = keys / "hospital.key.json"
    keys.mkdir(exist_ok=True)
    private.touch(mode=0o600)
    private.write_bytes((given / private.name).read_bytes())
    for name in (PUBLISHER, RECIPIENT):
        shutil.copyfile(given / name, trust / name)


if __name__ == "__main__":
    made = seal(data_folder() / "bundles")
    sys.stdout.write(f"{BUNDLE}: {sum(entry.items for entry in made.core.datasets)} items\n")
