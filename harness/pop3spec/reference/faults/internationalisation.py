"""Faults of UTF8 and LANG (RFC 6856), which show on a server that has them."""
# ruff: noqa: ARG002 -- a step that replaces another need not use all that it is given

import codecs

from pop3spec.protocol.commands import State
from pop3spec.reference.faults.fault import FaultTable
from pop3spec.reference.languages import LANGUAGES, Language
from pop3spec.reference.maildrops import Message
from pop3spec.reference.sasl.mechanism import Granted
from pop3spec.reference.sasl.saslprep import prepared
from pop3spec.reference.session import Session

TABLE = FaultTable()
fault = TABLE.fault

# Octets of a text that a buffer holds.
_BUFFER = 30
# Octets that are looked at to tell what a message is.
_LOOKED_AT = 1024


# UTF8: where it is announced, and when it is taken.


@fault(
    "utf8-announced-before-login-alone",
    breaks=["rfc6856-2-utf8-after-login"],
    copies="a command of the first state is taken for a capability of the first state",
)
class _Utf8AnnouncedBeforeLoginAlone(Session):
    def international_capabilities(self) -> list[bytes]:
        listed = super().international_capabilities()
        return listed[1:] if self.state is State.TRANSACTION else listed


@fault(
    "utf8-not-announced-in-its-mode",
    breaks=["rfc6856-2-utf8-after-login"],
    copies="what is switched on already is not offered again, as with STLS",
    edge=True,
)
class _Utf8NotAnnouncedInItsMode(Session):
    def international_capabilities(self) -> list[bytes]:
        listed = super().international_capabilities()
        is_done = self.is_utf8_mode and self.state is State.TRANSACTION
        return listed[1:] if is_done else listed


@fault(
    "utf8-in-either-state",
    breaks=["rfc6856-2-utf8-in-transaction"],
    copies="UTF8 stands in the table of commands beside CAPA and LANG",
)
class _Utf8InEitherState(Session):
    def is_in_state(self, keyword: str) -> bool:
        return keyword == "UTF8" or super().is_in_state(keyword)


@fault(
    "utf8-again-after-login",
    breaks=["rfc6856-2-utf8-in-transaction"],
    copies="where the mode is on already there is nothing to do, and the state is not looked at",
    edge=True,
)
class _Utf8AgainAfterLogin(Session):
    def is_in_state(self, keyword: str) -> bool:
        return (keyword == "UTF8" and self.is_utf8_mode) or super().is_in_state(keyword)


@fault(
    "utf8-argument-ignored",
    breaks=["rfc6856-2.1-no-argument"],
    copies="the argument of the capability is expected of the command as well",
)
class _Utf8ArgumentIgnored(Session):
    def arguments(self, keyword: str, rest: bytes) -> tuple[bytes, ...]:
        return () if keyword == "UTF8" else super().arguments(keyword, rest)


# Messages without UTF-8 mode.


@fault(
    "utf8-message-sent-to-anybody",
    breaks=["rfc6856-2.1-ascii-mode"],
    copies="the store is UTF-8, and so is what is sent: the mode is noted and never asked",
)
class _Utf8MessageSentToAnybody(Session):
    def is_withheld(self, content: bytes) -> bool:
        return False


@fault(
    "utf8-header-shown-by-top",
    breaks=["rfc6856-2.1-ascii-mode"],
    copies="the guard is in RETR, and TOP has a reader of its own",
    edge=True,
)
class _Utf8HeaderShownByTop(Session):
    is_top = False

    def top_command(self, argument: bytes, count: bytes) -> bytes:
        self.is_top = True
        reply = super().top_command(argument, count)
        self.is_top = False
        return reply

    def is_withheld(self, content: bytes) -> bool:
        return not self.is_top and super().is_withheld(content)


@fault(
    "utf8-looked-for-in-the-first-block",
    breaks=["rfc6856-2.1-ascii-mode"],
    copies="whether a message is ASCII is told by its first kilobyte",
    edge=True,
)
class _Utf8LookedForInTheFirstBlock(Session):
    def is_withheld(self, content: bytes) -> bool:
        return super().is_withheld(content[:_LOOKED_AT])


@fault(
    "utf8-refused-and-on",
    breaks=["rfc6856-2.1-ascii-mode"],
    copies="the flag is set where the command is read, before its state is looked at",
    edge=True,
)
class _Utf8RefusedAndOn(Session):
    def wrong_state(self, keyword: str) -> bytes:
        self.is_utf8_mode |= keyword == "UTF8"
        return super().wrong_state(keyword)


