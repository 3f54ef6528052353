"""Words and sentences of any script."""

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from structq.texts import (
    circling_from,
    content_words,
    first_words,
    n_words,
    repeated_from,
    sentences,
    whole_sentences,
)


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("", 0),
        (" \n\t", 0),
        ("...", 0),
        ("— * #", 0),
        ("one", 1),
        ("One, two; three.", 3),
        ("don't it’s", 2),
        ("3.14 and 1,000", 3),
        ("well-known", 2),
        ("e.g. this", 2),
        ("snake_case", 1),
        ("x=1+y", 3),
        ("Größe naïve œuvre", 3),
        ("Почему небо синее?", 3),
        ("Γιατί ο ουρανός", 3),
        ("لماذا السماء زرقاء؟", 3),
        ("למה השמיים כחולים", 3),
        ("天空是蓝的。", 5),
        ("空は青い。", 4),
        ("カタカナ", 1),
        ("하늘은 파랗다", 2),
        ("ท้องฟ้า", 5),
        ("Python 3.12 は速い", 5),
        ("𠮷野家", 3),
        ("🙂 ok 👩‍🚀", 1),
        ("हिन्दी में लिखो", 3),
        ("e\u0301te\u0301 ici", 2),
        ("مَرْحَبًا بِكَ", 2),
        ("می\u200cخواهم", 1),
        ("ሰላም፡ዓለም።", 2),
        ("Բարեւ աշխարհ։", 2),
        ("ภาษาไทย ๑๒๓", 8),
        ("ພາສາ", 4),
        ("one,two", 2),
        ("1,000.5 ١٬٢٣٤", 2),
        ("https://a.b/c?d=1", 5),
    ],
)
def test_words_are_counted_in_every_script(text, n):
    assert n_words(text) == n


def test_words_have_no_case():
    assert list(content_words("Straße DON'T 天空")) == ["strasse", "don't", "天", "空"]


@pytest.mark.parametrize(
    ("text", "n", "first"),
    [
        ("One, two; three.", 2, "One, two;"),
        ("One, two; three.", 3, "One, two; three."),
        ("One, two; three.", 0, ""),
        ("“One” two", 1, "“One”"),
        ("天空是蓝的", 2, "天空"),
        ("a\n\nb", 1, "a"),
        ("...", 0, "..."),
        ("", 4, ""),
    ],
)
def test_the_first_words(text, n, first):
    assert first_words(text, n) == first


def pieces(text):
    return [text[start:end] for start, end in sentences(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        (" \n ", []),
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("One. Not whole", ["One.", "Not whole"]),
        ("Version 3.12 is out. It is.", ["Version 3.12 is out.", "It is."]),
        ("He said “no.” She left.", ["He said “no.”", "She left."]),
        ("**Bold.** Plain.", ["**Bold.**", "Plain."]),
        ("Wait... what?!  Yes…", ["Wait...", "what?!", "Yes…"]),
        ("# Title\n- a\n- b", ["# Title", "- a", "- b"]),
        ("天空。海洋！「好。」", ["天空。", "海洋！", "「好。」"]),
        ("क्या। हाँ।", ["क्या।", "हाँ।"]),
        ("لماذا؟ نعم.", ["لماذا؟", "نعم."]),
        ("Почему? Так. Да!", ["Почему?", "Так.", "Да!"]),
        ("Τι κάνεις; Καλά.", ["Τι κάνεις;", "Καλά."]),
        ("Ի՞նչ է։ Այո։", ["Ի՞նչ է։", "Այո։"]),
        ("ሰላም። አዎ።", ["ሰላም።", "አዎ።"]),
        ("សួស្តី។បាទ។", ["សួស្តី។", "បាទ។"]),
        ("یہ ہے۔ ہاں۔", ["یہ ہے۔", "ہاں۔"]),
        ("是吗?对!好", ["是吗?", "对!", "好"]),
        ("Dr. Smith of e.g. J. R. Co came. So.", ["Dr. Smith of e.g. J. R. Co came.", "So."]),
        ("1. Do it.\n2. Go.", ["1. Do it.", "2. Go."]),
        (
            "Nuts, etc. and at 5 p.m. we go. By 6 p.m. Then",
            ["Nuts, etc. and at 5 p.m. we go.", "By 6 p.m.", "Then"],
        ),
        ("See x.com/a.b?c=1. Keep 3.5 kg.", ["See x.com/a.b?c=1.", "Keep 3.5 kg."]),
        ("f(x); g(y).\nh", ["f(x); g(y).", "h"]),
        ("a\u2028b\r\nc", ["a", "b", "c"]),
        ("Ok 👍! Yes 🙂. No", ["Ok 👍!", "Yes 🙂.", "No"]),
    ],
)
def test_sentences(text, found):
    assert pieces(text) == found


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("", ""),
        ("No end", ""),
        ("One. Two", "One."),
        ("One. Two.", "One. Two."),
        ("One.\n\n", "One."),
        ("- a\n- b", "- a"),
        ("天空。海", "天空。"),
        ("\n\nNo end", ""),
    ],
)
def test_the_last_whole_sentence(text, whole):
    assert text[: whole_sentences(text)] == whole


