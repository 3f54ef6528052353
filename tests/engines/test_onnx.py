import json
import shutil

import numpy as np
import pytest

from structq.engines.backends.onnx.runtime import OnnxRuntime
from structq.engines.backends.onnx.session import passes
from structq.errors import InputError

PROMPT = [("user", "Rewrite the response so that it is more helpful to the user.")]


def ids(n, seed=0):
    return np.random.default_rng(seed).integers(5, 300, n).tolist()


def decode_row(runtime, slot, slots, prompt, tokens):
    """Logits of the row after its prompt and after each token, among rows of other lengths."""
    rng = np.random.default_rng(slot + 100 * len(slots))
    for other in slots:
        runtime.rewind(other, 0)
        runtime.extend(other, rng.integers(5, 300, int(rng.integers(1, 200))).tolist(), 1)
    runtime.rewind(slot, 0)
    seen = [runtime.extend(slot, prompt, 1)[0]]
    place = slots.index(slot)
    for token in tokens:
        said = rng.integers(5, 300, len(slots)).tolist()
        said[place] = token
        seen.append(runtime.step(slots, said)[place])
    return np.array(seen)


@pytest.mark.parametrize(
    ("slot", "slots"),
    [
        (0, [0]),
        (5, [5]),
        (1, [0, 1]),
        (2, [0, 1, 2]),
        (7, range(8)),
        (3, range(8)),
        (31, range(32)),
        (13, range(13, 32)),
        (32, range(33)),
    ],
    ids=str,
)
def test_a_row_has_the_same_bits_in_every_batch_and_slot(runtime, slot, slots):
    prompt, tokens = ids(90, 1), ids(24, 2)
    alone = decode_row(runtime, 0, [0], prompt, tokens)
    np.testing.assert_array_equal(decode_row(runtime, slot, list(slots), prompt, tokens), alone)


def test_two_threads_give_the_bits_of_one(runtime, tiny_folder):
    two = OnnxRuntime(tiny_folder, n_slots=8, n_threads=2)
    slots, prompt, tokens = list(range(8)), ids(140, 1), ids(8, 2)
    np.testing.assert_array_equal(
        decode_row(two, 4, slots, prompt, tokens), decode_row(runtime, 0, [0], prompt, tokens)
    )


def test_long_prompts_give_the_logits_of_the_last_positions(runtime):
    prompt = ids(300)
    everything = runtime.extend(0, prompt, 300)
    assert everything.shape == (300, runtime.n_vocab)
    for n_logits in (1, 2, 44, 45, 172, 173):
        runtime.rewind(0, 0)
        np.testing.assert_array_equal(runtime.extend(0, prompt, n_logits), everything[-n_logits:])


@pytest.mark.parametrize("n", [*range(1, 12), 33, 64, 65, 127, 128, 129, 130, 137, 257, 258, 300])
def test_passes_cover_a_text_and_none_ends_in_a_block_of_one(n):
    bounds = list(passes(n))
    assert [first for first, _ in bounds] == [0, *(past for _, past in bounds[:-1])]
    assert bounds[-1][1] == n
    assert n == 1 or all((past - first) % 8 != 1 for first, past in bounds)


@pytest.mark.parametrize("n", [20, 66, 97, 129, 195, 290])
@pytest.mark.parametrize("n_shared", [17, 33, 65, 96, 128, 189, -2, -1])
def test_a_beginning_that_a_slot_holds_changes_no_bit(runtime, n, n_shared):
    prompt = ids(n)
    fresh = runtime.extend(0, prompt, 2)
    runtime.rewind(0, 0)
    runtime.extend(0, ids(40, 9), 1)
    runtime.extend(3, prompt[:n_shared] + ids(5, 8), 1)
    np.testing.assert_array_equal(runtime.extend(6, prompt, 2), fresh)
    np.testing.assert_array_equal(runtime.extend(7, prompt, 2), fresh)


def test_a_beginning_that_a_slot_holds_is_not_computed_again(runtime, monkeypatch):
    run, n_columns = runtime._run, []
    monkeypatch.setattr(
        runtime,
        "_run",
        lambda first, ids, *rest: n_columns.append(ids.shape[1]) or run(first, ids, *rest),
    )
    for slot, rest in ((0, ids(9, 1)), (5, ids(8, 2)), (0, ids(7, 3))):
        runtime.rewind(slot, 0)
        runtime.extend(slot, ids(60) + rest, 2)
    assert n_columns == [69, 8, 7]


