"""The report as a reader uses it, from a file, in headless Chromium (`apt install chromium`)."""

import pytest
from playwright.sync_api import expect

from dataset_builder.language_models.access import TeacherAccess
from dataset_builder.report.page import write_report
from tests.conftest import PLANETS
from tests.dataset_builder.built_folders import labelled_folder, pool

RUNS = "window.hacked = true"
HOSTILE = [
    f"</script><script>{RUNS}</script>",
    f"<img src=x onerror='{RUNS}'> <svg onload='{RUNS}'>",
    f"<!--<script> ]]> </textarea></title></style><script>{RUNS}</script>",
    "{{ 7 * 7 }} {% raw %} ${7 * 7} \u2028 \u202e \U0001fa90 &lt;b&gt; \x00",
]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Thirty queries; the first's pool and answer, the second's words and the third's id are hostile."""
    passages = [(f"<b>{number}</b>", text) for number, text in enumerate(HOSTILE)]
    pools = [
        pool(0, passages, text="hostile passages"),
        pool(1, text=HOSTILE[0]),
        pool("<i onclick=1>", text=HOSTILE[1]),
        *(
            pool(number, PLANETS[:3], text=f"rings of ice {number}", retriever="minilm")
            for number in range(3, 30)
        ),
    ]
    texts = [
        f"[4] > [2] > [1] {HOSTILE[0]} {HOSTILE[1]}",
        *["[5] > [4] > [3] > [2] > [1]"] * 2,
        *["[1] > [2] > [3]"] * 27,
    ]
    root = tmp_path_factory.mktemp("report")
    output = root / "report.html"
    write_report(
        labelled_folder(root / f"out <script>{RUNS}<script>", pools, texts),
        TeacherAccess(),
        output,
    )
    return output


@pytest.fixture
def said():
    """What the page complained of, and what it asked a network for."""
    return []


@pytest.fixture
def page(browser, report, said):
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    page = context.new_page()
    page.set_default_timeout(15_000)
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.on("request", lambda request: said.append(request.url) if request.url != report.as_uri() else None)
    page.goto(report.as_uri())
    page.locator("#list a").first.wait_for()
    yield page
    context.close()


def test_hostile_text_is_shown_as_text_and_never_runs(page, report, said):
    page.get_by_role("link", name="hostile passages").click()
    page.locator("#detail h3").wait_for()
    for summary in page.locator("#detail summary").all():
        summary.click()
    shown = page.locator("#detail").inner_text()
    assert all(text.replace("\x00", "") in shown.replace("\x00", "") for text in HOSTILE[:3])
    assert "{{ 7 * 7 }}" in shown
    assert HOSTILE[0] in page.locator("#detail pre").inner_text()
    assert page.locator("#list .text").nth(1).inner_text() == HOSTILE[0]
    page.locator("#list a").nth(2).click()
    page.get_by_role("heading", name=HOSTILE[1]).wait_for()
    assert page.locator("img, b:not(header b, .stages b), i:not(section > p i)").count() == 0
    assert page.evaluate("window.hacked") is None
    assert said == []


def test_the_page_itself_forbids_every_other_script(page, said):
    refused = page.evaluate(
        """() => { try { document.body.innerHTML = "<img src=x onerror='window.hacked = true'>"; return ""; }
                   catch (error) { return error.name; } }"""
    )
    assert refused == "TypeError"
    page.evaluate("setTimeout(() => { document.body.setAttribute('onclick', 'window.hacked = true'); }, 0)")
    page.locator("h1").click()
    assert page.evaluate("window.hacked") is None


def test_queries_are_searched_filtered_and_turned_page_by_page(page):
    ids = page.locator("#list .id")
    expect(page.locator("#found")).to_have_text("30 of 30 queries")
    expect(ids).to_have_count(25)
    page.get_by_role("button", name="After").click()
    expect(ids).to_have_count(5)
    page.get_by_label("Search id and text").fill("ICE 17")
    expect(page.locator("#found")).to_have_text("1 of 30 queries")
    expect(ids).to_have_text(["cropped-17"])
    page.get_by_label("Search id and text").fill("")
    page.get_by_role("combobox", name="State").select_option("repaired")
    expect(ids).to_have_text(["cropped-0"])
    page.get_by_role("combobox", name="State").select_option("all")
    page.get_by_role("combobox", name="Order").select_option("lowest τ first")
    expect(ids.first).to_have_text("cropped-1")


def test_a_query_shows_both_ranks_its_windows_and_its_repaired_places(page):
    page.goto(page.url + "#query=cropped-0")
    page.locator("#detail h3").wait_for()
    ids = page.locator(".pool .id")
    assert ids.all_inner_texts() == ["<b>3</b>", "<b>1</b>", "<b>0</b>", "<b>2</b>"]
    assert page.locator(".pool .move").all_inner_texts() == [
        "retriever 4 ▲3", "retriever 2", "retriever 1 ▼2", "retriever 3 ▼1"
    ]  # fmt: skip
    assert page.locator(".pool li.repairs .id").all_inner_texts() == ["<b>2</b>"]
    assert page.locator(".scatter circle").count() == 4
    page.get_by_role("radio", name="the retriever").check()
    expect(ids).to_have_text(["<b>0</b>", "<b>1</b>", "<b>2</b>", "<b>3</b>"])
    page.get_by_text("Window 1: 4 passages").click()
    expect(page.locator(".read li.repairs")).to_have_text(["[3] <b>2</b>"])


def test_the_keyboard_alone_opens_a_query(page):
    page.get_by_label("Search id and text").fill("rings of ice 9")
    page.get_by_label("only those that can be opened").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="rings of ice 9").wait_for()
    expect(page.locator("#list a[aria-current]")).to_have_count(1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_a_query_takes_the_list_s_place_and_gives_it_back(page, scheme):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.locator("#list a").first.click()
    page.locator("#detail h3").wait_for()
    expect(page.locator("#list")).to_be_hidden()
    for summary in page.locator("#detail summary").all():
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.get_by_role("button", name="All queries").click()
    expect(page.locator("#list a[href='#query=cropped-0']")).to_be_focused()
