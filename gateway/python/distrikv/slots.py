"""Which slot a key belongs to. topology/slot_vectors.json holds examples."""

import xxhash

SLOT_COUNT = 16384


def hash_part(key: bytes) -> bytes:
    """What stands between the first "{" and the next "}", or the whole key where that is absent or empty."""
    start = key.find(b"{")
    if start < 0:
        return key
    end = key.find(b"}", start + 1)
    if end < 0 or end == start + 1:
        return key
    return key[start + 1:end]


def slot_of(key: bytes) -> int:
    return xxhash.xxh3_64_intdigest(hash_part(key)) % SLOT_COUNT
