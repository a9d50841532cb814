"""Languages of the reference server: tags, their names, translated texts (RFC 6856, section 3)."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Language:
    """A language by its tag, with the beginnings of texts that it has other words for."""

    tag: bytes
    name: bytes
    texts: Mapping[bytes, bytes] = field(default_factory=dict)

    def worded(self, text: bytes) -> bytes:
        """A text in this language; what has no translation stays as it is."""
        for known, own in self.texts.items():
            if text.startswith(known):
                return own + text[len(known) :]
        return text


_GERMAN = {
    b"language changed": "Sprache geändert".encode(),
    b"no such message": "diese Nachricht gibt es nicht oder sie ist gelöscht".encode(),
    b"nothing done": "nichts ausgeführt".encode(),
    b"unknown command": "der Befehl ist ungültig:".encode(),
    b"goodbye": "auf Wiederhören".encode(),
}
_FRENCH = {
    b"language changed": "langue modifiée".encode(),
    b"no such message": "ce message n'existe pas ou a été supprimé".encode(),
    b"nothing done": "rien n'a été fait".encode(),
    b"unknown command": b"cette commande n'est pas connue :",
    b"goodbye": "à bientôt".encode(),
}

# The operator's first choice stands first.
LANGUAGES = (
    Language(b"en", b"English"),
    Language(b"de", b"Deutsch", _GERMAN),
    Language(b"de-CH", b"Schweizer Hochdeutsch", _GERMAN),
    Language(b"fr", "Français".encode(), _FRENCH),
)


def language_for(wanted: bytes) -> Language | None:
    """The language that a range matches, None without one (RFC 4647, sections 3.3.1 and 3.4)."""
    if wanted == b"*":
        return LANGUAGES[0]
    by_tag = {language.tag.lower(): language for language in LANGUAGES}
    asked = wanted.lower()
    for tag, language in by_tag.items():
        if (tag + b"-").startswith(asked + b"-"):
            return language
    while asked and asked not in by_tag:
        asked = asked.rpartition(b"-")[0]
    return by_tag.get(asked)
