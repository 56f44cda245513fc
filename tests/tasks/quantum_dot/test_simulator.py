import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ntklab.errors import InputError
from ntklab.tasks.quantum_dot.simulator import simulate


def test_the_same_seed_gives_the_same_images_and_another_seed_others():
    one, again, other = simulate(4, seed=5), simulate(4, seed=5), simulate(4, seed=6)
    assert one.sha256 == again.sha256 != other.sha256
    np.testing.assert_array_equal(one.noisy, again.noisy)


def test_an_image_does_not_depend_on_how_many_are_made():
    few, many = simulate(3, seed=1), simulate(9, seed=1)
    for name in ("clean", "noisy", "labels"):
        np.testing.assert_array_equal(getattr(few, name), getattr(many, name)[:3])


def test_images_are_standardised_balanced_and_typed():
    diagrams = simulate(21, seed=0)
    assert diagrams.labels.dtype == np.int64
    assert diagrams.labels.sum() == 10
    for images in (diagrams.clean, diagrams.noisy):
        assert images.dtype == np.float32
        assert images.shape == (21, 50, 50)
        exact = images.astype(np.float64)
        np.testing.assert_allclose(exact.mean((1, 2)), 0, atol=1e-6)
        np.testing.assert_allclose(exact.std((1, 2)), 1, atol=1e-6)


def test_noise_changes_the_image_but_not_beyond_recognition():
    diagrams = simulate(40, seed=2)
    correlation = (diagrams.clean * diagrams.noisy).mean((1, 2))  # both are standardised
    assert (correlation < 0.999).all()
    assert np.median(correlation) > 0.7


def line_spread(image):
    """Ratio of the structure tensor's eigenvalues: 0 where all lines of an image are parallel."""
    smooth = gaussian_filter(image.astype(np.float64), 2.0)[4:-4, 4:-4]
    down, across = np.gradient(smooth)
    gradients = np.stack([across.ravel(), down.ravel()])
    low, high = np.linalg.eigvalsh(gradients @ gradients.T)
    return low / high


def test_single_dots_show_parallel_lines_and_double_dots_do_not():
    """Of a random pair the double dot has the wider spread of directions nearly always."""
    diagrams = simulate(200, seed=3)
    spread = np.array([line_spread(image) for image in diagrams.clean])
    single, double = spread[diagrams.labels == 0], spread[diagrams.labels == 1]
    assert (double[:, None] > single[None, :]).mean() > 0.95  # chance is 0.5
    assert np.median(double) > 2 * np.median(single)


@pytest.mark.parametrize(("n", "seed"), [(0, 0), (-2, 0), (3, -1)])
def test_a_simulation_that_cannot_be_is_refused(n, seed):
    with pytest.raises(InputError, match=f"simulate {n} diagrams with seed {seed}"):
        simulate(n, seed=seed)
