"""The market: every trusted table of a run, frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import geopandas as gpd
import pandas as pd

VACANT = "VACANT"  # in place of a rep: nobody


@dataclass(frozen=True)
class Market:
    """The tables of a run after the data gate. A table that was not given is empty, never None.

    Attributes
    ----------
    accounts
        Indexed by account_id, sorted: name, status (customer, prospect, lost, inactive), unit_id,
        area_id ("" where there are no areas), site_id (the same for accounts that are one stop),
        lat, lon (degrees), x_km, y_km (metric projection),
        revenue (last 12 months, currency), potential (a year's money, given; NaN where not),
        industry, employees (NaN), annual_turnover (currency, NaN), customer_since (NaT), town, region,
        postal_code, protected, consent_email, consent_phone, consent_sms, consent_post,
        consents_known (booleans; a consent that is not known is none).
        Texts are "" where unknown.
    units
        Indexed by unit_id, sorted: name, lat, lon, x_km, y_km, n_accounts, geometry (polygon in
        EPSG:4326; the cells of all units tile the outline).
    neighbors
        unit_a, unit_b: who touches whom, each pair once, unit_a < unit_b; empty where units are no
        places.
    reps
        Indexed by rep_id: name, home_lat, home_lon, role, fte, seniority, skills, cost_year.
    sales
        account_id, date, amount (currency, net), product_line.
    opportunities
        Indexed by opp_id: account_id, created_date, close_date, stage, is_closed, is_won, amount,
        type, lead_source, rep_id.
    areas
        Indexed by area_id: name, region, lat, lon, geometry (EPSG:4326).
    stages
        opp_id, date, stage: the day each opportunity entered each stage it went through.
    channels
        Indexed by channel: label_pl, label_en, consent_needed, fixed_cost, cost_per_contact,
        max_contacts, response_rate, response_rate_source, lead_to_opp_rate, lead_lag_m, rep_h,
        min_spend, named (False: reaches firms that are no accounts too), category (of the budget:
        marketing or events).
    responses
        month, channel, area_id, territory, spend, leads: what spending brought ("" where unknown).
    judged
        channel, zero, plus50, saturation, spend, leads: what managers expect of more and less.
    distributors
        Indexed by distributor_id: name, discount_rate, push_factor, support_cost_year,
        annual_capacity.
    distributor_areas
        distributor_id, area_id, coverage_rate, exclusive.
    assignments
        account_id, territory, rep_id: who holds what today.
    activities
        account_id, date, kind (visit or call), minutes: what was done.
    targets
        quarter, amount (currency): what has to be sold in all.
    market_structure
        area_id, industry, size_class, n_firms: the firms there are, known to us or not.
    overrides
        unit_id, territory, reason, who, date.
    groups
        rule (together or apart), group, unit_id.
    forbidden
        unit_id, territory, reason: where a unit may not be.
    rep_locks
        territory, rep_id, rule (lock or ban), reason: what a manager decided about reps.
    named_accounts
        overlay, account_id, territory: who is served by an overlay, by name.
    travel
        unit_id, to, km, minutes: the user's own matrix; `to` is a unit, or a rep.
    given
        Names of the tables that were given.
    quality
        table, key, rule, severity, field, value, message, money: every finding.
    set_aside
        Table name -> rows not used, as read, with the column `reason`.
    as_of
        Last day that counts.
    quarter
        The quarter planned for, like 2026Q4, or "undated".
    currency, country
        ISO codes.
    places
        Whether units are places; not where they are segments or volume classes, which need no travel
        and touch nobody.
    trust
        Scorecard of the tables given, see `trust.trust`.
    specialists
        Reps of overlays and managers of regions, columns as of `reps`; they hold none of the run's
        own territories.
    duplicates
        What looks like one firm twice, see `duplicates.propose`; nothing of it was merged.
    """

    accounts: pd.DataFrame
    units: gpd.GeoDataFrame
    neighbors: pd.DataFrame
    reps: pd.DataFrame
    sales: pd.DataFrame
    opportunities: pd.DataFrame
    stages: pd.DataFrame
    areas: gpd.GeoDataFrame
    channels: pd.DataFrame
    responses: pd.DataFrame
    judged: pd.DataFrame
    distributors: pd.DataFrame
    distributor_areas: pd.DataFrame
    assignments: pd.DataFrame
    activities: pd.DataFrame
    targets: pd.DataFrame
    market_structure: pd.DataFrame
    overrides: pd.DataFrame
    groups: pd.DataFrame
    forbidden: pd.DataFrame
    rep_locks: pd.DataFrame
    named_accounts: pd.DataFrame
    travel: pd.DataFrame
    given: frozenset[str]
    quality: pd.DataFrame
    set_aside: Mapping[str, pd.DataFrame]
    as_of: pd.Timestamp | None
    quarter: str
    currency: str
    country: str
    places: bool = True
    trust: pd.DataFrame = field(default_factory=pd.DataFrame)
    duplicates: pd.DataFrame = field(default_factory=pd.DataFrame)
    specialists: pd.DataFrame = field(default_factory=pd.DataFrame)

    def held(self, column: str) -> pd.Series:
        """Territory, rep or segment of every account today: account_id -> value, as assigned."""
        return self.assignments.drop_duplicates("account_id").set_index("account_id")[column]

    def has(self, table: str) -> bool:
        """Tell whether a table was given and holds at least one trusted row."""
        return table in self.given and len(getattr(self, table)) > 0
