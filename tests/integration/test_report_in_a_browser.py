"""The report in a real browser: Debian's Chromium, headless, from files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_selenium_python import Axe
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from builder.judge.bases import BaseOutcome
from builder.report import outputs
from builder.store.store import Store
from tests.unit.documents import HOSTILE, SPEED, abi, document, fault_abi, finding

QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage")  # fmt: skip
PAGES = ("index.html", "packages/foo.html", "packages/package-1.html", "packages/package-2.html")


@pytest.fixture(scope="module")
def programs() -> tuple[str, str]:
    """Return Chromium and its driver; they are installed where they can be."""
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        if os.geteuid() != 0 or not shutil.which("apt-get"):
            pytest.fail(
                "the report is tested in Chromium. Run: sudo apt-get install chromium chromium-driver"
            )
        for command in (
            ["update"],
            ["install", "-y", "--no-install-recommends", "chromium", "chromium-driver"],
        ):
            subprocess.run(["apt-get", "-qq", *command], check=True, stdout=subprocess.DEVNULL)
    return str(shutil.which("chromium")), str(shutil.which("chromedriver"))


@pytest.fixture(scope="module")
def browser(
    programs: tuple[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location, driver = programs
    for argument in (*QUIET, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=Service(driver))
    yield started
    started.quit()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = Store(tmp_path_factory.mktemp("site") / "wheelhouse")
    bad = abi("import-failure", "importing it fails: " + HOSTILE, finding(detail=HOSTILE))
    for first in (abi("racy", "two threads meet"), abi()):
        everywhere = {"on": {"debian-12": BaseOutcome.IMPORTS, "debian-13": BaseOutcome.IMPORTS}}
        good = {
            "cp314": abi().model_copy(update=everywhere),
            "cp314t": abi("unproven").model_copy(update=everywhere),
        }
        packages = {f"package-{number}": good for number in range(40)}
        packages["package-2"] = {**good, "cp314t": fault_abi().model_copy(update=everywhere)}
        run = store.publications.begin_run()
        outputs.write_report(
            document({"foo": {"cp314": first, "cp314t": bad}, **packages}, foo=SPEED), store, run
        )
        store.publications.end_run(run, "done")
    store.close()
    return store.wheelhouse / "report"


def show(browser: webdriver.Chrome, page: Path, width: int = 1200, scheme: str = "light") -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    browser.get(page.as_uri())


def names(browser: webdriver.Chrome) -> list[str]:
    script = "return [...document.querySelectorAll('tbody tr:not([hidden]) th')].map(cell => cell.textContent)"
    return list(browser.execute_script(script))


@pytest.mark.parametrize("page", PAGES)
def test_nothing_is_asked_of_anyone_and_nothing_is_complained_about(
    browser: webdriver.Chrome, report: Path, page: str
):
    browser.get_log("performance")  # type: ignore[no-untyped-call]
    browser.get_log("browser")  # type: ignore[no-untyped-call]
    show(browser, report / page)
    assert browser.get_log("browser") == []  # type: ignore[no-untyped-call]
    asked = [
        request["params"]["request"]["url"]
        for entry in browser.get_log("performance")  # type: ignore[no-untyped-call]
        if '"Network.requestWillBeSent"' in entry["message"]
        for request in [json.loads(entry["message"])["message"]]
        if request["method"] == "Network.requestWillBeSent"
    ]
    own = [url for url in asked if urlsplit(url).scheme == "file"]
    assert own
    assert all(Path(urlsplit(url).path).is_relative_to(report) for url in own)
    assert {urlsplit(url).scheme for url in asked} <= {"file", "data", "chrome"}, (
        "chrome: the browser's own start page"
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [380, 1200])
@pytest.mark.parametrize("page", PAGES)
def test_it_is_accessible_and_fits_the_screen(
    browser: webdriver.Chrome, report: Path, page: str, width: int, scheme: str
):
    show(browser, report / page, width, scheme)
    assert browser.execute_script(
        "return document.documentElement.scrollWidth <= window.innerWidth"
    )
    axe = Axe(browser)
    axe.inject()
    violations = axe.run()["violations"]
    assert violations == [], axe.report(violations)


def test_what_maintainers_need_opens_below_what_it_means(browser: webdriver.Chrome, report: Path):
    show(browser, report / "packages/package-2.html")
    detail = browser.find_element(By.CSS_SELECTOR, "article details .detail")
    headline = browser.find_element(By.CSS_SELECTOR, "article h4")
    assert headline.is_displayed()
    assert not detail.is_displayed()

    summaries = browser.find_elements(By.CSS_SELECTOR, "article summary")
    summaries[-1].send_keys(Keys.ENTER)
    assert detail.is_displayed()
    assert detail.location["y"] > headline.location["y"]


def test_filter_and_sort(browser: webdriver.Chrome, report: Path):
    show(browser, report / "index.html")
    assert len(names(browser)) == 41
    browser.find_element(By.ID, "name").send_keys("package-1")
    assert names(browser) == ["package-1", *(f"package-{number}" for number in range(10, 20))]
    assert browser.find_element(By.ID, "shown").text == "11 shown"
    browser.find_element(By.ID, "name").clear()
    Select(browser.find_element(By.ID, "verdict")).select_by_visible_text("import-failure")
    assert names(browser) == ["foo"]
    browser.refresh()
    assert names(browser) == ["foo"], "the address remembers the filter"
    Select(browser.find_element(By.ID, "verdict")).select_by_visible_text("any")
    Select(browser.find_element(By.ID, "base")).select_by_visible_text("debian-13")
    assert names(browser) == ["foo"]
    Select(browser.find_element(By.ID, "base")).select_by_visible_text("debian-12")
    assert names(browser) == []
    Select(browser.find_element(By.ID, "base")).select_by_value("")
    head = browser.find_element(By.CSS_SELECTOR, "thead th button")
    head.click()
    assert names(browser)[:3] == ["foo", "package-0", "package-1"]
    head.click()
    assert names(browser)[0] == "package-39"
    assert (
        browser.find_element(By.CSS_SELECTOR, "thead th").get_attribute("aria-sort") == "descending"
    )


@pytest.mark.parametrize("width", [380, 1200])
def test_the_chart_of_speed_is_drawn_to_scale_inside_its_frame(
    browser: webdriver.Chrome, report: Path, width: int
):
    show(browser, report / "packages/foo.html", width)
    script = """
        const box = one => one.getBoundingClientRect();
        const frame = box(document.querySelector(".speed"));
        const parts = [...document.querySelectorAll(".speedup text, .speedup rect, .speedup line")].map(box);
        const inside = parts.every(part => part.left >= frame.left && part.right <= frame.right && part.bottom <= frame.bottom);
        return [inside, [...document.querySelectorAll(".speedup rect")].map(bar => box(bar).width)];
    """
    inside, lengths = browser.execute_script(script)
    assert inside
    assert [round(length / lengths[0], 1) for length in lengths] == [1.0, 0.9, 1.0, 1.8, 1.0, 1.7]


def test_the_keyboard_is_enough(browser: webdriver.Chrome, report: Path):
    show(browser, report / "index.html")
    keys = ActionChains(browser)
    keys.send_keys(Keys.TAB).perform()
    focused = browser.switch_to.active_element
    assert (focused.text, focused.get_attribute("href")) == (
        "Skip to content",
        f"{(report / 'index.html').as_uri()}#main",
    )
    assert focused.is_displayed()
    reached = []
    for _ in range(20):
        keys.send_keys(Keys.TAB).perform()
        reached.append(browser.switch_to.active_element)
        if reached[-1].tag_name == "button":
            break
    assert [one.get_attribute("id") for one in reached[-5:-1]] == ["name", "verdict", "abi", "base"]
    keys.send_keys(Keys.ENTER, Keys.ENTER).perform()
    assert names(browser)[0] == "package-39"
    outline = "return getComputedStyle(document.activeElement).outlineStyle"
    assert browser.execute_script(outline) == "solid"
