/** Codes, their tables and the sums they rest on, against naive definitions. */
import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { signByte } from "../../../src/core/kernels/encode.ts"
import { byteTable, fastscanTable, sumBlock } from "../../../src/core/kernels/fastscan.ts"
import { hammingTable } from "../../../src/core/kernels/hamming.ts"
import { matmul } from "../../../src/core/kernels/matmul.ts"
import { dot64 } from "../../../src/core/kernels/norm.ts"
import { randomBytes, randomVectors } from "./random.ts"

/** The code of a slot as one number: bit `m` of it is bit `m` of the code. */
const codeOf = (block: Uint8Array, slot: number): bigint => {
  let code = 0n
  for (let g = 31; g >= 0; g--) code = (code << 8n) | BigInt(block[g * 64 + slot]!)
  return code
}

const ones = (code: bigint): number => code.toString(2).replaceAll("0", "").length

test("a bit of a code is set where the component is not negative, the lowest bit first", () => {
  const component = fc.constantFrom(-1, -(2 ** -149), -0, 0, 2 ** -149, 1)
  fc.assert(
    fc.property(fc.array(component, { minLength: 256, maxLength: 256 }), (components) => {
      const projected = Float32Array.from([...components, ...components.toReversed()])
      for (const [m, value] of projected.entries()) {
        const byte = signByte(projected, m - (m % 256), Math.floor((m % 256) / 8))
        assert.equal((byte >> (m % 8)) & 1, value >= 0 ? 1 : 0)
      }
    })
  )
})

test("Hamming distance is the number of bits that differ", () => {
  fc.assert(
    fc.property(fc.nat(), (seed) => {
      const block = randomBytes(seed, 2048)
      const query = randomBytes(~seed, 32)
      const sums = new Uint16Array(64)
      sumBlock(hammingTable(query), block, 0, sums)
      const queryCode = query.reduceRight((code, byte) => (code << 8n) | BigInt(byte), 0n)
      for (const [slot, distance] of sums.entries()) assert.equal(distance, ones(codeOf(block, slot) ^ queryCode))
    })
  )
})

test("fast-scan sums are the signed sum of the query within quantisation", () => {
  fc.assert(
    fc.property(fc.nat(), fc.constantFrom("ordinary", "sparse", "huge", "mixed"), (seed, kind) => {
      const block = randomBytes(seed, 2048)
      const y = randomVectors(~seed, 256, kind)
      const { nibbles, step, low } = fastscanTable(y)
      const sums = new Uint16Array(64)
      sumBlock(byteTable(nibbles), block, 0, sums)
      const size = y.reduce((sum, value) => sum + Math.abs(value), 0)
      for (const [slot, sum] of sums.entries()) {
        const code = codeOf(block, slot)
        const exact = y.reduce((total, value, m) => total + ((code >> BigInt(m)) & 1n ? value : -value), 0)
        assert.ok(sum <= 4032)
        assert.ok(Math.abs(sum * step + low - exact) <= 32 * step + size * 2 ** -18, `${sum * step + low} for ${exact}`)
      }
    })
  )
})

test("the projection of zero has an empty table", () => {
  assert.deepEqual(fastscanTable(new Float32Array(256)), { nibbles: new Uint8Array(1024), step: 0, low: 0 })
})

test("a product rounds every operation to f32, in order", () => {
  const sizes = fc.tuple(fc.nat({ max: 5 }), fc.nat({ max: 20 }), fc.nat({ max: 35 }))
  fc.assert(
    fc.property(fc.nat(), sizes, (seed, [m, k, n]) => {
      const a = randomVectors(seed, m * k, "mixed")
      const b = randomVectors(~seed, k * n, "mixed")
      const c = new Float32Array(m * n)
      matmul(a, b, c, m, k, n)
      const register = new Float32Array(2)
      for (let i = 0; i < m; i++) {
        for (let j = 0; j < n; j++) {
          register[0] = 0
          for (let p = 0; p < k; p++) {
            register[1] = a[i * k + p]! * b[p * n + j]!
            register[0] = register[0]! + register[1]!
          }
          assert.equal(c[i * n + j], register[0])
        }
      }
    })
  )
})

test("sixteen lanes add up in halves", () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat({ max: 100 }), (seed, length) => {
      const x = randomVectors(seed, length, "mixed")
      const y = randomVectors(~seed, length, "mixed")
      const lane = (l: number) => x.reduce((sum, value, i) => (i % 16 === l ? sum + value * y[i]! : sum), 0)
      const tree = (from: number, stride: number): number =>
        stride === 16 ? lane(from) : tree(from, stride * 2) + tree(from + stride, stride * 2)
      assert.equal(dot64(x, 0, y, 0, length), tree(0, 1))
    })
  )
})
