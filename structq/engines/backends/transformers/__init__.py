"""Causal LMs of transformers, with the keys and values of many rows in one cache."""
