"""The last step of an import: the output becomes the last layer, and the layers a model."""

from ..errors import UnsupportedError
from ..float_model import FloatModel
from ..graph import INPUT, Shape
from .builder import Builder
from .merge import merged, without_dead
from .op import Op
from .values import Affine, Value

__all__ = ["float_model", "map_shape"]


def map_shape(shape: tuple[int, ...]) -> Shape:
    """One sample's shape as (channels, height, width); raises UnsupportedError for one that is no map."""
    if len(shape) == 1:
        return shape[0], 1, 1
    if len(shape) == 2:
        return shape[0], 1, shape[1]
    if len(shape) == 3:
        return shape[0], shape[1], shape[2]
    raise UnsupportedError(f"an input of shape {shape} per sample; give (channels, height, width), or (features,)")


def float_model(builder: Builder, output: Value, name: str, input_shape: Shape) -> FloatModel:
    """The model of ``builder``'s layers that ends in ``output``; raises UnsupportedError where it cannot end there."""
    if len(output.parts) != 1:
        names = ", ".join(repr(part.name if isinstance(part, Affine) else part.source) for part in output.parts)
        raise UnsupportedError(f"the output concatenates {names}; concatenate on the host, or end with a convolution")
    last = output.parts[0]
    if isinstance(last, Affine):
        if last.pool is not None:
            raise UnsupportedError(f"layer {last.name!r}: max pooling of the output without ReLU; pool on the host")
        last = builder.layer(last, Op("output", "output", {}, ()), relu=False)
    if last.source == INPUT:
        raise UnsupportedError("the model has no layers")
    layers = merged(without_dead(builder.layers, last.source))
    return FloatModel(
        name=name, input_shape=input_shape, layers=tuple(layers), host=output.host, input_grid=builder.input_grid
    )
