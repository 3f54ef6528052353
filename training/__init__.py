"""How nano is made: a generated corpus, a tokenizer, a training loop; not imported at run time."""
