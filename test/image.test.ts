/** Images that are damaged, foreign, dishonest or only partly written. */
import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  truncateSync,
  writeFileSync,
  writeSync
} from "node:fs"
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, test } from "node:test"
import { ImageInvalid, InvalidParameter, StorageFailure } from "../src/core/errors.ts"
import type { Kernels } from "../src/core/kernels/contract.ts"
import { scalar } from "../src/core/kernels/scalar.ts"
import { kernels } from "../src/core/native.ts"
import type { HeaderField } from "../src/core/store/image/header.ts"
import { CHECKED_BYTES, HEADER_BYTES, layoutHash } from "../src/core/store/image/ranges.ts"
import { loadImage, saveImage } from "../src/core/store/image.ts"
import { BLOCK } from "../src/core/store/layout.ts"
import type { Store } from "../src/core/store/store.ts"
import { inRepository } from "./programs.ts"
import { randomBits, randomBytes } from "./property/kernels/random.ts"
import { assertSameStore, drop, entryOf, newStore, planOf, put, SMALL_KEYS, smallStore } from "./stores.ts"

let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "sabine-image-"))
})
after(() => rm(folder, { recursive: true }))

const META = { generation: 1, embedder: "embedder/1", watermark: 7 }
/** A file with the image of a store, and its bytes. */
const saved = async (store: Store, name: string) => {
  const path = join(folder, name)
  await saveImage(store, META, path)
  return { path, bytes: await readFile(path) }
}

/** What loading a file is refused with. */
const refusal = async (kernels: Kernels, path: string): Promise<ImageInvalid> => {
  const error = await loadImage(kernels, path).then(
    () => undefined,
    (error) => error
  )
  assert.ok(error instanceof ImageInvalid, `not refused: ${String(error)}`)
  assert.equal(error.path, path)
  assert.ok(error.from < error.to, error.message)
  return error
}

/** Puts a byte into a file and returns the one that was there. */
const putByte = (path: string, at: number, byte: number): number => {
  const file = openSync(path, "r+")
  const before = new Uint8Array(1)
  readSync(file, before, 0, 1, at)
  writeSync(file, Uint8Array.of(byte), 0, 1, at)
  closeSync(file)
  return before[0]!
}

const openFiles = (): number => (process.platform === "linux" ? readdirSync("/proc/self/fd").length : 0)

/** Where docs/format.md says that the numbers of the header lie: tests read and change images by it. */
const documented = new Map(
  [...readFileSync(inRepository("docs/format.md"), "utf8").matchAll(/^\| (\d+) \| (u32|u64|f64) \| `(\w+)` \|/gm)].map(
    ([, offset, kind, field]) => [field, { offset: Number(offset), kind }]
  )
)

const fieldOf = (bytes: Buffer, field: string): number => {
  const { offset, kind } = documented.get(field)!
  if (kind === "u32") return bytes.readUInt32LE(offset)
  return kind === "u64" ? Number(bytes.readBigUInt64LE(offset)) : bytes.readDoubleLE(offset)
}

/** Puts a number into the header and makes its checksum right. */
const withField = (bytes: Buffer, field: string, value: number): Buffer => {
  const changed = Buffer.from(bytes)
  const { offset, kind } = documented.get(field)!
  if (kind === "u32") changed.writeUInt32LE(value, offset)
  else if (kind === "u64") changed.writeBigUInt64LE(BigInt(value), offset)
  else changed.writeDoubleLE(value, offset)
  return sealed(changed)
}

const sealed = (bytes: Buffer): Buffer => {
  const { offset } = documented.get("checksum")!
  bytes.writeUInt32LE(scalar.crc32c(bytes.subarray(0, offset)), offset)
  return bytes
}

