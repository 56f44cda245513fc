"""Columns of the kernel at the start, and of what it predicts on the test sentences.

They are made from the arrays of a finished cell when the record is put together, so that a better
prediction needs no new run.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from ntklab.dynamics import HeldOut, Modes, Prediction, predict
from ntklab.errors import InputError
from ntklab.spectra import (
    Spectrum,
    contrasts,
    kernel_target_alignment,
    label_alignment,
    spectrum,
)

Arrays = Mapping[str, np.ndarray]

#: Ways of `ntklab.predict` by the name of their column, with f_0 in and left out.
WAYS = {"flow": "squared", "ridge": "ridge", "cross_entropy": "cross-entropy", "sign": "sign"}
STARTS = {"": 1.0, "_without_start": 0.0}


@dataclass(frozen=True, eq=False)
class Known:
    """Kernels and outputs at the start, split into shots, validation and test sentences."""

    kernel: Float[Tensor, "NC NC"]
    cross: dict[str, Float[Tensor, "MC NC"]]
    sign: dict[str, Float[Tensor, "M N"]] | None
    outputs: dict[str, Float[Tensor, "M C"]]
    labels: dict[str, Int[Tensor, " M"]]

    @classmethod
    def of(cls, arrays: Arrays, counts: Mapping[str, int]) -> "Known":
        """From the arrays of a cell.

        Args:
            arrays: those of `StartKernels.arrays`, and `labels`.
            counts: sentences of `train`, `valid` and `test`.
        """
        C = arrays["start_outputs"].shape[1]
        sizes = [counts[name] for name in ("train", "valid", "test")]

        def parts(name: str, each: int = 1) -> dict[str, Tensor]:
            whole = torch.from_numpy(arrays[name])
            whole = whole.double() if whole.is_floating_point() else whole
            split = whole.split([size * each for size in sizes[-2 if name in _OTHERS else 0 :]])
            names = ("valid", "test") if name in _OTHERS else ("train", "valid", "test")
            return dict(zip(names, split, strict=True))

        return cls(
            torch.from_numpy(arrays["kernel"]).double(),
            parts("kernel_others", C),
            parts("sign_kernel") if "sign_kernel" in arrays else None,
            parts("start_outputs"),
            parts("labels"),
        )


_OTHERS = ("kernel_others",)


def kernel_columns(known: Known) -> dict[str, Any]:
    """Figures of the kernel of the shots, raw and with the mean over the shots removed."""
    result = spectrum(known.kernel, vectors=True)
    kept = result.summary()
    names = (
        *("rank_tolerance", "lambda_max", "lambda_min", "lambda_min_error", "lambda_min_nonzero"),
        *("condition", "trace", "effective_dimension", "participation_ratio", "entropy"),
    )
    row = {name: kept[name] for name in names}
    row |= {"kernel_rows": result.size, "kernel_rank": result.rank}
    row |= result.over_mean
    centred = _sample_centred(known)
    row |= {"centred_lambda_min": centred.lambda_min, "centred_condition": centred.condition}
    row |= {f"centred_{name}": value for name, value in centred.over_mean.items()}
    return row | _labels(known, result)


def _sample_centred(known: Known) -> Spectrum:
    """H K H on the directions whose mean over the samples is zero, for each output."""
    count = len(known.labels["train"])
    Q = torch.kron(contrasts(count), torch.eye(len(known.kernel) // count, dtype=torch.float64))
    centred = Q.T @ known.kernel @ Q
    return spectrum((centred + centred.T) / 2)


def _labels(known: Known, result: Spectrum) -> dict[str, Any]:
    """How the kernel meets the classes, as ±1, or one-hot less its mean where there are more."""
    count = len(known.labels["train"])
    y = _values(known.labels["train"], len(known.kernel) // count)
    split = label_alignment(result, y.reshape(-1))
    norm = float(y.square().sum())
    residual = y - known.outputs["train"]
    values = result.eigenvalues[: result.rank]
    assert result.eigenvectors is not None
    energy = (result.eigenvectors.T @ residual.reshape(-1)) ** 2
    return {
        # yᵀKy/(λ_max ‖y‖²): how near the classes are to the strongest direction
        "label_alignment": float((values * split.energy).sum()) / (result.lambda_max * norm),
        # the share of ‖y‖² in the ten strongest directions, and what no direction reaches
        "label_energy_10": float(split.cumulative[: min(10, result.rank)][-1]),
        "label_residual": split.residual_fraction,
        # √(2 rᵀK⁺r/N), r = y − f_0: Arora et al. 2019
        "label_complexity": float((2 / count) * (energy / values).sum()) ** 0.5,
        "kernel_target_alignment": kernel_target_alignment(
            known.kernel, y.reshape(-1), sample_centred=True
        ),
        "kernel_target_alignment_raw": kernel_target_alignment(known.kernel, y.reshape(-1)),
    }


def prediction_columns(known: Known) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Predicted accuracy and loss on the test sentences by every way, and the predicted outputs.

    Times and ridges are chosen on the validation sentences (ridges of `ridge` too), and so is the
    way that `predicted_accuracy` is of.
    """
    y, row, outputs = known.labels["test"], dict[str, Any](), dict[str, np.ndarray]()
    row |= _zero_shot(known)
    judged: dict[str, tuple[float, float, float]] = {}
    modes = Modes.of(known.kernel)
    for name, by in WAYS.items():
        for suffix, start in STARTS.items():
            made = _predicted(known, modes, by, start)
            if made is None:
                row[f"predicted_accuracy_{name}{suffix}"] = None
                continue
            accuracy = float(made.accuracy(y)[made.chosen])
            row[f"predicted_accuracy_{name}{suffix}"] = accuracy
            assert made.error is not None
            judged[f"{name}{suffix}"] = (float(made.error[made.chosen]), _rank(name), accuracy)
            outputs[f"predicted_outputs_{name}{suffix}"] = made.final.numpy()
            if name == "cross_entropy":
                row[f"predicted_loss{suffix}"] = float(made.mean_loss(y)[made.chosen])
                if not suffix:
                    train = made.train_outputs[made.chosen]
                    shots = known.labels["train"]
                    row["predicted_train_loss"] = training_loss(train, shots, "cross-entropy")
            if name == "flow":
                row[f"predicted_loss_flow{suffix}"] = float(made.mean_loss(y)[made.chosen])
    if judged:
        best = min(judged, key=lambda way: judged[way][:2])
        row |= {"predicted_by": best, "predicted_accuracy": judged[best][2]}
        row["valid_accuracy_predicted"] = 1 - judged[best][0]
    return row, outputs


