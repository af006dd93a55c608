"""The laws on the plane, against samplers in NumPy that follow the published definitions.

Those are w2ot/data.py of facebookresearch/w2ot and, for what it takes from there, scikit-learn's
`make_moons`, `make_circles`, `make_s_curve` and `make_swiss_roll`; and the paper's config/data/ for
which laws make a pair.
"""

import dataclasses
import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.spatial import KDTree

from w2dual import measures
from w2dual.__main__ import main
from w2dual.config.reader import load
from w2dual.measures.pairs import synthetic
from w2dual.measures.synthetic import laws
from w2dual.measures.synthetic.laws import LAWS, Law
from w2dual.records import InputError, load_arrays, save_arrays

ROOT = Path(__file__).parents[4]
SIZE = 50_000
LEVEL = 1e-3
ANGLES = (0.0, 0.7, 1.4, 2.1)

Generator = np.random.Generator
Draw = Callable[[Generator, int], np.ndarray]

# ---------------------------------------------------------------- the published definitions

SCALE = 5.0
DEVIATION = 0.5**2  # the published `variance` is 0.5, and its square multiplies the noise


class Published(NamedTuple):
    """Points without noise, and the standard deviation of the Gaussian noise on each coordinate."""

    noiseless: Draw
    std: float

    def sample(self, generator: Generator, size: int) -> np.ndarray:
        points = self.noiseless(generator, size)
        return points + self.std * generator.normal(size=(size, 2))


def centers(*points: tuple[float, float]) -> Draw:
    scaled = SCALE * np.array(points)
    return lambda generator, size: scaled[generator.integers(len(points), size=size)]


def box(low: tuple[float, float], high: tuple[float, float]) -> Draw:
    return lambda generator, size: generator.uniform(low, high, size=(size, 2))


def circles(*radii: float) -> Draw:
    def draw(generator: Generator, size: int) -> np.ndarray:
        radius = generator.choice(radii, size=size)
        angle = generator.uniform(0, 2 * np.pi, size)
        return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)

    return draw


def outer_moon(generator: Generator, size: int) -> np.ndarray:
    t = generator.uniform(0, np.pi, size)
    return np.stack([np.cos(t), np.sin(t)], axis=1)


def inner_moon(generator: Generator, size: int) -> np.ndarray:
    t = generator.uniform(0, np.pi, size)
    return np.stack([1 - np.cos(t), 1 - np.sin(t) - 0.5], axis=1)


def s_curve(generator: Generator, size: int) -> np.ndarray:
    t = 3 * np.pi * (generator.uniform(size=size) - 0.5)
    x = np.stack([np.sin(t), 2 * generator.uniform(size=size), np.sign(t) * (np.cos(t) - 1)], 1)
    return 5.0 * x[:, [2, 0]]


def swiss_roll(generator: Generator, size: int) -> np.ndarray:
    t = 1.5 * np.pi * (1 + 2 * generator.uniform(size=size))
    x = np.stack([t * np.cos(t), 21 * generator.uniform(size=size), t * np.sin(t)], axis=1)
    return 0.5 * x[:, [2, 0]]


def maf_moon(generator: Generator, size: int) -> np.ndarray:
    x = generator.normal(size=(size, 2))
    x[:, 0] += x[:, 1] ** 2
    x[:, 0] /= 2
    x[:, 0] -= 2
    return x


DIAGONAL = 1 / np.sqrt(2)
PUBLISHED = {
    "gauss_1_unit": Published(centers((0, 0)), 1.0),
    "gauss_1_small": Published(centers((0, 0)), DEVIATION),
    "gauss_8": Published(
        centers(
            *((1, 0), (-1, 0), (0, 1), (0, -1)),
            *((DIAGONAL, DIAGONAL), (DIAGONAL, -DIAGONAL)),
            *((-DIAGONAL, DIAGONAL), (-DIAGONAL, -DIAGONAL)),
        ),
        DEVIATION,
    ),
    "gauss_5_sq": Published(centers((0, 0), (1, 1), (-1, 1), (-1, -1), (1, -1)), DEVIATION),
    "gauss_4_sq": Published(centers((1, 0), (0, 1), (-1, 0), (0, -1)), DEVIATION),
    "circle_big": Published(circles(1.0), 0.01),
    "circle_small": Published(circles(0.5), 0.01),
    "rings": Published(circles(3.0 * 1.0, 3.0 * 0.75, 3.0 * 0.5, 3.0 * 0.25), 0.08),
    "moon_upper": Published(outer_moon, 0.0),
    "moon_lower": Published(inner_moon, 0.0),
    "s_curve": Published(s_curve, 5.0 * 0.01),
    "swiss": Published(swiss_roll, 0.5 * 0.01),
    "maf_moon": Published(maf_moon, 0.0),
    # lagrangian-ot's data.py and NLSB's UniformDataset, not w2ot.
    "strip_left": Published(box((-1.25, -1.0), (-1.0, 1.0)), 0.0),
    "strip_right": Published(box((1.0, -1.0), (1.25, 1.0)), 0.0),
}
PAIRS = {  # config/data/*.yaml of w2ot: mu, the source, and nu, the target
    "gauss8": ("gauss_1_small", "gauss_8"),
    "gauss_sq": ("gauss_5_sq", "gauss_4_sq"),
    "circles": ("circle_big", "circle_small"),
    "moons": ("moon_lower", "moon_upper"),
    "s_curve": ("s_curve", "gauss_1_unit"),
    "swiss": ("swiss", "gauss_1_unit"),
    "maf_moon": ("maf_moon", "gauss_1_unit"),
    "rings": ("rings", "gauss_1_unit"),
    "moon_to_rings": ("maf_moon", "rings"),
    "strips": ("strip_left", "strip_right"),
}

