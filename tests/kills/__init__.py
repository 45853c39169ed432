"""Long runs, killed by SIGKILL again and again, and resumed."""
