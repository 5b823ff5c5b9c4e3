/** Flushes that many writes share, and whoever writes after them: nobody is waited for. */
import assert from "node:assert/strict"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, test } from "node:test"
import { setImmediate } from "node:timers/promises"
import * as Effect from "effect/Effect"
import { encodeFrame } from "../src/core/log/frame.ts"
import { Storage } from "../src/core/log/storage.ts"

const root = await mkdtemp(join(tmpdir(), "sabine-flushes-"))
after(() => rm(root, { recursive: true }))

test("after many writes at once, one more in each turn of the event loop waits for few turns", async () => {
  const [burst, turns, msATurn] = [1000, 500, 0.5]
  const frame = () => encodeFrame({ operation: "delete", keys: ["a"] })
  const use = async (storage: Storage): Promise<void> => {
    const log = await storage.create("notes", "{}")
    await log.append([frame()])
    const writes = Array.from({ length: burst }, () => log.append([frame()]))
    let longest = 0
    let turn = 0
    for (; turn < turns; turn++) {
      const began = turn
      const write = log.append([frame()]).then(() => {
        longest = Math.max(longest, turn - began)
      })
      writes.push(write)
      for (const until = performance.now() + msATurn; performance.now() < until; );
      await setImmediate()
    }
    await Promise.all(writes)
    assert.ok(longest < turns / 2, `${longest} turns`)
  }
  const storage = Storage.scoped({ path: join(root, "records.sqlite"), relaxed: false })
  await Effect.runPromise(Effect.scoped(Effect.flatMap(storage, (storage) => Effect.promise(() => use(storage)))))
})
