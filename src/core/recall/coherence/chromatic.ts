/** Balance of the mean colour and agreement of the hues: 0.6 of the one and 0.4 of the other. */
import { hueDeviation, meanColour, requireColour } from "../colour.ts"
import type { Coherence } from "./coherence.ts"

const BALANCE = 0.6
const AGREEMENT = 0.4
/** Largest sum of the distances of three channels from the middle. */
const MOST_IMBALANCE = 1.5
const HALF_CIRCLE = 180

export const chromaticCoherence = (): Coherence => ({
  id: "chromatic",
  measure: async ({ tensor }) => {
    const seen = requireColour("chromatic coherence", tensor)
    const imbalance = meanColour(seen).reduce((sum, channel) => sum + Math.abs(channel - 0.5), 0)
    const deviation = Math.min((await hueDeviation(seen)) / HALF_CIRCLE, 1)
    const score = BALANCE * (1 - imbalance / MOST_IMBALANCE) + AGREEMENT * (1 - deviation)
    return {
      score: Math.min(1, Math.max(0, score)),
      reason: `channels ${imbalance.toFixed(3)} from the middle, hues ${(deviation * HALF_CIRCLE).toFixed(0)} degrees apart`
    }
  }
})
