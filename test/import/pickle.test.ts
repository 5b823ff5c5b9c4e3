/** Pickles of a real Python at every protocol are read; programs, and bytes of any kind, are refused. */
import assert from "node:assert/strict"
import { readFile } from "node:fs/promises"
import { test } from "node:test"
import { inflateSync } from "node:zlib"
import fc from "fast-check"
import { PickleRefused, unpickle } from "../../src/core/import/pickle.ts"
import { turnsOf } from "../turns.ts"

/** Written by `pickle.dumps` of Python 3.11, in base64; those named `_deflated` are compressed as well. */
interface Pickles {
  readonly protocols: Readonly<Record<string, Readonly<Record<string, string>>>>
  /** Other values: a call of a function, a dict, a number, bytes, a tuple, a list in a list, a string alone. */
  readonly refused: Readonly<Record<string, string>>
}

const pickles: Pickles = JSON.parse(await readFile(new URL("pickles.json", import.meta.url), "utf8"))

const VALUES: Readonly<Record<string, ReadonlyArray<string | null>>> = {
  mixed: ["plain", null, "déjà vu — 記憶 😀", "", "line\nbreak \\ back", "x".repeat(300), "plain", null],
  memo: ["again", "again", null, "again"],
  empty: [],
  one: ["a"],
  big_deflated: ["y".repeat(70_000), "z"],
  many_deflated: Array.from({ length: 1100 }, (_, i) => `s${i}`)
}

const bytesOf = (base64: string, name: string): Uint8Array => {
  const bytes = Buffer.from(base64, "base64")
  return name.endsWith("_deflated") ? inflateSync(bytes) : bytes
}

/** All pickles there are. */
const all = Object.entries(pickles.protocols).flatMap(([protocol, values]) =>
  Object.entries(values).map(([name, base64]) => ({ protocol, name, bytes: bytesOf(base64, name) }))
)

test("there is a pickle of every value at every protocol", () => {
  assert.deepEqual(Object.keys(pickles.protocols), ["0", "1", "2", "3", "4", "5"])
  assert.equal(all.length, 6 * Object.keys(VALUES).length)
})

for (const { protocol, name, bytes } of all) {
  test(`protocol ${protocol}: ${name}`, async () => assert.deepEqual(await unpickle(bytes), VALUES[name]))
}

for (const [name, base64] of Object.entries(pickles.refused)) {
  test(`refused: ${name}`, async () => {
    await assert.rejects(unpickle(bytesOf(base64, name)), PickleRefused)
  })
}

test("a pickle that is cut off anywhere, or goes on after its end, is refused", async () => {
  for (const { bytes } of all.filter(({ name }) => name === "mixed")) {
    for (let end = 0; end < bytes.length; end++) await assert.rejects(unpickle(bytes.subarray(0, end)), PickleRefused)
    await assert.rejects(unpickle(Buffer.concat([bytes, bytes])), PickleRefused)
  }
})

test("lengths beyond the end, memo numbers never given and texts that are not Unicode are refused", async () => {
  const programs: ReadonlyArray<ReadonlyArray<number>> = [
    [0x80, 6, 0x5d, 0x2e],
    [0x5d, 0x80, 5, 0x2e],
    [0x80, 5, 0x95, 255, 255, 255, 255, 255, 255, 255, 255, 0x5d, 0x2e],
    [0x5d, 0x58, 255, 255, 255, 255, 0x61, 0x2e],
    [0x5d, 0x8d, 1, 0, 0, 0, 0, 0, 0, 128, 0x61, 0x61, 0x2e],
    [0x5d, 0x8c, 1, 0xff, 0x61, 0x2e],
    [0x5d, 0x68, 7, 0x61, 0x2e],
    [0x5d, 0x94, 0x68, 0, 0x61, 0x2e],
    [0x5d, 0x4e, 0x65, 0x2e],
    [0x94, 0x2e],
    [0x5d, ...Buffer.from("V\\ud800\n"), 0x61, 0x2e],
    [0x5d, ...Buffer.from("V\\U00110000\n"), 0x61, 0x2e],
    [0x5d, ...Buffer.from("p99999999999\n"), 0x2e]
  ]
  for (const program of programs) await assert.rejects(unpickle(Uint8Array.from(program)), PickleRefused)
})

const isList = (value: unknown): boolean =>
  Array.isArray(value) && value.every((item) => item === null || (typeof item === "string" && item.isWellFormed()))

const readsOrRefuses = async (bytes: Uint8Array): Promise<boolean> => {
  try {
    return isList(await unpickle(bytes))
  } catch (error) {
    return error instanceof PickleRefused
  }
}

test("bytes of any kind give a list of strings and None, or are refused", async () => {
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), readsOrRefuses), { numRuns: 3000 })
})

