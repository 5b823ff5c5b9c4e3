/** The cache as a program uses it: what is served, what is not, and what is said of it. */
import assert from "node:assert/strict"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, test } from "node:test"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type CacheRequest, type Hit, type Miss, nearestVerifier, semanticCache } from "../../src/cache.ts"
import { Database, SemanticCache } from "../../src/effect.ts"
import { Closed, type Embedder, InvalidParameter, open } from "../../src/index.ts"
import { turnsOf } from "../turns.ts"
import { ask, askedAtOnce, degrees, withCache } from "./caches.ts"

const hit = (found: Hit | Miss): Hit => {
  assert.ok(found.isHit, `a miss: ${found.isHit || found.reason}`)
  return found
}
const miss = (found: Hit | Miss): Miss => {
  assert.ok(!found.isHit, "a hit")
  return found
}

describe("looking up", () => {
  test("the same request is an exact hit, a near one a semantic hit, one further away a miss that says how far", async () => {
    await withCache({ threshold: 0.9 }, async ({ cache, pass }) => {
      assert.equal(miss(await cache.get(ask("cat 0"))).reason, "empty")
      await cache.set(ask("cat 0"), { text: "meow" })
      pass(250)
      const exact = hit(await cache.get(ask("cat 0")))
      assert.deepEqual([exact.tier, exact.similarity, exact.probability, exact.ageMs], ["exact", 1, 1, 250])
      assert.deepEqual(exact.value, { text: "meow" })
      const near = hit(await cache.get(ask("cat 10")))
      assert.deepEqual([near.tier, near.text, near.key], ["semantic", "cat 0", exact.key])
      assert.ok(Math.abs(near.similarity - Math.cos(Math.PI / 18)) < 1e-5)
      const far = miss(await cache.get(ask("cat 40")))
      assert.equal(far.reason, "below-threshold")
      assert.equal(far.nearest?.text, "cat 0")
      assert.ok(Math.abs(far.similarity! - Math.cos((40 * Math.PI) / 180)) < 1e-5)
      assert.deepEqual([miss(await cache.get(ask("dog 0"))).nearest], [undefined])
    })
  })

  test("a hit is an object of its own", async () => {
    await withCache({}, async ({ cache }) => {
      const answer = { parts: ["a"] }
      await cache.set(ask("cat 0"), answer)
      answer.parts.push("changed after it was kept")
      const first = hit(await cache.get(ask("cat 0"))).value as typeof answer
      first.parts.push("changed by who was served")
      assert.deepEqual(hit(await cache.get(ask("cat 0"))).value, { parts: ["a"] })
    })
  })

  test("one prompt and one message of the user are the same request, as text or as its only part", async () => {
    await withCache({}, async ({ cache }) => {
      await cache.set(ask("cat 0"), 1)
      const message = (content: unknown): CacheRequest => ({ model: "m", messages: [{ role: "user", content }] })
      for (const content of ["cat 0", [{ type: "text", text: "cat 0" }]]) {
        assert.equal(hit(await cache.get(message(content))).tier, "exact")
      }
      // An image beside the text is part of the scope.
      const image = { type: "image", data: new Uint8Array([1]) }
      assert.equal((await cache.get(message([{ type: "text", text: "cat 0" }, image]))).isHit, false)
    })
  })

  test("what was never set in an array is a part of the scope too", () => {
    const scopeOf = (tools: unknown) => askedAtOnce({ prompt: "a", tools }).key
    assert.notEqual(scopeOf(new Array(1)), scopeOf([]))
    assert.equal(scopeOf(new Array(1)), scopeOf([null]))
  })

  test("the same request asked again and again lets others have their turns", async () => {
    await withCache({}, async ({ cache }) => {
      await cache.set(ask("cat 0"), 1)
      const turns = await turnsOf(async () => {
        for (let i = 0; i < 100; i++) assert.ok((await cache.get(ask("cat 0"))).isHit)
      })
      assert.ok(turns >= 50, `${turns}`)
    })
  })

  test("whatever else a request has is a part of the scope, but for functions", () => {
    const scopeOf = (more: object) => askedAtOnce({ prompt: "a", ...more }).scope.toString("hex")
    assert.notEqual(scopeOf({ temperature: 0 }), scopeOf({ temperature: 1 }))
    assert.notEqual(scopeOf({ temperature: 0 }), scopeOf({}))
    assert.equal(scopeOf({ seed: 1, temperature: 0 }), scopeOf({ temperature: 0, seed: 1 }))
    assert.equal(scopeOf({ onToken: () => undefined, temperature: undefined }), scopeOf({}))
    assert.throws(() => scopeOf({ signal: new AbortController().signal }), InvalidParameter)
  })

  test("who names no tenant is of that of the cache, whichever way none is named", () => {
    const keyOf = (named: object) => askedAtOnce({ ...ask("cat 0"), ...named }, "acme").key
    const key = keyOf({ tenant: "acme" })
    for (const named of [{}, { tenant: undefined }, { tenant: null }]) assert.equal(keyOf(named), key)
    assert.notEqual(keyOf({ tenant: "zenith" }), key)
  })

  test("several texts of a message are told from others that are cut elsewhere", () => {
    const asked = (...texts: ReadonlyArray<string>) => {
      const content = texts.flatMap((text) => [
        { type: "text", text },
        { type: "image", url: "x" }
      ])
      return askedAtOnce({ messages: [{ role: "user", content }] })
    }
    assert.equal(asked("a\nb", "c").text, asked("a", "b\nc").text)
    assert.notDeepEqual(asked("a\nb", "c").scope, asked("a", "b\nc").scope)
    assert.deepEqual(asked("a", "c").scope, asked("b", "d").scope)
    assert.deepEqual(asked("a\nb").scope, asked("c").scope)
  })

  test("texts that look the same are the same, whichever way they are composed", async () => {
    await withCache({ embedder: undefined, dimensions: 2 }, async ({ cache }) => {
      const vector = [1, 0]
      await cache.set(ask("caf\u00e9"), 1, { vector })
      assert.equal(hit(await cache.get(ask("cafe\u0301"), { vector })).tier, "exact")
      // Half of a pair is no text; it is told from another half, and from what UTF-8 makes of both.
      await cache.set(ask("\ud800"), 2, { vector: [0, 1] })
      assert.equal(hit(await cache.get(ask("\ud800"), { vector: [0, 1] })).tier, "exact")
      for (const other of ["\ud801", "\ufffd"]) {
        const found = await cache.get(ask(other), { vector: [0, 1] })
        assert.ok(!found.isHit || found.tier === "semantic", other)
      }
    })
  })

  test("a caller may ask for less than the threshold, but not below the floor", async () => {
    await withCache({ threshold: 0.95, floor: 0.8 }, async ({ cache }) => {
      await cache.set(ask("cat 0"), 1)
      assert.equal((await cache.get(ask("cat 30"))).isHit, false)
      assert.equal((await cache.get(ask("cat 30"), { threshold: 0.85 })).isHit, true)
      await assert.rejects(cache.get(ask("cat 40"), { threshold: 0.7 }), InvalidParameter)
    })
  })

  test("what has no text that can be embedded is not looked for and not kept", async () => {
    await withCache({}, async ({ cache }) => {
      await cache.set(ask("cat 0"), 1)
      assert.equal(miss(await cache.get(ask("?!"))).reason, "no-text")
      assert.equal(miss(await cache.get({ model: "m", messages: [{ role: "tool", content: 1 }] })).reason, "no-text")
      const kept = await cache.set(ask("?!"), 1)
      assert.ok(!kept.isKept && kept.reason === "no-text")
    })
  })

  test("a text that is longer than an answer may be is not embedded", async () => {
    const { embed, ...usual } = degrees()
    const embedder: Embedder = {
      ...usual,
      embed: async (texts, options) => {
        assert.ok(texts.every(({ length }) => length <= 1000))
        return embed(texts, options)
      }
    }
    await withCache({ embedder, maxAnswerBytes: 1000 }, async ({ cache }) => {
      await cache.set(ask("cat 0"), 1)
      const long = ask(`cat ${"0".repeat(1000)}`)
      assert.equal(miss(await cache.get(long)).reason, "too-large")
      const kept = await cache.set(long, 1)
      assert.ok(!kept.isKept && kept.reason === "too-large")
      const answer = await cache.wrap(async () => "meow")(long)
      assert.deepEqual([answer.value, cache.stats().entries], ["meow", 1])
    })
  })

  test("gates, judges and verifiers that answer later decide", async () => {
    const judged: Array<ReadonlyArray<string>> = []
    const verifier = {
      id: "test",
      verify: async (query: string, candidates: ReadonlyArray<{ readonly text: string }>) => {
        const refused = candidates.flatMap(({ text }, index) =>
          text === "cat 0" ? [{ index, gate: "number" as const }] : []
        )
        const index = candidates.findIndex(({ text }) => text !== "cat 0")
        return { best: index < 0 || query === "cat 9" ? undefined : { index, probability: 0.5 }, refused }
      }
    }
    const judge = (question: string, cached: string) => {
      judged.push([question, cached])
      return question !== "cat 3"
    }
    await withCache({ verifier, judge }, async ({ cache }) => {
      await cache.set(ask("cat 0"), 0)
      assert.equal(miss(await cache.get(ask("cat 1"))).reason, "gate:number")
      await cache.set(ask("cat 5"), 5)
      const found = hit(await cache.get(ask("cat 1")))
      assert.deepEqual([found.value, found.probability], [5, 0.5])
      assert.equal(miss(await cache.get(ask("cat 3"))).reason, "judge")
      assert.deepEqual(judged, [
        ["cat 1", "cat 5"],
        ["cat 3", "cat 5"]
      ])
    })
  })
})

