"""What workers of the tests build by name."""

import json
import os
import signal
import time
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
    """Those workers that are named by their process are killed once a few blocks are there."""

    store, after, victims = Path(), 0, ()

    def gram(self, other=None, output="full"):
        """The block, or the end; just before, what the store holds is written down."""
        here = blocks_of(self.store)
        if len(here) >= self.after and os.getpid() in self.victims:
            (self.store.parent / f"death-{os.getpid()}.json").write_text(json.dumps(here))
            os.kill(os.getpid(), signal.SIGKILL)
        return super().gram(other, output)


def fatal(samples, store, after, victims):
    """A Jacobian that kills its worker once the store has `after` blocks."""
    Fatal.store, Fatal.after, Fatal.victims = Path(store), after, tuple(victims)
    return _of_kind(Fatal, samples)


class Waiting(Jacobian):
    """Once a few blocks are there, whoever computes another one waits for ever."""

    store, after = Path(), 0

    def gram(self, other=None, output="full"):
        """The block, or nothing until the end of the process."""
        while len(blocks_of(self.store)) >= self.after:
            time.sleep(0.05)
        return super().gram(other, output)


def waiting(samples, store, after):
    """A Jacobian whose workers stop once the store has `after` blocks."""
    Waiting.store, Waiting.after = Path(store), after
    return _of_kind(Waiting, samples)


def _of_kind(kind, samples):
    J = jacobian(mlp(4, 0), inputs(samples), engine="jacrev", check=False)
    return kind(J.engine, J.x, memory=J.memory, check=False)


def blocks_of(store):
    """Every finished block with the time of its file."""
    files = (Path(store) / "gram" / "c").rglob("*") if (Path(store) / "gram").exists() else ()
    return {
        str(file.relative_to(store)): file.stat().st_mtime_ns
        for file in files
        if file.is_file() and file.name.isdigit()
    }
