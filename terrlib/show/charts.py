"""Charts: each takes a table and draws it, and computes nothing."""

from __future__ import annotations

from html import escape

import pandas as pd
import plotly.graph_objects as go

from terrlib.decisions.timeline import RANGE
from terrlib.show.maps import DECISIONS
from terrlib.show.words import Words

BLUE, ORANGE, GREY, GREEN = "#4e79a7", "#f28e2b", "#bab0ac", "#59a14f"
LIGHT, RED = "#f4f2f1", "#e15759"
COLORS = (BLUE, ORANGE, GREEN, "#b07aa1", "#76b7b2", "#edc948")
PARTS = {  # colour, and whether it is hatched
    "travel": (BLUE, False),
    "change": (ORANGE, False),
    "all_units": (BLUE, False),
    "bound": (GREY, False),
    "left": (LIGHT, True),
}
COSTS = {
    "travel": BLUE,
    "relationship": ORANGE,
    "skill": GREEN,
    "seniority": "#9c755f",
    "ramp": "#ff9da7",
    "capacity": "#b07aa1",
    "relocation": RED,
    "change": "#76b7b2",
}
DASHES = {"fitted": "solid", "judged": "dash", "mechanical": "dot"}
PROFIT = {
    "now": BLUE,
    "new": GREEN,
    "sales_people": ORANGE,
    "management": "#edc948",
    "travel": "#9c755f",
    "marketing": RED,
    "events": "#ff9da7",
    "partner_support": "#b07aa1",
    "contingency": GREY,
}
FREE = 1e-6  # of the dearest: less is nothing


def _figure(
    words: Words, x: str = "", y: str = "", height: int = 380, percent: bool = False
) -> go.Figure:
    title = {"x": words.say(f"chart.{x}") if x else "", "y": words.say(f"chart.{y}") if y else ""}
    figure = go.Figure()
    figure.update_layout(
        template="plotly_white",
        height=height,
        margin={"l": 10, "r": 10, "t": 20, "b": 10},
        separators=", " if words.locale == "pl" else ".,",
        font={"family": "system-ui, sans-serif", "size": 13},
        legend={"orientation": "h", "y": 1.12},
        xaxis_title=title["x"],
        yaxis_title=title["y"],
        xaxis={"automargin": True},
        yaxis={"automargin": True},
        barmode="stack",
    )
    figure.update_layout(xaxis_tickformat=",.0f", yaxis_tickformat=",.0f")
    if percent:
        figure.update_yaxes(tickformat=".0%")
    return figure


def _text(name: object) -> str:
    """Text from data as plotly shows it: its labels know some HTML."""
    return escape(str(name), quote=False)


def quality_bars(findings: pd.DataFrame, words: Words) -> go.Figure:
    """Rows by finding: table, rule, severity, n, money."""
    figure = _figure(words, x="findings_x", height=120 + 26 * len(findings))
    for severity, color in (("set_aside", ORANGE), ("note", GREY)):
        rows = findings[findings["severity"] == severity]
        figure.add_bar(
            y=[
                f"{words.table_label(t)}: {words.label(f'rule.{r}')}"
                for t, r in zip(rows["table"], rows["rule"], strict=True)
            ],
            x=rows["n"],
            orientation="h",
            name=words.label(severity),
            marker_color=color,
            customdata=[words.write(v, "money0") for v in rows["money"]],
            hovertemplate="%{x}<br>%{customdata}",
        )
    figure.update_yaxes(autorange="reversed")
    return figure


def pareto(rows: pd.DataFrame, words: Words) -> go.Figure:
    """Cumulative share of sales, the largest customer first, coloured by class: place, share, abc."""
    figure = _figure(words, x="pareto_x", y="pareto_y", percent=True)
    for name, color in zip(("A", "B", "C"), (BLUE, ORANGE, GREY), strict=True):
        mine = rows[rows["abc"] == name]
        figure.add_scatter(
            x=mine["place"],
            y=mine["share"],
            mode="lines",
            fill="tozeroy",
            name=name,
            line={"color": color, "width": 3},
        )
    return figure


def segment_bars(profile: pd.DataFrame, words: Words) -> go.Figure:
    """Accounts and share of revenue of each segment: name, n, share_of_revenue."""
    figure = _figure(words, y="accounts_y")
    figure.add_bar(
        x=profile["name"].map(_text),
        y=profile["n"],
        marker_color=BLUE,
        text=[
            f"{words.label('revenue')}: {words.write(v, 'percent')}"
            for v in profile["share_of_revenue"]
        ],
    )
    return figure


def win_rates(rates: pd.DataFrame, words: Words) -> go.Figure:
    """Win rate by group with its interval, beside the naive one: name, and as `winning.win_rates`."""
    names = [_text(name).replace(" (", "<br>(").replace(": ", ":<br>") for name in rates["name"]]
    figure = _figure(words, y="win_y", percent=True)
    for rate, low, high, color in (
        ("naive", "naive_low", "naive_high", GREY),
        ("p_win", "low", "high", BLUE),
    ):
        figure.add_bar(
            x=names,
            y=rates[rate],
            name=words.label(rate),
            marker_color=color,
            error_y=_range(rates[rate], rates[low], rates[high]),
        )
    return figure.update_layout(barmode="group")


