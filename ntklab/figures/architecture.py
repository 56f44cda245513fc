"""The adapters as tensor networks: every tensor with its dimensions, trained or frozen."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ntklab.adapters import Adapter, build_adapter
from ntklab.figures.network import FROZEN, RADIUS, Pen, train
from ntklab.figures.style import drawing, method_style
from ntklab.records import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Table = list[dict[str, Any]]

#: What is drawn, in reading order.
DRAWN = ("lora", "tt-delta", "tera", "tt-lora", "tensorguide")

_WIDTH, _HEIGHT = 13.2, 9.35  # of the page, in the units in which a node has radius 0.33
# Height of each headline above the foot of its panel.
_TOPS = {"lora": 3.22, "tt-delta": 3.22, "tera": 3.22, "tt-lora": 3.5, "tensorguide": 3.5}
_TITLES = {
    "lora": r"$f = s\,\phi A^{\!\top}\! B^{\!\top}$",
    "tt-delta": r"$f = s\,\phi\,\Delta W$,  $\Delta W$ a train",
    "tera": r"$\Delta W = \mathcal{C} \times_k (U_k\,\mathrm{diag}\,v_k)$",
    "tt-lora": r"$f = s\,\phi W_1 W_2$, a train and a latent each",
    "tensorguide": r"$f = s\,\sigma(\phi W_1) W_2$, one train for both",
}


def architecture_table(in_features: int = 512, out_features: int = 2) -> Table:
    """Every tensor of every adapter: one row each.

    Args:
        in_features: d.
        out_features: C.

    Returns:
        Rows with method, tensor (its name in the state dict), shape, entries, trained.

    Example:
        >>> rows = architecture_table()
        >>> sum(row["entries"] for row in rows if row["method"] == "lora" and row["trained"])
        2056
    """
    rows: Table = []
    for method in DRAWN:
        adapter = _adapter(method, in_features, out_features)
        for trained, tensors in (
            (True, adapter.named_parameters()),
            (False, adapter.named_buffers()),
        ):
            rows += [
                {
                    "method": method,
                    "tensor": name,
                    "shape": "x".join(map(str, tensor.shape)),
                    "entries": tensor.numel(),
                    "trained": trained,
                }
                for name, tensor in tensors
            ]
    return rows


def architecture_figure(
    records: Mapping[str, Record] | None = None,
    *,
    venue: str = "neurips",
    in_features: int = 512,
    out_features: int = 2,
) -> tuple["Figure", Table]:
    """The five adapters, with the shapes that the planner gives them, as tensor networks.

    Nodes are tensors, lines the indices between them with their dimensions; dotted lines have
    dimension 1. Coloured tensors are trained, grey ones frozen and random, dashed ones generated.

    Args:
        records: not needed: shapes alone decide.
        venue: see `ntklab.figures.venue_style`.
        in_features: d.
        out_features: C.

    Returns:
        The figure and the table of its tensors, for `ntklab.figures.save_figure`.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with drawing(venue, columns=2, height_to_width=1.0):
        width = mpl.rcParams["figure.figsize"][0]
        large, small = mpl.rcParams["legend.fontsize"], 0.85 * mpl.rcParams["legend.fontsize"]
        figure = Figure(figsize=(width, width * _HEIGHT / _WIDTH))
        figure.set_layout_engine("none")  # one axes, placed by hand
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, _WIDTH), ylim=(0, _HEIGHT), aspect="equal")
        axes.axis("off")
        places = {
            "lora": (0.4, 5.9), "tt-delta": (4.6, 5.9), "tera": (9.2, 5.9),
            "tt-lora": (0.4, 1.25), "tensorguide": (7.9, 1.25),
        }  # fmt: skip
        painters = {
            "lora": _lora, "tt-delta": _tt_delta, "tera": _tera, "tt-lora": _tt_lora,
            "tensorguide": _tensorguide,
        }  # fmt: skip
        for place, (method, at) in enumerate(places.items()):
            adapter = _adapter(method, in_features, out_features)
            pen = Pen(axes, method_style(method).colour, large, small)
            painters[method](pen, at, adapter)
            _headline(pen, at, "abcde"[place], method, adapter)
        _key(axes, small)
    return figure, architecture_table(in_features, out_features)


