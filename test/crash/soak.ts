/** A mixed load for as long as is wanted: how memory grows, and how much the folder takes of the disk. */
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import { type Collection, open } from "../../src/index.ts"
import { randomBits } from "../property/kernels/random.ts"
import { Garbage } from "./garbage.ts"
import { type Growth, growthOf } from "./growth.ts"

const DIMENSIONS = 64
const PAYLOAD_BYTES = 200
/** Images are written as often as they may be. */
const SNAPSHOTS = { bytes: 1 << 20, ms: 2000 }
const LANES = 4
const BATCH = 50
const SAMPLE_MS = 20
/** Part of the time until memory and log have the size that they keep. */
const WARM_UP = 0.4
/** Parts of the rest that memory is measured at the end of. */
const WINDOWS = 240
/** Times as long as was asked for, until images are waited for no longer. */
const LONGEST = 10

export interface SoakCounts {
  seconds: number
  writes: number
  searches: number
  /** Images that were written. */
  images: number
  /** Bytes of an image with every entry. */
  live: number
  /** Most bytes of images, of those and the one that is being written, in images of `live` bytes. */
  readonly most: { idle: number; writing: number }
  /** Most bytes of the log in the first and the second half of what follows the warm-up. */
  readonly log: [first: number, second: number]
  /** Threads whose garbage was collected before memory was measured. */
  threads: number
  /** Resident bytes after the warm-up, and how they grow. */
  memory: Growth
}

interface Sizes {
  /** What the system calls the file that is the newest image. */
  readonly newest: number
  readonly images: number
  readonly unfinished: number
  readonly log: number
}

/** Sizes of the files of one moment. */
const sizesOf = (folder: string): Sizes => {
  for (;;) {
    const sizes = { newest: 0, images: 0, unfinished: 0, log: 0 }
    try {
      for (const name of readdirSync(folder)) {
        const { size, ino } = statSync(join(folder, name))
        if (name === "rows.image") sizes.newest = ino
        if (name.endsWith(".tmp")) sizes.unfinished += size
        else if (name.endsWith(".image")) sizes.images += size
        else sizes.log += size
      }
      return sizes
    } catch (error) {
      // A file took another name meanwhile: none of what was seen is of one moment.
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error
    }
  }
}

/** Writers and readers of a collection of which each entry is there most of the time. */
const load = async (
  collection: Collection,
  entries: number,
  bits: () => number,
  isOver: () => boolean,
  counts: SoakCounts
) => {
  const vector = () => Float32Array.from({ length: DIMENSIONS }, () => bits() / 2 ** 31 - 1)
  const entry = (i: number) => ({
    key: `k${i}`,
    vector: vector(),
    payload: { i, text: "x".repeat(bits() % PAYLOAD_BYTES) },
    fields: { lang: `l${bits() % 5}`, year: bits() % 100 }
  })
  const lane = async (first: number): Promise<void> => {
    while (!isOver()) {
      const i = first + LANES * (bits() % (entries / LANES))
      const kind = bits() % 10
      if (kind < 3) {
        const filter = kind === 0 ? { lang: "l1" } : undefined
        await collection.search(vector(), { k: 10, ...(filter && { filter }) })
        counts.searches++
        continue
      }
      if (!(await collection.has(`k${i}`))) await collection.add(entry(i))
      else if (kind < 5) await collection.delete(`k${i}`)
      else if (kind < 8) await collection.update(entry(i))
      else await collection.update({ key: `k${i}`, payload: { i, changed: bits() }, fields: { year: bits() % 100 } })
      counts.writes++
    }
  }
  const batches = async (): Promise<void> => {
    const all = Array.from({ length: BATCH }, (_, i) => entries + i)
    while (!isOver()) {
      await collection.addMany(all.map(entry))
      await Promise.all(all.map((i) => collection.delete(`k${i}`)))
      counts.writes += 2
      await setTimeout(SAMPLE_MS)
    }
  }
  await Promise.all([...Array.from({ length: LANES }, (_, first) => lane(first)), batches()])
}

/** Of the bounds on images: a few rows wait until no reader can hold them. */
const TOLERANCE = 1.02
/** Of the log in the second half of the time against the first: it is folded when images are written. */
const LOG_TOLERANCE = 1.25
const MAX_GROWTH = 1

