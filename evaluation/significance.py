"""Is a difference between two systems more than chance? Paired tests, corrected for their number."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

RESAMPLES = 10_000
AT_ONCE = 1_000
LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two systems over the same queries. `interval`: 95% bootstrap interval of the difference. `p_*`: two-sided
    p-values; `p_holm`: of the randomization test, corrected."""

    system: str
    baseline: str
    difference: float
    interval: tuple[float, float]
    p_t_test: float
    p_randomization: float
    p_holm: float

    @property
    def significant(self) -> bool:
        """Whether the corrected p-value is below 0.05."""
        return self.p_holm < LEVEL

    @property
    def mark(self) -> str:
        """For tables: `▲` or `▼` where the difference is significant."""
        if not self.significant:
            return ""
        return " ▲" if self.difference > 0 else " ▼"


def compare(systems: Mapping[str, Sequence[float]], baseline: str, seed: int) -> list[Comparison]:
    """Compare each system with `baseline` by a paired t-test and a randomization test, Holm-corrected.

    Args:
        systems: name → values, one a query, in the same order of queries.
    """
    base = np.asarray(systems[baseline])
    tested = {name: np.asarray(values) - base for name, values in systems.items() if name != baseline}
    randomization = [randomization_test(differences, seed) for differences in tested.values()]
    corrected = holm(randomization)
    return [
        Comparison(
            name,
            baseline,
            float(differences.mean()),
            bootstrap_interval(differences, seed),
            t_test(differences),
            p_value,
            p_holm,
        )
        for (name, differences), p_value, p_holm in zip(tested.items(), randomization, corrected, strict=True)
    ]


def t_test(differences: np.ndarray) -> float:
    """Two-sided p-value of Student's paired t-test; 1 where all differences are 0 or there is one query."""
    if len(differences) < 2 or not differences.any():
        return 1.0
    if np.allclose(differences, differences[0]):  # no variance to divide by
        return 0.0
    return float(stats.ttest_1samp(differences, 0.0).pvalue)


def randomization_test(differences: np.ndarray, seed: int) -> float:
    """Two-sided p-value of Fisher's randomization test: the signs of the differences flipped at random.

    Source: Smucker, Allan and Carterette, CIKM 2007.
    """
    generator = np.random.default_rng(seed)
    sums = _resampled(lambda size: generator.choice((-1.0, 1.0), size=(size, len(differences))) @ differences)
    extreme = np.abs(sums) >= abs(differences.sum()) - 1e-12
    return float((extreme.sum() + 1) / (RESAMPLES + 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction: adjusted p-values, in the order given."""
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for position, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        largest = max(largest, min(1.0, (len(p_values) - position) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def bootstrap_interval(values: Sequence[float] | np.ndarray, seed: int) -> tuple[float, float]:
    """95% percentile interval of the mean over queries drawn with replacement."""
    sample, generator = np.asarray(values), np.random.default_rng(seed)

    def draw(size: int) -> np.ndarray:
        return sample[generator.integers(0, len(sample), size=(size, len(sample)))].mean(axis=1)

    return _interval(_resampled(draw))


def seed_interval(values: np.ndarray, seed: int) -> tuple[float, float]:
    """95% percentile interval of the mean over trainings and queries, both drawn with replacement.

    Args:
        values: (num_seeds, num_queries).
    """
    generator = np.random.default_rng(seed)
    num_seeds, num_queries = values.shape

    def draw(size: int) -> np.ndarray:
        seeds = generator.integers(0, num_seeds, size=(size, num_seeds))
        # How often each training was drawn weighs its row: (size, num_seeds) @ (num_seeds, num_queries).
        weights = (seeds[:, :, None] == np.arange(num_seeds)).mean(axis=1)
        queries = generator.integers(0, num_queries, size=(size, num_queries))
        return np.take_along_axis(weights @ values, queries, axis=1).mean(axis=1)

    return _interval(_resampled(draw))


def _resampled(draw: Callable[[int], np.ndarray]) -> np.ndarray:
    """10,000 draws, 1,000 at once: collections of ten thousand queries stay small in memory."""
    return np.concatenate([draw(AT_ONCE) for _ in range(RESAMPLES // AT_ONCE)])


def _interval(means: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)
