/** Records against an array: whatever their size, what was written is read, and space is used again. */
import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { RecordWriter } from "../../src/core/store/record-writer.ts"
import { RecordReader, type StoredPayload } from "../../src/core/store/records.ts"

/** Bytes of a chunk: what is larger gets a buffer of its own. */
const CHUNK_BYTES = 1 << 22

const utf8 = new TextEncoder()

const append = (records: RecordWriter, key: string, payload: StoredPayload, hash = 1): number => {
  const bytes = utf8.encode(key)
  return records.append(hash, bytes, bytes.length, payload)
}

const read = (payload: StoredPayload): unknown =>
  payload === undefined ? undefined : "json" in payload ? JSON.parse(payload.json) : payload.bytes

const payload: fc.Arbitrary<StoredPayload> = fc.oneof(
  fc.constant(undefined),
  fc.jsonValue().map((value) => ({ json: JSON.stringify(value) })),
  fc.uint8Array({ maxLength: 3000 }).map((bytes) => ({ bytes }))
)
const key = fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 }).filter((text) => text.isWellFormed())

/** Moves records out of sparse chunks, and writes two more where they were. */
const moveAll = (
  records: RecordWriter,
  live: Map<number, { key: string; payload: StoredPayload; hash: number }>
): void => {
  const touched = records.touchedBytes
  const isSparse = records.closeSparse()
  for (const [address, input] of [...live]) {
    const copy = records.moveOut(address)
    assert.equal(copy >= 0, isSparse, "chunks were closed or not")
    if (copy < 0) continue
    live.delete(address)
    live.set(copy, input)
    records.free(address)
  }
  if (isSparse) assert.ok(records.touchedBytes <= touched / 2)
  for (const key of ["one more", "another"]) {
    const input = { key, payload: { json: '"after"' }, hash: 7 }
    const address = append(records, key, input.payload, input.hash)
    assert.ok(!live.has(address), "a record that is in use was handed out")
    live.set(address, input)
  }
}

test("every record reads back as it was written, also by a reader of the same memory", () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ key, payload, hash: fc.nat(0xffff_ffff), freed: fc.boolean() }), { maxLength: 200 }),
      fc.boolean(),
      (inputs, isCompacted) => {
        const records = new RecordWriter(() => undefined)
        const live = new Map<number, (typeof inputs)[number]>()
        for (const input of inputs) {
          const address = append(records, input.key, input.payload, input.hash)
          assert.ok(!live.has(address), "a record that is in use was handed out")
          live.set(address, input)
          const [oldest] = live.keys()
          if (input.freed && oldest !== undefined) {
            records.free(oldest)
            live.delete(oldest)
          }
        }
        if (isCompacted) moveAll(records, live)
        const reader = new RecordReader()
        reader.adopt(records.buffers)
        for (const [address, input] of live) {
          const bytes = utf8.encode(input.key)
          for (const records_ of [records, reader]) {
            assert.equal(records_.key(address), input.key)
            assert.deepEqual(records_.payload(address), read(input.payload))
            assert.equal(records_.hash(address), input.hash)
            assert.ok(records_.keyEquals(address, bytes, bytes.length))
            assert.ok(!records_.keyEquals(address, bytes, bytes.length - 1))
          }
        }
        const ranges = [...live.keys()].sort((a, b) => a - b)
        for (const [i, address] of ranges.entries()) {
          const next = ranges[i + 1] ?? Number.POSITIVE_INFINITY
          assert.ok(address + records.capacity(address) <= next, "records overlap")
        }
      }
    ),
    { numRuns: 100 }
  )
})

test("a freed record is reused by the next of its size, and nothing else grows", () => {
  const records = new RecordWriter(() => undefined)
  const first = append(records, "one", { json: '"first"' })
  append(records, "two", { json: '"other"' })
  const { touchedBytes } = records
  records.free(first)
  assert.equal(append(records, "six", { json: '"third"' }), first)
  assert.equal(records.touchedBytes, touchedBytes)
  assert.equal(records.payload(first), "third")
})

test("a chunk that holds nothing when sparse ones are closed is handed out once", () => {
  const records = new RecordWriter(() => undefined)
  records.free(append(records, "one", { json: '"first"' }))
  records.closeSparse()
  const first = append(records, "two", { json: '"other"' })
  assert.notEqual(append(records, "six", { json: '"third"' }), first)
  assert.equal(records.payload(first), "other")
})

test("records on both sides of a chunk, larger than one, and after it", () => {
  const grown: Array<number> = []
  const records: RecordWriter = new RecordWriter(() => grown.push(records.buffers.length))
  const sizes = [
    CHUNK_BYTES - 100,
    99,
    101,
    CHUNK_BYTES - 16 - 8,
    CHUNK_BYTES,
    3 * CHUNK_BYTES + 1,
    1,
    0,
    CHUNK_BYTES / 2
  ]
  const addresses = sizes.map((size, i) => append(records, `k${i}`, { bytes: new Uint8Array(size).fill(i + 1) }))
  const reader = new RecordReader()
  reader.adopt(records.buffers)
  for (const [i, address] of addresses.entries()) {
    for (const records_ of [records, reader]) {
      assert.equal(records_.key(address), `k${i}`)
      const bytes = records_.payload(address) as Uint8Array
      assert.equal(bytes.length, sizes[i])
      assert.ok(bytes.every((byte) => byte === i + 1))
    }
  }
  assert.ok(grown.length >= 4)
  const oversize = addresses[5]!
  records.free(oversize)
  assert.equal(append(records, "k5", { bytes: new Uint8Array(3 * CHUNK_BYTES + 1) }), oversize)
})

test("spare capacity is at most an eighth", () => {
  const records = new RecordWriter(() => undefined)
  for (const size of [0, 1, 500, 501, 513, 1000, 4097, 65_537, 1_000_000]) {
    const address = append(records, "k", { bytes: new Uint8Array(size) })
    assert.ok(records.capacity(address) * 8 >= records.usedBytes(address))
    assert.ok(records.capacity(address) * 8 <= records.usedBytes(address) * 1.125 + 8)
  }
})

test("an address in a chunk made since makes a reader catch up", () => {
  const records = new RecordWriter(() => undefined)
  let catches = 0
  const reader: RecordReader = new RecordReader(() => {
    catches++
    reader.adopt(records.buffers)
  })
  const address = append(records, "key", { json: "1" })
  assert.equal(reader.key(address), "key")
  assert.equal(reader.payload(address), 1)
  assert.equal(catches, 1)
})
