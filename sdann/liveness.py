"""How alive a network must be for a comparison of models to mean something."""

__all__ = ["LEAST_ALIVE"]

LEAST_ALIVE = 0.1
"""Share of a hidden layer's activations that must not be zero: silent layers agree in any model."""
