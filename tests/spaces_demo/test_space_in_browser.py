"""The page as a visitor uses it, in headless Chromium (`apt install chromium`)."""

import pytest


@pytest.fixture
def page(browser, address):
    page = browser.new_page()
    page.set_default_timeout(15_000)
    page.goto(address)
    page.get_by_label("Query").wait_for()
    yield page
    page.close()


def ask(page, query):
    page.get_by_label("Query").fill(query)
    page.get_by_label("Query").press("Enter")


def upload(page, name, content):
    page.get_by_text("Rank your own passages instead").click()
    page.locator("input[type=file]").set_input_files(
        {"name": name, "mimeType": "text/plain", "buffer": content}
    )
    page.get_by_text(name.split(".")[0]).first.wait_for()


def titles(page, column):
    return page.locator(".stages section").nth(column).locator(".title").all_inner_texts()


def test_a_query_shows_both_orders_and_marks_its_words(page):
    ask(page, "red planet")
    page.locator(".stages").wait_for()
    first_stage, reranked = titles(page, 0), titles(page, 1)
    assert first_stage[0] == "mars"
    assert sorted(first_stage) == sorted(reranked)
    assert {mark.lower() for mark in page.locator("mark").all_inner_texts()} == {"red", "planet"}


def test_a_second_checkpoint_can_be_seen_beside(page, second_checkpoint):
    ask(page, "red planet")
    page.locator(".stages").wait_for()
    page.get_by_label(str(second_checkpoint)).check()
    page.get_by_role("heading", name=str(second_checkpoint)).wait_for()
    assert titles(page, 0) == titles(page, 1)
    assert set(page.locator(".reranked .move").all_inner_texts()) == {"="}


def test_an_example_is_ranked_at_a_click(page):
    page.get_by_text("rings of ice").first.click()
    page.locator(".stages").wait_for()
    assert titles(page, 0)[0] == "saturn"


def test_a_link_asks_its_query(page, address):
    ask(page, "red planet & rings?")
    page.get_by_role("link", name="link to this query").wait_for()
    page.goto(address + page.get_by_role("link", name="link to this query").get_attribute("href"))
    page.locator(".stages").wait_for()
    assert page.get_by_label("Query").input_value() == "red planet & rings?"


def test_an_uploaded_long_passage_opens_and_its_markup_is_text(page):
    upload(page, "mine.txt", b"<img src=x onerror=\"document.title='run'\"> red" + b" planet" * 100 + b" END")
    ask(page, "red")
    page.locator(".stages summary").first.click()
    shown = page.locator(".stages details[open] > div.text").first.inner_text()
    assert shown.startswith("<img src=x onerror=") and shown.endswith("END")
    assert page.locator(".stages img").count() == 0
    assert page.title() == "TWOLAR reranker"


def test_bad_input_is_answered_in_the_place_of_the_results(page):
    ask(page, " ")
    page.get_by_role("alert").filter(has_text="The query is empty").wait_for()
    upload(page, "wrong.tsv", b"only one column")
    ask(page, "red")
    page.get_by_role("alert").filter(has_text="wrong.tsv line 1").wait_for()


def test_a_phone_shows_one_column_without_scrolling_sideways(browser, address):
    phone = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
    phone.goto(f"{address}?q=red+planet")
    phone.locator(".stages").wait_for()
    before, after = (phone.locator(".stages section").nth(n).bounding_box() for n in (0, 1))
    assert after["x"] == before["x"] and after["y"] < before["y"]
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    phone.close()
