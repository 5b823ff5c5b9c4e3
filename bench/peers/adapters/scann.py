"""ScaNN: `scann.py <job>`. Its tree with anisotropic quantisation, scored again with the vectors, as its guide has it."""

import importlib.metadata
import os
import sys

# At the end, for the package has the name of this file.
sys.path.append(os.path.dirname(__file__))

from stages import K, run  # noqa: E402, I001: it sizes the pools of what is loaded after it.
from scann import scann_ops_pybind as scann  # noqa: E402

# The square root of the rows, as the guide has it.
LEAVES = 316
THRESHOLD = 0.2
COMPONENTS = 2

CONFIGURATIONS = [
    {
        "name": f"tree {LEAVES} AH + reorder",
        "task": "approximate",
        "settings": [{"leaves": n, "reorder": r} for n in [8, 16, 24, 32, 48, 96] for r in [40, 80, 160, 320]],
        "note": "4 bits for two components, reordered with f32",
    },
    {
        "name": "AH flat + reorder",
        "task": "approximate",
        "settings": [{"reorder": r} for r in [20, 40, 60, 80, 120, 160, 240, 320]],
        "note": "4 bits for two components, reordered with f32",
    },
    {"name": "brute force", "task": "exact"},
]


def build(configuration, base, folder, threads):
    builder = scann.builder(base, K, "dot_product").set_n_training_threads(threads)
    if configuration["name"].startswith("tree"):
        builder = builder.tree(num_leaves=LEAVES, num_leaves_to_search=LEAVES // 10, training_sample_size=len(base))
    if configuration["task"] == "exact":
        builder = builder.score_brute_force()
    else:
        builder = builder.score_ah(COMPONENTS, anisotropic_quantization_threshold=THRESHOLD).reorder(10 * K)
    searcher = builder.build()
    return lambda: searcher.serialize(folder)


class Opened:
    def __init__(self, configuration, folder):
        self.searcher = scann.load_searcher(folder)
        self.options = {}

    def search(self, queries, k):
        rows, scores = self.searcher.search(queries[0], final_num_neighbors=k, **self.options)
        return scores, rows

    def search_with(self, queries, k, threads):
        if threads == 1:
            rows, scores = self.searcher.search_batched(queries, final_num_neighbors=k, **self.options)
        else:
            self.searcher.set_num_threads(threads)
            rows, scores = self.searcher.search_batched_parallel(queries, final_num_neighbors=k, **self.options)
        return scores, rows

    def tune(self, setting):
        names = {"leaves": "leaves_to_search", "reorder": "pre_reorder_num_neighbors"}
        self.options = {names[name]: value for name, value in setting.items()}


run(importlib.metadata.version("scann"), CONFIGURATIONS, build, Opened)
