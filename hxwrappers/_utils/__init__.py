"""Private utilities: argument checks, devices, imports by name, signals, processes, Ray."""
