# Names of one column stand on one line, however long it gets.
# ruff: noqa: E501
"""What columns are usually called in a CRM, an ERP or a spreadsheet, and what stands in them."""

from __future__ import annotations

import re
from functools import lru_cache

from terrlib.inputs.values import fold

OWN = "own_name"
SOURCES = ("salesforce", "hubspot", "polish_name", "usual_name")
CUSTOMER = (
    "Id klienta, Nr klienta, Numer klienta, Kod klienta, Symbol klienta, Id kontrahenta, "
    "Nr kontrahenta, Numer kontrahenta, Kod kontrahenta, Symbol kontrahenta, Akronim, Id odbiorcy, "
    "Nr odbiorcy, Kod odbiorcy, Id firmy | Customer ID, Customer Number, Customer No, Customer Code, "
    "Client ID, Client Number, Client No, Client Code, Account, Account No, Account Code, Store ID, "
    "Store Number, Store No, Shop ID, Outlet ID, Site ID, Partner ID, Company ID, Buyer ID"
)


def _words(text: str) -> set[str]:
    return set(text.split(","))


def _names(text: str) -> dict[str, dict[str, tuple[float, str]]]:
    """Read lines `column | Salesforce | HubSpot | Polish | English`: name -> how good, whose."""
    table = {}
    for line in text.replace("CUSTOMER", CUSTOMER).strip().splitlines():
        ours, *groups = (part.strip() for part in line.split("|"))
        known = {column_key(ours): (0.97, OWN)}
        for source, names in zip(SOURCES, groups, strict=True):
            for rank, name in enumerate(names.split(", ")):
                # Of two names that a file may hold side by side the first is meant more often.
                good, whose = known.get(column_key(name), (0.96 - rank / 1000, source))
                known[column_key(name)] = (good, whose if whose in {source, OWN} else SOURCES[-1])
        known.pop("", None)
        table[ours] = known
    return table


@lru_cache(maxsize=4096)
def column_key(name: str) -> str:
    """Fold a column name: camel case parted; brackets, units, years and custom-field marks dropped."""
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.strip()[:200]).removesuffix("__c")
    text = re.sub(r"\(.*?\)|\[.*?\]", " ", text)
    dropped = {"pln", "zl", "eur", "usd", "tys", "mln", "w"}
    return " ".join(t for t in fold(text).split() if t not in dropped and not year_of(t))


def year_of(text: str) -> int:
    """The year a word is; 0 if it is none."""
    return int(text) if re.fullmatch(r"(19|20)\d\d", text) else 0


