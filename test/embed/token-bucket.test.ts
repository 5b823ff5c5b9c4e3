/** The rate limit in front of requests. */
import assert from "node:assert/strict"
import { test } from "node:test"
import type { Clock } from "../../src/core/embed/clock.ts"
import { TokenBucket } from "../../src/core/embed/token-bucket.ts"
import { Cancelled } from "../../src/core/errors.ts"
import { testClock } from "./test-clock.ts"

const NEVER = new AbortController().signal

test("3,000 requests a minute: a hundred at once, then one every 20 ms", async () => {
  const clock = testClock()
  const bucket = new TokenBucket(3000, clock)
  for (let i = 0; i < 100; i++) await bucket.take(NEVER)
  assert.deepEqual(clock.slept, [])
  for (let i = 0; i < 3; i++) await bucket.take(NEVER)
  for (const ms of clock.slept) assert.ok(Math.abs(ms - 20) < 1e-6, `${ms} ms`)
  assert.equal(clock.slept.length, 3)
})

test("who stops waiting for the rate limit gives the place back", async () => {
  const clock = testClock()
  const cancelling: Clock = { ...clock, sleep: () => Promise.reject(new Cancelled()) }
  const bucket = new TokenBucket(30, cancelling)
  await bucket.take(NEVER)
  await assert.rejects(bucket.take(NEVER), Cancelled)
  await clock.sleep(2000, NEVER)
  await bucket.take(NEVER)
})
