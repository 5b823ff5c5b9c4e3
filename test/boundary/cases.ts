/**
 * The process that calls: a case at a time, each written to a file before its call, so that one which never returns is
 * known. Started by `fuzz.ts` with the file, the number of cases, the seed and the functions.
 */
import { openSync, writeSync } from "node:fs"
import { isDeepStrictEqual } from "node:util"
import fc from "fast-check"
import { CALLS, type Draw, functionOf } from "./calls.ts"
import { type Mutation, mutate } from "./hostile.ts"

const [trace = "", count = "0", seed = "0", names = ""] = process.argv.slice(2)
const file = openSync(trace, "w")
/** Cases of a function before the next one has its turn: the instruction set in force changes in between. */
const TURN = 100
const LINE = 2048

/** What refusals of ours, and of what reads arguments, have as their code. */
const REFUSALS = /^(Layout|Isa|InvalidArg|\w+Expected)$/

const draw: fc.Arbitrary<Draw> = fc.tuple(
  ...([60, 60, 60, 1000, 100_000] as const).map((max) => fc.nat({ max }))
) as unknown as fc.Arbitrary<Draw>
const mutations: fc.Arbitrary<ReadonlyArray<Mutation>> = fc.array(fc.tuple(fc.nat(), fc.nat(), fc.nat()), {
  maxLength: 3
})

interface Tally {
  cases: number
  returned: number
  refused: number
  slowestMs: number
}

const tallies = new Map<string, Tally>()

/** Memory that is not shared may be gone the moment after the call. */
const detachAll = (args: ReadonlyArray<unknown>): void => {
  for (const arg of args) {
    if (!ArrayBuffer.isView(arg) || !(arg.buffer instanceof ArrayBuffer) || arg.buffer.detached) continue
    structuredClone(arg.buffer, { transfer: [arg.buffer] })
  }
}

/** What V8 throws for a record that is null or undefined, before anything of ours has run. */
const NO_RECORD = "Cannot convert undefined or null to object"

const isNamed = (error: unknown): boolean => {
  if (!(error instanceof Error) || /panic/i.test(error.message)) return false
  return REFUSALS.test(String((error as NodeJS.ErrnoException).code)) || error.message === NO_RECORD
}

const isResult = (value: unknown): boolean =>
  value === undefined ||
  typeof value === "string" ||
  Number.isInteger(value) ||
  (Array.isArray(value) && value.every((item) => typeof item === "string"))

const property = (name: string, tally: Tally) =>
  fc.asyncProperty(draw, mutations, async (drawn, changes) => {
    writeSync(file, JSON.stringify({ name, drawn, changes }).padEnd(LINE), 0)
    const args = mutate(CALLS[name]!(drawn), changes)
    const start = performance.now()
    tally.cases++
    try {
      const result = functionOf(name)(...args)
      if (result instanceof Promise) detachAll(args)
      const value = await result
      tally.returned++
      return isResult(value)
    } catch (error) {
      if (!isNamed(error)) throw error
      tally.refused++
      return true
    } finally {
      tally.slowestMs = Math.max(tally.slowestMs, performance.now() - start)
    }
  })

const chosen = names === "" ? Object.keys(CALLS) : names.split(",")
const share = Math.ceil(Number(count) / chosen.length)
for (let done = 0; done < share; done += TURN) {
  for (const [i, name] of chosen.entries()) {
    const tally = tallies.get(name) ?? { cases: 0, returned: 0, refused: 0, slowestMs: 0 }
    tallies.set(name, tally)
    const numRuns = Math.min(TURN, share - done)
    await fc.assert(property(name, tally), { numRuns, seed: (Number(seed) + done * 31 + i) | 0, endOnFailure: true })
  }
}
if (isDeepStrictEqual([...tallies.keys()], chosen)) console.log(JSON.stringify(Object.fromEntries(tallies)))
