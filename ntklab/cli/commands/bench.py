"""`ntklab bench`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from ntklab.cli import console
from ntklab.cli import options as opt
from ntklab.cli.groups import option

if TYPE_CHECKING:
    from ntklab.records import Record

# Of a checkout: where a first measurement on a GPU would be found.
_RECORDS = Path("figures/records")


def bench(
    case: Annotated[
        list[str], option("--case -c NAME", "A case by name, several times; all when left out.")
    ] = [],  # noqa: B006 — typer copies it
    quick: Annotated[bool, option("--quick", "The small form of every case.")] = False,
    repeats: Annotated[int, option("--repeats COUNT", "Runs that count.", min=1)] = 5,
    threads: Annotated[
        int, option("--threads COUNT", "Threads of torch.", min=1, max=opt.MOST_THREADS)
    ] = 2,
    peers: Annotated[
        bool, option("--peers", "Race the libraries of the extra 'peers' too.")
    ] = False,
    peak: Annotated[
        bool, option("--peak/--no-peak", "Measure memory, in further processes.")
    ] = True,
    limit: Annotated[
        float, option("--limit SECONDS", "Seconds beyond which a contender is not started.")
    ] = 120.0,
    device: opt.Device = "cpu",
    dry_run: opt.DryRun = False,
    out: Annotated[
        Path | None,
        option("--out -o DIR", "Folder that gets record.json.", callback=opt.check_out),
    ] = None,
    form: opt.Format = "table",
    plot: opt.Plot = None,
    markdown: Annotated[
        Path | None,
        option("--markdown FILE", "Page that holds the two marks; tables go between them."),
    ] = None,
    record: Annotated[
        Path | None, option("--record FILE", "Show this record again and measure nothing.")
    ] = None,
    roofline: Annotated[
        str | None,
        option("--roofline NAME", "Count the cases for a device on paper: h100.", words=("h100",)),
    ] = None,
) -> None:
    """Time every way to the kernel, and training steps, beside PyTorch's tutorial and a floor.

    \b
    Examples:
      ntklab bench --quick --case relu-1024 --case training --case block-size
      ntklab bench --peers --out runs/bench --plot runs/bench.pdf --format json
    """
    from ntklab.bench import bench_markdown, check_marks, write_between_marks
    from ntklab.records import Record

    console.check_format(form)
    if roofline is not None:
        _on_paper(case, roofline, form, markdown)
        return
    if markdown is not None:
        check_marks(markdown)
    if dry_run:
        _plan(case, quick=quick, repeats=repeats, limit=limit)
        return
    if record is not None:
        measured = Record.read(record)
    else:
        settings = {"quick": quick, "repeats": repeats, "threads": threads, "peers": peers}
        measured = _measure(case, out, device=device, peak=peak, limit=limit, **settings)
    if plot is not None:
        _draw(measured, plot)
    if markdown is not None:
        write_between_marks(markdown, bench_markdown(measured))
    console.print_result(measured, form, tables(measured))


def _on_paper(cases: list[str], device: str, form: str, markdown: Path | None) -> None:
    from ntklab.bench import (
        ROOFLINE,
        check_marks,
        roofline_markdown,
        roofline_rows,
        write_between_marks,
    )

    if markdown is not None:
        check_marks(markdown, ROOFLINE)
        write_between_marks(markdown, roofline_markdown(cases, device, _RECORDS), ROOFLINE)
        return
    rows = roofline_rows(cases, device, _RECORDS)
    console.print_table(rows, {name: name for name in rows[0]} if rows else {}, form)


def tables(record: "Record") -> list[console.Shown]:
    """A table for every kind of row."""
    from ntklab.bench import bench_tables

    return [(rows, {name: name for name in rows[0]}) for rows in bench_tables(record).values()]


def _plan(cases: list[str], *, quick: bool, repeats: int, limit: float) -> None:
    """The cases that would be timed, in the form of every dry run."""
    from ntklab.bench import cases_named
    from ntklab.records import to_json

    chosen = cases_named(cases)
    console.write_json(to_json({"quick": quick, "repeats": repeats, "limit": limit}))
    console.print_table([{"case": one.name} for one in chosen], {"case": "case"})
    console.write_line(f"Every contender of a case runs once and {repeats} times more, in turns.")


def _measure(cases: list[str], out: Path | None, *, device: str, **settings: float) -> "Record":
    from ntklab.bench import Settings, run_bench
    from ntklab.compute import resolve_device

    def save(record: "Record") -> None:
        if out is not None:
            record.write(out)

    chosen = Settings(device=resolve_device(device), **settings)  # type: ignore[arg-type]
    return run_bench(cases, chosen, say=console.note, save=save)


def _draw(record: "Record", plot: Path) -> None:
    from ntklab.figures import save_figure
    from ntklab.figures.bench import bench_figure

    figure, table = bench_figure(record)
    for path in save_figure(figure, plot, table):
        console.note(f"wrote {path}")
