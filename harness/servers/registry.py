"""All server modules, by name."""

from collections.abc import Mapping

from servers import (
    courier,
    cyrus,
    dovecot,
    dovecot_strict,
    fengtang,
    m365proxy,
    mailutils,
    nginx,
    perdition,
    popa3d,
    solid_pop3d,
    twisted,
    voidpop,
    wildduck,
)
from servers.running import Server

_MODULES: tuple[Server, ...] = (
    dovecot,
    dovecot_strict,
    courier,
    cyrus,
    popa3d,
    mailutils,
    solid_pop3d,
    perdition,
    nginx,
    twisted,
    wildduck,
    fengtang,
    m365proxy,
    voidpop,
)

SERVERS: Mapping[str, Server] = {module.NAME: module for module in _MODULES}
