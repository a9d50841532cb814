"""Sessions with a target, opened on each transport."""

from collections.abc import Mapping

from pop3spec.connection import Connection, ConnectionFailed, connect
from pop3spec.login_delay import Logins, await_turn
from pop3spec.recorder import Recorder
from pop3spec.refusals import SessionRefused
from pop3spec.rulebook.history import Filling
from pop3spec.session import Session
from pop3spec.target import Account, Address, Target, Transport


def open_session(
    target: Target,
    recorder: Recorder,
    transport: Transport = Transport.PLAIN,
    *,
    name: str = "first",
    account: Account | None = None,
    filling: Filling | None = None,
    filling_name: str = "",
    may_delete: bool = False,
    source: str | None = None,
    patience: float = 0.0,
    capabilities: Mapping[str, tuple[str, ...]] | None = None,
    logins: Logins | None = None,
) -> Session:
    """A new session in the AUTHORIZATION state; SessionRefused where there is none.

    Where the target wants time between two logins, `logins` has when this account may come.
    """
    address = target.address_for(transport)
    # Not on a connection, on which the server does not wait as long for the name.
    await_turn(logins, account.user if account is not None else None)
    connection = _connected(address, target, source)
    session = Session(
        connection,
        target,
        recorder,
        name=name,
        account=account,
        filling=filling,
        filling_name=filling_name,
        may_delete=may_delete,
        patience=patience,
        capabilities=capabilities,
        host=address.host,
        logins=logins,
    )
    try:
        if transport is Transport.TLS:
            session.secure()
        session.read_greeting()
        if transport is Transport.STLS:
            start_tls(session)
    except ConnectionFailed as error:
        session.close()
        raise SessionRefused(str(error), is_limit=False) from error
    except SessionRefused:
        session.close()
        raise
    return session


def start_tls(session: Session) -> None:
    """STLS and the handshake; SessionRefused where the server does not want it."""
    exchange = session.exchange("STLS")
    if not exchange.is_ok:
        raise SessionRefused("STLS is refused", is_limit=False)
    # What came in the clear behind the reply must not pass for something in TLS.
    session.look()
    if not session.is_open:
        raise SessionRefused(
            "the connection ended behind the +OK to STLS", is_limit=True, is_lost=True
        )
    session.secure()
    session.look_for_another_greeting()


def connected(
    target: Target,
    recorder: Recorder,
    transport: Transport = Transport.PLAIN,
    *,
    name: str = "first",
    source: str | None = None,
) -> Session:
    """A connection to the port for a transport, of which nothing was read yet."""
    address = target.address_for(transport)
    connection = _connected(address, target, source)
    return Session(connection, target, recorder, name=name, host=address.host)


def _connected(address: Address, target: Target, source: str | None) -> Connection:
    try:
        return connect(address, target.timeouts.connect, source)
    except ConnectionFailed as error:
        raise SessionRefused(str(error), is_limit=True, is_unserved=True) from error
