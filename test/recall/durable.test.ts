/** A pool in a folder: opened again, taken back to a checkpoint, and with an index that was damaged. */
import assert from "node:assert/strict"
import { existsSync } from "node:fs"
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, test } from "node:test"
import { format } from "node:util"
import { Worker } from "node:worker_threads"
import { serviceOf } from "../../src/behind.ts"
import { insideOf } from "../../src/core/collection/inside.ts"
import { settled } from "../../src/core/collection/settled.ts"
import { kernels } from "../../src/core/native.ts"
import { loadImage } from "../../src/core/store/image.ts"
import { open } from "../../src/index.ts"
import {
  type Coherence,
  chromaticCoherence,
  chromaticEncoder,
  type Encoder,
  type RecallIndex,
  recallPool,
  spectralCoherence,
  tensorFromSeed
} from "../../src/recall.ts"
import { turnsOf } from "../turns.ts"
import { DIMENSIONS, vectorsOf } from "./pools.ts"

const items = vectorsOf(60, 100).map((embedding, i) => ({ key: `${i}`, embedding, class: `c${i % 3}`, payload: { i } }))

const inFolder = async (use: (folder: string) => Promise<void>) => {
  const folder = await mkdtemp(join(tmpdir(), "sabine-recall-"))
  try {
    await use(folder)
  } finally {
    await rm(folder, { recursive: true })
  }
}

describe("a pool in a folder", () => {
  test("is what it was when it is opened again, the order of eviction included", async () => {
    await inFolder(async (folder) => {
      let stats: unknown
      {
        await using db = await open(folder, { threads: 1 })
        const pool = await recallPool(db, { dimensions: DIMENSIONS })
        for (const item of items.slice(0, 20)) await pool.add(item)
        await pool.addMany(items.slice(20))
        await pool.feedback([{ key: "5", deltaLoss: -0.25 }])
        await pool.remove("7")
        const { items: count, classes, memory } = pool.stats()
        stats = { count, classes, memory }
        await db.save()
      }
      await using db = await open(folder, { threads: 1 })
      const pool = await recallPool(db, { maxSize: 99 })
      const { items: count, classes, memory } = pool.stats()
      assert.deepEqual({ count, classes, memory }, stats)
      assert.equal((await pool.get("5"))?.utility, 0.25)
      assert.deepEqual((await pool.get("9"))?.payload, { i: 9 })
      await pool.add({ key: "new", embedding: items[7]!.embedding })
      assert.equal(await pool.get("0"), undefined)
      assert.notEqual(await pool.get("1"), undefined)
    })
  })

  test("has its graph at once when it is opened again", async () => {
    await inFolder(async (folder) => {
      {
        await using db = await open(folder, { threads: 1 })
        const pool = await recallPool(db, { dimensions: DIMENSIONS, index: "hnsw" })
        await pool.addMany(items)
        await pool.buildIndex()
        await db.save()
      }
      await using db = await open(folder, { threads: 1 })
      const pool = await recallPool(db, { index: "hnsw" })
      assert.equal(pool.stats().isBuilt, true)
      for (const { key, embedding } of items.slice(0, 10)) {
        assert.equal((await pool.similar(embedding, { k: 1, index: "hnsw" }))[0]?.key, key)
      }
    })
  })

  for (const ending of ["the pool was closed", "the database was closed", "the process ended after an image"]) {
    test(`goes on with who was used least recently when ${ending}`, async () => {
      await inFolder(async (folder) => {
        const options = { dimensions: DIMENSIONS, eviction: "leastRecentlyUsed", maxSize: 6 } as const
        const copy = join(folder, "copy")
        {
          await using db = await open(join(folder, "first"), { threads: 1 })
          const pool = await recallPool(db, options)
          await pool.addMany(items.slice(0, 6))
          for (const i of [0, 4, 2, 1]) await pool.similar(items[i]!.embedding, { k: 1 })
          if (ending === "the pool was closed") await pool.close()
          else if (ending !== "the database was closed") {
            await db.save()
            // As a crash would leave it.
            await cp(join(folder, "first"), copy, { recursive: true, filter: (name) => !name.endsWith("lock") })
          }
        }
        await using db = await open(existsSync(copy) ? copy : join(folder, "first"), { threads: 1 })
        const pool = await recallPool(db, options)
        const left = ["0", "1", "2", "3", "4", "5"]
        for (const [n, goes] of ["3", "5", "0", "4", "2", "1"].entries()) {
          await pool.add({ key: `new ${n}`, embedding: items[10 + n]!.embedding })
          left.splice(left.indexOf(goes), 1)
          for (const key of left) assert.notEqual(await pool.get(key), undefined, `${key} went instead of ${goes}`)
          assert.equal(await pool.get(goes), undefined)
        }
      })
    })
  }

  for (const eviction of ["oldest", "leastRecentlyUsed"] as const) {
    test(`keeps the order of ${eviction} when its rows are moved`, async () => {
      await using db = await open(":memory:", { threads: 1 })
      const pool = await recallPool(db, { dimensions: DIMENSIONS, eviction, maxSize: 2000 })
      const many = vectorsOf(64, 3200).map((embedding, i) => ({ key: `${i}`, embedding }))
      await pool.addMany(many.slice(0, 2000))
      // The last hundred are never used, and of the others the first was used last.
      for (const { embedding } of many.slice(0, 1900).reverse()) await pool.similar(embedding, { k: 1 })
      for (const { key } of many.slice(0, 1800)) await pool.remove(key)
      // The queue of those that go next is of before the move.
      const before = await recallPool(db, { dimensions: DIMENSIONS, eviction, maxSize: 199 })
      await before.add({ key: "new", embedding: many[3000]!.embedding })
      assert.ok((await (await db.collection("recall")).compact()).movedRows > 50)
      for (let i = 0; i < 20; i++) await before.add({ key: `new ${i}`, embedding: many[3100 + i]!.embedding })
      const goes = eviction === "oldest" ? many.slice(1800, 1822) : many.slice(1900, 1922)
      for (const { key } of many.slice(1800, 2000)) {
        const isGone = goes.some((one) => one.key === key)
        assert.equal((await pool.get(key)) === undefined, isGone, `${key} ${isGone ? "stayed" : "is gone"}`)
      }
    })
  }

  test("goes back to a checkpoint", async () => {
    await inFolder(async (folder) => {
      await using db = await open(folder, { threads: 1 })
      const pool = await recallPool(db, { dimensions: DIMENSIONS })
      await pool.addMany(items)
      await db.checkpoint("before")
      await pool.clear()
      await pool.addMany(items.slice(0, 50))
      await db.restore("before")
      for (const call of [
        () => pool.similar(items[3]!.embedding),
        () => pool.byUtility(),
        async () => pool.get("3"),
        () => pool.add({ embedding: items[3]!.embedding })
      ]) {
        await assert.rejects(call, { _tag: "CollectionReplaced" })
      }
      // Each removal fails at once, while others have their turns.
      await turnsOf(() => assert.rejects(pool.clear(), { _tag: "CollectionReplaced" }))
      const restored = await recallPool(db)
      assert.equal(restored.stats().items, 100)
      assert.deepEqual((await restored.similar(items[3]!.embedding, { k: 1 }))[0]?.key, "3")
    })
  })
})

