"""Training records with effects that were put there, so that the right verdict is known."""

import numpy as np
import pytest

from ntklab.records import Record


@pytest.fixture(scope="session")
def planted():
    return _planted


def _planted(effects, *, seeds=10, base=0.75, noise=0.01, params=None, curves=True, device="cpu"):
    """Accuracies base + effect + noise shared by a seed + own noise, by (settings, variant)."""
    rng = np.random.default_rng(0)
    shared = rng.normal(0, 3 * noise, seeds)
    results, arrays = [], {}
    for (settings, variant), effect in effects.items():
        for seed in range(seeds):
            accuracy = base + effect + shared[seed] + rng.normal(0, noise)
            cell = f"{settings}-{variant}-{seed}"
            count = (params or {}).get(variant, 1000)
            results.append(
                {
                    **{"settings": settings, "variant": variant, "seed": seed, "cell": cell},
                    **{"method": variant.split()[0], "params": count, "test_accuracy": accuracy},
                    **{"params_with_conv1": count + 3136, "ntk_regime": False},
                    "train_loss": 1.2 - accuracy,
                }
            )
            if curves:
                epoch = np.array([0.0, 0.5, 1.0, 4.0, 15.0])
                rise = 1 - np.exp(-epoch)
                arrays |= {
                    f"{cell}.epoch": epoch,
                    f"{cell}.step": 30 * epoch,
                    f"{cell}.test_accuracy": 0.5 + (accuracy - 0.5) * rise,
                    f"{cell}.train_loss": 0.7 - (accuracy - 0.5) * rise,
                }
    return Record("pair", {}, {"device": device, "dtype": "float64"}, results, arrays)
