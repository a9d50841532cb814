"""certificate.html: a certificate for a person, for screen, print and PDF."""

import base64
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pop3spec.report.templates import environment

if TYPE_CHECKING:
    from jinja2 import Template

_HERE = Path(__file__).parent


def page_text(certificate: Mapping[str, Any]) -> str:
    """The page of a certificate: the same text for the same certificate."""
    style = (_HERE / "certificate.css").read_text("utf-8")
    digest = base64.b64encode(sha256(style.encode()).digest()).decode()
    return _template().render(certificate=certificate, style=style, style_digest=digest)


@cache
def _template() -> "Template":
    return environment(_HERE).get_template("certificate.html.jinja")
