"""Draws answers from random logits through the masks of `structq.decoding` and checks every one.

    python benchmarks/guarantee.py                                # nano's vocabulary
    python benchmarks/guarantee.py --tokenizer tokenizer.json --vectors 100000 --texts 10000
    python benchmarks/guarantee.py --synthetic-vocabulary 131072  # byte-level BPE, as GPT's
    python benchmarks/guarantee.py --synthetic-vocabulary 50000 --kind pieces  # as Llama 2's
    python benchmarks/guarantee.py --vectors 100000 --part 1/4    # a quarter of the answers

Score vectors have K = 1 to 16 scores, on the list-wise scale 1..K+1 or on a fixed one. Texts are
`{"evolved_response": string}`: the first tokens of each are drawn from plain random logits, after
which the tokens that begin with a quote are favoured, so that texts end. A text that reaches the
cap all the same is counted as cut off and never as valid. Every answer is parsed strictly (UTF-8,
no duplicate keys, no NaN), compared with its schema by code that knows nothing of the grammar, and
written again: the form of ``json.dumps`` has to come out byte for byte (``--form compact``: without
spaces). In ``--form text`` a text is no JSON but has to be Unicode, hold a literal and have 3 to 60
words. Exit code 1 if any is invalid, 2 if there is nothing to run on.

Half of the answers jump over forced tokens, the other half take every token from the mask.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from structq.decoding import GrammarMatcher, Grammars, TextMatcher, TextRules
from structq.texts import n_words

NANO = Path(__file__).parent.parent / "structq" / "nano" / "tokenizer.json"
FIXED_SCALES = [(1, 6), (0, 9), (1, 10), (1, 100), (-3, 3)]
EVOLVED: dict[str, Any] = {
    "type": "object",
    "properties": {"evolved_response": {"type": "string"}},
    "required": ["evolved_response"],
    "additionalProperties": False,
}
QUOTE_BIAS = 8.0
RULES = TextRules(literals=("$$\\frac{a}{b}$$",), min_words=3, max_words=60)
"""What a text in form ``text`` must keep."""
Matcher = GrammarMatcher | TextMatcher


@dataclass
class Timings:
    """Seconds of single operations, by name."""

    seconds: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, started: float) -> None:
        """Take down what ran since ``started``."""
        self.seconds.setdefault(name, []).append(time.perf_counter() - started)

    def lines(self) -> Iterator[str]:
        """One line of text an operation."""
        for name, found in self.seconds.items():
            high = float(np.quantile(found, 0.99))
            middle = statistics.median(found)
            times = f"median {1e6 * middle:7.1f} us   99 % {1e6 * high:8.1f} us"
            yield f"  {name:<15} {times}   n {len(found)}"


class Sampler:
    """Draws one answer after the other from random logits."""

    def __init__(self, grammars: Grammars, timings: Timings, form: str = "json") -> None:
        self._grammars = grammars
        self.form = form
        self._timings = timings
        tokens = grammars.vocabulary.tokens
        # One block of noise is drawn; each step reads it from another place, into one buffer:
        # half a megabyte of fresh memory costs more than the mask of a large vocabulary.
        noise = np.random.default_rng(0).normal(size=2 * len(tokens) + 4096)
        self._noise = noise.astype(np.float32)
        self._logits = np.empty(len(tokens), np.float32)
        self._quotes = grammars.vocabulary.starting_with(b'"')
        self._eos = grammars.vocabulary.eos_token_id

    def draw(
        self, schema: dict[str, Any], rng: np.random.Generator, *, free: int, cap: int, jump: bool
    ) -> tuple[bytes, bool]:
        """The bytes of one answer, and whether it ended before ``cap`` tokens."""
        started = time.perf_counter()
        matcher = self._matcher(schema)
        self._timings.add("new matcher", started)
        taken: list[int] = []
        while len(taken) < cap:
            if jump:
                taken += self._jump(matcher)
            token = self._choose(matcher, rng, favour_end=len(taken) >= free)
            if token == self._eos:
                return self._finished(matcher, taken), True
            taken.append(token)
            if self.form == "text" and matcher.is_complete:
                return self._finished(matcher, taken), True
        return self._grammars.vocabulary.decode(taken), False

    def _matcher(self, schema: dict[str, Any]) -> Matcher:
        if self.form == "text" and schema is EVOLVED:
            return self._grammars.text_matcher(RULES)
        return self._grammars.matcher(schema, spaced=self.form != "compact")

    def _finished(self, matcher: Matcher, taken: list[int]) -> bytes:
        text = self._grammars.vocabulary.decode(taken)
        if self.form != "text":
            return text
        # A text that its limit ended may stop inside of a character, which is cut off then.
        return matcher.finish(text.decode("utf-8", "ignore"))[0].encode()

    def _jump(self, matcher: Matcher) -> list[int]:
        started = time.perf_counter()
        run = matcher.forced()
        self._timings.add("forced run", started)
        for token in run:
            matcher.consume(token)
        return run

    def _choose(self, matcher: Matcher, rng: np.random.Generator, *, favour_end: bool) -> int:
        logits = self._logits
        at = int(rng.integers(len(self._noise) - len(logits)))
        np.copyto(logits, self._noise[at : at + len(logits)])
        if favour_end:
            logits[self._quotes if self.form != "text" else self._eos] += QUOTE_BIAS
        started = time.perf_counter()
        matcher.apply(logits)
        self._timings.add("mask and apply", started)
        token = int(np.argmax(logits))
        started = time.perf_counter()
        matcher.consume(token)
        self._timings.add("consume", started)
        return token


def read_strictly(text: bytes, *, spaced: bool = True) -> Any:
    """The value, if the text is strict JSON as json.dumps writes it, with or without its spaces.

    Raises:
        ValueError: It is not.
    """

    def refuse(name: str) -> Any:
        raise ValueError(f"not a JSON number: {name}")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) < len(pairs):
            raise ValueError("a key is there twice")
        return dict(pairs)

    value = json.loads(text.decode("utf-8"), parse_constant=refuse, object_pairs_hook=unique)
    separators = (", ", ": ") if spaced else (",", ":")
    if json.dumps(value, ensure_ascii=False, separators=separators).encode("utf-8") != text:
        raise ValueError("not as json.dumps writes it")
    return value


def score_fault(text: bytes, n_scores: int, labels: range, *, spaced: bool = True) -> str | None:
    """What is wrong with a score vector."""
    try:
        value = read_strictly(text, spaced=spaced)
    except ValueError as error:
        return str(error)
    if not isinstance(value, dict) or list(value) != ["scores"]:
        return "other keys"
    scores = value["scores"]
    if not isinstance(scores, list) or len(scores) != n_scores:
        return "another number of scores"
    return None if all(type(score) is int and score in labels for score in scores) else "label"


def plain_fault(text: bytes) -> str | None:
    """What is wrong with a text in form ``text``."""
    try:
        said = text.decode("utf-8")
    except UnicodeDecodeError as error:
        return str(error)
    if RULES.literals[0] not in said:
        return "the literal is missing"
    within = RULES.min_words <= n_words(said) <= (RULES.max_words or 0) + n_words(RULES.literals[0])
    return None if within else f"{n_words(said)} words"


def text_fault(text: bytes, *, spaced: bool = True) -> str | None:
    """What is wrong with an evolved text."""
    try:
        value = read_strictly(text, spaced=spaced)
    except ValueError as error:
        return str(error)
    if not isinstance(value, dict) or list(value) != ["evolved_response"]:
        return "other keys"
    return None if isinstance(value["evolved_response"], str) else "not a text"


def score_schema(n_scores: int, labels: range) -> dict[str, Any]:
    """The closed schema of a list of exactly ``n_scores`` labels."""
    scores = {
        "type": "array",
        "items": {"enum": list(labels)},
        "minItems": n_scores,
        "maxItems": n_scores,
    }
    return {**EVOLVED, "properties": {"scores": scores}, "required": ["scores"]}


def check_vectors(sampler: Sampler, which: Iterable[int], seed: int) -> Counter[str]:
    """Counts of valid and invalid score vectors; each number is one vector."""
    found: Counter[str] = Counter()
    for index in which:
        rng = np.random.default_rng([seed, 1, index])
        n_scores = 1 + index % 16
        low, high = FIXED_SCALES[index // 32 % len(FIXED_SCALES)]
        labels = range(1, n_scores + 2) if index // 16 % 2 == 0 else range(low, high + 1)
        schema = score_schema(n_scores, labels)
        text, ended = sampler.draw(schema, rng, free=1000, cap=1000, jump=bool(rng.integers(2)))
        spaced = sampler.form != "compact"
        fault = score_fault(text, n_scores, labels, spaced=spaced) if ended else "cut off"
        found[_named(fault, text)] += 1
    return found


def check_texts(sampler: Sampler, which: Iterable[int], seed: int, max_tokens: int) -> Counter[str]:
    """Counts of valid, invalid and cut off texts; each number is one text."""
    found: Counter[str] = Counter()
    for index in which:
        rng = np.random.default_rng([seed, 2, index])
        free = int(rng.integers(1, max_tokens // 2))
        text, ended = sampler.draw(
            EVOLVED, rng, free=free, cap=max_tokens, jump=bool(rng.integers(2))
        )
        if sampler.form == "text":
            fault = plain_fault(text)
        else:
            fault = text_fault(text, spaced=sampler.form != "compact")
        found[_named(fault, text) if ended else "cut off"] += 1
    return found


def _named(fault: str | None, text: bytes) -> str:
    if fault is None:
        return "valid"
    print(f"  INVALID ({fault}): {text[:200]!r}", file=sys.stderr)
    return "invalid"


def synthetic_tokenizer(n_vocab: int) -> Tokenizer:
    """A byte-level BPE vocabulary of the given size, made without a corpus, the same every time.

    There are tokens with quotes, backslashes and parts of characters at any place in them.
    """
    vocab, merges = _merged(["<|end|>"], sorted(pre_tokenizers.ByteLevel.alphabet()), n_vocab)
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|end|>"])
    return tokenizer


def synthetic_pieces(n_vocab: int) -> Tokenizer:
    """A vocabulary of the given size as sentencepiece makes them, the same every time.

    Pieces are of whole characters of five scripts, spaces are marks, a mark stands before a text,
    and a character that is no piece falls back to its bytes: one text has many spellings.
    """
    scripts = [(33, 127), (192, 384), (913, 970), (1040, 1104), (19968, 22000)]
    characters = ["\u2581", *(chr(code) for low, high in scripts for code in range(low, high))]
    raw = [f"<0x{byte:02X}>" for byte in range(256)]
    vocab, merges = _merged(["<unk>", "</s>", *raw], characters, n_vocab)
    model = models.BPE(
        vocab=vocab, merges=merges, byte_fallback=True, unk_token="<unk>", fuse_unk=True
    )
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    spaces = decoders.Replace("\u2581", " ")
    strip = decoders.Strip(" ", 1, 0)
    tokenizer.decoder = decoders.Sequence([spaces, decoders.ByteFallback(), decoders.Fuse(), strip])
    tokenizer.add_special_tokens(["<unk>", "</s>"])
    return tokenizer


def _merged(
    first: list[str], characters: list[str], n_vocab: int
) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Tokens and merges: each joins two drawn from those before it, the early ones more often."""
    rng = np.random.default_rng(n_vocab)
    pieces, known, merges = list(characters), set(characters), []
    while len(first) + len(pieces) < n_vocab:
        left, right = (pieces[int(place * len(pieces))] for place in rng.random((2,)) ** 3)
        joined = left + right
        if joined in known or len(joined) > 16:
            continue
        known.add(joined)
        pieces.append(joined)
        merges.append((left, right))
    return {piece: at for at, piece in enumerate([*first, *pieces])}, merges