def curve_columns(
    known: Known, times: Float[Tensor, " T"], loss: str = "cross-entropy"
) -> dict[str, np.ndarray]:
    """Loss and accuracy of gradient flow at these times, f_0 kept.

    Args:
        known: of a cell.
        times: η · step.
        loss: what is trained with.
    """
    single = known.outputs["train"].shape[1] == 1
    made = predict(
        Modes.of(known.kernel) if single else known.kernel,
        known.cross["test"],
        known.labels["train"],
        known.outputs["train"],
        known.outputs["test"],
        by=loss,  # type: ignore[arg-type]
        grid=times,
    )
    y, shots = known.labels["test"], known.labels["train"]
    losses = [training_loss(outputs, shots, loss) for outputs in made.train_outputs]
    return {
        "predicted_train_loss": np.array(losses),
        "predicted_test_loss": made.mean_loss(y).numpy(),
        "predicted_test_accuracy": made.accuracy(y).numpy(),
    }


def training_loss(outputs: Float[Tensor, "N C"], labels: Int[Tensor, " N"], loss: str) -> float:
    """The mean loss of a run, of the difference of two logits or of all logits.

    Example:
        >>> round(training_loss(torch.zeros(2, 1), torch.tensor([0, 1]), "cross-entropy"), 4)
        0.6931
    """
    if loss == "squared":
        wanted = _values(labels, 1) if outputs.shape[1] == 1 else F.one_hot(labels)
        return float(0.5 * (outputs.double() - wanted).square().sum() / len(labels))
    if outputs.shape[1] == 1:
        return float(F.binary_cross_entropy_with_logits(outputs[:, 0].double(), labels.double()))
    return float(F.cross_entropy(outputs.double(), labels))


def _predicted(known: Known, modes: Modes, by: str, start: float) -> Prediction | None:
    kernel: Any = modes
    cross, single = known.cross, known.outputs["train"].shape[1] == 1
    if by == "sign":
        if known.sign is None:
            return None
        kernel, cross = known.sign["train"], known.sign
    elif by == "cross-entropy" and not single:
        kernel = known.kernel
    held_out = HeldOut(cross["valid"], known.outputs["valid"], known.labels["valid"])
    try:
        return predict(
            kernel, cross["test"], known.labels["train"], known.outputs["train"],
            known.outputs["test"], by=by, start=start, held_out=held_out,  # type: ignore[arg-type]
        )  # fmt: skip
    except InputError:  # a solver that gives up: the other ways stand without it
        return None


def _zero_shot(known: Known) -> dict[str, Any]:
    f0, y = known.outputs["test"], known.labels["test"]
    if f0.shape[1] > 1:
        return {"zero_shot_accuracy": float((f0.argmax(1) == y).double().mean())}
    at_median = f0[:, 0] > f0.median()
    return {
        "zero_shot_accuracy": float(((f0[:, 0] > 0) == (y == 1)).double().mean()),
        "zero_shot_accuracy_median": float((at_median == (y == 1)).double().mean()),
    }


def _values(labels: Int[Tensor, " N"], C: int) -> Float[Tensor, "N C"]:
    if C == 1:
        return (2.0 * labels.double() - 1.0)[:, None]
    return F.one_hot(labels, C).double() - 1 / C


def _rank(name: str) -> float:
    """Of equally accurate ways the one that trains with the loss of the run comes first."""
    return float(("cross_entropy", "ridge", "flow", "sign").index(name))
