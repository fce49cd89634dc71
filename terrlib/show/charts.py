"""Charts: each takes a table and draws it, and computes nothing."""

from __future__ import annotations

from html import escape

import pandas as pd
import plotly.graph_objects as go

from terrlib.show.words import Words

BLUE, ORANGE, GREY, GREEN = "#4e79a7", "#f28e2b", "#bab0ac", "#59a14f"
LIGHT = "#f4f2f1"
COLORS = (BLUE, ORANGE, GREEN, "#b07aa1", "#76b7b2", "#edc948")
PARTS = {  # colour, and whether it is hatched
    "travel": (BLUE, False),
    "change": (ORANGE, False),
    "all_units": (BLUE, False),
    "bound": (GREY, False),
    "left": (LIGHT, True),
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


def pareto(facts: pd.DataFrame, words: Words) -> go.Figure:
    """Cumulative share of sales, the largest customer first, coloured by class."""
    rows = facts[facts["revenue"] > 0].sort_values("revenue", ascending=False)
    share = rows["revenue"].cumsum() / rows["revenue"].sum()
    figure = _figure(words, x="pareto_x", y="pareto_y", percent=True)
    place = range(1, len(rows) + 1)
    for name, color in zip(("A", "B", "C"), (BLUE, ORANGE, GREY), strict=True):
        mine = (rows["abc"] == name).to_numpy()
        x = [p for p, here in zip(place, mine, strict=True) if here]
        figure.add_scatter(
            x=x,
            y=share[mine],
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
    """Win rate by group with its interval, beside the naive one."""
    names = [words.label("all_units") if g == "" else _text(g) for g in rates["group"]]
    figure = _figure(words, y="win_y", percent=True)
    figure.add_bar(x=names, y=rates["naive"], name=words.label("naive"), marker_color=GREY)
    figure.add_bar(
        x=names,
        y=rates["p_win"],
        name=words.label("p_win"),
        marker_color=BLUE,
        error_y={
            "type": "data",
            "array": rates["high"] - rates["p_win"],
            "arrayminus": rates["p_win"] - rates["low"],
        },
    )
    return figure.update_layout(barmode="group")


def ideal_customers(best: pd.DataFrame, words: Words) -> go.Figure:
    """Expected contribution of a prospect by industry and size, best first."""
    rows = best.head(12)
    names = [
        f"{_text(i)}, {words.label(s)}"
        for i, s in zip(rows["industry"], rows["size_class"], strict=True)
    ]
    figure = _figure(words, x="money_y", height=420)
    figure.add_bar(
        y=names,
        x=rows["ev"],
        orientation="h",
        marker_color=GREEN,
        text=[words.write(n, "account") for n in rows["accounts"]],
    )
    return figure.update_yaxes(autorange="reversed")


def white_space_bars(where: pd.DataFrame, words: Words) -> go.Figure:
    """Revenue and white space of the places with most of it, the latter with its range."""
    rows = where.head(15)
    figure = _figure(words, x="space_x", height=460)
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
        error_x={
            "type": "data",
            "symmetric": False,
            "array": rows["white_space_high"] - rows["white_space"],
            "arrayminus": rows["white_space"] - rows["white_space_low"],
            "color": GREY,
        },
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


def balance(
    card: pd.DataFrame, present: pd.DataFrame, words: Words, tolerance: dict[str, float]
) -> go.Figure:
    """Index of each balanced measure by territory, today's beside the plan's, with the band allowed."""
    figure = _figure(words, y="index_x", height=420, percent=True)
    for i, (measure, allowed) in enumerate(tolerance.items()):
        column, name = f"{measure}_index", words.label(measure)
        if i == 0:
            figure.add_hrect(
                y0=1 - allowed, y1=1 + allowed, fillcolor=BLUE, opacity=0.08, line_width=0
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
    """Share of the hours there are that each territory needs: territory, utilisation."""
    rows = table.dropna(subset="utilisation")
    figure = _figure(words, y="load_y", percent=True)
    figure.add_bar(
        x=rows["territory"].map(_text),
        y=rows["utilisation"],
        marker_color=BLUE,
        text=[words.write(v, "percent") for v in rows["utilisation"]],
    )
    figure.add_hline(y=1.0, line_dash="dot", line_color=ORANGE)
    return figure


def costs(rows: pd.DataFrame, words: Words) -> go.Figure:
    """Cost of each pair by what it is for."""
    figure = _figure(words, y="money_y")
    for column, color in zip(
        ("travel", "relationship", "skill", "capacity", "change"), COLORS, strict=False
    ):
        figure.add_bar(
            x=rows["territory"].map(_text),
            y=rows[column],
            name=words.label(column),
            marker_color=color,
        )
    return figure


def reach(rows: pd.DataFrame, words: Words) -> go.Figure:
    """Accounts that each channel can reach, and those without consent."""
    figure = _figure(words, x="accounts_y")
    for column, color in (("reachable", BLUE), ("no_consent", GREY)):
        figure.add_bar(
            y=rows["channel_name"].map(_text),
            x=rows[column],
            orientation="h",
            name=words.label(column),
            marker_color=color,
        )
    return figure


def budget_heat(
    cells: pd.DataFrame, words: Words, names: dict[str, str] | None = None
) -> go.Figure:
    """Budget by territory and channel: territory, channel, amount (minor units)."""
    table = (
        cells.pivot_table(index="territory", columns="channel", values="amount", aggfunc="sum")
        / 100
    )
    figure = _figure(words, height=140 + 26 * len(table))
    if len(table):
        text = [[words.write(v, "short") for v in row] for row in table.to_numpy()]
        figure.add_heatmap(
            z=table.to_numpy(),
            x=[_text((names or {}).get(c, c)) for c in table.columns],
            y=table.index.map(_text),
            colorscale="Blues",
            showscale=False,
            text=text,
            texttemplate="%{text}",
            xgap=2,
            ygap=2,
        )
    return figure.update_yaxes(autorange="reversed")


def fan(rows: pd.DataFrame, words: Words) -> go.Figure:
    """Forecast with its range beside the goal: quarter, target, mean, p10, p90."""
    figure = _figure(words, y="fan_y")
    x = rows["quarter"]
    figure.add_scatter(
        x=x, y=rows["p90"], mode="lines", line={"width": 0}, showlegend=False, hoverinfo="skip"
    )
    figure.add_scatter(
        x=x,
        y=rows["p10"],
        mode="lines",
        line={"width": 0},
        fill="tonexty",
        fillcolor="rgba(78,121,167,.2)",
        name=words.say("chart.range"),
    )
    figure.add_scatter(
        x=x,
        y=rows["mean"],
        mode="lines+markers",
        line={"color": BLUE, "width": 3},
        name=words.say("chart.expected"),
    )
    figure.add_scatter(
        x=x,
        y=rows["target"],
        mode="lines+markers",
        line={"color": ORANGE, "dash": "dash", "shape": "hvh"},
        name=words.say("chart.goal"),
    )
    return figure.update_yaxes(rangemode="tozero")


def goals(rows: pd.DataFrame, words: Words) -> go.Figure:
    """Goal and expected sales of every territory over all quarters: territory, target, mean."""
    table = rows.groupby("territory")[["target", "mean"]].sum()
    figure = _figure(words, y="fan_y")
    figure.add_bar(
        x=table.index.map(_text),
        y=table["mean"],
        name=words.say("chart.expected"),
        marker_color=BLUE,
    )
    figure.add_bar(
        x=table.index.map(_text),
        y=table["target"],
        name=words.say("chart.goal"),
        marker_color=ORANGE,
    )
    return figure.update_layout(barmode="group")


def budget_categories(rows: pd.DataFrame, words: Words) -> go.Figure:
    """Cost of the plan by category and quarter: category, quarter, amount."""
    figure = _figure(words, y="money_y")
    for i, (category, part) in enumerate(rows.groupby("category")):
        figure.add_bar(
            x=part["quarter"],
            y=part["amount"],
            name=words.label(str(category)),
            marker_color=COLORS[i % len(COLORS)],
        )
    return figure
