"""Private utilities: argument checks, devices, imports, processes."""
