"""Fuzzing: hypothesis and mutated messages in the tests, a million guided inputs with atheris in `make fuzz`."""