# Messages in UTF-8 mode.


def _replaced(content: bytes, end: int) -> bytes:
    return content[:end].decode("ascii", "replace").replace("\ufffd", "?").encode() + content[end:]


@fault(
    "utf8-header-always-replaced",
    breaks=["rfc6856-2.1-utf8-mode"],
    copies="surrogates are made at delivery, and the mode changes nothing",
)
class _Utf8HeaderAlwaysReplaced(Session):
    def content(self, message: Message) -> bytes | None:
        content = super().content(message)
        return None if content is None else _replaced(content, self.body_start(content))


@fault(
    "utf8-mode-lost-at-auth",
    breaks=["rfc6856-2.1-utf8-mode", "rfc6856-5-utf8-code"],
    copies="a login by SASL begins the session anew",
    edge=True,
)
class _Utf8ModeLostAtAuth(Session):
    def succeeded(self, step: Granted) -> bytes:
        self.is_utf8_mode = False
        return super().succeeded(step)


@fault(
    "utf8-mode-lost-at-a-refused-login",
    breaks=["rfc6856-2.1-utf8-mode", "rfc6856-5-utf8-code"],
    copies="a wrong password puts the session back to its beginning",
    edge=True,
)
class _Utf8ModeLostAtARefusedLogin(Session):
    def login_refused(self) -> bytes:
        self.is_utf8_mode = False
        return super().login_refused()


@fault(
    "utf8-mode-toggled",
    breaks=["rfc6856-2.1-utf8-mode", "rfc6856-5-utf8-code"],
    copies="the command switches, and whoever says it twice is where he was",
    edge=True,
)
class _Utf8ModeToggled(Session):
    def utf8_command(self) -> bytes:
        was_on = self.is_utf8_mode
        reply = super().utf8_command()
        self.is_utf8_mode = not was_on
        return reply


@fault(
    "utf8-surrogate-of-another-size",
    breaks=["rfc6856-2.1-list-size"],
    copies="LIST has the size of what is stored, and RETR sends what is made of it",
)
class _Utf8SurrogateOfAnotherSize(Session):
    def is_withheld(self, content: bytes) -> bool:
        return False

    def content(self, message: Message) -> bytes | None:
        content = super().content(message)
        if content is None or self.is_utf8_mode:
            return content
        lines = content.split(b"\r\n")
        kept = [line if line.isascii() else b"X-Replaced: =?utf-8?q?=3F?=" for line in lines]
        return b"\r\n".join(kept)


@fault(
    "utf8-size-in-characters",
    breaks=["rfc6856-2.1-list-size"],
    copies="in UTF-8 mode messages are strings, and their length is that of strings",
    edge=True,
)
class _Utf8SizeInCharacters(Session):
    def scan_listing(self, message: Message) -> bytes:
        if not self.is_utf8_mode:
            return super().scan_listing(message)
        content = self.content(message) or b""
        return b"%d %d" % (message.number, len(content.decode("utf-8", "replace")))


# The response code.


@fault(
    "utf8-code-at-dele",
    breaks=["rfc6856-5-utf8-code"],
    copies="every command that names a message asks whether the client can read it",
)
class _Utf8CodeAtDele(Session):
    def dele_reply(self, message: Message) -> bytes:
        if self.is_withheld(self.content(message) or b""):
            return self.utf8_needed()
        return super().dele_reply(message)


@fault(
    "utf8-code-for-no-message",
    breaks=["rfc6856-5-utf8-code"],
    copies="in the code for UTF-8 mode each failure has the same code",
    edge=True,
)
class _Utf8CodeForNoMessage(Session):
    def no_such_message(self) -> bytes:
        if not self.is_utf8_mode:
            return super().no_such_message()
        return self.negative(b"[UTF8] no such message")


@fault(
    "utf8-code-in-its-mode",
    breaks=["rfc6856-5-utf8-code", "rfc6856-2.1-utf8-mode"],
    copies="TOP was forgotten when the guard learnt of the mode",
    edge=True,
)
class _Utf8CodeInItsMode(Session):
    def top_reply(self, message: Message, content: bytes, count: int) -> bytes:
        if content[: self.body_start(content)].isascii():
            return super().top_reply(message, content, count)
        return self.utf8_needed()


# Names and passwords.


