/** What it takes to choose diverse hits, of candidates that are found and scored, and what a fast choice is worth. */
import { open } from "../src/index.ts"
import type { Measured } from "./figure.ts"
import { interleave, median, type Times } from "./timing.ts"

/** Rows that candidates of a choice are found among. */
export const CHOOSING_ROWS = 10_000

const inTurn = <T>(all: ReadonlyArray<T>, use: (one: T) => unknown) => {
  let next = 0
  return () => use(all[next++ % all.length]!)
}

/** What mmr takes beside the same search without it: the choice alone, of candidates that are found and scored. */
export async function* choosing(
  name: string,
  rows: ReadonlyArray<Float32Array>,
  queries: ReadonlyArray<Float32Array>
): AsyncGenerator<Measured> {
  await using db = await open(":memory:")
  const items = await db.collection("choosing", { dimensions: rows[0]!.length })
  await items.addMany(rows.map((vector, i) => ({ key: `${i}`, vector })))
  for (const k of [10, 20, 50]) {
    const asked = { k, mode: "flat", rerank: 500 } as const
    const mmr = { lambda: 0.7, fetchK: 500 }
    const search = (fast: boolean) => (query: Float32Array) => items.search(query, { ...asked, mmr: { ...mmr, fast } })
    const { without, exact, fast } = await interleave({
      without: inTurn(queries, (query) => items.search(query, asked)),
      exact: inTurn(queries, search(false)),
      fast: inTurn(queries, search(true))
    })
    const alone = ({ rounds }: Times) => median(rounds.map((time, round) => time - without.rounds[round]!))
    const ratio = alone(exact) / alone(fast)
    yield { case: `choosing ${k} of 500 exactly, ${name}`, value: alone(exact), unit: "us" }
    const times = { against: "choosing exactly", ratio }
    yield { case: `choosing ${k} of 500 fast, ${name}`, value: alone(fast), unit: "us", target: "5 x", ...times }
    const worth = async (isFast: boolean): Promise<number> => {
      let sum = 0
      for (const query of queries.slice(0, 50)) {
        const hits = await search(isFast)(query)
        const chosen = hits.map(({ key }) => rows[Number(key)]!)
        for (const [place, { score }] of hits.entries()) {
          const before = chosen.slice(0, place).map((other) => dot(other, chosen[place]!))
          sum += mmr.lambda * score - (place === 0 ? 0 : (1 - mmr.lambda) * Math.max(...before))
        }
      }
      return sum
    }
    const value = (await worth(true)) / (await worth(false))
    yield { case: `objective of choosing ${k} fast, ${name}`, value, unit: "of exact", target: "0.98" }
  }
}

const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, x, c) => sum + x * b[c]!, 0)
