"""Trains one step of TRL's trainers on exports: ``python trl_steps.py FOLDER KIND ...``.

The export of each kind is in the folder of its name.

A process of its own: TRL's imports warn, and take half a minute.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

TOKENIZER = Path(__file__).parents[2] / "structq" / "nano" / "tokenizer.json"
TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def tokenizer() -> Any:
    from transformers import PreTrainedTokenizerFast

    made = PreTrainedTokenizerFast(tokenizer_file=str(TOKENIZER), model_max_length=4096)
    made.pad_token = made.eos_token = made.convert_ids_to_tokens(0)
    made.chat_template = TEMPLATE
    return made


def tiny(kind: str, n_tokens: int) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification

    config = LlamaConfig(
        vocab_size=n_tokens,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        pad_token_id=0,
        eos_token_id=0,
        bos_token_id=0,
        num_labels=1,
    )
    return (LlamaForSequenceClassification if kind == "reward" else LlamaForCausalLM)(config)


def trainer_of(kind: str) -> tuple[Any, Any]:
    import trl

    name = {"dpo": "DPO", "kto": "KTO", "reward": "Reward"}.get(kind, "SFT")
    return getattr(trl, f"{name}Trainer"), getattr(trl, f"{name}Config")


def step(folder: str, kind: str, out: Path) -> dict[str, Any]:
    from datasets import load_dataset

    words = tokenizer()
    model = tiny(kind, len(words))
    model.save_pretrained(out / kind)  # the frozen copy that DPO and KTO compare with is read again
    trainer, config = trainer_of(kind)
    made = trainer(
        model=type(model).from_pretrained(out / kind),
        args=config(
            output_dir=str(out),
            max_steps=1,
            per_device_train_batch_size=4,
            report_to=[],
            use_cpu=True,
            bf16=False,
            max_length=None,
            save_strategy="no",
            disable_tqdm=True,
        ),
        train_dataset=load_dataset(folder, split="train"),
        processing_class=words,
    )
    done = made.train()
    columns = sorted(made.train_dataset.column_names)
    return {
        "kind": kind,
        "rows": len(made.train_dataset),
        "steps": done.global_step,
        "loss": done.training_loss,
        "columns": columns,
    }


def main(folder: str, *kinds: str) -> None:
    """One line of JSON for each export: what was read, and the loss of the step."""
    with tempfile.TemporaryDirectory() as out:
        for kind in kinds:
            found = step(f"{folder}/{kind}", kind, Path(out))
            sys.stdout.write("told " + json.dumps(found) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
