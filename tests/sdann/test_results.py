import json

import pytest

from sdann.results import Figure, broken, json_text


@pytest.mark.parametrize(
    ("value", "relation", "holds"),
    [(2, ">=", True), (1, ">=", False), (2, "<=", True), (3, "<=", False), (2, "==", True), (3, "==", False)],
)
def test_bounds(value, relation, holds):
    figure = Figure(name="speed", value=value, bound=2, unit="m/s", relation=relation)
    assert figure.holds is holds
    assert broken([figure]) == ([] if holds else [f"speed: {value} m/s, which must be {relation} 2"])
    assert figure.as_dict() == {"name": "speed", "value": value, "bound": 2, "unit": "m/s"}


def test_without_a_bound_everything_holds():
    assert Figure(name="n", value=-1, unit="").holds


def test_json_refuses_what_json_has_no_word_for():
    assert json.loads(json_text({"a": 1, "b": None})) == {"a": 1, "b": None}
    with pytest.raises(ValueError, match="JSON compliant"):
        json_text({"a": float("nan")})