test("the verifier that ships tells near misses from the same in other words, within its budget", async () => {
  await using db = await open(":memory:")
  await using cache = await semanticCache(db, { maxFalseHitRate: 0.05 })
  for (const prompt of ["How do I enable dark mode?", "Is the warranty 3 years?", "How do I reset my password?"]) {
    await cache.set({ prompt }, prompt)
  }
  const found = hit(await cache.get({ prompt: "How can I reset my password?" }))
  assert.ok(found.value === "How do I reset my password?" && found.probability > 0.9)
  const near = ["How do I disable dark mode?", "Is the warranty 30 years?"]
  const misses = await Promise.all(near.map(async (prompt) => miss(await cache.get({ prompt })).reason))
  assert.deepEqual(misses, ["gate:antonym", "gate:number"])
})

describe("time", () => {
  test("an answer lives as long as its entry, its scope or the cache says", async () => {
    const ttlMs = ({ model }: CacheRequest) => (model === "brief" ? 10 : undefined)
    await withCache({ ttlMs }, async ({ cache, pass }) => {
      await cache.set({ model: "brief", prompt: "cat 0" }, 1)
      await cache.set(ask("cat 0"), 2)
      await cache.set(ask("dog 0"), 3, { ttlMs: 20 })
      pass(10)
      assert.equal(miss(await cache.get({ model: "brief", prompt: "cat 0" })).reason, "expired")
      assert.equal((await cache.get(ask("dog 1"))).isHit, true)
      pass(10)
      assert.equal(miss(await cache.get(ask("dog 1"))).reason, "expired")
      assert.equal((await cache.get(ask("cat 0"))).isHit, true)
      assert.equal(miss(await cache.get(ask("cat 0"), { maxAgeMs: 5 })).reason, "expired")
    })
  })
})

