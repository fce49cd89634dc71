"""What a run is asked: one YAML file, strict, every default marked with where it comes from."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pyproj import CRS
from pyproj.exceptions import CRSError

from terrlib.errors import SettingsError
from terrlib.show.words import LOCALES, Told, either

TABLES = (
    "accounts",
    "reps",
    "sales",
    "opportunities",
    "stages",
    "areas",
    "channels",
    "responses",
    "judged",
    "distributors",
    "distributor_areas",
    "assignments",
    "activities",
    "targets",
    "market_structure",
    "neighbors",
    "overrides",
    "groups",
    "forbidden",
    "rep_locks",
    "named_accounts",
    "travel",
    "postal_centroids",
    "gazetteer",
)
SUFFIXES = {".yml", ".yaml"}
EXAMPLES = {"quarter": "2026Q4", "currency": "PLN", "country": "PL", "plan": "NORTH-1"}
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Tolerance = Annotated[float, Field(gt=0, lt=1)]
Measure = Literal["workload_h", "potential", "revenue", "count"]
FIELD = "field"  # the run's own territories, beside its overlays
PARTNER = "partner"  # what a contract leaves to a partner
Limits = tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]]


def _assumed(default: Any, source: str, **limits: Any) -> Any:
    """Mark a default as an assumption that the report has to show, with its source."""
    return Field(default, json_schema_extra={"assumption": source}, **limits)


def _plain(values: list[Any]) -> bool:
    """Whether all are texts or whole numbers, as ids are."""
    return all(isinstance(one, str) or type(one) is int for one in values)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TableFile(_Strict):
    """Where a table is, how its columns are called there, and what only its owner can know."""

    file: str = ""
    columns: dict[str, str] = {}
    values: dict[str, dict[str, str]] = {}
    sheet: str | int = 0
    header: int | None = Field(None, ge=1)
    layer: str = ""
    geometry: str = ""
    query: str = ""
    database: str = ""
    dates: Literal["", "dmy", "mdy"] = ""
    decimal: Literal["", "comma", "point"] = ""
    encoding: Literal["", "utf-8", "utf-16", "cp1250", "cp1252", "cp852", "iso-8859-2"] = ""

    @model_validator(mode="after")
    def _file_or_query(self) -> Self:
        if bool(self.file) == bool(self.query) or bool(self.query) != bool(self.database):
            raise SettingsError("refusal.file_or_query")
        if "://" in self.database:
            raise SettingsError("refusal.address_in_settings")
        return self


class Quality(_Strict):
    """What happens to rows that cannot be trusted, or that a plan may want to leave out."""

    max_orphan_revenue: Share = _assumed(
        0.05, "assumption: more sales than this without an account stop the run"
    )
    inactive: Literal["keep", "aside"] = _assumed("keep", "assumption: inactive accounts stay in")
    negative: Literal["keep", "aside"] = _assumed("keep", "assumption: credit notes count")
    countries: Literal["keep", "aside"] = _assumed("aside", "assumption: a plan is for one country")
    rates: dict[Annotated[str, Field(pattern=r"^[A-Z]{3}$")], Positive] = {}
    rules: dict[str, Literal["stop", "set_aside", "note"]] = {}


class Geography(_Strict):
    """How accounts are put on the map."""

    nearest_km: float = _assumed(
        5.0, "assumption: a point this far outside every area counts in the nearest", ge=0
    )
    swapped: Literal["aside", "turn"] = "aside"
    by_postal_code: bool = False
    grid_above: int = _assumed(
        5000, "assumption: more accounts than this are planned as cells of a grid", ge=1
    )
    grid_resolution: int | None = Field(None, ge=0, le=12)


class Customers(_Strict):
    """How the customer base is read."""

    abc_a: Share = _assumed(0.80, "convention: 80% of sales are A")
    abc_b: Share = _assumed(0.95, "convention: the next 15% are B")
    segments_max: int = Field(8, ge=2, le=20)
    segment_z: float = _assumed(3.0, "measured on synthetic data", gt=0)
    win_rate: Share = _assumed(0.20, "assumption, used without a history of deals")
    kappa: float = _assumed(20, "shrinkage of small groups towards the whole base", gt=0)
    min_closed_deals: int = Field(100, ge=1)
    potential_quantile: float = _assumed(
        0.80, "quantile of spending among similar customers (Perlich et al. 2007)", gt=0.5, lt=1
    )
    potential_refits: int = Field(200, ge=20, le=2000)
    market_size: float | None = Field(None, gt=0)
    served_share: Share = _assumed(1.0, "assumption: all of the market size could be served")
    accessible_share: Share = _assumed(
        0.3, "assumption: share of the firms outside the CRM that could be won at all"
    )
    opportunity_rate: Share = _assumed(
        0.10, "share of worked prospects that become a deal in a year"
    )
    rfm_months: int = _assumed(24, "convention: purchases of two years are scored", ge=6, le=120)
    late: float = _assumed(1.5, "assumption: times a customer's usual gap between purchases", gt=0)
    at_risk: float = _assumed(2.5, "assumption: times the usual gap between purchases", gt=0)
    top_customer: Share = _assumed(0.10, "assumption: one customer with more is a risk")
    segment_jaccard: Share = _assumed(0.75, "stable from 0.75 on (Hennig 2007)")


class VisitClass(_Strict):
    """Contacts a year that accounts of one class get."""

    visits: float = Field(ge=0)
    visit_min: float = Field(ge=0)
    prep_min: float = Field(ge=0)
    calls: float = Field(ge=0)
    call_min: float = Field(15, ge=0)


def _visit_classes() -> dict[str, VisitClass]:
    rows = {
        "A": (24, 75, 30, 24, 15),
        "B": (12, 60, 20, 12, 15),
        "C": (4, 45, 15, 6, 15),
        "PA": (8, 60, 25, 12, 15),
        "PB": (4, 45, 15, 8, 15),
        "X": (0, 0, 0, 2, 10),
    }
    names = ("visits", "visit_min", "prep_min", "calls", "call_min")
    return {key: VisitClass(**dict(zip(names, row, strict=True))) for key, row in rows.items()}


class Workload(_Strict):
    """How many hours an account needs and a rep has."""

    classes: dict[str, VisitClass] = Field(
        default_factory=_visit_classes,
        json_schema_extra={"assumption": "practice; replace by recorded activities"},
    )
    hours_per_day: float = Field(8, gt=0, le=12)
    leave_d: float = _assumed(26, "Polish Labour Code, ten or more years of seniority", ge=0)
    sick_d: float = _assumed(6, "assumption", ge=0)
    training_d: float = _assumed(5, "assumption", ge=0)
    meetings_d: float = _assumed(12, "assumption", ge=0)
    admin_share: Share = _assumed(0.25, "11 h of a week (Field Sales Benchmark Report 2021)")
    stops_per_day: float = _assumed(5, "31 visits a week (Field Sales Benchmark Report 2021)", ge=1)
    access_min: float = _assumed(6, "assumption: minutes to park and walk in", ge=0)
    circuity_short: float = _assumed(1.40, "assumption for trips up to 5 km", ge=1)
    circuity_long: float = _assumed(1.21, "Ballou, Rahardja and Sakai 2002: Poland", ge=1)
    speeds_kmh: tuple[Positive, Positive, Positive] = _assumed(
        (35.0, 60.0, 80.0), "speed study of 16 Polish cities 2013 and assumption"
    )
    overnight_h: float = _assumed(
        2.0, "assumption: farther than this one way, days are joined", gt=0
    )
    overnight_days: int = _assumed(2, "assumption: days of a joined tour", ge=1)
    hotel_night: float = _assumed(350, "assumption: a night away", ge=0)
    km_rate: float = _assumed(1.15, "statutory rate for a private car since 2023", ge=0)
    rep_cost_year: float = _assumed(
        180_000, "assumption, checked against the Sedlak pay survey 2025", gt=0
    )
    margin: Share = _assumed(0.35, "assumption: contribution margin of sales")


class Sizing(_Strict):
    """How many reps there should be."""

    use_target: Share = _assumed(0.85, "practice: 70 to 90% of a rep's hours planned", gt=0)
    use_min: Share = _assumed(0.70, "practice: less leaves reps idle", gt=0)
    use_max: Share = _assumed(0.95, "assumption: more leaves no room for what comes up", gt=0)
    elasticity: float = _assumed(
        0.31, "Albers, Mantrala and Sridhar 2010: mean of 75 studies", gt=0, lt=1
    )
    elasticity_low: float = _assumed(0.20, "range shown", gt=0, lt=1)
    elasticity_high: float = _assumed(0.45, "range shown", gt=0, lt=1)


class Change(_Strict):
    """What it costs when accounts change hands, and how many may."""

    price: float = _assumed(
        1.0, "assumption: the expected loss of a handover counts in full; 0 redraws freely", ge=0
    )
    max_accounts: int | None = Field(None, ge=0)
    max_revenue: float | None = Field(None, ge=0)


class Territories(_Strict):
    """How territories are drawn."""

    count: int | tuple[int, int] | None = None
    balance: dict[str, Tolerance] = {}
    travel: Literal["distance", "square"] = "distance"
    centres: Literal["free", "homes"] = "free"
    change: Change = Change()
    starts: int = Field(0, ge=0, le=200)
    effort: int = Field(1, ge=1, le=20)
    fair_share_by_fte: bool = True
    whole: bool = True
    prefix: str = Field("T", pattern=r"^[A-Z][A-Z0-9]{0,7}$")

    @field_validator("count", mode="before")
    @classmethod
    def _one_or_range(cls, count: Any) -> Any:
        low, high, *more = [*count, *count] if isinstance(count, list | tuple) else [count] * 4
        fits = len(more) == 2 and all(type(end) is int for end in (low, high))  # noqa: PLR2004
        if count is not None and not (fits and 1 <= low <= high):
            raise SettingsError("refusal.count_or_range", found=repr(count))
        return count


class Regions(_Strict):
    """How territories roll up to regions, each with a manager."""

    count: int | None = Field(None, ge=1)
    balance: dict[str, Tolerance] = _assumed(
        {"workload_h": 0.25}, "assumption: few territories to a region, so a wider tolerance"
    )


class Overlay(_Strict):
    """One more way of covering accounts beside the run's own territories, with reps of its own.

    Attributes
    ----------
    by
        What is drawn: the run's own units (geography), industry and size (segment), steps down the
        accounts by revenue (volume), or each account by itself, wherever it is (named).
    who
        Whom it serves: ids of accounts, or column -> value or values, all of which have to fit;
        product_line is what was bought in the last 12 months.
        Empty: the table named_accounts where `by` is named, else everybody.
    count, balance
        As of `territories`.
    credits
        The measures that count here and not in the run's own territories.
    reps
        Ids of its reps, or the role that they have.
    """

    by: Literal["geography", "segment", "volume", "named"] = "geography"
    who: list[str] | dict[str, list[str]] = []
    count: int = Field(1, ge=1)
    balance: dict[str, Tolerance] = {}
    credits: list[Measure] = []
    reps: str | list[str] = []

    @field_validator("who", mode="before")
    @classmethod
    def _ids_or_columns(cls, who: Any) -> Any:
        if isinstance(who, list) and _plain(who):
            return [str(one) for one in who]
        if isinstance(who, Mapping):
            lists = {c: v if isinstance(v, list) else [v] for c, v in who.items()}
            if all(_plain(values) for values in lists.values()):
                return {str(c): [str(one) for one in values] for c, values in lists.items()}
        raise SettingsError("refusal.who_is", found=repr(who))

    @field_validator("reps", mode="before")
    @classmethod
    def _ids_or_role(cls, reps: Any) -> Any:
        if isinstance(reps, str):
            return reps
        if isinstance(reps, list) and _plain(reps):
            return [str(one) for one in reps]
        raise SettingsError("refusal.reps_are", found=repr(reps))


class Staffing(_Strict):
    """What it costs to give a territory to a rep."""

    skill_penalty: Share = _assumed(0.25, "assumption: share of new sales lost without the skill")
    transition_loss: Share = _assumed(
        0.154, "Shi, Sridhar, Grewal and Lilien 2017: 13.2 to 17.6% of sales, one firm"
    )
    similarity_saving: Share = _assumed(0.40, "AMA summary 2019 of the same study")
    handover_factor: Share = _assumed(0.5, "assumption: a planned handover loses less")
    switch_cost: float = _assumed(2_000, "assumption: settles ties for the present rep", ge=0)
    capacity_limit: float = _assumed(1.15, "assumption: hours above capacity forbidden", ge=1)
    vacancy_loss: Share = _assumed(0.7, "assumption: share of new sales lost without a rep")
    new_hire_loss: Share = _assumed(0.25, "assumption: a new hire loses this much more")
    low_loss: Share = _assumed(0.0, "lowest found: a change can also revive (Schmitz et al. 2019)")
    high_loss: Share = _assumed(0.176, "Shi, Sridhar, Grewal and Lilien 2017: highest found")
    language_limit: Share = _assumed(
        0.05, "assumption: more new sales than this in no language of the rep forbid the pair"
    )
    junior_limit: Share = _assumed(
        0.40, "assumption: more new sales than this with A accounts ask for experience"
    )
    junior_penalty: Share = _assumed(0.10, "assumption: share of new sales with A accounts lost")
    relocation_cost: float = _assumed(30_000, "assumption", ge=0)
    warm_days: tuple[int, int, int] = _assumed(
        (30, 60, 90), "practice: days to introduce the next rep, by how much is at stake"
    )


class Channels(_Strict):
    """When a partner sells instead of a rep."""

    hysteresis: Share = _assumed(0.15, "assumption: a change must pay by this much")
    direct_cost_rate: Share = _assumed(0.03, "assumption: variable selling cost of own sales")


class Goals(_Strict):
    """What is to be sold."""

    total: float | None = Field(None, gt=0)
    omega: Share | Literal["credibility"] = _assumed(
        0.5, "assumption: weight of potential against forecast"
    )
    credibility_deals: float = _assumed(
        30, "assumption: won deals in two years that weigh as much as potential", gt=0
    )
    min_growth: float = _assumed(-0.10, "assumption", ge=-1)
    max_growth: float = _assumed(0.40, "assumption", gt=-1)
    over_assignment: Share = _assumed(0.05, "practice ranges from 0 to 50%")
    ramp_shortfall: Literal["cover", "spread"] = "cover"
    round_to: float = Field(100, gt=0)


class Budget(_Strict):
    """What may be spent on reaching customers in a year."""

    total: float | None = Field(None, gt=0)
    contingency: Share = _assumed(0.05, "assumption")
    round_to: float = Field(100, gt=0)
    lead_to_deal_rate: Share = _assumed(0.35, "assumption, where a channel gives none")
    spend_all: bool = True
    hurdle: float = _assumed(
        1.0,
        "assumption: with spend_all false, contribution that a unit of money has to bring",
        gt=0,
    )
    territory_limits: dict[str, Limits] = {}
    channel_limits: dict[str, Limits] = {}
    doubt: tuple[Positive, Positive] = _assumed(
        (0.5, 1.5),
        "assumption: a rate that nobody measured may be half as high or half as much again",
    )

    @field_validator("territory_limits", "channel_limits")
    @classmethod
    def _low_first(cls, limits: dict[str, Limits]) -> dict[str, Limits]:
        turned = [name for name, (low, high) in limits.items() if low > high]
        if turned:
            raise SettingsError("refusal.least_first", names=turned)
        return limits

    @field_validator("doubt")
    @classmethod
    def _around_one(cls, doubt: tuple[float, float]) -> tuple[float, float]:
        if not doubt[0] <= 1 <= doubt[1]:
            raise SettingsError("refusal.around_one")
        return doubt


class WhatIf(_Strict):
    """How far scenarios go from the plan."""

    reps: int = Field(1, ge=1, le=20)
    budget: float = _assumed(0.20, "assumption: share of the budget less, or more", gt=0, lt=1)
    win_rate: float = _assumed(0.10, "assumption: share of wins less, or more", gt=0, lt=1)


class Timeline(_Strict):
    """How sales spread over the coming quarters."""

    quarters: int = Field(4, ge=1, le=12)
    ramp: tuple[Share, ...] = _assumed(
        (0.25, 0.60, 0.85, 1.0), "assumption; median ramp of five months (Bridge Group 2024)"
    )
    cycle_months: float = _assumed(6, "assumption, used without a history of deals", gt=0)
    macro_sd: float = _assumed(0.15, "assumption: shock shared by all territories", ge=0, le=1)
    macro_phi: Share = _assumed(0.5, "assumption: share of a shock left a quarter later", lt=1)
    value_cv: float = _assumed(
        1.0, "assumption: spread of a win's value, used without won deals", gt=0, le=5
    )
    partner_lag_months: float = _assumed(
        2, "assumption: months later that a partner begins to sell", ge=0
    )
    max_launches: int = _assumed(4, "assumption: areas a quarter that can be opened", ge=1)
    hires_per_quarter: int = _assumed(
        1, "assumption: vacant territories a quarter that can be staffed", ge=0
    )
    discount_quarter: Share = _assumed(0.02, "assumption: what a quarter's wait costs")
    what_if: WhatIf = WhatIf()
    draws: int = Field(5000, ge=100, le=100_000)


class Settings(_Strict):
    """Everything a run is asked; `load_settings` reads it from a file."""

    plan: str = Field("plan", pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,40}$")
    quarter: str | None = Field(None, pattern=r"^(19|20)\d{2}Q[1-4]$")
    scenario: str = Field("", pattern=r"^[A-Za-z0-9_-]{0,40}$")
    locale: Literal["pl", "en"] = "en"
    currency: str = Field("PLN", pattern=r"^[A-Z]{3}$")
    country: str = Field("PL", pattern=r"^[A-Z]{2}$")
    crs: int | None = None
    seed: int = Field(1, ge=0)
    units: Literal["accounts", "areas", "grid", "segments", "volume"] = "accounts"
    tables: dict[str, TableFile] = {}
    quality: Quality = Quality()
    geography: Geography = Geography()
    customers: Customers = Customers()
    workload: Workload = Workload()
    sizing: Sizing = Sizing()
    territories: Territories = Territories()
    overlays: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,30}$")], Overlay] = {}
    regions: Regions = Regions()
    staffing: Staffing = Staffing()
    channels: Channels = Channels()
    goals: Goals = Goals()
    budget: Budget = Budget()
    timeline: Timeline = Timeline()

    @field_validator("overlays")
    @classmethod
    def _own_name(cls, asked: dict[str, Overlay]) -> dict[str, Overlay]:
        if FIELD in asked:
            raise SettingsError("refusal.own_overlay_name", name=FIELD)
        if PARTNER in asked:
            raise SettingsError("refusal.partner_overlay_name", name=PARTNER)
        return asked

    @field_validator("crs")
    @classmethod
    def _in_metres(cls, code: int | None) -> int | None:
        if code is None:
            return None
        try:
            crs = CRS.from_epsg(code)
        except CRSError:
            raise SettingsError("refusal.no_epsg", code=code) from None
        if not crs.is_projected or crs.axis_info[0].unit_name != "metre":
            raise SettingsError("refusal.no_metres", code=code)
        return code

    @field_validator("tables", mode="before")
    @classmethod
    def _short_form(cls, tables: Any) -> Any:
        if not isinstance(tables, Mapping):
            return tables
        unknown = [name for name in tables if name not in TABLES]
        if unknown:
            name = str(unknown[0])
            raise SettingsError("refusal.unknown_table", name=name, hint=_near(name, TABLES))
        return {k: {"file": v} if isinstance(v, str) else v for k, v in tables.items()}


def load_settings(path: Path) -> Settings:
    r"""Read a settings file.

    Parameters
    ----------
    path
        A YAML file in UTF-8.

    Raises
    ------
    SettingsError
        If the file cannot be read, is no YAML mapping, has an unknown key (with the nearest known
        one) or a value out of range. All faults are listed at once.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "settings.yml"
    >>> _ = path.write_text("plan: DEMO\nterritories: {count: 8}\n", encoding="utf-8")
    >>> load_settings(path).territories.count
    8
    """
    try:
        asked = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        told = {"file": path.name, "reason": reason}
        raise SettingsError("refusal.unreadable_settings", **told) from error
    if not isinstance(asked, dict):
        raise SettingsError("refusal.no_settings", file=path.name)
    return make_settings(asked, path.name)


def language(path: Path) -> tuple[str, str]:
    """Locale and currency that a settings file asks for, even if the rest cannot be used.

    Returns
    -------
    tuple
        Those of the file where they can be read, else the defaults.

    Examples
    --------
    >>> language(Path("no_such_file.yml"))
    ('en', 'PLN')
    """
    found: dict[str, Any] = {}
    if path.suffix.lower() in SUFFIXES:
        with suppress(OSError, UnicodeDecodeError, yaml.YAMLError):
            found = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    usual = Settings()
    asked = found if isinstance(found, dict) else {}
    locale, currency = asked.get("locale"), asked.get("currency")
    return (
        locale if locale in LOCALES else usual.locale,
        currency if isinstance(currency, str) and currency.isupper() else usual.currency,
    )


def make_settings(asked: Mapping[str, Any], where: str = "") -> Settings:
    """Check settings that were given as a mapping.

    Raises
    ------
    SettingsError
        Listing every fault at once.

    Examples
    --------
    >>> make_settings({"teritories": {"count": 8}})
    Traceback (most recent call last):
    ...
    terrlib.errors.SettingsError: the settings: unknown key 'teritories': did you mean
    'territories'?
    """
    try:
        return Settings.model_validate(dict(asked))
    except ValidationError as error:
        faults = [_say(fault) for fault in error.errors()]
        place = where or Told("refusal.the_settings")
        raise SettingsError("refusal.settings_faults", where=place, faults=faults) from error


def change_settings(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """Return settings with some values replaced, each named by its dotted path.

    Raises
    ------
    SettingsError
        If a name is unknown or a value is out of range.

    Examples
    --------
    >>> change_settings(Settings(), {"territories.count": 5}).territories.count
    5
    """
    asked = settings.model_dump(mode="json", exclude_unset=True)
    for name, value in changes.items():
        *path, last = name.split(".")
        inner = asked
        for part in path:
            inner = inner.setdefault(part, {})
        inner[last] = value
    return make_settings(asked)


def resolved(settings: Settings) -> str:
    """Write the settings out in full as YAML, every default filled in and marked as such.

    Examples
    --------
    >>> "seed: 1  # default" in resolved(Settings(plan="A"))
    True
    """
    lines = []
    for depth, name, value, given, field in _walk(settings):
        pad = "  " * depth
        if value is None and isinstance(getattr(field, "annotation", None), type):
            lines.append(f"{pad}{name}:")
            continue
        shown = yaml.safe_dump(
            value, default_flow_style=True, allow_unicode=True, width=1_000_000, sort_keys=False
        ).removesuffix("\n")
        shown = shown.removesuffix("...").rstrip()
        source = (field.json_schema_extra or {}).get("assumption") if field else None  # type: ignore[union-attr]
        mark = "" if given else f"  # default, assumption: {source}" if source else "  # default"
        lines.append(f"{pad}{name}: {shown}{mark}")
    return "\n".join(lines) + "\n"


def assumptions(settings: Settings) -> pd.DataFrame:
    """List every default in force that is an assumption, with its value and its source.

    Returns
    -------
    DataFrame
        setting       dotted name
        value         as text
        source        where the default comes from

    Examples
    --------
    >>> "staffing.transition_loss" in set(assumptions(Settings())["setting"])
    True
    """
    rows, path = [], [""] * 8
    for depth, name, value, given, field in _walk(settings):
        path[depth] = name
        source = (field.json_schema_extra or {}).get("assumption") if field else None  # type: ignore[union-attr]
        if source and not given:
            rows.append((".".join(path[: depth + 1]), _short(value), source))
    return pd.DataFrame(rows, columns=["setting", "value", "source"])


def _short(value: Any) -> str:
    if isinstance(value, dict):
        each = {k: v.values() if isinstance(v, dict) else [v] for k, v in value.items()}
        return "; ".join(f"{k}: {'/'.join(f'{x:g}' for x in v)}" for k, v in each.items())
    return " / ".join(str(x) for x in value) if isinstance(value, list) else str(value)


def _walk(model: BaseModel, depth: int = 0) -> Iterator[tuple[int, str, Any, bool, FieldInfo]]:
    for name, field in type(model).model_fields.items():
        value, given = getattr(model, name), name in model.model_fields_set
        if isinstance(value, BaseModel):
            yield depth, name, None, given, field
            yield from _walk(value, depth + 1)
        else:
            yield depth, name, model.model_dump(mode="json")[name], given, field


def _near(name: str, known: tuple[str, ...] | list[str]) -> Told:
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return Told("refusal.did_you_mean_rule", name=near[0])
    return Told("refusal.known_are", names=list(known))


# What pydantic finds, and the sentence that says it.
FAULTS = {
    "int_type": "whole",
    "int_parsing": "whole",
    "int_from_float": "whole",
    "float_type": "number",
    "float_parsing": "number",
    "finite_number": "number",
    "string_type": "text",
    "bool_type": "flag",
    "bool_parsing": "flag",
    "list_type": "list",
    "tuple_type": "list",
    "dict_type": "mapping",
    "model_type": "mapping",
    "model_attributes_type": "mapping",
    "missing": "missing",
    "too_long": "length",
    "too_short": "length",
}
LIMITS = {
    "greater_than": "gt",
    "greater_than_equal": "ge",
    "less_than": "lt",
    "less_than_equal": "le",
    "literal_error": "expected",
}


def _say(fault: Any) -> Told:
    path, kind = [str(part) for part in fault["loc"]], fault["type"]
    where, found = ".".join(path), repr(fault["input"])
    if kind == "extra_forbidden":
        hint = _near(path[-1], list(_model_at(path[:-1]).model_fields))
        if not path[:-1]:
            return Told("refusal.unknown_key", name=path[-1], hint=hint)
        section = ".".join(path[:-1])
        return Told("refusal.unknown_key_in", name=path[-1], hint=hint, where=section)
    if kind == "string_pattern_mismatch":
        example = EXAMPLES.get(path[-1], Told("refusal.plain_letters"))
        return Told("refusal.should_look_like", where=where, found=found, example=example)
    if kind == "value_error":
        told = fault["ctx"]["error"]
        return told.said if isinstance(told, SettingsError) else Told(str(told))
    if kind in LIMITS:
        limit = fault["ctx"][LIMITS[kind]]
        if kind == "literal_error":
            limit = either("or", *map(Told, limit.replace(" or ", ", ").split(", ")))
        what = Told(f"refusal.fault_{kind}", limit=limit)
    elif kind in FAULTS:
        what = Told(f"refusal.fault_{FAULTS[kind]}")
    else:
        message = fault["msg"]
        what = Told(f"{message[:1].lower()}{message[1:]}")
    return Told("refusal.fault", where=where, what=what, found=found)


def _model_at(path: list[str]) -> type[BaseModel]:
    model: type[BaseModel] = Settings
    for part in path:
        field = model.model_fields.get(part)
        if field is None:
            continue
        kinds = [field.annotation, *get_args(field.annotation)]
        inner = [k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)]
        model = inner[0] if inner else model
    return model