def architecture_caption(records: Mapping[str, Record] | None = None) -> str:
    """The caption."""
    trained = {
        row["method"]: sum(
            other["entries"]
            for other in architecture_table()
            if other["method"] == row["method"] and other["trained"]
        )
        for row in architecture_table()
    }
    counts = ", ".join(f"{method_style(m).label} {count}" for m, count in trained.items())
    return (
        "The adapters of this library as tensor networks, at d = 512 features and C = 2 outputs "
        "with their default shapes. Nodes are tensors, lines are indices with their dimensions "
        "(dotted: dimension 1). Coloured tensors are trained, grey ones frozen and random, dashed "
        f"boxes are weights that the train generates. Trained entries: {counts}. The form of TeRA "
        "is reconstructed from its abstract. Drawn from the shapes of the adapters alone: no "
        "samples, no seeds."
    )


def _adapter(method: str, in_features: int, out_features: int) -> Adapter:
    import torch

    return build_adapter(
        method, in_features, out_features, generator=torch.Generator().manual_seed(0)
    )


def _headline(
    pen: Pen, at: tuple[float, float], letter: str, method: str, adapter: Adapter
) -> None:
    x, y = at
    label = f"({letter}) {method_style(method).label}"
    top = y + _TOPS[method]
    pen.write((x, top), label, size=pen.large + 1, ha="left", weight="bold")
    pen.write((x, top - 0.39), _TITLES[method], size=pen.small + 0.5, ha="left")
    caption = f"{adapter.parameter_count} trained entries"
    pen.write((x, y - 0.52), caption, size=pen.small, ha="left", colour="#606060")


def _lora(pen: Pen, at: tuple[float, float], adapter: Adapter) -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in adapter.named_parameters()}
    (rank, d), (c, _) = shapes["A"], shapes["B"]
    x, y = at[0] + 0.95, at[1] + 0.95
    pen.line((x - 0.95, y), (x - RADIUS, y), f"$d$={d}")
    pen.line((x + RADIUS, y), (x + 1.45 - RADIUS, y), f"$r$={rank}")
    pen.line((x + 1.45 + RADIUS, y), (x + 2.3, y), f"$C$={c}")
    pen.node((x, y), "$A$")
    pen.node((x + 1.45, y), "$B$")


def _tt_delta(pen: Pen, at: tuple[float, float], adapter: Adapter) -> None:
    shape = adapter.shapes["cores"]
    names = [f"$G_{k + 1}$" for k in range(shape.length)]
    x, y = at[0] + RADIUS, at[1] + 0.6
    train(pen, (x, y), shape.core_shapes, names, down=0, up=0.85, side="top")
    cut = _cut(shape.out_dims, adapter.in_features)
    step, over = 1.06, y + 1.25
    pen.brace(x - 0.2, x + (cut - 1) * step + 0.2, over, f"$d$ = {adapter.in_features}")
    last = x + (shape.length - 1) * step
    pen.brace(x + cut * step - 0.2, last + 0.2, over, f"$C$ = {adapter.out_features}")


def _tera(pen: Pen, at: tuple[float, float], adapter: Adapter) -> None:
    buffers = {name: tuple(tensor.shape) for name, tensor in adapter.named_buffers()}
    dims = [buffers[f"factors.{k}"][0] for k in range(len(buffers["core"]))]
    ranks = buffers["core"]
    x, y, step = at[0] + RADIUS, at[1] + 0.08, 1.06
    pen.bar(
        x - RADIUS, x + (len(dims) - 1) * step + RADIUS, y, r"core $\mathcal{C}$, " + _times(ranks)
    )
    for k, (m, r) in enumerate(zip(dims, ranks, strict=True)):
        here = x + k * step
        pen.line((here, y + 0.26), (here, y + 0.62), r, side="right")
        pen.node((here, y + 0.95), f"$v_{k + 1}$", shape="diamond")
        pen.line((here, y + 1.28), (here, y + 1.54), r, side="right")
        pen.node((here, y + 1.84), f"$U_{k + 1}$", trained=False, shape="square")
        pen.line((here, y + 2.14), (here, y + 2.4), m, side="right")


