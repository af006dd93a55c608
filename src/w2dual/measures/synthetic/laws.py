"""The laws on the plane that the synthetic pairs are made of, sampled in JAX.

The same laws as the published code's (facebookresearch/w2ot, w2ot/data.py), which draws most of
them with scikit-learn on the host. A law of your own is one entry of `LAWS`.

# DIFFERS: where the published code places points of a curve at equal distances, a batch here is
drawn independently and uniformly along it. Each point has the same law.
"""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

Points = Float[Array, "size 2"]


class Law(abc.ABC):
    """A probability measure on the plane."""

    @abc.abstractmethod
    def sample(self, key: Key[Array, ""], size: int) -> Points:
        """Draw independent points."""

    def log_density(self, x: Points) -> Float[Array, " size"] | None:
        """Log density at points; None for a law without a density in closed form."""
        del x
        return None


@dataclass(frozen=True)
class Gaussians(Law):
    """Equally likely Gaussians with covariance std^2 I."""

    centers: tuple[tuple[float, float], ...]
    std: float

    def sample(self, key: Key[Array, ""], size: int) -> Points:
        """Draw independent points."""
        component_key, noise_key = jax.random.split(key)
        component = jax.random.randint(component_key, (size,), 0, len(self.centers))
        noise = jax.random.normal(noise_key, (size, 2))
        return jnp.asarray(self.centers, noise.dtype)[component] + self.std * noise

    def log_density(self, x: Points) -> Float[Array, " size"]:
        """Log density at points."""
        centers = jnp.asarray(self.centers, x.dtype)
        squares = jnp.sum((x[:, None] - centers[None]) ** 2, axis=-1)
        norm = math.log(2 * math.pi * self.std**2 * len(self.centers))
        return jax.nn.logsumexp(-squares / (2 * self.std**2), axis=1) - norm


@dataclass(frozen=True)
class Uniform(Law):
    """Uniform on the rectangle between two corners."""

    low: tuple[float, float]
    high: tuple[float, float]

    def sample(self, key: Key[Array, ""], size: int) -> Points:
        """Draw independent points."""
        low, high = jnp.asarray(self.low), jnp.asarray(self.high)
        return jax.random.uniform(key, (size, 2), minval=low[None], maxval=high[None])

    def log_density(self, x: Points) -> Float[Array, " size"]:
        """Log density at points: minus infinity outside."""
        low, high = jnp.asarray(self.low)[None], jnp.asarray(self.high)[None]
        inside = jnp.all((x >= low) & (x <= high), axis=1)
        area = math.prod(b - a for a, b in zip(self.low, self.high, strict=True))
        return jnp.where(inside, -math.log(area), -jnp.inf)


@dataclass(frozen=True)
class Rings(Law):
    """Equally likely concentric circles, uniform along each, plus Gaussian noise."""

    radii: tuple[float, ...]
    std: float

    def sample(self, key: Key[Array, ""], size: int) -> Points:
        """Draw independent points."""
        ring_key, angle_key, noise_key = jax.random.split(key, 3)
        ring = jax.random.randint(ring_key, (size,), 0, len(self.radii))
        angle = jax.random.uniform(angle_key, (size,), maxval=2 * jnp.pi)
        noise = jax.random.normal(noise_key, (size, 2))
        circle = jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=1)
        return jnp.asarray(self.radii, noise.dtype)[ring][:, None] * circle + self.std * noise

    def log_density(self, x: Points) -> Float[Array, " size"]:
        """Log density at points: the Rice distribution's, spread over the angle."""
        radii = jnp.asarray(self.radii, x.dtype)[None]
        r = jnp.sqrt(jnp.sum(x**2, axis=1))[:, None]
        # log I_0(z) = log i0e(z) + z, so that nothing overflows far out.
        bessel = jnp.log(jax.scipy.special.i0e(r * radii / self.std**2))
        logs = bessel - (r - radii) ** 2 / (2 * self.std**2)
        norm = math.log(2 * math.pi * self.std**2 * len(self.radii))
        return jax.nn.logsumexp(logs, axis=1) - norm


