"""Every field of the chip configuration has limits, which are refused by name, and counts for the fingerprint."""

import dataclasses
import re

import pytest

from hdl.config import PRESETS, ChipConfig, ConfigError, bits_for, preset

FIELDS = [field.name for field in dataclasses.fields(ChipConfig) if field.name != "name"]
BASE = preset("test")


def limits(field: str) -> tuple[int, int]:
    """Smallest and largest value, from the message that refuses another one."""
    with pytest.raises(ConfigError) as refused:
        BASE.replace(**{field: -1})
    match = re.fullmatch(rf"{field} must be between (\d+) and (\d+), not -1", str(refused.value))
    assert match is not None, refused.value
    return int(match[1]), int(match[2])


@pytest.mark.parametrize("field", FIELDS)
def test_limits(field: str) -> None:
    low, high = limits(field)
    assert low < high and low <= getattr(BASE, field) <= high
    for value in (low - 1, high + 1):
        with pytest.raises(ConfigError, match=f"^{field} must be between {low} and {high}, not {value}$"):
            BASE.replace(**{field: value})
    for value in (1.5, "3", None, True):
        with pytest.raises(ConfigError, match=f"^{field} must be an integer, not {value!r}$"):
            BASE.replace(**{field: value})
    related = {"lanes": high, "requant_lanes": high} if field in ("lanes", "requant_lanes") else {}
    for value in (low, high):  # both ends are chips
        changes = {"lanes": value, "requant_lanes": value} if related and value == high else {field: value}
        assert getattr(BASE.replace(**changes), field) == value


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_counts_for_the_fingerprint(field: str) -> None:
    value = getattr(BASE, field)
    low, high = limits(field)
    other = next(v for v in (value * 2, value // 2) if low <= v <= high and v != value)
    changes = {field: other} | ({"requant_lanes": 1} if field == "lanes" else {})
    changed = BASE.replace(**changes)
    assert changed.fingerprint != BASE.replace(**{k: v for k, v in changes.items() if k != field}).fingerprint
    assert ChipConfig.from_dict(changed.as_dict()) == changed


def test_the_name_does_not() -> None:
    assert BASE.replace(name="other").fingerprint == BASE.fingerprint != preset("demo").fingerprint


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": 1, "cols": 1}, "rows x cols must be at least 2"),
        ({"lanes": 12, "requant_lanes": 4}, "lanes must be a power of two, not 12"),
        ({"requant_lanes": 3}, r"requant_lanes must divide lanes \(4\), not be 3"),
        ({"queue_depth": 6}, "queue_depth must be a power of two, not 6"),
        ({"colour": 1}, r"unknown chip configuration field\(s\): colour"),
    ],
)
def test_fields_that_do_not_go_together(changes: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        BASE.replace(**changes)


def test_rows_and_columns_must_be_given() -> None:
    with pytest.raises(ConfigError, match="chip configuration lacks: cols"):
        ChipConfig.from_dict({"rows": 2})


def test_presets() -> None:
    assert all(preset(name) is config and config.name == name for name, config in PRESETS.items())
    assert len({config.fingerprint for config in PRESETS.values()}) == len(PRESETS)
    with pytest.raises(ConfigError, match="unknown preset 'none'; known presets: test, demo, ecp5_85k, darwin"):
        preset("none")


@pytest.mark.parametrize(("maximum", "bits"), [(0, 1), (1, 1), (2, 2), (255, 8), (256, 9)])
def test_bits_for(maximum: int, bits: int) -> None:
    assert bits_for(maximum) == bits
