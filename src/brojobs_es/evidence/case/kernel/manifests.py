"""What a bag says it holds (BagIt, RFC 8493) and the signature over that; a file that is not listed is refused."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping

from brojobs_es.evidence.case.kernel.container import Bag, is_plain_path
from brojobs_es.evidence.case.kernel.notes import VerifyKey, read_note, signature_of
from brojobs_es.evidence.case.kernel.problems import Failed, Malformed

BAGIT = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
MANIFEST = "manifest-sha256.txt"
TAG_MANIFEST = "tagmanifest-sha256.txt"
SEAL = "manifest.sig"
PAYLOAD = "data/"
LISTED_TAGS = ("bag-info.txt", "bagit.txt", MANIFEST, "verify.py")
_UNLISTED_TAGS = (SEAL, TAG_MANIFEST)
_SEAL_TITLE = "brojobs case file 1"
_MANIFEST_LINE = re.compile(r"([0-9a-f]{64})  (\S+)")


def manifest_text(sums: Mapping[str, str]) -> bytes:
    """A manifest of these SHA-256 sums by path."""
    return "".join(f"{sums[path]}  {path}\n" for path in sorted(sums)).encode()


def seal_text(order_id: str, tag_manifest: bytes) -> str:
    """What the deployment signs for a case file, as the text of a signed note."""
    digest = base64.b64encode(hashlib.sha256(tag_manifest).digest()).decode()
    return f"{_SEAL_TITLE}\n{order_id}\n{digest}\n"


def check_listing(bag: Bag) -> None:
    """Every file is listed with the sum that it has, and nothing else is there."""
    for name in (*LISTED_TAGS, *_UNLISTED_TAGS):
        if name not in bag.members:
            raise Malformed(f"{name} manque", f"{name} is missing")
    if bag.read("bagit.txt", 1000) != BAGIT:
        raise Malformed("bagit.txt n’est pas celui d’un dossier", "bagit.txt is not that of a case file")
    tags = [name for name in bag.members if not name.startswith(PAYLOAD)]
    _check_manifest(bag, TAG_MANIFEST, [name for name in tags if name not in _UNLISTED_TAGS])
    _check_manifest(bag, MANIFEST, [name for name in bag.members if name.startswith(PAYLOAD)])


def _check_manifest(bag: Bag, manifest: str, there: Iterable[str]) -> None:
    found = bag.read(manifest)
    sums = {}
    for line in found.decode("latin-1").split("\n")[:-1]:
        parts = _MANIFEST_LINE.fullmatch(line)
        if parts is None or not is_plain_path(parts[2]):
            raise Malformed(f"une ligne de {manifest} ne se lit pas", f"a line of {manifest} cannot be read")
        sums[parts[2]] = parts[1]
    for path, listed in sums.items():
        if path not in bag.members:
            raise Failed(f"{path} manque, {manifest} le cite", f"{path} is missing, {manifest} lists it")
        if bag.members[path].sha256 != listed:
            raise Failed(f"{path} n’est pas tel que {manifest} le dit", f"{path} is not what {manifest} says")
    for path in there:
        if path not in sums:
            raise Failed(f"{path} est de trop : {manifest} ne le cite pas", f"{path} is not listed in {manifest}")
    if manifest_text(sums) != found:
        raise Malformed(f"{manifest} n’est pas canonique", f"{manifest} is not canonical")


def check_seal(bag: Bag, order_id: str, key: VerifyKey) -> str:
    """The signature over the list of files is this key's; the name it signs with."""
    note = read_note(bag.read(SEAL, 10_000))
    if note.text.decode() != seal_text(order_id, bag.read(TAG_MANIFEST)):
        raise Failed(f"{SEAL} ne signe pas ces fichiers", f"{SEAL} does not sign these files")
    line = signature_of(note, key)
    if line is None or len(note.signatures) != 1:
        raise Failed(f"{SEAL} n’est pas signé par la clé attendue", f"{SEAL} is not signed by the expected key")
    return line.name
