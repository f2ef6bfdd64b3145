"""Parts of the two photographs that come with scikit-learn: images of natural statistics, where no data set is."""

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from ..errors import SdannError
from ..graph import Shape
from .images import normalized, random_crop
from .samples import FloatImages

__all__ = ["photographs"]


def photographs(input_shape: Shape, count: int, seed: int | tuple[int, ...] = 0) -> FloatImages:
    """``count`` random parts, [N, 3, S, S], normalized as ImageNet's images, so signed. The same for the same seed.

    They have no labels and no parts of their own: good to calibrate seeded weights and to compare models, not to
    train. Raises SdannError for a shape that is not (3, S, S).
    """
    channels, height, width = input_shape
    if channels != 3 or height != width:
        raise SdannError(f"photographs are of shape (3, S, S), the network takes {input_shape}: use other data")
    photos = [Image.fromarray(photo) for photo in load_sample_images().images]
    rng = np.random.default_rng(seed)
    return np.stack([normalized(random_crop(photos[n % len(photos)], height, rng)) for n in range(count)])
