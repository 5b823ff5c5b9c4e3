/** Worker threads that leave the cores to the event loop. */
import assert from "node:assert/strict"
import { once } from "node:events"
import { getPriority } from "node:os"
import { test } from "node:test"
import { Worker } from "node:worker_threads"

const isLinux = process.platform === "linux"

test("a worker gives way, and nobody else of the program", {
  skip: !isLinux && "threads have no priorities"
}, async () => {
  const before = getPriority()
  const code = `
    const { getPriority } = require("node:os")
    const { parentPort } = require("node:worker_threads")
    import(${JSON.stringify(new URL("../src/workers/give-way.ts", import.meta.url).href)}).then(({ giveWay }) => {
      giveWay(3)
      const once = getPriority()
      giveWay(100)
      parentPort.postMessage([once, getPriority()])
    })`
  const worker = new Worker(code, { eval: true })
  const [[once3, lowest]] = await once(worker, "message")
  assert.deepEqual([once3, lowest], [Math.min(19, before + 3), 19])
  assert.equal(getPriority(), before)
})
