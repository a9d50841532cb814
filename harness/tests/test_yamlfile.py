"""Tests of the one reader of YAML files."""

import re
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, ClassVar

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pop3spec.yamlfile import (
    Duration,
    Location,
    YamlError,
    decoded,
    json_schema,
    key,
    load,
    load_text,
    locate,
    matching,
    source,
)


class Colour(Enum):
    RED = "red"
    GREEN = "green"


@dataclass(frozen=True)
class Wheel:
    noun: ClassVar[str] = "a wheel"

    where: Location
    size: int = field(metadata=key("In inches."))
    spokes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.size == 13:
            raise ValueError("no wheel has size 13: take 12 or 14")


@dataclass(frozen=True)
class Car:
    noun: ClassVar[str] = "a car"

    name: str = field(metadata=key("What it is called."))
    sold: bool = False
    price: float | None = None
    colour: Colour = Colour.RED
    top_speed: int | None = None
    delay: Duration | None = None
    plate: Annotated[str, matching("[A-Z]+", "a plate in capitals")] | None = None
    wheel: Colour | Wheel | None = None
    wheels: tuple[Wheel, ...] = ()
    notes: dict[str, str] = field(default_factory=dict)


def read(text: str) -> Car:
    return load_text(text, "car.yaml", Car)


@pytest.fixture(params=["libyaml", "pure"])
def _loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "pure":
        monkeypatch.setattr(source, "LOADER", yaml.BaseLoader)


@pytest.mark.usefixtures("_loader")
def test_each_scalar_is_read_as_the_type_of_its_key() -> None:
    car = read(
        "name: NO\nsold: yes\nprice: 1.5\ncolour: green\ntop-speed: 010\n"
        "delay: 300ms\nplate: ABC\nwheel: red\nnotes: {on: 010, '*': ''}\n"
    )

    assert car == Car(
        name="NO",
        sold=True,
        price=1.5,
        colour=Colour.GREEN,
        top_speed=10,
        delay=0.3,
        plate="ABC",
        wheel=Colour.RED,
        notes={"on": "010", "*": ""},
    )


@pytest.mark.parametrize(
    "text, seconds", [("300ms", 0.3), ("2s", 2.0), ("1.5s", 1.5), ("10min", 600.0)]
)
def test_a_duration_is_seconds(text: str, seconds: float) -> None:
    assert read(f"name: x\ndelay: {text}").delay == pytest.approx(seconds)


@pytest.mark.usefixtures("_loader")
def test_a_value_is_told_where_it_stands() -> None:
    car = read("name: x\nwheel: {size: 2}\nwheels:\n  - size: 3\n    spokes: [1, 2]\n  - size: 4")

    assert car.wheel == Wheel(Location("car.yaml", 2, 8), 2)
    assert car.wheels == (
        Wheel(Location("car.yaml", 4, 5), 3, (1, 2)),
        Wheel(Location("car.yaml", 6, 5), 4),
    )