describe("feedback", () => {
  test("an answer told to be wrong is not served again: to that question, or at all where it is its own", async () => {
    await withCache({ threshold: 0.9 }, async ({ cache }) => {
      await cache.set(ask("cat 0"), 1, { tags: ["t"], inputTokens: 7 })
      await hit(await cache.get(ask("cat 5"))).confirm()
      await hit(await cache.get(ask("cat 5"))).reject()
      const question = miss(await cache.get(ask("cat 5"))).key.slice(0, 16)
      assert.equal(miss(await cache.get(ask("cat 5"))).reason, "rejected")
      assert.deepEqual(hit(await cache.get(ask("cat 6"))).notes, { tags: ["t"], inputTokens: 7, rejected: [question] })
      await hit(await cache.get(ask("cat 0"))).reject()
      assert.equal((await cache.get(ask("cat 0"))).isHit, false)
      const { confirmed, rejected, entries } = cache.stats()
      assert.deepEqual([confirmed, rejected, entries], [1, 2, 0])
    })
  })
})

test("what is said of one hit counts once, also when its entry is gone", async () => {
  await withCache({ threshold: 0.9 }, async ({ cache }) => {
    await cache.set(ask("cat 0"), 1)
    const right = hit(await cache.get(ask("cat 5")))
    await Promise.all([right.confirm(), right.confirm()])
    await right.confirm()
    const wrong = hit(await cache.get(ask("cat 6")))
    await cache.invalidate({ key: wrong.key })
    await wrong.reject()
    await wrong.reject()
    const { confirmed, rejected, wrong: rates } = cache.stats()
    assert.deepEqual([confirmed, rejected, rates.ofServed.rate], [1, 1, 0.5])
  })
})