describe("a pool whose items were encoded", () => {
  const tensor = (seed: number) => tensorFromSeed(seed, { rows: 4, columns: 4, channels: 3 })
  const { dimensions } = chromaticEncoder()
  const other: Encoder = { ...chromaticEncoder(), id: "other-64" }
  const wider: Encoder = { id: "wider-80", dimensions: 80, encode: () => new Float32Array(80).fill(1) }

  test("refuses another encoder when it is opened again, and is what it was", async () => {
    await inFolder(async (folder) => {
      for (const isSaved of [false, true]) {
        {
          await using db = await open(folder, { threads: 1 })
          const pool = await recallPool(db, { encoder: chromaticEncoder() })
          if (!isSaved) await pool.addMany([1, 2, 3].map((seed) => ({ key: `${seed}`, tensor: tensor(seed) })))
          if (isSaved) await db.save()
        }
        await using db = await open(folder, { threads: 1 })
        const encoder = { field: "encoder", expected: "chromatic-64", got: "other-64" }
        await assert.rejects(recallPool(db, { encoder: other }), { _tag: "CollectionMismatch", ...encoder })
        const components = { field: "dimensions", expected: "64", got: "80" }
        await assert.rejects(recallPool(db, { encoder: wider }), { _tag: "CollectionMismatch", ...components })
        const pool = await recallPool(db, { encoder: chromaticEncoder() })
        assert.equal(pool.stats().items, 3)
        assert.equal((await pool.similar({ tensor: tensor(2) }, { k: 1 }))[0]?.key, "2")
        assert.deepEqual((await pool.get("2"))?.tensor?.data, tensor(2).data)
      }
    })
  })

  test("takes another one once none of them is left, and never for embeddings that were given", async () => {
    await inFolder(async (folder) => {
      await using db = await open(folder, { threads: 1 })
      const pool = await recallPool(db, { encoder: chromaticEncoder() })
      await pool.add({ key: "given", embedding: new Float32Array(dimensions).fill(1), tensor: tensor(1) })
      const second = await recallPool(db, { encoder: other })
      await pool.add({ key: "encoded", tensor: tensor(2) })
      // That which was open before meets it when it is to encode.
      const wrong = { _tag: "CollectionMismatch", field: "encoder" }
      await assert.rejects(second.add({ tensor: tensor(3) }), wrong)
      await assert.rejects(second.similar({ tensor: tensor(3) }), wrong)
      assert.equal(second.stats().items, 2)
      await pool.remove("encoded")
      await second.add({ key: "encoded", tensor: tensor(2) })
      await assert.rejects(recallPool(db, { encoder: chromaticEncoder() }), wrong)
    })
  })

  test("has embeddings of one encoder, though pools with two were opened and write at once", async () => {
    await using db = await open(":memory:", { threads: 1 })
    const pools = await Promise.all([
      recallPool(db, { encoder: chromaticEncoder(), maxSize: 5 }),
      recallPool(db, { encoder: other, maxSize: 5 })
    ])
    const adding = pools.map((pool, i) => pool.addMany([1, 2, 3].map((seed) => ({ tensor: tensor(10 * i + seed) }))))
    const [first, second] = await Promise.allSettled(adding)
    assert.equal(first?.status, "fulfilled")
    assert.ok(second?.status === "rejected")
    assert.deepEqual([second.reason._tag, second.reason.field], ["CollectionMismatch", "encoder"])
    assert.equal(pools[1].stats().items, 3)
  })

  test("holds no more items than it may, though two pools write at once", async () => {
    await using db = await open(":memory:", { threads: 1 })
    const options = { dimensions: DIMENSIONS, maxSize: 10 }
    const pools = await Promise.all([recallPool(db, options), recallPool(db, options)])
    await Promise.all(items.slice(0, 60).map((item, i) => pools[i % 2]!.add(item)))
    assert.equal(pools[0].stats().items, 10)
  })

  test("takes an encoder that agrees with itself alone", async () => {
    await using db = await open(":memory:", { threads: 1 })
    const wrong = { _tag: "InvalidConfiguration", parameter: "encoder" }
    for (const id of ["", "x".repeat(1025), "half a pair \ud800"])
      await assert.rejects(recallPool(db, { encoder: { ...other, id } }), wrong)
    await assert.rejects(recallPool(db, { encoder: other, dimensions: 80 }), wrong)
    assert.deepEqual(await db.collections(), [])
  })

  test("is judged by any measure of coherence: none has a state beyond the pool that is open", async () => {
    await inFolder(async (folder) => {
      const shared: ReadonlyArray<Coherence | undefined> = [undefined, chromaticCoherence(), spectralCoherence()]
      for (const [i, coherence] of shared.entries()) {
        await using db = await open(folder, { threads: 1 })
        const pool = await recallPool(db, { encoder: chromaticEncoder(), coherence, coherenceThreshold: 0 })
        const tensors = Array.from({ length: 8 }, (_, j) => ({ tensor: tensor(10 * i + j) }))
        const verdicts = await pool.addManyIfCoherent(tensors)
        assert.deepEqual(new Set(verdicts.map(({ measure }) => measure)), new Set([coherence?.id ?? "neighbourhood-5"]))
        assert.equal(pool.stats().items, 8 * (i + 1))
      }
    })
  })
})