def cycle_curves(rows: pd.DataFrame, words: Words, names: dict[str, str]) -> go.Figure:
    """How deals end as they grow older: group, month, won, lost, low, high; names of the groups."""
    figure = _figure(words, x="age_x", y="deals_y", percent=True)
    whole = rows[rows["group"] == ""]
    _band(figure, whole["month"], whole["low"], whole["high"], words)
    for column, color in (("lost", ORANGE), ("won", BLUE)):
        figure.add_scatter(
            x=whole["month"],
            y=whole[column],
            mode="lines",
            line={"color": color, "width": 3},
            name=words.say(f"chart.deals_{column}"),
        )
    for i, (group, mine) in enumerate(rows[rows["group"] != ""].groupby("group")):
        figure.add_scatter(
            x=mine["month"],
            y=mine["won"],
            mode="lines",
            line={"color": COLORS[(i + 2) % len(COLORS)], "width": 1.5, "dash": "dot"},
            name=_text(words.say("chart.deals_won_by", group=names.get(str(group), str(group)))),
        )
    figure.update_layout(height=440, legend={"y": 1.02, "yanchor": "bottom"})
    return figure.update_xaxes(dtick=6)


def nine_fields(rows: pd.DataFrame, words: Words) -> go.Figure:
    """Firms by what they buy and what they could buy: abc, abc_potential, n, white_space, new_sales."""
    y = [words.say(f"chart.buys_{name or 'nothing'}") for name in ("A", "B", "C", "")]
    x = [words.say(f"chart.could_{name}") for name in ("C", "B", "A")]
    figure = _figure(words, x="could_x", y="buys_y", height=400)
    table = rows.set_index(["abc", "abc_potential"])
    fields = [[table.loc[(a, p)] for p in ("C", "B", "A")] for a in ("A", "B", "C", "")]
    figure.add_heatmap(
        x=x,
        y=y,
        z=[[field["white_space"] for field in row] for row in fields],
        text=[
            [
                f"{words.write(field['n'], 'account')}<br>{words.write(field['white_space'], 'short')}"
                for field in row
            ]
            for row in fields
        ],
        texttemplate="%{text}",
        hoverinfo="skip",
        colorscale="Greens",
        showscale=False,
        xgap=3,
        ygap=3,
    )
    # The fields of new sales: the last column, C and those who buy nothing.
    figure.add_shape(
        type="rect", x0=1.5, x1=2.5, y0=1.5, y1=3.5, line={"color": ORANGE, "width": 4}
    )
    return figure.update_yaxes(autorange="reversed")


def rhythm(rows: pd.DataFrame, words: Words) -> go.Figure:
    """Customers by how they buy and whether they are late: rfm, late, n, revenue."""
    figure = _figure(words, x="customers_x", height=360)
    for late, color in (("", BLUE), ("late", ORANGE), ("at_risk", RED)):
        mine = rows[rows["late"] == late]
        figure.add_bar(
            y=[words.label(f"rfm.{name}") for name in mine["rfm"]],
            x=mine["n"],
            orientation="h",
            name=words.label(f"late.{late or 'none'}"),
            marker_color=color,
            text=[words.write(v, "short") for v in mine["revenue"]],
            textposition="inside",
            hovertemplate="%{x}: %{text}<extra>%{fullData.name}</extra>",
        )
    figure.update_layout(uniformtext={"minsize": 11, "mode": "hide"})
    return figure.update_yaxes(autorange="reversed")


def segment_map(points: pd.DataFrame, words: Words) -> go.Figure:
    """Customers by revenue and another measure, coloured by segment: segment, name, revenue, x, by."""
    figure = _figure(words, x=f"by_{points['by'].iloc[0]}", y="revenue_y", height=440)
    for i, (segment, mine) in enumerate(points.groupby("segment")):
        figure.add_scatter(
            x=mine["x"],
            y=mine["revenue"],
            mode="markers",
            name=_text(segment),
            marker={"color": COLORS[i % len(COLORS)], "size": 8, "opacity": 0.7},
            text=mine["name"].map(_text),
            customdata=[words.write(v, "short") for v in mine["revenue"]],
            hovertemplate="%{text}<br>%{customdata}<extra></extra>",
        )
    figure.update_yaxes(type="log", dtick=1)
    return figure.update_xaxes(type="log" if points["by"].iloc[0] == "employees" else "linear")


def ideal(levels: pd.DataFrame, tested: pd.DataFrame, words: Words) -> go.Figure:
    """The card of the ideal customer, and beside it how a model stood its test, where one was tried.

    levels: name, rate, low, high, n, ideal, base. tested: expected, observed, low, high, n.
    """
    figure = _figure(words, height=160 + 26 * max(len(levels), 8))
    figure.set_subplots(1, 2 if len(tested) else 1, horizontal_spacing=0.12)
    for surely, color in ((True, GREEN), (False, GREY)):
        mine = levels[levels["ideal"] == surely]
        figure.add_scatter(
            x=mine["rate"],
            y=mine["name"].map(_text),
            mode="markers",
            marker={"color": color, "size": 10},
            error_x=_range(mine["rate"], mine["low"], mine["high"]),
            name=words.say("chart.ideal" if surely else "chart.ordinary"),
            text=[words.write(n, "case") for n in mine["n"]],
            hovertemplate="%{y}: %{x} (%{text})<extra></extra>",
            row=1,
            col=1,
        )
    figure.add_vline(
        x=levels["base"].iloc[0],
        line_dash="dot",
        line_color=ORANGE,
        annotation={"text": words.say("chart.base", base=levels["base"].iloc[0])},
        annotation_position="bottom right",
        row=1,
        col=1,
    )
    order = levels["name"].map(_text).tolist()
    figure.update_yaxes(categoryorder="array", categoryarray=order[::-1], row=1, col=1)
    figure.update_xaxes(title=words.say("chart.won_x"), row=1, col=1)
    if len(tested):
        _calibration(figure, tested, words)
    return figure.update_xaxes(tickformat=".0%", rangemode="tozero")