test("the header is what docs/format.md says", async () => {
  const store = smallStore(scalar)
  const { path, bytes } = await saved(store, "small")
  const { ranges, extents, checksumCount } = planOf((await loadImage(scalar, path)).store)
  const { encoder } = store.codes
  assert.equal(bytes.toString("latin1", 0, 8), "\x89SABINE\n")
  assert.deepEqual(Object.fromEntries([...documented.keys()].map((field) => [field, fieldOf(bytes, field!)])), {
    version: 1,
    endianness: new Uint32Array(Uint8Array.of(4, 3, 2, 1).buffer)[0],
    layoutHash: layoutHash(scalar, store.shape),
    dimensions: 1,
    metric: 0,
    precision: 3,
    generation: META.generation,
    watermark: META.watermark,
    rows: 6,
    live: 4,
    segments: 1,
    keyCapacity: store.keys.current.length,
    keyCount: 4,
    encoderId: encoder.id,
    encoderKind: 0,
    encoderChecksum: encoder.checksum,
    encoderSeed: encoder.seed,
    factorScale: encoder.factorScale,
    segmentsOffset: 512,
    segmentsBytes: extents.encoder.offset - 512,
    encoderOffset: ranges.find((range) => range.section === "encoder")!.offset,
    encoderBytes: 4 * 257,
    keysOffset: ranges.find((range) => range.section === "keys")!.offset,
    keysBytes: 4 * store.keys.current.length,
    recordsOffset: ranges.find((range) => range.section === "records")!.offset,
    recordsBytes: extents.records.bytes,
    tagsOffset: extents.records.offset + extents.records.bytes,
    tagsBytes: 0,
    tagCount: 0,
    descriptionOffset: extents.checksums.offset - 2,
    descriptionBytes: 2,
    descriptionChecksum: scalar.crc32c(Buffer.from("{}")),
    checksumsOffset: bytes.length - 4 * checksumCount,
    checksumsBytes: 4 * checksumCount,
    checksumsChecksum: scalar.crc32c(bytes.subarray(bytes.length - 4 * checksumCount)),
    embedderBytes: META.embedder.length,
    rotation: 0,
    rotated: 0,
    subspaces: 0,
    subspaceBits: 0,
    distortion: 0,
    trainingRows: 0,
    listsOffset: extents.lists.offset,
    listsBytes: 0,
    lists: 0,
    listBlocks: 0,
    graphOffset: extents.graph.offset,
    graphBytes: 0,
    graphUpperBytes: 0,
    graphM: 0,
    graphEfConstruction: 0,
    graphSeed: 0,
    graphEntry: 0,
    graphLevel: 0,
    checksum: scalar.crc32c(bytes.subarray(0, 508))
  })
  assert.equal(bytes.toString("utf8", 320, 320 + META.embedder.length), META.embedder)
})

test("a flipped bit in any byte is detected by a load, and named where it lies", async () => {
  const { path, bytes } = await saved(smallStore(scalar), "small")
  const { description, checksums } = planOf((await loadImage(scalar, path)).store).extents
  const files = openFiles()
  for (let at = 0; at < bytes.length; at++) {
    // Every bit of the body is flipped in image-body.test.ts: here those of what is read before it.
    const isApart = at < HEADER_BYTES || (at >= description.offset && at < checksums.offset)
    for (let bit = isApart ? 0 : 7; bit < 8; bit++) {
      putByte(path, at, bytes[at]! ^ (1 << ((at + bit) % 8)))
      const { field, from, to } = await refusal(scalar, path)
      assert.equal(field, at < 8 ? "magic" : "checksum")
      assert.ok(from <= at && at < to, `bit ${bit} of byte ${at}: ${from}..${to}`)
    }
    putByte(path, at, bytes[at]!)
  }
  assert.equal(openFiles(), files)
  assertSameStore((await loadImage(scalar, path)).store, smallStore(scalar), SMALL_KEYS)
})

test("damage is named to the block of a range", async () => {
  const store = newStore(kernels, { dimensions: 2, metric: "dot", precision: "none" })
  put(store, ["large"], 1, { bytes: new Uint8Array(2.5 * CHECKED_BYTES) })
  const { path } = await saved(store, "blocks")
  const { offset, bytes } = planOf((await loadImage(kernels, path)).store).extents.records
  for (const [at, from, to] of [
    [0, 0, CHECKED_BYTES],
    [2 * CHECKED_BYTES - 1, CHECKED_BYTES, 2 * CHECKED_BYTES],
    [2 * CHECKED_BYTES, 2 * CHECKED_BYTES, bytes]
  ] as const) {
    const sound = putByte(path, offset + at, 0xff)
    const refused = await refusal(kernels, path)
    assert.deepEqual([refused.field, refused.from, refused.to], ["checksum", offset + from, offset + to])
    putByte(path, offset + at, sound)
  }
})

