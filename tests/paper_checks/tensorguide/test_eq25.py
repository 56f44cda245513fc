from copy import deepcopy

import torch

from ntklab.claims import Effort, Verdict
from paper_checks.tensorguide.eq25 import CHECK, collect, trial


def test_holds_for_the_library():
    assert CHECK.judge(CHECK.measure(Effort())).verdict is Verdict.OK


def test_a_latent_that_moves_is_found_out():
    """With z drawn anew, as Algorithm 1 does, the two factors belong to different functions."""

    def at_another_latent(head):
        other = deepcopy(head)
        other.resample_latent(torch.Generator().manual_seed(7))
        return other.tangent_map()

    measured = collect([trial("relu", seed, at_another_latent) for seed in range(2)])
    found = CHECK.judge(measured)
    assert found.verdict is Verdict.FALSE
    assert measured.values["engine_error"] < 1e-12
