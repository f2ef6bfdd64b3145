"""sdann.zoo.seeded: drawn weights, fitted to images, so that layers are alive."""

import pytest
import torch
from torch import nn

from sdann.datasets import photographs
from sdann.errors import SdannError
from sdann.zoo import network_spec, seeded

torch.set_num_threads(1)


def relus(model: nn.Module, images: torch.Tensor) -> list[float]:
    """Share of what each ReLU lets through."""
    shares: list[float] = []
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(
                lambda module, inputs, output: shares.append(float((output > 0).float().mean()))
            )
    with torch.no_grad():
        model(images)
    return shares


@pytest.mark.parametrize("name", ["vgg16", "resnet18-cifar"])
def test_every_layer_is_alive(name: str) -> None:
    """Without BatchNorm, and with it; also for images that it was not fitted to."""
    spec = network_spec(name, width=4)
    images = torch.from_numpy(photographs(spec.input_shape, 6))
    shares = relus(seeded(spec, images[:4]), images[4:])
    assert min(shares) > 0.2 and len(shares) > 10


def test_batch_norm_has_the_statistics_of_these_images() -> None:
    spec = network_spec("resnet18-cifar", width=2)
    images = torch.from_numpy(photographs(spec.input_shape, 3))
    model = seeded(spec, images)
    stem, norm = model.get_submodule("conv1"), model.get_submodule("bn1")
    with torch.no_grad():
        sums = stem(images)
    torch.testing.assert_close(norm.running_mean, sums.mean((0, 2, 3)))
    torch.testing.assert_close(norm.running_var, sums.var((0, 2, 3)))
    assert not any(module.training for module in model.modules()) and norm.momentum == 0.1


def test_biases_centre_the_sums() -> None:
    spec = network_spec("vgg16", width=2)
    images = torch.from_numpy(photographs(spec.input_shape, 3))
    model = seeded(spec, images)
    means: list[torch.Tensor] = []
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.register_forward_hook(
                lambda module, inputs, output: means.append(output.transpose(0, 1).flatten(1).mean(1))
            )
    with torch.no_grad():
        model(images)
    assert len(means) == 16 and max(float(mean.abs().max()) for mean in means) < 1e-3


def test_the_seed_decides() -> None:
    spec = network_spec("digit-cnn", width=2)
    images = torch.rand(2, 1, 8, 8)
    state = torch.get_rng_state()
    one, two, other = seeded(spec, images), seeded(spec, images), seeded(spec, images, 1)
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))
    assert not torch.equal(one.get_parameter("conv1.weight"), other.get_parameter("conv1.weight"))


def test_photographs() -> None:
    one, two = photographs((3, 40, 40), 3), photographs((3, 40, 40), 3)
    assert one.shape == (3, 3, 40, 40) and (one == two).all()
    assert one.min() < -1 and one.max() > 1  # normalized, so signed
    assert (one != photographs((3, 40, 40), 3, 1)).any() and (one[0] != one[2]).any()
    for shape in ((1, 8, 8), (3, 8, 9)):
        with pytest.raises(SdannError, match=r"photographs are of shape \(3, S, S\)"):
            photographs(shape, 1)
