"""``relu+law``: the decoder, which answers with the law of the ReLU network while that may still be wrong."""

from bench.methods.relu import settings
from bench.networks import trained

relu_law = trained(
    "relu+law",
    settings,
    "Read the law out of the ReLU network's held-out logits as soon as it fits all examples.",
    architecture="relu",
    decoder=True,
)
