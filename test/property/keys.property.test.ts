/** The key index against a Map, under every kind of collision. */
import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { hashKey, type KeyedRows, KeyIndex, tagOf } from "../../src/core/store/keys.ts"

/** A key of the model: its hash is chosen, so that collisions are as frequent as the test wants. */
interface Key {
  readonly bytes: Uint8Array
  readonly hash: number
}

type HashOf = (number: number) => number

/** Keys of rows, as a store holds them: the index asks for tags, keys and hashes. */
class Rows implements KeyedRows {
  readonly keys: Array<Key> = []

  matches(row: number, tag: number, key: Uint8Array, length: number): boolean {
    const { bytes, hash } = this.keys[row]!
    return tagOf(hash) === tag && Buffer.compare(bytes, key.subarray(0, length)) === 0
  }

  hash(row: number): number {
    return this.keys[row]!.hash
  }
}

class Model {
  readonly rows = new Rows()
  readonly map = new Map<number, number>()
  readonly index: KeyIndex
  readonly #hashOf: HashOf
  replacedTables = 0

  constructor(hashOf: HashOf) {
    this.#hashOf = hashOf
    this.index = new KeyIndex(this.rows, () => this.replacedTables++)
  }

  key(number: number): Key {
    return { bytes: new TextEncoder().encode(`key ${number}`), hash: this.#hashOf(number) >>> 0 }
  }

  insert(number: number): void {
    const { bytes, hash } = this.key(number)
    if (this.map.has(number)) return
    const row = this.rows.keys.push({ bytes, hash }) - 1
    this.index.insert(hash, row)
    this.map.set(number, row)
  }

  replace(number: number): void {
    const { bytes, hash } = this.key(number)
    if (!this.map.has(number)) return
    const row = this.rows.keys.push({ bytes, hash }) - 1
    this.index.replace(hash, bytes, bytes.length, row)
    this.map.set(number, row)
  }

  remove(number: number): void {
    const { bytes, hash } = this.key(number)
    if (!this.map.delete(number)) return
    this.index.remove(hash, bytes, bytes.length)
  }

  find(number: number): number {
    const { bytes, hash } = this.key(number)
    return this.index.find(hash, bytes, bytes.length)
  }

  check(numbers: Iterable<number>): void {
    assert.equal(this.index.size, this.map.size)
    for (const number of numbers) assert.equal(this.find(number), this.map.get(number) ?? -1)
  }
}

const HASHES: Readonly<Record<string, HashOf>> = {
  real: (number) => {
    const bytes = new TextEncoder().encode(`key ${number}`)
    return hashKey(bytes, bytes.length)
  },
  "one hash": () => 0xdead_beef,
  "few hashes": (number) => (number % 7) * 0x2492_4924,
  "one tag": (number) => Math.imul(number, 0x9e37_79b1) & 0xffff_0000,
  "homes at the end": (number) => 0xffff_ffff - (number % 5)
}

const NUMBERS = 300
const number = fc.nat(NUMBERS - 1)
const change = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("insert" as const), number }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("remove" as const), number }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("replace" as const), number }) }
)

for (const [name, hashOf] of Object.entries(HASHES)) {
  test(`finds what a Map finds: ${name}`, () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 900, size: "max" }), (changes) => {
        const model = new Model(hashOf)
        for (const { kind, number } of changes) {
          model[kind](number)
          assert.equal(model.find(number), model.map.get(number) ?? -1)
        }
        model.check(Array(NUMBERS).keys())
      }),
      { numRuns: 30 }
    )
  })
}

test("grows and shrinks with its load in bounds, and moves a few slots at a time", () => {
  const model = new Model(HASHES["real"]!)
  const { index } = model
  let capacity = index.current.length
  for (let number = 0; number < 30_000; number++) {
    model.insert(number)
    const load = index.size / index.current.length
    assert.ok(load <= 0.85, `load ${load}`)
    if (index.current.length !== capacity) {
      capacity = index.current.length
      if (number > 1000) assert.ok(load >= 0.745, `load ${load} after growing to ${capacity}`)
      if (number > 1000) assert.notEqual(index.previous, undefined)
    }
  }
  model.check(Array(30_000).keys())
  for (let number = 29_999; number >= 100; number--) {
    model.remove(number)
    if (number > 200) assert.ok(index.size / index.current.length >= 0.39)
  }
  model.check(Array(30_000).keys())
  assert.ok(index.current.length < 300)
})

test("a table at its least size is not made anew by every removal", () => {
  const model = new Model(HASHES["real"]!)
  for (let number = 0; number < 200; number++) model.insert(number)
  for (let number = 199; number >= 20; number--) model.remove(number)
  const before = model.replacedTables
  for (let number = 19; number >= 0; number--) model.remove(number)
  assert.ok(model.replacedTables - before <= 1, `${model.replacedTables - before} tables for 20 removals`)
})

test("stepping moves every key, to one table and in the end to none that is left behind", () => {
  const model = new Model(HASHES["real"]!)
  for (let number = 0; number < 5000; number++) model.insert(number)
  model.index.reserve(5000)
  assert.notEqual(model.index.previous, undefined)
  let steps = 0
  while (model.index.step()) {
    model.find(steps)
    if (steps++ % 10 === 0) model.check([0, 1, 2, 2500, 4999])
  }
  assert.ok(steps > 100, "a step moves few slots")
  assert.equal(model.index.previous, undefined)
  model.check(Array(5001).keys())
  assert.ok(model.index.size / model.index.current.length < 0.75)
})

test("the hash is MurmurHash3 with a seed of its own, for every length of tail", () => {
  const hash = (text: string) => hashKey(new TextEncoder().encode(text), new TextEncoder().encode(text).length)
  const all = ["a", "ab", "abc", "abcd", "abcde", "b", "ba"].map(hash)
  assert.equal(new Set(all).size, all.length)
  for (const value of all) assert.ok(Number.isInteger(value) && value >= 0 && value < 2 ** 32)
  // A buffer that is longer than the key must not matter.
  assert.equal(hashKey(new TextEncoder().encode("abcdeXYZ"), 5), hash("abcde"))
})
