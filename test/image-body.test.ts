/** The body of an image, through files that are damaged or do less than they are asked. */
import assert from "node:assert/strict"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { ImageInvalid } from "../src/core/errors.ts"
import { scalar } from "../src/core/kernels/scalar.ts"
import { invalidImage } from "../src/core/store/image/invalid.ts"
import { HEADER_BYTES, type Range } from "../src/core/store/image/ranges.ts"
import { readBody } from "../src/core/store/image/read-body.ts"
import { readVectored, writeVectored } from "../src/core/store/image/vectored.ts"
import { loadImage, saveImage } from "../src/core/store/image.ts"
import { randomBits, randomBytes } from "./property/kernels/random.ts"
import { planOf, smallStore } from "./stores.ts"

type Views = ReadonlyArray<NodeJS.ArrayBufferView>

const bytesOf = ({ buffer, byteOffset, byteLength }: NodeJS.ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength)

const byteLengthOf = (views: Views): number => views.reduce((sum, { byteLength }) => sum + byteLength, 0)

/** A file in memory whose calls do no more than `most` allows. */
const memoryFile = (disk: Uint8Array, most: (buffers: Views) => number) => ({
  readv<T extends Views>(buffers: T, position?: number | null) {
    const from = position ?? 0
    const source = disk.subarray(from, from + most(buffers))
    let at = 0
    for (const view of buffers.map(bytesOf)) {
      const part = source.subarray(at, at + view.length)
      view.set(part)
      at += part.length
    }
    return Promise.resolve({ bytesRead: source.length, buffers })
  },
  writev<T extends Views>(buffers: T, position?: number | null) {
    const written = Buffer.concat(buffers.map(bytesOf)).subarray(0, most(buffers))
    disk.set(written, position ?? 0)
    return Promise.resolve({ bytesWritten: written.length, buffers })
  }
})

test("every flipped bit of the body and its checksums is detected when it is read", async () => {
  const folder = await mkdtemp(join(tmpdir(), "sabine-image-"))
  const path = join(folder, "small")
  await saveImage(smallStore(scalar), { generation: 1, embedder: "" }, path)
  const bytes = await readFile(path)
  const { ranges, extents, checksumCount } = planOf((await loadImage(scalar, path)).store)
  await rm(folder, { recursive: true })
  const memory = new Map(ranges.map((range) => [range, new Uint8Array(range.bytes)]))
  const file = memoryFile(bytes, byteLengthOf)
  const read = () => {
    const table = Uint8Array.from(bytes.subarray(extents.checksums.offset))
    const checksums = new Uint32Array(table.buffer, 0, checksumCount)
    const target = { path, ranges, memoryOf: (range: Range) => memory.get(range)!, checksums }
    return readBody(scalar, file, target, invalidImage(path))
  }
  await read()
  for (let at = HEADER_BYTES; at < bytes.length; at++) {
    // The description is read apart, before the body: its bits are flipped in image.test.ts.
    if (at >= extents.description.offset && at < extents.checksums.offset) continue
    for (let bit = 0; bit < 8; bit++) {
      bytes[at] = bytes[at]! ^ (1 << bit)
      await assert.rejects(read(), ImageInvalid, `bit ${bit} of byte ${at}`)
      bytes[at] = bytes[at]! ^ (1 << bit)
    }
  }
})

test("reads and writes that do less than asked are continued where they stopped", async () => {
  const bytes = randomBytes(1, 5000)
  const bits = randomBits(2)
  const cut = (buffers: Views): number => Math.min(1 + (bits() % 700), byteLengthOf(buffers))
  const split = (view: Uint8Array): ReadonlyArray<Uint8Array> => {
    const parts: Array<Uint8Array> = []
    for (let at = 0; at < view.length; at += parts.at(-1)!.length)
      parts.push(view.subarray(at, at + 1 + (bits() % 300)))
    return parts
  }
  const disk = new Uint8Array(5100)
  await writeVectored(memoryFile(disk, cut), split(bytes), 100)
  assert.deepEqual(disk.subarray(100), bytes)

  const copy = new Uint8Array(5000)
  assert.equal(await readVectored(memoryFile(disk, cut), split(copy), 100), 5000)
  assert.deepEqual(copy, bytes)
  assert.equal(await readVectored(memoryFile(disk, cut), split(copy), 1100), 4000)
  assert.deepEqual(copy.subarray(0, 4000), bytes.subarray(1000))
})
