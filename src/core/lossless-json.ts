/** What `JSON.stringify` would make something else of without a word. */
import { types } from "node:util"

/** Whether JSON would make an empty object of it, or an object of numbered properties. */
export const isLostInJson = (value: unknown): boolean =>
  ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value) || types.isMap(value) || types.isSet(value)

/** For `JSON.stringify`: throws `TypeError` at a value that would be lost, at any depth. */
export function refusingLost(this: unknown, name: string, value: unknown): unknown {
  const original = (this as Readonly<Record<string, unknown>>)[name]
  if (isLostInJson(original))
    throw new TypeError(`${name} is a ${Object.prototype.toString.call(original).slice(8, -1)}`)
  return value
}
