"""faiss: `faiss.py <job>` does one stage of one configuration and prints what `job.ts` describes."""

import json
import os
import sys
import time

JOB = json.loads(sys.argv[1])
# The pool of the BLAS that faiss calls is sized when it is loaded.
os.environ["OMP_NUM_THREADS"] = str(JOB.get("threads", 1))

import faiss  # noqa: E402
import numpy as np  # noqa: E402

K = 10
LEAST_CALLS = 12
# Queries that are enough where every row is scanned.
FEW = 50
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
    {"name": "Flat", "task": "exact"},
    {"name": "BinaryFlat", "task": "hamming"},
]

FACTORY = {
    "IVF256,PQ96x4fs + refine": "IVF256,PQ96x4fs,RFlat",
    "PQ96x4fs flat + refine": "PQ96x4fs,RFlat",
    "HNSW32": "HNSW32",
    "Flat": "Flat",
}


def read(folder, name, element, width):
    return np.fromfile(os.path.join(folder, name + ".bin"), dtype=element).reshape(-1, width)


class Data:
    """The folder that `data-files.ts` wrote."""

    def __init__(self, folder):
        with open(os.path.join(folder, "data.json"), encoding="utf-8") as file:
            manifest = json.load(file)
        self.folder = folder
        self.element = np.uint8 if manifest["element"] == "u8" else np.float32
        self.width = manifest["width"]
        self.sets = [
            (s["name"], self.read("queries-" + s["name"], self.width), self.read("truth-" + s["name"], s["depth"], np.int32))
            for s in manifest["queries"]
        ]

    def read(self, name, width, element=None):
        rows = read(self.folder, name, element or self.element, width)
        return rows if JOB["configuration"]["task"] == "approximate" else rows[:FEW]

    def base(self):
        return read(self.folder, "base", self.element, self.width)


def index_path():
    return os.path.join(JOB["index"], "index.faiss")


def is_hamming():
    return JOB["configuration"]["task"] == "hamming"


def opened():
    return faiss.read_index_binary(index_path()) if is_hamming() else faiss.read_index(index_path())


def tune(index, setting):
    if "efSearch" in setting:
        index.hnsw.efSearch = setting["efSearch"]
    if "k_factor" in setting:
        index.k_factor = setting["k_factor"]
    if "nprobe" in setting:
        faiss.extract_index_ivf(faiss.downcast_index(index.base_index)).nprobe = setting["nprobe"]


def emit(**line):
    print(json.dumps(line), flush=True)


def build():
    base = Data(JOB["data"]).base()
    faiss.omp_set_num_threads(JOB["threads"])
    width = base.shape[1]
    start, cpu = time.perf_counter(), time.process_time()
    if is_hamming():
        index = faiss.IndexBinaryFlat(width * 8)
    else:
        index = faiss.index_factory(width, FACTORY[JOB["configuration"]["name"]], faiss.METRIC_INNER_PRODUCT)
        index.train(base)
    index.add(base)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
    (faiss.write_index_binary if is_hamming() else faiss.write_index)(index, index_path())
    emit(stage="build", seconds=seconds, cpuSeconds=cpu_seconds, threads=JOB["threads"])


def open_only():
    query = Data(JOB["data"]).sets[0][1][:1]
    faiss.omp_set_num_threads(1)
    start = time.perf_counter()
    opened().search(query, K)
    emit(stage="open", ms=(time.perf_counter() - start) * 1000)


def resident_bytes():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def recall(index, queries, truth, base):
    distances, rows = index.search(queries, K)
    if base is None:
        return float(np.mean([len(np.intersect1d(found, near)) / K for found, near in zip(rows, truth[:, :K])]))
    # Of codes many are equally far: a row counts when it is no farther than the true tenth.
    farthest = np.bitwise_count(base[truth[:, K - 1]] ^ queries).sum(axis=1)
    return float(np.mean(distances <= farthest[:, None]))


def single_times(index, queries):
    times = []
    end = time.perf_counter() + JOB["turnMs"] / 1000
    while len(times) < LEAST_CALLS or time.perf_counter() < end:
        row = len(times) % len(queries)
        query = queries[row : row + 1]
        start = time.perf_counter_ns()
        index.search(query, K)
        times.append((time.perf_counter_ns() - start) / 1000)
    times.sort()
    return times[len(times) // 2], times[min(len(times) - 1, int(0.99 * len(times)))]


def batch_rate(index, queries, threads):
    faiss.omp_set_num_threads(threads)
    index.search(queries, K)
    quickest = float("inf")
    end = time.perf_counter() + JOB["turnMs"] / 1000
    while True:
        start = time.perf_counter()
        index.search(queries, K)
        quickest = min(quickest, time.perf_counter() - start)
        if time.perf_counter() > end:
            break
    faiss.omp_set_num_threads(1)
    return len(queries) / quickest


def search():
    data = Data(JOB["data"])
    faiss.omp_set_num_threads(1)
    resident = resident_bytes()
    index = opened()
    for _, queries, _ in data.sets:
        index.search(queries, K)
    emit(stage="memory", residentBytes=resident_bytes() - resident)
    base = data.base() if is_hamming() else None
    for setting in JOB["configuration"].get("settings", [{}]):
        tune(index, setting)
        for name, queries, truth in data.sets:
            found = recall(index, queries, truth, base)
            p50, p99 = single_times(index, queries)
            rates = [None, None]
            if JOB["configuration"]["task"] == "approximate":
                rates = [batch_rate(index, queries, threads) for threads in (1, 2)]
            emit(
                stage="search",
                setting=setting,
                queries=name,
                recall=found,
                p50=p50,
                p99=p99,
                qps1=rates[0],
                qps2=rates[1],
            )


def listed():
    emit(stage="list", version=faiss.__version__, configurations=CONFIGURATIONS)


{"list": listed, "build": build, "open": open_only, "search": search}[JOB["stage"]]()
