"""PROPERTIES: what fuzzing tries, each with its draws."""

from collections.abc import Iterator, Mapping, Sequence

from pop3spec.fuzzing import garbage, grammar, plans
from pop3spec.fuzzing.campaign import Property
from pop3spec.fuzzing.play import Play
from pop3spec.fuzzing.steps import Conversation, Step


def _sequences(name: str, layouts: Sequence[plans.Layout]) -> Property:
    def begin(octets: bytes) -> Conversation:
        return plans.conversation(octets, layouts)[0]

    def steps(octets: bytes, play: Play) -> Iterator[Step]:
        layout = plans.conversation(octets, layouts)[1]
        if layout.several > len(play.maildrops):
            # One account is there: its sessions are all on one maildrop.
            layout = plans.Layout(tuple(0 for _ in layout.maildrops))
        return plans.steps(octets, layout, play)

    # One more than the sessions of a layout: the one that looks behind them comes last.
    most = max(len(layout.maildrops) for layout in layouts) + 1
    return Property(name, plans.SIZE, begin, steps, most)


PROPERTIES: Mapping[str, Property] = {
    each.name: each
    for each in (
        _sequences("one-session", (plans.ONE,)),
        _sequences("several-sessions", plans.SEVERAL),
        Property("commands", grammar.SIZE, grammar.begin, grammar.steps, can_stay_outside=True),
        Property("octets", garbage.SIZE, garbage.begin, garbage.steps, can_stay_outside=True),
    )
}
