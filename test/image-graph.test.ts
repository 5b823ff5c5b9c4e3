/** Graphs in images: refused when they are not whole, and left alone without the addon. */
import assert from "node:assert/strict"
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, test } from "node:test"
import { ImageInvalid } from "../src/core/errors.ts"
import { scalar } from "../src/core/kernels/scalar.ts"
import { kernels } from "../src/core/native.ts"
import { Graph } from "../src/core/store/graph.ts"
import { encodeDescription } from "../src/core/store/image/description.ts"
import { planImage } from "../src/core/store/image/ranges.ts"
import { loadImage, saveImage } from "../src/core/store/image.ts"
import { seal } from "./sealing.ts"
import { newStore, put } from "./stores.ts"

const native = { skip: kernels.graph === undefined && "there is no addon" }
const OPTIONS = { m: 4, efConstruction: 20, seed: 3 }
const META = { generation: 1, embedder: "", graph: OPTIONS }
const ROWS = 600
const D = 6

let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "sabine-image-graph-"))
})
after(() => rm(folder, { recursive: true }))

const keys = Array.from({ length: ROWS }, (_, i) => `k${i}`)

/** A store whose rows below `count` are linked, on this thread. */
const linkedStore = (count = ROWS) => {
  const store = newStore(kernels, { dimensions: D, metric: "cosine", precision: "f32" })
  put(store, keys, 1)
  store.useGraph(new Graph(kernels, store.shape, OPTIONS, new Float32Array(new SharedArrayBuffer(4 * D))))
  link(store, 0, count)
  return store
}

const link = (store: ReturnType<typeof newStore>, from: number, to: number): void => {
  const rows = Uint32Array.from(keys.slice(from, to), (_, i) => from + i)
  kernels.graph!.insert(store.columns.layout, store.columns, rows, OPTIONS.efConstruction, new Int32Array(1), 0)
}

/** First row of the highest level: what is linked before it has another entry. */
const highestRow = (graph: Graph): number => {
  const levels = keys.map((_, row) => graph.level(row))
  return levels.indexOf(Math.max(...levels))
}

test("a graph comes back link by link, and is not in force before its vectors are copied", native, async () => {
  const saved = linkedStore()
  const path = join(folder, "whole")
  await saveImage(saved, META, path)
  const { store, graph: options } = await loadImage(kernels, path)
  assert.deepEqual(options, OPTIONS)
  const graph = store.graph!
  assert.deepEqual(graph.entry, saved.graph!.entry)
  assert.deepEqual(graph.lowestLinks(0), saved.graph!.lowestLinks(0))
  assert.deepEqual(graph.upperLinks(0, ROWS), saved.graph!.upperLinks(0, ROWS))
  assert.equal(graph.linked, 0)
  assert.equal(graph.unrestored!.length, 1)
  kernels.graph!.copy(store.columns.layout, store.columns, 0, graph.unrestored![0]!)
  assert.equal(graph.linked, ROWS)
})

test("the entry is that of the moment, whatever is linked while the rest is written", native, async () => {
  const highest = highestRow(linkedStore(0).graph!)
  assert.ok(highest > 1)
  const saved = linkedStore(highest)
  const { entry } = saved.graph!
  const path = join(folder, "moment")
  await saveImage(saved, META, path, {
    exclusively: async (work) => {
      const done = await work()
      link(saved, highest, ROWS)
      return done
    }
  })
  assert.equal(saved.graph!.entry[0], highest + 1)
  assert.deepEqual((await loadImage(kernels, path)).store.graph!.entry, entry)
})

test(
  "walks do not start at an entry without a mark, as images had that were written while rows were linked",
  native,
  async () => {
    const saved = linkedStore()
    const { graph } = saved
    const path = join(folder, "unmarked")
    graph!.unlink(graph!.entry[0] - 1)
    await saveImage(saved, META, path)
    const [entry, level] = (await loadImage(kernels, path)).store.graph!.entry
    assert.notEqual(entry, graph!.entry[0])
    const linked = keys.map((_, row) => row).filter((row) => row !== graph!.entry[0] - 1)
    assert.deepEqual(
      [graph!.level(entry - 1), level],
      Array(2).fill(Math.max(...linked.map((row) => graph!.level(row))))
    )
  }
)

test("without the addon the links stay in the file, and the wish for them is known", native, async () => {
  const path = join(folder, "scalar")
  await saveImage(linkedStore(), META, path)
  const { store, graph } = await loadImage(scalar, path)
  assert.deepEqual(graph, OPTIONS)
  assert.equal(store.graph, undefined)
  assert.equal(store.directory.live, ROWS)
})

test("links, bits and entries out of bounds are refused even when every checksum is right", native, async () => {
  const saved = linkedStore()
  const path = join(folder, "hostile")
  await saveImage(saved, META, path)
  const whole = await readFile(path)
  const upperBytes = saved.graph!.upperLinks(0, ROWS).length
  const records = (await loadImage(kernels, path)).store.records.buffers[0]!.byteLength
  const { ranges, extents } = planImage({
    ...planSize(saved, records),
    rotated: 0,
    graph: { m: OPTIONS.m, upperBytes }
  })
  const at = (buffer: string) => ranges.find((range) => range.section === "graph" && range.buffer === buffer)!.offset
  const attempts: ReadonlyArray<readonly [field: string, what: string, spoil: (bytes: Buffer) => void]> = [
    ["graph", "a lowest link beyond the rows", (bytes) => bytes.writeUInt32LE(ROWS + 1, at("links") + 16)],
    ["graph", "an upper link beyond the rows", (bytes) => bytes.writeUInt32LE(2 ** 32 - 1, at("upper"))],
    ["graph", "a linked bit beyond the rows", (bytes) => bytes.writeUInt8(0x80, at("linked") + 79)],
    ["graph", "a mean that is no number", (bytes) => bytes.writeFloatLE(Number.NaN, at("mean"))],
    ["graphEntry", "an entry beyond the rows", (bytes) => bytes.writeUInt32LE(ROWS + 1, 276)],
    ["graphEntry", "no entry", (bytes) => bytes.writeUInt32LE(0, 276)],
    ["graphLevel", "an entry of another level", (bytes) => bytes.writeUInt32LE(15, 280)],
    ["graphUpperBytes", "levels of another seed", (bytes) => bytes.writeUInt32LE(OPTIONS.seed + 1, 272)]
  ]
  for (const [field, what, spoil] of attempts) {
    const bytes = Buffer.from(whole)
    spoil(bytes)
    seal(bytes, { ranges, extents })
    await writeFile(path, bytes)
    await assert.rejects(
      loadImage(kernels, path),
      (error) => {
        assert.ok(error instanceof ImageInvalid, `${what}: ${String(error)}`)
        assert.equal(error.field, field, what)
        return true
      },
      what
    )
  }
})

const planSize = (store: ReturnType<typeof linkedStore>, recordsBytes: number) => ({
  shape: store.shape,
  rows: store.directory.rows,
  keyCapacity: store.keys.current.length,
  recordsBytes,
  lists: 0,
  listBlocks: 0,
  tagsBytes: 0,
  descriptionBytes: encodeDescription(store.shape, undefined).length
})
