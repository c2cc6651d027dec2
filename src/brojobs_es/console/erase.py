"""`brojobs erase`: puts an erasure together for one deployment, and says in French or English what came of it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final

from brojobs_es import bootstrap
from brojobs_es.api.folder import FileStore
from brojobs_es.application.erasing import Erased, Erasing, NeverSealed, NothingToErase
from brojobs_es.errors import Refusal
from brojobs_es.language import Text, detail
from brojobs_es.settings import Settings
from brojobs_es.store.erasing import PostgresEraser
from brojobs_es.store.vault import CHECK_SECONDS

SETTLE_SECONDS: Final = CHECK_SECONDS + 25.0
"""Until every process has seen the erasure, and what it was storing with the old key stands in the log's queue or was given up.

It may have waited for its turn and for a connection (5 s each), and for both again where a connection was lost.
"""

_SAID: Final = {
    "question": Text(
        "Effacer pour toujours tout ce que {person} a écrit et déposé ?",
        "Erase for ever all that {person} wrote and uploaded?",
    ),
    "done": Text(
        "{person} : textes et fichiers effacés ; commandes concernées : {orders}, fichiers supprimés : {files}.",
        "{person}: words and files erased; orders concerned: {orders}, files removed: {files}.",
    ),
    "not_rewritten": Text(
        "Les octets de la clé détruite restent dans les fichiers de PostgreSQL jusqu’à VACUUM (FULL) vault.keys, "
        "que seul le propriétaire de la table peut lancer.",
        "The destroyed key's bytes stay in PostgreSQL's files until VACUUM (FULL) vault.keys, "
        "which only the table's owner can run.",
    ),
    "nothing": Text(
        "{person} : il n’y a rien à effacer, aucune clé n’existe.",
        "{person}: there is nothing to erase, no key exists.",
    ),
    "never_sealed": Text(
        "{person} : des textes ou fichiers datent d’avant le chiffrement et ne peuvent pas être effacés (commande {order}).",
        "{person}: words or files are older than their sealing and cannot be erased (order {order}).",
    ),
}


def question(person: str, lang: str) -> str:
    """What is asked before anything is destroyed."""
    return _SAID["question"].of(lang).format(person=person)


async def told(settings: Settings, url: str, person: str, reason: str, by: str, lang: str) -> tuple[str, int]:
    """Erase, and what to say of it with the exit code: 0 done, 1 refused or nothing to do."""
    try:
        erased, rewritten = await erase(settings, url, person, reason, by)
    except Refusal as refusal:
        facts = {"available_from": refusal.available_from} if refusal.available_from else {}
        return f"{refusal.code}: {detail(refusal.code, lang, **facts)}", 1
    except NothingToErase:
        return _SAID["nothing"].of(lang).format(person=person), 1
    except NeverSealed as error:
        return _SAID["never_sealed"].of(lang).format(person=person, order=error), 1
    done = _SAID["done"].of(lang).format(person=person, orders=erased.orders, files=erased.files)
    return (done if rewritten else f"{done}\n{_SAID['not_rewritten'].of(lang)}"), 0


async def erase(
    settings: Settings, url: str, person: str, reason: str, by: str, settle_seconds: float = SETTLE_SECONDS
) -> tuple[Erased, bool]:
    """What was erased, and whether the destroyed key has left the database's files as well.

    Raises what `Erasing.erase` raises.
    """
    files = FileStore(settings.data_dir / "files", settings.max_file_bytes)

    async def forget_files(person: str, generation: int) -> int:
        return await asyncio.to_thread(files.forget, person, generation)

    async with (
        bootstrap.running(settings, url, background=False) as runtime,
        PostgresEraser.opened(url, runtime.logs) as eraser,
    ):
        erasing = Erasing(
            runtime.logs,
            runtime.vault,
            eraser,
            runtime.clock,
            forget_files=forget_files,
            retention=timedelta(days=settings.retention_days),
            settle_seconds=settle_seconds,
        )
        return await erasing.erase(person, reason, by), await eraser.rewrite()
