"""All that a case file must show, in order; each stage that can still be judged is, and the first finding counts."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from brojobs_es.evidence.case.kernel.container import Bag, open_bag
from brojobs_es.evidence.case.kernel.events import Chain, check_events
from brojobs_es.evidence.case.kernel.manifests import check_listing, check_seal
from brojobs_es.evidence.case.kernel.notes import (
    Checkpoint,
    VerifyKey,
    read_checkpoint,
    read_key,
    signature_of,
    unbase64,
)
from brojobs_es.evidence.case.kernel.problems import VERIFIED, Failed, Malformed, PolicyNotMet, Problem
from brojobs_es.evidence.case.kernel.stamps import read_stamped
from brojobs_es.evidence.case.kernel.tree import extends, includes, leaf_hash
from brojobs_es.evidence.case.kernel.words import check_words

CHECKPOINT, PROOFS, KEYS, FILES = "data/checkpoint.txt", "data/proofs.json", "data/keys.txt", "data/files.json"
FORMAT = "brojobs case 1"
CheckStamp = Callable[[bytes, bytes], None]
"""From an authority's answer and the note that it is of; raises Failed unless an accepted authority signed it."""
_FILE_FOLDER = "data/files/"

T = TypeVar("T")


@dataclass(frozen=True)
class Trust:
    """What the reader brings along: the deployment's key, a checkpoint seen elsewhere, witnesses that must have signed.

    `consistency` are the bytes of a proof `{from, to, hashes}` between the two checkpoints, where their sizes differ.
    With `needs_key` the key in the file will not do; with `check_stamp` there must be a time stamp that passes it.
    """

    key: VerifyKey | None = None
    needs_key: bool = False
    check_stamp: CheckStamp | None = None
    checkpoint: bytes | None = None
    consistency: bytes | None = None
    witnesses: tuple[VerifyKey, ...] = ()


@dataclass(frozen=True)
class Proofs:
    """Where the order's last event lies in the log, and the chain's head after each event."""

    log: int
    order_id: str
    index: int
    size: int
    hashes: tuple[bytes, ...]
    heads: tuple[bytes, ...]


@dataclass
class Report:
    """What was found: nothing wrong, or what; and what the file says about itself."""

    findings: list[Problem] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """That of the first finding; what is wrong comes before what is only not enough."""
        wrong = (finding for finding in self.findings if not isinstance(finding, PolicyNotMet))
        first = next(wrong, self.findings[0] if self.findings else None)
        return first.exit_code if first is not None else VERIFIED

    def attempt(self, step: Callable[..., T], *args: Any) -> T | None:
        """Do one stage; what is wrong becomes a finding."""
        try:
            return step(*args)
        except Problem as problem:
            self.findings.append(problem)
            return None


def verify(path: str, trust: Trust) -> Report:
    """Check a case file against itself and against what the reader brings along."""
    report = Report()
    bag = report.attempt(open_bag, path)
    if bag is None:
        return report
    report.attempt(check_listing, bag)
    keys = report.attempt(_keys, bag)
    key = trust.key or (keys[0] if keys else None)
    proofs = report.attempt(_proofs, bag)
    checkpoint = report.attempt(_checkpoint, bag)
    chain = report.attempt(check_events, bag, proofs.heads) if proofs else None
    if proofs and chain:
        report.attempt(check_words, bag, chain, report.facts)
        report.attempt(_check_files, bag, chain, report.facts)
        report.attempt(_check_folder, bag, chain)
    if proofs and chain and checkpoint:
        report.attempt(_check_inclusion, proofs, chain, checkpoint)
    if checkpoint and key:
        report.attempt(_check_signature, checkpoint, key)
    if proofs and key:
        report.attempt(check_seal, bag, proofs.order_id, key)
    if proofs and chain and checkpoint and key:
        report.attempt(_check_stamp, bag, proofs, chain, checkpoint, key, trust, report.facts)
    if checkpoint:
        report.attempt(_check_policy, checkpoint, trust)
    if key:
        report.attempt(_check_anchor, key, trust)
    if key and chain and checkpoint:
        report.attempt(_note_facts, report.facts, key, keys or [], trust, chain, checkpoint)
    return report


