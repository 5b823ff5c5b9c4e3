/** Answers as JSON that gives back what they were. */

const LOST_IN_JSON = [ArrayBuffer, SharedArrayBuffer, Map, Set]

class NotJson extends TypeError {}

/** Refuses what JSON would make empty objects of, or objects of numbered properties. */
function refusing(this: unknown, name: string, value: unknown): unknown {
  const original = (this as Readonly<Record<string, unknown>>)[name]
  if (ArrayBuffer.isView(original) || LOST_IN_JSON.some((type) => original instanceof type)) throw new NotJson()
  return value
}

/** The JSON of an answer; undefined when it has none that would give it back. */
export const jsonOf = (answer: unknown): string | undefined => {
  try {
    return JSON.stringify(answer, refusing)
  } catch (error) {
    // Also cycles and big integers.
    if (error instanceof TypeError) return undefined
    throw error
  }
}
