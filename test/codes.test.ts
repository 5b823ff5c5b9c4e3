/** The codes that collections store: golden, for a folder of one machine is searched on others. */
import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { drawDirection } from "../src/core/index/orthonormal.ts"
import { pcg64 } from "../src/core/index/pcg64.ts"
import type { Kernels } from "../src/core/kernels/contract.ts"
import { AttachedMemory } from "../src/core/store/attach.ts"
import { BLOCK, CODE_BLOCK_BYTES, CODE_BYTES, FACTORS_OFFSET } from "../src/core/store/layout.ts"
import { type Collection, open } from "../src/index.ts"
import { testEveryIsa } from "./property/kernels/addon.ts"

/** The codes buffer of the first segment, as another thread is handed it. */
const codesOf = (kernels: Kernels, collection: Collection): Uint8Array => {
  const { handle } = collection.share()
  const { columns } = new AttachedMemory(kernels, handle.memory, handle.reader, handle.port)
  handle.port.close()
  return columns.codes[0]!
}

testEveryIsa("a collection stores the published codes of binary-semantic-cache", async (kernels) => {
  const vector = Float32Array.from({ length: 384 }, (_, i) => (i - 191.5) / 384)
  for (const metric of ["cosine", "dot", "l2"] as const) {
    for (const precision of ["f32", "none"] as const) {
      await using db = await open(":memory:")
      const collection = await db.collection("published", { dimensions: 384, metric, precision, codes: "published" })
      await collection.add({ key: "a", vector })
      const codes = codesOf(kernels, collection)
      // In a block the bytes of one place of the code follow one another, a row each.
      const code = Buffer.from(Array.from({ length: CODE_BYTES }, (_, place) => codes[BLOCK * place]!))
      const words = [0, 8, 16, 24].map((at) => code.readBigUInt64LE(at).toString(16).padStart(16, "0"))
      assert.deepEqual(words, ["b8daeb77179cec7d", "bbf1f44914d87184", "c0f1371825028a38", "617024c33541c89e"])
    }
  }
})

/** Enough for a training, and some that come after it. */
const [TRAINED, LATER] = [2048, 200]
/** Over 256, where a rotation is learned. */
const DIMENSIONS = 264

testEveryIsa("a trained collection keeps the bits of its codes and factors", async (kernels) => {
  const vectors = new Float32Array((TRAINED + LATER) * DIMENSIONS)
  drawDirection(pcg64(9), vectors)
  await using db = await open(":memory:")
  const collection = await db.collection("trained", { dimensions: DIMENSIONS, metric: "l2", seed: 5 })
  const add = (from: number, to: number) =>
    collection.addMany({
      keys: Array.from({ length: to - from }, (_, i) => `key ${from + i}`),
      vectors: vectors.slice(from * DIMENSIONS, to * DIMENSIONS)
    })
  await add(0, TRAINED)
  assert.equal(collection.stats().encoder, "itq")
  await add(TRAINED, TRAINED + LATER)
  const codes = codesOf(kernels, collection)
  const blocks = Math.ceil((TRAINED + LATER) / BLOCK)
  const digest = createHash("sha256")
    .update(codes.subarray(0, blocks * CODE_BLOCK_BYTES))
    .update(codes.subarray(FACTORS_OFFSET, FACTORS_OFFSET + blocks * 2 * BLOCK))
    .digest("hex")
  assert.equal(digest, "6ad95e9c98a3326b62d00d33f98f4df2fd7a125754afcaf40179b738be122540")
})