def _note_facts(
    facts: dict[str, Any], key: VerifyKey, keys: Sequence[VerifyKey], trust: Trust, chain: Chain, checkpoint: Checkpoint
) -> None:
    known = (*trust.witnesses, *keys[1:])
    lines = (signature_of(checkpoint.note, witness) for witness in known)
    facts.update(
        order_id=chain.order_id, log=chain.log, events=chain.count, position=chain.position, head=chain.head.hex(),
        origin=checkpoint.origin, size=checkpoint.size, root=checkpoint.root.hex(), key_sha256=key.fingerprint(),
        anchored=trust.key is not None, cosigned_by=sorted({line.name for line in lines if line}),
    )  # fmt: skip


def _object(bag: Bag, path: str) -> dict[str, Any]:
    try:
        value = json.loads(bag.read(path))
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Malformed(f"{path} n’est pas un objet JSON", f"{path} is not a JSON object")
    return value


def _keys(bag: Bag) -> list[VerifyKey]:
    """The keys that the file names: the deployment's, then those of witnesses."""
    keys = [read_key(line) for line in bag.lines(KEYS, 1000)]
    if not keys:
        raise Malformed(f"{KEYS} ne nomme aucune clé", f"{KEYS} names no key")
    return keys


def _checkpoint(bag: Bag) -> Checkpoint:
    return read_checkpoint(bag.read(CHECKPOINT))


def _hash(text: Any) -> bytes:
    raw = unbase64(text) if isinstance(text, str) else b""
    if len(raw) != 32:
        raise Malformed("une empreinte n’a pas 32 octets", "a hash does not have 32 bytes")
    return raw


def _proofs(bag: Bag) -> Proofs:
    value = _object(bag, PROOFS)
    wrong = Malformed(f"{PROOFS} ne se lit pas", f"{PROOFS} cannot be read")
    try:
        if value["format"] != FORMAT:
            raise Malformed(
                "le dossier est d’un format que ce vérificateur ne connaît pas",
                "the case file is of a format that this verifier does not know",
            )
        last, heads = value["inclusion"], tuple(_hash(head) for head in value["heads"])
        hashes = tuple(_hash(each) for each in last["hashes"])
        made = Proofs(value["log"], value["order_id"], last["index"], last["size"], hashes, heads)
    except (KeyError, TypeError):
        raise wrong from None
    if not all(type(each) is int for each in (made.log, made.index, made.size)) or not isinstance(made.order_id, str):
        raise wrong
    return made


def _check_inclusion(proofs: Proofs, chain: Chain, checkpoint: Checkpoint) -> None:
    if (proofs.order_id, proofs.log) != (chain.order_id, chain.log):
        raise Failed("les preuves sont d’une autre commande", "the proofs are of another order")
    if proofs.size != checkpoint.size or not proofs.index < chain.position:
        raise Failed("les preuves ne vont pas avec le point de contrôle", "the proofs do not fit the checkpoint")
    if not includes(checkpoint.root, checkpoint.size, proofs.index, leaf_hash(chain.head), proofs.hashes):
        raise Failed(
            f"le dernier événement (position {chain.position}) n’est pas dans le journal signé",
            f"the last event (position {chain.position}) is not in the signed log",
        )


def _check_folder(bag: Bag, chain: Chain) -> None:
    if bag.folder is not None and bag.folder != f"case-{chain.order_id}":
        raise Failed(
            f"le dossier {bag.folder} n’est pas celui de la commande", f"the folder {bag.folder} is not the order's"
        )


def _check_signature(checkpoint: Checkpoint, key: VerifyKey) -> None:
    if signature_of(checkpoint.note, key) is None:
        raise Failed(
            "le point de contrôle n’est pas signé par la clé attendue",
            "the checkpoint is not signed by the expected key",
        )


def _check_files(bag: Bag, chain: Chain, facts: dict[str, Any]) -> None:
    """Each file is what its name says, of the size that the events say; each one named is there or said to be gone."""
    try:
        listed = {each["file_id"]: (each["size"], each["included"]) for each in _object(bag, FILES)["files"]}
    except (KeyError, TypeError):
        raise Malformed(f"{FILES} ne se lit pas", f"{FILES} cannot be read") from None
    for file_id, size in chain.files.items():
        if file_id not in listed or listed[file_id][0] != size:
            raise Failed(
                f"le fichier {file_id} des événements manque dans {FILES}",
                f"the file {file_id} of the events is missing in {FILES}",
            )
    there = {path[len(_FILE_FOLDER) :]: member for path, member in bag.members.items() if path.startswith(_FILE_FOLDER)}
    included = {file_id for file_id, (_, has) in listed.items() if has is True}
    for file_id in sorted(included ^ set(there)):
        raise Failed(
            f"{_FILE_FOLDER}{file_id} : présent ou cité à tort", f"{_FILE_FOLDER}{file_id}: there or listed wrongly"
        )
    for file_id, member in there.items():
        if member.sha256 != file_id or member.size != listed[file_id][0]:
            raise Failed(f"{_FILE_FOLDER}{file_id} a un autre contenu", f"{_FILE_FOLDER}{file_id} has another content")
    facts["files"], facts["files_absent"] = len(included), sorted(set(listed) - included)


