"""Eq. 1: the low-rank update."""

import torch

from ntklab import build_adapter
from ntklab.claims.claim import Check, Claim, Effort, Finding, Measured, Sample, Verdict

CLAIM = Claim(
    id="eq01",
    title="LoRA's update",
    words="A frozen weight matrix is changed by the product of two factors of rank r.",
    formula=r"W' = W_0 + \Delta W = W_0 + B A,\quad B\in\mathbb{R}^{m\times r},\ "
    r"A\in\mathbb{R}^{r\times n}",
    assumptions=("a definition; the authors' code scales the product by α/r = 8",),
)
SAMPLE = Sample("random shapes and features", why="A definition knows no task.")


@torch.no_grad()
@torch.no_grad()
def measure(effort: Effort) -> Measured:
    """Forward pass of the library's LoRA against the product written out, on random shapes."""
    rows = []
    for seed in SAMPLE.seeds(effort):
        generator = torch.Generator().manual_seed(seed)
        d, C, r, N = (int(torch.randint(2, 40, (), generator=generator)) for _ in range(4))
        rank = min(r, d, C)
        model = build_adapter(
            "lora", d, C, rank=rank, preset="released", generator=generator, dtype=torch.float64
        )
        x = torch.randn(N, d, generator=generator, dtype=torch.float64)
        A, B = (model.state_dict()[name] for name in ("A", "B"))
        base = 0 if model.base is None else model.base(x)
        written_out = base + model.scale * (x @ (B @ A).T)
        error = (model(x) - written_out).norm() / written_out.norm()
        update_rank = int(torch.linalg.matrix_rank(B @ A))
        sizes = {"d": d, "C": C, "r": rank}
        rows.append({**sizes, "error": float(error), "update_rank": update_rank})
    return Measured({"largest_error": max(row["error"] for row in rows)}, rows, len(rows))


def judge(measured: Measured) -> Finding:
    """OK if the forward pass is the product and its rank stays at most r."""
    error = measured.values["largest_error"]
    within = all(row["update_rank"] <= row["r"] for row in measured.rows)
    if error < 1e-12 and within:
        return Finding(
            Verdict.OK,
            f"A definition. On {len(measured.rows)} random shapes the library's forward pass "
            f"equals the written-out product to {error:.1e}, and the rank of the update never "
            "exceeds r.",
        )
    return Finding(
        Verdict.FALSE,
        f"The forward pass differs from the written-out product by {error:.1e}, or the update "
        "has a rank above r.",
    )


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={"largest_error": "largest relative difference"},
    columns={"d": "d", "C": "C", "r": "r", "update_rank": "rank of BA", "error": "difference"},
    sample=SAMPLE,
)
