/** The exact score of one stored vector against a query, or that of its product code where there is no vector. */
import { productScore } from "./adc.ts"
import type { CodeColumns, RowColumns } from "./columns.ts"
import type { SegmentLayout } from "./contract.ts"
import { dotF16, dotF32 } from "./dot.ts"
import { f16Values } from "./f16.ts"
import { dotInt8, l2Int8 } from "./int8.ts"
import { l2F16, l2F32 } from "./l2.ts"
import type { Query } from "./query.ts"
import { METRIC, PRECISION } from "./shape.ts"

/** Higher is nearer: the dot product, or the negative squared distance. */
export const score = (
  layout: SegmentLayout,
  columns: RowColumns & Pick<CodeColumns, "codes">,
  slot: number,
  query: Query
): number => {
  const { dimensions, metric, precision } = layout
  if (precision === PRECISION.none) return productScore(layout, query.estimator?.scores, columns.codes, slot)
  const from = slot * dimensions
  const isL2 = metric === METRIC.l2
  if (query.int8 !== undefined) {
    const scale = columns.scales[slot]!
    return Math.fround(
      isL2 ? l2Int8(query.int8, columns.int8, from, scale) : dotInt8(query.int8, columns.int8, from, scale)
    )
  }
  if (precision === PRECISION.f16) {
    const values = f16Values()
    return Math.fround(
      isL2
        ? -l2F16(query.vector, columns.f16, from, dimensions, values)
        : dotF16(query.vector, columns.f16, from, dimensions, values)
    )
  }
  return Math.fround(
    isL2 ? -l2F32(query.vector, columns.f32, from, dimensions) : dotF32(query.vector, columns.f32, from, dimensions)
  )
}