# ---------------------------------------------------------------- the comparison of two samples


@functools.cache
def published_sample(name: str) -> np.ndarray:
    return PUBLISHED[name].sample(np.random.default_rng(7), SIZE)


@functools.cache
def without_noise(name: str) -> KDTree:
    points = PUBLISHED[name].noiseless(np.random.default_rng(8), 40_000)
    return KDTree(np.unique(points, axis=0))


@functools.cache
def published_statistics(name: str) -> list[np.ndarray]:
    return statistics(name, published_sample(name))


def drawn(law: Law, seed: int = 0) -> np.ndarray:
    return np.asarray(law.sample(jax.random.key(seed), SIZE), np.float64)


def statistics(name: str, points: np.ndarray) -> list[np.ndarray]:
    """Numbers of each point: its places along four lines, its radius, and what is noise of it."""
    found = [points @ (np.cos(angle), np.sin(angle)) for angle in ANGLES]
    found.append(np.hypot(points[:, 0], points[:, 1]))
    if PUBLISHED[name].std:
        found.append(without_noise(name).query(points)[0])
    # Ours are float32, the others are not: on an arc of radius 1 that would be all they differ in.
    return [np.round(numbers, 5) for numbers in found]


def is_rejected(name: str, points: np.ndarray) -> bool:
    """Kolmogorov and Smirnov: are the points of another law? At `LEVEL` over all statistics."""
    both = zip(statistics(name, points), published_statistics(name), strict=True)
    values = [float(stats.ks_2samp(a, b, method="asymp")[1]) for a, b in both]  # type: ignore[arg-type]
    return bool(min(values) < LEVEL / len(values))


def moments(points: np.ndarray) -> np.ndarray:
    x, y = points.T
    return np.stack([x, y, x * x, x * y, y * y])


@pytest.mark.parametrize("name", LAWS)
def test_samples_are_of_the_published_law(name: str):
    ours = drawn(LAWS[name])
    assert ours.shape == (SIZE, 2)
    assert np.isfinite(ours).all()
    assert not is_rejected(name, ours)
    one, other = moments(ours), moments(published_sample(name))
    errors = np.sqrt((one.var(axis=1) + other.var(axis=1)) / SIZE)
    assert (np.abs(one.mean(axis=1) - other.mean(axis=1)) < 4 * errors).all()


def test_every_law_has_a_published_definition():
    assert LAWS.keys() == PUBLISHED.keys()


def replaced(name: str, **changes: object) -> Law:
    return dataclasses.replace(LAWS[name], **changes)  # type: ignore[type-var]


def scaled(name: str, factor: float) -> Law:
    law = LAWS[name]
    assert isinstance(law, laws.Gaussians)
    moved = tuple((factor * x, factor * y) for x, y in law.centers)
    return dataclasses.replace(law, centers=moved)


def without_one(name: str) -> Law:
    law = LAWS[name]
    assert isinstance(law, laws.Gaussians)
    return dataclasses.replace(law, centers=law.centers[:-1])


@dataclasses.dataclass(frozen=True)
class Moved(Law):
    """A law without constants of its own, with something done to its points."""

    law: Law
    move: Callable[[jax.Array], jax.Array]

    def sample(self, key: jax.Array, size: int) -> jax.Array:
        return self.move(self.law.sample(key, size))


