/** An image gives back the store it was made of, whatever was written to it before and is written after. */
import assert from "node:assert/strict"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, test } from "node:test"
import fc from "fast-check"
import { scalar } from "../../src/core/kernels/scalar.ts"
import { kernels } from "../../src/core/native.ts"
import { loadImage, saveImage } from "../../src/core/store/image.ts"
import { METRICS, type PqShape, PRECISIONS } from "../../src/core/store/layout.ts"
import type { StoreShape } from "../../src/core/store/memory.ts"
import type { StoredPayload } from "../../src/core/store/records.ts"
import type { Store } from "../../src/core/store/store.ts"
import { assertSameStore, drop, entryOf, newStore, put } from "../stores.ts"

let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "sabine-image-"))
})
after(() => rm(folder, { recursive: true }))

const META = { generation: 2 ** 40, embedder: "naïve embedder/1", watermark: 2 ** 41 }

/** Writes of entries that follow from small numbers, so that keys meet again. */
interface Write {
  readonly kind: "put" | "drop"
  readonly first: number
  readonly count: number
  readonly payload: StoredPayload
}

const keyOf = (number: number): string => `${number}-${"é".repeat(number % 7)}`
const KEYS = Array.from({ length: 160 }, (_, i) => keyOf(i))

const payload: fc.Arbitrary<StoredPayload> = fc.oneof(
  fc.constant(undefined),
  fc.json().map((json) => ({ json })),
  fc.uint8Array({ maxLength: 1200 }).map((bytes) => ({ bytes }))
)
const write: fc.Arbitrary<Write> = fc.record({
  kind: fc.constantFrom("put", "put", "drop"),
  first: fc.nat({ max: 120 }),
  count: fc.integer({ min: 1, max: 40 }),
  payload
})

const apply = (store: Store, writes: ReadonlyArray<Write>): void => {
  for (const [seed, { kind, first, count, payload }] of writes.entries()) {
    const keys = KEYS.slice(first, first + count)
    if (kind === "put") put(store, keys, seed, payload)
    else for (const key of keys) drop(store, key)
  }
}

const roundTrip = async (store: Store, name: string): Promise<Store> => {
  const path = join(folder, name)
  await saveImage(store, META, path)
  const { store: loaded, meta } = await loadImage(store.kernels, path)
  assert.deepEqual(meta, META)
  return loaded
}

for (const metric of METRICS) {
  for (const precision of PRECISIONS) {
    test(`a store of metric ${metric} and precision ${precision} comes back as it was`, async () => {
      const products = fc.constantFrom<PqShape | undefined>(undefined, undefined, { m: 3, bits: 8 }, { m: 2, bits: 4 })
      const shapes = fc.tuple(fc.integer({ min: 1, max: 24 }), products).map(
        ([dimensions, pq]): StoreShape => ({
          dimensions,
          metric,
          precision,
          ...(pq !== undefined && pq.m <= dimensions && { pq })
        })
      )
      await fc.assert(
        fc.asyncProperty(
          shapes,
          fc.array(write, { maxLength: 20 }),
          fc.array(write, { maxLength: 20 }),
          fc.constantFrom(kernels, scalar),
          async (shape, earlier, later, kernels) => {
            const store = newStore(kernels, shape)
            apply(store, earlier)
            const loaded = await roundTrip(store, "first")
            assertSameStore(loaded, store, KEYS)

            // A second image differs in nothing: what was left out of the first is not missed.
            const again = await roundTrip(loaded, "second")
            assert.deepEqual(await readFile(join(folder, "second")), await readFile(join(folder, "first")))

            apply(store, later)
            apply(again, later)
            assert.deepEqual(again.directory.live, store.directory.live)
            for (const key of KEYS) {
              const { row: _, generation: __, ...expected } = entryOf(store, key) ?? {}
              const { row: ___, generation: ____, ...actual } = entryOf(again, key) ?? {}
              assert.deepEqual(actual, expected)
            }
          }
        ),
        { numRuns: 30 }
      )
    })
  }
}

test("segments, chunks of records and a key index that is growing come back", async () => {
  const store = newStore(kernels, { dimensions: 2, metric: "l2", precision: "f16" })
  const keys = Array.from({ length: 70_000 }, (_, i) => `key ${i}`)
  for (let from = 0; from < keys.length; from += 1000) {
    put(store, keys.slice(from, from + 1000), from, { bytes: new Uint8Array(100).fill(from / 1000) })
  }
  for (let i = 0; i < keys.length; i += 3) drop(store, keys[i]!)
  put(store, ["large"], 1, { bytes: new Uint8Array(9 << 20).fill(7) })
  for (let i = 0; store.keys.previous === undefined; i++) put(store, [`more ${i}`], i)
  for (const key of keys.slice(1, 50)) drop(store, key)
  assert.ok(store.keys.previous !== undefined)
  const loaded = await roundTrip(store, "segments")
  assert.equal(loaded.segments.length, 2)
  assertSameStore(loaded, store, [...keys, "large", "more 0"])
  // Freed slots are used again, and new records do not touch the packed ones.
  put(loaded, keys.slice(0, 20), 3, { json: "[1]" })
  assert.equal(loaded.directory.rows, store.directory.rows)
  assert.deepEqual(entryOf(loaded, "key 7")?.payload, [1])
  assert.deepEqual(entryOf(loaded, "key 1001"), entryOf(store, "key 1001"))
  assert.deepEqual(entryOf(loaded, "large"), entryOf(store, "large"))
})
