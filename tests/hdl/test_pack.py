"""Bit packing against Amaranth's own idea of the layouts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hdl.config import preset
from hdl.flit import Flit
from hdl.pack import (
    FieldError,
    FieldRangeError,
    fields,
    pack,
    pack_array,
    pack_rows,
    to_bytes,
    to_ints,
    unpack,
    unpack_array,
    unpack_rows,
)
from hdl.program import Memory, memory_layouts

LAYOUTS = memory_layouts(preset("demo"))


@given(word=st.integers(0, 2**300), memory=st.sampled_from([Memory.CORE, Memory.EDGE, Memory.ROUTE, Memory.REQUANT]))
def test_unpack_equals_amaranth_and_pack_inverts_it(word: int, memory: Memory) -> None:
    layout = LAYOUTS[memory]
    word &= (1 << layout.size) - 1
    values = unpack(layout, word)
    assert set(values) == set(fields(layout))
    assert pack(layout, values, complete=True) == word
    constant = layout.from_bits(word)
    for path, value in values.items():
        found = constant
        for name in path.split("."):
            found = found[int(name) if name.isdigit() else name]
        assert (found.value if hasattr(found, "value") else found) == value


def test_values_out_of_range_are_refused() -> None:
    values = unpack(LAYOUTS[Memory.EDGE], 0)
    for name, value in (("kernel_h", 16), ("kernel_h", -1), ("y_offset", 1 << 6), ("y_offset", -(1 << 6) - 1)):
        with pytest.raises(FieldRangeError, match=rf"{name} is {value}, the chip's field holds -?\d+\.\.\d+") as caught:
            pack(LAYOUTS[Memory.EDGE], values | {name: value})
        assert (caught.value.path, caught.value.value) == (name, value)
    with pytest.raises(FieldError, match="no value is given for field depthwise"):
        pack(LAYOUTS[Memory.EDGE], {"enable": 1}, complete=True)
    assert pack(LAYOUTS[Memory.EDGE], {"enable": 1}) == 1
    with pytest.raises(FieldError, match="there is no field colour; the fields are enable, depthwise"):
        pack(LAYOUTS[Memory.EDGE], {"colour": 1})
    assert issubclass(FieldError, ValueError)


@given(bits=st.integers(2, 16), lanes=st.sampled_from([2, 4, 8]), seed=st.integers(0, 1000))
def test_arrays(bits: int, lanes: int, seed: int) -> None:
    values = np.random.default_rng(seed).integers(-(1 << bits - 1), 1 << bits - 1, (5, lanes))
    blob = pack_array(values, bits)
    expected = [sum((int(v) & ((1 << bits) - 1)) << (i * bits) for i, v in enumerate(row)) for row in values]
    assert to_ints(blob) == expected
    assert (to_bytes(expected, bits * lanes) == blob).all()
    assert (unpack_array(blob, bits, lanes, signed=True) == values).all()
    assert (unpack_array(blob, bits, lanes) == values & ((1 << bits) - 1)).all()


def test_rows_of_a_layout():
    rng = np.random.default_rng(0)
    layout = Flit(preset("test").replace(rows=24, cols=24, data_bits=32, weight_words=4096))
    places = fields(layout)
    memory = [name for name in places if not name.startswith("payload.") or ".memory." in name]
    values = {name: rng.integers(0, 1 << places[name].width, 50) for name in memory}
    rows = pack_rows(layout, values, 50)
    for name in memory:
        np.testing.assert_array_equal(unpack_rows(layout, rows, name), values[name])
    for n, row in enumerate(rows):
        word = unpack(layout, sum(int(piece) << (32 * k) for k, piece in enumerate(row)))
        assert all(word[name] == values[name][n] for name in memory)
    with pytest.raises(FieldRangeError, match="kind is 4"):
        pack_rows(layout, {"kind": np.array([0, 4])}, 2)
    with pytest.raises(FieldError, match="there is no field dst.z0"):
        pack_rows(layout, {"dst.z0": 0}, 2)


def test_signed_fields_of_rows():
    layout = memory_layouts(preset("darwin"))[Memory.CORE]
    values = np.array([-5, 4, -1])
    np.testing.assert_array_equal(unpack_rows(layout, pack_rows(layout, {"lo": values}, 3), "lo"), values)
