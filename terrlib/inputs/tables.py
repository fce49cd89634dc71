"""The columns of every input table: what they are called, what they hold, which of them are needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pandera.pandas as pa

Kind = Literal["key", "text", "number", "money", "date", "flag", "share", "degrees"]


@dataclass(frozen=True)
class Column:
    """One column of an input table.

    Attributes
    ----------
    name
        As terrlib calls it; a file may call it otherwise and say so in the settings.
    kind
        key and text stay as written; money is in the run's currency; a date is a day; a flag is
        yes or no; a share is 0 to 1.
    meaning, znaczenie
        What it holds, in English and Polish.
    required
        Whether the table is of no use without it.
    low, high
        Range of numbers.
    """

    name: str
    kind: Kind
    meaning: str
    znaczenie: str
    required: bool = False
    low: float | None = None
    high: float | None = None


def _c(line: str) -> Column:
    """Read one line: name! | kind low..high | meaning | znaczenie; ! means required."""
    name, kind, meaning, polish = (part.strip() for part in line.split("|"))
    kind, _, limits = kind.partition(" ")
    low, _, high = limits.partition("..")
    return Column(
        name.rstrip("!"),
        kind,  # type: ignore[arg-type]
        meaning,
        polish,
        name.endswith("!"),
        float(low) if low else None,
        float(high) if high else None,
    )


def _table(text: str) -> dict[str, Column]:
    columns = [_c(line) for line in text.strip().splitlines()]
    return {column.name: column for column in columns}


COLUMNS: dict[str, dict[str, Column]] = {
    "accounts": _table("""
        account_id | key | identifies the account; the row number where absent | identyfikator; numer wiersza, jeśli brak
        name | text | name of the firm | nazwa firmy
        lat | degrees -90..90 | latitude, degrees | szerokość geograficzna, stopnie
        lon | degrees -180..180 | longitude, degrees | długość geograficzna, stopnie
        revenue | money | sales of the last 12 months; computed where sales are given | sprzedaż z ostatnich 12 miesięcy; liczona, gdy podano sprzedaż
        potential | money 0.. | what the account could buy in a year, from anybody | ile klient mógłby kupić w roku, od kogokolwiek
        status | text | customer, prospect, lost or inactive; derived from revenue where absent | customer, prospect, lost lub inactive; z obrotów, jeśli brak
        industry | text | industry | branża
        employees | number 0.. | number of employees | liczba pracowników
        annual_turnover | money 0.. | sales a year of the firm itself; its size where known of more customers than employees | roczne obroty samej firmy; jej wielkość, gdy znane dla większej liczby klientów niż zatrudnienie
        area_id | key | the area it lies in; computed from the point where absent | obszar; liczony ze współrzędnych, jeśli brak
        town | text | town | miejscowość
        region | text | region or voivodeship | województwo
        postal_code | key | postal code, as text | kod pocztowy, jako tekst
        tax_id | key | tax number (NIP) | NIP
        protected | flag | must not change hands | nie może zmienić opiekuna
        consent_email | flag | may be sent e-mail; missing means no | zgoda na e-mail; brak znaczy nie
        consent_phone | flag | may be phoned; missing means no | zgoda na telefon; brak znaczy nie
        consent_sms | flag | may be sent SMS; missing means no | zgoda na SMS; brak znaczy nie
        consent_post | flag | may be sent letters; missing means yes | zgoda na list; brak znaczy tak
        geo_quality | text | how precise the point is: exact, postal, town or area; filled in where absent | dokładność punktu: exact, postal, town lub area; uzupełniana, jeśli brak
        customer_since | date | first day as a customer | klient od
        street | text | street and number; accounts on one are one site | ulica i numer; firmy pod jednym adresem to jedno miejsce
        country | text | country, by code or name | kraj, kod lub nazwa
        currency | text | currency of its money; the run's where blank | waluta kwot; puste znaczy waluta planu
        internal | flag | a test or internal account: set aside | konto testowe lub wewnętrzne: odkładane
        language | text | language it is served in; any where blank | język obsługi; puste znaczy dowolny
    """),
    "reps": _table("""
        rep_id! | key | identifies the rep | identyfikator przedstawiciela
        name | text | name | imię i nazwisko
        home_lat! | degrees -90..90 | latitude of the home, degrees | szerokość geograficzna domu, stopnie
        home_lon! | degrees -180..180 | longitude of the home, degrees | długość geograficzna domu, stopnie
        home_town | text | town of the home, for a table gazetteer where lat and lon are not known | miejscowość domu, dla tabeli gazetteer, gdy nie ma współrzędnych
        home_region | text | region or voivodeship of that town, where several are called alike | województwo tej miejscowości, gdy kilka nazywa się tak samo
        home_postal_code | key | postal code of the home, for a table postal_centroids | kod pocztowy domu, dla tabeli postal_centroids
        role | text | field, inside, kam, channel_manager or manager, who leads a region | field, inside, kam, channel_manager lub manager, który kieruje regionem
        fte | number 0.05..1.2 | 1 is full time | 1 to pełny etat
        seniority | text | junior, mid or senior | junior, mid lub senior
        skills | text | industries the rep knows, separated by a bar | znane branże, rozdzielone kreską pionową
        cost_year | money 0.. | full cost a year | pełny koszt roczny
        languages | text | languages the rep speaks, separated by a bar; all where blank | języki, rozdzielone kreską pionową; puste znaczy wszystkie
        hired | date | first day of work | pierwszy dzień pracy
        leaves | date | last day of work, where it is known | ostatni dzień pracy, jeśli znany
        max_home_km | number 0.. | farthest middle of a territory from home, km by road | najdalszy środek terytorium od domu, km drogą
        can_relocate | flag | would move house | przeprowadzi się
        max_territories | number 1..20 | territories the rep may hold; 1 where blank | ile terytoriów może prowadzić; puste znaczy 1
        region | text | region or overlay that a manager leads | region lub zespół, którym kieruje menedżer
    """),
    "sales": _table("""
        account_id! | key | the account | klient
        date! | date | day of the invoice | dzień faktury
        amount! | money | net amount; negative is a credit note | kwota netto; ujemna to korekta
        product_line | text | product line | grupa produktów
        currency | text | currency of the amount; the run's where blank | waluta kwoty; puste znaczy waluta planu
    """),
    "opportunities": _table("""
        opp_id! | key | identifies the opportunity | identyfikator szansy
        account_id! | key | the account | klient
        created_date! | date | day it was created | dzień utworzenia
        close_date | date | day it was closed, or is expected to be | dzień zamknięcia lub jego plan
        stage | text | stage in the CRM | etap w CRM
        is_closed! | flag | won or lost | wygrana lub przegrana
        is_won! | flag | won | wygrana
        amount | money 0.. | value | wartość
        type | text | new_logo, expansion, renewal | new_logo, expansion, renewal
        lead_source | text | where the lead came from | źródło kontaktu
        lost_reason | text | why it was lost | powód przegranej
        rep_id | key | owner | właściciel
        currency | text | currency of the amount; the run's where blank | waluta kwoty; puste znaczy waluta planu
    """),
    "stages": _table("""
        opp_id! | key | the opportunity | szansa
        date! | date | day it entered the stage | dzień wejścia w etap
        stage! | text | the stage, such as offer or negotiation | etap, np. oferta lub negocjacje
    """),
    "areas": _table("""
        area_id! | key | identifies the area, such as a TERYT code | identyfikator obszaru, np. kod TERYT
        name | text | name | nazwa
        region | text | region or voivodeship | województwo
        must_direct | flag | has to be sold directly, never through a partner | musi być obsługiwany bezpośrednio, bez partnera
    """),
    "channels": _table("""
        channel! | key | identifies the channel | identyfikator kanału
        label_pl | text | name in Polish | nazwa po polsku
        label_en | text | name in English | nazwa po angielsku
        consent_needed | text | none, email, phone, sms or post | none, email, phone, sms lub post
        fixed_cost | money 0.. | cost of using the channel in a territory at all | koszt stały kanału w terytorium
        cost_per_contact! | money 0.01.. | cost of one contact | koszt jednego kontaktu
        max_contacts | number 0.. | contacts an account gets at most in a year | najwięcej kontaktów na klienta w roku
        response_rate! | share 0..1 | share of contacts that become a lead | odsetek kontaktów, które dają zapytanie
        response_rate_source | text | user, fitted or benchmark | user, fitted lub benchmark
        lead_to_opp_rate | share 0..1 | share of leads that become an opportunity | odsetek zapytań, które dają szansę
        lead_lag_m | number 0.. | months from spending to lead | miesiące od wydatku do zapytania
        rep_h | number 0.. | hours of a rep for one contact; limits it to the hours left | godziny przedstawiciela na jeden kontakt; ogranicza go do wolnych godzin
        min_spend | money 0.. | least worth spending in a territory where it is used at all | najmniej, ile warto wydać w terytorium, jeśli w ogóle
        named | flag | needs a contact known by name; no reaches firms outside the list too; yes where blank | wymaga znanego kontaktu; nie znaczy, że dociera też do firm spoza listy; puste znaczy tak
        category | text | marketing or events, its line in the budget; marketing where blank | marketing lub events (wydarzenia), pozycja w budżecie; puste znaczy marketing
    """),
    "responses": _table("""
        month! | date | any day of the month | dowolny dzień miesiąca
        channel! | key | the channel | kanał
        area_id | key | the area; blank for a territory or the whole market | obszar; puste dla terytorium lub całego rynku
        territory | key | territory of today, where there is no area | dzisiejsze terytorium, gdy nie ma obszaru
        spend! | money 0.. | spent on the channel there in the month | wydatek na kanał w tym miesiącu
        leads! | number 0.. | leads it brought | zapytania, które przyniósł
    """),
    "judged": _table("""
        channel! | key | the channel | kanał
        zero! | number 0..1 | leads with no spending; 1 is today's | zapytania bez wydatków; 1 to dzisiejsze
        plus50! | number 1.. | leads with half as much again | zapytania przy wydatku większym o połowę
        saturation! | number 1.. | leads with any amount of money | zapytania przy dowolnie dużym wydatku
        spend | money 0.. | spent a year today; the last year of responses where blank | dzisiejszy wydatek roczny; puste znaczy ostatni rok z responses
        leads | number 0.. | leads a year today; the last year of responses where blank | dzisiejsze zapytania rocznie; puste znaczy ostatni rok z responses
    """),
    "distributors": _table("""
        distributor_id! | key | identifies the partner | identyfikator partnera
        name | text | name | nazwa
        discount_rate! | share 0..0.8 | discount the partner gets | rabat partnera
        push_factor | number 0..1.5 | share of own sales the partner would reach | jaką część naszej sprzedaży osiągnie
        support_cost_year | money 0.. | cost a year of supporting the partner in each territory where it sells | roczny koszt wsparcia partnera w każdym terytorium, w którym sprzedaje
        annual_capacity | money 0.. | sales the partner can carry in a year | roczna zdolność sprzedaży
        contract_end | date | last day of the contract; without end where blank | ostatni dzień umowy; puste znaczy bez końca
    """),
    "distributor_areas": _table("""
        distributor_id! | key | the partner | partner
        area_id! | key | the area | obszar
        coverage_rate | share 0..1 | share of its customers the partner reaches | odsetek klientów w zasięgu partnera
        exclusive | flag | by contract only this partner sells here, but to named accounts; no where blank | według umowy tylko ten partner tu sprzedaje, poza kluczowymi klientami; puste znaczy nie
    """),
    "assignments": _table("""
        account_id! | key | the account | klient
        territory! | key | territory that holds it today | dzisiejsze terytorium
        rep_id | key | rep that holds it today | dzisiejszy opiekun
        segment | text | what it was called last quarter; keeps the names of segments | segment w zeszłym kwartale; dzięki niemu nazwy segmentów zostają
    """),
    "activities": _table("""
        account_id! | key | the account | klient
        date! | date | day | dzień
        kind | text | visit or call; visit where blank | visit (wizyta) lub call (telefon); puste znaczy visit
        minutes | number 0..1440 | how long it took | ile trwała
    """),
    "targets": _table("""
        quarter! | key | quarter, like 2026Q4 | kwartał, np. 2026Q4
        amount! | money 0.. | new sales to be made in it | nowa sprzedaż do osiągnięcia
    """),
    "market_structure": _table("""
        area_id! | key | the area | obszar
        industry! | text | industry, in the words of the accounts | branża, tymi samymi słowami co u klientów
        size_class! | text | micro (below 10 employees), small (50), medium (250) or large | micro (do 9 pracowników), small (do 49), medium (do 249) lub large
        n_firms! | number 0.. | firms of that kind in the area, known to us or not | ile takich firm jest w obszarze, znanych nam lub nie
    """),
    "neighbors": _table("""
        unit_a! | key | a unit | jednostka
        unit_b! | key | a unit that counts as touching it (a ferry, a bridge) | jednostka uznana za sąsiednią (prom, most)
        kind | text | touch or bridge joins the two, cut parts them; touch where blank | touch lub bridge łączy, cut rozdziela; puste znaczy touch
    """),
    "overrides": _table("""
        unit_id! | key | the unit placed by hand | jednostka przypisana ręcznie
        territory! | key | where it has to be | terytorium, w którym ma być
        reason | text | why | powód
        who | text | who decided | kto zdecydował
        date | date | when | kiedy
    """),
    "groups": _table("""
        rule! | text | together: one territory for all; apart: no two in one | together: jedno terytorium dla wszystkich; apart: żadne dwie w jednym
        group! | key | units with the same name of a group belong to it | jednostki o tej samej nazwie grupy należą do niej
        unit_id! | key | the unit | jednostka
    """),
    "forbidden": _table("""
        unit_id! | key | the unit | jednostka
        territory! | key | where it may not be | terytorium, w którym nie może być
        reason | text | why | powód
    """),
    "rep_locks": _table("""
        territory! | key | the territory | terytorium
        rep_id! | key | the rep | przedstawiciel
        rule | text | lock: has to hold it; ban: must not; lock where blank | lock: ma je prowadzić; ban: nie może; puste znaczy lock
        reason | text | why | powód
    """),
    "named_accounts": _table("""
        overlay! | key | the overlay that serves it, as in the settings | zespół, który go obsługuje, jak w ustawieniach
        account_id! | key | the account | klient
        territory | key | territory of the overlay it has to be in; any where blank | terytorium zespołu, w którym ma być; puste znaczy dowolne
    """),
    "travel": _table("""
        unit_id! | key | the unit travelled to | jednostka, do której się jedzie
        to! | key | the unit at the centre, or the rep where centres are homes | jednostka w centrum albo przedstawiciel, gdy centrum to dom
        km | number 0.. | one way by road; every pair of them, or minutes | w jedną stronę drogą; dla każdej pary albo minuty
        minutes | number 0.. | one way; used instead of km where given | w jedną stronę; zamiast km, gdy podano
    """),
    "postal_centroids": _table("""
        postal_code! | key | postal code, as text | kod pocztowy, jako tekst
        lat! | degrees -90..90 | latitude of its middle, degrees | szerokość geograficzna środka, stopnie
        lon! | degrees -180..180 | longitude of its middle, degrees | długość geograficzna środka, stopnie
    """),
    "gazetteer": _table("""
        town! | text | town | miejscowość
        region | text | region or voivodeship | województwo
        lat! | degrees -90..90 | latitude of the town, degrees | szerokość geograficzna miejscowości, stopnie
        lon! | degrees -180..180 | longitude of the town, degrees | długość geograficzna miejscowości, stopnie
        area_id | key | the area it lies in | obszar, w którym leży
        population | number 0.. | inhabitants | liczba mieszkańców
    """),
}

CONSENTS = ("email", "phone", "sms", "post")
KEYS = {
    "accounts": "account_id",
    "reps": "rep_id",
    "opportunities": "opp_id",
    "areas": "area_id",
    "channels": "channel",
    "distributors": "distributor_id",
}
# What may stand for a column that a table cannot do without: deals that are over are told by their
# stage; a home is found by its town or its postal code.
HOME = ("home_town", "home_postal_code")
INSTEAD: dict[str, dict[str, tuple[str, ...]]] = {
    "opportunities": {"is_closed": ("stage",), "is_won": ("stage",)},
    "reps": {"home_lat": HOME, "home_lon": HOME},
}
DTYPES = {"number": float, "money": float, "share": float, "degrees": float}


def schema(table: str) -> pa.DataFrameSchema:
    """Return the rules of a typed table, for pandera to check all at once.

    Parameters
    ----------
    table
        A key of `COLUMNS`.

    Examples
    --------
    >>> schema("reps").columns["fte"].checks[0].statistics
    {'min_value': 0.05}
    """
    columns = {}
    for column in COLUMNS[table].values():
        checks = []
        if column.low is not None:
            checks.append(pa.Check.ge(column.low))
        if column.high is not None:
            checks.append(pa.Check.le(column.high))
        columns[column.name] = pa.Column(
            DTYPES.get(column.kind), checks, nullable=True, required=False, unique=False
        )
    return pa.DataFrameSchema(columns)


def data_dictionary() -> str:
    """Write the dictionary of every input table as Markdown.

    Examples
    --------
    >>> data_dictionary().splitlines()[0]
    '**accounts** (required)'
    """
    lines = []
    for table, columns in COLUMNS.items():
        lines += [f"**{table}**" + (" (required)" if table == "accounts" else ""), ""]
        lines += ["| column | holds | what it means | znaczenie |", "|---|---|---|---|"]
        for c in columns.values():
            name = f"`{c.name}`" + (" *" if c.required else "")
            lines.append(f"| {name} | {c.kind} | {c.meaning} | {c.znaczenie} |")
        lines.append("")
    return "\n".join(lines)
