"""Charts of a run, as PNG files. Needs matplotlib."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from ._cases import FLOOR, OURS
from ._catalogue import REDIS
from ._results import Results, Row, Spread

#: Okabe and Ito's colours, which also the colour-blind can tell apart.
COLOURS = {
    OURS: "#0072B2",
    FLOOR: "#777777",
    "pipecat-ai": "#D55E00",
    "autogen-core": "#009E73",
    "planai": "#CC79A7",
    "taskiq": "#E69F00",
    "aiojobs": "#56B4E9",
    # They are beside one another nowhere but in bars, which have their names.
    "streaq": "#F0E442",
    "taskiq-redis": "#E69F00",
    "taskiq-redis-tuned": "#E69F00",
    "arq": "#56B4E9",
    "arq-tuned": "#56B4E9",
}
MARKERS = dict(zip(COLOURS, "osD^vPXphHdd", strict=True))

#: What is drawn of the cases over Redis, by function.
REDIS_TITLES = {
    "round_trip": "µs per job over Redis, one by one",
    "concurrent": "µs per job over Redis",
    "stream": "µs per chunk over Redis",
}

#: What each side has taken, by size.
Curves = dict[str, dict[int, Spread]]


def write_charts(results: Results, directory: Path) -> Iterator[Path]:
    """Write the charts of what was measured into a directory; yield their paths."""
    for name, draw in CHARTS.items():
        figure = draw(results)
        if figure is not None:
            about = ", ".join(f"{what} {value}" for what, value in results.about.items())
            figure.text(
                0.01, 0.01, f"{about}; {results.rounds} rounds", fontsize=6, color="#555555"
            )
            path = directory / f"{name}.png"
            figure.savefig(path, dpi=150)
            yield path


def _figure(width: float = 7.5) -> Figure:
    figure = Figure(figsize=(width, 4.5))
    # Below the axes there is room for a line that says what was measured.
    figure.set_layout_engine("constrained", rect=(0, 0.04, 1, 0.96))
    return figure


def _curves(results: Results, cases: Sequence[str], argument: str) -> Curves:
    """Return the spreads of each side by the size ``argument``."""
    curves: Curves = {}
    for row in results.rows:
        if row.case.name in cases:
            for side, cell in row.cells.items():
                if cell.spread is not None:
                    x = row.point.arguments.get(argument, 0)
                    curves.setdefault(side, {})[x] = cell.spread
    return {side: curves[side] for side in COLOURS if side in curves}


def _draw_curves(axes: Axes, curves: Curves, place: Callable[[int], float]) -> None:
    for side, points in curves.items():
        xs = sorted(points)
        spreads = [points[x] for x in xs]
        medians = [spread.median for spread in spreads]
        axes.errorbar(
            [place(x) for x in xs],
            medians,
            yerr=(
                [spread.median - spread.low for spread in spreads],
                [spread.high - spread.median for spread in spreads],
            ),
            label=side,
            color=COLOURS[side],
            marker=MARKERS[side],
            markersize=5,
            linewidth=2.5 if side == OURS else 1.5,
            linestyle="--" if side == FLOOR else "-",
            capsize=2,
        )
    axes.yaxis.set_major_formatter(FuncFormatter(_plain))
    axes.grid(visible=True, which="major", color="#dddddd")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _plain(value: float, _position: int) -> str:
    return f"{value:,.10g}"


def _label(value: float) -> str:
    return f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"


def _finish(figure: Figure, axes: Axes, title: str, x: str, y: str) -> Figure:
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    figure.legend(loc="outside right center", frameon=False)
    return figure


def draw_bystanders(results: Results) -> Figure | None:
    """Draw how a round trip grows with idle workers on the same bus."""
    curves = _curves(results, ["round-trip"], "bystanders")
    if not curves:
        return None
    xs = sorted({x for points in curves.values() for x in points})
    figure = _figure()
    axes = figure.add_subplot()
    _draw_curves(axes, curves, xs.index)
    axes.set_xticks(range(len(xs)), [f"{x:,}" for x in xs])
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(_plain))
    return _finish(
        figure, axes, "A job's round trip beside idle workers", "idle workers", "µs per job"
    )


def draw_group(results: Results) -> Figure | None:
    """Draw how a member's cost grows with the size of its group."""
    curves = _curves(results, ["group"], "size")
    if not curves:
        return None
    figure = _figure()
    axes = figure.add_subplot()
    _draw_curves(axes, curves, float)
    axes.set_xscale("log")
    axes.set_yscale("log")
    xs = sorted({x for points in curves.values() for x in points})
    axes.set_xticks(xs, [f"{x:,}" for x in xs])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(FuncFormatter(_plain))
    return _finish(figure, axes, "Job groups", "members", "µs per member")


