"""sdann.training: the loop, resuming, options, scores."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from sdann.datasets import ArraySamples, Dataset, open_dataset
from sdann.errors import FileFormatError, SdannError
from sdann.training import TrainOptions, evaluate, train
from sdann.training.options import device_of, threads
from sdann.zoo import NetworkSpec, network_spec

torch.set_num_threads(1)

SPEC = network_spec("cifar10net", width=2)
"""It has dropout, so its training depends on torch's generator as well."""


@pytest.fixture(scope="module")
def data() -> Dataset:
    """A few scaled digits; 65 to train, so the last batch is short."""
    whole = open_dataset("digits32", (3, 32, 32))
    images, labels = whole.train.batch(range(105))

    def part(chosen: slice) -> ArraySamples:
        return ArraySamples(images=images[chosen], labels=labels[chosen])

    return Dataset(
        name="few", task="classification", input_shape=(3, 32, 32), classes=whole.classes, train=part(slice(65)),
        validation=part(slice(65, 85)), test=part(slice(85, 105)),
    )  # fmt: skip


def options(**changes: Any) -> TrainOptions:
    return TrainOptions(**{"epochs": 4, "batch": 16, "rate": 0.02, "warmup": 3, "seed": 5, "device": "cpu"} | changes)


def same(one: nn.Module, two: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), two.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


class Interrupted(Exception):
    pass


def test_resumed_training_ends_in_the_same_weights(data: Dataset, tmp_path: Path) -> None:
    whole = train(SPEC, data, options())
    checkpoint = tmp_path / "deep" / "state"

    def stop(done: int, total: int) -> None:
        assert total == 20
        if done == 13:  # in the third epoch
            raise Interrupted

    with pytest.raises(Interrupted):
        train(SPEC, data, options(), checkpoint=checkpoint, progress=stop)
    torch.manual_seed(99)  # whatever else went on meanwhile
    seen: list[dict[str, Any]] = []
    resumed = train(SPEC, data, options(), checkpoint=checkpoint, resume=True, log=seen.append)
    assert [record["epoch"] for record in seen] == [3, 4]
    assert same(whole, resumed)
    assert not same(whole, train(SPEC, data, options(seed=6)))
    again = train(SPEC, data, options(), checkpoint=checkpoint, resume=True, log=seen.append)
    assert same(whole, again) and len(seen) == 2  # nothing was left to do


def test_everything_in_a_checkpoint_matters(data: Dataset, tmp_path: Path) -> None:
    """A checkpoint that lacks one of its parts leads to other weights: the test above can fail."""
    whole = train(SPEC, data, options())
    checkpoint = tmp_path / "state"

    def stop(done: int, total: int) -> None:
        if done == 11:
            raise Interrupted

    with pytest.raises(Interrupted):
        train(SPEC, data, options(), checkpoint=checkpoint, progress=stop)
    state = torch.load(checkpoint, weights_only=True)
    fresh = SPEC.build()
    optimizer = torch.optim.SGD(fresh.parameters(), lr=0.02, momentum=0.9)
    changes = {
        "model": fresh.state_dict(), "optimizer": state["optimizer"] | {"state": optimizer.state_dict()["state"]},
        "scheduler": state["scheduler"] | {"last_epoch": 3}, "rng": torch.Generator().manual_seed(1).get_state(),
        "epoch": 1,
    }  # fmt: skip
    for key, value in changes.items():
        torch.save(state | {key: value}, checkpoint)
        assert not same(whole, train(SPEC, data, options(), checkpoint=checkpoint, resume=True)), key
    torch.save(state, checkpoint)
    assert same(whole, train(SPEC, data, options(), checkpoint=checkpoint, resume=True))


def test_resuming_another_training_is_refused(data: Dataset, tmp_path: Path) -> None:
    checkpoint = tmp_path / "state"
    with pytest.raises(FileFormatError, match="no such file, so there is nothing to resume"):
        train(SPEC, data, options(), checkpoint=checkpoint, resume=True)
    train(SPEC, data, options(epochs=1), checkpoint=checkpoint)
    with pytest.raises(SdannError, match=r"checkpoint / this: epochs 1 / 2, rate 0\.02 / 0\.03; use the same options"):
        train(SPEC, data, options(epochs=2, rate=0.03), checkpoint=checkpoint, resume=True)
    with pytest.raises(SdannError, match="width 2 / 3"):
        train(network_spec("cifar10net", width=3), data, options(epochs=1), checkpoint=checkpoint, resume=True)
    for content in (b"", b"no checkpoint", checkpoint.read_bytes()[:1000]):
        checkpoint.write_bytes(content)
        with pytest.raises(FileFormatError, match="not a readable checkpoint"):
            train(SPEC, data, options(), checkpoint=checkpoint, resume=True)
    torch.save({"format": "sdann-training", "version": 2}, checkpoint)
    with pytest.raises(FileFormatError, match="version 2"):
        train(SPEC, data, options(), checkpoint=checkpoint, resume=True)


