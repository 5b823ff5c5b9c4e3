/** What `JSON.stringify` would make something else of without a word. */

const LOST_IN_JSON = [ArrayBuffer, SharedArrayBuffer, Map, Set]

/** Whether JSON would make an empty object of it, or an object of numbered properties. */
export const isLostInJson = (value: unknown): boolean =>
  ArrayBuffer.isView(value) || LOST_IN_JSON.some((type) => value instanceof type)

/** For `JSON.stringify`: throws `TypeError` at a value that would be lost, at any depth. */
export function refusingLost(this: unknown, name: string, value: unknown): unknown {
  const original = (this as Readonly<Record<string, unknown>>)[name]
  if (isLostInJson(original))
    throw new TypeError(`${name} is a ${Object.prototype.toString.call(original).slice(8, -1)}`)
  return value
}
