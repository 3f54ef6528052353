"""What runs an LM, one kind in each file or folder; none of them knows another room's backend."""