def test_training_is_reproducible_learns_and_reports() -> None:
    data = open_dataset("digits", (1, 8, 8))
    spec = network_spec("digit-cnn", width=4)
    seen: list[dict[str, Any]] = []
    batches: list[tuple[int, int]] = []
    state = torch.get_rng_state()
    one = train(
        spec, data, TrainOptions(epochs=3, device="cpu"), log=seen.append, progress=lambda *n: batches.append(n)
    )
    two = train(spec, data, TrainOptions(epochs=3, device="cpu"))
    assert same(one, two) and not one.training and (torch.get_rng_state() == state).all()
    assert [record["epoch"] for record in seen] == [1, 2, 3] and batches == [(n, 57) for n in range(1, 58)]
    assert seen[0]["loss"] > 2 * seen[2]["loss"] and seen[0]["rate"] == spec.recipe.rate > seen[2]["rate"] > 0
    score = evaluate(one, spec, data.validation)
    assert seen[2]["validation"] == {"measure": "accuracy", "value": score.value, "samples": 237} == score.data
    assert score.value > 0.85


def test_rates_rise_and_fall(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []

    class Spy(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            rates.append(self.param_groups[0]["lr"])
            return super().step(closure)

    monkeypatch.setattr(torch.optim, "SGD", Spy)
    train(SPEC, data, options(epochs=2))
    # The last batch of each epoch has one image, which BatchNorm cannot take: a step of the schedule all the same.
    assert len(rates) == 8
    np.testing.assert_allclose(rates[:4], [0.005, 0.01, 0.015, 0.02])
    steps = np.array([3, 5, 6, 7, 8])
    np.testing.assert_allclose(rates[3:], 0.01 * (1 + np.cos(np.pi * (steps - 3) / 7)))


def test_detector_learns() -> None:
    data = open_dataset("scenes", (1, 32, 32))
    few = Dataset(**vars(data) | {"train": _first(data.train, 64), "validation": _first(data.validation, 30)})
    seen: list[dict[str, Any]] = []
    spec = network_spec("digit-yolo", width=4)
    model = train(spec, few, TrainOptions(epochs=4, device="cpu"), log=seen.append)
    assert seen[3]["loss"] < 0.7 * seen[0]["loss"]
    assert set(seen[3]["validation"]) == {"measure", "value", "samples", "coco"}
    model.train()
    assert evaluate(model, spec, few.validation).measure == "mAP@0.5" and model.training


def _first(samples: Any, count: int) -> Any:
    return type(samples)(**vars(samples) | {"count": count})


def test_evaluation_of_a_known_network() -> None:
    class Sum(nn.Module):
        """Says class 1 for bright images."""

        def __init__(self) -> None:
            super().__init__()
            self.bias = nn.Parameter(torch.tensor(0.5))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            mean = x.mean((1, 2, 3))
            return torch.stack([0 * mean + self.bias, mean], 1)

    images = np.ones((250, 1, 8, 8), dtype=np.float32) * np.linspace(0, 1, 250, dtype=np.float32)[:, None, None, None]
    labels = (np.arange(250) >= 100).astype(np.int64)
    spec = network_spec("digit-cnn", classes=2)
    assert evaluate(Sum(), spec, ArraySamples(images=images, labels=labels)).value == 225 / 250


def test_data_that_does_not_fit(data: Dataset) -> None:
    def refused(spec: NetworkSpec, dataset: Dataset, message: str) -> None:
        with pytest.raises(SdannError, match=message):
            train(spec, dataset, options())

    refused(network_spec("digit-yolo"), data, "digit-yolo is for detection, and data set few for classification")
    refused(network_spec("digit-cnn"), data, r"takes images of shape \(1, 8, 8\), not \(3, 32, 32\)")
    refused(network_spec("cifar10net", classes=100), data, "build it with classes=10")


def test_options() -> None:
    spec = network_spec("digit-yolo")
    recipe = TrainOptions(epochs=3, rate=0.5).recipe(spec, "scenes")
    assert (recipe.epochs, recipe.rate) == (3, 0.5) and recipe.batch == spec.recipe.batch
    for wrong in ({"epochs": 0}, {"batch": 1}, {"rate": -1.0}, {"decay": -0.1}):
        with pytest.raises(SdannError, match=f"{next(iter(wrong))} must be at least"):
            TrainOptions(**wrong).recipe(spec, "scenes")  # type: ignore[arg-type]
    assert network_spec("resnet18").recipe.rate == network_spec("cifar10net").recipe.rate == 0.1  # the paper's
    assert network_spec("yolov1-resnet34").recipe.rate == 0.001
    for name in ("cifar10net", "resnet18-cifar"):
        assert TrainOptions(batch=8).recipe(network_spec(name), "digits32").epochs == 2
        assert TrainOptions(batch=8).recipe(network_spec(name), "cifar10").epochs == 200


def test_devices_and_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_of("auto") == device_of("cpu") == torch.device("cpu")
    with pytest.raises(SdannError, match="torch sees no GPU here; use --device cpu"):
        device_of("cuda")
    for count, parameters, expected in ((None, 10, 1), (None, 10**7, 1), (2, 10, 2)):
        with threads(count, parameters):
            assert torch.get_num_threads() == expected
        assert torch.get_num_threads() == 1
