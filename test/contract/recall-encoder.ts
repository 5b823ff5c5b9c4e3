/** What every encoder of a recall pool promises. An implementation's test calls `encoderContract` with itself. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { spectralOf } from "../../src/core/recall/spectral.ts"
import { ownTensor } from "../../src/core/recall/tensor.ts"
import { spectrumOfTensor } from "../../src/core/spectrum.ts"
import { type Encodable, type Encoder, tensorFromSeed } from "../../src/recall.ts"

const encodable = (seed: number, utility = 0): Encodable => {
  const tensor = ownTensor(tensorFromSeed(seed, { rows: 8, columns: 6, layers: 2, channels: 3 }))
  return { tensor, spectrum: spectralOf(spectrumOfTensor(tensor)), utility, bias: 0 }
}

export const encoderContract = (name: string, make: () => Encoder): void => {
  describe(`encoder contract: ${name}`, () => {
    test("identity and dimensions are stated, and stay", () => {
      assert.match(make().id, /\S/)
      assert.equal(make().id, make().id)
      assert.ok(Number.isInteger(make().dimensions) && make().dimensions > 0)
    })

    test("embeddings are finite, of the stated dimension and not all zero", () => {
      for (let seed = 0; seed < 20; seed++) {
        const embedding = make().encode(encodable(seed))
        assert.equal(embedding.length, make().dimensions)
        assert.ok(embedding.every(Number.isFinite) && embedding.some((x) => x !== 0))
      }
    })

    test("the same item gives the same bits, from another instance too, and leaves the item as it was", () => {
      const item = encodable(7)
      const before = item.tensor.data.slice()
      assert.deepEqual(make().encode(item), make().encode(encodable(7)))
      assert.deepEqual(item.tensor.data, before)
    })

    test("other tensors give other embeddings", () => {
      const embeddings = Array.from({ length: 20 }, (_, seed) => make().encode(encodable(seed)).join())
      assert.equal(new Set(embeddings).size, 20)
    })
  })
}