/** Loads that run at one moment, each of a file of its own. */
const LANES = 4

test("10,000 random flips and truncations of a larger file are detected", async () => {
  const store = newStore(kernels, { dimensions: 4, metric: "l2", precision: "int8" })
  const keys = Array.from({ length: 700 }, (_, i) => `key ${i}`)
  put(store, keys, 1, { bytes: randomBytes(1, 40) })
  const { bytes } = await saved(store, "larger")
  const damage = async (seed: number): Promise<void> => {
    const path = join(folder, `larger-${seed}`)
    await writeFile(path, bytes)
    const bits = randomBits(seed)
    for (let i = 0; i < 10_000 / LANES; i++) {
      const at = bits() % bytes.length
      if (i % 10 === 0) {
        truncateSync(path, at)
        const { field, to } = await refusal(kernels, path)
        assert.deepEqual([field, to], ["length", at < HEADER_BYTES ? HEADER_BYTES : bytes.length])
        writeFileSync(path, bytes)
      } else {
        putByte(path, at, bytes[at]! ^ (1 << (bits() % 8)))
        const { from, to } = await refusal(kernels, path)
        assert.ok(from <= at && at < to)
        putByte(path, at, bytes[at]!)
      }
    }
    assertSameStore((await loadImage(kernels, path)).store, store, keys)
  }
  await Promise.all(Array.from({ length: LANES }, (_, seed) => damage(seed)))
})

const refusalOf = async (bytes: Uint8Array): Promise<string> => {
  const path = join(folder, "changed")
  await writeFile(path, bytes)
  return (await refusal(scalar, path)).field
}

test("a file that is not an image, of a newer version or of the other byte order is told apart", async () => {
  const { bytes } = await saved(smallStore(scalar), "small")
  assert.equal(await refusalOf(Buffer.from("SQLite format 3\0".repeat(100))), "magic")
  assert.equal(await refusalOf(new Uint8Array(0)), "length")
  assert.equal(await refusalOf(bytes.subarray(0, 5)), "length")
  assert.equal(await refusalOf(Buffer.concat([bytes, Buffer.alloc(1)])), "length")
  assert.equal(await refusalOf(withField(bytes, "version", 2)), "version")
  assert.equal(await refusalOf(withField(bytes, "version", 0)), "version")
  assert.equal(
    await refusalOf(sealed(Buffer.from(bytes).fill(bytes.subarray(12, 16).toReversed(), 12, 16))),
    "endianness"
  )
})

test("a header that contradicts its file or itself is refused before anything is allocated", async () => {
  const store = smallStore(scalar)
  const { bytes } = await saved(store, "small")
  const wrong: ReadonlyArray<readonly [HeaderField, number, HeaderField?]> = [
    ["layoutHash", 1],
    ["dimensions", 0],
    ["dimensions", 8193],
    ["dimensions", 2, "encoderBytes"],
    ["metric", 3],
    ["metric", 2, "layoutHash"],
    ["precision", 4],
    ["precision", 0, "layoutHash"],
    ["generation", 2 ** 60],
    ["rows", 2 ** 32 - 1],
    ["rows", 2 ** 31],
    ["rows", 2 ** 30, "segments"],
    ["segments", 2],
    ["live", 7],
    ["keyCount", 3],
    ["keyCapacity", store.keys.size],
    ["keyCapacity", 2 ** 32 - 1, "keysBytes"],
    ["recordsBytes", 2 ** 40],
    ["recordsBytes", 4],
    ["recordsBytes", 2 ** 35, "listsOffset"],
    ["lists", 2 ** 20],
    ["lists", 2, "listsBytes"],
    ["listBlocks", 1],
    ["tagsBytes", 2 ** 40],
    ["tagsBytes", 8, "descriptionOffset"],
    ["tagCount", 1],
    ["descriptionOffset", 0, "checksum" as HeaderField],
    ["descriptionBytes", 2 ** 21],
    ["descriptionChecksum", 1, "checksum" as HeaderField],
    ["graphOffset", 0],
    ["graphBytes", 4],
    ["graphUpperBytes", 2],
    ["graphM", 16],
    ["graphM", 3],
    ["graphM", 65],
    ["checksumsOffset", 0],
    ["checksumsBytes", 0],
    ["encoderKind", 9],
    ["encoderChecksum", 1],
    ["factorScale", 3],
    ["factorScale", Number.NaN],
    ["factorScale", 0],
    ["embedderBytes", 500]
  ]
  for (const [field, value, named = field] of wrong) {
    const refused = await refusalOf(withField(bytes, field, value))
    assert.equal(refused, named, `${field} ${value}`)
  }
})

