/** The most useful items of a pool, found by a walk over all of them. */
import { parseFilter } from "../../search/filter/parse.ts"
import { compileFilter } from "../../search/filter/program.ts"
import { BLOCK, BLOCKS } from "../../store/layout.ts"
import { BestRows } from "../best-rows.ts"
import type { PoolItems } from "../items.ts"
import { sweep } from "../sweep.ts"
import { usefulness } from "./hybrid.ts"
import type { Chosen, RetrieveOptions } from "./recalled.ts"

interface MostUseful {
  readonly limit: number
  readonly filter: RetrieveOptions["filter"]
  readonly biasOf: (label: string | undefined) => number
  readonly signal: AbortSignal | undefined
}

/** Times that a walk is made again because items that it found were changed or moved before its end. */
const MAX_WALKS = 4

/** The `limit` most useful of the items that pass, the older of equals first. */
export const mostUseful = async (items: PoolItems, wanted: MostUseful): Promise<ReadonlyArray<Chosen>> => {
  const { directory } = items.store
  for (let walk = 1; ; walk++) {
    const { changes, moved } = directory
    const found = await walked(items, wanted)
    if (directory.changes === changes || (found.isStill && directory.moved === moved)) return found.chosen
    if (walk === MAX_WALKS) return found.chosen.toSorted((a, b) => b.score - a.score)
  }
}

const walked = async (items: PoolItems, { limit, filter, biasOf, signal }: MostUseful) => {
  const best = new BestRows(limit)
  const offer = (row: number): void => {
    best.offer(row, usefulness(items.number(row, "utility"), biasOf(items.classOf(row))), items.cameAt(row))
  }
  await sweep(items.store, offer, { only: filter === undefined ? undefined : passing(items, filter), signal })
  const chosen = best.rows.flatMap((row, i): ReadonlyArray<Chosen> => {
    if (!items.has(row) || items.cameAt(row) !== best.ages[i]) return []
    const explanation = { utility: items.number(row, "utility"), bias: biasOf(items.classOf(row)) }
    const score = usefulness(explanation.utility, explanation.bias)
    return [{ row, generation: items.generationOf(row), score, explanation }]
  })
  const isStill = chosen.length === best.rows.length && chosen.every(({ score }, i) => score === best.scores[i])
  return { chosen, isStill }
}

/** The rows that pass a filter, a bit for each. */
const passing = ({ store }: PoolItems, filter: NonNullable<RetrieveOptions["filter"]>): Uint32Array => {
  const program = compileFilter(store, undefined, parseFilter(filter, store.shape.fields ?? {}))
  const { layout, rows } = store.columns
  const words = new Uint32Array(2 * Math.min(Math.ceil(store.directory.rows / BLOCK), rows.length * BLOCKS))
  store.kernels.filterRows(layout.liveOffset, rows, program, words)
  return words
}
