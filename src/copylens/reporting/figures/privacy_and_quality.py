"""What each recipe gives away against what its images are worth: copies and membership, and the verdict on them."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from copylens.config.columns import NETWORK
from copylens.jobs.files import read_table
from copylens.reporting.labels import name_points
from copylens.reporting.page import (
    INK,
    PAGE_WIDTH,
    QUIET,
    UNTRAINED,
    blank_page,
    fit,
    house_style,
    network_name,
    paragraph,
    place,
    require,
    write,
)
from copylens.reporting.summaries import pareto_front, recipe_means
from copylens.reporting.trade_off import FRONT_LINE, REAL_LINE, draw_lines, frame

DISTANCE, COPIES, MEMBERSHIP, USEFULNESS = "frechet_distance_held_out", "copies", "membership_samples", "usefulness"
MEASURES = ("value", COPIES, MEMBERSHIP, USEFULNESS)
AUDITED = ("kind", "verdict", "samples_alone", COPIES, f"{COPIES}_low", f"{COPIES}_high")
COLUMNS = (*NETWORK, *AUDITED, DISTANCE, f"{DISTANCE}_real")
# Marker and colour of each verdict.
VERDICTS = {"FAIL": ("X", "#9C2B15"), "NOT ABLE TO SAY": ("^", "#B07A10"), "PASS": ("o", "#17603C")}
CHANCE = 0.5
CHANCE_LINE = {"color": QUIET, "linewidth": 0.6, "linestyle": (0, (1, 2))}
SMALLEST = 1e-3  # distance that is shown
NAMED_FROM, NAMED = 0.02, 4  # copies, and at most so many recipes, where the other panel has the names

# All in inches.
MARGIN, TICKS, RIGHT, TOP = 0.2, 0.42, 0.12, 0.52
TITLE, COPIES_PANEL, MEMBERSHIP_PANEL, BETWEEN, BELOW, NOTE_LINE = 0.12, 1.9, 3.0, 0.16, 0.5, 0.15


def pages(files, settings) -> list[Figure]:
    """One page, from a study's mitigations."""
    return [draw(read_table(files["mitigations"]))]


@house_style()
def draw(mitigations: pd.DataFrame) -> Figure:
    """Two panels per data set over the same distance, copies and membership; one point per model and variant.

    mitigations: the table of `copylens.auditing.mitigations`; dataset, model, kind, variant, seed, verdict,
        samples_alone (the verdict without the weights), copies (shares) and, where there are any, membership_samples
        (areas under the curve), membership_weights and usefulness; the Frechet distance to held-out patients, and that
        of real images in the samples' place. Each with its interval, `_low` and `_high`, where it has one.

    Points are means over seeds, of distances geometric ones. Thick bars are 95 % t-intervals over seeds, thin ones
    those over patients, means over seeds; both in both directions. The marker is the worst verdict of the seeds on the
    samples alone. The step line joins the trained recipes that no other trained one beats in both.

    Raises ValueError where columns or rows are missing.
    """
    require(mitigations, COLUMNS, "mitigations")
    table = mitigations.dropna(subset=[COPIES, DISTANCE]).reset_index(drop=True)
    require(table, (), "mitigations with copies and a distance")
    groups = [(str(dataset), _means(group), group) for dataset, group in table.groupby("dataset", sort=False)]
    notes = [
        line
        for dataset, means, group in groups
        for line in paragraph(_sentences(means, group, dataset if len(groups) > 1 else ""), _width() + TICKS, 7)
    ]
    heights = [_height(means) for _, means, _ in groups]
    figure = blank_page(PAGE_WIDTH, TOP + sum(heights) + NOTE_LINE * len(notes) + 0.1)
    for number, (dataset, means, group) in enumerate(groups):
        top = TOP + sum(heights[:number])
        title = fit(dataset.replace("_", " "), _width(), 7.5, "bold")
        write(figure, MARGIN + TICKS, top, title, size=7.5, weight="bold")
        _panels(figure, top + TITLE, means, group[f"{DISTANCE}_real"].min())  # of most images: few are farther
    for line, text in enumerate(notes):
        write(figure, MARGIN, TOP + sum(heights) + NOTE_LINE * line, text)
    _legend(figure)
    return figure


