"""``quadratic+law``: the decoder, which answers with the law of the quadratic network while that may still be wrong."""

from bench.methods.quadratic import settings
from bench.networks import trained

quadratic_law = trained(
    "quadratic+law",
    settings,
    "Read the law out of the quadratic network's held-out logits as soon as it fits all examples.",
    architecture="quadratic",
    decoder=True,
)
