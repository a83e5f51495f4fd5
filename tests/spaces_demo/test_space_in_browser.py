"""The page as a visitor uses it, in headless Chromium (`apt install chromium`)."""

import pyarrow.parquet
import pytest
from gradio_client import Client
from playwright.sync_api import expect


@pytest.fixture
def page(browser, address):
    page = browser.new_page()
    page.set_default_timeout(15_000)
    page.goto(address)
    page.locator(".stages").wait_for()  # Gradio draws the fields before the results
    yield page
    page.close()


def ask(page, query):
    page.get_by_label("Query").fill(query)
    page.get_by_label("Query").press("Enter")


def upload(page, name, content):
    page.get_by_label("your own passages").check()
    page.locator("input[type=file]").set_input_files(
        {"name": name, "mimeType": "text/plain", "buffer": content}
    )


def titles(page, column):
    return page.locator(f".stages .{column} .title").all_inner_texts()


def test_the_page_opens_with_an_example_s_results_and_a_click_asks_another(page):
    expect(page.get_by_label("Query")).to_have_value("red planet")
    assert titles(page, "reranked")[0] == "mars"
    page.get_by_role("button", name="rings of ice").click()
    page.wait_for_url("**/?q=rings+of+ice")
    page.locator(".reranked li:first-of-type .title", has_text="saturn").wait_for()


def test_a_query_shows_both_orders_marks_its_words_and_stands_in_the_address(page):
    ask(page, "ringed worlds & planets?")
    page.get_by_role("status").filter(has_text="10 candidates of 10 passages").wait_for()
    page.locator("mark", has_text="rings").first.wait_for()
    asked = titles(page, "reranked")
    assert sorted(asked) == sorted([*titles(page, "other"), *(set(asked) - set(titles(page, "other")))])
    page.wait_for_url("**/?q=ringed+worlds+%26+planets%3F")
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    page.locator("mark", has_text="rings").first.wait_for()
    expect(page.get_by_label("Query")).to_have_value("ringed worlds & planets?")
    assert titles(page, "reranked") == asked


def test_a_page_is_shown_while_the_api_s_calls_wait(page, address):
    client = Client(address, verbose=False)
    texts = [f"red planet {number} " * 100 for number in range(30)]
    jobs = [client.submit("red", texts, api_name="/rerank") for _ in range(2)]
    page.goto(f"{address}?q=rings")
    page.locator("mark", has_text="rings").first.wait_for()
    assert not jobs[-1].done()
    assert len(jobs[-1].result()) == 10


def test_a_second_checkpoint_can_be_seen_beside(page, second_checkpoint):
    page.get_by_label(str(second_checkpoint)).check()
    page.get_by_role("heading", name=f"{second_checkpoint}’s order").wait_for()
    assert titles(page, "reranked") == titles(page, "other")


def test_a_blind_vote_names_the_systems_afterwards_and_is_taken_home_as_parquet(page, checkpoint, tmp_path):
    page.get_by_label("vote blindly").check()
    page.get_by_role("heading", name="A’s order").wait_for()
    sides = [titles(page, "reranked"), titles(page, "other")]
    told = page.locator(".results").inner_text()
    assert "BM25" not in told and "TWOLAR" not in told and page.locator(".results .bar").count() == 0
    page.get_by_role("button", name="B is better").click()
    page.get_by_text("You chose").wait_for()
    ask(page, "rings of ice")
    page.get_by_role("button", name="both alike").click()
    page.get_by_text("You found both alike").wait_for()
    page.get_by_role("heading", name="TWOLAR’s order").wait_for()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download your votes (Parquet, 2)").click()
    download.value.save_as(tmp_path / "votes.parquet")
    first, second = pyarrow.parquet.read_table(tmp_path / "votes.parquet").to_pylist()
    assert {first["left"], first["right"]} == {str(checkpoint), "BM25"}
    assert [first["left_docids"], first["right_docids"]] == sides
    assert (first["query"], first["better"], second["query"], second["better"]) == (
        "red planet", "right", "rings of ice", "tie"
    )  # fmt: skip


def test_an_uploaded_long_passage_opens_and_its_markup_is_text(page):
    upload(page, "mine.txt", b"<img src=x onerror=\"document.title='run'\"> red" + b" planet" * 100 + b" END")
    page.get_by_text("mine").first.wait_for()
    ask(page, "red")
    page.get_by_role("status").filter(has_text="1 passages: mine.txt").wait_for()
    page.locator(".stages summary").first.click()
    shown = page.locator(".stages details[open] > div.text").first.inner_text()
    assert shown.startswith("<img src=x onerror=") and shown.endswith("END")
    assert page.locator(".stages img").count() == 0
    assert page.title() == "TWOLAR reranker"
    assert "q=" not in page.url


def test_bad_input_is_answered_in_the_place_of_the_results(page):
    ask(page, " ")
    page.get_by_role("alert").filter(has_text="The query is empty").wait_for()
    upload(page, "large.txt", b"red planet\n" * 600_000)
    page.get_by_text("exceed the maximum").first.wait_for()
    ask(page, "red")
    page.get_by_role("alert").filter(has_text="There are no passages of your own yet").wait_for()
    upload(page, "wrong.tsv", b"only one column")
    page.get_by_text("wrong").first.wait_for()
    ask(page, "red")
    page.get_by_role("alert").filter(has_text="wrong.tsv line 1").wait_for()


@pytest.mark.parametrize(
    ("scheme", "width", "columns"), [("light", 1280, ["reranked", "other"]), ("dark", 390, ["reranked"])]
)
def test_contrast_and_labels_hold_the_keyboard_suffices_and_nothing_is_wider_than_the_screen(
    browser, address, scheme, width, columns
):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = browser.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
    page.goto(address)
    page.locator(".stages").wait_for()
    shown = [name for name in ("reranked", "other") if page.locator(f".stages .{name}").is_visible()]
    assert shown == columns
    page.get_by_label("Query").focus()
    focused = []
    for _ in range(6):
        page.keyboard.press("Tab")
        focused.append(page.evaluate("document.activeElement.innerText || document.activeElement.value"))
    assert focused[:4] == ["Search", "red planet", "rings of ice", "bundled"]
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.get_by_label("your own passages").check()
    page.get_by_label("Passages, one a line").wait_for()
    report = axe.run(page)
    assert report.violations_count == 0, report.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if "other" not in columns:
        page.get_by_label("show the order of BM25 instead").check()
        expect(page.locator(".stages .other")).to_be_visible()
        expect(page.locator(".stages .reranked")).to_be_hidden()
    page.close()