def _calibration(figure: go.Figure, rows: pd.DataFrame, words: Words) -> None:
    most = float(max(rows["high"].max(), rows["expected"].max()))
    figure.add_scatter(
        x=[0, most],
        y=[0, most],
        mode="lines",
        line={"color": GREY, "dash": "dot"},
        name=words.say("chart.as_told"),
        hoverinfo="skip",
        row=1,
        col=2,
    )
    figure.add_scatter(
        x=rows["expected"],
        y=rows["observed"],
        mode="markers",
        marker={"color": BLUE, "size": 10},
        error_y=_range(rows["observed"], rows["low"], rows["high"]),
        name=words.say("chart.came"),
        text=[words.write(n, "case") for n in rows["n"]],
        hovertemplate="%{x} → %{y} (%{text})<extra></extra>",
        row=1,
        col=2,
    )
    figure.update_xaxes(title=words.say("chart.told_x"), row=1, col=2)
    figure.update_yaxes(title=words.say("chart.came_y"), tickformat=".0%", row=1, col=2)


def _band(figure: go.Figure, x: pd.Series, low: pd.Series, high: pd.Series, words: Words) -> None:
    """Shade what comes with a probability of `RANGE`."""
    edge = {"x": x, "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
    figure.add_scatter(y=high, showlegend=False, **edge)
    figure.add_scatter(
        y=low,
        fill="tonexty",
        fillcolor="rgba(78,121,167,.2)",
        name=words.say("chart.range", sure=RANGE),
        **edge,
    )


def _range(middle: pd.Series, low: pd.Series, high: pd.Series) -> dict[str, object]:
    """Error bars from low to high."""
    return {
        "type": "data",
        "symmetric": False,
        "array": high - middle,
        "arrayminus": middle - low,
        "thickness": 1.2,
    }


def attractiveness(rows: pd.DataFrame, words: Words) -> go.Figure:
    """Areas by ability to win and attractiveness.

    rows: area, ability, attractiveness, potential, decision, label, above (where the label stands).
    """
    figure = _figure(words, x="ability_x", y="attractive_y", height=520)
    largest = max(float(rows["potential"].max()), 1.0)
    # What is not now lies below, and what is attacked on top.
    for decision, color in reversed(DECISIONS.items()):
        mine = rows[rows["decision"] == decision]
        if len(mine):
            figure.add_scatter(
                x=mine["ability"],
                y=mine["attractiveness"],
                mode="markers",
                name=words.label(decision),
                marker={
                    "color": color,
                    "opacity": 0.75,
                    "size": mine["potential"],
                    "sizemode": "area",
                    "sizemin": 3,
                    "sizeref": largest / 40**2,
                },
                text=mine["area"].map(_text),
                hovertemplate="%{text}<extra></extra>",
            )
    named = rows[rows["label"] != ""]
    # On top of all bubbles, or the next one would cover a name.
    figure.add_scatter(
        x=named["ability"],
        y=named["attractiveness"],
        mode="text",
        text=named["label"].map(_text),
        textposition=named["above"].map({True: "top center", False: "bottom center"}),
        textfont={"size": 12},
        showlegend=False,
        hoverinfo="skip",
    )
    figure.add_hline(y=0.5, line_dash="dot", line_color=GREY)
    figure.add_vline(x=0.5, line_dash="dot", line_color=GREY)
    figure.update_xaxes(
        tickvals=[0, 1], ticktext=[words.say("chart.worst"), words.say("chart.best")]
    )
    figure.update_yaxes(
        tickvals=[0, 1], ticktext=[words.say("chart.worst"), words.say("chart.best")]
    )
    figure.update_layout(legend={"traceorder": "reversed", "itemsizing": "constant"})
    return figure.update_layout(xaxis_range=[-0.03, 1.03], yaxis_range=[-0.06, 1.1])


def white_space_bars(where: pd.DataFrame, words: Words) -> go.Figure:
    """Revenue and white space of the places with most of it, the latter with its range."""
    rows = where.head(15)
    figure = _figure(words, height=460)
    figure.update_xaxes(title=words.say("chart.space_x", currency=words.currency))
    figure.add_bar(
        y=rows["name"].map(_text),
        x=rows["revenue"],
        orientation="h",
        name=words.label("revenue"),
        marker_color=GREY,
    )
    figure.add_bar(
        y=rows["name"].map(_text),
        x=rows["white_space"],
        orientation="h",
        name=words.label("white_space"),
        marker_color=GREEN,
        error_x=_range(rows["white_space"], rows["white_space_low"], rows["white_space_high"]),
    )
    if rows["outside"].sum() > 0:
        figure.add_bar(
            y=rows["name"].map(_text),
            x=rows["outside"],
            orientation="h",
            name=words.say("chart.outside"),
            marker={"color": LIGHT, "pattern": {"shape": "/", "fgcolor": GREEN, "bgcolor": LIGHT}},
        )
    return figure.update_yaxes(autorange="reversed")


def workload_bars(rows: pd.DataFrame, words: Words) -> go.Figure:
    """Hours by class of account: class, visit_h, call_h, travel_h."""
    figure = _figure(words, y="hours_y")
    for column, color in zip(("visit_h", "call_h", "travel_h"), COLORS, strict=False):
        figure.add_bar(
            x=rows["class"], y=rows[column], name=words.label(column), marker_color=color
        )
    return figure


def sizing(curve: pd.DataFrame, methods: pd.DataFrame, present: float, words: Words) -> go.Figure:
    """Profit by number of reps for three elasticities, with what the methods say and today's number.

    curve: n_reps, elasticity, profit, flat. methods: method, n_reps.
    """
    figure = _figure(words, x="reps_x", y="profit_y", height=440)
    flat = curve[(curve["elasticity"] == "middle") & curve["flat"]]
    if len(flat):
        figure.add_vrect(
            x0=flat["n_reps"].min(),
            x1=flat["n_reps"].max(),
            fillcolor=BLUE,
            opacity=0.1,
            line_width=0,
        )
    for name, width, dash in (("low", 1.5, "dot"), ("middle", 3, "solid"), ("high", 1.5, "dash")):
        mine = curve[curve["elasticity"] == name]
        figure.add_scatter(
            x=mine["n_reps"],
            y=mine["profit"],
            mode="lines",
            line={"color": BLUE, "width": width, "dash": dash},
            name=words.say(f"chart.elasticity_{name}"),
        )
    lines = [(str(words.say("chart.present")), present, GREY)]
    named = methods.dropna(subset="n_reps")
    lines += [
        (words.label(f"sizing.{m}"), n, ORANGE)
        for m, n in zip(named["method"], named["n_reps"], strict=True)
        if m != "profit"
    ]
    for place, (name, n, color) in enumerate(lines):
        figure.add_vline(
            x=n,
            line_dash="dot",
            line_color=color,
            annotation={
                "text": name,
                "y": 1 - 0.07 * place,
                "yanchor": "top",
                "font": {"size": 11},
            },
        )
    return figure.update_layout(legend={"y": 1.02, "yanchor": "bottom"})


def balance(
    card: pd.DataFrame, present: pd.DataFrame, words: Words, tolerance: dict[str, float]
) -> go.Figure:
    """Index of each balanced measure by territory, today's beside the plan's, in the bands allowed."""
    figure = _figure(words, y="index_x", height=420, percent=True)
    for i, (measure, allowed) in enumerate(tolerance.items()):
        column, name = f"{measure}_index", words.label(measure)
        figure.add_hrect(
            y0=1 - allowed,
            y1=1 + allowed,
            fillcolor=COLORS[i],
            opacity=0.1,
            line={"color": COLORS[i], "dash": "dot"},
            layer="below",
        )
        if len(present):
            figure.add_scatter(
                x=present.index.map(_text),
                y=present[column],
                mode="markers",
                name=f"{name} ({words.label('today')})",
                marker={
                    "symbol": "circle-open",
                    "size": 10,
                    "color": COLORS[i],
                    "line": {"width": 2},
                },
            )
        figure.add_scatter(
            x=card.index.map(_text),
            y=card[column],
            mode="markers",
            name=f"{name} ({words.label('plan')})",
            marker={"size": 11, "color": COLORS[i]},
        )
    return figure.update_xaxes(categoryorder="category ascending")


def gain(rows: pd.DataFrame, words: Words) -> go.Figure:
    """What the plan costs beside the least that is proven: part, cost, kind."""
    figure = _figure(words, x=_cost_axis(rows), height=260)
    for row in rows.itertuples():
        color, light = PARTS[row.part]
        proven = row.part in ("bound", "left")
        figure.add_bar(
            y=[words.say("chart.proof" if proven else "chart.plan")],
            x=[row.cost],
            orientation="h",
            name=words.say(f"chart.part_{row.part}"),
            marker={
                "color": color,
                "pattern": {"shape": "/" if light else "", "fgcolor": GREY, "bgcolor": color},
            },
            text=words.write(row.cost, row.kind),
            textfont={"color": "#1d2733" if light or color == GREY else "white"},
            textposition="inside",
            insidetextanchor="middle",
            hovertemplate="%{text}<extra>%{fullData.name}</extra>",
        )
    figure.update_yaxes(autorange="reversed")
    figure.update_layout(legend={"y": 1.1, "yanchor": "bottom", "traceorder": "normal"})
    return _cost_ticks(figure, rows, "x")


def frontier(rows: pd.DataFrame, words: Words) -> go.Figure:
    """Cost by tolerance over what is proven: tolerance, cost, bound, chosen, kind."""
    figure = _figure(words, x="tolerance_x", y=_cost_axis(rows))
    there, kind = rows.dropna(subset="cost"), rows["kind"].iloc[0]
    figure.add_scatter(
        x=there["tolerance"],
        y=there["bound"],
        mode="lines",
        fill="tozeroy",
        fillcolor="rgba(186,176,172,.35)",
        line={"color": GREY, "dash": "dot"},
        name=words.say("chart.below_bound"),
        text=[words.write(v, kind) for v in there["bound"]],
        hovertemplate="%{text}",
    )
    figure.add_scatter(
        x=there["tolerance"],
        y=there["cost"],
        mode="lines+markers+text",
        line={"color": BLUE, "width": 3},
        marker={"size": 9},
        name=words.say("chart.found"),
        text=[
            words.write(cost, kind)
            if chosen
            else f"{'+' if more >= 0 else '−'}{words.write(abs(more), kind)}"
            for cost, more, chosen in zip(
                there["cost"], there["more"], there["chosen"], strict=True
            )
        ],
        textposition="top center",
        cliponaxis=False,
        hovertemplate="%{text}",
    )
    chosen = there[there["chosen"]]
    figure.add_scatter(
        x=chosen["tolerance"],
        y=chosen["cost"],
        mode="markers",
        marker={"size": 16, "color": ORANGE, "line": {"width": 2, "color": "white"}},
        name=words.say("chart.plan"),
        hoverinfo="skip",
    )
    for tolerance in rows.loc[rows["cost"].isna(), "tolerance"]:
        figure.add_annotation(
            x=tolerance, y=0.5, yref="paper", text=words.say("chart.none"), showarrow=False
        )
    figure.update_yaxes(rangemode="tozero")
    figure.update_xaxes(
        tickvals=rows["tolerance"], ticktext=[words.write(v, "percent") for v in rows["tolerance"]]
    )
    return _cost_ticks(figure, rows, "y")


def counts(rows: pd.DataFrame, words: Words) -> go.Figure:
    """Travel and utilisation by number: n_territories, travel_money, utilisation, limit, chosen."""
    figure = _figure(words, height=340).set_subplots(1, 2, horizontal_spacing=0.12)
    there, limit = rows[rows["refused"] == ""], rows["limit"].iloc[0]
    for column, (y, kind) in enumerate(
        (("travel_money", "thousands"), ("utilisation", "percent")), 1
    ):
        figure.add_bar(
            x=there["n_territories"],
            y=there[y],
            marker_color=[ORANGE if chosen else BLUE for chosen in there["chosen"]],
            text=[words.write(v, kind) for v in there[y]],
            textposition="outside",
            cliponaxis=False,
            showlegend=False,
            hovertemplate="%{x}: %{text}<extra></extra>",
            row=1,
            col=column,
        )
        for n in rows.loc[rows["refused"] != "", "n_territories"]:
            none = words.say("chart.none")
            figure.add_annotation(
                x=n, y=0, yshift=12, text=none, showarrow=False, row=1, col=column
            )
    figure.add_hline(
        y=limit,
        line_dash="dot",
        line_color=ORANGE,
        annotation={"text": words.say("chart.limit", limit=limit), "yanchor": "bottom"},
        row=1,
        col=2,
    )
    for name, color in (("plan", ORANGE), ("other_counts", BLUE)):
        figure.add_bar(x=[None], y=[None], marker_color=color, name=words.say(f"chart.{name}"))
    figure.update_xaxes(title=words.say("chart.count_x"), tickvals=rows["n_territories"])
    figure.update_yaxes(title=words.say("chart.travel_y"), tickformat=",.0f", col=1)
    figure.update_yaxes(title=words.say("chart.load_y"), tickformat=".0%", col=2)
    return figure


def lock_prices(rows: pd.DataFrame, words: Words) -> go.Figure | None:
    """What each lock costs, and what is proven that it costs at most: name, lock, price, at_most, kind.

    None where nothing was priced: a sentence says so.
    """
    rows = rows.dropna(subset="price")
    if rows.empty:
        return None
    figure = _figure(words, x=_cost_axis(rows), height=130 + 34 * max(len(rows), 1))
    most = max(float(rows["at_most"].max()), 0.0) if len(rows) else 0.0
    names = [
        f"{_text(n)} ({words.label(f'lock.{k}')})"
        for n, k in zip(rows["name"], rows["lock"], strict=True)
    ]
    said = [
        words.say("chart.free") if row.price <= most * FREE else words.write(row.price, row.kind)
        for row in rows.itertuples()
    ]
    sure = [
        "" if row.at_most - row.price <= most * FREE else words.write(row.at_most, row.kind)
        for row in rows.itertuples()
    ]
    figure.add_bar(
        y=names,
        x=rows["price"],
        orientation="h",
        marker_color=BLUE,
        name=words.say("chart.price"),
        hoverinfo="skip",
    )
    figure.add_bar(
        y=names,
        x=rows["at_most"] - rows["price"],
        orientation="h",
        marker={"color": LIGHT, "pattern": {"shape": "/", "fgcolor": GREY, "bgcolor": LIGHT}},
        name=words.say("chart.at_most"),
        text=[
            f"{price} (≤ {limit})" if limit else price
            for price, limit in zip(said, sure, strict=True)
        ],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{text}<extra></extra>",
    )
    figure.update_xaxes(range=[0, most * 1.35 or 1.0], visible=most > 0)
    figure.update_yaxes(autorange="reversed")
    figure.update_layout(legend={"y": 1.05, "yanchor": "bottom"}, showlegend=any(sure))
    return _cost_ticks(figure, rows, "x")


def _cost_axis(rows: pd.DataFrame) -> str:
    return "share_y" if len(rows) and rows["kind"].iloc[0] == "percent" else "cost_y"


def _cost_ticks(figure: go.Figure, rows: pd.DataFrame, axis: str) -> go.Figure:
    if _cost_axis(rows) == "share_y":
        figure.update_layout({f"{axis}axis_tickformat": ".0%"})
    return figure


def load(table: pd.DataFrame, words: Words) -> go.Figure:
    """Hours that each territory needs beside those its rep has: territory, workload_h, capacity_h."""
    figure = _figure(words, y="hours_y")
    kinds = {
        "fits": (table["capacity_h"] >= table["workload_h"], BLUE),
        "over_capacity": (table["capacity_h"].between(1e-9, table["workload_h"]), ORANGE),
        "VACANT": (table["capacity_h"] <= 0, GREY),
    }
    for name, (mine, color) in kinds.items():
        rows = table[mine]
        if len(rows):
            figure.add_bar(
                x=rows["territory"].map(_text),
                y=rows["workload_h"],
                marker_color=color,
                name=words.label(f"load.{name}"),
                text=[
                    words.write(v, "percent") if pd.notna(v) else "" for v in rows["utilisation"]
                ],
            )
    rows = table[table["capacity_h"] > 0]
    figure.add_scatter(
        x=rows["territory"].map(_text),
        y=rows["capacity_h"],
        mode="markers",
        marker={"symbol": "line-ew", "size": 26, "line": {"width": 3, "color": "#1d2733"}},
        name=words.label("capacity_h"),
    )
    return figure.update_xaxes(
        categoryorder="array", categoryarray=[*table["territory"].map(_text)]
    )


def fairness(plan: pd.DataFrame, today: pd.DataFrame, words: Words) -> go.Figure:
    """Load and opportunity by hour, today and planned, a row for each rep_id in their order."""
    figure = _figure(words, height=180 + 26 * len(plan)).set_subplots(
        1, 2, shared_yaxes=True, horizontal_spacing=0.05
    )
    today = today[today.index.isin(plan.index)] if len(today) else today
    for column, measure in enumerate(("load", "per_hour"), 1):
        for rows, name, color, symbol in (
            (today, "today", GREY, "circle-open"),
            (plan, "plan", BLUE, "circle"),
        ):
            if len(rows):
                figure.add_scatter(
                    x=rows[measure],
                    y=rows.index.map(_text),
                    mode="markers",
                    marker={"color": color, "symbol": symbol, "size": 11, "line": {"width": 2}},
                    name=words.label(name),
                    showlegend=column == 1,
                    row=1,
                    col=column,
                )
        figure.add_vline(
            x=float(plan[measure].mean()), line_dash="dot", line_color=BLUE, row=1, col=column
        )
    figure.update_xaxes(title=words.say("chart.load_y"), tickformat=".0%", row=1, col=1)
    figure.update_xaxes(title=words.say("chart.per_hour_x"), rangemode="tozero", row=1, col=2)
    figure.update_xaxes(rangemode="tozero")
    # An id may look like a number, and stands in the order of the ids.
    return figure.update_yaxes(
        type="category", categoryorder="array", categoryarray=[*plan.index.map(_text)][::-1]
    )


def costs(plan: pd.DataFrame, today: pd.DataFrame, words: Words) -> go.Figure:
    """Cost of each pair by what it is for, stacked; on the right all pairs, today's beside the plan's.

    Parameters
    ----------
    plan, today
        territory and the components of cost; `today` may be empty.
    words
        Language and currency.
    """
    figure = _figure(words, y="money_y").set_subplots(
        1, 2, column_widths=[0.78, 0.22], horizontal_spacing=0.08
    )
    both = [(name, rows) for name, rows in (("today", today), ("plan", plan)) if len(rows)]
    for column, color in COSTS.items():
        if not any(rows[column].any() for _, rows in both):
            continue
        style = {"name": words.label(column), "marker_color": color, "legendgroup": column}
        figure.add_bar(x=plan["territory"].map(_text), y=plan[column], row=1, col=1, **style)
        figure.add_bar(
            x=[words.label(name) for name, _ in both],
            y=[float(rows[column].sum()) for _, rows in both],
            showlegend=False,
            row=1,
            col=2,
            **style,
        )
    return figure.update_yaxes(tickformat=",.0f", automargin=True)


def reach(rows: pd.DataFrame, words: Words) -> go.Figure:
    """Accounts that each channel can reach, firms that are no accounts, and those without consent."""
    figure = _figure(words, x="accounts_y")
    for column, color in (("reachable", BLUE), ("outside", LIGHT), ("no_consent", GREY)):
        if not rows[column].any():
            continue
        figure.add_bar(
            y=rows["channel_name"].map(_text),
            x=rows[column],
            orientation="h",
            name=words.say("chart.outside") if column == "outside" else words.label(column),
            marker_color=color,
        )
    return figure


def consents(rows: pd.DataFrame, words: Words) -> go.Figure:
    """What the missing consents are worth: consent, value (currency)."""
    figure = _figure(words, x="worth_x", height=120 + 50 * len(rows))
    figure.add_bar(
        y=[words.label(f"consent_{consent}") for consent in rows["consent"]],
        x=rows["value"],
        orientation="h",
        marker_color=ORANGE,
        text=[words.write(n, "account") for n in rows["accounts"]],
        textposition="inside",
    )
    return figure


def responses(rows: pd.DataFrame, words: Words, names: dict[str, str]) -> go.Figure:
    """Response curves: channel, evidence, spend, leads, planned (where the plan lies)."""
    figure = _figure(words, x="spend_x", y="leads_y", height=460)
    for i, (channel, part) in enumerate(rows.groupby("channel")):
        color, grade = COLORS[i % len(COLORS)], str(part["evidence"].iloc[0])
        curve, plan = part[~part["planned"].astype(bool)], part[part["planned"].astype(bool)]
        name = _text(f"{names.get(str(channel), channel)} ({words.label(grade)})")
        figure.add_scatter(
            x=curve["spend"],
            y=curve["leads"],
            mode="lines",
            name=name,
            line={"color": color, "dash": DASHES.get(grade, "dot")},
        )
        figure.add_scatter(
            x=plan["spend"],
            y=plan["leads"],
            mode="markers",
            name=words.say("chart.planned"),
            marker={"color": color, "size": 10},
            showlegend=False,
            hovertext=name,
        )
    return figure.update_layout(legend={"y": 1.02, "yanchor": "bottom"}, margin={"t": 70})


def budget_heat(
    cells: pd.DataFrame, words: Words, names: dict[str, str] | None = None
) -> go.Figure:
    """Budget by territory and channel, and what the next unit of money would return there.

    Columns: territory, channel, amount (minor units), marginal (currency), binding (a star where it
    is not blank), evidence.
    """
    table = (
        cells.pivot_table(index="territory", columns="channel", values="amount", aggfunc="sum")
        / 100
    )
    figure = _figure(words, height=140 + 40 * len(table))
    if len(table):
        more = cells.pivot_table(index="territory", columns="channel", values="marginal")
        grade = cells.drop_duplicates("channel").set_index("channel")["evidence"]
        star = cells.pivot_table(
            index="territory", columns="channel", values="binding", aggfunc="first"
        ).ne("")
        text = [
            [
                f"{words.write(v, 'money0')}<br>{words.write(m, 'money')}{' *' if s else ''}"
                for v, m, s in zip(*row, strict=True)
            ]
            for row in zip(table.to_numpy(), more.to_numpy(), star.to_numpy(), strict=True)
        ]
        figure.add_heatmap(
            z=table.to_numpy(),
            x=[
                f"{_text((names or {}).get(c, c))}<br>({words.label(grade[c])})"
                for c in table.columns
            ],
            y=table.index.map(_text),
            colorscale="Blues",
            showscale=False,
            text=text,
            texttemplate="%{text}",
            xgap=2,
            ygap=2,
        )
    return figure.update_yaxes(autorange="reversed")


def budget_totals(rows: pd.DataFrame, words: Words) -> go.Figure:
    """What other budgets would bring: total, contribution, planned."""
    figure = _figure(words, x="total_x", y="contribution_y")
    figure.add_scatter(
        x=rows["total"],
        y=rows["contribution"],
        mode="lines+markers",
        line={"color": BLUE},
        showlegend=False,
    )
    plan = rows[rows["planned"].astype(bool)]
    figure.add_scatter(
        x=plan["total"],
        y=plan["contribution"],
        mode="markers",
        marker={"color": ORANGE, "size": 13},
        name=words.say("chart.planned"),
    )
    figure.update_xaxes(rangemode="tozero")
    return figure.update_yaxes(rangemode="tozero")


def budget_band(rows: pd.DataFrame, words: Words) -> go.Figure:
    """Amounts and how far they could be from them: name, amount, low, high (currency)."""
    figure = _figure(words, x="band_x", height=140 + 24 * len(rows))
    figure.add_scatter(
        x=rows["amount"],
        y=rows["name"].map(_text),
        mode="markers",
        marker={"color": BLUE, "size": 9},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": rows["high"] - rows["amount"],
            "arrayminus": rows["amount"] - rows["low"],
            "color": GREY,
            "thickness": 3,
        },
        showlegend=False,
    )
    figure.update_xaxes(rangemode="tozero")
    return figure.update_yaxes(autorange="reversed")


