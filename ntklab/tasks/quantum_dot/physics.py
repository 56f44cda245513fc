"""The constant-interaction model of one or two quantum dots under two gates.

Source: van der Wiel et al., "Electron transport through double quantum dots", Rev. Mod. Phys. 75,
1 (2003), section II. Units: energies in meV, capacitances in aF, voltages in mV.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CHARGING_MEV_AF = 160.2176634  # e² in meV aF: one electron on 1 aF costs e²/C = 160.2 meV
ELECTRONS_PER_MV_AF = 1 / CHARGING_MEV_AF  # charge C·V in units of e, for C in aF and V in mV

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Device:
    """One or two dots, k of them, with two gates.

    Args:
        charging: Charging energies E = e² C⁻¹, shape (k, k), meV. Diagonal: E_C1, E_C2;
            off the diagonal: the mutual energy E_Cm.
        lever: Gate capacitances over e, shape (k, 2), electrons per mV.
        offset: Induced charge at zero gate voltage, shape (k,), electrons.
        thermal: Thermal energy k_B T, meV.
    """

    charging: Array
    lever: Array
    offset: Array
    thermal: float


def charging_energies(total: Array, mutual: float = 0.0) -> Array:
    """Charging energies of one or two dots from their capacitances.

    E = e² C⁻¹ with C = [[C1, -Cm], [-Cm, C2]] (van der Wiel et al. 2003, section II).

    Args:
        total: Total capacitance of each dot, Cm included, shape (k,) with k 1 or 2, aF.
        mutual: Mutual capacitance Cm between two dots, aF, below sqrt(C1 C2).

    Returns:
        E, shape (k, k), meV.

    Example:
        >>> charging_energies(np.array([80.0])).round(3)
        array([[2.003]])
        >>> charging_energies(np.array([80.0, 80.0]), mutual=20.0).round(3)
        array([[2.136, 0.534],
               [0.534, 2.136]])
    """
    capacitance = np.diag(total).astype(np.float64)
    if len(total) == 2:
        capacitance[0, 1] = capacitance[1, 0] = -mutual
    energies = CHARGING_MEV_AF * np.linalg.inv(capacitance)
    # The inverse is symmetric but for rounding, whose order is the processor's: one half decides.
    return np.tril(energies) + np.tril(energies, -1).T


def induced_charge(device: Device, gates: Array) -> Array:
    """Charge n_g that the gates would put on each dot if electrons could be divided.

    Args:
        device: The dots.
        gates: Gate voltages, shape (..., 2), mV.

    Returns:
        n_g = offset + lever · V, shape (..., k), electrons.
    """
    return gates @ device.lever.T + device.offset


def mean_occupation(induced: Array, charging: Array, thermal: float, reach: int = 2) -> Array:
    """Thermal mean of the electron numbers on each dot.

    The energy of the occupation N is U(N) = ½ (N - n_g)ᵀ E (N - n_g), that of van der Wiel
    et al. 2003 without the term that no N changes. The mean runs over the integers N ≥ 0 within
    ``reach`` of round(n_g) in each dot with weights exp(-U / k_B T): as T → 0 it is the ground
    state, the honeycomb of the stability diagram. With mutual capacitance up to 0.4 of
    sqrt(C1 C2), C1/C2 within 2.5 and k_B T up to E/20, reach 2 misses less than 1e-9 electrons.

    Args:
        induced: n_g, shape (..., k), electrons, not below -0.5.
        charging: E, shape (k, k), meV.
        thermal: k_B T, meV, positive.
        reach: How far to look from round(n_g), electrons.

    Returns:
        ⟨N⟩, shape (..., k). Cost: (2 reach + 1)^k exponentials a point.

    Example:
        >>> mean_occupation(np.array([[1.2], [1.5], [1.9]]), np.array([[2.0]]), 0.01).ravel()
        array([1. , 1.5, 2. ])
    """
    dots = induced.shape[-1]
    steps = np.array(list(itertools.product(range(-reach, reach + 1), repeat=dots)), dtype=float)
    occupation = np.rint(induced)[..., None, :] + steps  # (..., states, k)
    away = occupation - induced[..., None, :]
    energy = 0.5 * ((away @ charging) * away).sum(-1)
    energy[(occupation < 0).any(-1)] = np.inf
    weight = np.exp((energy.min(-1, keepdims=True) - energy) / thermal)
    return (weight[..., None] * occupation).sum(-2) / weight.sum(-1)[..., None]


def sensor_signal(potential: Array) -> Array:
    """Conductance of the charge sensor, a thermally broadened Coulomb peak 1/cosh²(x).

    Args:
        potential: Potential x of the sensor from its peak, in units of the peak's width.

    Returns:
        The signal, 1 on the peak, of the same shape.
    """
    return 1.0 / np.cosh(potential) ** 2
