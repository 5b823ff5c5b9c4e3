/** Epochs: what was freed in one is given out again only when nobody can be reading in it. */
import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { Directory, MAX_CLAIMS, notAfter, OWNER } from "../../src/core/store/directory.ts"

/** Index of the epoch among the directory's words. */
const EPOCH = 1

const at = (epoch: number): Directory => {
  const directory = new Directory()
  directory.words[EPOCH] = epoch
  return directory
}

const start = fc.constantFrom(1, 1000, 2 ** 31 - 5, -(2 ** 31), -7, -3)
const action = fc.oneof(
  fc.record({ kind: fc.constant("claim" as const), reader: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ kind: fc.constant("release" as const), which: fc.nat() }),
  fc.record({ kind: fc.constant("free" as const) }),
  fc.record({ kind: fc.constant("advance" as const) }),
  fc.record({ kind: fc.constant("releaseReader" as const), reader: fc.integer({ min: 1, max: 4 }) })
)

test("nothing is reclaimed while a claim of its epoch or an older one is held", () => {
  fc.assert(
    fc.property(start, fc.array(action, { maxLength: 120 }), (epoch, actions) => {
      const directory = at(epoch)
      /** Claims held, with the things that were freed while each was held. */
      const held = new Map<number, { readonly reader: number; readonly seen: Set<number> }>()
      let freed: Array<{ readonly thing: number; readonly epoch: number }> = []
      let things = 0
      let last = directory.epoch
      for (const action of actions) {
        if (action.kind === "claim") {
          const claim = directory.claim(action.reader)
          assert.ok(claim > 0 && !held.has(claim))
          held.set(claim, { reader: action.reader, seen: new Set() })
        } else if (action.kind === "release") {
          const claim = [...held.keys()][action.which % Math.max(1, held.size)]
          if (claim === undefined) continue
          directory.release(claim, held.get(claim)!.reader)
          held.delete(claim)
        } else if (action.kind === "releaseReader") {
          directory.releaseReader(action.reader)
          for (const [claim, { reader }] of held) if (reader === action.reader) held.delete(claim)
        } else if (action.kind === "free") {
          for (const { seen } of held.values()) seen.add(things)
          freed.push({ thing: things++, epoch: directory.epoch })
        } else {
          const ended = directory.advance()
          const { epoch } = directory
          assert.ok(epoch !== 0 && !notAfter(epoch, last), "epochs rise")
          last = epoch
          const [safe, kept] = [
            freed.filter((f) => notAfter(f.epoch, ended)),
            freed.filter((f) => !notAfter(f.epoch, ended))
          ]
          for (const { thing } of safe) {
            for (const { seen } of held.values()) assert.ok(!seen.has(thing), "reclaimed under a reader")
          }
          if (held.size === 0) assert.equal(kept.length, 0, "kept although nobody reads")
          freed = kept
        }
      }
    }),
    { numRuns: 300 }
  )
})

test("the epoch never shows 0, which marks a free claim", () => {
  const directory = at(-3)
  const seen = Array.from({ length: 5 }, () => {
    directory.advance()
    return directory.epoch
  })
  assert.deepEqual(seen, [-2, -1, 1, 2, 3])
  assert.ok(notAfter(-1, 1) && !notAfter(1, -1))
})

test("claims run out, and a released one can be had again", () => {
  const directory = new Directory()
  const claims = Array.from({ length: MAX_CLAIMS }, () => directory.claim(OWNER))
  assert.equal(new Set(claims).size, MAX_CLAIMS)
  assert.equal(directory.claim(OWNER), -1)
  directory.release(claims[77]!, OWNER + 1)
  assert.equal(directory.claim(OWNER), -1, "another reader's claim is not released")
  directory.release(claims[77]!, OWNER)
  assert.equal(directory.claim(OWNER), claims[77])
})

test("a claim starts without the cancel flag that its word was left with", () => {
  const directory = new Directory()
  const claim = directory.claim(OWNER)
  directory.cancel(claim)
  assert.equal(directory.words[directory.cancelWord(claim)], 1)
  directory.release(claim, OWNER)
  assert.equal(directory.claim(OWNER), claim)
  assert.equal(directory.words[directory.cancelWord(claim)], 0)
})

test("readers have numbers of their own, also through another view of the words", () => {
  const directory = new Directory()
  const other = new Directory(directory.buffer)
  const readers = [directory.newReader(), other.newReader(), directory.newReader()]
  assert.equal(new Set([OWNER, ...readers]).size, 4)
  assert.equal(other.epoch, directory.epoch)
})
