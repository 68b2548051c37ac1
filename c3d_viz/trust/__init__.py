"""TODO trust."""

from .validity import permuted, reinitialised, weight_randomisation

__all__ = [
    "permuted",
    "reinitialised",
    "weight_randomisation",
]
