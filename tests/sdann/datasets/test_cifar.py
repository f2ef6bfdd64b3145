"""sdann.datasets.cifar, on small files in the formats of the real archives."""

import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sdann.datasets.cifar import load_cifar
from sdann.errors import FileFormatError

PER_FILE = 20  # images; the real files have 10,000
IMAGES = 6 * PER_FILE
FILES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch")


def python2_pickle(labels_key: str, labels: list[int], pixels: np.ndarray) -> bytes:
    """What Python 2's cPickle.dump(..., protocol=2) wrote for {"batch_label", labels_key, "data", "filenames"}."""

    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value

    def numbers(values: list[int]) -> bytes:
        return b"](" + b"".join(b"K" + bytes([v]) for v in values) + b"e"

    data = pixels.tobytes()
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b") + b"\x87R(K\x01"
        + b"M" + struct.pack("<H", len(pixels)) + b"M" + struct.pack("<H", pixels.shape[1]) + b"\x86"
        + b"cnumpy\ndtype\n" + text(b"u1") + b"K\x00K\x01\x87R(K\x03" + text(b"|")
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T" + struct.pack("<i", len(data)) + data + b"tb"
    )  # fmt: skip
    entries = [
        text(b"batch_label") + text(b"training batch 1 of 5"), text(labels_key.encode()) + numbers(labels),
        text(b"data") + array, text(b"filenames") + b"](" + text(b"leptodactylus_pentadactylus_s_000004.png") + b"e",
    ]  # fmt: skip
    return b"\x80\x02}(" + b"".join(entries) + b"u."


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(256, size=(IMAGES, 3072), dtype=np.uint8)


@pytest.fixture
def labels() -> np.ndarray:
    return np.random.default_rng(1).integers(10, size=IMAGES)


def write_python(folder: Path, pixels: np.ndarray, labels: np.ndarray) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(FILES):
        chosen = slice(number * PER_FILE, (number + 1) * PER_FILE)
        (folder / name).write_bytes(python2_pickle("labels", labels[chosen].tolist(), pixels[chosen]))
    names = {"label_names": [f"class{n}" for n in range(10)], "num_vis": 3072}
    (folder / "batches.meta").write_bytes(pickle.dumps(names, protocol=2))


def write_binary(folder: Path, pixels: np.ndarray, labels: np.ndarray) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    records = np.concatenate([labels[:, None].astype(np.uint8), pixels], axis=1)
    for number, name in enumerate(FILES):
        (folder / f"{name}.bin").write_bytes(records[number * PER_FILE : (number + 1) * PER_FILE].tobytes())
    (folder / "batches.meta.txt").write_text("".join(f"class{n}\n" for n in range(10)) + "\n")


WRITERS = {"cifar-10-batches-py": write_python, "cifar-10-batches-bin": write_binary}


@pytest.mark.parametrize("folder", WRITERS)
def test_both_versions(tmp_path: Path, pixels: np.ndarray, labels: np.ndarray, folder: str) -> None:
    WRITERS[folder](tmp_path / folder, pixels, labels)
    for path in (tmp_path, tmp_path / folder):
        data = load_cifar(path, images=IMAGES)
        assert (len(data.train), len(data.validation), len(data.test)) == (90, 10, PER_FILE)
        assert data.classes[3] == "class3" and data.input_shape == (3, 32, 32)
        parts = [part.batch(range(len(part))) for part in (data.train, data.validation, data.test)]
        np.testing.assert_array_equal(np.concatenate([y for _, y in parts]), labels)
        found = np.concatenate([x for x, _ in parts])
    # The red value in row 2, column 5 of image 7, normalized; planes are red, green, blue.
    assert found.dtype == np.float32
    assert found[7, 0, 2, 5] == pytest.approx((pixels[7, 2 * 32 + 5] / 255 - 0.4914) / 0.2470, abs=1e-6)
    assert found[7, 2, 0, 0] == pytest.approx((pixels[7, 2048] / 255 - 0.4465) / 0.2616, abs=1e-6)


def test_both_versions_are_equal(tmp_path: Path, pixels: np.ndarray, labels: np.ndarray) -> None:
    both = []
    for folder, write in WRITERS.items():
        write(tmp_path / folder, pixels, labels)
        both.append(load_cifar(tmp_path / folder, images=IMAGES).train.batch(range(30))[0])
    np.testing.assert_array_equal(*both)