SYNTHETIC = {"bytes": synthetic_tokenizer, "pieces": synthetic_pieces}


def _tokenizer(args: argparse.Namespace) -> Tokenizer:
    if args.synthetic_vocabulary:
        return SYNTHETIC[args.kind](args.synthetic_vocabulary)
    path = args.tokenizer or NANO
    if not path.is_file():
        _refuse(f"no tokenizer at {path} (name one: --tokenizer, or --synthetic-vocabulary N)")
    return Tokenizer.from_file(str(path))


def _end_token(tokenizer: Tokenizer, name: str | None) -> int:
    for one in [name] if name else ["<|end|>", "<|im_end|>", "</s>", "<|endoftext|>", "<|eot_id|>"]:
        found = tokenizer.token_to_id(one)
        if found is not None:
            return int(found)
    _refuse(f"the tokenizer has no end-of-answer token {name or ''} (name it with --eos)")


def _refuse(reason: str) -> NoReturn:
    print(reason, file=sys.stderr)
    sys.exit(2)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--tokenizer", type=Path, help="a tokenizer.json (default: nano's)")
    source.add_argument("--synthetic-vocabulary", type=int, metavar="N", help="N made-up tokens")
    parser.add_argument("--kind", choices=SYNTHETIC, default="bytes", help="of made-up tokens")
    parser.add_argument("--eos", help="the end-of-answer token (default: the usual names)")
    parser.add_argument("--form", choices=["text", "json", "compact"], default="json")
    parser.add_argument("--vectors", type=int, default=20_000)
    parser.add_argument("--texts", type=int, default=2_000)
    parser.add_argument("--max-tokens", type=int, default=160, help="cap of a text")
    parser.add_argument("--part", type=_part, default=(1, 1), metavar="I/N", help="one of N runs")
    parser.add_argument("--seed", type=int, default=42)
    return parser.parse_args(argv)


def _part(text: str) -> tuple[int, int]:
    part, of = (int(number) for number in text.split("/"))
    if not 1 <= part <= of:
        raise ValueError(text)
    return part, of


def main(argv: list[str] | None = None) -> int:
    """Run the checks; 0 if every answer is valid."""
    args = _arguments(argv)
    print("command:", shlex.join(["python", "benchmarks/guarantee.py", *(argv or sys.argv[1:])]))
    started = time.perf_counter()
    tokenizer = _tokenizer(args)
    n_vocab = tokenizer.get_vocab_size(with_added_tokens=True)
    eos = _end_token(tokenizer, args.eos)
    built = time.perf_counter()
    grammars = Grammars(tokenizer, eos_token_id=eos, n_vocab=n_vocab)
    print(f"vocabulary: {n_vocab} tokens, ready in {time.perf_counter() - built:.2f} s")
    print(
        f"settings: form {args.form}, seed {args.seed}, texts of at most {args.max_tokens} tokens"
    )
    timings = Timings()
    sampler = Sampler(grammars, timings, args.form)
    part, of = args.part
    vectors = check_vectors(sampler, range(part - 1, args.vectors, of), args.seed)
    print(_line("score vectors", vectors))
    which = range(part - 1, args.texts, of)
    texts = check_texts(sampler, which, args.seed, args.max_tokens)
    print(_line("evolved texts", texts))
    print("cost of one operation:", *timings.lines(), sep="\n")
    seconds, cpu = time.perf_counter() - started, time.process_time()
    print(f"seconds: {seconds:.1f}, of the processor: {cpu:.1f}")
    return int(bool(vectors["invalid"] or texts["invalid"]))


def _line(name: str, found: Counter[str]) -> str:
    counts = ", ".join(f"{found[kind]} {kind}" for kind in ("valid", "invalid", "cut off"))
    return f"{name}: {found.total()} drawn, {counts}"


if __name__ == "__main__":
    sys.exit(main())
