"""The page that a person opens first."""

from __future__ import annotations

from typing import Final

README: Final = """\
DOSSIER DE COMMANDE (English below)

  timeline.html         l'histoire de la commande, à lire et à imprimer
  summary.fr.txt        le résumé en quelques lignes
  order.json            la commande, ses litiges, l'argent et les échanges, au moment de l'export
  files/, files.json    les fichiers, nommés par leur SHA-256 ; leurs vrais noms
  custody.ndjson        qui a consulté ou exporté ce dossier (s'il est présent)
  events.ndjson         les événements tels qu'ils ont été enregistrés, un par ligne : eux seuls font foi
  words.ndjson          ce que chacun a écrit : ouvre les textes scellés des événements
  proofs.json           la chaîne de la commande et la place de son dernier événement dans le journal
  checkpoint.txt        la tête signée du journal, avec les signatures des témoins
  stamp/                l'horodatage d'une autorité extérieure, et ce qu'elle a horodaté (s'il est présent)
  keys.txt              les clés publiques ; comparez-les à celles que publie le service

Le dossier contient les notes privées des médiateurs, marquées comme telles : ne le remettez pas aux parties sans y penser.

Vérifier, sans réseau, avec Python 3.9 ou plus récent et le paquet « cryptography » :

  python3 verify.py case.zip --key cle-du-service.pem

Code 0 vérifié, 1 échec, 2 illisible, 3 exigence non satisfaite. Le programme dit ce qu'il ne prouve pas. Un dossier reçu
d'un inconnu peut contenir un verify.py qui dit n'importe quoi : prenez alors ce programme auprès du service.

--------------------------------------------------------------------------------------------------------------------

CASE FILE

  timeline.html         the order's history, to read and to print
  summary.en.txt        the summary in a few lines
  order.json            the order, its disputes, money and talk, at the time of the export
  files/, files.json    the files, named by their SHA-256; their real names
  custody.ndjson        who looked at this case or exported it (where present)
  events.ndjson         the events as they were recorded, one a line: they alone are the evidence
  words.ndjson          what people wrote: opens the sealed words of the events
  proofs.json           the order's chain, and the place of its last event in the log
  checkpoint.txt        the signed head of the log, with the signatures of witnesses
  stamp/                the time stamp of an authority outside, and what it stamped (where present)
  keys.txt              the public keys; compare them with those that the service publishes

The file holds the mediators' private notes, marked as such: think before you hand it to a party.

Verify offline, with Python 3.9 or newer and the package "cryptography":

  python3 verify.py case.zip --key key-of-the-service.pem

Exit code 0 verified, 1 failed, 2 malformed, 3 policy not met. The program says what it does not prove. A file from
somebody you don't know can hold a verify.py that says anything: then take this program from the service.
"""
