"""Reports in a real browser: they open from disk, ask for nothing, can be used by keyboard and are accessible."""

import base64
import json
from pathlib import Path

import pytest
import report_examples as examples
from axe_core_python.selenium import Axe
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from copylens.reporting.audit_report import write_report

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
N, FLAGGED = 300, 279
EDITIONS = ("public", "restricted")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not (CHROMIUM.exists() and DRIVER.exists()),
        reason="needs Chromium and its driver (Debian: apt-get install chromium chromium-driver)",
    ),
]


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """Addresses of the pages: both editions, of volumes, of 10,000 samples, of samples of another kind."""
    folder = tmp_path_factory.mktemp("reports")
    results = {edition: examples.arguments("FAIL", edition, N, FLAGGED) for edition in EDITIONS}
    results["unable"] = examples.arguments("NOT ABLE TO SAY")
    results["pass"] = examples.arguments("PASS")
    results["volumes"] = examples.arguments("FAIL", "restricted", 40, 36, (12, 24, 32))
    results["large"] = examples.arguments("FAIL", "restricted", 10_000, 3_000)
    results["kind"] = examples.of_another_kind()
    for name, arguments in results.items():
        write_report(**arguments, folder=folder / name)
    return {name: (folder / name / "report.html").as_uri() for name in results}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A headless Chromium."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    yield driver
    driver.quit()


