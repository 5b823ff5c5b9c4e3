/** What calls are expected to fail with. */
import assert from "node:assert/strict"
import type { SabineError } from "../src/index.ts"

/** Accepts an error of this tag, and of this parameter where one is named. */
export const failsWith = (tag: SabineError["_tag"], field?: string) => (error: unknown) => {
  assert.equal((error as SabineError)._tag, tag)
  if (field !== undefined) assert.equal((error as { readonly parameter: string }).parameter, field)
  return true
}
