"""The report in a real Chromium, as a curator uses it."""

import importlib
import json
import random
import re

import pytest

from structq.data import SCORING, read_rows
from structq.evaluation.labels import labels_of
from structq.modules.shown import EvolvePrompts
from structq.report import write_report
from tests.report.browser import chromium
from tests.report.made import FACTS, random_rows, row, write_journal

pytestmark = pytest.mark.browser

HOSTILE = (
    "</script><script>document.title = 'hit'</script><img src=x onerror=\"document.title='hit'\">"
    " \u2028 \u2029 {{ 7 * 7 }} <!-- & &amp; \" ' ` 図書館 \U0001f600"
)
RESPONSES = "#detail .response"
KEYS = "table.rows tbody th a"


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture
def opened(browser, tmp_path):
    """Opens a page of journals; whatever the console says, or the network is asked, is a fault."""
    troubles, contexts = [], []

    def start(*journals, at="", **options):
        out = tmp_path / "page.html"
        write_report(journals, out)
        context = browser.new_context(viewport={"width": 1300, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("dialog", lambda dialog: troubles.append(dialog.message))
        page.on("request", lambda request: troubles.append(request.url)
                if not request.url.startswith(("file:", "blob:")) else None)  # fmt: skip
        page.goto(out.as_uri() + at)
        page.wait_for_selector("html[data-ready]")
        return page

    yield start
    for context in contexts:
        context.close()
    assert troubles == []


@pytest.fixture
def made(tmp_path):
    return write_journal(tmp_path / "run.journal", random_rows(130, 4))


def keys(page):
    """Ids of the rows of this page of the table."""
    return page.locator(KEYS).all_text_contents()


def column(page, name):
    index = page.evaluate("JSON.parse(document.getElementById('index').textContent)")
    values = index["columns"][name]
    return dict(zip(index["columns"]["key"]["texts"], values["numbers"], strict=True))


def test_the_first_rows_are_there_in_their_order(opened, made):
    page = opened(made)
    assert keys(page) == [f"r{n}" for n in range(50)]
    page.get_by_role("button", name="Next", exact=True).click()
    assert keys(page)[0] == "r50"
    assert "130 of 130 rows" in page.locator("#status").text_content()


def test_rows_are_sorted_by_a_click_on_a_column(opened, made):
    page = opened(made)
    gains = column(page, "gain")
    for sign in (-1, 1):
        page.locator("[data-sort=gain]").click()
        found = [gains[key] for key in keys(page)]
        expected = sorted((g for g in gains.values() if g is not None), key=lambda g: sign * g)
        assert found == expected[:50]
    assert page.locator("th[aria-sort=ascending]").count() == 1
    page.locator("[data-sort=head]").click()
    assert keys(page) == sorted(gains, key=lambda key: f"Question {key[1:]}?")[:50]


def test_a_click_on_a_bar_leaves_its_rows(opened, made):
    page = opened(made)
    bar = page.locator("#gains .pick").first
    asked = json.loads(bar.get_attribute("data-filter"))
    gains = column(page, "gain")
    expected = [k for k, g in gains.items() if g is not None and asked["low"] <= g < asked["high"]]
    bar.click()
    assert keys(page) == expected
    assert f": {len(expected)} rows" in bar.get_attribute("aria-label")
    assert bar.get_attribute("aria-pressed") == "true"
    bar.focus()
    page.keyboard.press("Enter")
    assert len(keys(page)) == 50
    page.keyboard.press(" ")
    page.locator(".chip").click()
    assert len(keys(page)) == 50


def test_plots_of_names_leave_the_rows_that_have_them(opened, made):
    page = opened(made)
    rows = {one["id"]: one for one in random_rows(130, 4)}
    page.locator("#mutations .pick").first.click()
    name = page.locator(".chip").text_content().split("Evolved by ")[1].split(" ")[0]
    expected = [key for key, one in rows.items() if name in (one["mutations"] or [])]
    assert keys(page) == expected[:50]
    page.locator(".chip").click()
    page.locator("#failures .pick").click()
    assert keys(page) == [key for key, one in rows.items() if one["metadata"]["error"]]


def test_presets_leave_the_rows_that_they_name(opened, made):
    page = opened(made)
    answers = page.evaluate("JSON.parse(document.getElementById('answers').textContent)")["runs"][0]
    for name in ("worse", "improved", "failed", "undecided"):
        page.locator(f"[data-preset={name}]").click()
        assert f"{answers[name]} of 130 rows" in page.locator("#status").text_content()
        if name == "worse":
            assert keys(page) == answers["worse_rows"][:50]


def test_search_finds_words_in_every_text(opened, tmp_path):
    rows = [
        row(n, ["plain words", f"Evolved {n} times"], [1.0, 2.0], ["details"]) for n in range(70)
    ]
    rows[3]["instruction"] = "Where is Zürich?"
    rows[66]["responses"][1] = "A late NEEDLE in the hay"
    page = opened(write_journal(tmp_path / "run.journal", rows))
    for query, expected in (
        ("needle", ["r66"]), ("hay late", ["r66"]), ("zürich", ["r3"]), ("evolved 12 ", ["r12"]),
        ("r5", ["r5", *(f"r5{n}" for n in range(10))]), ("nowhere", []),
    ):  # fmt: skip
        page.locator("#search").fill(query)
        page.locator("#status").get_by_text(f"with “{query}”").wait_for()
        assert keys(page) == expected
    page.locator("#search").fill("")
    page.get_by_text("70 of 70 rows", exact=True).wait_for()


def texts_of(locator):
    """The whole text of a side, and what of it is not marked as changed."""
    return locator.evaluate(
        "node => [node.textContent, [...node.childNodes].filter(n => n.nodeType === 3)"
        ".map(n => n.textContent).join('')]"
    )


def random_pairs():
    rng = random.Random(5)
    words = [
        "the",
        "sky",
        "is",
        "blue",
        "図書館で",
        "本を",
        "借りる",
        "naïve",
        "x-y",
        "\n\n",
        "  ",
        "1.5",
    ]
    for _ in range(25):
        before = rng.choices(words, k=rng.randrange(0, 40))
        after = list(before)
        for _ in range(rng.randrange(0, 12)):
            place = rng.randrange(len(after) + 1)
            after[place : place + rng.randrange(3)] = rng.choices(words, k=rng.randrange(3))
        yield "".join(f"{w} " for w in before), "".join(f"{w} " for w in after)
    yield "same", "same"
    yield " ".join(map(str, range(5000))), " ".join(map(str, range(9000, 4000, -1)))


def test_the_diff_keeps_both_texts_and_marks_what_differs(opened, tmp_path):
    pairs = list(random_pairs())
    rows = [row(n, pair, [1.0, 2.0], ["details"]) for n, pair in enumerate(pairs)]
    page = opened(write_journal(tmp_path / "run.journal", rows))
    for n, (before, after) in enumerate(pairs):
        page.keyboard.press("j")
        page.locator("#detail h3").get_by_text(f"r{n}", exact=True).wait_for()
        if not before:
            continue
        left, same_left = texts_of(page.locator(RESPONSES).first)
        right, same_right = texts_of(page.locator(RESPONSES).last)
        assert (left, right) == (before, after or "(empty)")
        if after:
            assert same_left == same_right
            assert (page.locator(f"{RESPONSES} ins, {RESPONSES} del").count() == 0) == (
                before == after
            )


def test_the_diff_is_of_words(opened, tmp_path):
    texts = ["Wipe the chain dry. Keep it in.", "Wipe the whole chain dry. Keep it indoors. 本を借"]
    page = opened(write_journal(tmp_path / "run.journal", [row(0, texts, [1.0, 2.0], ["details"])]))
    page.keyboard.press("j")
    page.locator("#detail ins").first.wait_for()
    assert page.locator("#detail del").all_text_contents() == ["in"]
    assert [t.strip() for t in page.locator("#detail ins").all_text_contents()] == [
        "whole", "indoors", "本を借",
    ]  # fmt: skip


def test_keys_lead_through_the_rows(opened, made):
    page = opened(made)
    title = page.locator("#detail h3")
    for key, expected in (("j", "r0"), ("j", "r1"), ("j", "r2"), ("k", "r1")):
        page.keyboard.press(key)
        title.get_by_text(expected, exact=True).wait_for()
        assert page.locator("tr[aria-current=true] th").text_content() == expected
        assert page.evaluate("location.hash") == f"#row={expected}"
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.type("j")
    assert page.locator("#search").input_value() == "j"
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    assert page.locator("#detail").is_hidden()
    for _ in range(51):
        page.keyboard.press("j")
    page.get_by_text("Page 2 of 3").wait_for()


@pytest.mark.parametrize("name", ["r77", "a b/ü?#%", "図"], ids=["plain", "signs", "han"])
def test_a_link_leads_to_its_row(opened, tmp_path, name):
    rows = random_rows(90, 2)
    rows[77]["id"] = name
    journal = write_journal(tmp_path / "run.journal", rows)
    page = opened(journal)
    page.locator("#search").fill("question 77?")
    page.get_by_text("1 of 90 rows").wait_for()
    link = page.locator(KEYS).get_attribute("href")
    again = opened(journal, at=link)
    again.locator("#detail h3").get_by_text(name, exact=True).wait_for()
    assert "Question 77?" in again.locator("#detail .instruction").text_content()
    again.evaluate("location.hash = '#row=r3'")
    again.locator("#detail h3").get_by_text("r3", exact=True).wait_for()


def test_a_link_to_no_row_says_so(opened, made):
    page = opened(made, at="#row=nobody")
    page.get_by_text("There is no row nobody here.").wait_for()


def exported(page, tmp_path):
    with page.expect_download() as download:
        page.locator("#export").click()
    path = tmp_path / "marks.jsonl"
    download.value.save_as(path)
    return path


def test_marks_are_labels(opened, tmp_path):
    rows = [row(n, ["first", "second"], [1.0, 2.0], ["details"]) for n in range(5)]
    rows[1]["instruction"] = "One\u2028line?"
    page = opened(write_journal(tmp_path / "run.journal", rows))
    page.keyboard.press("j")
    page.get_by_label("details, step 1").first.check()
    page.locator("#detail textarea").fill("Says “more”.")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.locator("#detail h3").get_by_text("r1", exact=True).wait_for()
    page.get_by_label("equally good").check()
    page.keyboard.press("j")
    page.locator("#detail h3").get_by_text("r2", exact=True).wait_for()
    page.locator("#detail input[type=number]").first.fill("2.5")
    page.locator("#detail input[type=number]").last.fill("4")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.locator("#detail h3").get_by_text("r3", exact=True).wait_for()
    page.get_by_label("This row is bad").check()
    assert page.locator("#export").text_content() == "Export marks (4)"
    path = exported(page, tmp_path)
    found = [json.loads(line) for line in path.read_bytes().splitlines()]
    told = {"responses": ["first", "second"]}
    note = {"note": "Says “more”."}
    assert found == [
        {"id": "r0", "instruction": "Question 0?", **told, "labels": {"best": 1}, **note},
        {"id": "r1", "instruction": "One\u2028line?", **told, "labels": {"tie": True}},
        {"id": "r2", "instruction": "Question 2?", **told, "labels": {"human_scores": [2.5, 4]}},
        {"id": "r3", "instruction": "Question 3?", **told, "labels": {"bad": True}},
    ]  # fmt: skip
    read = list(read_rows(path, SCORING))
    assert [one.error for one in read] == [None] * 4
    labels = [labels_of(one.values) for one in read]
    assert [one and one.values for one in labels] == [(0, 1), (0.5, 0.5), (2.5, 4), None]
    page.locator("[data-preset=marked]").click()
    assert keys(page) == ["r0", "r1", "r2", "r3"]


def test_marks_stay_in_the_browser_and_can_be_taken_back(opened, made):
    page = opened(made, at="#row=r1")
    page.get_by_label("This row is bad").check()
    page.reload()
    page.wait_for_selector("html[data-ready]")
    box = page.get_by_label("This row is bad")
    assert box.is_checked()
    box.uncheck()
    assert page.locator("#export").is_disabled()


def test_a_hostile_row_is_text(opened, tmp_path):
    values = row(
        0, [HOSTILE, f"{HOSTILE} and more"], [1.0, 2.0], [HOSTILE], id=HOSTILE,
        instruction=HOSTILE, **{HOSTILE: HOSTILE},
    )  # fmt: skip
    failed = row(1, ["a", "b"], None, [HOSTILE], error=HOSTILE)
    facts = {**FACTS, "evolve.settings.system_prompt": HOSTILE}
    page = opened(write_journal(tmp_path / "<b>.journal", [values, failed], facts))
    title = page.title()
    page.keyboard.press("j")
    page.locator("#detail ins").wait_for()
    assert page.locator("#detail h3").text_content() == HOSTILE
    assert page.locator("#detail .instruction").text_content() == HOSTILE
    assert page.locator(RESPONSES).all_text_contents() == [HOSTILE, f"{HOSTILE} and more"]
    assert page.locator("#detail ins").all_text_contents() == [" and more"]
    page.locator("#mutations .pick").click()
    assert keys(page) == [HOSTILE]
    page.locator(".chip").click()
    page.keyboard.press("j")
    page.locator("#detail .trouble").wait_for()
    assert HOSTILE in page.locator("#detail .trouble").text_content()
    assert page.locator("main img, main script, main b").count() == 0
    assert page.title() == title != "hit"


def test_the_prompts_of_the_steps_are_shown(opened, tmp_path):
    program = {
        "evolve.mutations['details']": {"signature": {"instructions": "Add details."}, "demos": []},
        "evolve.settings": {"num_evolutions": 2},
    }
    texts = ["Short.", "Longer one.", "The longest \ue000 of all."]
    rows = [
        row(0, texts, [1.0, 2.0, 3.0], ["details", "details"]),
        row(1, [texts[2], "b"], [1.0, 2.0], ["details"]),
    ]
    page = opened(write_journal(tmp_path / "run.journal", rows, program=program), at="#row=r0")
    page.locator("#detail .steps pre").nth(1).wait_for(state="attached")
    prompts = EvolvePrompts(program)
    for n, text in enumerate(texts[:2]):
        ((_, content),) = prompts.prompt(
            "details", instruction="Question 0?", response=text, original=texts[0], form="json"
        )
        expected = content.replace("\ue000", "Question 0?").replace("\ue001", text)
        assert page.locator("#detail .steps pre").nth(n).text_content() == expected
    page.evaluate("location.hash = '#row=r1'")
    page.locator("#detail h3").get_by_text("r1", exact=True).wait_for()
    assert f"Response:\n{texts[2]}" in page.locator("#detail .steps pre").text_content()


def test_a_journal_without_prompts_says_so(opened, made):
    page = opened(made)
    page.locator("[data-preset=improved]").click()
    page.keyboard.press("j")
    page.get_by_text("Its prompt is not in the journal.").first.wait_for()


def test_two_runs_stand_side_by_side(opened, tmp_path):
    one = [row(n, ["start", "one way"], [1.0, 2.0], ["details"]) for n in range(4)]
    other = [row(n, ["start", "another way" if n == 2 else "one way"], [1.0, 2.0 + n], ["depth"])
             for n in range(4)]  # fmt: skip
    journals = [write_journal(tmp_path / f"{name}.journal", rows)
                for name, rows in (("one", one), ("other", other))]  # fmt: skip
    page = opened(*journals)
    page.locator("[data-preset=differ]").click()
    assert keys(page) == ["r2"]
    page.keyboard.press("j")
    page.locator("#detail ins").wait_for()
    assert page.locator(RESPONSES).all_text_contents() == ["one way", "another way"]
    page.locator("[data-preset=all]").click()
    page.locator("#deltas .pick").last.click()
    assert keys(page) == ["r3"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_follows_the_light(opened, made, scheme):
    page = opened(made, color_scheme=scheme, at="#row=r1")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    ground = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    bright = sum(map(int, re.findall(r"\d+", ground)[:3])) > 380
    assert bright == (scheme == "light")


def test_what_can_be_used_has_a_name(opened, made):
    page = opened(made, at="#row=r1")
    page.locator("#detail fieldset").wait_for()
    for role in ("button", "textbox", "searchbox", "checkbox", "radio", "combobox", "spinbutton"):
        for node in page.get_by_role(role).all():
            assert node.evaluate(
                "n => (n.getAttribute('aria-label') || n.title || n.textContent ||"
                " [...(n.labels || [])].map(l => l.textContent).join('')).trim()"
            )
    assert page.locator("figure svg").count() == page.locator("figure details table").count()


def test_print_leaves_out_what_cannot_be_pressed(opened, made):
    page = opened(made, at="#row=r1")
    page.emulate_media(media="print")
    assert page.locator("#search").is_hidden()
    assert page.locator("#detail fieldset").is_hidden()
    assert page.locator(RESPONSES).first.is_visible()
    assert page.locator("#gains svg").is_visible()


def test_a_search_for_templates_shows_what_changed(opened, tmp_path):
    path = tmp_path / "tune"
    config = {"mutation_templates": {"details": "Add an example."}}
    best = {"templates": {"details": "Add an example. Keep it short."}}
    lines = [
        {"journal": "structq optimize", "version": 1, "config": config},
        {"note": {"accepted": True, "reason": "better", "best": best}},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    page = opened(path)
    assert page.locator(".texts ins").all_text_contents() == [" Keep it short."]
    assert "Proven better" in page.locator(".search .lead").text_content()


def test_20_000_rows_keep_nobody_waiting(browser, monkeypatch, tmp_path):
    """Sizes as they are; times of the best of three pages, as other tests may run beside."""
    monkeypatch.syspath_prepend("benchmarks")
    bench = importlib.import_module("report")
    bench.make_journal(tmp_path / "run.journal", 20_000)
    write_report([tmp_path / "run.journal"], tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size / 1e6 <= bench.LIMITS["file, MB"]
    found = [bench.in_chromium(browser, tmp_path / "page.html") for _ in range(3)]
    for name in found[0]:
        assert min(one[name] for one in found) <= bench.LIMITS[name], name
