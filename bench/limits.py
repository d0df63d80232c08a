"""How large the settings of a training may be: far beyond whatever trains, while single precision can hold them."""

from bench.parameters import Range

RATE = Range(above=0, most=1e30)
DECAY = Range(least=0, most=1e6)
STEPS = Range(least=1, most=10**9)
SETTLE = Range(least=0, most=1e6)
WIDTH = Range(least=1, most=2**20)
