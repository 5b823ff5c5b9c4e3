/** One minus the normalised entropy of an item's spectrum: 1 for one wave, 0 for noise. */
import { FeatureUnavailable } from "../../errors.ts"
import type { Coherence } from "./coherence.ts"

export const spectralCoherence = (): Coherence => ({
  id: "spectral",
  measure: ({ spectrum }) => {
    if (spectrum === undefined) {
      throw new FeatureUnavailable({ feature: "spectral coherence", reason: "the item has no tensor" })
    }
    return { score: 1 - spectrum.entropy, reason: `spectral entropy ${spectrum.entropy.toFixed(3)}` }
  }
})
