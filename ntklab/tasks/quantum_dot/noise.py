"""The noise of a measured diagram. Pixels are measured one by one, row after row: time runs so."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Array = NDArray[np.float64]


def white(rng: Generator, shape: tuple[int, int]) -> Array:
    """Amplifier noise: independent standard normal values, shape as asked."""
    return rng.standard_normal(shape)


def pink(rng: Generator, shape: tuple[int, int]) -> Array:
    """Charge noise with power 1/f along the time of measurement, scaled to unit variance.

    Args:
        rng: Source of randomness.
        shape: Rows and columns of the scan; time runs along the rows.

    Returns:
        Zero mean, unit variance, of the given shape.
    """
    length = shape[0] * shape[1]
    bins = length // 2 + 1
    spectrum = rng.standard_normal(bins) + 1j * rng.standard_normal(bins)
    spectrum[0] = 0.0
    spectrum[1:] /= np.sqrt(np.arange(1, bins))  # amplitude 1/√f is power 1/f
    trace = np.fft.irfft(spectrum, n=length)
    return (trace / trace.std()).reshape(shape)


def telegraph(rng: Generator, shape: tuple[int, int], switching: float) -> Array:
    """Random telegraph noise: one two-level trap that an electron enters and leaves.

    Args:
        rng: Source of randomness.
        shape: Rows and columns of the scan; time runs along the rows.
        switching: Probability that the trap switches between two pixels.

    Returns:
        Values -1 and +1 of the given shape.
    """
    switches = rng.random(shape[0] * shape[1]) < switching
    switches[0] = rng.random() < 0.5
    state = np.where(np.cumsum(switches) % 2 == 0, 1.0, -1.0)
    return state.reshape(shape)


def latch(rng: Generator, occupation: Array, tunnelling: float) -> Array:
    """Latching: an electron that tunnels too seldom keeps its old place for some pixels.

    At each pixel of a row each dot reaches equilibrium with probability ``tunnelling``, otherwise
    it keeps the occupation it had; the first pixel of a row is in equilibrium, because the gate
    waits there after its return. The lag is geometric with mean (1 - tunnelling) / tunnelling.

    Args:
        rng: Source of randomness.
        occupation: Equilibrium occupation, shape (rows, columns, k).
        tunnelling: Probability of reaching equilibrium within a pixel, in (0, 1].

    Returns:
        The occupation that the sensor sees, of the same shape.

    Example:
        >>> step = np.array([0.0, 0.0, 1.0, 1.0]).reshape(1, 4, 1)
        >>> latch(np.random.default_rng(0), step, tunnelling=1.0).ravel()
        array([0., 0., 1., 1.])
    """
    reached = rng.random(occupation.shape) < tunnelling
    reached[:, 0] = True
    columns = np.arange(occupation.shape[1])[None, :, None]
    last = np.maximum.accumulate(np.where(reached, columns, 0), axis=1)
    return np.take_along_axis(occupation, last, axis=1)
