"""L2-UVP in blocks: over all samples, whatever their number and the block's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.unit.training.test_loop import Looking

from w2dual import measures, rng
from w2dual.evaluation import l2_uvp
from w2dual.measures.pairs import gaussian
from w2dual.records import save_arrays


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    path = tmp_path_factory.mktemp("pair") / "hd2.safetensors"
    save_arrays(path, *gaussian.draw(2, 0))
    return measures.load_solved(path)


@pytest.mark.parametrize("block", [64, 300])
def test_an_evaluation_is_the_mean_over_all_samples_in_blocks(pair, block):
    """Of the identity, in both directions; the last block is cut to size."""
    key = jax.random.key(3)
    evaluate = l2_uvp.evaluator(Looking(), 300, block)
    found = evaluate(jnp.zeros((1, 4, 2)), key[None], pair, 150)
    blocks = [pair.sample_source(rng.at(key, index), block) for index in range(-(-150 // block))]
    x = np.concatenate([np.asarray(points) for points in blocks])[:150]
    y = np.asarray(pair.ground_truth(jnp.asarray(x)))
    moved = ((x - y) ** 2).sum(axis=1).mean()
    forward, inverse = 100 * moved / pair.var_target, 100 * moved / pair.var_source
    np.testing.assert_allclose(found.l2_uvp_forward_percent, forward, rtol=1e-5)
    np.testing.assert_allclose(found.l2_uvp_inverse_percent, inverse, rtol=1e-5)