def resize(browser, width, scheme="light"):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [
        {"name": "prefers-color-scheme", "value": scheme},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def column(browser, place):
    """The texts of a column of the table of samples."""
    script = (
        "return [...document.querySelectorAll('#samples-table tbody tr')].map(row => row.cells[arguments[0]].innerText)"
    )
    return browser.execute_script(script, place)


def status(browser):
    return browser.find_element(By.ID, "status").text


def click(browser, element):
    """By mouse, where the bar at the top of a restricted page doesn't cover it."""
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    element.click()


def heads(browser):
    return browser.find_elements(By.CSS_SELECTOR, "#samples-table th[data-column]")


@pytest.mark.parametrize("name", ["public", "restricted", "unable", "pass", "volumes", "large", "kind"])
def test_it_opens_without_the_network_and_without_errors(name, browser, reports):
    resize(browser, 1280)
    browser.get_log("performance"), browser.get_log("browser")
    browser.get(reports[name])
    browser.execute_script("document.querySelectorAll('img').forEach(image => image.scrollIntoView())")
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert reports[name] in asked
    assert all(address == reports[name] or address.startswith("data:image/png;") for address in asked)
    with pytest.raises(Exception, match="alert"):
        _ = browser.switch_to.alert


@pytest.mark.parametrize("width", [1280, 375])
@pytest.mark.parametrize("name", ["public", "restricted", "unable", "pass", "volumes", "kind"])
def test_everything_is_shown_and_nothing_sticks_out(name, width, browser, reports):
    resize(browser, width)
    browser.get(reports[name])
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    if width == 1280:
        wide = "return [...document.querySelectorAll('.scroll')].filter(box => box.scrollWidth > box.clientWidth)"
        assert not browser.execute_script(wide + ".map(box => box.innerText)")
    shown = browser.execute_script(
        "return [...document.querySelectorAll('.card svg, .banner .icon, img')].map(each => {"
        "  const box = each.getBoundingClientRect();"
        "  return [box.width, box.height, each.tagName !== 'IMG' || each.naturalWidth > 0]; })"
    )
    assert len(shown) >= 6 and all(wide >= 24 and high >= 9 and loaded for wide, high, loaded in shown)


def test_the_table_is_sorted_and_filtered_by_mouse(browser, reports):
    resize(browser, 1280)
    browser.get(reports["restricted"])
    assert status(browser) == f"Rows 1 to 50 of {FLAGGED}, of {N} samples"
    assert set(column(browser, 1)) == {"copy"}
    similarity = heads(browser)[4]
    assert similarity.get_attribute("aria-sort") == "none"
    click(browser, similarity.find_element(By.TAG_NAME, "button"))
    assert similarity.get_attribute("aria-sort") == "descending"
    samples = examples.arguments("FAIL", "restricted")["samples"]
    wanted = samples[samples["copy"]]["similarity_copylens"].nlargest(50)
    assert list(map(float, column(browser, 4))) == pytest.approx(list(wanted), rel=1e-3)
    click(browser, browser.find_element(By.ID, "next"))
    assert status(browser).startswith("Rows 51 to 100 ")
    click(browser, similarity.find_element(By.TAG_NAME, "button"))
    assert similarity.get_attribute("aria-sort") == "ascending"
    assert list(map(float, column(browser, 4))) == sorted(map(float, column(browser, 4)))
    click(browser, browser.find_element(By.ID, "flagged-only"))
    assert status(browser) == f"Rows 1 to 50 of {N}, of {N} samples" and set(column(browser, 1)) > {"no"}


def test_the_public_page_has_no_script_and_no_table_of_samples(browser, reports):
    browser.get(reports["public"])
    assert not browser.find_elements(By.CSS_SELECTOR, "script, #samples-table, input, button")
    assert "samples are withheld" in browser.find_element(By.ID, "samples").text


def test_the_table_is_sorted_and_filtered_by_keyboard(browser, reports):
    resize(browser, 1280)
    browser.get(reports["restricted"])
    browser.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    assert browser.switch_to.active_element.get_attribute("class") == "skip"
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    assert browser.switch_to.active_element.get_attribute("id") == "main"
    while browser.switch_to.active_element.get_attribute("id") != "filter":
        browser.switch_to.active_element.send_keys(Keys.TAB)
    assert browser.execute_script("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    browser.switch_to.active_element.send_keys("=hyperlink")
    assert set(column(browser, 3)) == {examples.HOSTILE[2]}
    browser.switch_to.active_element.send_keys(Keys.TAB)
    browser.switch_to.active_element.send_keys(Keys.SPACE)
    assert not browser.find_element(By.ID, "flagged-only").is_selected()
    assert status(browser) == f"Rows 1 to 50 of {N // 6}, of {N} samples"
    browser.switch_to.active_element.send_keys(Keys.TAB)
    assert browser.switch_to.active_element.get_attribute("role") == "region"
    browser.switch_to.active_element.send_keys(Keys.TAB)
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    assert heads(browser)[0].get_attribute("aria-sort") == "descending"
    assert column(browser, 0) == sorted(column(browser, 0), key=int, reverse=True)
    browser.find_element(By.ID, "filter").send_keys("nobody")
    assert status(browser) == f"Rows 0 to 0 of 0, of {N} samples" and column(browser, 0) == []


def test_ten_thousand_samples_stay_quick(browser, reports):
    resize(browser, 1280)
    browser.get(reports["large"])
    script = """
        const begin = performance.now();
        document.getElementById('flagged-only').click();
        document.querySelectorAll('#samples-table thead button')[5].click();
        document.body.offsetHeight;
        return performance.now() - begin;
    """
    assert browser.execute_script(script) < 2000  # milliseconds
    assert status(browser) == "Rows 1 to 50 of 10,000, of 10,000 samples"


def test_it_prints(browser, reports):
    resize(browser, 1280)
    browser.get(reports["restricted"])
    printed = browser.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
    file = base64.b64decode(printed["data"])
    assert file.startswith(b"%PDF") and file.count(b"/Type /Page\n") >= 8
    assert status(browser).startswith("Rows 1 to 50 ")
    assert not browser.find_element(By.TAG_NAME, "details").get_attribute("open")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not browser.find_element(By.ID, "filter").is_displayed()
    assert browser.find_element(By.ID, "signature").is_displayed()
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 375])
@pytest.mark.parametrize("name", ["public", "restricted", "unable", "pass", "kind"])
def test_axe_finds_nothing(name, width, scheme, browser, reports):
    resize(browser, width, scheme)
    browser.get(reports[name])
    found = Axe().run(browser)
    assert {each["id"]: [node["html"][:200] for node in each["nodes"][:3]] for each in found["violations"]} == {}
    assert len(found["passes"]) > 20
