"""Reads exports with their trainers' own readers: ``python readers.py FOLDER``.

`exports.py` runs it in the environment that it makes. Each reader must hand out the row's texts.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.export.trl_steps import TEMPLATE, tokenizer

Row = dict[str, Any]


def rows_of(folder: Path) -> list[Row]:
    with (folder / "train.jsonl").open(encoding="utf8", newline="\n") as file:
        return [json.loads(line) for line in file]


def texts_of(value: Any) -> list[str]:
    """Every text of a row that is no role and no column's name."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for one in value for text in texts_of(one)]
    if isinstance(value, dict):
        return [
            t for key, one in value.items() if key not in ("role", "from") for t in texts_of(one)
        ]
    return []


def check(told: str, row: Row) -> None:
    missing = [text for text in texts_of(row) if text and text not in told]
    if missing:
        sys.exit(f"not read: {missing[0]!r} of {row}\nread: {told}")


def by_datasets(folder: Path) -> int:
    from datasets import load_dataset

    data = load_dataset(str(folder), split="train")
    if list(data) != rows_of(folder):
        sys.exit(f"{folder}: datasets reads other rows")
    return len(data)


def by_axolotl(folder: Path) -> int:
    read = _axolotl_reader(folder.name)
    rows = rows_of(folder)
    for row in rows:
        check(read(json.loads(json.dumps(row))), row)
    return len(rows)


def _axolotl_reader(kind: str) -> Callable[[Row], str]:
    """What turns a row into the text that Axolotl trains on, as one text."""
    words = tokenizer()
    config = Config(chat_template="jinja", chat_template_jinja=TEMPLATE, sequence_len=4096)
    config["datasets"] = [{}]
    strategies = "axolotl.prompt_strategies"
    if kind == "dpo":
        made = importlib.import_module(f"{strategies}.dpo").load("chat_template.default", config)
        return lambda row: _joined(made[0](row, tokenizer=words))
    if kind == "kto":
        transform = importlib.import_module(f"{strategies}.kto").load("chatml.argilla_chat", config)
        return lambda row: _joined(transform(row))
    load = importlib.import_module(strategies).load
    if kind == "alpaca":
        strategy = load("alpaca_w_system.load_instruct", words, config, {})
    elif kind == "reward":
        load = importlib.import_module(f"{strategies}.bradley_terry").load
        config["reward_model"] = True
        strategy = load("chat_template", words, config, {})
    elif kind == "sft":
        strategy = load("chat_template", words, config, {})
    else:
        mapping = {"role": "from", "content": "value"}
        columns = {"field_messages": "conversations", "message_property_mappings": mapping}
        strategy = load("chat_template", words, config, columns)

    def read(row: Row) -> str:
        tokens = strategy.tokenize_prompt(row)
        names = ("chosen_ids", "rejected_ids") if kind == "reward" else ("input_ids",)
        return "\n".join(words.decode(tokens[name]) for name in names)

    return read


class Config(dict[str, Any]):
    """Axolotl's configuration: what is not set is ``None``."""

    def __getattr__(self, name: str) -> Any:
        return self.get(name)


def _joined(row: Row) -> str:
    return "\n".join(
        row[name] for name in ("prompt", "chosen", "rejected", "completion") if name in row
    )


def by_llama_factory(folder: Path) -> int:
    parser, converter = _llama_factory()
    (name,) = json.loads((folder / "dataset_info.json").read_text(encoding="utf8"))
    (columns,) = parser.get_dataset_list([name], str(folder))
    read = converter.get_dataset_converter(
        columns.formatting, columns, SimpleNamespace(media_dir=None)
    )
    rows = rows_of(folder)
    for row in rows:
        found = read(row)
        check("\n".join(texts_of(found)), row)
        if len(found["_prompt"]) % 2 != 1 or not found["_response"]:
            sys.exit(f"{folder}: an abnormal row for LLaMA-Factory: {found}")
    return len(rows)


def _llama_factory() -> tuple[Any, Any]:
    """Its parser and converter, without the package around them, which wants video and audio."""
    spec = importlib.util.find_spec("llamafactory")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("llamafactory is not installed")
    around = types.ModuleType("llamafactory.data")
    around.__path__ = [f"{spec.submodule_search_locations[0]}/data"]
    sys.modules["llamafactory.data"] = around
    names = ("llamafactory.data.parser", "llamafactory.data.converter")
    parser, converter = map(importlib.import_module, names)
    return parser, converter


READERS = {
    "axolotl": ("Axolotl's strategies", by_axolotl),
    "llama-factory": ("LLaMA-Factory's converter", by_llama_factory),
}


def main(folder: str) -> None:
    for trainer in ("trl", "axolotl", "llama-factory"):
        for export in sorted((Path(folder) / trainer).iterdir()):
            for reader, read in (("datasets", by_datasets), READERS.get(trainer, ("", None))):
                if read is not None:
                    found = {"reader": reader, "trainer": trainer, "kind": export.name}
                    print("told " + json.dumps(found | {"n": read(export)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
