/** The spectrum of a large tensor on a worker thread. No Effect. */
import { kernels } from "../core/native.ts"

/** A tensor as `Kernels.spectralFeatures` takes it. */
interface SpectrumTask {
  readonly data: Float32Array
  readonly rows: number
  readonly columns: number
  readonly layers: number
  readonly channels: number
}

/** Numbers that the kernel writes. */
const FEATURES = 8

export const spectralFeatures = ({ data, rows, columns, layers, channels }: SpectrumTask): Float32Array => {
  const out = new Float32Array(FEATURES)
  kernels.spectralFeatures(data, rows, columns, layers, channels, out)
  return out
}
