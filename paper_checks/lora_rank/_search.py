"""Searching random landscapes for spurious minima."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from paper_checks.lora_rank._landscape import Array, Landscape, Point, descend

#: A point lies above the best one if by more than this share of 1 + |F|.
_CLEARLY = 1e-5


def gaussian_features(count: int, rows: int, columns: int, rng: np.random.Generator) -> Array:
    """G with independent standard normal entries, shape (count, rows, columns)."""
    return rng.normal(size=(count, rows, columns))


def small_perturbation(landscape: Landscape, rng: np.random.Generator, size: float = 1e-3) -> Array:
    """A random positive definite P of norm about `size`, shape (m + n, m + n)."""
    _, m, n = landscape.sizes
    factor = rng.normal(size=(m + n, m + n))
    return size * factor @ factor.T / (m + n)


def perturbed(landscape: Landscape, rng: np.random.Generator) -> Landscape:
    """The landscape with a small random P."""
    return replace(landscape, perturbation=small_perturbation(landscape, rng))


def from_many_starts(
    landscape: Landscape, rank: int, starts: int, rng: np.random.Generator
) -> list[Point]:
    """Points of second order that descents from Gaussian starts end in; others are left out."""
    _, m, n = landscape.sizes
    points = [descend(landscape, rng.normal(size=(m + n, rank))) for _ in range(starts)]
    return [point for point in points if point.second_order]


def spurious(points: Sequence[Point]) -> list[Point]:
    """Points of second order that another point of the same rank lies clearly below.

    Every such point is a spurious minimum or a degenerate saddle, whatever the search has missed:
    a lower value of the same rank was seen.
    """
    if not points:
        return []
    best = min(point.value for point in points)
    return [point for point in points if point.value > best + _CLEARLY * (1 + abs(best))]
