#!/usr/bin/env python3
"""Turns reports of the benchmarks into the table of ratios that leat is held to.

Usage: ratios.py REPORT.json...        (written with --benchmark_format=json --benchmark_repetitions=N)

A ratio is median over median of one set of reports; of several benchmarks in a row the best one counts.
The spread is that of the rounds: half the range between the quartiles, in percent of the median.
"""

import json
import math
import statistics
import sys

DISPATCH = "producers:1/workers:2/work_ns:"
POOLS = ["TbbEnqueue", "Asio"]
BEST_OF_ALL = [*POOLS, "Moodycamel", "MoodycamelFunction", "MutexPool"]


def leat(name, work_ns):
    return [f"BM_Dispatch_{name}/{DISPATCH}{work_ns}/backend:{backend}" for backend in ("thread", "arena")]


def peers(names, work_ns):
    return [f"BM_Dispatch_{name}/{DISPATCH}{work_ns}" for name in names]


def waits(peer, period_us, idle):
    return [f"BM_Latency_{peer}/period_us:{period_us}/idle:{idle}"]


def leat_waits(period_us, idle):
    return [waits("Leat", period_us, idle)[0] + "/backend:thread",
            f"BM_Latency_Leat/period_us:{period_us}/backend:arena"]  # idles as oneTBB has it


RATE, P50, P99, CPU = "items_per_second", "p50_ns", "p99_ns", "cpu_ns_per_task"
STORE = "store_bytes"

# (what, leat's rows, the peers' rows, the field, the mark: at least for rates, else at most; None: no mark)
RATIOS = [
    ("single dispatch / better of oneTBB, Asio", leat("Leat", 0), peers(POOLS, 0), RATE, 2.5),
    ("single dispatch / mutex pool", leat("Leat", 0), peers(["MutexPool"], 0), RATE, 1.0),
    ("single dispatch / moodycamel with tokens", leat("Leat", 0), peers(["Moodycamel"], 0), RATE, 0.6),
    ("bulk dispatch / better of oneTBB, Asio", leat("LeatBulk", 0), peers(POOLS, 0), RATE, 12),
    ("single dispatch, 200 ns / best of all", leat("Leat", 200), peers(BEST_OF_ALL, 200), RATE, 0.9),
    ("bulk dispatch, 200 ns / best of all", leat("LeatBulk", 200), peers(BEST_OF_ALL, 200), RATE, 0.9),
    ("CPU, single dispatch / better of oneTBB, Asio", leat("Leat", 0), peers(POOLS, 0), CPU, None),
    ("CPU, bulk dispatch / better of oneTBB, Asio", leat("LeatBulk", 0), peers(POOLS, 0), CPU, None),
    ("busy lanes, full neighbour / idle one", ["BM_Lanes_Leat/neighbour:full/backend:thread"],
     ["BM_Lanes_Leat/neighbour:idle/backend:thread"], RATE, 0.9),
    ("wake p50, 200 us / raw futex", leat_waits(200, "park"), waits("RawFutex", 200, "park"), P50, 1.2),
    ("wake p99, 200 us / raw futex", leat_waits(200, "park"), waits("RawFutex", 200, "park"), P99, 2.0),
    ("wake p50, 5 ms / raw futex", leat_waits(5000, "park"), waits("RawFutex", 5000, "park"), P50, 1.2),
    ("wake p99, 5 ms / raw futex", leat_waits(5000, "park"), waits("RawFutex", 5000, "park"), P99, 2.0),
    ("diamonds, disk / SQLite table, batches of 1,000", ["BM_Diamond_Leat/level:disk"],
     ["BM_Diamond_Sqlite/batch:1000"], RATE, 2.0),
    ("diamonds, memory / oneTBB graph built per diamond", ["BM_Diamond_Leat/level:memory"],
     ["BM_Diamond_TbbFlowGraph"], RATE, 0.5),
    ("durable tasks, disk / SQLite FULL, 1,000", ["BM_Durable_Leat/level:disk"],
     ["BM_Durable_Sqlite/sync:full/batch:1000"], RATE, 3.0),
    ("durable tasks, disk / plain log", ["BM_Durable_Leat/level:disk"], ["BM_Durable_PlainLog"], RATE, 0.4),
    ("durable tasks, process / SQLite NORMAL, 1,000", ["BM_Durable_Leat/level:process"],
     ["BM_Durable_Sqlite/sync:normal/batch:1000"], RATE, 3.0),
    ("acknowledgements, 64 threads / SQLite enqueue", ["BM_Ack_Leat/threads:64"],
     ["BM_Ack_SqliteEnqueue/threads:64"], RATE, 25),
    ("acknowledgement p99, 64 threads / plain log", ["BM_Ack_Leat/threads:64"],
     ["BM_Ack_PlainLog/threads:64"], P99, 1.5),
    ("recovery of 1 M live tasks / RocksDB's own scan", ["BM_Store_Recover/live:1000000"],
     ["BM_Store_RawScan/live:1000000"], RATE, None),
    ("tasks of a store that ran 10 M / of one that ran 1 M", ["BM_Store_Aged/ran:10000000"],
     ["BM_Store_Aged/ran:1000000"], RATE, 0.9),
    ("bytes of a store that ran 10 M / of one that ran 1 M", ["BM_Store_Aged/ran:10000000"],
     ["BM_Store_Aged/ran:1000000"], STORE, None),
]

