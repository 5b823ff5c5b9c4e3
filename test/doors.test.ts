/** The doors as a program uses them: lifetimes, errors that arrive as they are, folders and their locks. */
import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, describe, test } from "node:test"
import { setTimeout } from "node:timers/promises"
import { Worker } from "node:worker_threads"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as EffectDoor from "../src/effect.ts"
import * as PromiseDoor from "../src/index.ts"
import {
  attach,
  Closed,
  CollectionMismatch,
  type CollectionOptions,
  DuplicateKey,
  FolderLocked,
  hashEmbedder,
  InvalidParameter,
  KeyNotFound,
  open,
  type SabineError
} from "../src/index.ts"
import { program } from "./programs.ts"

const folders: Array<string> = []
const folder = async (): Promise<string> => {
  const made = await mkdtemp(join(tmpdir(), "sabine-doors-"))
  folders.push(made)
  return made
}
afterEach(async () => {
  for (const made of folders.splice(0)) await rm(made, { recursive: true })
})

/** For `assert.rejects`: an error of this class with these fields. */
const fails =
  (kind: abstract new (...args: never) => SabineError, fields: Readonly<Record<string, unknown>> = {}) =>
  (error: unknown) => {
    assert.ok(error instanceof kind, String(error))
    for (const [name, value] of Object.entries(fields)) assert.equal((error as never)[name], value)
    return true
  }

describe("lifetimes", () => {
  test("a database lives as long as its block, and what was written is there again", async () => {
    const path = join(await folder(), "new", "memory")
    {
      await using db = await open(path)
      const notes = await db.collection("notes", { dimensions: 2 })
      await notes.addMany([
        { key: "n1", vector: [1, 0], payload: { text: "one" } },
        { key: "n2", vector: [0, 1], payload: new Uint8Array([1, 2]) }
      ])
      await db.save()
      await notes.add({ key: "n3", vector: [1, 1] })
    }
    assert.equal(existsSync(join(path, "lock")), false)
    await using db = await open(path)
    assert.deepEqual(await db.collections(), ["notes"])
    const notes = await db.collection("notes")
    assert.equal(notes.size(), 3)
    assert.deepEqual(await notes.search([1, 0.1], { k: 1 }).then(([hit]) => hit?.payload), { text: "one" })
    assert.deepEqual((await notes.get("n2"))?.payload, new Uint8Array([1, 2]))
    assert.deepEqual((await notes.get("n3"))?.vector, new Float32Array([Math.SQRT1_2, Math.SQRT1_2]))
  })

  test("closing twice is closing once, and nothing works afterwards", async () => {
    const db = await open(":memory:")
    const notes = await db.collection("notes", { dimensions: 2 })
    await notes.add({ key: "a", vector: [1, 0] })
    await Promise.all([db.close(), db.close()])
    await db.close()
    const closed = fails(Closed, { status: 503, retryable: false })
    await assert.rejects(notes.search([1, 0]), closed)
    await assert.rejects(notes.add({ key: "b", vector: [1, 0] }), closed)
    await assert.rejects(notes.get("a"), closed)
    await assert.rejects(db.collection("other", { dimensions: 2 }), closed)
    await assert.rejects(db.save(), closed)
  })

  test("calls in flight at the close reject with Closed, or had finished", async () => {
    const db = await open(":memory:", { threads: 2 })
    const notes = await db.collection("notes", { dimensions: 64 })
    const rows = 8000
    const vectors = Float32Array.from({ length: rows * 64 }, (_, i) => Math.sin(i))
    const keys = Array.from({ length: rows }, (_, i) => `k${i}`)
    await notes.addMany({ keys, vectors })
    const calls = [
      notes.searchMany(vectors.subarray(0, 512 * 64), { mode: "exact" }),
      notes.addMany({ keys: keys.map((key) => `again ${key}`), vectors }),
      notes.add({ key: "late", vector: vectors.subarray(0, 64) })
    ]
    const settled = Promise.allSettled(calls)
    await new Promise(setImmediate)
    await db.close()
    const results = await settled
    assert.ok(results.some(({ status }) => status === "rejected"))
    for (const result of results) if (result.status === "rejected") fails(Closed)(result.reason)
  })

  test("a program that forgets to close ends, and one that waits for two first encoders waits for both", async () => {
    const stdout = await program(`
      import { open } from SABINE
      const db = await open(":memory:")
      const [a, b] = await Promise.all([db.collection("a", { dimensions: 8 }), db.collection("b", { dimensions: 700 })])
      await Promise.all([a.add({ key: "k", vector: Array(8).fill(1) }), b.add({ key: "k", vector: Array(700).fill(1) })])
      console.log(a.size(), b.size())
    `)
    assert.equal(stdout.trim(), "1 1")
  })

  test("an attached collection reads, and rejects with Closed after its close", async () => {
    await using db = await open(":memory:")
    const notes = await db.collection("notes", { dimensions: 2 })
    const { handle, transferList } = notes.share()
    const attached = attach(structuredClone(handle, { transfer: [...transferList] }))
    await notes.add({ key: "a", vector: [1, 0], payload: 1 })
    assert.deepEqual(await attached.get("a"), await notes.get("a"))
    assert.equal("add" in attached, false)
    await attached.close()
    await assert.rejects(attached.get("a"), fails(Closed))
    assert.equal(await notes.has("a"), true)
  })

  test("a worker thread attaches by workerData", async () => {
    await using db = await open(":memory:")
    const notes = await db.collection("notes", { dimensions: 2 })
    await notes.add({ key: "a", vector: [1, 0], payload: { n: 1 } })
    const { handle, transferList } = notes.share()
    const code = `
      import { parentPort, workerData } from "node:worker_threads"
      import { attach } from ${JSON.stringify(import.meta.resolve("../src/index.ts"))}
      await using notes = attach(workerData)
      parentPort.postMessage(await notes.search([1, 0], { k: 1 }))
    `
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), {
      workerData: handle,
      transferList: [...transferList]
    })
    const hits = await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject))
    assert.deepEqual(hits, [{ key: "a", score: 1, payload: { n: 1 } }])
  })
})

