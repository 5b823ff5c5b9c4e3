/** A process with a cache that is killed: what was acknowledged is kept, what was invalidated stays gone. */
import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { test } from "node:test"
import { semanticCache } from "../../src/cache.ts"
import { open } from "../../src/index.ts"
import { inRepository } from "../programs.ts"

/** Keeps answers in eight lanes, and invalidates every third once it was acknowledged. */
const WRITER = `
import { writeSync } from "node:fs"
import { open } from ${JSON.stringify(import.meta.resolve("../../src/index.ts"))}
import { semanticCache } from ${JSON.stringify(import.meta.resolve("../../src/cache.ts"))}
const [path, round] = process.argv.slice(1)
const db = await open(path)
const cache = await semanticCache(db, { dimensions: 4 })
const say = (...words) => {
  for (;;) {
    try {
      return writeSync(1, words.join(" ") + "\\n")
    } catch (error) {
      // The pipe is full: who reads it is slower than this.
      if (error.code !== "EAGAIN") throw error
    }
  }
}
const lane = async (lane) => {
  for (let i = 0; ; i++) {
    const name = [round, lane, i].join("-")
    const vector = [1, Math.sin(lane), Math.cos(i), Math.sin(i)]
    say("keeping", name)
    const request = { prompt: name, parameters: { name } }
    const { key } = await cache.set(request, { name }, { vector, tags: [name], sources: [name] })
    say("kept", name)
    if (i % 3 !== 0) continue
    say("invalidating", name)
    const ways = [{ key }, { tag: name }, { source: name }, { scope: request }, { tag: name, olderThanMs: 0 }]
    await cache.invalidate(ways[i % ways.length])
    say("invalidated", name)
  }
}
await Promise.all(Array.from({ length: 8 }, (_, i) => lane(i)))
`

type State = "keeping" | "kept" | "invalidating" | "invalidated"

/** Runs the writer until it has said so much; the last that it said of each entry. */
const killedAfter = async (path: string, round: number, lines: number, states: Map<string, State>): Promise<void> => {
  const args = ["--input-type=module", "--eval", WRITER, path, String(round)]
  const child = spawn(process.execPath, args, { cwd: inRepository("."), stdio: ["ignore", "pipe", "inherit"] })
  const closed = once(child, "close")
  let count = 0
  for await (const line of createInterface({ input: child.stdout })) {
    const [state, name] = line.split(" ")
    states.set(name!, state as State)
    if (++count === lines) child.kill("SIGKILL")
  }
  assert.equal((await closed)[1], "SIGKILL")
}

test("nothing acknowledged is lost and nothing invalidated comes back when the process is killed", async (t) => {
  const path = await mkdtemp(join(tmpdir(), "sabine-cache-killed-"))
  t.after(() => rm(path, { recursive: true }))
  const states = new Map<string, State>()
  for (const [round, lines] of [60, 333, 800].entries()) {
    await killedAfter(path, round, lines, states)
    await using db = await open(path)
    await using cache = await semanticCache(db, { dimensions: 4 })
    let entries = 0
    for (const [name, state] of states) {
      const found = await cache.get({ prompt: name, parameters: { name } }, { vector: [0, 0, 0, 1], threshold: 0.99 })
      const isThere = found.isHit && found.tier === "exact"
      if (isThere) assert.deepEqual(found.value, { name })
      if (isThere) entries++
      if (state === "kept") assert.ok(isThere, `${name} was kept and is lost`)
      if (state === "invalidated") assert.ok(!isThere, `${name} was invalidated and came back`)
      // What was under way is there or not, from now on for good.
      states.set(name, isThere ? "kept" : "invalidated")
    }
    assert.equal(cache.stats().entries, entries)
    if (round === 1) await db.save()
  }
  assert.ok(states.size > 200, `${states.size} entries`)
})
