"""Maps that open without a network: Leaflet inlined, no tiles, our own legend."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from math import isnan, nan
from pathlib import Path
from typing import Any

import folium
import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from branca.element import Figure, MacroElement, Template

from terrlib.decisions.timeline import RANGE
from terrlib.show.words import Words

PALETTE = ("#4e79a7", "#f28e2b", "#59a14f", "#b07aa1", "#edc948", "#76b7b2", "#e15759", "#9c755f")
# The same colours darker, for lines on areas of that colour.
DARKER = {
    c: "#" + "".join(f"{int(c[i : i + 2], 16) * 6 // 10:02x}" for i in (1, 3, 5)) for c in PALETTE
}
GREY = "#8a94a0"
DECISIONS = {
    "attack": "#1b7837",
    "grow": "#7fbf7b",
    "defend": "#4393c3",
    "partner": "#b07aa1",
    "test": "#edc948",
    "not_now": "#e6e6e6",
}
GREENS = ("#f7f7f7", "#c7e9c0", "#a1d99b", "#74c476", "#31a354", "#006d2c")
HEIGHT = 460
DETAIL = 1200


@cache
def _asset(package: str, name: str) -> str:
    """Return a file of an installed package as a data address."""
    from importlib import import_module

    content = (Path(import_module(f"xstatic.pkg.{package}").BASE_DIR) / name).read_bytes()
    kind = "text/css" if name.endswith(".css") else "text/javascript"
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


STYLE = (
    "<style>.leaflet-container{background:#f4f6f8!important;font:13px system-ui,sans-serif}"
    ".t-label,.t-label::before{background:none!important;border:0!important;box-shadow:none!important}"
    ".t-label{font-weight:600;font-size:12px;color:#1d2733;text-align:center;padding:0;"
    "line-height:1.2;text-shadow:0 0 3px #fff,0 0 3px #fff,0 0 3px #fff;white-space:nowrap}</style>"
)


class OfflineMap(folium.Map):
    """A folium map that asks no network for anything."""

    def __init__(self, **options: Any) -> None:
        # Without animation a map is where it should be from the first picture on.
        still = {"zoom_animation": False, "fade_animation": False}
        super().__init__(tiles=None, zoom_snap=0.1, attribution_control=False, **still, **options)
        self.default_js = [
            ("leaflet", _asset("leaflet", "leaflet.js")),
            ("jquery", _asset("jquery", "jquery.slim.min.js")),
        ]
        self.default_css = [("leaflet_css", _asset("leaflet", "leaflet.css"))]


class Legend(MacroElement):
    """Colours and what they mean, in a corner of the map."""

    _template = Template(
        "{% macro html(this, kwargs) %}<div style='position:absolute;bottom:12px;left:12px;z-index:900;"
        "background:rgba(255,255,255,.9);padding:8px 10px;border-radius:6px;font:12px system-ui,sans-serif;"
        "line-height:1.6'>{{ this.rows }}</div>{% endmacro %}"
    )

    def __init__(self, rows: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self.rows = "<br>".join(
            f"<span style='display:inline-block;width:12px;height:12px;border-radius:2px;background:{color};"
            f"margin-right:6px;vertical-align:-1px'></span>{escape(text)}"
            for color, text in rows
        )


def territory_map(
    territories: gpd.GeoDataFrame,
    words: Words,
    homes: pd.DataFrame | None = None,
    lines: pd.DataFrame | None = None,
    only: str | None = None,
    height: int = HEIGHT,
) -> folium.Map:
    """Draw territories, each one path of the class `territory`, coloured so that neighbours differ.

    Parameters
    ----------
    territories
        territory, geometry, and the columns of a scorecard; where these know the principal town
        the label stands there.
    words
        Language of the tooltips.
    homes
        name, home_lat, home_lon: drawn as dots.
    lines
        territory, home_lat, home_lon, lat, lon, accounts, workload_h: from the home of a rep to
        accounts that lie together, the wider the more hours.
    only
        Draw the others in grey.
    height
        Pixels.
    """
    shapes = _simple(territories)
    colors = territory_colors(shapes)
    if only is not None:
        colors = {name: color if name == only else "#d9dee3" for name, color in colors.items()}
    fields = [
        c
        for c in (
            "town",
            "accounts",
            "customers",
            "revenue",
            "potential",
            "workload_h_index",
            "potential_index",
            "revenue_index",
        )
        if c in shapes
    ]
    kinds = {"accounts": "number", "customers": "number", "revenue": "short", "potential": "short"}
    rows = {
        row.territory: _tip(
            row.territory,
            {
                words.label(f): words.write(getattr(row, f), kinds.get(f, "percent"))
                if f != "town"
                else row.town
                for f in fields
            },
        )
        for row in shapes.itertuples(index=False)
    }
    m = _base(shapes, height)
    _layer(m, shapes[["territory", "geometry"]], "territory", colors, rows, "territory")
    for row in shapes.itertuples(index=False):
        inside = row.geometry.representative_point()
        lat, lon = getattr(row, "town_lat", nan), getattr(row, "town_lon", nan)
        lat, lon = (inside.y, inside.x) if isnan(lat) else (lat, lon)
        if only is None or row.territory == only:
            _label(m, lat, lon, row.territory, getattr(row, "town", ""))
    if lines is not None:
        _spider(m, lines, colors, words)
        marks = [("#1d2733", "chart.home_mark"), (GREY, "chart.home_line")]
        Legend([(color, words.say(text)) for color, text in marks]).add_to(m)
    if homes is not None:
        _homes(m, homes)
    return m


def team_map(
    territories: gpd.GeoDataFrame, lines: pd.DataFrame, homes: pd.DataFrame, words: Words
) -> folium.Map:
    """Draw who serves whom beside the territories, which are grey.

    Parameters
    ----------
    territories
        territory, geometry: the run's own.
    lines
        As in `territory_map`, but of the territories of overlays; a colour for each.
    homes
        name, home_lat, home_lon of those who serve them.
    words
        Language of the legend.
    """
    m = territory_map(territories, words, only="")
    names = sorted(lines["territory"].unique())
    colors = {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(names)}
    _spider(m, lines, colors, words)
    _homes(m, homes)
    Legend([(DARKER[color], name) for name, color in colors.items()]).add_to(m)
    return m


def _homes(m: folium.Map, homes: pd.DataFrame) -> None:
    for home in homes.itertuples(index=False):
        folium.CircleMarker(
            (home.home_lat, home.home_lon),
            radius=4,
            color="#1d2733",
            weight=2,
            fill=True,
            fill_color="#ffffff",
            fill_opacity=1,
            tooltip=escape(str(home.name)),
        ).add_to(m)


def _spider(m: folium.Map, lines: pd.DataFrame, colors: Mapping[str, str], words: Words) -> None:
    most = max(float(lines["workload_h"].max()), 1e-9) if len(lines) else 1.0
    for row in lines.round({"home_lat": 4, "home_lon": 4, "lat": 3, "lon": 3}).itertuples():
        said = f"{words.write(row.accounts, 'account')}, {words.write(row.workload_h, 'hours')}"
        path = [(row.home_lat, row.home_lon), (row.lat, row.lon)]
        folium.PolyLine(path, color="#ffffff", weight=3, opacity=0.5, interactive=False).add_to(m)
        folium.PolyLine(
            path,
            color=DARKER.get(colors[row.territory], "#1d2733"),
            weight=round(1 + 3 * float(row.workload_h / most) ** 0.5, 1),
            opacity=0.9,
            class_name="spider",
            tooltip=_tip(row.territory, {words.label("accounts"): said}),
        ).add_to(m)


def unit_map(units: gpd.GeoDataFrame, lines: pd.DataFrame, words: Words) -> folium.Map:
    """Draw units by their work, and who touches whom.

    Parameters
    ----------
    units
        Indexed by unit_id: name, geometry, workload_h.
    lines
        lat_a, lon_a, lat_b, lon_b of each touching pair.
    words
        Language of the tooltips.
    """
    shapes = _simple(units.reset_index()[["unit_id", "name", "workload_h", "geometry"]])
    steps = ["#f7fbff", "#deebf7", "#c6dbef", "#9ecae1", "#6baed6", "#3182bd", "#08519c"]
    cuts = [0, 1, 20, 50, 100, 200, 400]
    level = pd.cut(shapes["workload_h"], [*cuts, float("inf")], labels=steps, right=False).astype(
        str
    )
    colors = dict(zip(shapes["unit_id"], level, strict=True))
    rows = {
        row.unit_id: _tip(
            row.name, {words.label("workload_h"): words.write(row.workload_h, "hours")}
        )
        for row in shapes.itertuples(index=False)
    }
    m = _base(shapes, HEIGHT)
    _layer(
        m, shapes[["unit_id", "geometry"]], "unit_id", colors, rows, "unit", opacity=0.9, weight=0.5
    )
    if len(lines):
        folium.PolyLine(
            [[(a, b), (c, d)] for a, b, c, d in lines.round(3).itertuples(index=False)],
            color="#e15759",
            weight=0.6,
            opacity=0.6,
            interactive=False,
        ).add_to(m)
    pairs = zip(steps, cuts, strict=True)
    Legend([(color, f"≥ {words.write(cut, 'hours')}") for color, cut in pairs]).add_to(m)
    return m


def target_map(areas: gpd.GeoDataFrame, words: Words) -> folium.Map:
    """Draw areas by what is decided for them: territory, area, decision, expected_contribution."""
    shapes = _simple(areas)
    shapes["key"] = [str(i) for i in range(len(shapes))]
    colors = dict(zip(shapes["key"], shapes["decision"].map(DECISIONS), strict=True))
    rows = {
        row.key: _tip(
            row.area,
            {
                words.label("territory"): row.territory,
                words.label("decision"): words.label(row.decision),
                words.label("expected_contribution"): words.write(
                    row.expected_contribution, "money0"
                ),
                words.label("reason"): words.label(row.reason),
            },
        )
        for row in shapes.itertuples(index=False)
    }
    m = _base(shapes, HEIGHT)
    _layer(m, shapes[["key", "geometry"]], "key", colors, rows, "area", opacity=0.85, weight=0.6)
    used = [d for d in DECISIONS if (shapes["decision"] == d).any()]
    Legend([(DECISIONS[d], words.label(d)) for d in used]).add_to(m)
    return m


def white_space_map(areas: gpd.GeoDataFrame, words: Words) -> folium.Map:
    """Draw where more could be sold: name, white_space, white_space_low, white_space_high, revenue."""
    shapes = _simple(areas)
    shapes["key"] = [str(i) for i in range(len(shapes))]
    some = shapes.loc[shapes["white_space"] > 0, "white_space"]
    cuts = sorted(set(some.quantile([0.0, 0.4, 0.7, 0.9, 0.97]).tolist())) if len(some) else []
    level = np.searchsorted(cuts, shapes["white_space"], side="right")
    colors = dict(zip(shapes["key"], [GREENS[i] for i in level], strict=True))
    rows = {
        row.key: _tip(
            row.name,
            {
                words.label("white_space"): words.write(row.white_space, "short"),
                words.say(
                    "chart.range", sure=RANGE
                ): f"{words.write(row.white_space_low, 'short')} – "
                f"{words.write(row.white_space_high, 'short')}",
                words.label("revenue"): words.write(row.revenue, "short"),
            },
        )
        for row in shapes.itertuples(index=False)
    }
    m = _base(shapes, HEIGHT)
    _layer(m, shapes[["key", "geometry"]], "key", colors, rows, "area", opacity=0.9, weight=0.5)
    names = [f"≥ {words.write(cut, 'short')}" for cut in cuts]
    Legend([(GREENS[0], words.say("chart.nothing")), *zip(GREENS[1:], names, strict=False)]).add_to(
        m
    )
    return m


def territory_colors(shapes: gpd.GeoDataFrame) -> dict[str, str]:
    """Colour territories so that those that touch differ, the busiest first (Welsh and Powell 1967)."""
    tree = shapely.STRtree(shapes.geometry.to_numpy())
    i, j = tree.query(shapes.geometry.to_numpy(), predicate="dwithin", distance=0.02)
    names = shapes["territory"].tolist()
    near: dict[int, set[int]] = {a: set() for a in range(len(names))}
    for a, b in zip(i.tolist(), j.tolist(), strict=True):
        if a != b:
            near[a].add(b)
    chosen: dict[int, int] = {}
    for a in sorted(near, key=lambda a: (-len(near[a]), names[a])):
        taken = [chosen[b] for b in near[a] if b in chosen]
        # The colour used least so far, so that far-apart territories do not all look alike.
        count = [sum(c == color for c in chosen.values()) for color in range(len(PALETTE))]
        free = [c for c in range(len(PALETTE)) if c not in taken] or list(range(len(PALETTE)))
        chosen[a] = min(free, key=lambda c: (count[c], c))
    return {names[a]: PALETTE[color] for a, color in chosen.items()}


def _base(shapes: gpd.GeoDataFrame, height: int) -> folium.Map:
    west, south, east, north = shapes.total_bounds
    m = OfflineMap(location=[(south + north) / 2, (west + east) / 2])
    m.fit_bounds([[south, west], [north, east]])
    Figure(height=height).add_child(m)
    # Into the figure's own head: the one a map is born with is left behind.
    m.get_root().header.add_child(folium.Element(STYLE))
    return m


def _simple(shapes: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Fewer points for the screen; shared borders stay shared."""
    west, south, east, north = shapes.total_bounds
    lean = shapely.coverage_simplify(
        shapes.geometry.to_numpy(), max(east - west, north - south) / DETAIL
    )
    lean = shapely.set_precision(lean, 1e-4, mode="pointwise")
    return gpd.GeoDataFrame(shapes.drop(columns="geometry"), geometry=lean, crs=shapes.crs)


