"""What counts as showing again what was seen."""

from builder.inside.stress.play.events import Event
from builder.inside.stress.proof.proofs import make_predicate
from builder.inside.stress.proof.script_run import Run


def test_a_race_is_shown_by_any_race_of_the_same_cause():
    event: Event = {"what": "race", "places": ["f (a.c)"]}
    alike: list[Event] = [
        {"what": "crash", "signal": "SIGSEGV"},
        {"what": "race", "places": ["g (a.c)"]},
    ]
    reproduces = make_predicate(event, alike)

    def run(*places: str) -> Run:
        return Run(frozenset({"race"}), {(place,): [] for place in places}, output="")

    assert reproduces(run("h (a.c)", "g (a.c)"))
    assert not reproduces(run("h (a.c)"))
    assert not reproduces(Run(frozenset({"crash"}), {}, output=""))
    assert make_predicate(alike[0], [event])(Run(frozenset({"crash"}), {}, output=""))