describe("errors", () => {
  test("rejections carry the tagged error with its fields, status and whether to retry", async () => {
    await using db = await open(":memory:")
    const notes = await db.collection("notes", { dimensions: 2 })
    await notes.add({ key: "a", vector: [1, 0] })
    const duplicate = { key: "a", _tag: "DuplicateKey", status: 409, retryable: false }
    await assert.rejects(notes.add({ key: "a", vector: [0, 1] }), fails(DuplicateKey, duplicate))
    await assert.rejects(notes.update({ key: "b", vector: [0, 1] }), fails(KeyNotFound, { key: "b", status: 404 }))
    await assert.rejects(db.save(), fails(InvalidParameter, { parameter: "path", status: 400 }))
    await assert.rejects(db.collection("new"), fails(InvalidParameter, { parameter: "dimensions" }))
  })

  test("a vector that the caller changes after the call is stored as it was", async () => {
    await using db = await open(":memory:")
    const notes = await db.collection("notes", { dimensions: 2, metric: "l2" })
    const vector = Float32Array.of(1, 2)
    // A turn that is full makes calls wait before they read their arguments.
    await new Promise(setImmediate)
    const added = notes.add({ key: "a", vector })
    vector.fill(Number.NaN)
    await added
    assert.deepEqual((await notes.get("a"))?.vector, Float32Array.of(1, 2))
  })

  test("names that could leave the folder are refused", async () => {
    await using db = await open(await folder())
    for (const name of ["", "..", "a/b", "a\\b", "a.b", "é", "x".repeat(65), "a\0"]) {
      await assert.rejects(db.collection(name, { dimensions: 2 }), fails(InvalidParameter, { parameter: "name" }))
    }
    await db.collection("x".repeat(64), { dimensions: 2 })
  })

  test("options out of range are refused", async () => {
    await using db = await open(":memory:")
    const wrong: ReadonlyArray<readonly [parameter: string, options: Record<string, unknown>]> = [
      ["dimensions", { dimensions: 0 }],
      ["dimensions", { dimensions: 8193 }],
      ["dimensions", { dimensions: 1.5 }],
      ["metric", { dimensions: 2, metric: "euclid" }],
      ["precision", { dimensions: 2, precision: "f64" }],
      ["codes", { dimensions: 2, codes: "pq" }],
      ["seed", { dimensions: 2, seed: -1 }],
      ["seed", { dimensions: 2, codes: "published", seed: 7 }]
    ]
    for (const [parameter, options] of wrong) {
      await assert.rejects(db.collection("c", options as CollectionOptions), fails(InvalidParameter, { parameter }))
    }
  })
})

