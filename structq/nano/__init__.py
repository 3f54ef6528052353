"""The embedded LM: graph, tokenizer, card, and its training; knows nothing of the rest."""
