"""Data sets: what comes with scikit-learn, and the user's own copies in their formats on disk.

``open_dataset("cifar10:PATH", (3, 32, 32))`` opens one; all have fixed training, validation and test parts.
"""

from .digits import TEST_IMAGES, Digits, digit_integers, load_digits
from .photos import photographs
from .samples import ArraySamples, Dataset, FloatImages, Samples
from .source import SOURCES, WITHOUT_PATH, open_dataset

__all__ = [
    "SOURCES", "TEST_IMAGES", "WITHOUT_PATH", "ArraySamples", "Dataset", "Digits", "FloatImages", "Samples",
    "digit_integers", "load_digits", "open_dataset", "photographs",
]  # fmt: skip
