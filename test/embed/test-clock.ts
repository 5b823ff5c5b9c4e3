/** A clock for what waits: time passes only by sleeping. */
import type { Clock } from "../../src/core/embed/clock.ts"

export const testClock = (): Clock & { readonly slept: Array<number> } => {
  let now = 0
  const slept: Array<number> = []
  return {
    slept,
    now: () => now,
    sleep: async (ms) => {
      slept.push(ms)
      now += ms
    }
  }
}
