"""Write the plots and the generated part of docs/study/README.md."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from stpn_core.runs import replace_file
from study import tables
from study.arms import ARMS, MAIN
from study.plots import PLOTS, png
from study.results import Results, read_results
from study.setting import Setting

BEGIN, END = "<!-- written by python -m study -->", "<!-- end -->"


def write_page(out: Path, setting: Setting) -> Path:
    """Put tables and plots of all results in `out` between the marks of README.md.

    What people wrote outside of the marks stays.
    """
    results = read_results(out / "results")
    page = out / "README.md"
    if not results.arms:
        return page
    for name, plot in PLOTS.items():
        if name == "ablations" and not results.seeds_with(MAIN, "none"):
            continue
        replace_file(out / f"{name}.png", png(plot(results)))
    old = page.read_text() if page.exists() else f"# Does prompting help?\n\n{BEGIN}\n{END}\n"
    before, _, rest = old.partition(BEGIN)
    after = rest.partition(END)[2]
    text = f"{before}{BEGIN}\n\n{generated(results, setting)}\n\n{END}{after}"
    replace_file(page, text.encode())
    return page


def generated(results: Results, setting: Setting) -> str:
    """Everything that follows from the result files."""
    sections = [
        f"### What has been run\n\n{_done(results)}",
        "### AP50 by severity\n\nMean over seeds ± 95 % interval; rows with fewer seeds do not compare "
        f"with the others here, only in the next table. Degraded: medium and severe together."
        f"\n\n{tables.by_severity(results)}\n\n![AP50 by severity](severity.png)",
        "### Against the twin\n\nDifference of AP50, paired by seed; bold where the 95 % interval "
        f"excludes zero.\n\n{tables.gains_by_severity(results)}\n\n![Differences](gains.png)",
        "### By speed\n\nAP50 by MEGA's definition, which has speed groups. Degraded frames:\n\n"
        f"{tables.by_speed(results, 'degraded speed')}\n\nAll frames:\n\n"
        f"{tables.by_speed(results, 'speed')}\n\n![Differences by speed](speed.png)",
        "### Whose support\n\nThe same weights, degraded frames unless it says clean; the support "
        f"is that of another scene.\n\n{tables.whose_support(results)}",
    ]
    tested = results.seeds_with(MAIN, "none")
    if tested:
        sections.append(
            "### Support of the main arm: S, K, and controls\n\nNothing is trained again. Seeds: "
            f"{', '.join(map(str, tested))}.\n\n{tables.tests_of_main(results)}\n\n"
            "![S, K and P](ablations.png)"
        )
    if any(arm.startswith("prompts_") for arm in results.arms):
        sections.append(f"### Number of prompts\n\n{tables.prompt_counts(results)}")
    sections += [
        "### Cost, and attention on the prompts\n\nProcessor time (wall time on a GPU); parameters in "
        "use at test. With P prompts beside 49 patches, indifferent attention would give the prompts "
        f"P / (P + 49): 14 % for 8.\n\n{tables.costs(results)}",
        "### Learning curves\n\nArms with every seed.\n\n![Learning curves](curves.png)",
        f"### Machine, versions, settings\n\n{_about(results, setting)}",
    ]
    return "\n\n".join(sections)


def _done(results: Results) -> str:
    groups: dict[tuple[int, ...], list[str]] = {}
    for arm in results.arms:
        groups.setdefault(tuple(results.seeds(arm)), []).append(ARMS[arm].title)
    lines = [
        f"- seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}: {'; '.join(titles)}"
        for seeds, titles in groups.items()
    ]
    if results.missing:
        lines.append(f"- not run yet: {'; '.join(ARMS[arm].title for arm in results.missing)}")
    return "\n".join(lines)


def _about(results: Results, setting: Setting) -> str:
    records = [record for arm in results.arms for record in results.records[arm].values()]
    machines = Counter(
        ", ".join(f"{key} {value}" for key, value in record["environment"].items() if value)
        for record in records
    )
    frames = records[0]["frames"]
    tested = ", ".join(f"{frames[name]:.0f} {name}" for name in frames)
    flags = " ".join(setting.data_flags(0)[:-2])
    lines = [f"- {count} runs: {machine}" for machine, count in machines.most_common()]
    lines += [
        f"- videos of a seed: `stpn data synthesize FOLDER {flags} --seed SEED`",
        f"- start of a seed: the demo's, {setting.start_steps} steps on clean crops",
        f"- {setting.steps} steps for every arm; tested frames of the first run: {tested}",
        "- the complete configuration, every score, curve and loss of each run: `results/`",
    ]
    return "\n".join(lines)
