/** The fair queue against a list of what waits: nothing is lost, order is kept, and shares are even. */
import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { FairQueue, type Queued } from "../../src/core/search/queue.ts"

interface Item extends Queued {
  readonly number: number
  readonly isLong: boolean
}

const COLLECTIONS = Array.from({ length: 3 }, (_, name) => ({ name }))
const command = fc.oneof(
  fc.record({
    do: fc.constant("push" as const),
    collection: fc.nat(2),
    isBatch: fc.boolean(),
    isLong: fc.boolean()
  }),
  fc.record({ do: fc.constant("serve" as const), cost: fc.integer({ min: 1, max: 50 }), short: fc.boolean() }),
  fc.record({ do: fc.constant("delete" as const), at: fc.nat(40) })
)

test("every item comes out once, in order within its flow, and only when it is accepted", () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 200 }), (commands) => {
      const queue = new FairQueue<Item>()
      const waiting: Array<Item> = []
      let number = 0
      for (const step of commands) {
        if (step.do === "push") {
          const { isBatch, isLong } = step
          const item = { number: number++, collection: COLLECTIONS[step.collection]!, isBatch, isLong }
          queue.push(item)
          waiting.push(item)
        } else if (step.do === "delete") {
          const item = waiting[step.at]
          if (item === undefined) continue
          assert.equal(queue.delete(item), true)
          assert.equal(queue.delete(item), false)
          waiting.splice(step.at, 1)
        } else {
          const accepts = (item: Item) => !(step.short && item.isLong)
          const item = queue.first(accepts)
          assert.equal(item === undefined, !waiting.some(accepts))
          if (item === undefined) continue
          assert.ok(accepts(item))
          const sameFlow = waiting.filter(({ collection, isBatch }) => collection === item.collection && !isBatch)
          if (!item.isBatch) assert.equal(sameFlow.find(accepts), item)
          assert.deepEqual([...queue.flowOf(item)], item.isBatch ? [item] : sameFlow)
          queue.charge(item, step.cost)
          queue.delete(item)
          waiting.splice(waiting.indexOf(item), 1)
        }
        assert.equal(queue.size, waiting.length)
      }
    })
  )
})

/** Serves `rounds` times from a queue in which every flow always has more, and sums what each collection and batch got. */
const shares = (items: ReadonlyArray<Queued>, costs: ReadonlyArray<number>) => {
  const queue = new FairQueue<Queued>()
  const got = new Map<Queued, number>()
  for (const item of items) queue.push(item)
  for (const cost of costs) {
    const item = queue.first(() => true)!
    got.set(item, (got.get(item) ?? 0) + cost)
    queue.charge(item, cost)
    if (item.isBatch) continue
    // The next single search of a caller that always has one.
    queue.delete(item)
    queue.push(item)
  }
  return (of: (item: Queued) => boolean) =>
    [...got].filter(([item]) => of(item)).reduce((sum, [, cost]) => sum + cost, 0)
}

test("collections share evenly, however many searches each of them has, and so do singles and batches of one", () => {
  const MOST = 100
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 0, max: 3 }),
      fc.array(fc.integer({ min: 1, max: MOST }), { minLength: 50, maxLength: 300 }),
      (singles, batches, costs) => {
        const [busy, quiet] = [{}, {}]
        const items = [
          ...Array.from({ length: singles }, () => ({ collection: busy, isBatch: false })),
          ...Array.from({ length: batches }, () => ({ collection: busy, isBatch: true })),
          { collection: quiet, isBatch: false }
        ]
        const got = shares(items, costs)
        const ofBusy = got(({ collection }) => collection === busy)
        const ofQuiet = got(({ collection }) => collection === quiet)
        assert.ok(Math.abs(ofBusy - ofQuiet) <= 2 * MOST, `${ofBusy} against ${ofQuiet}`)
        const ofSingles = got(({ collection, isBatch }) => collection === busy && !isBatch)
        for (const batch of items.filter(({ isBatch }) => isBatch)) {
          const ofBatch = got((item) => item === batch)
          assert.ok(Math.abs(ofSingles - ofBatch) <= 2 * MOST, `${ofSingles} against ${ofBatch}`)
        }
      }
    )
  )
})

/** Serves 100 rounds of a collection that always has more, then as many in which another comes `bring` at a time. */
const servedOfAnother = (bring: number, chargesFirst: boolean): number => {
  const queue = new FairQueue<Queued>()
  const collections = [{ name: "steady" }, { name: "another" }]
  const item = (which: number): Queued => ({ collection: collections[which]!, isBatch: false })
  const serve = (): boolean => {
    const next = queue.first(() => true)!
    if (chargesFirst) queue.charge(next, 10)
    queue.delete(next)
    if (!chargesFirst) queue.charge(next, 10)
    const isSteady = next.collection === collections[0]
    if (isSteady) queue.push(item(0))
    return !isSteady
  }
  queue.push(item(0))
  for (let i = 0; i < 100; i++) assert.equal(serve(), false)
  let served = 0
  for (let i = 0; i < 100; i++) {
    if (queue.size === 1) for (let more = 0; more < bring; more++) queue.push(item(1))
    if (serve()) served++
  }
  return served
}

test("a collection that comes, or comes back, has neither saved up its share nor lost what it was charged", () => {
  for (const bring of [1, 2, 200]) {
    for (const chargesFirst of [true, false]) {
      const served = servedOfAnother(bring, chargesFirst)
      assert.ok(served >= 49 && served <= 51, `${served} of 100`)
    }
  }
})
