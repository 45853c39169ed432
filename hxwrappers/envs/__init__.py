"""The standard stacks, one function a family."""
