"""How far the travel formula is from real routes: weeks of every rep of the sample, routed by PyVRP.

Run by `make bench-routes`. Each week every account is due with its visits a year over the field
weeks; five days of at most `stops_per_day` stops each leave from the rep's home. PyVRP minimises
the road kilometres; the formula says what the visits of that week should take.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from terrlib.inputs.load import load_market
from terrlib.inputs.settings import load_settings
from terrlib.measures import facts as measuring
from terrlib.measures.geometry import great_circle_km, road_km
from terrlib.measures.workload import as_stops, field_days, local_hop_km, visit_travel

ROOT = Path(__file__).parents[1]
WEEKS, DAYS = 6, 5
ITERATIONS = 300  # work, not seconds: the same answer on every machine
METRES = 1000


def main() -> None:
    from pyvrp import Model
    from pyvrp.stop import MaxIterations

    asked = load_settings(ROOT / "data/sample/settings.yml")
    market = load_market(asked, ROOT / "data/sample")
    facts = measuring.account_facts(market, asked, pd.Series("", index=market.accounts.index))
    days = field_days(asked, measuring.planning_year(market), market.country)
    owner = market.assignments.drop_duplicates("account_id").set_index("account_id")["rep_id"]
    rng, w = np.random.default_rng(asked.seed), asked.workload
    rows = []
    for rep in market.reps.itertuples():
        mine = facts[(owner.reindex(facts.index) == rep.Index) & (facts["visits"] > 0)]
        place = as_stops(market.accounts.loc[mine.index], mine["visits"])
        visits = place["visits"].to_numpy(float)
        home = great_circle_km(place["lat"], place["lon"], rep.home_lat, rep.home_lon)
        hop = local_hop_km(place[["x_km", "y_km"]].to_numpy(float), visits, days)
        km, _ = visit_travel(np.asarray(home, float), hop, w)
        told = routed = stops = 0.0
        for _ in range(WEEKS):
            due = np.flatnonzero(rng.random(len(place)) < visits / (days / DAYS))
            # A full-time rep routes what fits a week; part time as much less.
            due = due[: int(DAYS * w.stops_per_day * rep.fte)]
            if not len(due):
                continue
            lat = np.r_[rep.home_lat, place["lat"].to_numpy()[due]]
            lon = np.r_[rep.home_lon, place["lon"].to_numpy()[due]]
            away = great_circle_km(lat[:, None], lon[:, None], lat[None], lon[None])
            metres = np.round(road_km(np.asarray(away, float), w) * METRES).astype(int)
            model = Model()
            places = [model.add_location(x=0, y=0) for _ in lat]
            home_ = model.add_depot(places[0])
            model.add_vehicle_type(DAYS, int(w.stops_per_day), home_, home_)
            for one in places[1:]:
                model.add_client(one, delivery=1)
            for i, one in enumerate(places):
                for j, other in enumerate(places):
                    if i != j:
                        model.add_edge(one, other, distance=int(metres[i, j]))
            found = model.solve(MaxIterations(ITERATIONS), seed=asked.seed, display=False)
            routed += found.cost() / METRES
            told += float(km[due].sum())
            stops += len(due)
        rows.append((rep.Index, int(stops), routed, told, told / routed - 1 if routed else np.nan))
    table = pd.DataFrame(rows, columns=["rep", "stops", "routed_km", "formula_km", "error"])
    print(table.round({"routed_km": 0, "formula_km": 0, "error": 3}).to_string(index=False))
    bias = table["formula_km"].sum() / table["routed_km"].sum() - 1
    print(f"all km {bias:+.1%}; a rep {table['error'].abs().mean():.1%} on average, "
          f"{table['error'].abs().max():.1%} at most")  # fmt: skip


if __name__ == "__main__":
    main()
