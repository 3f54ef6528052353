"""The columns of each trainer: TRL 1.16, Axolotl 0.19, LLaMA-Factory 0.9.5."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from structq.export.choose import Labelled, Pair
from structq.export.scored import Message
from structq.export.settings import ExportSettings

__all__ = ["Feature", "Layout", "Shape", "layout_for"]

Record = dict[str, Any]
Feature = dict[str, Any]
"""A column's type, as the header of a dataset card writes it."""


@dataclass(frozen=True)
class Shape:
    """The columns of a record."""

    make: Callable[[list[Message], Any], Record]
    """From the conversation and what was chosen: a ``Pair``, a ``Labelled`` or a text."""

    features: list[Feature]
    """Columns and their types, ``margin`` apart."""

    one_turn: bool = False
    """Whether a conversation of several turns has no place in it."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How one kind of data is written for one trainer."""

    shape: Shape
    """The columns."""

    reading: str
    """How the trainer is told to read it: Python for TRL, YAML for the others."""

    dataset_info: Record = field(default_factory=dict)
    """LLaMA-Factory's description of the file, its name apart."""


def layout_for(settings: ExportSettings) -> Layout:
    """The layout of a kind of data for a trainer."""
    if settings.trainer == "axolotl":
        axolotl_shape, lines = _AXOLOTL[settings.to]
        return Layout(shape=axolotl_shape, reading=lines)
    if settings.trainer == "llama-factory":
        factory_shape, stage, info = _LLAMA_FACTORY[settings.to]
        reading = f"stage: {stage}\ndataset_dir: .\ndataset: NAME"
        return Layout(shape=factory_shape, reading=reading, dataset_info=info)
    trl_shape, name = _TRL[settings.to]
    data = 'load_dataset("json", data_files="train.jsonl", split="train")'
    return Layout(shape=trl_shape, reading=f"{name}(train_dataset={data})")


def _answer(text: str) -> Message:
    return {"role": "assistant", "content": text}


def _system_of(messages: list[Message]) -> str:
    return messages[0]["content"] if messages[0]["role"] == "system" else ""


def _trl_pair(messages: list[Message], pair: Pair) -> Record:
    answers = {"chosen": [_answer(pair.chosen)], "rejected": [_answer(pair.rejected)]}
    return {"prompt": messages, **answers}


def _turns_pair(messages: list[Message], pair: Pair) -> Record:
    answers = {"chosen": _answer(pair.chosen), "rejected": _answer(pair.rejected)}
    return {"messages": messages, **answers}


def _plain_pair(messages: list[Message], pair: Pair) -> Record:
    asked = {"system": _system_of(messages), "input": messages[-1]["content"]}
    return {**asked, "chosen": pair.chosen, "rejected": pair.rejected}


def _trl_labelled(messages: list[Message], one: Labelled) -> Record:
    return {"prompt": messages, "completion": [_answer(one.text)], "label": one.label}


def _whole_labelled(messages: list[Message], one: Labelled) -> Record:
    return {"completion": [*messages, _answer(one.text)], "label": one.label}


def _messages(messages: list[Message], text: str) -> Record:
    return {"messages": [*messages, _answer(text)]}


def _conversations(messages: list[Message], text: str) -> Record:
    names = {"system": "system", "user": "human", "assistant": "gpt"}
    turns = [*messages, _answer(text)]
    return {
        "conversations": [{"from": names[one["role"]], "value": one["content"]} for one in turns]
    }


def _alpaca(messages: list[Message], text: str) -> Record:
    asked = {"instruction": messages[-1]["content"], "input": "", "output": text}
    return {**asked, "system": _system_of(messages)}


def _texts(*names: str) -> list[Feature]:
    return [{"name": name, "dtype": "string"} for name in names]


def _turns(name: str) -> Feature:
    return {"name": name, "list": _TURN}


_TURN = _texts("role", "content")
_LABEL: Feature = {"name": "label", "dtype": "bool"}

_TRL_PAIR = Shape(_trl_pair, [_turns("prompt"), _turns("chosen"), _turns("rejected")])
_ANSWERS = [{"name": name, "struct": _TURN} for name in ("chosen", "rejected")]
_TURNS_PAIR = Shape(_turns_pair, [_turns("messages"), *_ANSWERS])
_PLAIN_PAIR = Shape(_plain_pair, _texts("system", "input", "chosen", "rejected"), one_turn=True)
_TRL_KTO = Shape(_trl_labelled, [_turns("prompt"), _turns("completion"), _LABEL])
_WHOLE_KTO = Shape(_whole_labelled, [_turns("completion"), _LABEL])
_SFT = Shape(_messages, [_turns("messages")])
_SHAREGPT = Shape(_conversations, [{"name": "conversations", "list": _texts("from", "value")}])
_ALPACA = Shape(_alpaca, _texts("instruction", "input", "output", "system"), one_turn=True)

_TRL = {
    "dpo": (_TRL_PAIR, "DPOTrainer"),
    "reward": (_TRL_PAIR, "RewardTrainer"),
    "kto": (_TRL_KTO, "KTOTrainer"),
    "sft": (_SFT, "SFTTrainer"),
    "sharegpt": (_SHAREGPT, "SFTTrainer"),
}

_DATASETS = "datasets:\n  - path: train.jsonl\n    ds_type: json\n    type: "
_FIELDS = (
    "\n    field_messages: conversations"
    "\n    message_property_mappings:\n      role: from\n      content: value"
)
_AXOLOTL = {
    "dpo": (_TURNS_PAIR, f"rl: dpo\n{_DATASETS}chat_template.default\n    split: train"),
    "reward": (_PLAIN_PAIR, f"reward_model: true\n{_DATASETS}bradley_terry.chat_template"),
    # or llama3.argilla_chat: Axolotl writes the marks of these two itself
    "kto": (_WHOLE_KTO, f"rl: kto\n{_DATASETS}chatml.argilla_chat\n    split: train"),
    "sft": (_SFT, f"{_DATASETS}chat_template"),
    "sharegpt": (_SHAREGPT, f"{_DATASETS}chat_template{_FIELDS}"),
    # `alpaca` alone would leave the system messages out
    "alpaca": (_ALPACA, f"{_DATASETS}alpaca_w_system.load_instruct"),
}


def _sharegpt_info(tagged: bool = True, **columns: str) -> Record:
    """An entry for its reader of conversations, told to read everybody's roles where tagged."""
    tags = {f"{role}_tag": role for role in ("role", "content", "user", "assistant", "system")}
    return {"formatting": "sharegpt", "columns": columns, **({"tags": tags} if tagged else {})}


_PAIR_INFO = {
    "ranking": True,
    **_sharegpt_info(messages="messages", chosen="chosen", rejected="rejected"),
}
_ALPACA_COLUMNS = {"prompt": "instruction", "query": "input", "response": "output"}
_LLAMA_FACTORY: dict[str, tuple[Shape, str, Record]] = {
    "dpo": (_TURNS_PAIR, "dpo", _PAIR_INFO),
    "reward": (_TURNS_PAIR, "rm", _PAIR_INFO),
    "kto": (_WHOLE_KTO, "kto", _sharegpt_info(messages="completion", kto_tag="label")),
    "sft": (_SFT, "sft", _sharegpt_info(messages="messages")),
    "sharegpt": (_SHAREGPT, "sft", _sharegpt_info(tagged=False, messages="conversations")),
    "alpaca": (
        _ALPACA,
        "sft",
        {"formatting": "alpaca", "columns": {**_ALPACA_COLUMNS, "system": "system"}},
    ),
}
