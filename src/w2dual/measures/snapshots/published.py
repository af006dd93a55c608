"""The metrics that Scarvelis and Solomon learned, from a user's copy of their weights.

N is a network 2-32-32-4 with softplus, its output as a 2 x 2 matrix, and the learned tensor is
N^T N + 1e-3 I. It is of the dual problem, so what it makes large is what the metric makes cheap:
its eigenvectors are matched with the true ones in the opposite order. The files are PyTorch's state
dictionaries, in float64, some of whose layers the network does not use (their pytorch_models.py).
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Float

from w2dual.measures.benchmark import torchfile
from w2dual.measures.snapshots import alignment
from w2dual.records import InputError

LAYERS = ("input_layer.0", "hidden_layer1.0", "out_layer")
"""Of the state dictionary, those that the network uses, in order."""
FLOOR = 1e-3
OUTPUTS = 4

Layers = list[tuple[np.ndarray, np.ndarray]]


def read(content: bytes, name: str) -> Layers:
    """Return weights and biases of the network's layers.

    Raises:
        InputError: the content is no such file, or its tensors are not those of the network.
    """
    tensors = torchfile.read(content, name)
    layers: Layers = []
    inputs = 2
    for layer in LAYERS:
        weight, bias = (tensors.get(f"{layer}.{part}") for part in ("weight", "bias"))
        if weight is None or bias is None:
            raise InputError(f"{name}: lacks `{layer}.weight` or `.bias`; it has {list(tensors)}")
        if weight.ndim != 2 or weight.shape[1] != inputs or bias.shape != weight.shape[:1]:
            raise InputError(
                f"{name}: `{layer}` has weights {list(weight.shape)} and biases "
                f"{list(bias.shape)}; expected [outputs, {inputs}] and [outputs]"
            )
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise InputError(f"{name}: `{layer}` holds numbers that are not finite")
        layers.append((weight.astype(np.float64), bias.astype(np.float64)))
        inputs = weight.shape[0]
    if inputs != OUTPUTS:
        raise InputError(f"{name}: `{LAYERS[-1]}` has {inputs} outputs; expected {OUTPUTS}")
    return layers


def directions(
    layers: Layers, x: Float[np.ndarray, "points 2"], name: str
) -> Float[np.ndarray, "points 2"]:
    """Return the direction that the metric is cheapest along, at points.

    Raises:
        InputError: the tensor is no positive matrix somewhere; the message names the file.
    """
    values = np.asarray(x, np.float64)
    for index, (weight, bias) in enumerate(layers):
        values = values @ weight.T + bias
        if index < len(layers) - 1:
            values = np.logaddexp(0.0, values)
    found = tensor(values)
    alignment.check(found, name)
    return cheap(found)


def tensor(outputs: Float[Any, "*points 4"], like: ModuleType = np) -> Float[Any, "*points 2 2"]:
    """Return N^T N + 1e-3 I of the network's outputs; `like` is NumPy or JAX's."""
    factor = outputs.reshape(*outputs.shape[:-1], 2, 2)
    columns = like.sum(factor[..., :, :, None] * factor[..., :, None, :], axis=-3)
    return columns + like.broadcast_to(FLOOR * np.eye(2, dtype=outputs.dtype), columns.shape)


def cheap(tensor: Float[Any, "*points 2 2"], like: ModuleType = np) -> Float[Any, "*points 2"]:
    """Return the direction that the metric is cheapest along: the tensor's largest axis."""
    angle = like.arctan2(2 * tensor[..., 0, 1], tensor[..., 0, 0] - tensor[..., 1, 1]) / 2
    return like.stack([like.cos(angle), like.sin(angle)], axis=-1)