test("an image can be refused by what it is of, before its body is read", async () => {
  const { shape, codes } = smallStore(scalar)
  const { path, bytes } = await saved(smallStore(scalar), "identity")
  const { description } = planOf((await loadImage(scalar, path)).store).extents
  const { parameters: _, ...encoder } = codes.encoder
  await loadImage(scalar, path, (identity) => {
    assert.deepEqual(identity, { shape, encoder, embedder: META.embedder })
  })
  await writeFile(path, Buffer.from(bytes).fill(0, 512, description.offset))
  const refuse = () => {
    throw new Error("another one was wanted")
  }
  await assert.rejects(loadImage(scalar, path, refuse), /another one was wanted/)
})

test("contents out of bounds are refused even when every checksum is right", async () => {
  const store = smallStore(scalar)
  const { path, bytes } = await saved(store, "dishonest")
  const plan = planOf((await loadImage(scalar, path)).store)
  const { keys, records } = plan.extents
  const live = plan.ranges[0]!.offset
  const addresses = plan.ranges.find((range) => range.buffer === "addresses")!.offset

  /** Changes the body and makes every checksum right. */
  const changed = (change: (bytes: Buffer) => void): Buffer => {
    const copy = Buffer.from(bytes)
    change(copy)
    const table = new Uint32Array(plan.checksumCount)
    for (const { offset, bytes, checksum } of plan.ranges) {
      scalar.crc32cBlocks(copy.subarray(offset, offset + bytes), CHECKED_BYTES, table.subarray(checksum))
    }
    const sums = Buffer.from(table.buffer)
    copy.set(sums, plan.extents.checksums.offset)
    return withField(copy, "checksumsChecksum", scalar.crc32c(sums))
  }
  const keySlot = keys.offset + 4 * store.keys.current.findIndex((slot) => slot !== 0)
  const emptySlot = keys.offset + 4 * store.keys.current.indexOf(0)
  const rows = store.directory.rows

  assert.equal(await refusalOf(changed((copy) => copy.writeUInt32LE(rows + 1, keySlot))), "keys")
  assert.equal(await refusalOf(changed((copy) => copy.writeUInt32LE(2 ** 32 - 1, keySlot))), "keys")
  assert.equal(await refusalOf(changed((copy) => copy.writeUInt32LE(1, emptySlot))), "keyCount")
  assert.equal(await refusalOf(changed((copy) => copy.writeUInt8(copy[live]! & ~1, live))), "live")
  assert.equal(await refusalOf(changed((copy) => copy.writeUInt8(copy[live]! & ~2, live))), "segments")
  assert.equal(await refusalOf(changed((copy) => copy.writeUInt8(copy[live]! | (1 << rows), live))), "segments")
  assert.equal(await refusalOf(changed((copy) => copy.writeUInt8(128, live + 4))), "segments")
  assert.equal(await refusalOf(changed((copy) => copy.writeUInt32LE(2 ** 31, addresses))), "segments")
  assert.equal(await refusalOf(changed((copy) => copy.writeUInt32LE(records.bytes / 8 - 1, addresses + 4))), "segments")
  assert.equal(await refusalOf(changed((copy) => copy.writeUInt32LE(9, addresses + 4 * (BLOCK - 1)))), "segments")
  assert.equal(await refusalOf(changed((copy) => copy.writeUInt32LE(2 ** 32 - 1, records.offset + 12))), "segments")
  assert.equal(await refusalOf(changed((copy) => copy.writeUInt32LE(2 ** 32 - 1, records.offset + 4))), "segments")
  assert.equal(await refusalOf(changed((copy) => copy.writeUInt16LE(2 ** 16 - 1, records.offset + 8))), "segments")
  assert.equal(
    await refusalOf(
      changed((copy) => copy.writeUInt8(copy[plan.extents.encoder.offset]! ^ 1, plan.extents.encoder.offset))
    ),
    "encoderChecksum"
  )
})

