"""What one process does for one configuration of a peer written in Python: what `job.ts` describes.

An adapter calls `run(version, configurations, build, opened)`. `build(configuration, base, folder, threads)` trains, adds and
returns what saves it; `opened(configuration, folder)` has `search(queries, k)`, which returns scores and rows,
`tune(setting)`, and `search_with(queries, k, threads)`.
"""

import json
import os
import sys
import time

JOB = json.loads(sys.argv[1])
# The pools of what adapters load are sized when it is loaded: they import this first.
os.environ["OMP_NUM_THREADS"] = str(JOB.get("threads", 1))

import numpy as np  # noqa: E402

K = 10
LEAST_CALLS = 12
# Queries that are enough where every row is scanned.
FEW = 50


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
        return rows if JOB["configuration"]["task"] in ("approximate", "codes") else rows[:FEW]

    def base(self):
        return read(self.folder, "base", self.element, self.width)


def emit(**line):
    print(json.dumps(line), flush=True)


def resident_bytes():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def recall(index, queries, truth, base):
    distances, rows = index.search_with(queries, K, 1)
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
    index.search_with(queries, K, threads)
    quickest = float("inf")
    end = time.perf_counter() + JOB["turnMs"] / 1000
    while True:
        start = time.perf_counter()
        index.search_with(queries, K, threads)
        quickest = min(quickest, time.perf_counter() - start)
        if time.perf_counter() > end:
            break
    return len(queries) / quickest


def built(build):
    base = Data(JOB["data"]).base()
    start, cpu = time.perf_counter(), time.process_time()
    save = build(JOB["configuration"], base, JOB["index"], JOB["threads"])
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
    save()
    emit(stage="build", seconds=seconds, cpuSeconds=cpu_seconds, threads=JOB["threads"])


def open_only(opened):
    query = Data(JOB["data"]).sets[0][1][:1]
    start = time.perf_counter()
    opened(JOB["configuration"], JOB["index"]).search(query, K)
    emit(stage="open", ms=(time.perf_counter() - start) * 1000)


def searched(opened):
    data = Data(JOB["data"])
    resident = resident_bytes()
    index = opened(JOB["configuration"], JOB["index"])
    for _, queries, _ in data.sets:
        index.search_with(queries, K, 1)
    emit(stage="memory", residentBytes=resident_bytes() - resident)
    base = data.base() if JOB["configuration"]["task"] == "hamming" else None
    for setting in JOB["configuration"].get("settings", [{}]):
        index.tune(setting)
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


def run(version, configurations, build, opened):
    stages = {
        "list": lambda: emit(stage="list", version=version, configurations=configurations),
        "build": lambda: built(build),
        "open": lambda: open_only(opened),
        "search": lambda: searched(opened),
    }
    stages[JOB["stage"]]()
