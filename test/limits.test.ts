/** The errors of a machine at its limits: rows, records or memory used up, an owner that is silent, an ISA that is not there. */
import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { describe, test } from "node:test"
import { Worker } from "node:worker_threads"
import { Directory } from "../src/core/store/directory.ts"
import { type Collection, type Database, open } from "../src/index.ts"
import { program } from "./programs.ts"

/** 32,767 segments of 65,536 rows. */
const MOST_ROWS = 32_767 * 65_536
/** 8,192 chunks of 4 MiB. */
const MOST_CHUNKS = 8192
const MEGABYTE = 2 ** 20
/** Deleted entries whose slots and records are given back together. */
const DELETED_TOGETHER = 64

/** Runs `body` on a new collection of two dimensions. Node 22 has no `await using`. */
const withCollection = async (body: (collection: Collection, db: Database) => Promise<void>): Promise<void> => {
  const db = await open(":memory:", { threads: 1 })
  try {
    await body(await db.collection("c", { dimensions: 2 }), db)
  } finally {
    await db.close()
  }
}

const directoryOf = (collection: Collection): Directory => new Directory(collection.share().handle.memory.directory)

const entry = (key: string, payload?: unknown) => ({ key, vector: [1, 2], payload })

describe("CapacityExceeded", () => {
  test("more rows than a store has segments for: nothing is written, and what is there can be read", async () => {
    await withCollection(async (collection) => {
      await collection.add(entry("a", 1))
      const directory = directoryOf(collection)
      const refused = { _tag: "CapacityExceeded", resource: "rows", limit: MOST_ROWS, status: 507, retryable: false }
      // As if all the others had been deleted: their memory is not there, only their number.
      directory.setRows(MOST_ROWS)
      await assert.rejects(collection.add(entry("b")), refused)
      await assert.rejects(collection.update(entry("a", 2)), refused)
      const before = collection.stats().columns["records"]?.touched
      for (let i = 0; i < 3; i++) await assert.rejects(collection.addMany([entry("b"), entry("c")]), refused)
      assert.equal(collection.size(), 1)
      assert.deepEqual([await collection.has("b"), await collection.has("c")], [false, false])
      assert.equal((await collection.get("a"))?.payload, 1)
      assert.ok(collection.stats().columns["records"]!.touched <= before! + 64, "refused batches kept their records")
      directory.setRows(1)
      await collection.addMany([entry("b"), entry("c")])
      assert.equal(collection.size(), 3)
    })
  })

  test("more bytes of keys and payloads than there are addresses: the last chunk holds, deleting makes room", async () => {
    await withCollection(async (collection) => {
      const small = Array.from({ length: DELETED_TOGETHER }, (_, i) => entry(`small ${i}`))
      await collection.addMany(small)
      const large = new Uint8Array(3 * MEGABYTE).map((_, i) => i * 7)
      await collection.add(entry("filling", large))
      // Chunks without memory stand for 32 GiB, less the 4 MiB of one more chunk.
      const chunks = collection.share().handle.memory.chunks as Array<SharedArrayBuffer | undefined>
      chunks.length = MOST_CHUNKS - 1
      const refused = { _tag: "CapacityExceeded", resource: "bytes of keys and payloads", limit: 2 ** 35, status: 507 }
      await assert.rejects(collection.add(entry("too large", new Uint8Array(5 * MEGABYTE))), refused)
      await collection.add(entry("large", large))
      assert.deepEqual((await collection.get("large"))?.payload, large)

      await assert.rejects(collection.add(entry("next", large)), refused)
      await assert.rejects(collection.addMany([entry("first"), entry("next", large)]), refused)
      await assert.rejects(collection.update({ key: "small 0", payload: large }), refused)
      assert.equal(collection.size(), DELETED_TOGETHER + 2)
      assert.deepEqual([await collection.has("first"), await collection.has("next")], [false, false])
      assert.equal((await collection.get("small 0"))?.payload, undefined)

      for (const key of ["large", ...small.map(({ key }) => key)]) await collection.delete(key)
      await collection.add(entry("next", large))
      assert.deepEqual((await collection.get("next"))?.payload, large)
    })
  })

  const prlimit = spawnSync("prlimit", ["--version"]).error === undefined

  test("a segment that the system has no memory for", { skip: !prlimit && "prlimit is not installed" }, async () => {
    // A segment of 8,192 dimensions has 2 GiB: with its threads running, the program may have 1.5 more than it has.
    const stdout = await program(`
      import { execFileSync } from "node:child_process"
      import { readFileSync } from "node:fs"
      import { open } from SABINE
      const db = await open(":memory:", { threads: 1 })
      const wide = await db.collection("wide", { dimensions: 8192, codes: "published" })
      const narrow = await db.collection("narrow", { dimensions: 2, codes: "published" })
      const vector = new Float32Array(8192).fill(1)
      await narrow.add({ key: "before", vector: [0, 1] })
      const [, kilobytes] = /VmSize:\\s*(\\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"))
      execFileSync("prlimit", ["--pid", process.pid, "--as=" + (kilobytes * 1024 + 1.5 * 2 ** 30)])
      const fields = ({ _tag, resource, status, retryable }) => [_tag, resource, status, retryable]
      const outcome = (call) => call.then(() => "written", fields)
      const outcomes = [
        await outcome(wide.add({ key: "a", vector })),
        await outcome(wide.addMany([{ key: "a", vector }, { key: "b", vector }])),
        await outcome(narrow.add({ key: "after", vector: [1, 0] }))
      ]
      const found = [await wide.has("a"), await wide.search(vector), await narrow.has("after")]
      console.log(JSON.stringify({ outcomes, sizes: [wide.size(), narrow.size()], found }))
      await db.close()
    `)
    const refused = ["CapacityExceeded", "bytes of memory", 507, false]
    assert.deepEqual(JSON.parse(stdout), {
      outcomes: [refused, refused, "written"],
      sizes: [0, 2],
      found: [false, [], true]
    })
  })
})