@fault(
    "names-in-ascii-alone",
    breaks=["rfc6856-2.2-utf8-names", "rfc6856-2.2-saslprep"],
    copies="UTF8 is announced with USER, and the reader of commands knows nothing of it",
)
class _NamesInAsciiAlone(Session):
    def is_printable(self, line: bytes) -> bool:
        return line.isascii() and super().is_printable(line)


@fault(
    "names-in-ascii-behind-saslprep",
    breaks=["rfc6856-2.2-utf8-names"],
    copies="the database of users takes ASCII alone, whatever SASLprep makes of a name",
)
class _NamesInAsciiBehindSaslprep(Session):
    def compared(self, octets: bytes) -> bytes:
        compared = super().compared(octets)
        return compared if compared.isascii() else b""


@fault(
    "names-in-utf8-after-the-command",
    breaks=["rfc6856-2.2-utf8-names"],
    copies="names are read as UTF-8 where the mode says so, which comes later if at all",
    edge=True,
)
class _NamesInUtf8AfterTheCommand(Session):
    def compared(self, octets: bytes) -> bytes:
        compared = super().compared(octets)
        return compared if compared.isascii() or self.is_utf8_mode else b""


@fault(
    "apop-in-ascii-alone",
    breaks=["rfc6856-2.2-utf8-names"],
    copies="USER and PASS were taught UTF-8, and nobody thought of APOP",
    edge=True,
)
class _ApopInAsciiAlone(Session):
    def apop_command(self, name: bytes, digest: bytes) -> bytes:
        return super().apop_command(name, digest) if name.isascii() else self.login_refused()


class _ReadsAnything(Session):
    """Octets of a name are judged by who compares it."""

    def is_utf8(self, line: bytes) -> bool:
        return True


@fault(
    "ill-formed-octets-dropped",
    breaks=["rfc6856-2.2-invalid-utf8"],
    copies="decode('utf-8', 'ignore')",
)
class _IllFormedOctetsDropped(_ReadsAnything):
    def compared(self, octets: bytes) -> bytes:
        return super().compared(octets.decode("utf-8", "ignore").encode())


@fault(
    "cut-character-dropped",
    breaks=["rfc6856-2.2-invalid-utf8"],
    copies="a decoder of streams is never told that nothing more comes",
    edge=True,
)
class _CutCharacterDropped(_ReadsAnything):
    def compared(self, octets: bytes) -> bytes:
        try:
            text = codecs.getincrementaldecoder("utf-8")().decode(octets)
        except UnicodeDecodeError:
            return b""
        return super().compared(text.encode())


@fault(
    "latin-1-taken-for-want-of-utf8",
    breaks=["rfc6856-2.2-invalid-utf8"],
    copies="what is not UTF-8 is taken for ISO 8859-1, as with old clients",
    edge=True,
)
class _Latin1TakenForWantOfUtf8(_ReadsAnything):
    def compared(self, octets: bytes) -> bytes:
        try:
            octets.decode()
        except UnicodeDecodeError:
            octets = octets.decode("latin-1").encode()
        return super().compared(octets)


@fault(
    "overlong-characters-read",
    breaks=["rfc6856-2.2-invalid-utf8"],
    copies="a decoder of one's own adds up bits, and does not ask whether fewer would have done",
    edge=True,
)
class _OverlongCharactersRead(_ReadsAnything):
    def compared(self, octets: bytes) -> bytes:
        for lead in (0xC0, 0xC1):
            for low in range(0x80, 0xC0):
                letter = bytes(((lead & 1) << 6 | low & 0x3F,))
                octets = octets.replace(bytes((lead, low)), letter)
        return super().compared(octets)


@fault(
    "saslprep-left-out",
    breaks=["rfc6856-2.2-saslprep"],
    copies="names and passwords are compared octet by octet",
)
class _SaslprepLeftOut(Session):
    def compared(self, octets: bytes) -> bytes:
        return octets if self.is_utf8(octets) else b""


@fault(
    "saslprep-of-names-alone",
    breaks=["rfc6856-2.2-saslprep"],
    copies="the name is prepared where it is looked up, and the password is not looked up",
    edge=True,
)
class _SaslprepOfNamesAlone(Session):
    def pass_command(self, password: bytes) -> bytes:
        is_prepared = prepared(password) == password
        return super().pass_command(password if is_prepared else b"")


# LANG.


@fault(
    "lang-after-login-alone",
    breaks=["rfc6856-3-lang"],
    copies="the language is a setting of the user, so that somebody has to be logged in",
)
class _LangAfterLoginAlone(Session):
    def is_in_state(self, keyword: str) -> bool:
        is_early = keyword == "LANG" and self.state is State.AUTHORIZATION
        return not is_early and super().is_in_state(keyword)


