/** Collections whose vectors are rotated before they are cut into product codes. */
import assert from "node:assert/strict"
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { orthonormalise } from "../src/core/index/orthonormal.ts"
import { pcg64 } from "../src/core/index/pcg64.ts"
import { scalar } from "../src/core/kernels/scalar.ts"
import { kernels } from "../src/core/native.ts"
import { loadImage, saveImage } from "../src/core/store/image.ts"
import { METRICS, type Rotation } from "../src/core/store/layout.ts"
import { attach, type Collection, type CollectionOptions, open, verify } from "../src/index.ts"
import { failsWith } from "./failures.ts"
import { randomVectors } from "./property/kernels/random.ts"
import { seal } from "./sealing.ts"
import { newStore, planOf, put } from "./stores.ts"

const DIMENSIONS = 24
const ROWS = 3000

/** Vectors whose variance lies in a few directions, none of which is an axis. */
const correlated = (seed: number, rows: number): Float32Array => {
  const axes = orthonormalise(randomVectors(7, DIMENSIONS ** 2), DIMENSIONS, DIMENSIONS, pcg64(7))
  const weights = randomVectors(seed, rows * DIMENSIONS).map((x, i) => x / (1 + (i % DIMENSIONS)))
  const vectors = new Float32Array(rows * DIMENSIONS)
  scalar.matmul(weights, axes, vectors, rows, DIMENSIONS, DIMENSIONS)
  return vectors
}

const keys = Array.from({ length: ROWS }, (_, i) => `k${i}`)
const vectors = correlated(1, ROWS)
const queries = correlated(2, 40)
const rowOf = (rows: Float32Array, row: number) => rows.subarray(row * DIMENSIONS, (row + 1) * DIMENSIONS)

const options = (rotation: Rotation, rest: CollectionOptions = {}) =>
  ({ dimensions: DIMENSIONS, codes: { pq: { m: 6, bits: 4, rotation } }, ...rest }) as const

const filled = async (made: Promise<Collection>): Promise<Collection> => {
  const collection = await made
  if (collection.shape.precision === "none") await collection.train(vectors)
  await collection.addMany({ keys, vectors })
  return collection
}

/** Share of the ten nearest that codes alone find. */
const recall = async (collection: Collection, exact: Collection): Promise<number> => {
  const wanted = await exact.searchMany(queries, { k: 10, mode: "exact" })
  const found = await collection.searchMany(queries, { k: 10, mode: "pq" })
  const hits = wanted.keys.filter((key, i) => found.keys.slice(i - (i % 10), i - (i % 10) + 10).includes(key))
  return hits.length / wanted.keys.length
}

for (const metric of METRICS) {
  test(`codes alone find more and lose less after a rotation: ${metric}`, async () => {
    await using db = await open(":memory:", { threads: 1 })
    const exact = await db.collection("exact", { dimensions: DIMENSIONS, metric })
    await exact.addMany({ keys, vectors })
    const reached = new Map<Rotation, number>()
    const lost = new Map<Rotation, number>()
    for (const rotation of ["none", "pca", "opq", "auto"] as const) {
      const collection = await filled(db.collection(rotation, options(rotation, { metric, precision: "none" })))
      const { rotated, distortion } = collection.stats()
      assert.equal(rotated === undefined, rotation === "none")
      reached.set(rotation, await recall(collection, exact))
      lost.set(rotation, distortion!)
      let [error, variance] = [0, 0]
      const length = (row: Float32Array) => (metric === "cosine" ? Math.hypot(...row) : 1)
      for (let row = 0; row < 400; row++) {
        const x = rowOf(vectors, row).map((value, _, all) => value / length(all))
        const decoded = (await collection.reconstruct(`k${row}`))!
        error += x.reduce((sum, value, i) => sum + (value - decoded[i]!) ** 2, 0)
        variance += x.reduce((sum, value) => sum + value ** 2, 0)
      }
      // Means are near zero; these rows were trained on for the most part.
      assert.ok(Math.abs(error / variance - distortion!) < 0.25 * distortion!, `${error / variance} for ${distortion}`)
      const query = rowOf(queries, 0)
      for (const { key, score } of await collection.search(query, { k: 5 })) {
        const distance = await collection.approximateDistance(query, key)
        const expected = metric === "cosine" ? 1 - score : -score
        assert.ok(Math.abs(distance! - expected) < 1e-4 * (1 + Math.abs(expected)), `${distance} for ${score}`)
      }
    }
    for (const rotation of ["pca", "opq", "auto"] as const) {
      assert.ok(lost.get(rotation)! < 0.8 * lost.get("none")!, `${[...lost]}`)
      assert.ok(reached.get(rotation)! > reached.get("none")!, `${[...reached]}`)
    }
  })
}

test("the choice has bounds, is kept, and is not asked for again", async () => {
  await using db = await open(":memory:", { threads: 1 })
  const made = (name: string, pq: object, dimensions = DIMENSIONS) =>
    db.collection(name, { dimensions, codes: { pq } } as unknown as CollectionOptions)
  await assert.rejects(made("c", { m: 6, rotation: "random" }), failsWith("InvalidParameter", "codes.pq.rotation"))
  await assert.rejects(made("c", { m: 6, rotation: "opq" }, 2049), failsWith("InvalidParameter", "codes.pq.rotation"))
  assert.deepEqual((await made("wide", { m: 6 }, 2049)).shape.codes, { pq: { m: 6, bits: 8, rotation: "auto" } })
  const pca = await made("pca", { m: 6, rotation: "pca" })
  assert.deepEqual(pca.shape.codes, { pq: { m: 6, bits: 8, rotation: "pca" } })
  assert.deepEqual((await made("pca", { m: 6 })).shape, pca.shape)
  await assert.rejects(made("pca", { m: 6, rotation: "none" }), failsWith("CollectionMismatch"))
  await assert.rejects(made("pca", { m: 6, rotation: "auto" }), failsWith("CollectionMismatch"))
  const none = await made("none", { m: 6, rotation: "none" })
  assert.deepEqual(none.shape.codes, { pq: { m: 6, bits: 8 } })
  assert.deepEqual((await made("none", { m: 6 })).shape, none.shape)
})

