import pytest


@pytest.fixture
def spectrum_row():
    """One complete row of `ntklab spectrum`; the numbers mean nothing."""
    return {
        "method": "lora",
        "task": "quantum-dot",
        "preset": "ntk",
        "seed": 0,
        "width": 4,
        "tt_ranks": None,
        "params": 2056,
        "outputs": 64,
        "engine": "loop",
        "output": "full",
        "rank": 64,
        "rank_bound": 64,
        "rank_tolerance": 1e-12,
        "lambda_max": 2.0,
        "lambda_min": 1e-3,
        "lambda_min_nonzero": 1e-3,
        "lambda_min_error": 1e-15,
        "condition": 2e3,
        "trace": 10.0,
        "effective_dimension": 5.0,
        "seconds": 0.5,
        "peak_memory_bytes": 1000,
        "reason": None,
    }


@pytest.fixture
def provenance():
    return {
        "versions": {"python": "3", "torch": "2", "numpy": "2", "scipy": "1", "ntklab": "0"},
        "device": "cpu",
        "dtype": "float64",
        "threads": 1,
        "commit": None,
        "dirty": None,
        "started": "2026-01-01T00:00:00+00:00",
        "seconds": 1.0,
    }
