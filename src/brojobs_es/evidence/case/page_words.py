"""What the timeline page says in its own voice, in both languages, and how it looks on paper."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from brojobs_es.language import Text

LABELS: Final[Mapping[str, Text]] = {
    "order": Text("Commande", "Order"),
    "buyer": Text("acheteur", "buyer"),
    "seller": Text("vendeur", "seller"),
    "events": Text("Événements", "Events"),
    "recorded": Text("enregistré", "recorded"),
    "private": Text("note privée des médiateurs", "private note of the mediators"),
    "external": Text("pièce extérieure à la plateforme", "from outside the platform"),
    "held": Text("en séquestre", "held"),
    "refunded": Text("remboursé", "refunded"),
    "released": Text("versé", "released"),
    "commission": Text("commission", "commission"),
    "how": Text(
        "Cette page se lit ; elle ne fait pas foi. Les événements de events.ndjson font foi : "
        "« python3 verify.py case.zip » les vérifie sans réseau.",
        "This page is for reading; the events in events.ndjson are the evidence: "
        "“python3 verify.py case.zip” verifies them offline.",
    ),
}

FIELDS: Final[Mapping[str, Text]] = {
    "title": Text("titre", "title"),
    "brief": Text("cahier des charges", "brief"),
    "text": Text("texte", "text"),
    "note": Text("note", "note"),
    "reason": Text("raison", "reason"),
    "comment": Text("commentaire", "comment"),
    "statement": Text("exposé", "statement"),
    "description": Text("description", "description"),
    "question": Text("question", "question"),
}
"""By the name of the field that holds a person's words."""

PAGE_HEAD: Final = """<!doctype html>
<html lang="fr"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width"><title>{order}</title><style>
body{{font:15px/1.45 Georgia,serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#111;background:#fff}}
h1{{font-size:1.4rem}}h2{{font-size:1.1rem;border-bottom:1px solid #999}}i{{color:#555}}code{{font-size:.85em}}
.pair{{display:grid;grid-template-columns:1fr 1fr;gap:1.5rem}}.note,footer,small{{color:#444;font-size:.85rem}}
article{{border-top:1px solid #ccc;padding:.5rem 0;break-inside:avoid}}header{{font-weight:bold;font-size:.9rem}}
header i{{font-weight:normal}}p{{margin:.3rem 0}}dt{{font-size:.85rem;color:#444}}
dd{{margin:0 0 .4rem 1rem;white-space:pre-wrap;overflow-wrap:anywhere}}code{{overflow-wrap:anywhere}}
.mark{{border:1px solid #900;color:#900;padding:0 .3em}}.hidden{{border:1px dotted #900;color:#900;font-size:.7em}}
@media print{{body{{margin:0;max-width:none;font-size:10pt}}h2{{break-after:avoid}}@page{{margin:2cm}}}}
</style></head><body>"""
