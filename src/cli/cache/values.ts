/** Values of options as people write them. */
import { InvalidArgumentError } from "commander"

/** A whole number, 1 or more. */
export const count = (text: string): number => {
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text)
  throw new InvalidArgumentError("wanted a whole number, 1 or more")
}

/** The start of the hash of a scope. */
export const scope = (text: string): string => {
  if (/^[\da-f]{1,64}$/i.test(text)) return text.toLowerCase()
  throw new InvalidArgumentError("wanted hexadecimal digits, 64 at most")
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Milliseconds of a text such as `90s`, `12h` or `7d`. */
export const duration = (text: string): number => {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text) ?? []
  if (digits !== undefined && unit !== undefined) return Number(digits) * UNITS[unit]!
  throw new InvalidArgumentError("wanted a number and one of ms, s, m, h and d, such as 12h")
}
