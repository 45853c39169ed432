"""The child where atheris is installed: the library is imported with its branches counted."""

import sys

import atheris

with atheris.instrument_imports(include=["hxwrappers"]):
    from tests.fuzz import engine

if __name__ == "__main__":
    engine.main(sys.argv[1:], is_guided=True)
