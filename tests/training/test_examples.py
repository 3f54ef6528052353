import re
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

import structq
from training.corpus import World
from training.examples import Example, ExampleMaker
from training.families import FAMILIES
from training.heldout import kinds_in
from training.levels import KINDS, Piece, joined
from training.noise import random_text
from training.tokenizer import word_fragments
from training.writer import unnamed

NANO = Path(structq.__file__).parent / "nano"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    found = Tokenizer.from_file(str(NANO / "tokenizer.json"))
    found.encode_special_tokens = True
    return found


def drawn(tokenizer: Tokenizer, n: int, *, evolve: bool, seed: int = 0) -> list[Example]:
    world = World(
        np.random.default_rng(seed),
        random_topics=0.5,
        variety=True,
        fragments=word_fragments(tokenizer),
    )
    maker = ExampleMaker(world, tokenizer, max_tokens=700, evolve_share=float(evolve))
    return [maker.draw() for _ in range(n)]


def text_up_to(tokenizer: Tokenizer, example: Example, position: int) -> str:
    return tokenizer.decode(example.tokens[: position + 1], skip_special_tokens=False)


def test_a_copied_token_is_the_one_at_its_source(tokenizer: Tokenizer):
    same = [
        e.tokens[at + 1] == e.tokens[source]
        for e in drawn(tokenizer, 60, evolve=True)
        for at, source in e.copy_from
    ]
    # Line breaks and quotes are escaped in the answer, and a few merges differ at the edges.
    assert len(same) > 1000
    assert np.mean(same) > 0.9


def test_an_answer_is_shown_the_question_that_it_answers_or_the_start(tokenizer: Tokenizer):
    seen = []
    for e in drawn(tokenizer, 80, evolve=False):
        question, family = e.families[0]
        assert text_up_to(tokenizer, e, question).endswith("]")
        assert "[/instruction" in text_up_to(tokenizer, e, question)[-16:]
        of_answer = dict(e.families[1:])
        for at, source in e.question_from:
            assert source == (question if of_answer[at] == family else 0)
            seen.append(source > 0)
    assert {True, False} == set(seen)


def test_an_answer_that_is_to_be_written_starts_by_looking_at_the_question(tokenizer: Tokenizer):
    looks = [(e, look) for e in drawn(tokenizer, 80, evolve=True) for look in e.question_from]
    assert looks
    for e, (at, source) in looks:
        assert at + 1 >= e.n_prompt
        assert source == e.families[0][0]
        assert e.families[0][1] < len(FAMILIES)


def test_invented_words_reach_tokens_that_known_words_do_not(tokenizer: Tokenizer):
    fragments = word_fragments(tokenizer)

    def tokens_of(parts: tuple[str, ...]) -> set[int]:
        rng = np.random.default_rng(1)
        return {i for _ in range(400) for i in tokenizer.encode(random_text(rng, 1, parts)).ids}

    with_parts, without = tokens_of(fragments), tokens_of(())
    assert len(with_parts) > 1.2 * len(without)
    assert all(part == part.strip() and part.isprintable() for part in fragments)


def test_the_last_look_ahead_finds_the_closing_tag(tokenizer: Tokenizer):
    ends = [
        text_up_to(tokenizer, e, e.peek_from[-1][1])
        for e in drawn(tokenizer, 60, evolve=True)
        if e.peek_from
    ]
    assert len(ends) > 40
    assert np.mean([end.endswith("\n[/") for end in ends]) > 0.9


@pytest.mark.slow
def test_text_to_copy_holds_brackets_but_no_mark_of_a_prompt(tokenizer: Tokenizer):
    mark = re.compile(r"\[/?(instruction|response|[1-9]+)[abc]?\]")
    fragments = word_fragments(tokenizer)
    world = World(np.random.default_rng(2), text_scale=5, variety=True, fragments=fragments)
    free = [random_text(world.rng, 5, fragments) for _ in range(300)]
    kept = [world.arbitrary() for _ in range(300)]
    assert any(mark.search(text) for text in free)
    assert not any(mark.search(text) for text in kept)
    assert any("[" in text for text in kept)


def test_where_no_topic_is_named_the_added_part_names_none():
    world = World(np.random.default_rng(4), variety=True)
    for kind in KINDS:
        subject = unnamed(world.subject())
        original = joined([Piece(text="So.", role="text")])
        added = world.evolved(subject, original, (kind,)).pieces[-1].text
        assert kind in kinds_in(added)
    frame = unnamed(world.subject())
    assert world.fill("With {topic}, as {Topic} has it: {ask}.", frame) == (
        "With this matter, as This matter has it: this matter."
    )
