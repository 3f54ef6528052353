"""The columns of each trainer: TRL 1.16, Axolotl 0.19, LLaMA-Factory 0.9.5."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from structq.export.choose import Labelled, Pair
from structq.export.scored import Message
from structq.export.settings import ExportSettings

__all__ = ["Layout", "layout_for"]

Record = dict[str, Any]
Feature = dict[str, Any]
"""A column's type, as the header of a dataset card writes it."""

_TURN: list[Feature] = [
    {"name": "role", "dtype": "string"},
    {"name": "content", "dtype": "string"},
]
_SHARED_TURN: list[Feature] = [
    {"name": "from", "dtype": "string"},
    {"name": "value", "dtype": "string"},
]
_FROM = {"system": "system", "user": "human", "assistant": "gpt"}
# LLaMA-Factory's sharegpt reader, told to read the roles that everybody else reads.
_TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "system_tag": "system",
}


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How one kind of data is written for one trainer."""

    features: list[Feature]
    """Columns and their types, ``margin`` apart."""

    make: Callable[[list[Message], Any], Record]
    """A record from the conversation and what was chosen: a ``Pair``, a ``Labelled``, a text."""

    reading: str
    """How the trainer is told to read it: Python for TRL, YAML for the others."""

    one_turn: bool = False
    """Whether a conversation of several turns has no place in it."""

    dataset_info: Record = field(default_factory=dict)
    """LLaMA-Factory's description of the file, its name apart."""


def layout_for(settings: ExportSettings) -> Layout:
    """The layout of a kind of data for a trainer."""
    return _LAYOUTS[settings.to, settings.trainer]


def _text(name: str) -> Feature:
    return {"name": name, "dtype": "string"}


def _turns(name: str) -> Feature:
    return {"name": name, "list": _TURN}


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
    turns = [*messages, _answer(text)]
    return {
        "conversations": [{"from": _FROM[one["role"]], "value": one["content"]} for one in turns]
    }


def _alpaca(messages: list[Message], text: str) -> Record:
    asked = {"instruction": messages[-1]["content"], "input": "", "output": text}
    return {**asked, "system": _system_of(messages)}


_LABEL: Feature = {"name": "label", "dtype": "bool"}
_TURNS_PAIR = [
    _turns("messages"),
    {"name": "chosen", "struct": _TURN},
    {"name": "rejected", "struct": _TURN},
]
_TRL_PAIR = [_turns("prompt"), _turns("chosen"), _turns("rejected")]
_ALPACA = [_text("instruction"), _text("input"), _text("output"), _text("system")]
_SHARED = [{"name": "conversations", "list": _SHARED_TURN}]


def _trl(trainer: str) -> str:
    return f'{trainer}(train_dataset=load_dataset("json", data_files="train.jsonl", split="train"))'


def _factory(stage: str) -> str:
    return f"stage: {stage}\ndataset_dir: .\ndataset: NAME"


_TURNS_INFO = {"formatting": "sharegpt", "tags": _TAGS}
_PAIR_INFO = {
    **_TURNS_INFO,
    "ranking": True,
    "columns": {"messages": "messages", "chosen": "chosen", "rejected": "rejected"},
}
_DATASETS = "datasets:\n  - path: train.jsonl\n    ds_type: json\n"

_LAYOUTS: dict[tuple[str, str], Layout] = {
    ("dpo", "trl"): Layout(features=_TRL_PAIR, make=_trl_pair, reading=_trl("DPOTrainer")),
    ("reward", "trl"): Layout(features=_TRL_PAIR, make=_trl_pair, reading=_trl("RewardTrainer")),
    ("kto", "trl"): Layout(
        features=[_turns("prompt"), _turns("completion"), _LABEL],
        make=_trl_labelled,
        reading=_trl("KTOTrainer"),
    ),
    ("sft", "trl"): Layout(
        features=[_turns("messages")], make=_messages, reading=_trl("SFTTrainer")
    ),
    ("sharegpt", "trl"): Layout(
        features=_SHARED, make=_conversations, reading=_trl("SFTTrainer")
    ),
    ("dpo", "axolotl"): Layout(
        features=_TURNS_PAIR,
        make=_turns_pair,
        reading=f"rl: dpo\n{_DATASETS}    split: train\n    type: chat_template.default",
    ),
    ("reward", "axolotl"): Layout(
        features=[_text(name) for name in ("system", "input", "chosen", "rejected")],
        make=_plain_pair,
        one_turn=True,
        reading=f"reward_model: true\n{_DATASETS}    type: bradley_terry.chat_template",
    ),
    ("kto", "axolotl"): Layout(
        features=[_turns("completion"), _LABEL],
        make=_whole_labelled,
        reading=f"rl: kto\n{_DATASETS}    split: train\n"
        "    type: chatml.argilla_chat  # or llama3.argilla_chat",
    ),
    ("sft", "axolotl"): Layout(
        features=[_turns("messages")],
        make=_messages,
        reading=f"{_DATASETS}    type: chat_template",
    ),
    ("sharegpt", "axolotl"): Layout(
        features=_SHARED,
        make=_conversations,
        reading=f"{_DATASETS}    type: chat_template\n    field_messages: conversations\n"
        "    message_property_mappings:\n      role: from\n      content: value",
    ),
    ("alpaca", "axolotl"): Layout(
        features=_ALPACA,
        make=_alpaca,
        one_turn=True,
        # `alpaca` alone would leave the system messages out.
        reading=f"{_DATASETS}    type: alpaca_w_system.load_instruct",
    ),
    ("dpo", "llama-factory"): Layout(
        features=_TURNS_PAIR,
        make=_turns_pair,
        reading=_factory("dpo"),
        dataset_info=_PAIR_INFO,
    ),
    ("reward", "llama-factory"): Layout(
        features=_TURNS_PAIR,
        make=_turns_pair,
        reading=_factory("rm"),
        dataset_info=_PAIR_INFO,
    ),
    ("kto", "llama-factory"): Layout(
        features=[_turns("completion"), _LABEL],
        make=_whole_labelled,
        reading=_factory("kto"),
        dataset_info={
            **_TURNS_INFO,
            "columns": {"messages": "completion", "kto_tag": "label"},
        },
    ),
    ("sft", "llama-factory"): Layout(
        features=[_turns("messages")],
        make=_messages,
        reading=_factory("sft"),
        dataset_info={**_TURNS_INFO, "columns": {"messages": "messages"}},
    ),
    ("sharegpt", "llama-factory"): Layout(
        features=_SHARED,
        make=_conversations,
        reading=_factory("sft"),
        dataset_info={"formatting": "sharegpt", "columns": {"messages": "conversations"}},
    ),
    ("alpaca", "llama-factory"): Layout(
        features=_ALPACA,
        make=_alpaca,
        one_turn=True,
        reading=_factory("sft"),
        dataset_info={
            "formatting": "alpaca",
            "columns": {
                "prompt": "instruction", "query": "input", "response": "output", "system": "system",
            },
        },
    ),
}  # fmt: skip
