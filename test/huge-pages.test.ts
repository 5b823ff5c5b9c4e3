/** Huge pages are asked for behind many vectors and not behind few. */
import assert from "node:assert/strict"
import { existsSync, readFileSync } from "node:fs"
import { test } from "node:test"
import { kernels } from "../src/core/native.ts"
import { CODE_BYTES, HUGE_PAGE, SLOTS } from "../src/core/store/layout.ts"
import { newStore } from "./stores.ts"

const DIMENSIONS = 96
const MANY = 4096
const hasHugePages = existsSync("/sys/kernel/mm/transparent_hugepage/enabled") && kernels.isas().length > 0

/** Bytes of this process that huge pages were asked for. */
const advised = (): number =>
  readFileSync("/proc/self/smaps", "utf8")
    .split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)
    .filter((mapping) => /^VmFlags:.*\bhg\b/m.test(mapping))
    .reduce((bytes, mapping) => bytes + 1024 * Number(/^Size: +(\d+) kB/m.exec(mapping)?.[1]), 0)

test("vectors and codes get huge pages from 4,096 rows on", { skip: !hasHugePages && "the system has none" }, () => {
  const store = newStore(kernels, { dimensions: DIMENSIONS, metric: "cosine", precision: "f32" })
  const before = advised()
  store.reserve(MANY - 1)
  assert.equal(advised(), before)
  store.reserve(1)
  const first = advised() - before
  assert.ok(first > 0.9 * SLOTS * (DIMENSIONS * 4 + CODE_BYTES), `${first} bytes`)
  for (const codes of store.columns.codes) assert.equal(kernels.alignmentPad(codes, HUGE_PAGE), 0)
  store.reserve(SLOTS)
  assert.ok(advised() - before > 1.9 * SLOTS * (DIMENSIONS * 4 + CODE_BYTES), "the second segment as well")
})