def _check_stamp(
    bag: Bag, proofs: Proofs, chain: Chain, checkpoint: Checkpoint, key: VerifyKey, trust: Trust, facts: dict[str, Any]
) -> None:
    """The stamped checkpoint is of this log and holds the order's last event."""
    facts["stamp"] = None
    stamped = read_stamped(bag)
    if stamped is None:
        if trust.check_stamp is not None:
            raise PolicyNotMet("le dossier n’a pas d’horodatage", "the case file has no time stamp")
        return
    theirs = stamped.checkpoint
    _check_signature(theirs, key)
    same = theirs.origin == checkpoint.origin and stamped.index == proofs.index
    if not same or not includes(theirs.root, theirs.size, stamped.index, leaf_hash(chain.head), stamped.hashes):
        raise Failed(
            "l’état horodaté du journal ne contient pas le dernier événement",
            "the stamped state of the log does not hold the last event",
        )
    if trust.check_stamp is not None:
        trust.check_stamp(stamped.response, stamped.note)
    checked = trust.check_stamp is not None
    facts["stamp"] = {"size": theirs.size, "claimed_at": stamped.claimed_at, "signature_checked": checked}


def _check_anchor(key: VerifyKey, trust: Trust) -> None:
    if trust.key is None and trust.needs_key:
        raise PolicyNotMet(
            f"aucune clé n’a été donnée, et celle du dossier ne prouve pas d’où il vient : comparez son empreinte "
            f"SHA-256 {key.fingerprint()} à celle que publie le service et donnez --key, ou acceptez-la par --unanchored",
            f"no key was given, and the one in the file does not prove where it comes from: compare its fingerprint "
            f"SHA-256 {key.fingerprint()} with the one that the service publishes and give --key, or accept it with "
            "--unanchored",
        )


def _check_policy(checkpoint: Checkpoint, trust: Trust) -> None:
    for witness in trust.witnesses:
        if signature_of(checkpoint.note, witness) is None:
            raise PolicyNotMet(
                f"le témoin {witness.name or witness.fingerprint()} n’a pas signé le point de contrôle",
                f"the witness {witness.name or witness.fingerprint()} has not signed the checkpoint",
            )
    if trust.checkpoint is not None:
        _compare(checkpoint, read_checkpoint(trust.checkpoint), trust)


def _compare(mine: Checkpoint, theirs: Checkpoint, trust: Trust) -> None:
    """The two checkpoints are of one log: equal, or the larger starts with the smaller."""
    if trust.key is not None:
        _check_signature(theirs, trust.key)
    if mine.origin != theirs.origin:
        raise Failed(
            f"le point de contrôle donné est d’un autre journal ({theirs.origin})",
            f"the given checkpoint is of another log ({theirs.origin})",
        )
    old, new = (mine, theirs) if mine.size <= theirs.size else (theirs, mine)
    hashes: tuple[bytes, ...] = ()
    if old.size != new.size:
        if trust.consistency is None:
            raise PolicyNotMet(
                f"il faut la preuve de cohérence de {old.size} à {new.size} pour comparer les points de contrôle",
                f"comparing the checkpoints takes the consistency proof from {old.size} to {new.size}",
            )
        hashes = _consistency(trust.consistency, old.size, new.size)
    if not extends(old.size, old.root, new.size, new.root, hashes):
        raise Failed(
            "les deux points de contrôle se contredisent : le journal a été réécrit",
            "the two checkpoints contradict each other: the log was rewritten",
        )


def _consistency(data: bytes, old_size: int, size: int) -> tuple[bytes, ...]:
    try:
        value = json.loads(data)
        if (value["from"], value["to"]) != (old_size, size):
            raise PolicyNotMet(
                f"la preuve de cohérence n’est pas de {old_size} à {size}",
                f"the consistency proof is not from {old_size} to {size}",
            )
        return tuple(_hash(each) for each in value["hashes"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Malformed("la preuve de cohérence ne se lit pas", "the consistency proof cannot be read") from None