CHANGED = {
    "gauss_1_unit: std": ("gauss_1_unit", lambda: replaced("gauss_1_unit", std=1.04)),
    "gauss_1_unit: center": (
        "gauss_1_unit",
        lambda: replaced("gauss_1_unit", centers=((0.06, 0.0),)),
    ),
    "gauss_1_small: std": ("gauss_1_small", lambda: replaced("gauss_1_small", std=0.26)),
    "gauss_1_small: std not squared": (
        "gauss_1_small",
        lambda: replaced("gauss_1_small", std=0.5),
    ),
    **{
        f"{name}: {what}": (name, functools.partial(change, name))
        for name in ("gauss_8", "gauss_5_sq", "gauss_4_sq")
        for what, change in {
            "std": lambda of: replaced(of, std=0.26),
            "scale": lambda of: scaled(of, 1.01),
            "one less": without_one,
        }.items()
    },
    "gauss_8: diagonals": (
        "gauss_8",
        lambda: replaced(
            "gauss_8",
            centers=tuple((0.98 * x, 0.98 * y) if x * y else (x, y) for x, y in _of_8()),
        ),
    ),
    "circle_big: radius": ("circle_big", lambda: replaced("circle_big", radii=(1.002,))),
    "circle_big: std": ("circle_big", lambda: replaced("circle_big", std=0.0106)),
    "circle_small: radius": ("circle_small", lambda: replaced("circle_small", radii=(0.502,))),
    "circle_small: std": ("circle_small", lambda: replaced("circle_small", std=0.0106)),
    **{
        f"rings: radius {i}": ("rings", functools.partial(replaced, "rings", radii=radii))
        for i, radii in enumerate(
            [(3.05, 2.25, 1.5, 0.75), (3.0, 2.2, 1.5, 0.75), (3.0, 2.25, 1.55, 0.75)]
            + [(3.0, 2.25, 1.5, 0.8), (3.0, 2.25, 1.5)]
        )
    },
    "rings: std": ("rings", lambda: replaced("rings", std=0.084)),
    "moon_upper: the other": ("moon_upper", lambda: LAWS["moon_lower"]),
    "moon_lower: the other": ("moon_lower", lambda: LAWS["moon_upper"]),
    "moon_lower: shift": (
        "moon_lower",
        lambda: Moved(LAWS["moon_lower"], lambda x: x + jnp.array([[0.0, 0.02]])),
    ),
    "s_curve: scale": ("s_curve", lambda: replaced("s_curve", scale=5.05)),
    "s_curve: std": ("s_curve", lambda: replaced("s_curve", std=0.0106)),
    "s_curve: sign": (
        "s_curve",
        lambda: Moved(LAWS["s_curve"], lambda x: x * jnp.array([[-1.0, 1.0]])),
    ),
    "swiss: scale": ("swiss", lambda: replaced("swiss", scale=0.502)),
    "swiss: std": ("swiss", lambda: replaced("swiss", std=0.0106)),
    "swiss: coordinates": ("swiss", lambda: Moved(LAWS["swiss"], lambda x: x[:, ::-1])),
    "maf_moon: shift": (
        "maf_moon",
        lambda: Moved(LAWS["maf_moon"], lambda x: x + jnp.array([[0.05, 0.0]])),
    ),
    "maf_moon: coordinates": ("maf_moon", lambda: Moved(LAWS["maf_moon"], lambda x: x[:, ::-1])),
    "maf_moon: b^2": (
        "maf_moon",
        lambda: Moved(LAWS["maf_moon"], lambda x: x.at[:, 0].add(0.05 * x[:, 1] ** 2)),
    ),
}


def _of_8() -> tuple[tuple[float, float], ...]:
    law = LAWS["gauss_8"]
    assert isinstance(law, laws.Gaussians)
    return law.centers


@pytest.mark.parametrize("case", CHANGED)
def test_another_constant_would_be_noticed(case: str):
    name, change = CHANGED[case]
    assert is_rejected(name, drawn(change()))


def test_arcs_are_on_their_circles():
    upper, lower = drawn(LAWS["moon_upper"]), drawn(LAWS["moon_lower"])
    # float32 coordinates
    np.testing.assert_allclose(np.hypot(*upper.T), 1.0, atol=1e-6)
    np.testing.assert_allclose(np.hypot(*(lower - [1.0, 0.5]).T), 1.0, atol=1e-6)
    assert upper[:, 1].min() >= -1e-6
    assert lower[:, 1].max() <= 0.5 + 1e-6


# ---------------------------------------------------------------- keys


