"""A cell that saves after every step, for a test that kills it."""

import json
import sys
from pathlib import Path

import torch

from ntklab.experiments.training.prompt import cell
from ntklab.experiments.training.prompt.config import PromptConfig

if __name__ == "__main__":
    torch.set_num_threads(1)
    cell.CHECKPOINT_SECONDS = 0.0
    settings = json.loads(sys.argv[1])
    settings["rates"] = tuple(settings["rates"])
    cell.run_prompt(PromptConfig.of(**settings), running=Path(sys.argv[2]))
