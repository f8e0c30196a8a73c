from typing import Any

from builder.inside.stress.measure.speed_calls import choose_calls


def operation(text: str, *native: str, **more: Any) -> dict[str, Any]:
    return {"text": text, "native": list(native), "direct": True, "changes": False, **more}


def surface(
    functions: list[list[dict[str, Any]]], subjects: dict[str, list[dict[str, Any]]] | None = None
) -> dict[str, Any]:
    return {
        "functions": [{"name": "f", "operations": listed} for listed in functions],
        "subjects": [
            {"make": make, "operations": listed} for make, listed in (subjects or {}).items()
        ],
    }


def test_one_straight_call_of_each_callable_is_chosen():
    learnt = surface(
        [[operation("p.wrapped(1)", "p._n.f", direct=False), operation("p._n.f(1)", "p._n.f"), operation("p._n.f(2)", "p._n.f")],
         [operation("p.g(a)", "p.g", argument="[1]"), operation("p.g(values.Slow(1))", "p.g")]],
        {"p.Box()": [operation("s.put(1)", "p.Box.put", changes=True), operation("s.size", "p.Box.size"),
                     operation("repr(s)", "p.Box.__repr__"), operation("s.get()", "p.Box.get", "p._n.f")]},
    )  # fmt: skip
    chosen = [(call["make"], call["text"]) for call in choose_calls(learnt)]
    assert chosen == [
        ("p.Box()", "s.get()"),
        ("p.Box()", "s.put(1)"),
        (None, "p._n.f(1)"),
        ("p.Box()", "repr(s)"),
    ]


def test_of_many_some_are_chosen_evenly_and_always_the_same():
    learnt = surface(
        [[operation(f"p.f{number:03}(1)", f"p.f{number:03}")] for number in range(100)]
    )
    texts = [call["text"] for call in choose_calls(learnt)]
    assert len(texts) == 24
    assert texts[0] == "p.f000(1)"
    assert texts[7] > "p.f080(1)", "eight are measured, as evenly spread as those that are tried"
    assert texts == [call["text"] for call in choose_calls(learnt)]