# (what, the row, the field, the mark as above)
WAITING = "resident_bytes_per_pipeline"
FIGURES = [
    ("diamonds/s, disk", "BM_Diamond_Leat/level:disk", RATE, 60_000),
    ("diamonds/s, memory", "BM_Diamond_Leat/level:memory", RATE, 400_000),
    ("chains of 3/s, disk", "BM_Chain3_Leat/level:disk", RATE, 90_000),
    ("a dependent's start, p50 in ns", "BM_DependentStart_Leat/level:memory", P50, 5_000),
    ("start on a spinning worker, p50 in ns", "BM_Latency_Leat/period_us:200/idle:spin/backend:thread",
     P50, 1_000),
    ("heap bytes of a queued task", "BM_QueueMemory_Leat/backend:thread", "heap_bytes_per_task", 96),
    ("live tasks/s carried on by a start, 1 M", "BM_Runner_Recover/live:1000000/manual_time", RATE, 500_000),
    ("peak bytes of a start per live task, with RocksDB's", "BM_Runner_Recover/live:1000000/manual_time",
     "peak_bytes_per_live_task", None),
    ("bytes of a waiting pipeline, memory", "BM_WaitingPipelines_Leat/level:memory", WAITING, 400),
    ("bytes of a waiting pipeline, disk", "BM_WaitingPipelines_Leat/level:disk", WAITING, 400),
]


# A start that waits for its record: one sync, then a wake.
DURABLE_START = "BM_Latency_Leat/period_us:5000/idle:spin_then_park/backend:thread/level:disk"
WAKES_ALLOWED = 3


def read(paths):
    """All rounds of all reports: name -> list of rows; with each row the device's sync time. Prints what the
    machine said of itself."""
    rounds = {}
    for path in paths:
        with open(path, encoding="utf-8") as file:
            report = json.load(file)
        context = report["context"]
        print(f"{path}: {context['date']}, {context['num_cpus']} CPUs, load {context['load_avg'][0]:.1f}, "
              f"fdatasync of 4 KiB {context.get('fdatasync_4k_median_us', '?')} us")
        for row in report["benchmarks"]:
            if row["run_type"] == "iteration" and not row.get("error_occurred"):
                row["sync_ns"] = float(context.get("fdatasync_4k_median_us", "nan")) * 1000
                rounds.setdefault(row["name"].removesuffix("/real_time"), []).append(row)
    return rounds


def best(rounds, names, field):
    """The best median among `names`. @return (name, median, spread in percent, rounds) or None"""
    found = []
    for name in names:
        values = [row[field] for row in rounds.get(name, []) if field in row]
        if values:
            middle = statistics.median(values)
            quartiles = statistics.quantiles(values, n=4) if len(values) > 1 else [middle] * 3
            found.append((name, middle, 50 * (quartiles[2] - quartiles[0]) / middle, len(values)))
    choose = max if field == RATE else min
    return choose(found, key=lambda entry: entry[1]) if found else None


def bound(field, mark):
    return "" if mark is None else f"{'>=' if field == RATE else '<='} {mark:,}"


def print_durable_start(rounds):
    """The start of a task at level disk, beside what it must cost: a sync of the device and some wakes."""
    start, sync = best(rounds, [DURABLE_START], P50), best(rounds, [DURABLE_START], "sync_ns")
    wake = best(rounds, waits("RawFutex", 5000, "park"), P50)
    if start is not None and wake is not None and not math.isnan(sync[1]):
        allowed = sync[1] + WAKES_ALLOWED * wake[1]
        print(f"| start at level disk, 5 ms, p50 / fdatasync + {WAKES_ALLOWED} wakes | {start[1] / allowed:.2f} "
              f"| <= 1.0 | {start[1]:,.0f} | {sync[1]:,.0f} + {WAKES_ALLOWED} x {wake[1]:,.0f} | {start[3]} "
              f"| {start[2]:.0f} %, {wake[2]:.0f} % |")


def main():
    rounds = read(sys.argv[1:])
    print("\n| ratio | measured | mark | leat | peer | rounds | spread |\n|---|---|---|---|---|---|---|")
    for what, ours, theirs, field, mark in RATIOS:
        mine, peer = best(rounds, ours, field), best(rounds, theirs, field)
        if mine is not None and peer is not None:
            print(f"| {what} | {mine[1] / peer[1]:.2f} | {bound(field, mark)} | {mine[1]:,.0f} "
                  f"| {peer[1]:,.0f} | {mine[3]} | {mine[2]:.0f} %, {peer[2]:.0f} % |")
    print_durable_start(rounds)
    print("\n| figure | measured | mark | rounds | spread |\n|---|---|---|---|---|")
    for what, name, field, mark in FIGURES:
        if (mine := best(rounds, [name], field)) is not None:
            print(f"| {what} | {mine[1]:,.0f} | {bound(field, mark)} | {mine[3]} | {mine[2]:.0f} % |")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main()