def _width() -> float:
    return PAGE_WIDTH - 2 * MARGIN - TICKS - RIGHT


def _height(means: pd.DataFrame) -> float:
    membership = BETWEEN + MEMBERSHIP_PANEL if means[MEMBERSHIP].notna().any() else 0.0
    return TITLE + COPIES_PANEL + membership + BELOW


def _means(group: pd.DataFrame) -> pd.DataFrame:
    """A row per recipe: `copylens.reporting.summaries.recipe_means` of `MEASURES`, within what is possible."""
    table = group.assign(recipe=_names(group), verdict=group["samples_alone"])
    for measure, column in zip(MEASURES, (DISTANCE, *MEASURES[1:]), strict=True):
        for end in ("", "_low", "_high"):
            table[f"{measure}{end}"] = group.get(f"{column}{end}", np.nan)
    distances = [f"value{end}" for end in ("", "_low", "_high")]
    table[distances] = np.log(table[distances].clip(lower=SMALLEST))  # which are above 0, and their axis logarithmic
    means = recipe_means(table, MEASURES)
    distances += [f"value{end}" for end in ("_least", "_most")]
    means[distances] = np.exp(means[distances])
    for measure in (COPIES, MEMBERSHIP):
        for end in ("_least", "_most"):
            means[f"{measure}{end}"] = means[f"{measure}{end}"].clip(0, 1)
    return means


def _names(group: pd.DataFrame) -> list[str]:
    """Names of the rows' recipes: the variant alone, where one model has them all."""
    trained = ~group["kind"].isin(UNTRAINED)
    one = group.loc[trained, "model"].nunique() == 1
    rows = zip(group["model"], group["variant"], trained, strict=True)
    return [variant if one and recipe else network_name(model, variant) for model, variant, recipe in rows]


def _sentences(means: pd.DataFrame, group: pd.DataFrame, dataset: str) -> str:
    """What the copycat gets for replaying training images, and what the weights would change, of one data set."""
    trained, said = means[~means["kind"].isin(UNTRAINED)], []
    for copycat in means[means["kind"] == "copycat"].itertuples():
        nearer = (trained["value"] < copycat.value).sum()
        ranks = [f"{nearer or 'none'} of {len(trained)} trained recipes {_come(nearer)} nearer to held-out patients"]
        if trained[USEFULNESS].notna().any() and pd.notna(copycat.usefulness):
            better = (trained[USEFULNESS] > copycat.usefulness).sum()
            ranks.append(f"{better or 'none'} {'is' if better < 2 else 'are'} more useful")
        of_copycat = f"the verdict on it is {copycat.verdict}"
        said.append(f"The copycat replays training images: {' and '.join(ranks)}; {of_copycat}.")
    weighed = group[~group["kind"].isin(UNTRAINED)].assign(weights=group.get("membership_weights", np.nan))
    weighed = weighed.dropna(subset="weights")
    if len(weighed):
        failing = weighed[weighed["verdict"] == "FAIL"]
        n = [len(rows[["model", "variant"]].drop_duplicates()) for rows in (failing, weighed)]
        said.append(f"Released with their weights, {n[0] or 'none'} of {n[1]} trained recipes FAIL for some seed.")
    where = f"{dataset.replace('_', ' ')}: " if dataset and said else ""
    return where + " ".join(said)


def _come(number: int) -> str:
    return "comes" if number == 1 else "come"


