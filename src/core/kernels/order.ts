/** Lists in the order of their ranks for one query. */
import type { ListColumns, SearchPlan } from "./contract.ts"
import { matmul } from "./matmul.ts"
import { norm2 } from "./norm.ts"
import { TopRows } from "./select.ts"
import { METRIC } from "./shape.ts"

const { fround } = Math

/** Lists in order of their ranks for one query, and which of them a search visits that no filter makes go on. */
interface Order {
  /** Best first, equal ones by number. */
  readonly lists: Uint32Array
  readonly ranks: Float32Array
  /** How many are visited, and the rank down to which. */
  readonly near: number
  readonly floor: number
}

/** All lists: their rank is the product of query and centroid, and the bias. */
export const orderLists = (
  plan: SearchPlan,
  { centroids, biases }: Pick<ListColumns, "centroids" | "biases">,
  projected: Float32Array
): Order => {
  const lists = biases.length
  const scores = new Float32Array(lists)
  matmul(projected, centroids, scores, 1, projected.length, lists)
  const ranked = new TopRows(lists)
  for (let list = 0; list < lists; list++) {
    scores[list] = scores[list]! + biases[list]!
    ranked.offer(scores[list]!, list)
  }
  return orderOf(plan, ranked, projected)
}

/** Those that were ranked. */
export const orderOf = ({ metric, nprobe, margin }: SearchPlan, ranked: TopRows, projected: Float32Array): Order => {
  const length = metric === METRIC.dot ? fround(Math.sqrt(norm2(projected, 0, projected.length))) : 1
  const { rows, scores: ranks } = ranked.take()
  const least = margin === undefined ? Number.NEGATIVE_INFINITY : fround(ranks[0]! - fround(fround(margin) * length))
  const reached = ranks.filter((rank) => rank >= least).length
  const near = Math.min(reached, nprobe)
  const isCut = near < reached || margin === undefined
  return { lists: rows, ranks, near, floor: isCut ? ranks[Math.max(0, near - 1)]! : least }
}
