/** Which start of the machine this is. */
import { readFileSync } from "node:fs"

/** Its name, which no change of the clock moves; undefined where the system gives none. Linux does. */
export const bootName = (): string | undefined => {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()
  } catch {
    return undefined
  }
}