@dataclass(frozen=True)
class Arc(Law):
    """Uniform along half of the unit circle, as scikit-learn's `make_moons` without noise."""

    upper: bool

    def sample(self, key: Key[Array, ""], size: int) -> Points:
        """Draw independent points."""
        angle = jax.random.uniform(key, (size,), maxval=jnp.pi)
        x, y = jnp.cos(angle), jnp.sin(angle)
        return jnp.stack([x, y] if self.upper else [1 - x, 0.5 - y], axis=1)


@dataclass(frozen=True)
class SCurve(Law):
    """The first and last coordinates of scikit-learn's `make_s_curve`, the last one first."""

    scale: float
    std: float

    def sample(self, key: Key[Array, ""], size: int) -> Points:
        """Draw independent points."""
        angle_key, noise_key = jax.random.split(key)
        t = jax.random.uniform(angle_key, (size,), minval=-1.5 * jnp.pi, maxval=1.5 * jnp.pi)
        curve = jnp.stack([jnp.sign(t) * (jnp.cos(t) - 1), jnp.sin(t)], axis=1)
        return self.scale * (curve + self.std * jax.random.normal(noise_key, (size, 2)))


@dataclass(frozen=True)
class SwissRoll(Law):
    """The first and last coordinates of scikit-learn's `make_swiss_roll`, the last one first."""

    scale: float
    std: float

    def sample(self, key: Key[Array, ""], size: int) -> Points:
        """Draw independent points."""
        angle_key, noise_key = jax.random.split(key)
        t = jax.random.uniform(angle_key, (size,), minval=1.5 * jnp.pi, maxval=4.5 * jnp.pi)
        curve = jnp.stack([t * jnp.sin(t), t * jnp.cos(t)], axis=1)
        return self.scale * (curve + self.std * jax.random.normal(noise_key, (size, 2)))


@dataclass(frozen=True)
class Moon(Law):
    """((a + b^2) / 2 - 2, b) for standard normal a and b (Papamakarios et al. 2017)."""

    def sample(self, key: Key[Array, ""], size: int) -> Points:
        """Draw independent points."""
        a, b = jax.random.normal(key, (2, size))
        return jnp.stack([0.5 * (a + b**2) - 2, b], axis=1)

    def log_density(self, x: Points) -> Float[Array, " size"]:
        """Log density at points; the map from (a, b) has the determinant 1/2."""
        b = x[:, 1]
        a = 2 * (x[:, 0] + 2) - b**2
        return -0.5 * (a**2 + b**2) - math.log(2 * math.pi) + math.log(2.0)


_DIAGONAL = 5.0 / math.sqrt(2.0)

LAWS: dict[str, Law] = {
    "gauss_1_unit": Gaussians(((0.0, 0.0),), 1.0),
    "gauss_1_small": Gaussians(((0.0, 0.0),), 0.25),
    "gauss_8": Gaussians(
        (
            *((5.0, 0.0), (-5.0, 0.0), (0.0, 5.0), (0.0, -5.0)),
            *((_DIAGONAL, _DIAGONAL), (_DIAGONAL, -_DIAGONAL)),
            *((-_DIAGONAL, _DIAGONAL), (-_DIAGONAL, -_DIAGONAL)),
        ),
        0.25,
    ),
    "gauss_5_sq": Gaussians(((0.0, 0.0), (5.0, 5.0), (-5.0, 5.0), (-5.0, -5.0), (5.0, -5.0)), 0.25),
    "gauss_4_sq": Gaussians(((5.0, 0.0), (0.0, 5.0), (-5.0, 0.0), (0.0, -5.0)), 0.25),
    "circle_big": Rings((1.0,), 0.01),
    "circle_small": Rings((0.5,), 0.01),
    "rings": Rings((3.0, 2.25, 1.5, 0.75), 0.08),
    "moon_upper": Arc(upper=True),
    "moon_lower": Arc(upper=False),
    "s_curve": SCurve(5.0, 0.01),
    "swiss": SwissRoll(0.5, 0.01),
    "maf_moon": Moon(),
    # Of the settings of Lagrangian costs [NLSB, lagrangian-ot data.py].
    "strip_left": Uniform((-1.25, -1.0), (-1.0, 1.0)),
    "strip_right": Uniform((1.0, -1.0), (1.25, 1.0)),
}