def area_results(rows: pd.DataFrame, words: Words) -> go.Figure:
    """Profit and loss: territory, what comes in, what it costs (below 0), result; currency."""
    figure = _figure(words, y="money_y", height=460)
    for column, color in PROFIT.items():
        if rows[column].any():
            figure.add_bar(
                x=rows["territory"].map(_text),
                y=rows[column],
                name=words.label(column),
                marker_color=color,
            )
    figure.add_scatter(
        x=rows["territory"].map(_text),
        y=rows["result"],
        mode="markers",
        name=words.label("result"),
        marker={"color": "#333333", "size": 9, "symbol": "diamond"},
    )
    return figure.update_layout(barmode="relative", legend={"y": 1.02, "yanchor": "bottom"})


def fan(rows: pd.DataFrame, words: Words) -> go.Figure:
    """Forecast with its range beside the goal: quarter, target (NaN for none), mean, p10, p90."""
    figure = _figure(words, y="fan_y")
    x = rows["quarter"]
    _band(figure, x, rows["p10"], rows["p90"], words)
    figure.add_scatter(
        x=x,
        y=rows["mean"],
        mode="lines+markers",
        line={"color": BLUE, "width": 3},
        name=words.say("chart.expected"),
    )
    if rows["target"].notna().any():
        figure.add_scatter(
            x=x,
            y=rows["target"],
            mode="lines+markers",
            line={"color": ORANGE, "dash": "dash", "shape": "hvh"},
            name=words.say("chart.goal"),
        )
    return figure.update_yaxes(rangemode="tozero")


