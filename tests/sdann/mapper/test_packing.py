"""Bit packing against Amaranth's own idea of the layouts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hdl.config import preset
from hdl.program import Memory, memory_layouts
from sdann.errors import DoesNotFitError
from sdann.mapper.packing import pack, pack_array, to_bytes, to_ints, unpack

LAYOUTS = memory_layouts(preset("demo"))


@given(word=st.integers(0, 2**300), memory=st.sampled_from([Memory.CORE, Memory.EDGE, Memory.ROUTE, Memory.REQUANT]))
def test_unpack_equals_amaranth_and_pack_inverts_it(word: int, memory: Memory) -> None:
    layout = LAYOUTS[memory]
    word &= (1 << layout.size) - 1
    fields = unpack(layout, word)
    assert pack(layout, fields) == word
    constant = layout.from_bits(word)
    if memory is Memory.REQUANT:
        assert [f["bias"] for f in fields] == [constant[i].bias for i in range(len(fields))]
    else:
        assert all(getattr(constant, name) == value for name, value in fields.items() if name not in ("dst", "readout"))
        assert memory is not Memory.CORE or constant.readout.value == fields["readout"]


def test_values_out_of_range_are_refused() -> None:
    fields = unpack(LAYOUTS[Memory.EDGE], 0)
    for name, value in (("kernel_h", 16), ("kernel_h", -1), ("y_offset", 1 << 6), ("y_offset", -(1 << 6) - 1)):
        with pytest.raises(DoesNotFitError, match=f"here.{name} is {value}"):
            pack(LAYOUTS[Memory.EDGE], fields | {name: value}, "here")
    with pytest.raises(KeyError):
        pack(LAYOUTS[Memory.EDGE], {"enable": 1})


@given(bits=st.integers(2, 16), lanes=st.sampled_from([2, 4, 8]), seed=st.integers(0, 1000))
def test_arrays(bits: int, lanes: int, seed: int) -> None:
    values = np.random.default_rng(seed).integers(-(1 << bits - 1), 1 << bits - 1, (5, lanes))
    blob = pack_array(values, bits)
    expected = [sum((int(v) & ((1 << bits) - 1)) << (i * bits) for i, v in enumerate(row)) for row in values]
    assert to_ints(blob) == expected
    assert (to_bytes(expected, bits * lanes) == blob).all()
