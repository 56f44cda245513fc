"""Simulated charge stability diagrams: random devices, a charge sensor, and its noise."""

import numpy as np
from numpy.random import Generator, SeedSequence

from ntklab.errors import InputError
from ntklab.host_memory import refuse_beyond_memory
from ntklab.tasks.quantum_dot import noise
from ntklab.tasks.quantum_dot.diagrams import SIDE, Diagrams
from ntklab.tasks.quantum_dot.physics import (
    ELECTRONS_PER_MV_AF,
    Array,
    Device,
    charging_energies,
    induced_charge,
    mean_occupation,
    sensor_signal,
)

# The steepest point of 1/cosh² is atanh(1/√3) ≈ 0.66: a sensor is tuned near it.
_FLANK = float(np.arctanh(1 / np.sqrt(3)))
_STEEPEST = 4 / (3 * np.sqrt(3))  # |d(1/cosh²)/dx| there


def draw_device(rng: Generator, dots: int) -> Device:
    """Draw one or two dots with plausible capacitances.

    Total capacitances are 40 to 100 aF (charging energies of about 1.6 to 5 meV), gate
    capacitances a few to 14 aF, the mutual capacitance 0.08 to 0.4 of sqrt(C1 C2), and k_B T is
    log-uniform in 0.01 to 0.08 meV (0.1 to 0.9 K). In a double dot each gate acts mostly on its
    own dot; both gates of a single dot act on it, with a ratio between 1/3 and 3.

    Args:
        rng: Source of randomness.
        dots: 1 or 2.

    Returns:
        The device, whose induced charge at zero voltage is between 0 and 3 electrons.
    """
    total = rng.uniform(40.0, 100.0, size=dots)
    if dots == 1:
        tilt = 3.0 ** rng.uniform(-0.5, 0.5)
        gates = rng.uniform(7.0, 12.0) * np.array([[tilt, 1 / tilt]])
        mutual = 0.0
    else:
        direct = np.diag(rng.uniform(7.0, 14.0, size=2))
        cross = direct @ np.array([[0.0, 1.0], [1.0, 0.0]]) * rng.uniform(0.08, 0.45, size=(2, 1))
        gates = direct + cross
        mutual = rng.uniform(0.08, 0.4) * float(np.sqrt(total.prod()))
    return Device(
        charging=charging_energies(total, mutual),
        lever=gates * ELECTRONS_PER_MV_AF,
        offset=rng.uniform(0.0, 3.0, size=dots),
        thermal=0.01 * 8.0 ** rng.uniform(),
    )


def gate_window(span: float) -> Array:
    """Voltages of the pixels: the second gate along rows, the first along columns.

    Args:
        span: Width of the window, mV.

    Returns:
        Shape (50, 50, 2), mV; entry [r, c] is (V1, V2) = (c, r) · span / 49.
    """
    axis = np.linspace(0.0, span, SIDE)
    return np.stack(np.meshgrid(axis, axis), axis=-1)


def _standardise(image: Array) -> Array:
    return (image - image.mean()) / image.std()


def _scan(rng: Generator, dots: int) -> tuple[Array, Array]:
    """One clean and one noisy image of a random device, each with zero mean and unit variance."""
    device = draw_device(rng, dots)
    span = rng.uniform(45.0, 75.0)
    gates = gate_window(span)
    occupation = mean_occupation(induced_charge(device, gates), device.charging, device.thermal)
    step = rng.uniform(0.06, 0.2)  # shift of the sensor by one electron, in peak widths
    coupling = step * rng.uniform(0.7, 1.3, size=dots)
    crosstalk = step * rng.uniform(0.0, 1.0, size=2) / span
    centre = SIDE // 2

    def potential(seen: Array) -> Array:
        # Electrons repel the sensor's level, gates pull it: hence the opposite signs.
        charge = (seen - occupation[centre, centre]) @ coupling
        return _FLANK + charge - (gates - span / 2) @ crosstalk

    latched = noise.latch(rng, occupation, tunnelling=rng.uniform(0.35, 1.0))
    shape = (SIDE, SIDE)
    charge_noise = step * (
        rng.uniform(0.1, 0.4) * noise.pink(rng, shape)
        + rng.uniform(0.0, 0.3) * noise.telegraph(rng, shape, switching=10 ** rng.uniform(-3, -1))
    )
    amplifier = step * _STEEPEST * rng.uniform(0.1, 0.5) * noise.white(rng, shape)
    clean = sensor_signal(potential(occupation))
    noisy = sensor_signal(potential(latched) + charge_noise) + amplifier
    return _standardise(clean), _standardise(noisy)


def simulate(n: int, *, seed: int) -> Diagrams:
    """Simulate charge stability diagrams of single and double dots.

    The constant-interaction model (van der Wiel et al., Rev. Mod. Phys. 75, 1, 2003) gives the
    occupation; a charge sensor on the flank of a Coulomb peak, with crosstalk from the gates,
    sees it. The noisy image of the same device adds latching, 1/f and telegraph noise of the
    sensor's potential, and white noise of the amplifier. Every image is standardised by itself.

    Args:
        n: Number of devices, at least 1; even indices are single dots, odd ones double dots.
        seed: Seed, not negative. Image i depends on ``seed`` and i only, not on ``n``.

    Returns:
        Diagrams with images (n, 50, 50), float32, and labels (n,).

    Raises:
        InputError: If ``n`` is below 1, more than memory holds, or ``seed`` is negative.

    Cost: a few milliseconds a device, 20 kB a device.

    Example:
        >>> diagrams = simulate(4, seed=0)
        >>> diagrams.clean.shape, diagrams.labels.tolist()
        ((4, 50, 50), [0, 1, 0, 1])
    """
    if n < 1 or seed < 0:
        raise InputError(
            f"cannot simulate {n} diagrams with seed {seed}: ask for at least 1 diagram and a "
            "seed that is not negative."
        )
    refuse_beyond_memory("images", n, 2, SIDE, SIDE, itemsize=4)
    labels = np.arange(n) % 2
    streams = SeedSequence(seed).spawn(n)  # stream i is the same for every n > i
    pairs = [
        _scan(np.random.default_rng(stream), int(label) + 1)
        for stream, label in zip(streams, labels, strict=True)
    ]
    clean, noisy = (np.stack(images).astype(np.float32) for images in zip(*pairs, strict=True))
    return Diagrams(clean, noisy, labels.astype(np.int64))
