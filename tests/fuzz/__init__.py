"""Every kind of file that the library reads, fuzzed; see `tests.fuzz.__main__`."""
