/** The checksum against a bit-by-bit definition. */
import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { scalar } from "../../../src/core/kernels/scalar.ts"
import { randomBytes } from "./random.ts"

/** Polynomial division bit by bit, over the bits of BigInt: RFC 3720 B.4 read to the letter. */
const naive = (bytes: Uint8Array): number => {
  let rest = 0xffff_ffffn
  for (const byte of bytes) {
    rest ^= BigInt(byte)
    for (let bit = 0; bit < 8; bit++) rest = rest & 1n ? (rest >> 1n) ^ 0x82f6_3b78n : rest >> 1n
  }
  return Number(rest ^ 0xffff_ffffn)
}

test("the check value of the standard", () => {
  assert.equal(scalar.crc32c(new TextEncoder().encode("123456789")), 0xe306_9283)
  assert.equal(scalar.crc32c(new Uint8Array(0)), 0)
  assert.equal(scalar.crc32c(new Uint8Array(32)), 0x8a91_36aa)
})

test("any bytes at any alignment", () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat({ max: 70 }), fc.nat({ max: 9 }), (seed, length, skip) => {
      const bytes = randomBytes(seed, length + skip).subarray(skip)
      assert.equal(scalar.crc32c(bytes), naive(bytes))
    })
  )
})

test("blocks are checksummed one by one, and verification names the first that differs", async () => {
  const sizes = fc.tuple(fc.nat({ max: 200 }), fc.integer({ min: 1, max: 90 }))
  await fc.assert(
    fc.asyncProperty(fc.nat(), sizes, async (seed, [length, blockBytes]) => {
      const bytes = randomBytes(seed, length)
      const checksums = new Uint32Array(Math.ceil(length / blockBytes))
      scalar.crc32cBlocks(bytes, blockBytes, checksums)
      for (const [block, checksum] of checksums.entries()) {
        assert.equal(checksum, naive(bytes.subarray(block * blockBytes, (block + 1) * blockBytes)))
      }
      assert.equal(await scalar.verifyBlocks(bytes, blockBytes, checksums), -1)
      if (length === 0) return
      const flipped = seed % length
      bytes[flipped] = bytes[flipped]! ^ 0x10
      assert.equal(await scalar.verifyBlocks(bytes, blockBytes, checksums), Math.floor(flipped / blockBytes))
    })
  )
})

test("verification leaves the event loop free and is right across its slices", async (context) => {
  const bytes = randomBytes(7, 5 << 20)
  const checksums = new Uint32Array(2)
  scalar.crc32cBlocks(bytes, 3 << 20, checksums)
  let turns = 0
  const timer = setInterval(() => turns++, 0)
  context.after(() => clearInterval(timer))
  assert.equal(await scalar.verifyBlocks(bytes, 3 << 20, checksums), -1)
  assert.ok(turns > 0, "no timer ran while five megabytes were verified")
  assert.equal(checksums[0], scalar.crc32c(bytes.subarray(0, 3 << 20)))
  bytes[bytes.length - 1] = bytes[bytes.length - 1]! ^ 1
  assert.equal(await scalar.verifyBlocks(bytes, 3 << 20, checksums), 1)
})