/** A thread that attaches and makes one call for each message: its value, or the fields of its error. */
const READER = `
  import { parentPort, workerData } from "node:worker_threads"
  import { attach } from ${JSON.stringify(import.meta.resolve("../src/index.ts"))}
  const notes = attach(workerData)
  const fields = ({ _tag, status, retryable }) => ({ _tag, status, retryable })
  parentPort.on("message", ([name, argument]) => notes[name](argument).then((value) => ({ value }), fields)
    .then((outcome) => parentPort.postMessage(outcome)))
`

const reader = (collection: Collection) => {
  const { handle, transferList } = collection.share()
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(READER)}`), {
    workerData: handle,
    transferList: [...transferList]
  })
  const ask = (name: keyof Collection, argument: unknown): Promise<unknown> => {
    worker.postMessage([name, argument])
    return new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject))
  }
  return { ask, terminate: () => worker.terminate() }
}

describe("OwnerUnavailable", { concurrency: true }, () => {
  const unavailable = { _tag: "OwnerUnavailable", status: 503, retryable: true }

  test("memory that was announced and never handed over; the call succeeds once the owner hands it over", async () => {
    await withCollection(async (collection) => {
      await collection.add(entry("a"))
      const { ask, terminate } = reader(collection)
      assert.deepEqual(await ask("has", "a"), { value: true })
      directoryOf(collection).grown()
      assert.deepEqual(await ask("search", [1, 2]), unavailable)
      await collection.add(entry("b", new Uint8Array(5 * MEGABYTE)))
      assert.deepEqual(await ask("has", "b"), { value: true })
      await terminate()
    })
  })

  test("a key index that stays half changed; the call succeeds once it is whole", async () => {
    await withCollection(async (collection) => {
      await collection.add(entry("a"))
      const { ask, terminate } = reader(collection)
      assert.deepEqual(await ask("has", "a"), { value: true })
      directoryOf(collection).stepKeySequence()
      assert.deepEqual(await ask("has", "a"), unavailable)
      directoryOf(collection).stepKeySequence()
      assert.deepEqual(await ask("has", "a"), { value: true })
      await terminate()
    })
  })
})

describe("SABINE_ISA", () => {
  const opened = async (isa: string): Promise<Record<string, unknown>> =>
    JSON.parse(
      await program(
        `
          import { open } from SABINE
          import { Database } from ${JSON.stringify(import.meta.resolve("../src/effect.ts"))}
          import * as Effect from "effect/Effect"
          const fields = ({ _tag, wanted, available, status, retryable }) => ({ _tag, wanted, available, status, retryable })
          const use = async (db) => {
            const c = await db.collection("c", { dimensions: 2 })
            await c.add({ key: "a", vector: [1, 0] })
            const hits = await c.search([1, 0])
            const { isa, fallback } = c.stats()
            await db.close()
            return { isa, fallback, hits }
          }
          const layer = Effect.provide(Effect.void, Database.layer(":memory:"))
          const effect = await Effect.runPromise(Effect.match(layer, { onFailure: fields, onSuccess: () => "open" }))
          console.log(JSON.stringify({ promise: await open(":memory:").then(use, fields), effect }))
        `,
        { SABINE_ISA: isa }
      )
    )

  test("one that is not there is IsaUnavailable, through both doors; each that it lists is used", async () => {
    const { promise, effect } = await opened("avx1024")
    assert.deepEqual(effect, promise)
    const { available, ...fields } = promise as { readonly available: ReadonlyArray<string> }
    assert.deepEqual(fields, { _tag: "IsaUnavailable", wanted: "avx1024", status: 500, retryable: false })
    assert.deepEqual(available.slice(-2), ["scalar", "scalar-ts"])
    const hits = [{ key: "a", score: 1 }]
    for (const isa of available) {
      const expected =
        isa === "scalar-ts" ? { isa: "scalar", fallback: "SABINE_ISA is scalar-ts", hits } : { isa, hits }
      assert.deepEqual(await opened(isa), { promise: expected, effect: "open" })
    }
  })
})