def _panels(figure: Figure, top: float, means: pd.DataFrame, real: float) -> None:
    left, width = MARGIN + TICKS, _width()
    distances = pd.concat([means[f"value{end}"] for end in ("", "_least", "_most", "_low", "_high")]).dropna()
    distances = pd.Series([*distances, *([real] if real > 0 else [])])
    upper = place(figure, left, top, width, COPIES_PANEL)
    highest = 100 * means[["copies_most", "copies_high", COPIES]].max(axis=None)
    frame(upper, distances, min(100, 10 * np.ceil((highest + 2) / 10)))
    upper.set_ylabel("copies, per cent, corrected")
    lowest = upper
    both = means[MEMBERSHIP].notna().any()
    if both:
        lowest = place(figure, left, top + COPIES_PANEL + BETWEEN, width, MEMBERSHIP_PANEL)
        frame(lowest, distances, 100)
        _membership_axis(lowest, means)
        upper.tick_params(labelbottom=False)
    attacked = means.dropna(subset=[MEMBERSHIP])
    elsewhere = attacked.index.difference(attacked[attacked[COPIES] >= NAMED_FROM].nlargest(NAMED, COPIES).index)
    _points(upper, means, COPIES, 100, real, means.drop(index=elsewhere) if both else means)
    if both:
        _points(lowest, attacked, MEMBERSHIP, 1, real, attacked)
    lowest.set_xlabel("Fréchet distance to patients who weren't trained on (log; lower is better)")


def _membership_axis(axes: Axes, means: pd.DataFrame) -> None:
    ends = means[[f"{MEMBERSHIP}{end}" for end in ("", "_least", "_low")]].min(axis=None)
    low = np.floor(10 * min(ends, CHANCE)) / 10
    axes.set_ylim(low - 0.04 * (1 - low), 1 + 0.04 * (1 - low))
    axes.set_yticks(np.arange(low, 1.01, 0.1))
    axes.spines["left"].set_bounds(low, 1)
    axes.set_ylabel("membership by samples, area under the curve")
    axes.axhline(CHANCE, zorder=1, **CHANCE_LINE)


def _points(axes: Axes, means: pd.DataFrame, risk: str, scale: float, real: float, named: pd.DataFrame) -> None:
    """The recipes with their bars, the best trade-offs, and the names of those in `named`."""
    front = pareto_front(means[~means["kind"].isin(UNTRAINED)], risk)
    segments = draw_lines(axes, list(zip(front["value"], scale * front[risk], strict=True)), real)
    bars = []
    for point in means.to_dict("records"):
        marker, colour = VERDICTS[point["verdict"]]
        x, y = point["value"], scale * point[risk]
        for (low, high), linewidth in ((("_least", "_most"), 1.1), (("_low", "_high"), 0.45)):
            across = [(point[f"value{low}"], y), (point[f"value{high}"], y)]
            along = [(x, scale * point[f"{risk}{low}"]), (x, scale * point[f"{risk}{high}"])]
            for bar in (across, along):
                if np.isfinite(bar).all():
                    bars.append(bar)
                    axes.plot(*zip(*bar, strict=True), color=colour, linewidth=linewidth, zorder=3)
        face = "white" if point["kind"] in UNTRAINED else colour
        axes.plot(x, y, marker, color=colour, markerfacecolor=face, markersize=5, zorder=4, clip_on=False)
    places = [(value, scale * of_risk) for value, of_risk in zip(named["value"], named[risk], strict=True)]
    if places:
        name_points(axes, list(named["recipe"]), places, bars, segments)


def _legend(figure: Figure) -> None:
    verdicts = [
        (verdict, Line2D([], [], color=colour, marker=marker, markersize=5, linewidth=0))
        for verdict, (marker, colour) in reversed(VERDICTS.items())
    ]
    hollow = Line2D([], [], color=QUIET, marker="o", markersize=5, markerfacecolor="white", linewidth=0)
    lines = [
        ("best trade-off", Line2D([], [], **FRONT_LINE)),
        ("real images", Line2D([], [], **REAL_LINE)),
        ("chance", Line2D([], [], **CHANCE_LINE)),
        ("95 % over seeds", Line2D([], [], color=QUIET, linewidth=2)),
        ("95 % over patients", Line2D([], [], color=QUIET, linewidth=0.45)),
    ]
    height = figure.get_size_inches()[1]
    for top, row in ((0.06, [*verdicts, ("not trained", hollow)]), (0.21, lines)):
        figure.legend(
            [handle for _, handle in row],
            [name for name, _ in row],
            loc="upper left",
            bbox_to_anchor=((MARGIN + TICKS) / PAGE_WIDTH, 1 - top / height),
            ncols=len(row),
            labelcolor=INK,
        )