def _layer(
    m: folium.Map,
    shapes: gpd.GeoDataFrame,
    key: str,
    colors: Mapping[str, str],
    tips: Mapping[str, str],
    kind: str,
    opacity: float = 0.65,
    weight: float = 1.5,
) -> None:
    data = json.loads(shapes.assign(tip=shapes[key].map(tips)).to_json())
    folium.GeoJson(
        data,
        style_function=lambda f: {
            "fillColor": colors[f["properties"][key]],
            "color": "#ffffff",
            "weight": weight,
            "fillOpacity": opacity,
            "className": kind,
        },
        highlight_function=lambda _: {"weight": weight + 1.5, "fillOpacity": min(opacity + 0.2, 1)},
        tooltip=folium.GeoJsonTooltip(["tip"], labels=False, sticky=True),
    ).add_to(m)


def _tip(title: str, rows: Mapping[str, str]) -> str:
    lines = "".join(f"<br>{escape(str(k))}: <b>{escape(str(v))}</b>" for k, v in rows.items())
    return f"<b>{escape(str(title))}</b>{lines}"


def _label(m: folium.Map, lat: float, lon: float, name: str, town: str) -> None:
    text = escape(name) + (
        f"<br><span style='font-weight:400'>{escape(town)}</span>" if town else ""
    )
    tip = folium.Tooltip(
        text, permanent=True, direction="center", class_name="t-label", sticky=False
    )
    folium.CircleMarker(
        (lat, lon), radius=0, stroke=False, fill=False, interactive=False, tooltip=tip
    ).add_to(m)
