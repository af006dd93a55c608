"""Weights by a formula, so that values can be compared with those of another framework.

A 32-bit hash (MurmurHash3's last step) of a tensor's place in its file and an entry's place in the
tensor, as a number from -1 to 1. The values that the tests compare with are PyTorch's, on the
published code's classes in evaluation mode.
"""

import math

import numpy as np


def numbers(place: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return the numbers of a tensor at a place, float64."""
    entries = np.arange(math.prod(shape), dtype=np.uint64)
    h = (entries + 1 + 0x9E3779B9 * (place + 1)) & 0xFFFFFFFF
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        h = ((h ^ (h >> np.uint64(shift))) * np.uint64(factor)) & np.uint64(0xFFFFFFFF)
    return (h / 2.0**31 - 1.0).reshape(shape)


def convex_tensors(shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Return a ConvICNN's tensors by their published names, float32."""
    tensors = {}
    for place, (name, shape) in enumerate(shapes.items()):
        v, fan = numbers(place, shape), math.prod(shape[1:])
        if name.endswith("quadratic_decomposed.weight"):
            v = v / math.sqrt(fan)
        elif name.endswith("linear.weight"):
            v = 3 * v / math.sqrt(fan)
        elif name == "pos_features.7.weight":
            v = 500 * np.abs(v) / fan
        elif name.endswith("weight"):
            v = 2 * np.abs(v) / fan
        elif name == "convex_layers.0.bias":
            v = v - 1
        elif name != "pos_features.7.bias":
            v = 0.5 * v
        tensors[name] = v.astype(np.float32)
    return tensors


def generator_tensors(shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Return a ResNet_G's tensors by their published names, float32."""
    tensors = {}
    for place, (name, shape) in enumerate(shapes.items()):
        v = numbers(place, shape)
        if name.endswith("running_var") or (name.endswith("weight") and len(shape) == 1):
            v = 1 + 0.5 * v
        elif len(shape) == 1:  # means and biases
            v = 0.1 * v
        else:
            v = math.sqrt(6 / math.prod(shape[1:])) * v
        tensors[name] = v.astype(np.float32)
    return tensors


def points(count: int, size: int) -> np.ndarray:
    """Return inputs, float32."""
    return numbers(100, (count, size)).astype(np.float32)


def direction(count: int, size: int) -> np.ndarray:
    """Return what results are multiplied with, float64."""
    return numbers(101, (count, size))
