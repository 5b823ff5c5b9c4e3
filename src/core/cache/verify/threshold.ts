/** The plainest verifier: what is near enough is the same. It has no gates, so a near miss that is very near passes. */
import type { Verifier } from "./verifier.ts"

/** Takes the nearest candidate, with its cosine for a probability. */
export const nearestVerifier = (): Verifier => ({
  id: "nearest@1",
  verify: (_, candidates) => {
    const [nearest] = candidates
    const best = nearest && { index: 0, probability: Math.min(1, Math.max(0, nearest.similarity)) }
    return { best, refused: [] }
  }
})
