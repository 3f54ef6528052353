"""Decoders on onnxruntime: structq's own graphs, which share passes, and those of the hub."""