def goals(rows: pd.DataFrame, words: Words, chance: pd.Series | None = None) -> go.Figure:
    """Goal and expected sales of every territory over all quarters, and the chance of its quota.

    rows: territory, quarter, target, mean. chance: territory -> share.
    """
    table = rows.groupby("territory")[["target", "mean"]].sum()
    figure = _figure(words, y="fan_y", x="attain" if chance is not None else "")
    names = table.index.map(_text)
    if chance is not None:
        said = [words.write(x, "percent") for x in chance.reindex(table.index).fillna(0.0)]
        names = [f"{name}<br>{x}" for name, x in zip(names, said, strict=True)]
    for column, color, name in (("mean", BLUE, "expected"), ("target", ORANGE, "goal")):
        figure.add_bar(
            x=names, y=table[column], name=words.say(f"chart.{name}"), marker_color=color
        )
    return figure.update_layout(barmode="group")


def backtest(rows: pd.DataFrame, words: Words) -> go.Figure:
    """Past forecasts of the next quarter beside what came: quarter, method, actual, p10, p90, mean."""
    figure = _figure(words, y="fan_y")
    ours = rows[rows["method"] == "ours"]
    _band(figure, ours["quarter"], ours["p10"], ours["p90"], words)
    for method, color, dash in (
        ("ours", BLUE, "solid"),
        ("last_year", GREY, "dot"),
        ("trailing", GREY, "dash"),
    ):
        mine = rows[rows["method"] == method]
        figure.add_scatter(
            x=mine["quarter"],
            y=mine["mean"],
            mode="lines+markers",
            line={"color": color, "dash": dash, "width": 2},
            name=words.label(f"method.{method}"),
        )
    figure.add_scatter(
        x=ours["quarter"],
        y=ours["actual"],
        mode="markers",
        marker={"color": GREEN, "size": 12, "symbol": "diamond"},
        name=words.say("chart.actual"),
    )
    figure.update_layout(legend={"y": 1.02, "yanchor": "bottom"}, margin={"t": 90}, height=430)
    return figure.update_yaxes(rangemode="tozero")


