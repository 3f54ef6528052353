import json

import pytest

from structq.engines.hub import looks_like_hub_id
from structq.engines.hub_files import HubFiles
from structq.errors import InputError
from tests.hub_export import write_settings

TURNS = [("user", "a<|end|>b")]


@pytest.fixture
def folder(tmp_path):
    write_settings(tmp_path)
    return tmp_path


def change(folder, name, **values):
    path = folder / name
    found = json.loads(path.read_text())
    path.write_text(json.dumps({**found, **values}))


def words(folder):
    files = HubFiles(folder)
    return files.chat.plain.decode(files.chat.encode(TURNS), skip_special_tokens=False)


PLAIN = "{% for m in messages %}<|user|>{{ m.content }}{% endfor %}"


@pytest.mark.parametrize(
    "template",
    [
        PLAIN,
        [{"name": "tool_use", "template": "x"}, {"name": "default", "template": PLAIN}],
        "{% for m in messages %}{% generation %}<|user|>{{ m.content }}{% endgeneration %}"
        "{% endfor %}",
        "{% for m in messages %}{% if m.role == 'tool' %}{% continue %}{% endif %}"
        "<|user|>{{ m.content }}{% endfor %}",
        "{{ bos_token }}" + PLAIN,
    ],
    ids=["text", "by name", "generation", "loop controls", "no bos"],
)
def test_templates_of_the_hub_are_read(folder, template):
    change(folder, "tokenizer_config.json", chat_template=template)
    assert words(folder) == "<|user|>a<|end|>b"


def test_a_template_in_a_file_of_its_own_comes_first(folder):
    (folder / "chat_template.jinja").write_text("{{ messages[0].content }}<|assistant|>")
    assert words(folder) == "a<|end|>b<|assistant|>"


def test_a_template_may_refuse(folder):
    change(folder, "tokenizer_config.json", chat_template="{{ raise_exception('no ' ~ 1) }}")
    with pytest.raises(InputError, match="refuses turns of user: no 1"):
        HubFiles(folder).chat.encode(TURNS)


def test_a_template_runs_in_the_sandbox(folder):
    escape = "{{ messages.__class__.__mro__ }}" + PLAIN
    change(folder, "tokenizer_config.json", chat_template=escape)
    with pytest.raises(InputError, match="unsafe"):
        HubFiles(folder).chat.encode(TURNS)


@pytest.mark.parametrize(
    ("eos", "generation", "expected"),
    [
        ("<|end|>", {"eos_token_id": 0}, 4),
        (None, {"eos_token_id": [2, 3]}, 2),
        (None, {}, 1),
    ],
    ids=["tokenizer", "generation", "config"],
)
def test_the_end_is_where_the_hub_says(folder, eos, generation, expected):
    change(folder, "tokenizer_config.json", eos_token=eos)
    (folder / "generation_config.json").write_text(json.dumps(generation))
    change(folder, "config.json", eos_token_id=1)
    assert HubFiles(folder).eos_token_id == expected


def test_an_lm_without_an_end_is_named(folder):
    change(folder, "tokenizer_config.json", eos_token=None)
    (folder / "generation_config.json").unlink()
    with pytest.raises(InputError, match="names the token that ends an answer"):
        HubFiles(folder)


def test_the_settings_of_a_part_for_text_count(folder):
    change(folder, "config.json", text_config={"max_position_embeddings": 77})
    assert HubFiles(folder).window(None) == 77


@pytest.mark.parametrize(
    ("place", "is_id"),
    [
        ("a/b", True),
        ("gpt2", True),
        ("./a", False),
        ("/a", False),
        ("~/a", False),
        ("a/b/c", False),
    ],
)
def test_ids_are_told_from_paths(place, is_id):
    assert looks_like_hub_id(place) is is_id