test("what is said of a hit counts once, though it could be written but the second time", async () => {
  const folder = await mkdtemp(join(tmpdir(), "sabine-cache-"))
  try {
    const db = await open(folder)
    const cache = await semanticCache(db, { embedder: degrees(), verifier: nearestVerifier() })
    await cache.set(ask("cat 0"), 1)
    const right = hit(await cache.get(ask("cat 5")))
    await db.close()
    for (let i = 0; i < 3; i++) await assert.rejects(right.confirm(), Closed)
    assert.equal(cache.stats().confirmed, 1)
  } finally {
    await rm(folder, { recursive: true })
  }
})

test("a collection that holds other things is not opened as a cache, and nothing of it is written over", async () => {
  await using db = await open(":memory:")
  const options = { embedder: degrees(), precision: "int8" } as const
  const adaptive = { ...options, name: "notes", ttlMs: { minMs: 1000, maxMs: 60_000 } }
  const notes = await db.collection("notes", options)
  await notes.add({ key: "learned", text: "cat 0", payload: { mine: true } })
  await notes.add({ key: "other", text: "cat 1" })
  await assert.rejects(semanticCache(db, adaptive), (error) => {
    return error instanceof InvalidParameter && error.parameter === "name"
  })
  await notes.namespace("acme").add({ key: "a", text: "dog 1" })
  await assert.rejects(semanticCache(db, adaptive), InvalidParameter)
  assert.deepEqual((await notes.get("learned"))?.payload, { mine: true })

  const others = await db.collection("others", options)
  const emptied = await semanticCache(db, { ...options, name: "others" })
  await emptied.set(ask("cat 0"), 1)
  assert.equal(await emptied.invalidate({ scope: ask("cat 0") }), 1)
  await emptied.close()
  await (await semanticCache(db, { ...options, name: "others" })).close()
  await others.namespace("acme").add({ key: "a", text: "dog 1" })
  await assert.rejects(semanticCache(db, { ...options, name: "others" }), InvalidParameter)
})

