from pathlib import Path

import pytest
import torch

from sdann.paper import Setup
from sdann.paper.chip import ChipOptions
from sdann.paper.subject import Subject, make_subject


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("paper")


@pytest.fixture(scope="session")
def subject(folder: Path) -> Subject:
    """The digit CNN, trained briefly."""
    torch.set_num_threads(1)
    return make_subject("digit-cnn", folder, epochs=4, limit=60)


@pytest.fixture(scope="session")
def setup(subject: Subject, folder: Path) -> Setup:
    """The RTL's place in its tables is taken by the tile model: test_on_rtl.py has the RTL."""
    chip = ChipOptions(samples=2, simulator="tiles")
    return Setup(subjects=(subject,), folder=folder, quick=True, chip=chip)