NAMES = {
    "accounts": _names("""
        account_id | Id, Account ID, Account Number, 18 Digit ID | Record ID, Company ID, hs_object_id, Record ID - Company | CUSTOMER, Identyfikator, Id, Kod, Key, Code
        name | Name, Account Name | Company name, Name | Nazwa, Nazwa firmy, Nazwa klienta, Firma, Klient, Kontrahent, Nazwa kontrahenta, Odbiorca, Nazwa odbiorcy, Nazwa pełna, Podmiot | Customer Name, Company, Customer, Client, Client Name, Store Name, Shop Name, Business Name, Organization
        lat | BillingLatitude, Latitude, ShippingLatitude | Latitude | Szer. geogr., Szerokość geograficzna, Szerokość, Szer, Szer. geo., Szerokość geogr., Szer. geograficzna | Lat, Latitude, GPS Latitude, GPS lat, y
        lon | BillingLongitude, Longitude, ShippingLongitude | Longitude | Dł. geogr., Długość geograficzna, Długość, Dł, Dł. geo., Długość geogr., Dł. geograficzna, Dług, Dług. geogr., Dług. geo., Dług. geograficzna | Lon, Lng, Long, Longitude, GPS Longitude, GPS lon, GPS lng, x
        revenue | | Total Revenue | Obrót, Obroty, Sprzedaż, Sprzedaż netto, Obrót netto, Obroty netto, Wartość sprzedaży, Suma sprzedaży, Przychód ze sprzedaży, Wartość netto, Przychód, Sprzedaż 12 m-cy, Obrót 12 m-cy | Sales, Revenue, Our Sales, Net Sales, Turnover, Sales 12m, Sales LTM, Revenue LTM, Last 12 months, Total Sales, Purchases
        potential | | | Potencjał, Potencjał zakupowy, Potencjał zakupów, Potencjał roczny | Potential, Annual Potential, Sales Potential, Market Potential, Wallet, All Vendors Sales, All Suppliers Purchases
        status | Account Status, Type, Account Type | Lifecycle Stage | Status, Status klienta, Typ klienta, Rodzaj klienta | Status, Customer Status, Customer Type, Client Status
        industry | Industry | Industry | Branża, Sektor, Segment, Rodzaj działalności, Działalność | Sector, Vertical, Segment, Line of Business
        employees | NumberOfEmployees, Employees | Number of Employees | Liczba pracowników, Zatrudnienie, Liczba zatrudnionych, Ilość pracowników, Pracownicy | Employee Count, Headcount, Staff
        area_id | | | Kod TERYT, TERYT, TERYT powiatu, Kod powiatu, Kod gminy, Id obszaru, Obszar | Area, Area Code, FIPS, GEOID, NUTS, County Code
        country | BillingCountry, ShippingCountry | Country/Region | Kraj, Państwo | Country
        currency | CurrencyIsoCode, Account Currency | Currency | Waluta | Currency, Currency Code
        town | BillingCity, ShippingCity | City | Miasto, Miejscowość | City, Town, Locality
        street | BillingStreet, Billing Street, ShippingStreet, Shipping Street | Street Address | Ulica, Ulica i numer, Ulica nr | Street, Street Name, Address Line 1
        region | BillingState, Billing State/Province, ShippingState, Shipping State/Province | State/Region | Województwo, Woj, Region | State, Province, Voivodeship
        postal_code | BillingPostalCode, Billing Zip/Postal Code, ShippingPostalCode, Shipping Zip/Postal Code | Postal Code | Kod pocztowy, Kod poczt | Zip, Zip Code, Zip/Postal Code, Postcode, Post Code
        tax_id | | VAT Number | NIP, Nr NIP, Numer NIP, Numer podatkowy | Tax ID, Tax Number, VAT, VAT ID, VATIN
        protected | | | Chroniony, Klient chroniony, Zastrzeżony | Locked, Do not move, Named Account
        consent_email | | | Zgoda e-mail, Zgoda na e-mail, Zgoda mail, Zgoda email | Email Consent, Email Opt In
        consent_phone | | | Zgoda telefon, Zgoda na telefon, Zgoda tel | Phone Consent, Phone Opt In
        consent_sms | | | Zgoda SMS, Zgoda na SMS | SMS Consent, SMS Opt In
        consent_post | | | Zgoda list, Zgoda na list, Zgoda poczta | Mail Consent, Post Consent, Post Opt In
        customer_since | Customer Since | Became a Customer Date | Klient od, Data pierwszego zakupu, Data pozyskania, Pierwszy zakup | Client since, First Purchase, First Purchase Date, First Order Date
    """),
    "sales": _names("""
        account_id | AccountId | Associated Company IDs, Associated Company | CUSTOMER, Customer, Client
        date | InvoiceDate | | Data wystawienia, Data sprzedaży, Data faktury, Data dokumentu, Data wyst, Data, Dzień, Miesiąc | Date, Invoice Date, Sale Date, Posting Date, Document Date, Order Date, Day, Month
        amount | Amount | Amount | Wartość netto, Kwota netto, Sprzedaż netto, Netto, Obrót, Sprzedaż, Kwota, Wartość | Net Amount, Net Value, Net Sales, Sales, Revenue, Value, Line Total, Total
        product_line | Product Family, Product Name | Product | Grupa towarowa, Grupa produktów, Linia produktowa, Asortyment, Kategoria, Towar | Product Group, Product Category, Category
    """),
    "opportunities": _names("""
        opp_id | Id, Opportunity ID | Record ID, Deal ID, Record ID - Deal, hs_object_id | Id szansy, Nr szansy, Numer szansy, Id oferty, Nr oferty, Numer oferty | Deal ID, Opp ID, Quote Number, Id
        account_id | AccountId, Account Name | Associated Company IDs, Associated Company, Record ID - Company, Primary Associated Company | CUSTOMER, Klient, Kontrahent, Customer
        created_date | CreatedDate, Create Date | Create Date | Data utworzenia, Utworzono, Data założenia, Data dodania, Data otwarcia | Created, Created On, Created At, Open Date, Opened
        close_date | CloseDate, Closed Date | Close Date | Data zamknięcia, Zamknięto, Planowana data zamknięcia, Planowane zamknięcie, Przewidywane zamknięcie, Przewidywana data zamknięcia | Closed On, Closed At, Expected Close Date
        stage | StageName, Stage | Deal Stage | Etap, Etap sprzedaży, Faza, Status | Sales Stage, Pipeline Stage, Status
        is_closed | IsClosed, Closed | Is Deal Closed?, Is Closed, hs_is_closed | Zamknięta, Czy zamknięta, Zamknięte | Closed?
        is_won | IsWon, Won | Is Closed Won, hs_is_closed_won | Wygrana, Czy wygrana, Wygrane | Won?
        amount | Amount | Amount, Amount in company currency | Wartość netto, Kwota netto, Wartość, Kwota, Wartość szansy, Wartość oferty | Value, Deal Value, Net Amount, Deal Amount
        type | Type, Opportunity Type | Deal Type | Typ, Rodzaj, Typ szansy | Kind
        lost_reason | Loss Reason, Lost Reason | Closed Lost Reason | Powód przegranej, Przyczyna przegranej | Lost Reason, Reason Lost
        lead_source | LeadSource | Original Traffic Source, Original Source, Deal source | Źródło, Źródło kontaktu, Źródło leada, Źródło szansy | Source, Channel
        rep_id | OwnerId, Opportunity Owner, Owner | Deal owner | Opiekun, Handlowiec, Przedstawiciel, Właściciel, Id handlowca | Rep, Sales Rep, Salesperson, Rep ID, Owner ID
    """),
    "reps": _names("""
        rep_id | Id, User ID, Username, OwnerId, Employee Number | User ID, Owner ID | Id handlowca, Nr handlowca, Id przedstawiciela, Nr pracownika, Id pracownika, Numer pracownika, Kod handlowca, Symbol handlowca, Symbol PH, Kod PH, Nr PH, Id PH, PH, Symbol przedstawiciela, Kod przedstawiciela | Employee ID, Rep Code, Salesperson ID, Id
        name | Name, Full Name | Name, Owner | Imię i nazwisko, Nazwisko i imię, Handlowiec, Przedstawiciel, Opiekun, Pracownik, Nazwisko | Rep, Sales Rep, Rep Name, Salesperson, Employee
        home_lat | Latitude | | Szer. geogr., Szerokość geograficzna, Szerokość domu, Szer. domu, Szerokość, Szer, Szer. geogr. domu | Lat, Home Latitude, y
        home_lon | Longitude | | Dł. geogr., Długość geograficzna, Długość domu, Dł. domu, Długość, Dł, Dł. geogr. domu, Dług, Dług. geogr., Dług. domu | Lon, Lng, Long, Home Longitude, x
        home_town | City | | Miasto zamieszkania, Miejscowość zamieszkania, Miasto, Miejscowość, Miejsce zamieszkania | Home Town, Home City, City, Town
        home_region | State/Province | | Województwo, Województwo zamieszkania, Woj | Home Region, State, Province
        home_postal_code | Zip/Postal Code | | Kod pocztowy, Kod pocztowy domu, Kod poczt | Home Postal Code, Postal Code, Zip, Postcode
        role | UserRole, Role, UserRole.Name | | Rola, Stanowisko, Funkcja | Position, Job Title, Title
        fte | | | Etat, Wymiar etatu, Część etatu | Full time equivalent, Full-time share
        seniority | | | Poziom, Stopień | Level, Grade
        skills | | | Umiejętności, Branże, Specjalizacja | Industries, Specialization, Competences
        cost_year | | | Koszt roczny, Roczny koszt, Koszt etatu | Annual Cost, Yearly Cost, Full Cost, Cost
        hired | HireDate | | Data zatrudnienia, Zatrudniony od, Pracuje od | Hired, Hire Date, Start Date
    """),
    "assignments": _names("""
        account_id | AccountId, Id, ObjectId | Record ID, Company ID | CUSTOMER, Customer
        territory | Territory2Id, Territory2.Name, Territory Name, Account Territory | Territory | Terytorium, Rejon, Region, Region sprzedaży, Rejon sprzedaży, Obszar | Sales Territory, Sales Region, Patch, District
        rep_id | OwnerId, Account Owner, Owner | Company owner, HubSpot Owner | Opiekun, Handlowiec, Przedstawiciel, Id handlowca, Opiekun klienta | Rep, Sales Rep, Salesperson, Owner ID
    """),
}
# Names that promise more than they hold. Money of the customer's own is the costliest to mistake.
LIARS = (
    ("accounts", r"^annual revenue$|^(przychod\w*|obrot\w*) firmy$",
     "own_turnover"),
    ("accounts", r"^created? date$|^data utworzenia$",
     "record_made"),
    ("accounts", r"\bopt(ed)? out\b|\bdo not (call|mail|email|contact)\b",
     "no_consent"),
    ("accounts", r"\b(contact|kontakt\w*|owner|opiekun\w*)\b", "person"),
    ("", r"\b(parent|nadrzedn\w*|ultimate)\b", "parent"),
    ("", r"\b(last|ostatni\w*|modyfikacj\w*|modified|modstamp)\b", "last_done"),
    ("", r"\b(brutto|gross)\b", "gross"),
    ("opportunities", r"^expected revenue$|\b(weighted|probability|forecast|prawdopodob\w*)\b",
     "weighed"),
)  # fmt: skip
# Names that no other table has: with one of them for certain, columns may be missing.
TELLING = {
    "opportunities": r"\b(?:szans\w*|etap\w*|opp|opportunity|deal|stage)\b",
    "reps": r"\b(?:etat\w*|stanowisk\w*|ph|fte|handlowca|przedstawiciela)\b",
}
# Names that hold nearly what is meant: taken by nobody without being asked.
REMARKS = {"total revenue": "all_time"}
STATUS_WORDS = {
    "customer": "customer customers client klient klienci aktywny active staly odbiorca "
    "customer-direct customer-channel evangelist",
    "prospect": "prospect lead subscriber opportunity prospekt potencjalny szansa nowy "
    "marketingqualifiedlead salesqualifiedlead marketing-qualified-lead sales-qualified-lead",
    "lost": "lost former utracony stracony byly former-customer churned",
    "inactive": "inactive nieaktywny closed zamkniety zablokowany",
}
STATUS: dict[str, str] = {
    w.replace("-", " "): ours for ours, text in STATUS_WORDS.items() for w in text.split()
}
WORDS = {
    "status": set(STATUS),
    "region": _words(
        "dolnoslaskie,kujawsko pomorskie,lubelskie,lubuskie,lodzkie,malopolskie,mazowieckie,opolskie,"
        "podkarpackie,podlaskie,pomorskie,slaskie,swietokrzyskie,warminsko mazurskie,wielkopolskie,"
        "zachodniopomorskie"
    ),
    "stage": _words(
        "closed won,closed lost,won,lost,wygrana,przegrana,wygrane,przegrane,prospecting,"
        "qualification,needs analysis,value proposition,id decision makers,perception analysis,"
        "proposal price quote,negotiation review,proposal,negotiation,appointment scheduled,"
        "qualified to buy,presentation scheduled,decision maker bought in,contract sent,"
        "oferta,negocjacje,kwalifikacja,analiza potrzeb,prezentacja,umowa,nowa,otwarta,"
        "closedwon,closedlost,appointmentscheduled,qualifiedtobuy,presentationscheduled,"
        "decisionmakerboughtin,contractsent"
    ),
    "type": _words(
        "new logo,expansion,renewal,new business,existing business,newbusiness,existingbusiness,"
        "new customer,existing customer upgrade,existing customer replacement,"
        "existing customer downgrade,nowy klient,rozwoj,odnowienie"
    ),
    "role": {"field", "inside", "kam", "channel manager"},
    "seniority": {"junior", "mid", "senior", "mlodszy", "starszy"},
}
CITIES = _words(
    "warszawa,krakow,lodz,wroclaw,poznan,gdansk,szczecin,bydgoszcz,lublin,bialystok,katowice,kielce,"
    "rzeszow,olsztyn,opole,torun,gorzow wielkopolski,zielona gora,gdynia,czestochowa,radom"
)
