"""Operations that change a tensor's shape or nothing at all."""

from .builder import Builder
from .op import Op
from .values import Value

__all__ = ["dropout", "permute", "reshape", "same"]


def reshape(builder: Builder, op: Op) -> Value:
    """Reshaping of any spelling: the elements keep their order, so only the view changes."""
    value = op.value()
    return Value(value.parts, op.view, value.storage, value.version, value.host)


def permute(builder: Builder, op: Op) -> Value:
    """Permutation of axes: nothing where only axes of length 1 move; else for the host, after the last layer."""
    value = op.value()
    axes = list(range(len(value.view) + 1))
    if op.kind == "permute":
        axes = [axis % len(axes) for axis in op.args["dims"]]
    else:
        one, two = (op.args[name] % len(axes) for name in ("dim0", "dim1"))
        axes[one], axes[two] = axes[two], axes[one]
    moved = [axis for axis in axes if axis and value.view[axis - 1] > 1]
    if axes[0] == 0 and moved == sorted(moved):
        return reshape(builder, op)
    return Value(value.parts, op.view, host=(*value.host, f"permute({', '.join(map(str, axes))})"))


def dropout(builder: Builder, op: Op) -> Value:
    """Dropout that is switched off."""
    if op.args.get("train") and op.args.get("p"):
        raise op.refusal("dropout is active although the model is not training; pass training=self.training")
    return reshape(builder, op)


def same(builder: Builder, op: Op) -> Value:
    """The same values: copies, conversions between real types, a selection that selects everything."""
    value = op.value()
    if value.view != op.view:
        raise op.refusal(f"{op.kind} selects part of a tensor; use a convolution that computes only what is needed")
    copied = op.kind in ("clone", "_to_copy", "to")
    return Value(value.parts, op.view, host=value.host) if copied else reshape(builder, op)
