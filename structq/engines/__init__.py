"""What answers one DSPy request in this process; knows nothing of signatures and modules."""