test("a save that fails leaves the old image and nothing else", async () => {
  const place = join(folder, "failing")
  await mkdir(join(place, "taken", "full"), { recursive: true })
  const fails = async (path: string, operation: string) => {
    const error = await saveImage(smallStore(scalar), META, path).catch((error) => error)
    assert.ok(error instanceof StorageFailure, String(error))
    assert.equal(error.operation, operation)
  }
  await fails(join(place, "missing", "image"), "open")
  await fails(join(place, "taken"), "rename")
  assert.deepEqual(await readdir(place), ["taken"])
  await assert.rejects(
    saveImage(smallStore(scalar), { ...META, embedder: "x".repeat(400) }, join(place, "image")),
    InvalidParameter
  )
  await assert.rejects(loadImage(scalar, join(place, "image")), StorageFailure)
})

test("a disk that is full leaves the old image and nothing else", { skip: process.platform === "win32" }, async () => {
  const place = join(folder, "full")
  await mkdir(place)
  const path = join(place, "image")
  await saveImage(smallStore(scalar), META, path)
  // The system cuts the write that meets the limit short and refuses the next.
  const program = `
    import { newStore, put } from ${JSON.stringify(inRepository("test/stores.ts"))}
    import { kernels } from ${JSON.stringify(inRepository("src/core/native.ts"))}
    import { saveImage } from ${JSON.stringify(inRepository("src/core/store/image.ts"))}
    const store = newStore(kernels, { dimensions: 64, metric: "dot", precision: "f32" })
    put(store, Array.from({ length: 3000 }, (_, i) => String(i)), 1)
    const error = await saveImage(store, { generation: 2, embedder: "" }, ${JSON.stringify(path)}).catch((error) => error)
    console.log(error._tag, error.operation, error.code)`
  const limited = 'trap \'\' XFSZ; ulimit -f 500; exec "$0" --input-type=module-typescript --eval "$1"'
  const output = execFileSync("sh", ["-c", limited, process.execPath, program], { encoding: "utf8" })
  assert.equal(output.trim(), "StorageFailure write EFBIG")
  assert.deepEqual(await readdir(place), ["image"])
  const { store, meta } = await loadImage(scalar, path)
  assert.deepEqual(meta, META)
  assertSameStore(store, smallStore(scalar), SMALL_KEYS)
})

test("what is written to the store after the moment of its image is not in it", async () => {
  const keys = Array.from({ length: 300 }, (_, i) => `${i}`)
  const payload = { json: JSON.stringify("before ".repeat(20)) }
  const filled = (): Store => {
    const store = newStore(kernels, { dimensions: 8, metric: "dot", precision: "f16" })
    put(store, keys, 1, payload)
    return store
  }
  const store = filled()
  const path = join(folder, "moment")
  await saveImage(store, META, path, {
    exclusively: async (work) => {
      const captured = await work()
      // More than the slots that gather in limbo, so that they would be used again if they could.
      for (const key of keys.slice(0, 200)) drop(store, key)
      put(store, keys.slice(0, 100), 2, { json: JSON.stringify("after ! ".repeat(20)) })
      put(store, keys.slice(250), 3)
      return captured
    },
    watermark: () => 9
  })
  const { store: loaded, meta } = await loadImage(kernels, path)
  assert.equal(meta.watermark, 9)
  const before = filled()
  assert.equal(loaded.directory.live, keys.length)
  for (const key of keys) assert.deepEqual(entryOf(loaded, key), entryOf(before, key), key)
})
