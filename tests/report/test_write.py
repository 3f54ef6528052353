"""One file, that nothing in a row can break out of and that needs no network."""

import base64
import gzip
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from structq.errors import InputError
from structq.report import write_report
from tests.report.made import FACTS, block, random_rows, row, write_journal

HOSTILE = {
    "script": "<script>document.title = 'hit'</script>",
    "end of script": "</script><script>document.title = 'hit'</script>",
    "comment": "<!-- --> <!--<script>",
    "image": "<img src=x onerror=\"document.title='hit'\">",
    "quotes": "\" onload='x' `${1}` &lt; &amp;",
    "lines": "one\u2028two\u2029three\x85four",
    "template": "{{ 7 * 7 }} {% if x %} <%= 1 %>",
    "surrogate": "half \ud83d of a pair",
    "control": "\x00\x07\x1b[31m",
}


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.seen = []
        self.texts = {}

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_data(self, data):
        tag, attrs = self.seen[-1] if self.seen else ("", {})
        key = attrs.get("id") or tag
        self.texts[key] = self.texts.get(key, "") + data


def parsed(page):
    tags = Tags()
    tags.feed(page.read_text("utf8"))
    return tags


def unpacked(tags, name):
    return json.loads(gzip.decompress(base64.b64decode(tags.texts[name])))


def hostile_page(tmp_path, text):
    values = row(
        0, [text, f"{text} b"], [1.0, 2.0], [text], instruction=text, id=text, **{text: text}
    )
    failed = row(1, ["a", "b"], None, [text], error=text)
    facts = {**FACTS, "evolve.settings.system_prompt": text.encode("utf8", "replace").decode()}
    journal = write_journal(tmp_path / "x.journal", [values, failed], facts)
    write_report([journal], tmp_path / "page.html")
    return tmp_path / "page.html"


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_row_text_is_data(tmp_path, name):
    text = HOSTILE[name]
    tags = parsed(hostile_page(tmp_path, text))
    plain = parsed_plain(tmp_path)
    assert [tag for tag, _ in tags.seen] == [tag for tag, _ in plain.seen]
    shown = text.encode("utf8", "replace").decode("utf8")
    (first, _) = unpacked(tags, "chunk0")
    assert first["runs"][0]["responses"] == [shown, f"{shown} b"]


def parsed_plain(tmp_path):
    (tmp_path / "plain").mkdir()
    return parsed(hostile_page(tmp_path / "plain", "word"))


def test_the_policy_allows_this_style_and_this_script_alone(tmp_path):
    page = hostile_page(tmp_path, "word")
    text = page.read_text("utf8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    policy = policy.replace("&#39;", "'")

    def source(tag):
        (inner,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.S)
        return "'sha256-" + base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode() + "'"

    assert policy == (
        f"default-src 'none'; style-src {source('style')}; script-src {source('script')}; "
        "base-uri 'none'; form-action 'none'"
    )


def test_nothing_is_fetched_and_nothing_is_styled_in_place(tmp_path):
    tags = parsed(hostile_page(tmp_path, "word"))
    for tag, attributes in tags.seen:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base")
        assert not attributes.keys() & {"src", "style", "onclick", "onload", "onerror"}
        assert attributes.get("href", "#").startswith("#")
    script = tags.texts["script"]
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", script)
    assert "fetch(" not in script


def test_every_plot_has_its_title_its_sentence_and_its_numbers(tmp_path):
    journal = write_journal(tmp_path / "x.journal", random_rows(40, 3))
    write_report([journal], tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text("utf8")
    plots = re.findall(
        r'<figure id="([\w-]+)" aria-labelledby="([\w-]+)">(.*?)</figure>', text, re.S
    )
    assert {name for name, *_ in plots} >= {"scores", "gains", "mutations", "length", "failures"}
    for name, title, inner in plots:
        assert f'id="{title}"' in inner
        assert f'aria-labelledby="{name}-title" aria-describedby="{name}-told"' in inner
        assert f'id="{name}-told"' in inner
        assert inner.count("<tr>") > 1
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(set(ids)) == len(ids)


def test_all_rows_count_where_some_are_shown(tmp_path):
    journal = write_journal(tmp_path / "x.journal", random_rows(130, 5))
    page = tmp_path / "page.html"
    write_report([journal], page, most_rows=60)
    assert block(page, "answers")["runs"][0]["rows"] == 130
    keys = block(page, "index")["columns"]["key"]["texts"]
    assert (len(keys), keys[0], keys[1]) == (60, "r0", "r2")
    tags = parsed(page)
    rows = [one for i in range(2) for one in unpacked(tags, f"chunk{i}")]
    assert [one["id"] for one in rows] == keys
    assert len(unpacked(tags, "heads")) == 60
    assert "60 of the 130 rows are here" in page.read_text("utf8")


def test_the_same_run_gives_the_same_page(tmp_path):
    journal = write_journal(tmp_path / "x.journal", random_rows(20, 6))
    pages = [tmp_path / name for name in ("a.html", "b.html")]
    for page in pages:
        write_report([journal], page)
    assert pages[0].read_bytes() == pages[1].read_bytes()


def test_a_run_without_rows_has_a_page(tmp_path):
    write_report([write_journal(tmp_path / "x.journal", [])], tmp_path / "page.html")
    assert block(tmp_path / "page.html", "answers")["runs"][0]["rows"] == 0


def test_an_earlier_report_is_replaced_and_nothing_else(tmp_path):
    journal = write_journal(tmp_path / "x.journal", random_rows(3, 1))
    page, other = tmp_path / "page.html", tmp_path / "other.html"
    write_report([journal], page)
    write_report([journal], page)
    other.write_text("<!doctype html>mine")
    with pytest.raises(InputError, match="is no report"):
        write_report([journal], other)
    assert other.read_text() == "<!doctype html>mine"
    write_report([journal], other, overwrite=True)
    assert other.read_bytes() == page.read_bytes()
    assert sorted(one.name for one in tmp_path.iterdir()) == [
        "other.html",
        "page.html",
        "x.journal",
    ]


@pytest.mark.parametrize(
    ("out", "message"), [("x.journal", "output is the input"), (".", "is a folder")]
)
def test_what_must_not_be_written_is_refused(tmp_path, out, message):
    journal = write_journal(tmp_path / "x.journal", [])
    with pytest.raises(InputError, match=message):
        write_report([journal], tmp_path / out, overwrite=True)
