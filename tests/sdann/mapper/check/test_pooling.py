"""Pooling windows: whole, inside one core, the same everywhere."""

import pytest

from hdl.program import Memory
from sdann.mapper import ImageError, ProgramImage, check_image

from .conftest import core_of, with_field, with_manifest


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pool_kernel": 0}, r"pool_kernel 0 not in 1\.\.4"),
        ({"pool_kernel": 5}, r"pool_kernel 5 not in 1\.\.4"),
        ({"pool_stride_log2": 3}, r"pool_stride_log2 3"),
        ({"pool_y": 3}, "pool_y 3 makes a padding of 3"),
        ({"pool_y": 0}, r"the layer's map has 3 positions along y, windows make 2"),
        ({"pool_x": 0}, r"pool window \(kernel, stride, padding\) \(3, 2, 0\) along x, others .* \(3, 2, 1\)"),
        ({"pool_kernel": 2}, r"windows make 4|windows along y need neurons"),
        ({"pool_kernel": 4}, "along y, windows make 3|windows along y need|along y"),
        ({"pool_stride_log2": 1, "pool_kernel": 4}, "windows along y need neurons|windows make"),
        ({"pool_stride_log2": 0}, "windows make 6|pool_"),
    ],
)
def test_windows_of_the_first_core(rich: ProgramImage, changes: dict[str, int], words: str) -> None:
    core = core_of(rich, "conv")
    with pytest.raises(ImageError, match=words) as caught:
        check_image(with_field(rich, core, Memory.CORE, 0, changes))
    assert str(core) in str(caught.value)


def test_cores_of_a_layer_pool_alike(rich: ProgramImage) -> None:
    core = core_of(rich, "conv", 1)
    with pytest.raises(ImageError, match=r"core \(0, 3\) .*: pool window .* others of the layer have \(3, 2, 1\)"):
        check_image(with_field(rich, core, Memory.CORE, 0, {"pool_kernel": 2}))


def test_windows_and_neurons(rich: ProgramImage) -> None:
    """The second row tile with one row of neurons too few, and with other channels than it pools."""

    def shorter(m):
        m["cores"][2]["region"].update(y0=4, height=2)

    bad = with_field(
        with_manifest(rich, shorter), (0, 3), Memory.CORE, 0, {"height": 2, "words": 24, "pool_y": 1}
    )  # fmt: skip
    with pytest.raises(ImageError, match=r"windows along y need neurons 3\.\.5, the region has 4\.\.5"):
        check_image(bad)


def test_channels(rich: ProgramImage) -> None:
    """Two cores that hold each other's channels: together they still cover the map."""

    def crossed(m):
        low, high = (dict(m["cores"][1], y=0, x=x) for x in (2, 3))
        whole = {"y0": 0, "height": 3, "x0": 0, "width": 3}
        for core, own, other in ((low, (0, 4), (4, 2)), (high, (4, 2), (0, 4))):
            core["region"] = {"y0": 0, "height": 6, "x0": 0, "width": 6, "channel0": own[0], "channels": own[1]}
            core["pooled"] = whole | {"channel0": other[0], "channels": other[1]}
        m["cores"][1:3] = low, high

    from sdann.mapper.check.decoded import Decoded
    from sdann.mapper.check.pooling import check_pooling

    with pytest.raises(ImageError, match=r"core \(0, 2\) \(conv\): pooled channels differ from the neurons' channels"):
        check_pooling(Decoded(with_manifest(rich, crossed)))