@pytest.mark.parametrize("name", LAWS)
def test_a_key_names_the_points(name: str):
    law = LAWS[name]
    sample = jax.jit(law.sample, static_argnums=1)
    key, other = jax.random.split(jax.random.key(3))
    points = sample(key, 16)
    assert points.dtype == jnp.float32
    np.testing.assert_array_equal(points, sample(key, 16))
    assert (np.abs(np.asarray(points - sample(other, 16))).max(axis=1) > 0).all()
    # Compiled or not, and batched over keys, up to a rounding of coordinates of up to 10.
    np.testing.assert_allclose(law.sample(key, 16), points, atol=1e-5)
    batch = jax.jit(jax.vmap(lambda k: law.sample(k, 16)))(jnp.stack([other, key]))
    np.testing.assert_allclose(batch[1], points, atol=1e-5)


# ---------------------------------------------------------------- densities

BOUNDS = {  # left, right, bottom, top: all but some 1e-7 of the mass
    "gauss_1_unit": (-6, 6, -6, 6),
    "gauss_1_small": (-1.5, 1.5, -1.5, 1.5),
    "gauss_8": (-7, 7, -7, 7),
    "gauss_5_sq": (-7, 7, -7, 7),
    "gauss_4_sq": (-7, 7, -7, 7),
    "circle_big": (-1.06, 1.06, -1.06, 1.06),
    "circle_small": (-0.56, 0.56, -0.56, 0.56),
    "rings": (-3.6, 3.6, -3.6, 3.6),
    "maf_moon": (-5, 14, -6, 6),
}
PIXELS, BLOCKS = 600, 30


def log_density(name: str, points: np.ndarray) -> np.ndarray:
    logs = jax.jit(LAWS[name].log_density)(jnp.asarray(points, jnp.float32))
    assert logs is not None
    assert logs.shape == (len(points),)
    return np.asarray(logs, np.float64)


def density(name: str, points: np.ndarray) -> np.ndarray:
    return np.exp(log_density(name, points))


@functools.cache
def block_masses(name: str) -> np.ndarray:
    """Mass by the density in BLOCKS x BLOCKS equal parts of the bounds, by the midpoint rule."""
    left, right, bottom, top = BOUNDS[name]
    width, height = (right - left) / PIXELS, (top - bottom) / PIXELS
    x = left + width * (np.arange(PIXELS) + 0.5)
    y = bottom + height * (np.arange(PIXELS) + 0.5)
    grid = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
    inner = PIXELS // BLOCKS
    mass = density(name, grid).reshape(BLOCKS, inner, BLOCKS, inner) * width * height
    return mass.sum(axis=(1, 3))


@pytest.mark.parametrize("name", LAWS)
def test_density_integrates_to_one(name: str):
    law = LAWS[name]
    if isinstance(law, laws.Uniform):  # which is not smooth, so that a grid does not do
        inside, outside = jnp.array([law.low, law.high]).mean(0), jnp.array(law.high) + 0.1
        logs = law.log_density(jnp.stack([inside, outside]))
        assert logs is not None
        area = np.prod(np.subtract(law.high, law.low))
        np.testing.assert_allclose(np.exp(logs), [1 / area, 0.0], rtol=1e-6)
        return
    if name not in BOUNDS:
        assert law.log_density(jnp.zeros((3, 2))) is None
        return
    # The midpoint rule is exact to many digits where a pixel is below half a standard deviation;
    # what is left is float32's rounding of the logarithms, and the mass outside of the bounds.
    assert block_masses(name).sum() == pytest.approx(1.0, abs=1e-4)


def counted(name: str, points: np.ndarray) -> float:
    """P value of a chi-square test of the points' counts in blocks against the density's masses."""
    left, right, bottom, top = BOUNDS[name]
    counts, _, _ = np.histogram2d(
        points[:, 0], points[:, 1], BLOCKS, [[left, right], [bottom, top]]
    )
    expected = len(points) * block_masses(name)
    enough = expected >= 20
    assert enough.sum() > 10
    observed = np.append(counts[enough], len(points) - counts[enough].sum())
    wanted = np.append(expected[enough], len(points) - expected[enough].sum())
    assert wanted[-1] > 20
    return float(stats.chisquare(observed, wanted).pvalue)


@pytest.mark.parametrize("name", BOUNDS)
def test_density_is_that_of_the_samples(name: str):
    points = drawn(LAWS[name], seed=1)
    assert counted(name, points) > LEVEL
    size = np.ptp(points, axis=0).max()
    assert counted(name, points * 1.02 + 0.01 * size) < 1e-6


