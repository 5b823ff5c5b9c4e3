/** Work of which only so much is under way at one time. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { AtOnce } from "../src/core/at-once.ts"

const work = () => Promise.withResolvers<void>()

test("there is room until so much is under way, and again when some of it has ended", async () => {
  const atOnce = new AtOnce(2)
  const [first, second] = [work(), work()]
  atOnce.add(first.promise)
  assert.equal(atOnce.room(), undefined)
  atOnce.add(second.promise)
  let isRoom = false
  const room = atOnce.room()?.then(() => {
    isRoom = true
  })
  await new Promise(setImmediate)
  assert.equal(isRoom, false)
  second.resolve()
  await room
  assert.equal(atOnce.room(), undefined)
  first.resolve()
  await atOnce.all()
})

test("a failure waits for what is under way, and the first one is told", async () => {
  const atOnce = new AtOnce(3)
  const [first, second, third] = [work(), work(), work()]
  for (const { promise } of [first, second, third]) atOnce.add(promise)
  second.reject(new Error("second"))
  await new Promise(setImmediate)
  assert.equal(atOnce.hasFailed, true)
  let isOver = false
  const all = assert.rejects(atOnce.all(), /second/).then(() => {
    isOver = true
  })
  first.reject(new Error("first"))
  await new Promise(setImmediate)
  assert.equal(isOver, false)
  third.resolve()
  await all
})