describe("the doors", () => {
  test("options of a call that are none are refused before anything is served, asked or counted", async () => {
    await withCache({}, async ({ cache }) => {
      await cache.set(ask("cat 0"), 1)
      const before = cache.stats()
      let calls = 0
      const model = cache.wrap(async () => ++calls)
      for (const maxAgeMs of [Number.NaN, -1, "5", null]) {
        const options = { maxAgeMs: maxAgeMs as number }
        await assert.rejects(cache.get(ask("cat 0"), options), InvalidParameter)
        await assert.rejects(model(ask("cat 0"), options), InvalidParameter)
      }
      // Of a text every part would be a tag, and sums would be no numbers any more.
      for (const options of [
        { tags: "abc" },
        { tags: [1] },
        { sources: 5 },
        { ttlMs: Number.NaN },
        { form: "stream" },
        { finish: "length" }
      ]) {
        await assert.rejects(cache.set(ask("dog 0"), 1, options as never), InvalidParameter)
        await assert.rejects(model(ask("dog 0"), options as never), InvalidParameter)
      }
      const counts = [
        { tookMs: Number.NaN },
        { cost: "5" },
        { inputTokens: -3 },
        { outputTokens: Number.POSITIVE_INFINITY }
      ]
      for (const options of counts) {
        await assert.rejects(cache.set(ask("dog 0"), 1, options as never), InvalidParameter)
      }
      await assert.rejects(cache.invalidate({ olderThanMs: "0" as never }), InvalidParameter)
      await assert.rejects(cache.invalidate({ scope: null as never }), InvalidParameter)
      for (const none of [null, 5] as ReadonlyArray<unknown>) {
        await assert.rejects(cache.get(ask("cat 0"), none as never), InvalidParameter)
        await assert.rejects(cache.set(ask("cat 0"), 1, none as never), InvalidParameter)
        await assert.rejects(cache.invalidate(none as never), InvalidParameter)
        await assert.rejects(model(ask("dog 0"), none as never), InvalidParameter)
        await assert.rejects(cache.wrap(none as never)(ask("dog 0")), InvalidParameter)
      }
      assert.equal(calls, 0)
      assert.deepEqual(cache.stats(), before)
      // The answer of a model is given to who asked, whatever somebody's function makes of it.
      const { value } = await model(ask("dog 0"), { facts: () => ({ cost: "5" as never }) })
      assert.deepEqual([value, cache.stats().failures, cache.stats().entries], [1, 1, 1])
    })
  })

  test("options out of range are refused", async () => {
    await using db = await open(":memory:")
    const bad = [
      { threshold: 2 },
      { floor: 0.95, threshold: 0.9 },
      { candidates: 0 },
      { maxBytes: 1 },
      { eviction: "newest" as "lru" },
      { ttlMs: 0 },
      { verifier: {} as never }
    ]
    for (const options of bad) await assert.rejects(semanticCache(db, options), InvalidParameter)
    await assert.rejects(semanticCache({} as never), InvalidParameter)
    await using cache = await semanticCache(db)
    await assert.rejects(cache.get({} as never), InvalidParameter)
    await assert.rejects(cache.get({ ...ask("a"), parameters: { f: Number.NaN } }), InvalidParameter)
    await assert.rejects(cache.invalidate({}), InvalidParameter)
  })

  test("a closed cache rejects, and leaves its entries in the database", async () => {
    await using db = await open(":memory:")
    const cache = await semanticCache(db)
    await cache.set(ask("a small cat"), 1)
    await cache.close()
    await assert.rejects(cache.get(ask("a small cat")), Closed)
    await using again = await semanticCache(db)
    assert.equal((await again.get(ask("a small cat"))).isHit, true)
    assert.equal(again.stats().entries, 1)
    assert.ok(again.stats().bytes > 100)
  })

  test("entries are listed with what they hold, and what others wrote into the collection is passed by", async () => {
    await using db = await open(":memory:")
    await using cache = await semanticCache(db, { dimensions: 2, clock: () => 5 })
    await cache.set(ask("a"), { n: 1 }, { vector: [1, 0], tags: ["t"], ttlMs: 10 })
    await cache.set({ prompt: "b" }, 2, { vector: [1, 0] })
    const collection = await db.collection("cache")
    const { namespace } = askedAtOnce({ model: "z", prompt: "c" })
    await collection.namespace(namespace).add({ key: "stray", vector: [1, 0], payload: { not: "ours" } })
    await collection.namespace(namespace).add({ key: "bytes", vector: [1, 0], payload: new Uint8Array(100).fill(1) })
    // An entry by its first byte, with notes that are no JSON.
    await collection.namespace(namespace).add({ key: "half", vector: [1, 0], payload: new Uint8Array(100).with(0, 1) })
    const found = []
    for await (const { text, value, expires, notes, scope } of cache.entries()) {
      assert.match(scope, /^[0-9a-f]{64}$/)
      found.push({ text, value, expires, notes })
    }
    assert.deepEqual(found, [
      { text: "a", value: { n: 1 }, expires: 15, notes: { tags: ["t"] } },
      { text: "b", value: 2, expires: Number.POSITIVE_INFINITY, notes: {} }
    ])
    const stranger = await cache.get({ model: "z", prompt: "c" }, { vector: [1, 0] })
    assert.equal(stranger.isHit, false)
    assert.deepEqual([await cache.invalidate({ tag: "u" }), await cache.invalidate({ tag: "t" })], [0, 1])
    assert.equal((await cache.get({ prompt: "b" })).isHit, true)
  })

  test("Effects", async () => {
    const layer = Layer.unwrap(Effect.map(Database, (db) => SemanticCache.in(db.collection)))
    const program = Effect.gen(function* () {
      const cache = yield* SemanticCache
      const ask = cache.wrap(async ({ prompt }) => `answer to ${prompt}`)
      yield* ask({ prompt: "a small cat" })
      return yield* cache.get({ prompt: "a small cat" })
    })
    const provided = program.pipe(Effect.provide(layer), Effect.provide(Database.layer(":memory:")))
    assert.equal(hit(await Effect.runPromise(provided)).value, "answer to a small cat")
  })
})
