/** The spectrum of a tensor, on whichever thread. */
import { SPECTRAL_FEATURES } from "./kernels/spectral.ts"
import { kernels } from "./native.ts"

const MAX_F32 = (2 - 2 ** -23) * 2 ** 127

/** A tensor as `Kernels.spectralFeatures` takes it. */
interface SpectralTensor {
  readonly data: Float32Array
  readonly rows: number
  readonly columns: number
  readonly layers: number
  readonly channels: number
}

/** Its features as one array: entropy, three dominant frequencies, three energies, mean power. */
export const spectrumOfTensor = ({ rows, columns, layers, channels, data }: SpectralTensor): Float32Array => {
  const out = new Float32Array(SPECTRAL_FEATURES)
  kernels.spectralFeatures(data, rows, columns, layers, channels, out)
  // Only the power of huge values can be more than f32 holds.
  return out.map((number) => Math.min(number, MAX_F32))
}