def waterfall(rows: pd.DataFrame, words: Words) -> go.Figure:
    """From the goal to the forecast: name, kind (absolute, relative, total), amount.

    The names goal, rest and forecast are ours; others are from data.
    """
    ours = {"goal": "chart.goal", "rest": "label.rest", "forecast": "label.forecast"}
    names = [str(words.say(ours[n])) if n in ours else _text(n) for n in rows["name"]]
    figure = _figure(words, y="waterfall_y", height=420)
    figure.add_waterfall(
        x=names,
        y=[
            0 if kind == "total" else x
            for kind, x in zip(rows["kind"], rows["amount"], strict=True)
        ],
        measure=rows["kind"].tolist(),
        text=[words.write(x, "short") for x in rows["amount"]],
        textposition="outside",
        cliponaxis=False,
        increasing={"marker": {"color": GREEN}},
        decreasing={"marker": {"color": RED}},
        totals={"marker": {"color": BLUE}},
        connector={"line": {"color": GREY, "width": 1}},
        showlegend=False,
        hoverinfo="x+text",
    )
    # The goal is a decision and the forecast an expectation: they are never of one colour.
    figure.add_bar(
        x=names[:1],
        y=rows["amount"].iloc[:1],
        marker_color=ORANGE,
        showlegend=False,
        hoverinfo="skip",
    )
    return figure.update_layout(margin={"t": 40})