describe("what a collection was made with", () => {
  const made = { metric: "l2", precision: "f16", seed: 7 } as const
  const embedder = hashEmbedder({ dimensions: 64 })
  const others: ReadonlyArray<readonly [field: string, options: CollectionOptions]> = [
    ["dimensions", { dimensions: 128 }],
    ["dimensions", { embedder: hashEmbedder({ dimensions: 128 }) }],
    ["metric", { metric: "dot" }],
    ["precision", { precision: "f32" }],
    ["codes", { codes: "published" }],
    ["seed", { seed: 8 }],
    ["embedder", { embedder: { ...embedder, id: "another" } }]
  ]

  for (const reopened of [false, true]) {
    test(`is compared field by field, ${reopened ? "when it is loaded" : "while it is open"}`, async () => {
      const path = await folder()
      const first = await open(path)
      const notes = await first.collection("notes", { ...made, embedder })
      await notes.add({ key: "a", text: "a text" })
      if (reopened) {
        await first.save()
        await first.close()
      }
      await using db = reopened ? await open(path) : first
      for (const [field, options] of others) {
        const error = fails(CollectionMismatch, { field, collection: "notes", status: 409 })
        await assert.rejects(db.collection("notes", options), error)
      }
      const again = await db.collection("notes", { ...made, embedder })
      assert.deepEqual(again.shape, { ...made, dimensions: 64, codes: "trained", embedder: embedder.id })
      assert.equal((await again.search("a text", { k: 1 }))[0]?.key, "a")
      await db.collection("notes")
    })
  }
})

