"""The report in a browser: it opens without a network, in light and dark, wide and narrow."""

import os
import shutil
from contextlib import contextmanager
from functools import partial
from importlib import import_module

import numpy as np
import pytest
from test_report import CLASSES, make, make_pixels

from mixaug.lab import preview, report
from mixaug.lab.dataset import Data, Split
from mixaug.recipes import identity

REQUIRED = bool(os.environ.get("MIXAUG_REQUIRE_BROWSER"))
load = import_module if REQUIRED else partial(pytest.importorskip, reason="playwright is not installed")
playwright = load("playwright.sync_api")

FLAGS = (
    *("--no-sandbox", "--headless", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None and not REQUIRED, reason="no chromium is installed")


@pytest.fixture(scope="module")
def page_url(tmp_path_factory):
    """A report with long names, as a file."""
    classes = (*CLASSES[:2], "a class with a long name " * 8)
    folder = make(tmp_path_factory.mktemp("run"), classes)
    split = Split(np.zeros((130, 28, 28, 1), np.uint8), np.arange(130) % 3)
    data = Data("", classes, split, split)
    for i in range(3):
        preview.save(preview.fed(split, data, identity(), (0, i)), folder / "sheets" / f"{i}.png")
    return report.write(folder).as_uri()


@pytest.fixture(scope="module", params=["segmentation", "image2image"])
def pixel_page(request, tmp_path_factory):
    """Report files of the tasks with an output per pixel, with their numbers of columns and pictures."""
    classes = ("soil", "a class with a long name " * 8, "stem")
    folder = make_pixels(tmp_path_factory.mktemp("run"), request.param, classes)
    return report.write(folder).as_uri(), {"segmentation": 7, "image2image": 6}[request.param]


@pytest.fixture(scope="module")
def page_of_several(tmp_path_factory):
    """One report of two folders, as a file."""
    root = tmp_path_factory.mktemp("several")
    folders = make(root / "first"), make_pixels(root / ("a name " * 9), "segmentation")
    return report.write(*folders, out=root / "all").as_uri()


@pytest.fixture(scope="module")
def browser():
    assert CHROMIUM, "MIXAUG_REQUIRE_BROWSER is set, but no chromium is installed"
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@contextmanager
def opened(browser, url, width, **options):
    """The page without a network; it must not log errors or request anything."""
    complaints, asked = [], []
    context = browser.new_context(viewport={"width": width, "height": 900}, offline=True, **options)
    context.route("http*://**", lambda route: asked.append(route.request.url) or route.abort())
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(url)
    yield page
    context.close()
    assert (complaints, asked) == ([], [])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_everything_is_visible(browser, page_url, scheme, width):
    with opened(browser, page_url, width, color_scheme=scheme) as page:
        verdict = page.get_by_role("region", name="Verdict")
        assert verdict.get_by_text("percentage points more accurate than none").first.is_visible()
        assert verdict.get_by_text("Too short to judge mixing").is_visible()
        assert page.get_by_role("rowheader", name="cutmix(alpha=1.0)").is_visible()
        assert page.get_by_role("columnheader").count() == 6
        assert page.locator("svg[role=img]").count() == 3
        sizes = page.eval_on_selector_all("img", "all => all.map(i => [i.naturalWidth, i.clientWidth, i.alt.length])")
        assert len(sizes) == 3
        assert all(min(size) > 0 for size in sizes)


@pytest.mark.parametrize("width", [320, 390, 800, 1280])
def test_only_boxes_scroll_sideways(browser, page_url, width):
    with opened(browser, page_url, width) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        outside = """all => all.filter(e => !e.closest('.scroll, pre') && !e.closest('svg')
            && e.getBoundingClientRect().right > innerWidth).map(e => e.outerHTML.slice(0, 80))"""
        assert page.eval_on_selector_all("body *", outside) == []


@pytest.mark.parametrize("width", [320, 1280])
def test_several_comparisons_are_on_one_page(browser, page_of_several, width):
    with opened(browser, page_of_several, width) as page:
        assert page.get_by_role("region", name="Verdict").count() == 2
        page.get_by_role("link", name="first").first.click()
        assert page.url.endswith("#run-1")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.get_by_role("heading", level=2).count() == 2


@pytest.mark.parametrize(("width", "scheme"), [(320, "light"), (390, "dark"), (1280, "light")])
def test_pictures_and_metrics_of_pixels_are_visible(browser, pixel_page, width, scheme):
    url, columns = pixel_page
    with opened(browser, url, width, color_scheme=scheme) as page:
        assert page.get_by_role("region", name="Verdict").get_by_text("which excludes 0").first.is_visible()
        assert page.get_by_role("columnheader").count() == columns
        pictures = page.get_by_role("region", name="What each arm predicts").locator("img")
        sizes = pictures.evaluate_all("all => all.map(i => [i.naturalWidth, i.clientWidth, i.alt.length])")
        assert len(sizes) == 3
        assert all(min(size) > 0 for size in sizes)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        outside = """all => all.filter(e => !e.closest('.scroll, pre') && !e.closest('svg')
            && e.getBoundingClientRect().right > innerWidth).map(e => e.outerHTML.slice(0, 80))"""
        assert page.eval_on_selector_all("body *", outside) == []
        if width == 1280:
            assert page.eval_on_selector(".scroll", "e => e.scrollWidth <= e.clientWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast(browser, page_url, scheme):
    with opened(browser, page_url, 1280, color_scheme=scheme) as page:
        names = ("paper", "card", "alert-paper", "ink", "quiet", "alert", *(f"c{i}" for i in range(7)))
        colour = "name => getComputedStyle(document.documentElement).getPropertyValue('--' + name)"
        seen = {name: luminance(page.evaluate(colour, name)) for name in names}
        assert (seen["paper"] > 0.5) == (scheme == "light")
        for text, paper in (
            ("ink", "paper"),
            ("ink", "card"),
            ("quiet", "paper"),
            ("quiet", "card"),
            ("alert", "alert-paper"),
        ):
            assert contrast(seen[text], seen[paper]) >= 4.5
        assert min(contrast(seen[f"c{i}"], seen["card"]) for i in range(7)) >= 3
        used = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (int(used[4:].split(",")[0]) > 128) == (scheme == "light")


def test_it_works_with_a_keyboard_and_in_print(browser, page_url):
    with opened(browser, page_url, 390, bypass_csp=True) as page:  # or wait_for_function could not evaluate
        assert page.locator("html").get_attribute("lang") == "en"
        assert page.title() == "Does mixing help? resnet20 on fashion-mnist-sample"
        page.locator(".scroll").first.focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_function("document.querySelector('.scroll').scrollLeft > 0")
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.querySelector('.scroll')).overflowX") == "visible"


def luminance(colour):
    channels = [int(colour.strip()[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def contrast(one, other):
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)
