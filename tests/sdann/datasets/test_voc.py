"""sdann.datasets.voc, on two photographs in VOC2007's folders."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sdann.datasets.voc import CLASSES, load_voc, read_annotation
from sdann.detection import Boxes, iou
from sdann.errors import FileFormatError

ANNOTATION = """<annotation>
	<folder>VOC2007</folder>
	<filename>000005.jpg</filename>
	<source><database>The VOC2007 Database</database></source>
	<size><width>{width}</width><height>{height}</height><depth>3</depth></size>
	<segmented>0</segmented>
	{objects}
</annotation>
"""
OBJECT = """<object>
		<name>{name}</name><pose>Rear</pose><truncated>0</truncated><difficult>{difficult}</difficult>
		<bndbox><xmin>{box[0]}</xmin><ymin>{box[1]}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox>
	</object>"""


def write(root: Path, name: str, *objects: str, size: tuple[int, int] = (100, 50)) -> None:
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    columns = np.linspace(0, 255, size[0]).astype(np.uint8)
    Image.fromarray(np.tile(columns, (size[1], 1))).convert("RGB").save(root / "JPEGImages" / f"{name}.jpg")
    text = ANNOTATION.format(width=size[0], height=size[1], objects="\n".join(objects))
    (root / "Annotations" / f"{name}.xml").write_text(text)


def thing(name: str, *box: int, difficult: int = 0) -> str:
    return OBJECT.format(name=name, box=box, difficult=difficult)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "VOCdevkit" / "VOC2007"
    write(root, "000005", thing("dog", 1, 1, 50, 25), thing("person", 61, 11, 80, 50, difficult=1))
    write(root, "000007", thing("aeroplane", 1, 1, 100, 50))
    write(root, "000012", size=(30, 40))
    for part, names in (("train", "000005\n000012\n"), ("val", "000007\n"), ("test", "000012\n")):
        (root / "ImageSets" / "Main" / f"{part}.txt").write_text(names)
    return root


def test_parts_and_boxes(root: Path) -> None:
    for path in (root, root.parent, root.parent.parent):
        data = load_voc(path, side=32)
        assert (len(data.train), len(data.validation), len(data.test)) == (2, 1, 1)
    assert data.classes == CLASSES and len(CLASSES) == 20 and tuple(sorted(CLASSES)) == CLASSES
    images, boxes = data.train.batch([0, 1])
    assert images.shape == (2, 3, 32, 32) and images.dtype == np.float32
    np.testing.assert_allclose(boxes[0].corners, [[0, 0, 0.5, 0.5], [0.6, 0.2, 0.8, 1]])
    assert [CLASSES[label] for label in boxes[0].labels] == ["dog", "person"]
    assert boxes[0].difficult.tolist() == [False, True] and boxes[1].corners.shape == (0, 4)
    whole = data.validation.batch([0])[1][0]
    assert whole.corners.tolist() == [[0, 0, 1, 1]] and whole.labels.tolist() == [0]


def test_training_moves_image_and_boxes_together(root: Path) -> None:
    # The dog is the image's darker half, and what is outside of it the brighter half.
    train = load_voc(root, side=64).train
    mirrored = 0
    for seed in range(20):
        images, boxes = train.batch([0], np.random.default_rng(seed))
        again, _ = train.batch([0], np.random.default_rng(seed))
        assert (images == again).all()
        dog = boxes[0].corners[boxes[0].labels == CLASSES.index("dog")]
        if len(dog) == 0:
            continue
        left, _, right, _ = np.rint(dog[0] * 64).astype(int)
        red = images[0, 0] * 0.229 + 0.485
        outside = np.delete(red, np.s_[left:right], axis=1)
        assert red[:, left:right].max() < 0.53 and outside.min() > 0.47
        mirrored += red[0, 0] > red[0, -1]
    assert 3 < mirrored < 17


def test_object_without_difficult(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    text = ANNOTATION.format(width=10, height=10, objects=thing("cat", 1, 1, 5, 5))
    path.write_text(text.replace("<difficult>0</difficult>", ""))
    assert read_annotation(path).difficult.tolist() == [False]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("</annotation>", "", "not a readable annotation"),
        ("<name>dog</name>", "<name>wolf</name>", "not a readable annotation"),
        ("<xmax>50</xmax>", "<xmax>500</xmax>", "not inside the image"),
        ("<xmax>50</xmax>", "<xmax>0</xmax>", "no area"),
        ("<xmax>50</xmax>", "", "<bndbox/xmax> is missing"),
        ("<width>100</width>", "<width>wide</width>", "wide"),
        ("<width>100</width>", "<width>0</width>", "division by zero"),
        ("<size>", "<sized>", "not a readable annotation"),
    ],
)
def test_damaged_annotation(root: Path, old: str, new: str, message: str) -> None:
    path = root / "Annotations" / "000005.xml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(FileFormatError, match=rf"000005\.xml: .*{message}.*unpack VOC2007 again"):
        load_voc(root)


def test_missing_files(root: Path, tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"no VOC2007 here; unpack VOCtrainval"):
        load_voc(tmp_path / "nowhere")
    for part, message in (
        ("JPEGImages/000007.jpg", "no such image"), ("Annotations/000012.xml", "no such annotation"),
        ("ImageSets/Main/test.txt", "no such file"),
    ):  # fmt: skip
        content = (root / part).read_bytes()
        (root / part).unlink()
        with pytest.raises(FileFormatError, match=rf"{Path(part).name}: {message}"):
            load_voc(root)
        (root / part).write_bytes(content)
    (root / "ImageSets/Main/val.txt").write_text("\n")
    with pytest.raises(FileFormatError, match=r"val\.txt: names no images"):
        load_voc(root)


def test_boxes_and_iou_by_hand() -> None:
    a = np.array([[0, 0, 0.5, 0.5], [0, 0, 1, 1], [0.2, 0.2, 0.2, 0.4]])
    b = np.array([[0.25, 0, 0.75, 0.5], [0.6, 0.6, 0.8, 0.8]])
    np.testing.assert_allclose(iou(a, b), [[1 / 3, 0], [0.25, 0.04], [0, 0]])
    np.testing.assert_allclose(iou(a, b), iou(b, a).T)
    assert iou(a[:0], b).shape == (0, 2)
    with pytest.raises(Exception, match="need corners of shape"):
        Boxes(corners=np.zeros((1, 4)), labels=np.zeros(2, dtype=np.int64), difficult=np.zeros(2, dtype=bool))