def test_what_a_step_wrote_is_not_given_to_other_rows(runtime):
    text = ids(40)
    fresh = runtime.extend(0, text, 2)
    runtime.rewind(0, 20)
    for token in text[20:]:
        runtime.step([0], [token])
    np.testing.assert_array_equal(runtime.extend(1, text, 2), fresh)


def test_what_an_idle_slot_writes_is_not_given_to_other_rows(runtime):
    text = ids(40)
    fresh = runtime.extend(0, text, 2)
    runtime.extend(2, [9, 8], 1)
    runtime.rewind(0, 30)
    runtime.step([2], [7])
    np.testing.assert_array_equal(runtime.extend(1, text, 2), fresh)


def test_rewinding_forgets_what_came_after(runtime):
    prompt, draft, tokens = ids(20), ids(3, 1), ids(4, 2)
    runtime.extend(0, prompt, 1)
    clean = runtime.extend(0, tokens, 4)
    runtime.rewind(0, 0)
    runtime.extend(0, [*prompt, *draft], 1)
    runtime.rewind(0, 20)
    np.testing.assert_array_equal(runtime.extend(0, tokens, 4), clean)
    assert runtime.length(0) == 24


def test_slots_that_are_not_asked_for_keep_their_text(runtime):
    for slot in range(3):
        runtime.extend(slot, ids(30 + slot, slot), 1)
    runtime.step([0, 2], [7, 8])
    kept = runtime.step([1], [9])
    runtime.rewind(0, 0)
    runtime.extend(0, ids(31, 1), 1)
    np.testing.assert_array_equal(runtime.step([0], [9]), kept)


def test_a_full_slot_survives_steps_of_its_neighbours(runtime):
    full = ids(runtime.window)
    last = runtime.extend(1, full, 1)
    runtime.extend(0, [9], 1)
    runtime.extend(2, [9], 1)
    runtime.step([0, 2], [7, 8])
    runtime.rewind(1, runtime.window - 1)
    np.testing.assert_array_equal(runtime.step([1], full[-1:]).argmax(), last.argmax())


def test_more_than_the_window_is_refused_and_changes_nothing(runtime):
    runtime.extend(0, ids(1000), 1)
    with pytest.raises(ValueError, match="1025 tokens"):
        runtime.extend(0, ids(25), 1)
    assert runtime.length(0) == 1000
    runtime.extend(0, ids(24), 1)
    with pytest.raises(ValueError, match="at most 1024"):
        runtime.step([0], [5])


def test_steps_keep_the_order_of_the_slots(runtime):
    for slot in (0, 1, 2):
        runtime.extend(slot, ids(10, slot), 1)
    forward = runtime.step([0, 1, 2], [5, 6, 7])
    for slot in (0, 1, 2):
        runtime.rewind(slot, 10)
    np.testing.assert_array_equal(runtime.step([2, 0, 1], [7, 5, 6]), forward[[2, 0, 1]])


def test_the_chat_template_ends_with_the_assistants_header(runtime):
    tokens = runtime.encode([("system", "s"), ("user", "u"), ("assistant", "a"), ("user", "v")])
    names = [runtime.tokenizer.id_to_token(token) for token in tokens]
    assert names == [
        *("<|system|>", "s", "<|end|>", "<|user|>", "u", "<|end|>"),
        *("<|assistant|>", "a", "<|end|>", "<|user|>", "v", "<|end|>", "<|assistant|>"),
    ]


def test_markers_of_the_template_inside_a_text_stay_text(runtime):
    text = "a<|end|><|assistant|>b<|pad|>"
    tokens = runtime.encode([("user", text)])
    special = {
        runtime.tokenizer.token_to_id(name) for name in ("<|end|>", "<|assistant|>", "<|pad|>")
    }
    assert not special & set(tokens[1:-2])
    assert runtime.decode(tokens[1:-2]) == text


@pytest.mark.parametrize("text", ["", "déjà vu", "日本語 🙂", "a\r\n\tb", "  two  spaces "])
def test_text_survives_encoding(runtime, text):
    assert runtime.decode(runtime.encode_text(text)) == text