REFUSED = {
    "empty": ("", "1:1: the file is empty"),
    "a comment alone": ("# x\n", "1:1: the file is empty"),
    "an empty document": ("---\n", "2:1: the file is empty"),
    "two documents": ("name: x\n---\nname: y\n", "2:1: a second document"),
    "a list": ("- name\n", "1:1: the file has to be a mapping, not a list"),
    "unknown key": ("name: x\ncolor: red\n", "2:1: unknown key 'color' in a car (did you mean 'co"),
    "duplicate key": ("name: x\nname: y\n", "2:1: duplicate key 'name' in a car"),
    "duplicate note": ("name: x\nnotes: {a: b, a: c}", "2:15: duplicate key 'a' under 'notes'"),
    "missing key": ("sold: no\n", "1:1: a car needs the key 'name': What it is called."),
    "missing key below": ("name: x\nwheels:\n  - {spokes: []}\n", "3:5: a wheel needs the key 's"),
    "key without a value": ("name:\n", "1:6: 'name' has no value: write a text"),
    "list without a value": ("name: x\nwheels:\n", "2:8: 'wheels' has no value: write a list"),
    "text for a list": ("name: x\nwheels: x\n", "2:9: 'wheels' takes a list, not a text: put it"),
    "list for a text": ("name: [x]\n", "1:7: 'name' takes a text, not a list"),
    "a list where two kinds may stand": ("name: x\nwheel: []", "2:8: 'wheel' takes one of red, gr"),
    "mapping as a key": ("? {a: b}\n: c\n", "1:3: a key of a car has to be a plain word"),
    "no number": ("name: x\ntop-speed: 1_0\n", "2:12: top-speed: '1_0' is no whole number"),
    "too large": ("name: x\ntop-speed: " + "9" * 5000, "2:12: top-speed: '9999"),
    "no truth": ("name: x\nsold: Yes\n", "2:7: sold: 'Yes' is neither 'yes' nor 'no'"),
    "no duration": ("name: x\ndelay: 300\n", "2:8: delay: '300' is no duration: write it like"),
    "no pattern": ("name: x\nplate: a\n", "2:8: plate: 'a' is not a plate in capitals"),
    "no member": ("name: x\ncolour: reed\n", "2:9: colour: unknown value 'reed' (did you mean 'r"),
    "far from each": ("name: x\ncolour: xyz\n", "2:9: colour: unknown value 'xyz' (possible: red"),
    "refused by the value": ("name: x\nwheel: {size: 13}", "2:8: no wheel has size 13: take 12"),
    "anchor": ("name: &a x\n", "1:7: anchor '&a'"),
    "anchor at a key": ("&a name: x\n", "1:1: anchor '&a'"),
    "alias": ("name: *a\n", "1:7: alias '*a': write the value, or quote the '*'"),
    "alias as a key": ("*a : x\n", "1:1: a key of a car"),
    "tag": ("name: !!str x\n", "1:7: tag 'tag:yaml.org,2002:str': leave it out"),
    "merge": ("name: x\n<<: {sold: yes}\n", "2:1: unknown key '<<'"),
    "tab": ("name: x\nwheels:\n\t- x\n", "3:1: a tab: indent with blanks"),
    "control character": ("name: x\nplate: \x07\n", "2:8: character U+0007: write it as an escape"),
    "surrogate": ("name: \ud800", "1:7: character U+D800"),
    "not closed": ("name: 'x", "1:9: the quoted text that began before does not end"),
    "colon": ("name: a: b\n", "1:8: a colon and a blank inside a plain text"),
    "at sign": ("name: @x\n", "1:7: this character cannot begin a plain text: quote the text"),
    "list in a mapping": ("name: x\n- y\n", "2:1: neither a key nor an item fits here"),
    "open list": ("name: [x\nsold: yes\n", "1:7: 'name' takes a text"),
    "YAML of the future": ("%YAML 3.0\n---\nname: x", "1:1: this version of YAML is not known"),
}


@pytest.mark.usefixtures("_loader")
@pytest.mark.parametrize("text, message", REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_read_is_refused_at_its_place(text: str, message: str) -> None:
    with pytest.raises(YamlError) as caught:
        read(text)

    assert str(caught.value).startswith(f"car.yaml:{message}")


@pytest.mark.usefixtures("_loader")
@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "name: [", "name: x\nwheels: [{spokes: ["])
def test_deep_nesting_is_refused_at_once(opening: str) -> None:
    with pytest.raises(YamlError):
        read(opening * 50_000)


@pytest.mark.usefixtures("_loader")
@pytest.mark.parametrize("escape", ["\\uD800", "\\UFFFFFFFF", "\\U00110000"])
def test_an_escape_that_names_no_character_is_refused(escape: str) -> None:
    with pytest.raises(YamlError, match="this escape names no character"):
        read(f'name: "{escape}"')


@pytest.mark.parametrize(
    "accounts", ["bob:secret", "{bob:secret}", "[bob:secret]", "{bob: secret}"]
)
def test_no_message_quotes_what_may_be_a_password(accounts: str) -> None:
    with pytest.raises(YamlError) as caught:
        read(f"name: x\nwheels: {accounts}")

    assert "secret" not in str(caught.value)