@pytest.mark.parametrize("version", ["python", "binary"])
def test_cifar100_takes_the_fine_labels(tmp_path: Path, pixels: np.ndarray, version: str) -> None:
    fine, coarse = np.arange(IMAGES) % 100, np.arange(IMAGES) % 20
    folder = tmp_path / f"cifar-100-{version}"
    folder.mkdir()
    for name, chosen in (("train", slice(0, 100)), ("test", slice(100, IMAGES))):
        if version == "python":
            batch: dict[str, Any] = {"data": pixels[chosen], "coarse_labels": coarse[chosen].tolist()}
            batch |= {"fine_labels": fine[chosen].tolist()}
            (folder / name).write_bytes(pickle.dumps(batch, protocol=2))  # as Python 3 writes it
        else:
            records = np.column_stack([coarse[chosen], fine[chosen], pixels[chosen]]).astype(np.uint8)
            (folder / f"{name}.bin").write_bytes(records.tobytes())
    names = [f"fine{n}" for n in range(100)]
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": names}, protocol=2))
    (folder / "fine_label_names.txt").write_text("\n".join(names))
    data = load_cifar(tmp_path, classes=100, images=IMAGES)
    np.testing.assert_array_equal(data.train.batch(range(90))[1], fine[:90])
    assert data.classes[99] == "fine99" and len(data.test) == 20


def test_training_images_are_shifted_and_mirrored(tmp_path: Path, pixels: np.ndarray, labels: np.ndarray) -> None:
    write_binary(tmp_path, pixels, labels)
    train = load_cifar(tmp_path, images=IMAGES).train
    plain, _ = train.batch([4] * 200)
    varied, _ = train.batch([4] * 200, np.random.default_rng(0))
    again, _ = train.batch([4] * 200, np.random.default_rng(0))
    assert (varied == again).all() and len({image.tobytes() for image in varied}) > 60
    forms = set()
    padded = np.pad(plain[0], ((0, 0), (4, 4), (4, 4)))
    for y in range(9):
        for x in range(9):
            forms |= {padded[:, y : y + 32, x : x + 32][..., ::step].tobytes() for step in (1, -1)}
    assert {image.tobytes() for image in varied} <= forms


class Call:
    def __reduce__(self) -> Any:
        return print, ("a pickle ran code",)


DAMAGE = {
    "missing": (None, "no such file"),
    "empty": (b"", "not a readable data file"),
    "noise": (b"\x93 is no pickle", "not a readable data file"),
    "code": (pickle.dumps({"data": Call()}), r"builtins\.print, which no data file needs"),
    "list": (pickle.dumps([1, 2]), "holds a list, not a batch"),
    "few": (pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [1, 2]}), "holds 2 images, not 20"),
    "shape": (pickle.dumps({"data": np.zeros((20, 9), np.uint8), "labels": [0] * 20}), "not an array of bytes"),
    "labels": (pickle.dumps({"data": np.zeros((20, 3072), np.uint8), "labels": [0] * 19}), "not a list of 20 integers"),
    "range": (pickle.dumps({"data": np.zeros((20, 3072), np.uint8), "labels": [10] * 20}), r"labels outside 0\.\.9"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_pickles(
    tmp_path: Path, pixels: np.ndarray, labels: np.ndarray, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_python(tmp_path, pixels, labels)
    content, message = DAMAGE[damage]
    (tmp_path / "data_batch_3").unlink()
    if content is not None:
        (tmp_path / "data_batch_3").write_bytes(content)
    with pytest.raises(FileFormatError, match=rf"data_batch_3: .*{message}.*again"):
        load_cifar(tmp_path, images=IMAGES)
    assert "ran code" not in capsys.readouterr().out


def test_truncated_binary_file(tmp_path: Path, pixels: np.ndarray, labels: np.ndarray) -> None:
    write_binary(tmp_path, pixels, labels)
    path = tmp_path / "test_batch.bin"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(FileFormatError, match=r"test_batch\.bin: 61459 bytes are not whole records of 3073"):
        load_cifar(tmp_path, images=IMAGES)
    path.write_bytes(whole[:-3073])
    with pytest.raises(FileFormatError, match=r"test_batch\.bin: holds 19 images, not 20"):
        load_cifar(tmp_path, images=IMAGES)
    path.unlink()
    with pytest.raises(FileFormatError, match=r"test_batch\.bin: no such file"):
        load_cifar(tmp_path, images=IMAGES)


def test_missing_names(tmp_path: Path, pixels: np.ndarray, labels: np.ndarray) -> None:
    write_binary(tmp_path, pixels, labels)
    (tmp_path / "batches.meta.txt").write_text("cat dog")
    with pytest.raises(FileFormatError, match=r"batches\.meta\.txt: names 2 classes, not 10"):
        load_cifar(tmp_path, images=IMAGES)


def test_another_folder(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"no CIFAR-100 here; .*cifar-100-python or cifar-100-binary.*https:"):
        load_cifar(tmp_path, classes=100)
