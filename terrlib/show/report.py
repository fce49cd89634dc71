"""Pages a manager opens without a network: page one, a page for each territory, each notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import folium
import pandas as pd

from terrlib.decisions.timeline import RANGE
from terrlib.show.tables import Shown
from terrlib.show.words import Words, unmarked

CSS = """
:root{--ink:#1d2733;--soft:#5b6875;--line:#dfe4ea;--blue:#2f5f8f;--paper:#fff;--back:#f4f6f8}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1120px;margin:0 auto;padding:24px}
header h1{margin:0;font-size:26px}header p{margin:2px 0 14px;color:var(--soft)}
.lead{font-size:18px;margin:0 0 18px}
section{background:var(--paper);border:1px solid var(--line);border-radius:10px;padding:16px 20px;margin:0 0 18px}
h2{font-size:17px;margin:0 0 10px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(160px,1fr));gap:12px;margin:0 0 18px}
.tile{background:var(--paper);border:1px solid var(--line);border-radius:10px;padding:12px 14px}
.tile b{display:block;font-size:19px;line-height:1.25}.tile span{color:var(--soft);font-size:13px}
.two{display:grid;grid-template-columns:minmax(0,1fr) minmax(0,1fr);gap:18px}@media(max-width:860px){.two{grid-template-columns:1fr}}
.two section{margin:0}.two{margin:0 0 18px}
table.terrlib{border-collapse:collapse;width:100%;font-size:13.5px}
table.terrlib th{text-align:left;color:var(--soft);font-weight:600;border-bottom:1px solid var(--line);padding:5px 8px}
table.terrlib td{border-bottom:1px solid #eef1f4;padding:5px 8px;vertical-align:top}
table.terrlib td{max-width:340px}table.terrlib td:first-child{white-space:nowrap}
table.terrlib th{font-size:12.5px;line-height:1.25;vertical-align:bottom}
table.terrlib td.t:last-child{min-width:150px}
table.terrlib td.n{white-space:nowrap}
table.terrlib .n{text-align:right;font-variant-numeric:tabular-nums}
iframe{width:100%;border:0;border-radius:6px}
a{color:var(--blue)}nav{margin:0 0 14px}nav a{margin-right:14px}
ul{margin:0;padding-left:20px}li{margin:3px 0}footer,.more,.note{color:var(--soft);font-size:13px}
.wide{overflow-x:auto}
@media print{body{background:#fff}section,.tile{break-inside:avoid}}
"""


@dataclass(frozen=True)
class Page:
    """One page: a title, and sections of HTML that is already escaped.

    Attributes
    ----------
    title, subtitle, lead
        Plain text; the lead is the headline in a sentence.
    tiles
        Pairs of a number and what it is, plain text.
    sections
        Pairs of a heading (plain text) and HTML; two of them in one tuple stand side by side.
    links
        Pairs of a file beside the page and its name.
    footer
        Plain text.
    """

    title: str
    subtitle: str = ""
    lead: str = ""
    tiles: Sequence[tuple[str, str]] = ()
    sections: Sequence[tuple[tuple[str, str], ...]] = ()
    links: Sequence[tuple[str, str]] = ()
    footer: str = ""


def render(page: Page, words: Words) -> str:
    """Write a page as one HTML file that asks no network for anything.

    Examples
    --------
    >>> "&lt;b&gt;" in render(Page("<b>"), Words("en", "PLN"))
    True
    """
    tiles = "".join(
        f"<div class='tile'><b>{escape(b)}</b><span>{escape(s)}</span></div>" for b, s in page.tiles
    )
    body = ""
    for row in page.sections:
        inner = "".join(
            f"<section><h2>{escape(h)}</h2><div class='wide'>{html}</div></section>"
            for h, html in row
        )
        body += f"<div class='two'>{inner}</div>" if len(row) > 1 else inner
    links = "".join(f"<a href='{escape(f, quote=True)}'>{escape(n)}</a>" for f, n in page.links)
    return (
        f"<!DOCTYPE html><html lang='{words.locale}'><head><meta charset='utf-8'>"
        f"<meta name='viewport' content='width=device-width,initial-scale=1'><link rel='icon' href='data:,'>"
        f"<title>{escape(page.title)}</title><style>{CSS}</style></head><body><main>"
        f"<header><h1>{escape(page.title)}</h1><p>{escape(page.subtitle)}</p></header><nav>{links}</nav>"
        + (f"<p class='lead'>{escape(page.lead)}</p>" if page.lead else "")
        + (f"<div class='tiles'>{tiles}</div>" if tiles else "")
        + f"{body}<footer>{escape(page.footer)}</footer></main></body></html>"
    )


def map_html(m: folium.Map, height: int = 460) -> str:
    """A map inside a page."""
    inner = m.get_root().render()
    return f"<iframe title='map' style='height:{height}px' srcdoc=\"{escape(inner, quote=True)}\"></iframe>"


def bullets(lines: Sequence[str]) -> str:
    """Sentences as a list; Markdown emphasis and escapes are taken out.

    Examples
    --------
    >>> bullets(["**3** of 4"])
    '<ul><li>3 of 4</li></ul>'
    """
    return "<ul>" + "".join(f"<li>{unmarked(line)}</li>" for line in lines) + "</ul>"


def fan_svg(rows: pd.DataFrame, words: Words) -> str:
    """Draw forecast, range and goal by quarter as SVG: quarter, target (NaN for none), mean, p10, p90.

    Returns
    -------
    str
        SVG of 560 by 280 that needs no script.
    """
    width, height, left, bottom, top = 560, 280, 78, 34, 14
    n = len(rows)
    most = max(float(rows[["target", "p90", "mean"]].max().max()), 1.0) * 1.08
    step = (width - left - 10) / n

    def x(i: float) -> float:
        return round(left + step * (i + 0.5), 1)

    def y(v: float) -> float:
        return round(height - bottom - (height - bottom - top) * max(v, 0.0) / most, 1)

    parts = []
    for tick in range(5):
        value = most / 1.08 * tick / 4
        parts.append(
            f"<line x1='{left}' x2='{width - 10}' y1='{y(value)}' y2='{y(value)}' stroke='#e3e8ed'/>"
            f"<text x='{left - 8}' y='{y(value) + 4}' text-anchor='end'>{escape(words.write(value, 'short'))}</text>"
        )
    band = " ".join(f"{x(i)},{y(v)}" for i, v in enumerate(rows["p90"]))
    band += " " + " ".join(f"{x(i)},{y(v)}" for i, v in reversed(list(enumerate(rows["p10"]))))
    line = " ".join(f"{x(i)},{y(v)}" for i, v in enumerate(rows["mean"]))
    if n == 1:
        parts.append(
            f"<line x1='{x(0)}' x2='{x(0)}' y1='{y(rows['p10'].iloc[0])}' y2='{y(rows['p90'].iloc[0])}' stroke='#4e79a7' stroke-opacity='.3' stroke-width='14'/>"
        )
    asked = bool(rows["target"].notna().all())
    parts.append(f"<polygon points='{band}' fill='#4e79a7' fill-opacity='.2'/>")
    parts.append(f"<polyline points='{line}' fill='none' stroke='#4e79a7' stroke-width='3'/>")
    for i, row in enumerate(rows.itertuples(index=False)):
        if asked:
            parts.append(
                f"<line x1='{x(i - 0.42)}' x2='{x(i + 0.42)}' y1='{y(row.target)}' y2='{y(row.target)}' stroke='#f28e2b' stroke-width='3'/>"
            )
        parts.append(
            f"<circle cx='{x(i)}' cy='{y(row.mean)}' r='4' fill='#4e79a7'/>"
            f"<text x='{x(i)}' y='{height - 12}' text-anchor='middle'>{escape(str(row.quarter))}</text>"
        )
    wide = bool((rows["p90"] > rows["p10"]).any())
    said = [words.say("report.line_note")]
    said += [words.say("report.band_note", sure=RANGE)] if wide else []
    said += [words.say("report.goal_note")] if asked else []
    note = " ".join(said)
    return (
        f"<svg viewBox='0 0 {width} {height}' role='img' style='width:100%;max-width:720px;font:12px system-ui,sans-serif' "
        f"fill='#5b6875'>{''.join(parts)}</svg><p class='note'>{escape(note)}</p>"
    )


def assumptions_table(rows: pd.DataFrame, words: Words) -> Shown:
    """Defaults in force with their sources, in the reader's language: setting, value, source."""
    from terrlib.show.tables import table

    rows = rows.assign(
        source=[words.source(s, t) for s, t in zip(rows["setting"], rows["source"], strict=True)]
    )
    return table(rows, words, {"setting": "text", "value": "text", "source": "text"}, limit=100)


def notebook_page(nb: Any, words: Words, title: str, links: Sequence[tuple[str, str]]) -> str:
    """Render an executed notebook without its code, charts by `assets/plotly.min.js` beside the page.

    Parameters
    ----------
    nb
        As nbformat reads it.
    words
        Language of the page.
    title
        Title of the page.
    links
        File and name of the pages to link to.
    """
    from nbconvert import HTMLExporter  # slow to import
    from traitlets.config import Config

    nb = _with_charts(nb)
    nb.metadata.pop("widgets", None)
    exporter = HTMLExporter(
        config=Config(),
        template_name="basic",
        exclude_input=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        embed_images=True,
    )
    body, _ = exporter.from_notebook_node(nb)
    body = body.replace('.ipynb">', '.html">')
    inner = (
        f"<script src='assets/plotly.min.js'></script><section class='notebook'>{body}</section>"
    )
    extra = (
        "<style>.notebook img{max-width:100%}.notebook h1{font-size:24px}.notebook h2{margin:26px 0 8px}"
        ".anchor-link{display:none}</style>"
    )
    page = render(Page(title, links=links), words)
    return page.replace("<header><h1>", "<header hidden><h1>").replace(
        "</nav>", f"</nav>{extra}{inner}", 1
    )


def _with_charts(nb: Any) -> Any:
    """Put each plotly figure in as a small script, and leave out panels that need a kernel."""
    from copy import deepcopy

    import plotly.io as pio

    nb = deepcopy(nb)
    for cell in nb.cells:
        for i, out in enumerate(cell.get("outputs", [])):
            data = out.get("data", {})
            if "application/vnd.jupyter.widget-view+json" in data:
                data.clear()
            figure = data.pop("application/vnd.plotly.v1+json", None)
            if figure is not None:
                figure.pop("config", None)
                data.clear()
                data["text/html"] = pio.to_html(
                    figure,
                    include_plotlyjs=False,
                    full_html=False,
                    validate=False,
                    div_id=f"chart-{cell.get('id', 'x')}-{i}",
                    config={"displayModeBar": False, "responsive": True},
                )
        if "outputs" in cell:
            cell.outputs = [o for o in cell.outputs if _says(o)]
    nb.cells = _sections_that_say(nb.cells)
    return nb


def _says(out: Mapping[str, Any]) -> bool:
    """Whether an output shows anything; the plain text that comes beside a richer one does not count."""
    data = dict(out.get("data", {}))
    plain_text = data.pop("text/plain", out.get("text", ""))
    return any(str(shown).strip() for shown in (data.values() or [plain_text]))


def _sections_that_say(cells: Sequence[Any]) -> list[Any]:
    """Leave out headings, with their code, under which nothing at all is shown."""
    starts = [i for i, cell in enumerate(cells) if cell.cell_type == "markdown"]
    kept = list(cells[: starts[0]]) if starts else list(cells)
    for begin, end in zip(starts, [*starts[1:], len(cells)], strict=True):
        heading, *code = cells[begin:end]
        bare = heading.source.startswith("## ") and "\n" not in heading.source.strip()
        if not (bare and code) or any(cell.outputs for cell in code):
            kept += cells[begin:end]
    return kept


def plotly_script() -> str:
    """The script that draws the charts of notebook pages, from the installed plotly."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())
