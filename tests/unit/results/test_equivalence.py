"""Tests of difference and equivalence: against SciPy, closed forms, and by simulation."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from w2dual.results import equivalence
from w2dual.results.equivalence import (
    contrast,
    difference,
    holm,
    interval,
    p_different,
    p_equivalent,
)

ALPHA = 0.05


def summaries(sample):
    return sample.mean(-1), sample.std(-1, ddof=1), sample.shape[-1]


def scipy_p(one, other, **given):
    found: Any = stats.ttest_ind(one, other, axis=-1, equal_var=False, **given)
    return np.asarray(found.pvalue)


@pytest.fixture(scope="module")
def samples():
    generator = np.random.default_rng(0)
    return generator.normal(0.0, 1.0, (5, 7)), generator.normal(0.4, 2.0, (5, 12))


def test_difference_is_welchs_test_of_scipy(samples):
    ours = p_different(difference(*summaries(samples[0]), *summaries(samples[1])))
    theirs = scipy_p(*samples)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_equivalence_is_the_larger_of_two_one_sided_tests_of_scipy(samples):
    one, other = samples
    margin = 0.9
    found = p_equivalent(difference(*summaries(one), *summaries(other)), margin)
    above = scipy_p(one + margin, other, alternative="greater")
    below = scipy_p(one - margin, other, alternative="less")
    np.testing.assert_allclose(found, np.maximum(above, below), rtol=1e-12)


def test_equivalent_where_the_interval_lies_within_the_margin(samples):
    found = difference(*summaries(samples[0]), *summaries(samples[1]))
    low, high = interval(found, ALPHA)
    edge = np.maximum(-low, high)
    np.testing.assert_allclose(p_equivalent(found, edge), ALPHA, rtol=1e-9)
    assert np.all(p_equivalent(found, 1.01 * edge) < ALPHA)
    assert np.all(p_equivalent(found, 0.99 * edge) > ALPHA)


def test_a_contrast_of_two_is_their_difference(samples):
    (m, s, n), (k, t, o) = map(summaries, samples)
    np.testing.assert_array_equal(
        contrast([1, -1], [m, k], [s, t], [n, o]).freedom, difference(m, s, n, k, t, o).freedom
    )


def test_without_spread_the_means_alone_decide():
    found = difference([1.0, 1.0, 1.0], 0.0, 5, [1.0, 1.5, 0.98], 0.0, 5)
    assert p_equivalent(found, 0.1).tolist() == [0.0, 1.0, 0.0]
    assert p_different(found).tolist() == [1.0, 0.0, 0.0]


def test_std_of_ddof_0_becomes_that_of_ddof_1():
    sample = np.array([1.0, 2.0, 4.0, 8.0])
    assert equivalence.sample_std(sample.std(), 4) == pytest.approx(sample.std(ddof=1))


def test_a_single_value_is_refused():
    with pytest.raises(ValueError, match="fewer than two"):
        difference(0.0, 1.0, 1, 0.0, 1.0, 10)


def test_holm_by_hand_and_nan_is_no_test():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.04, np.nan, 0.03]), [0.06, np.nan, 0.06])
    assert holm([]).shape == (0,)


@pytest.mark.parametrize("side", [-1.0, 1.0])
@pytest.mark.parametrize(("std", "number"), [(0.1, 10), (0.3, 10), (0.1, 5)])
def test_type_1_error_of_equivalence_is_at_most_nominal_plus_one_percent(side, std, number):
    """On the margin, where the error is largest; ours may vary otherwise than the paper's."""
    generator = np.random.default_rng(1)
    margin, repeats = 0.25, 40_000
    ours = generator.normal(1.0 + side * margin, std, (repeats, number))
    paper = generator.normal(1.0, 0.1, (repeats, 10))
    p = p_equivalent(difference(*summaries(ours), *summaries(paper)), margin)
    assert np.mean(p <= ALPHA) <= ALPHA + 0.01


def test_the_equivalence_test_finds_equal_means():
    """That it hardly errs would be true too of a test that never says yes."""
    generator = np.random.default_rng(2)
    ours, paper = generator.normal(1.0, 0.1, (2, 4_000, 10))
    p = p_equivalent(difference(*summaries(ours), *summaries(paper)), 0.25)
    assert np.mean(p <= ALPHA) > 0.99


@pytest.mark.parametrize("kind", ["equivalent", "different"])
def test_a_family_errs_at_most_at_its_level(kind):
    """64 cells, all on the margin or all equal: any wrong word, after Holm."""
    generator = np.random.default_rng(3)
    shift = 0.25 if kind == "equivalent" else 0.0
    ours = generator.normal(1.0 + shift, 0.1, (2_000, 64, 10))
    paper = generator.normal(1.0, 0.1, (2_000, 64, 10))
    found = difference(*summaries(ours), *summaries(paper))
    p = p_equivalent(found, 0.25) if kind == "equivalent" else p_different(found)
    assert np.mean((holm(p) <= ALPHA).any(axis=-1)) <= ALPHA + 0.01
