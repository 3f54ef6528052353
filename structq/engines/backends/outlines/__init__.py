"""Any model of Outlines as an LM: steered by its logits where it shows them, asked where not."""
