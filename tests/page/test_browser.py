"""The page in headless Chromium: on a phone, in the dark, refreshed, and with nothing from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from exporter.expose import create_app
from exporter.views import View
from exporter.web import Server
from tests.page import example_view

pytestmark = pytest.mark.real

PHONE = (390, 844)
DESKTOP = (1280, 900)

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


class Changing:
    """A source whose view the test sets."""

    def __init__(self) -> None:
        self.now = example_view.view()

    def view(self) -> View:
        return self.now


class Browser:
    """Chromium at one page, with what it asked for and complained of."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def open(self, url: str, size: tuple[int, int] = DESKTOP, scheme: str = "light") -> None:
        width, height = size
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
        )
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        self.requests()  # forget those of the page before
        self.complaints()
        self.driver.get(url)

    def js(self, expression: str) -> Any:
        return self.driver.execute_script(f"return {expression}")

    def requests(self) -> list[str]:
        """The addresses asked for since the last call."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]

    def complaints(self) -> list[str]:
        """What stands in the console since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]


@pytest.fixture(scope="module")
def browser(part: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    options = ChromeOptions()
    options.binary_location = part("chromium")
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options=options, service=Service(part("chromedriver")))
    try:
        yield Browser(driver)
    finally:
        driver.quit()


@pytest.fixture
def source() -> Changing:
    return Changing()


@pytest.fixture
def url(source: Changing) -> Iterator[str]:
    server = Server(create_app(source), "127.0.0.1", 0)
    server.start()
    try:
        yield f"http://127.0.0.1:{server.port}/"
    finally:
        server.stop()


def hostile() -> View:
    example = example_view.view()
    long = replace(example.columns[0], column="a_column_with_a_name_that_never_ends_" * 5)
    spaces = replace(example.columns[1], column="two words " * 19)
    model = replace(example.rows[0], model="m" * 200)
    return replace(example, columns=(long, spaces, *example.columns[2:]), rows=(*example.rows, model))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_it_is_readable_without_scrolling_sideways_and_asks_for_nothing_else(
    browser: Browser, url: str, size: tuple[int, int], scheme: str
) -> None:
    browser.open(url, size, scheme)
    assert (
        browser.js("document.querySelector('h1').innerText")
        .replace("\n", " ")
        .startswith("1 of 11 columns drifted")
    )
    assert browser.js("document.querySelector('.detail').innerText") == (
        "distance since 14:05, median 1.61 × that of the baseline"
    )
    width, scrolled = browser.js(
        "[document.documentElement.clientWidth, document.documentElement.scrollWidth]"
    )
    assert scrolled == width <= size[0]
    assert {address for address in browser.requests() if not address.startswith("data:")} == {url}
    assert browser.complaints() == []


@pytest.mark.parametrize("view", [example_view.quiet, example_view.early, hostile])
def test_no_state_of_it_scrolls_sideways_on_a_phone(
    browser: Browser, url: str, source: Changing, view: Callable[[], View]
) -> None:
    source.now = view()
    browser.open(url, PHONE)
    assert browser.js("document.documentElement.scrollWidth") == PHONE[0]
    browser.js("document.querySelectorAll('details').forEach(part => part.open = true)")
    assert browser.js("document.documentElement.scrollWidth") == PHONE[0]
    assert browser.complaints() == []


def test_every_column_shows_both_distributions(browser: Browser, url: str) -> None:
    browser.open(url, PHONE)
    drawn = browser.js(
        "[...document.querySelectorAll('.card')].map(card => [card.querySelector('h4').innerText,"
        " card.querySelector('.reference-area').getBoundingClientRect().height > 20,"
        " Math.max(...[...card.querySelectorAll('.live')].map(bar => bar.getBoundingClientRect().height)) > 20,"
        " card.querySelector('.drawing').getBoundingClientRect().width > 200])"
    )
    names = {column.column for column in example_view.columns()}
    assert {name for name, *_ in drawn} == names
    assert [rest for _, *rest in drawn] == [[True, True, True]] * len(names)


def test_labels_of_an_axis_do_not_overlap(browser: Browser, url: str) -> None:
    browser.open(url, (360, 780))
    overlaps = browser.js(
        "[...document.querySelectorAll('.drawing')].flatMap(drawing => {"
        " const boxes = [...drawing.querySelectorAll(':scope > .tick')].map(t => t.getBoundingClientRect());"
        " return boxes.slice(1).filter((box, at) => box.left < boxes[at].right).map(() => drawing.ariaLabel)})"
    )
    assert overlaps == []


def luminance(colour: str) -> float:
    """0 for black to 1 for white, roughly."""
    parts = [int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    return sum(parts) / (3 * 255)


@pytest.mark.parametrize(("scheme", "ground"), [("light", (0.9, 1.0)), ("dark", (0.0, 0.15))])
def test_it_follows_the_colour_scheme(
    browser: Browser, url: str, scheme: str, ground: tuple[float, float]
) -> None:
    browser.open(url, PHONE, scheme)
    low, high = ground
    for part in ("body", ".card", ".tiles > div"):
        colour = browser.js(f"getComputedStyle(document.querySelector('{part}')).backgroundColor")
        assert low <= luminance(colour) <= high, part
    text = luminance(browser.js("getComputedStyle(document.body).color"))
    assert abs(text - luminance(browser.js("getComputedStyle(document.body).backgroundColor"))) > 0.7


def test_a_refresh_keeps_the_place_and_what_is_open(browser: Browser, url: str, source: Changing) -> None:
    browser.open(url, PHONE)
    details = browser.js("document.querySelector('.card details').id")
    browser.js(f"document.getElementById('{details}').open = true")
    browser.js("scrollTo(0, 700)")
    source.now = example_view.quiet()
    browser.driver.execute_async_script("const done = arguments[0]; refresh().then(done)")
    assert browser.js("document.querySelector('h1').innerText").startswith("Nothing has drifted")
    assert browser.js("document.title") == "Nothing has drifted · modelmeter"
    assert browser.js("[...document.querySelectorAll('details[open]')].map(part => part.id)") == [details]
    assert browser.js("scrollY") == 700
    assert browser.complaints() == []


def test_a_page_that_can_not_be_refreshed_says_so(browser: Browser, source: Changing) -> None:
    server = Server(create_app(source), "127.0.0.1", 0)
    server.start()
    browser.open(f"http://127.0.0.1:{server.port}/")
    assert browser.js("getComputedStyle(document.getElementById('stale')).display") == "none"
    server.stop()
    browser.driver.execute_async_script("const done = arguments[0]; refresh().then(done)")
    assert browser.js("getComputedStyle(document.getElementById('stale')).display") == "block"
    assert browser.js("document.querySelector('h1').innerText").startswith("1 of 11 columns drifted")


def test_it_works_without_javascript(browser: Browser, url: str) -> None:
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.open(url, PHONE)
        source = browser.driver.page_source
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert '<meta http-equiv="refresh" content="30">' in source
    assert source.count('class="live"') > 100