def gantt(rows: pd.DataFrame, words: Words) -> go.Figure:
    """Tasks of every wave on the calendar: wave, quarter, task, start, end, owner, area (names)."""
    figure = _figure(words, height=460)
    tasks = rows["task"].drop_duplicates().tolist()
    for i, (wave, mine) in enumerate(rows.groupby("wave")):
        long = (mine["end"] - mine["start"] + pd.Timedelta(days=1)).dt.total_seconds() * 1000
        figure.add_bar(
            y=[words.label(f"task.{key}") for key in mine["task"]],
            x=long,
            base=mine["start"].dt.strftime("%Y-%m-%d"),
            orientation="h",
            name=_text(mine["quarter"].iloc[0]),
            marker_color=COLORS[i % len(COLORS)],
            customdata=[
                [
                    words.write(row.start, "date"),
                    words.write(row.end, "date"),
                    words.label(f"owner.{row.owner}"),
                    _text(row.area),
                ]
                for row in mine.itertuples()
            ],
            hovertemplate="%{y}: %{customdata[0]} – %{customdata[1]}<br>%{customdata[2]}<br>"
            "%{customdata[3]}<extra>" + f"{wave}" + "</extra>",
        )
    figure.update_layout(barmode="group")
    figure.update_xaxes(type="date", tickformat="%m.%Y")
    order = [words.label(f"task.{key}") for key in tasks]
    return figure.update_yaxes(categoryorder="array", categoryarray=order, autorange="reversed")


