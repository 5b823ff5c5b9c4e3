/** Hashes of canonical texts: of a usual one at once, of a long one in shares of the event loop. */
import { createHash, hash } from "node:crypto"
import { roomInTurn } from "../turn.ts"
import { Canonical } from "./canonical.ts"

interface Hashed {
  /** What the hash is of before the canonical text of the value. */
  readonly before: string
  /** Name of the value in errors. */
  readonly parameter: string
  readonly encoding: "hex" | "base64url"
}

/** SHA-256 of a value behind a text: a promise where the value is long, which is to stay as it is until then. */
export const canonicalHash = (value: unknown, { before, parameter, encoding }: Hashed): string | Promise<string> => {
  const canonical = new Canonical(parameter)
  const writing = canonical.write(value)
  if (writing.next().done) return hash("sha256", before + canonical.take(), encoding)
  const sum = createHash("sha256").update(before)
  const inShares = async () => {
    do {
      sum.update(canonical.take())
      const room = roomInTurn()
      if (room !== undefined) await room
    } while (!writing.next().done)
    return sum.update(canonical.take()).digest(encoding)
  }
  return inShares()
}
