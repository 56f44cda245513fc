import subprocess
import sys

import pytest
import torch

from ntklab.errors import InputError
from ntklab.tasks import TASKS, load_synthetic, load_task


def test_a_task_is_loaded_by_name_with_its_options():
    by_name = load_task("synthetic", samples=12, teacher="relu", data_seed=3)
    directly = load_synthetic(samples=12, teacher="relu", data_seed=3)
    assert torch.equal(by_name.train.features, directly.train.features)
    assert by_name.name == "synthetic"


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_its_name_and_refuses_unknown_options(name):
    with pytest.raises(InputError, match=f"unknown option of task '{name}' 'data_sed'.*data_seed"):
        load_task(name, data_sed=1)


def test_an_unknown_task_is_refused():
    with pytest.raises(InputError, match="unknown task 'quantumdot': did you mean 'quantum-dot'"):
        load_task("quantumdot")


def test_importing_the_tasks_imports_no_heavy_optional_library():
    code = "import sys, ntklab.tasks; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"matplotlib", "seaborn", "transformers"} & set(run.stdout.split())
