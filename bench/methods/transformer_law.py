"""``transformer+law``: the decoder, which answers with the law of the transformer while that may still be wrong."""

from bench.methods.transformer import check, settings
from bench.networks import trained

transformer_law = trained(
    "transformer+law",
    settings,
    "Read the law out of the transformer's held-out logits as soon as it fits all examples.",
    architecture="transformer",
    decoder=True,
    check=check,
)