def draw_history(results: Results) -> Figure | None:
    """Draw how a round trip grows with the jobs that were done before."""
    curves = _curves(results, ["history"], "earlier")
    if not curves:
        return None
    for row in results.rows:
        if row.case.name == "round-trip" and not row.point.arguments:
            for side in curves:
                spread = row.cells[side].spread if side in row.cells else None
                if spread is not None:
                    curves[side][0] = spread
    figure = _figure()
    axes = figure.add_subplot()
    _draw_curves(axes, curves, float)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_formatter(FuncFormatter(_plain))
    return _finish(
        figure, axes, "A job's round trip after others", "jobs done before", "µs per job"
    )


def draw_memory(results: Results) -> Figure | None:
    """Draw what idle workers and jobs in flight weigh."""
    return _bars(
        results, {"idle-memory": "kB per idle worker", "job-memory": "kB per job in flight"}
    )


def draw_stream(results: Results) -> Figure | None:
    """Draw what a chunk costs, and what a slow consumer makes pile up."""
    return _bars(
        results,
        {"stream": "µs per chunk", "slow-stream": "kB piled up before a slow consumer"},
    )


def draw_redis(results: Results) -> Figure | None:
    """Draw what a job between two processes costs, one by one and many at once, and a chunk."""
    rows: dict[str, Row] = {}
    for row in results.rows:
        if row.case.family == REDIS and row.case.function in REDIS_TITLES:
            rows.setdefault(row.case.function, row)
    if not rows:
        return None
    figure = _figure(5 * len(rows))
    for index, (function, row) in enumerate(rows.items()):
        axes = figure.add_subplot(1, len(rows), index + 1)
        spreads = {side: cell.spread for side, cell in row.cells.items() if cell.spread}
        medians = [spread.median for spread in spreads.values()]
        bars = axes.barh(list(spreads), medians, color=[COLOURS[side] for side in spreads])
        axes.bar_label(bars, list(map(_label, medians)), padding=2)
        axes.set_xscale("log")
        axes.set_xlim(left=1)
        axes.xaxis.set_major_formatter(FuncFormatter(_plain))
        axes.margins(x=0.2)
        axes.invert_yaxis()
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_title(f"{REDIS_TITLES[function]}\n{row.size}", loc="left", fontsize=10)
    return figure


def _bars(results: Results, titles: dict[str, str]) -> Figure | None:
    rows = [row for row in results.rows if row.case.name in titles]
    if not rows:
        return None
    figure = _figure(4.2 * len(rows))
    for index, row in enumerate(rows):
        axes = figure.add_subplot(1, len(rows), index + 1)
        _draw_bars(axes, row)
        axes.set_title(f"{titles[row.case.name]}\n{row.size}", loc="left", fontsize=10)
    return figure


def _draw_bars(axes: Axes, row: Row) -> None:
    spreads = {side: cell.spread for side, cell in row.cells.items() if cell.spread is not None}
    sides = list(spreads)
    medians = [spread.median for spread in spreads.values()]
    bars = axes.bar(range(len(sides)), medians, color=[COLOURS[side] for side in sides], width=0.6)
    axes.bar_label(bars, list(map(_label, medians)), padding=2)
    axes.set_xticks(range(len(sides)), sides)
    axes.yaxis.set_major_formatter(FuncFormatter(_plain))
    axes.margins(y=0.12)
    axes.spines[["top", "right"]].set_visible(False)


CHARTS: dict[str, Callable[[Results], Figure | None]] = {
    "bystanders": draw_bystanders,
    "group": draw_group,
    "history": draw_history,
    "memory": draw_memory,
    "redis": draw_redis,
    "stream": draw_stream,
}