def payback(rows: pd.DataFrame, words: Words) -> go.Figure:
    """Margin of new sales against cost from the start on: quarter, low, middle, high, cost."""
    figure = _figure(words, y="cum_y")
    _band(figure, rows["quarter"], rows["low"], rows["high"], words)
    for column, color, dash, name in (
        ("middle", BLUE, "solid", "margin_line"),
        ("cost", ORANGE, "dash", "cost_line"),
    ):
        figure.add_scatter(
            x=rows["quarter"],
            y=rows[column],
            mode="lines+markers",
            line={"color": color, "dash": dash, "width": 3},
            name=words.say(f"chart.{name}"),
        )
    return figure.update_yaxes(rangemode="tozero")


def tornado(rows: pd.DataFrame, plan: float, words: Words) -> go.Figure:
    """New sales at both ends of each assumption around the plan: assumption, sales_low, sales_high."""
    names = [words.label(f"assume.{key}") for key in rows["assumption"]]
    figure = _figure(words, x="sales_x", height=160 + 34 * len(rows))
    for column, color, name in (("sales_low", ORANGE, "worse"), ("sales_high", BLUE, "better")):
        figure.add_bar(
            y=names,
            x=rows[column] - plan,
            base=plan,
            orientation="h",
            marker_color=color,
            name=words.say(f"chart.{name}"),
            text=[words.write(x, "short") for x in rows[column]],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{y}: %{text}<extra></extra>",
        )
    figure.add_vline(x=plan, line_color=GREY)
    wide = 1.5 * float(max(plan - rows["sales_low"].min(), rows["sales_high"].max() - plan))
    figure.update_xaxes(range=[plan - wide, plan + wide], nticks=6)
    figure.update_layout(barmode="overlay")
    return figure.update_yaxes(autorange="reversed")


def scenarios(rows: pd.DataFrame, words: Words) -> go.Figure:
    """Change of new sales against the plan with its range: scenario, more, more_low, more_high, noise."""
    figure = _figure(words, x="more_x", height=140 + 40 * len(rows))
    figure.add_scatter(
        y=[words.label(f"scenario.{key}") for key in rows["scenario"]],
        x=rows["more"],
        mode="markers",
        marker={"color": [GREY if noise else BLUE for noise in rows["noise"]], "size": 12},
        error_x=_range(rows["more"], rows["more_low"], rows["more_high"]) | {"color": GREY},
        text=[words.write(x, "short") for x in rows["more"]],
        hovertemplate="%{y}: %{text}<extra></extra>",
        showlegend=False,
    )
    figure.add_vline(x=0, line_dash="dot", line_color=ORANGE)
    return figure.update_yaxes(autorange="reversed")


def budget_categories(rows: pd.DataFrame, words: Words) -> go.Figure:
    """Cost of the plan by category and quarter: category, quarter, amount."""
    figure = _figure(words, y="quarter_y")
    for i, (category, part) in enumerate(rows.groupby("category")):
        figure.add_bar(
            x=part["quarter"],
            y=part["amount"],
            name=words.label(str(category)),
            marker_color=COLORS[i % len(COLORS)],
        )
    return figure
