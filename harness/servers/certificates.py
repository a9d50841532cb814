"""A certificate for localhost and its authority, made with the openssl command."""

import shutil
import subprocess
from pathlib import Path

from servers.running import LeftOutError

PLACE = "/srv/tls"
KEY = f"{PLACE}/server.key"
CERTIFICATE = f"{PLACE}/server.pem"

_EC = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"

_SCRIPT = f"""\
openssl req -x509 {_EC} -keyout ca.key -out ca.pem -days 30 -subj '/CN=pop3spec test authority' \\
  -addext keyUsage=critical,keyCertSign,cRLSign
openssl req {_EC} -keyout server.key -out server.csr -subj /CN=localhost
printf '%s\\n' subjectAltName=DNS:localhost,IP:127.0.0.1,IP:127.0.0.2 \\
  basicConstraints=critical,CA:FALSE keyUsage=critical,digitalSignature \\
  extendedKeyUsage=serverAuth authorityKeyIdentifier=keyid > extensions
openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 \\
  -extfile extensions -out server.pem
"""


# Shell lines for a root where /srv/tls shows a directory of the state. A server that is
# started again keeps its certificate.
MAKE_CERTIFICATE = f"cd {PLACE}\nif [ ! -e server.pem ]; then\n{_SCRIPT}fi\ncd /\n"


def make_certificate(directory: Path) -> None:
    """Make the files outside any root, where the machine has openssl."""
    if shutil.which("openssl") is None:
        raise LeftOutError("needs openssl")
    subprocess.run(["sh", "-euc", _SCRIPT], cwd=directory, capture_output=True, check=True)


def authority_in(state: Path) -> Path:
    """The file that a client trusts, for a state whose `tls` is shown in the root."""
    return state / "tls" / "ca.pem"
