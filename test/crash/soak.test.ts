/** A short mixed load: the folder takes no more of the disk than it may, at any moment. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { overDisk, soak } from "./soak.ts"

const SECONDS = 6
const ENTRIES = 4000
const IMAGES = 2

test("a folder takes two images and its log, and one image more while that is written", async (t) => {
  const counts = await soak({ seconds: SECONDS, entries: ENTRIES, images: IMAGES, seed: 1 })
  t.diagnostic(JSON.stringify(counts))
  assert.ok(counts.images >= IMAGES && counts.writes > 0 && counts.searches > 0)
  assert.deepEqual(overDisk(counts), [])
})
