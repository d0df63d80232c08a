"""``bilinear+law``: the decoder, which answers with the law of the product network while that may still be wrong."""

from bench.methods.bilinear import settings
from bench.networks import trained

bilinear_law = trained(
    "bilinear+law",
    settings,
    "Read the law out of the product network's held-out logits as soon as it fits all examples.",
    architecture="bilinear",
    decoder=True,
)