FENCE = "```\nx = x + 1 + 2 + 3\nx = x + 1 + 2 + 3\n```"


@pytest.mark.parametrize(
    ("kept", "said_again"),
    [
        ("The sky is blue today. It is. ", "The sky is blue today."),
        ("The sky is blue today.\n", "the SKY — is blue, today!"),
        ("1. The sky is blue today.\n", "2. The sky is blue today."),
        ("天空是蓝的。", "天空是蓝的。"),
        ("It goes ha", "ha" * 20),
        ("It is so ", "very, " * 6),
        (f"{FENCE}\nThe sky is blue today. ", "The sky is blue today. And so on."),
    ],
)
def test_where_a_text_begins_to_say_itself_again(kept, said_again):
    at = repeated_from(kept + said_again)
    assert at is not None
    assert abs(at - len(kept)) <= 6


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The sky is blue today. The sky is grey today.",
        "For example: one. For example: two.",
        "Yes. Yes. Yes.",
        "The sky is blue today. The sky is blue today",
        FENCE,
        "```\nx = 1 + 2 + 3\nx = 1 + 2 + 3\n",
        "a line\n" + "-" * 60,
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "no no no",
        "ha" * 5,
    ],
)
def test_what_is_no_repetition(text):
    assert repeated_from(text) is None


def test_a_text_may_repeat_what_it_is_made_from_as_often_as_that_does():
    line = "The sky is blue today. "
    assert repeated_from(line * 2, known=line) == len(line)
    assert repeated_from(line * 2, known=line * 2) is None
    assert repeated_from(line * 3, known=line * 2) == 2 * len(line)


ROUND = (
    "The vampire was a kind lawyer. The lawyer was a kind vampire. A kind lawyer was the vampire."
)


@pytest.mark.parametrize(
    ("text", "begins"),
    [
        (ROUND, "The lawyer"),
        ("He is on time. " + ROUND, "The lawyer"),
        ("今天我们去海边聚会。今天我们去海滩聚会。今天我们去海岸聚会。", "今天我们去海滩"),
        ("We sat in the old bus.\nWe sat in an old bus.\nWe sat in the old bus", "We sat"),
    ],
)  # fmt: skip
def test_a_text_that_goes_round_in_circles(text, begins):
    at = circling_from(text)
    assert at > 0
    assert text[at:].startswith(begins)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The sky over the sea is blue today. The sky over the sea is grey today.",
        "The first team won the first game at home. Two hours later all of them went to eat. "
        "The second team won the second game at home. It rained on the way back to town. "
        "The third team won the third game at home. Nobody had thought of a fourth one.",
        "- The bus stops at the old mill\n- The bus stops at the new mill\n- The bus stops there",
        "Multiply both sides by 4 first. Multiply both sides by 5 first. Multiply both sides by 6.",
        "Rewriting the equation once more gives:\nx\n" * 3,
        "```\nprint the name of the user\nprint the name of a user\nprint a name of the user\n```",
        "Yes, he did. Yes, he did. Yes, he did.",
    ],
)
def test_what_goes_on(text):
    assert circling_from(text) is None


def test_what_circled_before_may_circle():
    assert circling_from(ROUND, known=f"Well. {ROUND}") is None


ANY = st.text(max_size=80) | st.text("ab .!?\n'“”天。-_*`|1", max_size=80)


@given(ANY, st.integers(0, 30))
def test_first_words_is_a_beginning_of_so_many_words(text, n):
    first = first_words(text, n)
    assert text.startswith(first)
    assert n_words(first) == min(n, n_words(text))


@given(ANY)
def test_sentences_are_all_of_a_text_but_its_white_space(text):
    spans = sentences(text)
    assert all(text[a:b] == text[a:b].strip() != "" for a, b in spans)
    assert [b for _, b in spans] == sorted(b for _, b in spans)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    assert "".join("".join(text[a:b].split()) for a, b in spans) == "".join(text.split())


@given(ANY)
def test_whole_sentences_is_the_end_of_a_sentence_and_stays_there(text):
    end = whole_sentences(text)
    assert end == 0 or end in {b for _, b in sentences(text)}
    assert whole_sentences(f"{text[:end]}\n") == end
    assert not [a for a, b in sentences(text)[:-1] if b > end]


@settings(deadline=None)
@given(st.lists(st.sampled_from(["The sky is blue now.", "It is.", "Air\n", "天空是蓝的。", "x"])))
@example(["The sky is blue now.", *["It is."] * 4, "The sky is blue now."])
def test_what_stands_before_a_repetition_has_none(parts):
    text = "\n".join(parts)
    at = repeated_from(text)
    whole = [part for part in parts if n_words(part) >= 4]
    assert (at is not None) or len(whole) == len(set(whole))
    if at is not None:
        assert 0 < at < len(text)
        assert repeated_from(text[:at]) is None