describe("an index that is damaged", () => {
  for (const index of ["hnsw", "ivf"] as ReadonlyArray<RecallIndex>) {
    test(`${index}: is found out, reported, made anew, and finds everything again`, async () => {
      await using db = await open(":memory:", { threads: 1 })
      const many = vectorsOf(61, 3000).map((embedding, i) => ({ key: `${i}`, embedding }))
      const pool = await recallPool(db, { dimensions: DIMENSIONS, index, maxSize: 5000 })
      await pool.addMany(many)
      await pool.buildIndex()
      const whole = await pool.checkIndex()
      assert.deepEqual(
        whole.map((check) => [check.index, check.fault]),
        [[index, undefined]]
      )
      assert.ok(whole[0]!.found > 0.95)
      const { store } = insideOf(await settled(serviceOf(db).collection("recall", {})))
      if (index === "hnsw") {
        const { layout, segments } = store.columns.graph!
        segments[0]!.fill(0, layout.linksOffset, layout.linksOffset + 4 * 2 * layout.m * 65_536)
      } else store.columns.lists!.heads.fill(0)
      const rightly = async () => {
        const firsts = await Promise.all(
          many.slice(0, 50).map(({ embedding }) => pool.similar(embedding, { k: 1, index }))
        )
        return firsts.filter(([first], i) => first?.key === `${i}`).length
      }
      assert.ok((await rightly()) < 25)
      const [check] = await pool.checkIndex()
      assert.ok(check!.found < 0.5, `${check!.found}`)
      assert.equal(check!.fault?._tag, "IndexCorrupted")
      assert.ok((await pool.checkIndex())[0]!.found > 0.95)
      // What it found while it was damaged is remembered no longer.
      assert.ok((await rightly()) >= 48)
    })
  }
})