@fault(
    "lang-in-the-case-of-the-list",
    breaks=["rfc6856-3-lang"],
    copies="tags are looked up as they are spelled",
    edge=True,
)
class _LangInTheCaseOfTheList(Session):
    def language_for(self, argument: bytes) -> Language | None:
        language = super().language_for(argument)
        is_spelled = language is not None and argument.startswith((language.tag, b"*"))
        return language if is_spelled else None


@fault(
    "lang-answers-with-words",
    breaks=["rfc6856-3.2-selected-language"],
    copies="the reply is written for people",
)
class _LangAnswersWithWords(Session):
    def selected(self, language: Language, argument: bytes) -> bytes:
        return self.positive(b"language changed")


@fault(
    "lang-repeats-the-asterisk",
    breaks=["rfc6856-3.2-selected-language"],
    copies="the reply repeats what was asked for",
    edge=True,
)
class _LangRepeatsTheAsterisk(Session):
    def selected(self, language: Language, argument: bytes) -> bytes:
        return self.positive(argument + b" " + self.worded(b"language changed"))


@fault(
    "lang-falls-back",
    breaks=["rfc6856-3.2-matching-language"],
    copies="a lookup with a default, as pages of the web have it",
)
class _LangFallsBack(Session):
    def language_for(self, argument: bytes) -> Language | None:
        return super().language_for(argument) or LANGUAGES[0]


@fault(
    "lang-by-the-first-letters",
    breaks=["rfc6856-3.2-matching-language"],
    copies="a prefix is compared without the hyphen behind it",
    edge=True,
)
class _LangByTheFirstLetters(Session):
    def language_for(self, argument: bytes) -> Language | None:
        found = [each for each in LANGUAGES if argument.lower().startswith(each.tag.lower())]
        return super().language_for(argument) or next(iter(found), None)


@fault(
    "lang-takes-any-tag",
    breaks=["rfc6856-3.2-matching-language"],
    copies="the tag is handed on to the library of locales, which never says no",
)
class _LangTakesAnyTag(Session):
    def language_for(self, argument: bytes) -> Language | None:
        return super().language_for(argument) or Language(argument, b"")


@fault(
    "language-described-first",
    breaks=["rfc6856-3.2-language-listing"],
    copies="the list is written for people",
)
class _LanguageDescribedFirst(Session):
    def language_listing(self, language: Language) -> bytes:
        return language.name + b" " + language.tag


@fault(
    "language-with-an-underscore",
    breaks=["rfc6856-3.2-language-listing"],
    copies="the list has the names of locales, which differ where there is a region",
    edge=True,
)
class _LanguageWithAnUnderscore(Session):
    def language_listing(self, language: Language) -> bytes:
        return super().language_listing(language).replace(b"-", b"_", 1)


@fault(
    "languages-in-columns",
    breaks=["rfc6856-3.2-language-listing"],
    copies="tags are filled up to the longest of them",
    edge=True,
)
class _LanguagesInColumns(Session):
    def language_listing(self, language: Language) -> bytes:
        return language.tag.ljust(max(len(each.tag) for each in LANGUAGES)) + b" " + language.name


def _in_latin_1(text: bytes) -> bytes:
    try:
        return text.decode().encode("latin-1", "replace")
    except UnicodeDecodeError:
        return text  # it is already


@fault(
    "language-described-in-latin-1",
    breaks=["rfc6856-3.2-language-listing"],
    copies="names of languages come from a file that is older than UTF-8",
    edge=True,
)
class _LanguageDescribedInLatin1(Session):
    def language_listing(self, language: Language) -> bytes:
        return _in_latin_1(super().language_listing(language))


@fault(
    "texts-in-latin-1",
    breaks=["rfc6856-3.2-utf8-text"],
    copies="the catalogues of messages are in the charset of their languages",
)
class _TextsInLatin1(Session):
    def worded(self, text: bytes) -> bytes:
        return _in_latin_1(super().worded(text))


@fault(
    "texts-cut-within-a-character",
    breaks=["rfc6856-3.2-utf8-text"],
    copies="texts are cut to a buffer, by octets",
    edge=True,
)
class _TextsCutWithinACharacter(Session):
    def worded(self, text: bytes) -> bytes:
        own = super().worded(text)
        return own if self.language is None else own[:_BUFFER]