def test_a_lone_surrogate_is_named(runtime):
    with pytest.raises(InputError, match="lone surrogate at character 2"):
        runtime.encode([("user", "ab\ud800")])


def test_an_unknown_role_is_named(runtime):
    with pytest.raises(InputError, match="unknown role: tool"):
        runtime.encode([("tool", "x")])


def test_the_name_changes_with_the_weights(runtime, tiny_folder, tmp_path):
    shutil.copytree(tiny_folder, tmp_path / "tiny")
    assert OnnxRuntime(tmp_path / "tiny", n_slots=1).name == runtime.name
    facts = json.loads((tmp_path / "tiny/model.json").read_text())
    (tmp_path / "tiny/model.json").write_text(json.dumps(facts | {"window": 100}))
    assert OnnxRuntime(tmp_path / "tiny", n_slots=1).name != runtime.name


def without(name):
    return lambda folder: (folder / name).unlink()


def with_text(name, text):
    return lambda folder: (folder / name).write_text(text)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without("model.onnx"), "has no model.onnx"),
        (without("tokenizer.json"), "has no tokenizer.json"),
        (without("model.json"), "has no model.json"),
        (with_text("model.onnx", "x"), "is not a graph"),
        (with_text("tokenizer.json", "{}"), "is not a tokenizer"),
        (with_text("model.json", "{"), "is not JSON"),
        (with_text("model.json", '{"n_layers": 1}'), "does not describe an LM: KeyError"),
        (
            with_text(
                "model.json",
                '{"n_layers": 3, "n_kv_heads": 2, "head_dim": 16, "window": 9, '
                '"chat_template": "x", "eos_token_id": 4}',
            ),
            "other inputs",
        ),
    ],
)
def test_a_spoiled_folder_is_named(tiny_folder, tmp_path, spoil, message):
    folder = tmp_path / "lm"
    shutil.copytree(tiny_folder, folder)
    spoil(folder)
    with pytest.raises(InputError, match=message):
        OnnxRuntime(folder)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        OnnxRuntime(tmp_path / "missing")


def test_roles_of_one_token_are_a_template_like_any_other(runtime):
    """The tokens of nano's prompts, as they were before its roles became a template."""
    texts = [" Hello \n", "", "a<|end|>b <|user|>", "one\n\n  two", "<|", "Straße 東京 🙂"]
    tokenizer = runtime.tokenizer
    header, end = tokenizer.token_to_id("<|user|>"), tokenizer.token_to_id("<|end|>")
    for text in texts:
        body = tokenizer.encode(text, add_special_tokens=False).ids
        wanted = [header, *body, end, tokenizer.token_to_id("<|assistant|>")]
        assert runtime.encode([("user", text)]) == wanted
        assert runtime.encode([("system", text), ("user", text)]) == [
            tokenizer.token_to_id("<|system|>"),
            *body,
            end,
            *wanted,
        ]


def test_each_lm_says_how_it_writes_best(runtime, tiny_folder, tmp_path):
    assert runtime.form == "compact"
    shutil.copytree(tiny_folder, tmp_path / "tiny")
    facts = json.loads((tmp_path / "tiny/model.json").read_text())
    (tmp_path / "tiny/model.json").write_text(json.dumps(facts | {"form": "json"}))
    assert OnnxRuntime(tmp_path / "tiny", n_slots=1).form == "json"


def test_a_pass_covers_only_the_rows_that_are_asked_for(runtime, monkeypatch):
    for slot in (0, 9, 20, 31):
        runtime.extend(slot, ids(30 + slot, slot), 1)
    alone = [runtime.step([slot], [slot + 5])[0] for slot in (9, 31)]
    for slot in (9, 31):
        runtime.rewind(slot, 30 + slot)
    run, n_rows = runtime._run, []
    monkeypatch.setattr(
        runtime,
        "_run",
        lambda first, ids, *rest: n_rows.append(len(ids)) or run(first, ids, *rest),
    )
    np.testing.assert_array_equal(runtime.step([9, 31], [14, 36]), alone)
    assert n_rows == [2]
    assert [runtime.length(slot) for slot in (0, 9, 20, 31)] == [30, 40, 50, 62]
