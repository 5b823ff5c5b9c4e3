"""faiss: `faiss.py <job>`."""

import os
import sys

# At the end, for the package has the name of this file.
sys.path.append(os.path.dirname(__file__))

from stages import run  # noqa: E402, I001: it sizes the pools of what is loaded after it.
import faiss  # noqa: E402

EFS = [16, 32, 48, 64, 96, 128, 192, 256, 384, 512]


def refined(nprobes, factors):
    return [{"nprobe": p, "k_factor": f} for p in nprobes for f in factors]


CONFIGURATIONS = [
    {
        "name": "IVF256,PQ96x4fs + refine",
        "task": "approximate",
        "settings": refined([8, 16, 24, 32, 48, 96], [4, 8, 16, 32]),
        "note": "refined with f32",
    },
    {
        "name": "PQ96x4fs flat + refine",
        "task": "approximate",
        "settings": [{"k_factor": f} for f in [2, 4, 6, 8, 12, 16, 24, 32]],
        "note": "refined with f32",
    },
    {
        "name": "HNSW32",
        "task": "approximate",
        "settings": [{"efSearch": ef} for ef in EFS],
        "note": "M 32, efConstruction 40, its defaults",
    },
    *({"name": name, "task": "codes"} for name in ["PQ8x8", "PQ32x8", "PQ96x4fs"]),
    *(
        {"name": name, "task": "codes", "note": "one of 96 x 4 bits takes too long to train"}
        for name in ["OPQ8_128,PQ8x8", "OPQ32_256,PQ32x8"]
    ),
    {"name": "Flat", "task": "exact"},
    {"name": "BinaryFlat", "task": "hamming"},
]

# Rows that codes alone are trained on: a rotation takes minutes to train on more.
TRAINED_ROWS = 16384

FACTORY = {
    "IVF256,PQ96x4fs + refine": "IVF256,PQ96x4fs,RFlat",
    "PQ96x4fs flat + refine": "PQ96x4fs,RFlat",
    "HNSW32": "HNSW32",
    "Flat": "Flat",
}


def path_in(folder):
    return os.path.join(folder, "index.faiss")


def is_hamming(configuration):
    return configuration["task"] == "hamming"


def sample(configuration, base):
    if configuration["task"] != "codes":
        return base
    return base[:: max(1, len(base) // TRAINED_ROWS)]


def build(configuration, base, folder, threads):
    faiss.omp_set_num_threads(threads)
    width = base.shape[1]
    if is_hamming(configuration):
        index = faiss.IndexBinaryFlat(width * 8)
    else:
        factory = FACTORY.get(configuration["name"], configuration["name"])
        index = faiss.index_factory(width, factory, faiss.METRIC_INNER_PRODUCT)
        index.train(sample(configuration, base))
    index.add(base)
    write = faiss.write_index_binary if is_hamming(configuration) else faiss.write_index
    return lambda: write(index, path_in(folder))


class Opened:
    def __init__(self, configuration, folder):
        faiss.omp_set_num_threads(1)
        read = faiss.read_index_binary if is_hamming(configuration) else faiss.read_index
        self.index = read(path_in(folder))

    def search(self, queries, k):
        return self.index.search(queries, k)

    def search_with(self, queries, k, threads):
        faiss.omp_set_num_threads(threads)
        found = self.index.search(queries, k)
        # Single queries run on one, whatever a batch ran on.
        faiss.omp_set_num_threads(1)
        return found

    def tune(self, setting):
        if "efSearch" in setting:
            self.index.hnsw.efSearch = setting["efSearch"]
        if "k_factor" in setting:
            self.index.k_factor = setting["k_factor"]
        if "nprobe" in setting:
            faiss.extract_index_ivf(faiss.downcast_index(self.index.base_index)).nprobe = setting["nprobe"]


run(faiss.__version__, CONFIGURATIONS, build, Opened)
