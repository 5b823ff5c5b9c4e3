/** What is served stale, and what is fetched anew meanwhile. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { ask, drained, gate, until, withCache } from "./caches.ts"

test("a stale answer is served while it is fetched anew, however long that takes, also for another text", async () => {
  await withCache({ ttlMs: 100, staleMs: 50 }, async ({ cache, pass }) => {
    let calls = 0
    const { promise, resolve } = gate()
    const model = cache.wrap(async () => {
      if (++calls > 1) await promise
      return calls
    })
    await model(ask("cat 0"))
    pass(120)
    for (const prompt of ["cat 0", "cat 0", "cat 5", "cat 5"]) {
      const { value, lookUp } = await model(ask(prompt))
      assert.ok(value === 1 && lookUp.isHit && lookUp.isStale, prompt)
    }
    assert.equal(calls, 3)
    pass(30)
    // Too old to be served: now it is waited for.
    const late = model(ask("cat 0"))
    resolve()
    assert.deepEqual([(await late).value, (await late).isShared, calls], [3, true, 3])
    await until(() => cache.stats().stored === 3)
    assert.equal((await model(ask("cat 5"))).lookUp.isHit, true)
  })
})

test("what is fetched anew when it is invalidated holds up neither who asks then nor what is fetched anew later", async () => {
  await withCache({ ttlMs: 100, staleMs: 50 }, async ({ cache, pass }) => {
    let calls = 0
    const { promise, resolve } = gate()
    const waited = gate()
    const model = cache.wrap(async () => {
      const call = ++calls
      if (call === 2) await promise
      if (call === 3) await waited.promise
      return call
    })
    await model(ask("cat 0"))
    pass(120)
    assert.equal((await model(ask("cat 0"))).value, 1)
    await until(() => calls === 2)
    await cache.invalidate({ scope: ask("") })
    const first = model(ask("cat 0"))
    await until(() => calls === 3)
    const misses = () => Object.values(cache.stats().misses).reduce((sum, count) => sum + count, 0)
    const before = misses()
    const sharing = Array.from({ length: 10 }, () => model(ask("cat 0")))
    await new Promise(setImmediate)
    assert.equal(misses(), before)
    waited.resolve()
    for (const { value } of await Promise.all([first, ...sharing])) assert.equal(value, 3)
    pass(120)
    assert.equal((await model(ask("cat 0"))).value, 3)
    await until(() => cache.stats().stored === 3)
    assert.equal((await model(ask("cat 0"))).value, 4)
    resolve()
  })
})

test("one at a time fetches anew what turns out too large to be kept, and no more of it than that takes", async () => {
  await withCache({ ttlMs: 100, staleMs: 50, maxAnswerBytes: 100 }, async ({ cache, pass }) => {
    let calls = 0
    let flying = 0
    let chunk = "x"
    const model = cache.wrap(async function* () {
      calls++
      assert.equal(++flying, 1)
      try {
        for (let i = 0; i < 10; i++) yield chunk
      } finally {
        flying--
      }
    } as () => AsyncIterable<string>)
    await drained((await model(ask("cat 0"))).value)
    pass(120)
    chunk = "x".repeat(50)
    for (let unkept = 1; unkept <= 3; unkept++) {
      assert.deepEqual(await drained((await model(ask("cat 0"))).value), Array(10).fill("x"))
      await until(() => cache.stats().unkept["too-large"] === unkept)
    }
    assert.deepEqual([calls, flying], [4, 0])
  })
})

test("a stale answer is served as long as it may be while it cannot be fetched anew, and nobody is told why", async () => {
  await withCache({ ttlMs: 100, staleMs: 50 }, async ({ cache, pass }) => {
    let calls = 0
    const model = cache.wrap(async () => {
      if (++calls > 1) throw new Error("down")
      return calls
    })
    await model(ask("cat 0"))
    pass(120)
    for (let failures = 1; failures <= 3; failures++) {
      const { value, lookUp } = await model(ask("cat 0"))
      assert.ok(value === 1 && lookUp.isHit && lookUp.isStale)
      await until(() => cache.stats().failures === failures)
    }
    pass(30)
    await assert.rejects(model(ask("cat 0")), /down/)
    assert.equal(calls, 5)
  })
})
