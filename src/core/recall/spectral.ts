/** What the spectrum of a tensor says of it, computed once when an item is added. */

export interface SpectralFeatures {
  /** Mean over the channels of the entropy of their power spectra, over that of a flat one: 0 one wave, 1 noise. */
  readonly entropy: number
  /** Frequencies of the three strongest waves, constants left out, in cycles a cell: 0 to sqrt(1/2). 0 where there is none. */
  readonly dominant: readonly [number, number, number]
  /** Shares of the power below a third, below two thirds and beyond, of the radius of the highest frequency. */
  readonly energies: readonly [low: number, mid: number, high: number]
  /** Power a cell, its mean over channels and frequencies; no more than f32 holds. */
  readonly meanPower: number
}

/** The features of a spectrum. */
export const spectralOf = (numbers: Float32Array): SpectralFeatures => {
  const [entropy, first, second, third, low, mid, high, meanPower] = numbers as unknown as ReadonlyArray<number>
  return {
    entropy: entropy!,
    dominant: [first!, second!, third!],
    energies: [low!, mid!, high!],
    meanPower: meanPower!
  }
}
