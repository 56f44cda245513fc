"""Made-up records of the prompt task, for tests alone: worlds in which an answer is planted."""

import numpy as np

from ntklab.records import Record

MADE = {
    "versions": dict.fromkeys(("python", "torch", "numpy", "scipy", "ntklab"), "0"),
    **{"device": "cpu", "dtype": "float32", "threads": 1, "commit": None, "dirty": None},
    **{"started": "2026-01-01T00:00:00+00:00", "seconds": 1.0},
}
NOISE = 0.004  # of an accuracy at one seed, beside what all methods share


def world(name, variants, *, seeds=5, command="pair", noise=NOISE):
    """A record with one row a variant and seed.

    Args:
        name: of the record, for its configuration alone.
        variants: dictionaries with the columns of a row; a callable is called with the seed.
        seeds: how many.
        command: of the record.
        noise: of accuracies.
    """
    rng = np.random.default_rng(len(name))
    rows, arrays = [], {}
    for place, variant in enumerate(variants):
        for seed in range(seeds):
            row = defaults(place) | {
                key: value(seed) if callable(value) else value for key, value in variant.items()
            }
            shared = 0.01 * ((seed * 7) % 5 - 2)  # shots that are better or worse for everybody
            for key in [key for key in row if "accuracy" in key]:
                row[key] = float(np.clip(row[key] + shared + noise * rng.normal(), 0, 1))
            row |= {"seed": seed, "reason": None, "cell": f"{place}-{seed}"}
            rows.append(row)
            row["cell_sgd"] = f"{row['cell']}-sgd"
            arrays |= {f"{row['cell_sgd']}.{key}": value for key, value in curves(row).items()}
    config = {
        "model": "a made-up model",
        "shots": 64,
        "test": 500,
        "seeds": list(range(seeds)),
    }
    made = dict(MADE)
    return Record(command, config, made, rows, arrays)


def defaults(place):
    """A row in which nothing of the kernel has to do with anything."""
    scrambled = (place * 37 + 11) % 101 / 101
    return {
        "variant": f"v{place}",
        "method": f"method-{place}",
        "family": "ntklab",
        "task": "prompt",
        "params": int(1000 * 1.2 ** ((place * 13) % 29)),
        "adapter_rank": 8,
        "lambda_max": 100.0 + place,
        "lambda_min": 0.001 + ((place * 17) % 23) / 1000,
        "lambda_min_over_mean": 0.001 + ((place * 19) % 29) / 1000,
        "lambda_min_nonzero": 0.01 + ((place * 7) % 31) / 100,
        "centred_lambda_min": 0.001 + ((place * 23) % 31) / 1000,
        "centred_condition": 1000.0 + ((place * 11) % 37),
        "effective_dimension": 5.0 + ((place * 5) % 19),
        "label_alignment": 0.3 + ((place * 3) % 23) / 100,
        "kernel_target_alignment": 0.1 + ((place * 29) % 31) / 100,
        "zero_shot_accuracy": 0.55,
        "predicted_accuracy": 0.80 + 0.05 * scrambled,
        "predicted_accuracy_cross_entropy": 0.80,
        "predicted_by": "ridge",
        "accuracy_adam": 0.80 + 0.05 * scrambled,
        "accuracy_sgd": 0.80 + 0.05 * scrambled,
        "train_loss_adam": 0.3 - 0.1 * scrambled,
        "train_loss_sgd": 0.3 - 0.1 * scrambled,
        "steps_adam": 200,
        "steps_sgd": 200,
        "steps_to_loss_adam": 20 + (place * 41) % 53,
        "steps_to_loss_sgd": 20 + (place * 41) % 53,
        "drift_sgd": 0.05,
        "drift_adam": 0.5,
        "linearization_error_sgd": 0.05,
        "linearization_error_adam": 0.4,
        "weights_linearization_error_sgd": 0.02,
        "weights_linearization_error_adam": 0.08,
        "ntk_regime_sgd": True,
        "ntk_regime_adam": False,
    }


def curves(row):
    """Logged steps with accuracies and losses, measured and predicted, named as in a record."""
    steps = np.array([0, 1, 2, 4, 8, 16, 32, 64, 128])
    rise = 1 - np.exp(-steps / 20)
    accuracy = 0.55 + (row["accuracy_sgd"] - 0.55) * rise
    made = {"predicted_test_accuracy": accuracy - 0.005 * rise}
    rare = np.where(steps == 8, np.nan, accuracy)  # not every look is at the test sentences
    made |= {"sgd_step": steps, "sgd_test_accuracy": rare}
    made |= {"sgd_test_loss": 0.7 - 0.3 * rise, "sgd_train_loss": 0.7 - 0.5 * rise}
    made |= {"predicted_test_loss": 0.7 - 0.29 * rise, "predicted_train_loss": 0.7 - 0.5 * rise}
    return {name: np.asarray(values) for name, values in made.items()}