def closed_form(name: str, x: np.ndarray) -> np.ndarray:
    """The density of the published law, by SciPy."""
    if name == "maf_moon":
        b = x[:, 1]
        return 2 * stats.norm.pdf(2 * (x[:, 0] + 2) - b**2) * stats.norm.pdf(b)
    law = LAWS[name]
    if isinstance(law, laws.Gaussians):
        each = [stats.multivariate_normal(c, law.std**2 * np.eye(2)).pdf(x) for c in law.centers]  # type: ignore[arg-type]
        return np.mean(each, axis=0)
    assert isinstance(law, laws.Rings)
    r = np.hypot(x[:, 0], x[:, 1])
    each = [stats.rice.pdf(r, radius / law.std, scale=law.std) for radius in law.radii]
    return np.mean(each, axis=0) / (2 * np.pi * r)


@pytest.mark.parametrize("name", BOUNDS)
def test_density_is_the_closed_form(name: str):
    x = drawn(LAWS[name], seed=2)[:500]
    # Float32: a radius near 1 has an error of 6e-8, 6e-6 standard deviations of the narrow rings.
    np.testing.assert_allclose(density(name, x), closed_form(name, x), rtol=1e-3)


@pytest.mark.parametrize("name", BOUNDS)
def test_density_far_out_is_small_and_finite(name: str):
    logs = log_density(name, np.array([[50.0, -80.0], [0.0, 0.0]]))
    assert np.isfinite(logs).all()
    assert logs[0] < -500


# ---------------------------------------------------------------- pairs


def prepare(folder: Path, name: str, settings: Mapping[str, object]) -> int:
    out = folder / f"{name}.safetensors"
    argv = ["prepare", "--pair", name, "--settings", json.dumps(settings), "--out", str(out)]
    return main(argv)


@pytest.mark.parametrize("name", PAIRS)
def test_pairs_are_the_published_ones(name: str, tmp_path: Path):
    settings = load([ROOT / "config.yaml"])["measures"]["synthetic"]
    assert {key for key, value in settings.items() if value["kind"] == "synthetic"} == PAIRS.keys()
    assert prepare(tmp_path, name, settings[name]) == 0
    pair = measures.load(tmp_path / f"{name}.safetensors")
    assert isinstance(pair, synthetic.SyntheticPair)
    assert pair.dimension == 2
    key = jax.random.key(0)
    mu, nu = (jax.jit(LAWS[law].sample, static_argnums=1)(key, 64) for law in PAIRS[name])
    sampled = jax.jit(lambda pair, key: (pair.sample_source(key, 64), pair.sample_target(key, 64)))
    for ours, expected in zip(sampled(pair, key), (mu, nu), strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_a_pair_tells_its_laws(tmp_path: Path):
    settings = {"kind": "synthetic", "source": "rings", "target": "gauss_8"}
    assert prepare(tmp_path, "mine", settings) == 0
    arrays, metadata = load_arrays(tmp_path / "mine.safetensors")
    assert arrays == {}
    assert metadata == {
        "format": 1,
        "kind": "synthetic",
        "pair": "mine",
        "dimension": 2,
        "source": "closed form",
        "laws": ["rings", "gauss_8"],
    }
    with pytest.raises(InputError, match="optimal map of this pair is not known"):
        measures.load_solved(tmp_path / "mine.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"source": "gauss_9"},
            "measures.synthetic.mine.source: no law 'gauss_9' (did you mean 'gauss_8'?); there are "
            "gauss_1_unit,",
        ),
        ({"target": "ring"}, "measures.synthetic.mine.target: no law 'ring' (did you mean 'rings'"),
        ({"target": 5}, "measures.synthetic.mine.target: no law 5"),
        ({"scale": 2.0}, "measures.synthetic.mine: unknown ['scale']"),
        (
            {"kind": "fractal"},
            "kind 'fractal': there is no module w2dual.measures.pairs.fractal; add it, or use one "
            "of the known kinds: images, synthetic",
        ),
    ],
    ids=["source", "target", "number", "key", "kind"],
)
def test_settings_that_make_no_pair_are_named(
    tmp_path: Path, change: dict[str, object], message: str, capsys: pytest.CaptureFixture[str]
):
    settings = {"kind": "synthetic", "source": "rings", "target": "rings"} | change
    assert prepare(tmp_path, "mine", settings) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (None, "metadata `laws` is None"),
        (["rings"], r"metadata `laws` is \['rings'\]"),
        (["rings", "wings"], r"no law 'wings' \(did you mean 'rings'\?\)"),
    ],
)
def test_a_file_that_names_no_two_laws_is_refused(tmp_path: Path, names: object, message: str):
    path = tmp_path / "pair.safetensors"
    save_arrays(path, {}, {"format": 1, "kind": "synthetic", "dimension": 2, "laws": names})
    with pytest.raises(InputError, match=message) as caught:
        measures.load(path)
    assert str(caught.value).startswith(str(path))
