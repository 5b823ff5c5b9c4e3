/** The calibration that ships: the learned verifier over neighbours of the static embedder. */
import type { CacheCalibration } from "./budget.ts"
import { readShipped } from "./model.ts"

let loading: Promise<CacheCalibration> | undefined

/**
 * How sure the learned verifier has to be with the static embedder, measured on English questions at 1,000 to 27,000
 * cached ones. Rejects with `StorageFailure` when its file cannot be read; the next call tries again.
 */
export const shippedCalibration = (): Promise<CacheCalibration> => {
  loading ??= readShipped<CacheCalibration>("calibration.json").catch((error) => {
    loading = undefined
    throw error
  })
  return loading
}