/** What took more of the disk than it may. */
export const overDisk = ({ most }: SoakCounts): ReadonlyArray<string> => [
  ...(most.idle > 2 * TOLERANCE ? ["two images and the log is all that is kept"] : []),
  ...(most.writing > 3 * TOLERANCE ? ["one image more is all that writing it takes"] : [])
]

/** What grew in a run that is long enough to tell. */
export const overBounds = (counts: SoakCounts): ReadonlyArray<string> => [
  ...overDisk(counts),
  ...(counts.log[1] > LOG_TOLERANCE * counts.log[0] ? ["the log grows"] : []),
  ...(leastGrowth(counts) > MAX_GROWTH ? [`memory grows by over ${MAX_GROWTH} % an hour`] : [])
]

/** Per cent that memory grows by an hour, at least and at most, by two standard errors. */
const leastGrowth = ({ memory }: SoakCounts): number => memory.percent - 2 * memory.error
const mostGrowth = ({ memory }: SoakCounts): number => memory.percent + 2 * memory.error

/** Whether a run was long enough to show that memory keeps to its bound: one that is not must not pass for that. */
export const isTold = (counts: SoakCounts): boolean => mostGrowth(counts) <= MAX_GROWTH

interface SoakOptions {
  readonly seconds: number
  /** It goes on until so many images were written, ten times as long at most. Default 0. */
  readonly images?: number
  readonly entries: number
  readonly seed: number
}

/** Runs the load and looks at disk and memory all the while. */
export const soak = async ({ seconds, images = 0, entries, seed }: SoakOptions): Promise<SoakCounts> => {
  const counts: SoakCounts = {
    seconds,
    writes: 0,
    searches: 0,
    images: 0,
    live: 0,
    most: { idle: 0, writing: 0 },
    log: [0, 0],
    threads: 0,
    memory: { first: 0, percent: 0, error: 0 }
  }
  const folder = mkdtempSync(join(tmpdir(), "sabine-soak-"))
  const bits = randomBits(seed)
  try {
    await using db = await open(folder, { snapshots: SNAPSHOTS })
    const fields = { lang: "tag", year: "number" } as const
    const collection = await db.collection("rows", { dimensions: DIMENSIONS, fields })
    await collection.addMany(
      Array.from({ length: entries + BATCH }, (_, i) => ({
        key: `k${i}`,
        vector: Float32Array.from({ length: DIMENSIONS }, () => bits() / 2 ** 31 - 1),
        payload: { i, text: "x".repeat(PAYLOAD_BYTES) },
        fields: { lang: `l${i % 5}`, year: i % 100 }
      }))
    )
    await db.save()
    counts.live = statSync(join(folder, "rows.image")).size
    for (let i = 0; i < BATCH; i++) await collection.delete(`k${entries + i}`)
    const begin = performance.now()
    const until = begin + 1000 * seconds
    const warm = begin + 1000 * seconds * WARM_UP
    using garbage = await Garbage.start()
    let isRunning = true
    let { newest } = sizesOf(folder)
    const rss = new Float64Array(WINDOWS)
    const windowMs = (until - warm) / WINDOWS
    let measured = 0
    const watch = async (): Promise<void> => {
      while (isRunning) {
        const now = performance.now()
        const sizes = sizesOf(folder)
        const isWriting = sizes.unfinished > 0
        if (sizes.newest !== newest) counts.images++
        newest = sizes.newest
        const kind = isWriting ? "writing" : "idle"
        counts.most[kind] = Math.max(counts.most[kind], (sizes.images + sizes.unfinished) / counts.live)
        if (now > warm) {
          const half = now < (warm + until) / 2 ? 0 : 1
          counts.log[half] = Math.max(counts.log[half], sizes.log)
        }
        if (measured < WINDOWS && now > warm + (measured + 1) * windowMs) {
          counts.threads = await garbage.collect()
          rss[measured++] = process.memoryUsage.rss()
        }
        await setTimeout(SAMPLE_MS)
      }
    }
    const watching = watch()
    // A machine that is busy writes images seldom.
    const isOver = () =>
      performance.now() > until && (counts.images >= images || performance.now() > begin + LONGEST * (until - begin))
    await load(collection, entries, bits, isOver, counts)
    isRunning = false
    await watching
    if (measured > 2) counts.memory = growthOf(rss.subarray(0, measured), windowMs)
    return counts
  } finally {
    rmSync(folder, { recursive: true })
  }
}
