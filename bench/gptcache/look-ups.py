"""GPTCache with SQLite and faiss: `look-ups.py <entries> <dimensions>` prints the medians of hits and misses in us."""

import json
import os
import sys
import tempfile
import time

import numpy as np
from gptcache import Cache
from gptcache.adapter.api import get
from gptcache.manager import CacheBase, VectorBase, get_data_manager
from gptcache.processor.pre import get_prompt
from gptcache.similarity_evaluation.distance import SearchDistanceEvaluation

LOOK_UPS = 500
ROUNDS = 3
BATCH = 1000


def unit_vectors(random, rows, dimensions):
    vectors = random.standard_normal((rows, dimensions)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def filled(folder, base, embed):
    entries, dimensions = base.shape
    scalars = CacheBase("sqlite", sql_url="sqlite:///" + os.path.join(folder, "entries.db"))
    index = VectorBase("faiss", dimension=dimensions, index_path=os.path.join(folder, "faiss.index"))
    manager = get_data_manager(scalars, index, max_size=10 * entries)
    for start in range(0, entries, BATCH):
        rows = range(start, min(entries, start + BATCH))
        questions = [f"question {i}" for i in rows]
        manager.import_data(questions, [f"answer {i}" for i in rows], [base[i] for i in rows], [None] * len(rows))
    cache = Cache()
    cache.init(
        pre_embedding_func=get_prompt,
        embedding_func=embed,
        data_manager=manager,
        similarity_evaluation=SearchDistanceEvaluation(),
    )
    return cache


def median_us(cache, texts, hits):
    times = []
    for text in texts:
        start = time.perf_counter()
        answer = get(text, cache_obj=cache)
        times.append((time.perf_counter() - start) * 1e6)
        assert (answer is not None) == hits, text
    return sorted(times)[len(times) // 2]


def main(entries, dimensions):
    random = np.random.default_rng(1)
    base = unit_vectors(random, entries, dimensions)
    strangers = unit_vectors(random, LOOK_UPS, dimensions)
    # Vectors are given, as they are to the cache that this is compared with.
    vectors = {f"hit {i}": base[i * 7 % entries] for i in range(LOOK_UPS)}
    vectors.update({f"miss {i}": strangers[i] for i in range(LOOK_UPS)})
    with tempfile.TemporaryDirectory() as folder:
        cache = filled(folder, base, lambda text, **_: vectors[text])
        rounds = [
            [median_us(cache, [f"{kind} {i}" for i in range(LOOK_UPS)], kind == "hit") for kind in ("hit", "miss")]
            for _ in range(ROUNDS)
        ]
    hit, miss = (min(times) for times in zip(*rounds))
    print(json.dumps({"hit": hit, "miss": miss}), flush=True)


main(int(sys.argv[1]), int(sys.argv[2]))
# Its client flushes in threads of its own when Python ends, into a folder that is gone.
os._exit(0)
