"""Large levels: boxes of candidates cut into tiles that stay in cache, and their keys sorted into a shelf."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import product
from typing import TypeAlias

from synth.lanes import Keys
from synth.ranking import KeyPool
from synth.shelf import Shelf

BLOCK = 1 << 15  # candidates in a tile
NOTICE = 1 << 20  # candidates between two moments at which a caller may stop
_CHUNK = 1 << 24  # candidates that are sorted at a time, at least, where memory allows
_LEAST = 1 << 19  # and at the very least

Ranges: TypeAlias = tuple[tuple[int, int], ...]


def build_levels(
    shelf: Shelf,
    low: int,
    high: int,
    blocks: Iterable[tuple[int, Keys]],
    expected: int,
    fits: Callable[[float], bool],
) -> Iterator[int]:
    """Put the new ones among keys on the shelf as its levels of ``low`` to ``high`` bits, by their keys alone.

    Args:
        blocks: the candidates' bits and keys. Several levels need keys that leave room to tell them apart.
        expected: how many candidates there are, about.
        fits: whether so many more bytes may be used. Where it says no, nothing is put on the shelf.

    Yields:
        Numbers of candidates that have been seen since the last time.
    """
    pool = KeyPool(shelf.sort_known(), shelf.spare, shelf.lanes.tag_bits)
    left, since, notice, granted = expected, 0, 0, 0
    most = max(_CHUNK, 3 * pool.old)
    for bits, keys in blocks:
        count = len(keys)
        if since + count > granted:
            if since > most // 2 or since + count > most:
                pool.merge()
                since = 0
            wanted = max(count, min(left, most - since))
            while not fits(_needed(shelf, pool, wanted)):
                if wanted <= max(_LEAST, pool.used // 16):  # or it would go on sorting in vain
                    shelf.forget_known()
                    return
                if since:
                    pool.merge()
                    since = 0
                wanted = max(count, wanted // 2)
            pool.reserve(wanted)
            granted = since + wanted
        pool.add(keys, bits - low + 1)
        since, notice, left = since + count, notice + count, left - count
        if notice > NOTICE:
            yield notice
            notice = 0
    pool.merge()
    shelf.touched = max(shelf.touched, pool.most_used)
    new, shelf.known, shelf.spare = pool.close(high - low + 1)
    for bits, its in enumerate(new, start=low):
        shelf.extend_keys(bits, its)
    yield notice


def _needed(shelf: Shelf, pool: KeyPool, wanted: int) -> float:
    """How many bytes more it takes to add so many keys: room in the pool, and the level itself, half of them new."""
    grown = max(0, pool.used + wanted - max(shelf.touched, pool.most_used))
    if pool.room < wanted:
        grown += pool.used  # the pool moves
    return 12.0 * (grown + pool.used - pool.old + wanted / 2)  # half as much again for what else is afoot


def tiles(sizes: list[int], triangle: bool, block: int | None = None) -> Iterator[tuple[Ranges, tuple[int, ...]]]:
    """Cut a box of candidates into blocks: the range along each axis, and the axes from the slowest to the fastest.

    The longest axis is the fastest, as broadcasts like it. A triangle (of two equal axes) is cut into strips of rows
    from the diagonal on. A block has ``block`` candidates, BLOCK by default.
    """
    block = BLOCK if block is None else block
    if triangle:
        start, size = 0, sizes[0]
        while start < size:
            stop = min(size, start + max(1, block // (size - start)))
            for column in range(start, size, block):
                yield ((start, stop), (column, min(size, column + block))), (0, 1)
            start = stop
        return
    order = tuple(sorted(range(len(sizes)), key=sizes.__getitem__))
    steps, left = [0] * len(sizes), block
    for i in reversed(order):
        steps[i] = min(sizes[i], left)
        left = max(1, left // steps[i])
    for starts in product(*(range(0, sizes[i], steps[i]) for i in order)):
        ranges: list[tuple[int, int]] = [(0, 0)] * len(sizes)
        for i, start in zip(order, starts, strict=True):
            ranges[i] = (start, min(sizes[i], start + steps[i]))
        yield tuple(ranges), order