describe("the lock of a folder", () => {
  test("keeps another database out until the first is closed", async () => {
    const path = await folder()
    const first = await open(path)
    await assert.rejects(open(path), fails(FolderLocked, { path, pid: process.pid, status: 423, retryable: true }))
    await first.close()
    await (await open(path)).close()
    assert.deepEqual(await readdir(path), ["records.sqlite", "records.sqlite.clean"])
  })

  test("names the process that has the folder open", async () => {
    const path = await folder()
    await using _ = await open(path)
    const stdout = await program(`
      import { open } from SABINE
      await open(${JSON.stringify(path)}).catch((error) => console.log(error._tag, error.pid))
    `)
    assert.equal(stdout.trim(), `FolderLocked ${process.pid}`)
  })

  test("of two that open at once exactly one succeeds", async () => {
    const path = await folder()
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => open(path)))
    const opened = results.filter((result) => result.status === "fulfilled")
    for (const result of results) if (result.status === "rejected") fails(FolderLocked)(result.reason)
    assert.equal(opened.length, 1)
    await opened[0]!.value.close()
  })

  test("that is made and not yet written to belongs to somebody", async () => {
    const [path, another] = [await folder(), await folder()]
    await using _ = await open(another)
    const [, boot] = (await readFile(join(another, "lock"), "utf8")).split(" ")
    await writeFile(join(path, "lock"), "")
    const opened = assert.rejects(open(path), fails(FolderLocked, { pid: process.ppid }))
    await setTimeout(50)
    await writeFile(join(path, "lock"), `${process.ppid} ${boot} 0 0 0\n`)
    await opened
  })

  test("holds when the clock jumps", { skip: process.platform !== "linux" && "boots have no names" }, async () => {
    const path = await folder()
    await using _ = await open(path)
    const stdout = await program(`
      const now = Date.now
      Date.now = () => now() + 86_400_000
      const { open } = await import(SABINE)
      await open(${JSON.stringify(path)}).catch((error) => console.log(error._tag, error.pid))
    `)
    assert.equal(stdout.trim(), `FolderLocked ${process.pid}`)
  })

  test("of a process that has ended, of an earlier boot or of an earlier process of this number, holds nobody up", async () => {
    const path = await folder()
    const { pid } = spawnSync(process.execPath, ["--eval", ""])
    const another = await folder()
    const other = await open(another)
    const [, boot, start] = (await readFile(join(another, "lock"), "utf8")).split(" ")
    await other.close()
    const earlier = [
      `${pid} ${boot} ${start} 0 ${pid}\n`,
      `${process.pid} another-boot ${start} 1000 0\n`,
      `${process.pid} ${Math.round(Date.now() / 1000) - 100_000} ${start} 1000 0\n`,
      `${process.pid} ${boot} ${Number(start) - 1} 1000 0\n`
    ]
    for (const stale of [...earlier, ""]) {
      await writeFile(join(path, "lock"), stale)
      const db = await open(path)
      assert.match(await readFile(join(path, "lock"), "utf8"), new RegExp(`^${process.pid} `))
      await db.close()
    }
  })
})

describe("the Effect door", () => {
  test("a database is a layer: failures are in the error channel, the scope closes it", async () => {
    const path = await folder()
    const work = Effect.gen(function* () {
      const db = yield* EffectDoor.Database
      const notes = yield* db.collection("notes", { dimensions: 2 })
      yield* notes.add({ key: "a", vector: [1, 0] })
      const duplicate = yield* Effect.flip(notes.add({ key: "a", vector: [1, 0] }))
      const caught = yield* notes
        .update({ key: "b", vector: [1, 0] })
        .pipe(Effect.catchTag("KeyNotFound", ({ key }) => Effect.succeed(key)))
      yield* db.save()
      const compacted = [yield* db.compact(), yield* notes.compact()]
      return { duplicate, caught, compacted, hits: yield* notes.search([1, 0]) }
    })
    const { duplicate, caught, compacted, hits } = await Effect.runPromise(
      work.pipe(Effect.provide(EffectDoor.Database.layer(path)))
    )
    assert.ok(duplicate instanceof EffectDoor.DuplicateKey)
    assert.equal(EffectDoor.DuplicateKey, PromiseDoor.DuplicateKey)
    assert.equal(caught, "b")
    for (const { movedRows, movedPayloads } of compacted) assert.deepEqual([movedRows, movedPayloads], [0, 0])
    assert.equal(hits[0]?.key, "a")
    assert.deepEqual(await readdir(path), [
      "notes.image",
      "notes.previous.image",
      "records.sqlite",
      "records.sqlite.clean"
    ])
  })

  test("a scope that fails or is closed releases the folder", async () => {
    const path = await folder()
    const scope = Effect.runSync(Scope.make())
    await Effect.runPromise(Layer.buildWithScope(EffectDoor.Database.layer(path), scope))
    await assert.rejects(open(path), fails(FolderLocked))
    await Effect.runPromise(Scope.close(scope, Exit.void))
    await (await open(path)).close()
    const failing = Effect.provide(Effect.fail("no" as const), EffectDoor.Database.layer(path))
    assert.equal(await Effect.runPromise(Effect.flip(failing)), "no")
    await (await open(path)).close()
  })
})
