/** Inverted lists in images: read as they were, written on, and refused when they are not whole. */
import assert from "node:assert/strict"
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, test } from "node:test"
import { ImageInvalid } from "../src/core/errors.ts"
import { kernels } from "../src/core/native.ts"
import { loadImage, saveImage } from "../src/core/store/image.ts"
import { METRICS, type PqShape } from "../src/core/store/layout.ts"
import type { Store } from "../src/core/store/store.ts"
import { listAll, listedRows, liveRowsOf } from "./lists.ts"
import { seal } from "./sealing.ts"
import { drop, newStore, planOf, put } from "./stores.ts"

let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "sabine-lists-"))
})
after(() => rm(folder, { recursive: true }))

const keys = (from: number, count: number) => Array.from({ length: count }, (_, i) => `k${from + i}`)

/** A store with lists of which some were written anew. */
const listedStore = (metric: (typeof METRICS)[number], pq?: PqShape): Store => {
  const store = newStore(kernels, { dimensions: 8, metric, precision: "f32", ...(pq && { pq }) })
  put(store, keys(0, 700), 1)
  listAll(store, 5)
  for (const key of keys(0, 400)) drop(store, key)
  put(store, keys(900, 100), 2)
  return store
}

for (const [metric, pq] of [
  ...METRICS.map((metric) => [metric, undefined] as const),
  ["cosine", { m: 4, bits: 4 }],
  ["l2", { m: 3, bits: 8, rotation: "pca" }]
] as const) {
  const codes = pq === undefined ? "" : ` and ${pq.m} x ${pq.bits} bits`
  test(`lists of metric ${metric}${codes} come back as they were, and are written on`, async () => {
    const saved = listedStore(metric, pq)
    const setting = { mode: 3, nprobe: 2, rerank: 40, recall: 0.97, error: 0.01, us: 12.5 }
    const calibration = { rows: 400, queries: 256, curves: [{ k: 10, settings: [setting] }] }
    saved.useCalibration(calibration)
    const path = join(folder, `${metric}${codes}`)
    await saveImage(saved, { generation: 1, embedder: "" }, path)
    const { store } = await loadImage(kernels, path)
    assert.equal(store.lists?.count, 5)
    assert.deepEqual(store.codes.calibration, calibration)
    assert.deepEqual(listedRows(store), listedRows(saved))
    for (const key of keys(500, 180)) drop(store, key)
    put(store, keys(2000, 300), 3)
    assert.deepEqual(listedRows(store), Array.from(liveRowsOf(store)))
    await saveImage(store, { generation: 2, embedder: "" }, path)
    assert.deepEqual(listedRows((await loadImage(kernels, path)).store), listedRows(store))
  })
}

test("lists that lose a row, name one twice or go round are refused even when every checksum is right", async () => {
  const saved = listedStore("cosine")
  const path = join(folder, "hostile")
  await saveImage(saved, { generation: 1, embedder: "" }, path)
  const whole = await readFile(path)
  const { ranges, extents } = planOf((await loadImage(kernels, path)).store)
  const links = ranges.filter(({ section, buffer }) => section === "lists" && buffer === "links")
  const [live, next, rows] = links.map(({ offset }) => offset)
  const heads = ranges.find(({ buffer }) => buffer === "heads")!.offset
  const head = whole.readUInt32LE(heads) - 1
  const word = whole.readBigUInt64LE(live! + 8 * head)
  const lowest = word & -word
  /** Where the rows of the two lowest live slots are. */
  const [first, second] = Array.from({ length: 64 }, (_, lane) => lane)
    .filter((lane) => (word >> BigInt(lane)) & 1n)
    .map((lane) => rows! + 256 * head + 4 * lane)
  const attempts: ReadonlyArray<readonly [what: string, spoil: (bytes: Buffer) => void]> = [
    ["a head beyond the blocks", (bytes) => bytes.writeUInt32LE(2 ** 31, heads)],
    ["an empty list", (bytes) => bytes.writeUInt32LE(0, heads)],
    ["two lists of one chain", (bytes) => bytes.writeUInt32LE(bytes.readUInt32LE(heads + 4), heads)],
    ["a ring", (bytes) => bytes.writeUInt32LE(head + 1, next! + 4 * head)],
    [
      "a row less",
      (bytes) => bytes.writeBigUInt64LE(bytes.readBigUInt64LE(live! + 8 * head) & ~lowest, live! + 8 * head)
    ],
    ["a row beyond the last", (bytes) => bytes.writeUInt32LE(2 ** 31, first!)],
    ["a row twice", (bytes) => bytes.writeUInt32LE(bytes.readUInt32LE(second!), first!)]
  ]
  for (const [what, spoil] of attempts) {
    const bytes = Buffer.from(whole)
    spoil(bytes)
    seal(bytes, { ranges, extents })
    await writeFile(path, bytes)
    await assert.rejects(
      loadImage(kernels, path),
      (error) => error instanceof ImageInvalid && error.field === "lists",
      what
    )
  }
})
