"""Faults in how long a command may be, and in the octets of status lines (RFC 1939 and 2449)."""

from pop3spec.protocol.replies import CRLF
from pop3spec.reference.faults.fault import FaultTable
from pop3spec.reference.session import Session

TABLE = FaultTable()
fault = TABLE.fault


# The length of an argument.


@fault(
    "lines-in-a-buffer-of-40-octets",
    breaks=[
        *("rfc1939-3-argument-length", "rfc1939-7-apop", "rfc2449-4-command-length"),
        "rfc5034-4-login",
    ],
    copies="fgets with the length of an argument for the whole line: the rest is the next command",
)
class _LinesInABufferOf40Octets(Session):
    def answer(self, line: bytes) -> bytes:
        pieces = [line[at : at + 39] for at in range(0, len(line), 39)] or [b""]
        return b"".join([super(_LinesInABufferOf40Octets, self).answer(each) for each in pieces])


@fault(
    "forty-first-octet-is-the-next-command",
    breaks=["rfc1939-3-argument-length", "rfc2449-4-command-length"],
    copies="scanf with %39s: char[40] has room for 39, and what is left begins the next command",
    edge=True,
)
class _FortyFirstOctetIsTheNextCommand(Session):
    def answer(self, line: bytes) -> bytes:
        word, blank, argument = line.partition(b" ")
        if b" " in argument or len(argument) < 40:
            return super().answer(line)
        return super().answer(word + blank + argument[:39]) + super().answer(argument[39:])


@fault(
    "full-name-waits-for-more",
    breaks=["rfc1939-3-argument-length"],
    copies="a name that fills its buffer to the end is not asked whether the line ended with it",
    edge=True,
)
class _FullNameWaitsForMore(Session):
    held = b""

    def answer(self, line: bytes) -> bytes:
        line, self.held = self.held + line, b""
        if line[:5].upper() == b"USER " and len(line) == 5 + 40:
            self.held = line
            return b""
        return super().answer(line)


@fault(
    "long-name-ends-the-session",
    breaks=["rfc1939-3-argument-length", "rfc2449-4-command-length"],
    copies="strcpy into char[40]: the NUL behind 40 characters is one octet too many",
    edge=True,
)
class _LongNameEndsTheSession(Session):
    def user_command(self, name: bytes) -> bytes:
        if len(name) >= 40:
            self.closing = True
            return b""
        return super().user_command(name)


# The length of a command.


@fault(
    "command-buffer-of-128-octets",
    breaks=["rfc2449-4-command-length"],
    copies="nginx mail proxy: a buffer of 128 octets is full before the line ends, and waits",
)
class _CommandBufferOf128Octets(Session):
    def answer(self, line: bytes) -> bytes:
        return b"" if len(line) + len(CRLF) > 128 else super().answer(line)


@fault(
    "line-feed-of-255-is-a-command",
    breaks=["rfc2449-4-command-length"],
    copies="fgets with 255 reads 254 octets, and the last one of the longest line is left over",
    edge=True,
)
class _LineFeedOf255IsACommand(Session):
    def answer(self, line: bytes) -> bytes:
        reply = super().answer(line)
        return reply + super().answer(b"") if len(line) + len(CRLF) == 255 else reply


@fault(
    "command-of-255-octets-ends-the-session",
    breaks=["rfc2449-4-command-length"],
    copies="'at least 255' is read as 'less than 255', and whoever sends more is thrown out",
    edge=True,
)
class _CommandOf255OctetsEndsTheSession(Session):
    def answer(self, line: bytes) -> bytes:
        return self.overlong() if len(line) + len(CRLF) >= 255 else super().answer(line)


# The octets of status lines.


@fault(
    "greeting-in-latin-1",
    breaks=["rfc2449-3-printable-text"],
    copies="the banner is text from a configuration file, in the letters of its country",
)
class _GreetingInLatin1(Session):
    def greeting(self) -> bytes:
        return super().greeting().replace(b"ready", "prêt".encode("latin-1"))


@fault(
    "refusals-in-colour",
    breaks=["rfc2449-3-printable-text"],
    copies="errors come from a library for terminals, which makes them red",
)
class _RefusalsInColour(Session):
    def negative(self, text: bytes) -> bytes:
        return super().negative(b"\x1b[31m" + text + b"\x1b[0m")


@fault(
    "farewell-in-utf-8",
    breaks=["rfc2449-3-printable-text"],
    copies="one text of all is translated with its accents, and neither LANG nor UTF8 was asked",
    edge=True,
)
class _FarewellInUtf8(Session):
    def farewell(self) -> bytes:
        return self.positive("à bientôt".encode())


@fault(
    "refused-arguments-end-in-nul",
    breaks=["rfc2449-3-printable-text"],
    copies="sizeof of a literal counts the NUL behind it, and it is sent before the CRLF",
    edge=True,
)
class _RefusedArgumentsEndInNul(Session):
    def malformed(self, keyword: str) -> bytes:
        return super().malformed(keyword).removesuffix(CRLF) + b"\0" + CRLF