describe("an index that is damaged on the disk", () => {
  for (const [index, section] of [
    ["hnsw", "graph"],
    ["ivf", "lists"]
  ] as const) {
    test(`${index}: is left behind with a warning, and made anew`, { timeout: 120_000 }, async () => {
      await inFolder(async (folder) => {
        const many = vectorsOf(65, 3000).map((embedding, i) => ({ key: `${i}`, embedding }))
        {
          await using db = await open(folder, { threads: 1 })
          const pool = await recallPool(db, { dimensions: DIMENSIONS, index, maxSize: 5000 })
          await pool.addMany(many)
          await pool.buildIndex()
          await db.save()
        }
        const path = join(folder, "recall.image")
        const whole = await readFile(path)
        // Where the section lies is what the error for a damaged byte says.
        let isFound = false
        for (let at = whole.length - 100; at > 0 && !isFound; at -= Math.floor(whole.length / 60)) {
          const damaged = Buffer.from(whole)
          damaged[at]! ^= 0xff
          await writeFile(path, damaged)
          const error = await loadImage(kernels, path).then(
            () => undefined,
            (error) => error
          )
          isFound = `${error?.reason}`.startsWith(section)
        }
        assert.ok(isFound)
        await using db = await open(folder, { threads: 1 })
        const said: Array<string> = []
        const { log } = console
        console.log = (...parts) => void said.push(format(...parts))
        const pool = await recallPool(db, { index, maxSize: 5000 }).finally(() => {
          console.log = log
        })
        assert.match(said.join("\n"), new RegExp(`an image is damaged[^]*${section}`))
        assert.deepEqual([pool.stats().items, pool.stats().isBuilt], [3000, false])
        assert.equal((await pool.similar(many[9]!.embedding, { k: 1 }))[0]?.key, "9")
        await pool.buildIndex()
        assert.equal((await pool.similar(many[9]!.embedding, { k: 1, index }))[0]?.key, "9")
        await db.save()
        assert.equal(await loadImage(kernels, path).then(({ store }) => store.directory.live), 3000)
      })
    })
  }
})

describe("threads", () => {
  test("attach to the items, and find what is added meanwhile whole", { timeout: 120_000 }, async () => {
    await using db = await open(":memory:", { threads: 1 })
    const pool = await recallPool(db, { dimensions: DIMENSIONS, maxSize: Number.POSITIVE_INFINITY })
    const many = vectorsOf(62, 4000)
    await pool.addMany(many.slice(0, 100).map((embedding, i) => ({ key: `${i}`, embedding, utility: 0.5 })))
    const code = `
      import { parentPort, workerData } from "node:worker_threads"
      import { attach } from ${JSON.stringify(new URL("../../src/index.ts", import.meta.url).href)}
      const items = attach(workerData.handle)
      let searches = 0
      let torn = 0
      let going = true
      parentPort.once("message", () => { going = false })
      while (going) {
        const hits = await items.search(workerData.queries[searches++ % workerData.queries.length], { k: 5 })
        for (const { score, fields } of hits) if (!(score <= 1.0001) || fields.utility !== 0.5) torn++
        await new Promise((resolve) => setImmediate(resolve))
      }
      parentPort.postMessage({ searches, torn })
      await items.close()`
    const workers = [0, 1, 2].map((i) => {
      const { handle, transferList } = pool.share()
      const workerData = { handle, queries: vectorsOf(63 + i, 20) }
      return new Worker(code, {
        eval: true,
        workerData,
        transferList: [...transferList],
        execArgv: ["--input-type=module"]
      })
    })
    for (let from = 100; from < 4000; from += 100) {
      const adding = pool.addMany(
        many.slice(from, from + 100).map((embedding, i) => ({ key: `${from + i}`, embedding, utility: 0.5 }))
      )
      for (const vector of many.slice(from - 10, from)) assert.equal((await pool.similar(vector, { k: 1 })).length, 1)
      await adding
    }
    const reports = await Promise.all(
      workers.map(
        (worker) =>
          new Promise<{ searches: number; torn: number }>((resolve, reject) => {
            worker.once("message", resolve)
            worker.once("error", reject)
            worker.postMessage("stop")
          })
      )
    )
    for (const { searches, torn } of reports) assert.ok(searches > 0 && torn === 0, `${torn} of ${searches}`)
    assert.equal(pool.stats().items, 4000)
    await Promise.all(workers.map((worker) => worker.terminate()))
  })
})
