/** Entries are met once each, whatever is written while a caller goes through them. */
import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { open } from "../../src/index.ts"

const STABLE = 90
const COMING = 40

const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("meet" as const), count: fc.integer({ min: 1, max: 25 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("update" as const), count: fc.nat({ max: STABLE - 1 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("delete" as const), count: fc.nat({ max: COMING - 1 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("add" as const), count: fc.nat({ max: COMING - 1 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("compact" as const), count: fc.constant(0) }) }
)

test("every entry that is there all the time is met once, and none twice", async () => {
  let updated = 0
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
      await using db = await open(":memory:", { threads: 1 })
      const collection = await db.collection("c", { dimensions: 2 })
      // What comes and goes lies among what stays, so that free slots do as well.
      for (let i = 0; i < STABLE; i++) {
        await collection.add({ key: `stable${i}`, vector: [1, i] })
        if (i < COMING) await collection.add({ key: `coming${i}`, vector: [2, i] })
      }
      const met = new Map<string, number>()
      const entries = collection.entries()
      const meet = async (count: number): Promise<boolean> => {
        for (let i = 0; i < count; i++) {
          const next = await entries.next()
          if (next.done) return false
          met.set(next.value.key, (met.get(next.value.key) ?? 0) + 1)
        }
        return true
      }
      const deleted = new Set<string>()
      for (const { kind, count } of steps) {
        const coming = `coming${count}`
        if (kind === "meet" && !(await meet(count))) break
        if (kind === "update") await collection.update({ key: `stable${count}`, vector: [3, ++updated] })
        if (kind === "delete" && (await collection.delete(coming))) deleted.add(coming)
        if (kind === "add" && !(await collection.has(coming))) await collection.add({ key: coming, vector: [4, count] })
        if (kind === "compact") await collection.compact()
      }
      await meet(Number.POSITIVE_INFINITY)
      for (let i = 0; i < STABLE; i++) assert.equal(met.get(`stable${i}`), 1, `stable${i}`)
      // One that was deleted and added again is another entry.
      for (const [key, times] of met) assert.ok(times === 1 || deleted.has(key), `${key} was met ${times} times`)
    }),
    { numRuns: 60 }
  )
  assert.ok(updated > 100)
})
