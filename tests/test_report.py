"""The report as a manager opens it: a real Chromium, a file, and no network."""

import geopandas as gpd
import pytest

pytestmark = pytest.mark.browser
WAIT_MS = 1200


def opened(browser, path):
    """Open a page offline; return it with the requests and errors it caused."""
    context = browser.new_context(offline=True, viewport={"width": 1200, "height": 900})
    page = context.new_page()
    requests, faults = [], []
    page.on("request", lambda r: requests.append(r.url) if r.url.startswith("http") else None)
    page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: faults.append(str(e)))
    page.goto(path.as_uri())
    page.wait_for_timeout(WAIT_MS)
    return page, requests, faults


def test_page_one_opens_offline_with_as_many_paths_as_territories(sample_run, browser):
    page, requests, faults = opened(browser, sample_run / "index.html")
    assert (requests, faults) == ([], [])
    drawn = sum(frame.locator("path.territory").count() for frame in page.frames)
    assert drawn == len(gpd.read_file(sample_run / "territories.geojson"))
    assert "terytori" in page.locator(".lead").inner_text()
    assert page.locator("svg[role=img] polyline").count() == 1


@pytest.mark.parametrize("name", ["01_customers", "02_territories", "05_timeline", "06_plan"])
def test_notebook_pages_draw_their_charts_offline(sample_run, browser, name):
    page, requests, faults = opened(browser, sample_run / f"{name}.html")
    assert (requests, faults) == ([], [])
    assert page.locator("svg.main-svg").count() > 0
    assert page.locator(".jp-InputArea, .input_area").count() == 0


def test_every_page_that_page_one_links_to_is_there_and_opens(sample_run, browser):
    page, _, _ = opened(browser, sample_run / "index.html")
    links = {a.get_attribute("href") for a in page.locator("a").all()}
    assert len(links) == 8 + len(gpd.read_file(sample_run / "territories.geojson"))
    assert all((sample_run / link).is_file() for link in links)
    territory = next(link for link in sorted(links) if link.startswith("territory_"))
    page, requests, faults = opened(browser, sample_run / territory)
    assert (requests, faults) == ([], [])
    assert page.locator("table.terrlib").count() >= 3