test("pool, attached threads, images and trainings anew have the rotation in force", async () => {
  const folder = await mkdtemp(join(tmpdir(), "sabine-rotation-"))
  try {
    const query = rowOf(queries, 3)
    const seen = async (collection: Pick<Collection, "search" | "reconstruct">) => ({
      hits: await collection.search(query, { k: 15, mode: "pq", rerank: 0 }),
      decoded: await collection.reconstruct("k8")
    })
    const answers: Array<unknown> = []
    for (let round = 0; round < 2; round++) {
      await using db = await open(folder, { threads: 2 })
      for (const precision of ["f16", "none"] as const) {
        const name = `c-${precision}`
        const collection =
          round === 0 ? await filled(db.collection(name, options("opq", { precision }))) : await db.collection(name)
        const { handle, transferList } = collection.share()
        await using attached = attach(structuredClone(handle, { transfer: [...transferList] }), { threads: 1 })
        assert.deepEqual(await seen(attached), await seen(collection))
        const { codes, distortion, rotated } = collection.stats()
        assert.ok(rotated! > 0)
        answers.push({ ...(await seen(collection)), codes, distortion, rotated })
        await db.save()
        if (round === 0 || precision === "none") continue
        await collection.train(correlated(11, 400))
        assert.notEqual(collection.stats().distortion, distortion)
        assert.deepEqual(await seen(attached), await seen(collection))
        const found = await collection.searchMany(vectors.subarray(0, 100 * DIMENSIONS), {
          k: 20,
          rerank: 0,
          mode: "pq"
        })
        const own = Array.from({ length: 100 }, (_, i) => found.keys.slice(20 * i, 20 * (i + 1)).includes(`k${i}`))
        assert.ok(own.filter(Boolean).length >= 90, `${own.filter(Boolean).length} of 100 rows are near their codes`)
      }
    }
    assert.deepEqual(answers.slice(2), answers.slice(0, 2))
  } finally {
    await rm(folder, { recursive: true })
  }
})

test("codes whose rotation is damaged are made again from the vectors", async (t) => {
  t.mock.method(console, "log", () => undefined)
  const folder = await mkdtemp(join(tmpdir(), "sabine-rotation-"))
  try {
    {
      await using db = await open(folder, { threads: 1 })
      await filled(db.collection("c", options("pca")))
      await db.save()
      await db.save()
    }
    for (const name of ["c.image", "c.previous.image"]) {
      const path = join(folder, name)
      const bytes = await readFile(path).catch(() => undefined)
      if (bytes === undefined) continue
      // The last float of the encoder section is one of the rotation.
      const at = Number(bytes.readBigUInt64LE(104) + bytes.readBigUInt64LE(112)) - 3
      bytes[at] = bytes[at]! ^ 0xff
      await writeFile(path, bytes)
    }
    assert.ok((await verify(folder)).faults.length > 0)
    await using db = await open(folder, { threads: 1, salvage: true })
    const collection = await db.collection("c")
    assert.equal(collection.size(), ROWS)
    assert.ok(collection.stats().rotated! > 0)
    const [hit] = await collection.search(rowOf(vectors, 5), { k: 1, mode: "pq" })
    assert.equal(hit?.key, "k5")
  } finally {
    await rm(folder, { recursive: true })
  }
})

test("a header that says what there cannot be of a rotation is refused", async () => {
  const folder = await mkdtemp(join(tmpdir(), "sabine-rotation-"))
  try {
    const path = join(folder, "hostile")
    for (const pq of [{ m: 3, bits: 8, rotation: "pca" } as const, undefined]) {
      const store = newStore(kernels, { dimensions: 6, metric: "dot", precision: "f32", ...(pq && { pq }) })
      put(store, ["a", "b"], 1)
      await saveImage(store, { generation: 1, embedder: "" }, path)
      const whole = await readFile(path)
      const { store: loaded } = await loadImage(kernels, path)
      assert.equal(loaded.codes.encoder.rotated, store.codes.encoder.rotated)
      assert.deepEqual(loaded.shape, store.shape)
      const attempts = [
        ["rotation", 284, 4],
        ...(pq === undefined ? [["rotation", 284, 2] as const] : [["rotated", 308, 2] as const]),
        ["rotated", 308, 7],
        ["rotated", 308, pq === undefined ? 6 : 2 ** 32 - 1]
      ] as const
      for (const [field, offset, value] of attempts) {
        const bytes = Buffer.from(whole)
        bytes.writeUInt32LE(value, offset)
        seal(bytes, planOf(loaded))
        await writeFile(path, bytes)
        await assert.rejects(loadImage(kernels, path), (error: { field?: string }) => error.field === field)
      }
      if (pq === undefined) continue
      // Fewer components than were written: the section would be shorter than it is.
      const bytes = Buffer.from(whole)
      bytes.writeUInt32LE(bytes.readUInt32LE(308) === 3 ? 4 : 3, 308)
      seal(bytes, planOf(loaded))
      await writeFile(path, bytes)
      await assert.rejects(loadImage(kernels, path), (error: { field?: string }) => error.field === "encoderBytes")
    }
  } finally {
    await rm(folder, { recursive: true })
  }
})