/** Operations that the reader knows, in any order: most random programs of them run for a while. */
const operation = fc.oneof(
  fc.constantFrom(0x28, 0x4e, 0x5d, 0x61, 0x65, 0x6c, 0x94, 0x2e).map((op) => [op]),
  fc.tuple(fc.constantFrom(0x67, 0x68, 0x6a, 0x70, 0x71, 0x72), fc.nat({ max: 3 })).map(([op, number]) => {
    if (op === 0x67 || op === 0x70) return [op, ...Buffer.from(`${number}\n`)]
    return op === 0x6a || op === 0x72 ? [op, number, 0, 0, 0] : [op, number]
  }),
  fc.string({ maxLength: 5 }).map((text) => [0x8c, Buffer.byteLength(text), ...Buffer.from(text)]),
  fc.string({ maxLength: 5 }).map((text) => [0x56, ...Buffer.from(`${text}\n`)])
)

test("programs of known operations give a list of strings and None, or are refused", async () => {
  const program = fc.array(operation, { maxLength: 20 }).map((operations) => Uint8Array.from(operations.flat()))
  await fc.assert(fc.asyncProperty(program, readsOrRefuses), { numRuns: 3000 })
})

test("a pickle with bytes changed gives a list of strings and None, or is refused", async () => {
  const short = all.filter(({ bytes }) => bytes.length < 1000)
  const change = fc.tuple(fc.nat(), fc.nat({ max: 255 }))
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...short),
      fc.array(change, { minLength: 1, maxLength: 4 }),
      ({ bytes }, changes) => {
        const changed = Uint8Array.from(bytes)
        for (const [at, value] of changes) changed[at % changed.length] = value
        return readsOrRefuses(changed)
      }
    ),
    { numRuns: 3000 }
  )
})

test("many strings are read in turns of the event loop, appended one by one or all at once", async () => {
  const count = 4000
  const text = [0x8c, 1, 0x61]
  const oneByOne = Array.from({ length: count }, () => [...text, 0x61]).flat()
  const atOnce = [0x28, ...Array.from({ length: count }, () => text).flat(), 0x65]
  for (const [program, looks] of [
    [oneByOne, count / 64],
    [atOnce, count / 64]
  ] as const) {
    const bytes = Uint8Array.from([0x5d, ...program, 0x2e])
    const turns = await turnsOf(async () => assert.equal((await unpickle(bytes)).length, count))
    assert.ok(turns >= looks, `${turns}`)
  }
})

test("long strings are read in turns of the event loop too, and as often as their bytes say", async () => {
  const looked = 1 << 14
  const textOf = (text: string): Buffer => {
    const bytes = Buffer.from(text)
    const length = Buffer.alloc(4)
    length.writeUInt32LE(bytes.length)
    return Buffer.concat([Buffer.from([0x58]), length, bytes])
  }
  const mixed = "aé記😀".repeat(40_000)
  const short = "é".repeat(4000)
  const escaped = String.raw`x\u00e9\U0001f600\n`.repeat(20_000)
  for (const [texts, operations] of [
    [[mixed], [textOf(mixed)]],
    [Array.from({ length: 60 }, () => short), Array.from({ length: 60 }, () => textOf(short))],
    [["xé😀\\n".repeat(20_000)], [Buffer.from(`V${escaped}\n`)]]
  ] as const) {
    const bytes = Buffer.concat([Buffer.from([0x5d, 0x28]), ...operations, Buffer.from([0x65, 0x2e])])
    const turns = await turnsOf(async () => assert.deepEqual(await unpickle(bytes), texts))
    assert.ok(turns >= bytes.length / looked / 2, `${turns} for ${bytes.length}`)
  }
})

test("a list under a mark is not added to, and none is left under one", async () => {
  const refused: ReadonlyArray<ReadonlyArray<number>> = [
    [0x5d, 0x28, 0x28, 0x4e, 0x65, 0x2e],
    [0x5d, 0x28, 0x4e, 0x61, 0x2e],
    [0x5d, 0x28, 0x2e],
    [0x28, 0x5d, 0x2e],
    [0x5d, 0x28, 0x94, 0x65, 0x2e],
    [0x61, 0x2e],
    [0x28, 0x28, 0x4e, 0x6c, 0x28, 0x4e, 0x65, 0x2e]
  ]
  for (const program of refused) await assert.rejects(unpickle(Uint8Array.from(program)), PickleRefused)
  assert.deepEqual(await unpickle(Uint8Array.from([0x28, 0x4e, 0x6c, 0x28, 0x4e, 0x4e, 0x65, 0x2e])), [
    null,
    null,
    null
  ])
})