def test_a_file_has_to_be_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "car.yaml"
    path.write_bytes(b"name: x\nplate: A\xe4\n")

    with pytest.raises(YamlError) as caught:
        load(path, Car)

    assert caught.value.where == Location(str(path), 2, 9)
    assert caught.value.problem == "octet 0xe4 is not UTF-8: save the file as UTF-8"


def test_a_byte_order_mark_and_crlf_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "car.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: x\r\nsold: yes\r\n")

    assert load(path, Car) == Car("x", sold=True)


def test_a_file_that_is_not_there_is_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(YamlError, match="cannot be read: No such file"):
        load(tmp_path / "none.yaml", Car)


@pytest.mark.parametrize(
    "path, place",
    [
        ((), "1:1"),
        (("name",), "1:7"),
        (("wheels", 1), "4:5"),
        (("wheels", 1, "spokes", 2), "4:30"),
        (("wheels", 1, "none", 2), "4:5"),
        (("wheels", 7), "3:3"),
    ],
)
def test_a_path_leads_to_its_place(path: tuple[str | int, ...], place: str) -> None:
    text = "name: x\nwheels:\n  - {size: 1, spokes: [[], {a: b}]}\n  - {size: 2, spokes: [1, 2, 3]}"

    assert str(locate(text, "car.yaml", path)) == f"car.yaml:{place}"


VALID = (
    "name: 'a: b'  # c\nwheel: {size: 1}\nwheels:\n  - size: 3\n    spokes: [1, 2]\n"
    'notes:\n  a: |\n    x\n    y\n  b: "\\x07"\n'
)
SIGNS = ["\n", "  ", "\t", *"-:[]{}'\"\\|&*!%?#,"]
WORDS = [
    "- ",
    ": ",
    "&a",
    "*a",
    "---\n",
    "...",
    "\x00",
    "\x85",
    "\u2028",
    "\ufeff",
    "\ud800",
    "name: x",
]
PIECES = st.sampled_from([*SIGNS, *WORDS])


@st.composite
def nearly_valid(draw: st.DrawFn) -> str:
    text = VALID
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(PIECES) + text[at + draw(st.integers(0, 3)) :]
    return text


def is_read_or_refused(text: str) -> bool:
    try:
        read(text)
    except YamlError as error:
        return re.match(r"car\.yaml:[0-9]+:[0-9]+: .", str(error)) is not None
    return True


@pytest.mark.parametrize("loader", [source.LOADER, yaml.BaseLoader])
def test_any_text_is_read_or_refused(loader: Any) -> None:
    @settings(max_examples=300, deadline=None)
    @given(st.one_of(nearly_valid(), st.text(), st.lists(PIECES).map("".join)))
    def holds(text: str) -> None:
        assert is_read_or_refused(text)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "LOADER", loader)

        holds()


@settings(max_examples=200, deadline=None)
@given(st.binary())
def test_any_octets_are_text_or_refused(octets: bytes) -> None:
    try:
        text = decoded(octets, "car.yaml")
    except YamlError:
        text = ""

    assert is_read_or_refused(text)


SCHEMA = json_schema(Car)


@pytest.mark.parametrize(
    "text",
    [
        "name: x",
        VALID,
        "name: x\nsold: yes\nprice: 2\ndelay: 2s\nplate: A\nwheel: green\ntop-speed: '7'",
    ],
)
@pytest.mark.parametrize("loader", [yaml.BaseLoader, yaml.SafeLoader])
def test_the_schema_accepts_what_is_read(text: str, loader: Any) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)

    assert read(text)
    jsonschema.Draft202012Validator(SCHEMA).validate(yaml.load(text, Loader=loader))


@pytest.mark.parametrize(
    "text",
    ["name: x\ncolor: red", "sold: yes", "name: x\ndelay: 3", "name: x\nwheels: [{size: x}]"],
)
def test_the_schema_refuses_what_is_not_read(text: str) -> None:
    with pytest.raises(YamlError):
        read(text)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(SCHEMA).validate(yaml.load(text, Loader=yaml.BaseLoader))


def test_the_schema_describes_each_key() -> None:
    assert SCHEMA["properties"]["name"]["description"] == "What it is called."
    assert SCHEMA["properties"]["wheel"]["anyOf"][1] == {"$ref": "#/$defs/wheel"}
