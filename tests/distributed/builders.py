"""What workers of the tests build by name."""

import contextlib
import json
import os
import signal
from pathlib import Path

import torch
from torch import nn

from ntklab.jacobians import Jacobian, jacobian


def mlp(width, seed, outputs=2):
    """A network that is no adapter, drawn by a seed."""
    generator = torch.Generator().manual_seed(seed)
    model = nn.Sequential(nn.Linear(5, width), nn.Tanh(), nn.Linear(width, outputs)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return model


def inputs(samples, seed=0):
    """Features (samples, 5)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(samples, 5, generator=generator, dtype=torch.float64)


class Fatal(Jacobian):
    """Whoever computes a block with it is killed, a few times in all."""

    store, after, deaths = Path(), 0, 0

    def gram(self, other=None, output="full"):
        """The block, or the end; just before, what the store holds is written down."""
        here = blocks_of(self.store)
        if len(here) >= self.after:
            for death in range(self.deaths):
                note = self.store.parent / f"death-{death}.json"
                with contextlib.suppress(FileExistsError), note.open("x") as file:
                    json.dump(here, file)
                    file.flush()
                    os.kill(os.getpid(), signal.SIGKILL)
        return super().gram(other, output)


def fatal(samples, store, after, deaths):
    """A Jacobian whose workers are killed once the store has `after` blocks."""
    Fatal.store, Fatal.after, Fatal.deaths = Path(store), after, deaths
    J = jacobian(mlp(4, 0), inputs(samples), engine="jacrev", check=False)
    return Fatal(J.engine, J.x, memory=J.memory, check=False)


def blocks_of(store):
    """Every finished block with the time of its file."""
    files = (Path(store) / "gram" / "c").rglob("*") if (Path(store) / "gram").exists() else ()
    return {
        str(file.relative_to(store)): file.stat().st_mtime_ns
        for file in files
        if file.is_file() and file.name.isdigit()
    }
