/**
 * Values as one text each: two get the same text only when they are the same, whatever the order of their properties.
 *
 * It is JSON with sorted properties, but for bytes, which JSON has no form for: what cannot be told apart is refused.
 */
import { InvalidParameter } from "../errors.ts"

/** Deepest value that is read: one that contains itself has no end. */
const MAX_DEPTH = 64

/** The canonical text of a value; throws `InvalidParameter` with the path of what has none. */
export const canonical = (parameter: string, value: unknown): string => textOf(parameter, value, 0)

const textOf = (path: string, value: unknown, depth: number): string => {
  const wrong = (reason: string) => new InvalidParameter({ parameter: path, reason })
  if (depth > MAX_DEPTH) throw wrong(`nested more than ${MAX_DEPTH} deep`)
  switch (typeof value) {
    case "string":
      return JSON.stringify(value)
    case "boolean":
      return String(value)
    case "number":
      if (!Number.isFinite(value)) throw wrong(`wanted a finite number, got ${value}`)
      return JSON.stringify(value)
    case "object":
      break
    default:
      throw wrong(`wanted a JSON value, got a ${typeof value}`)
  }
  if (value === null) return "null"
  if (Array.isArray(value)) {
    // What was never set is there all the same.
    return `[${Array.from(value, (item, i) => textOf(`${path}[${i}]`, item ?? null, depth + 1)).join(",")}]`
  }
  if (value instanceof Uint8Array) return `b"${Buffer.from(value).toString("base64")}"`
  if (value instanceof URL || value instanceof Date) return JSON.stringify(value)
  const prototype = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) throw wrong("wanted a plain object")
  const known = Object.entries(value).filter(([, part]) => part !== undefined && typeof part !== "function")
  known.sort(([a], [b]) => (a < b ? -1 : 1))
  const parts = known.map(([name, part]) => `${JSON.stringify(name)}:${textOf(`${path}.${name}`, part, depth + 1)}`)
  return `{${parts.join(",")}}`
}