def _tt_lora(pen: Pen, at: tuple[float, float], adapter: Adapter) -> None:
    x, y = at[0] + RADIUS, at[1] + 1.22
    width = adapter.describe()["width"]
    ends = {"cores1": (adapter.in_features, width), "cores2": (width, adapter.out_features)}
    for place, (name, shape) in enumerate(adapter.shapes.items(), start=1):
        names = [f"$G^{{({place})}}_{k + 1}$" for k in range(shape.length)]
        first, last = train(pen, (x, y), shape.core_shapes, names, step=1.25, up=1.05, down=0.94)
        left, right = first - RADIUS - 0.05, last + RADIUS + 0.15
        rows, columns = ends[name]
        pen.bar(left, right, y - 1.2, f"latent $z_{place}$, {_times(shape.in_dims)}")
        label = f"$W_{place}$:  {rows}" + r"$\times$" + f"{columns}"
        pen.bar(left, right, y + 1.31, label, frozen=False)
        x = last + 1.45


def _tensorguide(pen: Pen, at: tuple[float, float], adapter: Adapter) -> None:
    shape = adapter.shapes["cores"]
    width = adapter.describe()["width"]
    x, y = at[0] + RADIUS + 0.1, at[1] + 1.22
    names = [f"$G_{k + 1}$" for k in range(shape.length)]
    first, last = train(pen, (x, y), shape.core_shapes, names, step=1.3, up=1.05, down=0.94)
    left, right = first - RADIUS - 0.1, last + RADIUS + 0.3
    pen.bar(left, right, y - 1.2, f"latent $z$, {_times(shape.in_dims)}")
    # One tensor: every index runs over the entries of both factors, laid end to end.
    first_factor = f"$W_1$: {adapter.in_features}" + r"$\times$" + f"{width}"
    second_factor = f"$W_2$: {width}" + r"$\times$" + f"{adapter.out_features}"
    together = f"[vec {first_factor};  vec {second_factor}]"
    pen.bar(left, right, y + 1.31, together, frozen=False)


def _key(axes: "Axes", size: float) -> None:
    from matplotlib.lines import Line2D

    patch: dict[str, Any] = {"linestyle": "none", "markeredgecolor": "#303030", "markersize": 7}
    patch |= {"markeredgewidth": 0.7}
    handles = [
        Line2D([], [], marker="o", markerfacecolor="#56B4E9", label="trained", **patch),
        Line2D([], [], marker="D", markerfacecolor="#56B4E9", label="trained, diagonal", **patch),
        Line2D([], [], marker="s", markerfacecolor=FROZEN, label="frozen, random", **patch),
        Line2D([], [], color="#303030", linewidth=0.9, ls=(0, (3, 1.5)), label="generated weights"),
        Line2D([], [], color="#303030", linewidth=1.1, label="index and its dimension"),
    ]
    axes.legend(
        handles=handles, loc="lower center", ncols=5, fontsize=size, handlelength=1.4,
        columnspacing=1.2, handletextpad=0.5, borderaxespad=0.2,
    )  # fmt: skip


def _times(sizes: tuple[int, ...]) -> str:
    return r"$\times$".join(map(str, sizes))


def _cut(dims: tuple[int, ...], in_features: int) -> int:
    """How many modes make d."""
    product = 1
    for k, size in enumerate(dims, start=1):
        product *= size
        if product == in_features:
            return k
    return len(dims)
