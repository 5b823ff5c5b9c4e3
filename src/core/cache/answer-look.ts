/** A look at an answer before it becomes JSON: whether that would give it back, and whether it would be too long. */
import { types } from "node:util"
import { isLostInJson } from "../lossless-json.ts"

/** Told of an answer that is longer than may be. */
export class TooLong extends Error {}

type AnyClass = abstract new (...args: never) => unknown

const BOXES: ReadonlyArray<AnyClass> = [Number, String, Boolean]

/** Whether JSON makes something else of an object, whatever that tells of itself. */
const isMisread = (value: object): boolean =>
  isLostInJson(value) ||
  types.isPromise(value) ||
  types.isRegExp(value) ||
  types.isWeakMap(value) ||
  types.isWeakSet(value) ||
  (types.isDate(value) && Number.isNaN(value.getTime()))

const isOf = (types: ReadonlyArray<AnyClass>, value: object): boolean => types.some((type) => value instanceof type)

/** Of these most answers are made, and nothing has to be asked of them. Other realms, as of tests, have objects of their own. */
const isUsual = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Object.prototype || prototype === Array.prototype || prototype === null) return true
  return Array.isArray(value) || Object.getPrototypeOf(prototype) === null
}

/** Whether JSON makes an empty object of what is more than that: what it holds is not in properties of its own. */
const isEmptied = (value: object): boolean => types.isNativeError(value) || Object.keys(value).length === 0

/**
 * Goes over an answer as `JSON.stringify` does, in a tenth of the time that a replacer takes it. Properties that are undefined,
 * functions or symbols are left out; what tells of itself as JSON, such as a date, is what it tells.
 */
export class AnswerLook {
  /** Characters that are left, where each value takes the fewest that it could and names take none. */
  #left: number

  constructor(most: number) {
    this.#left = most
  }

  /** Throws `TooLong`, or `TypeError` at what JSON has no form for. */
  value(value: unknown, name: string | number, isItem = false): void {
    switch (typeof value) {
      case "string":
        this.takes(value.length + 2)
        break
      case "number":
        if (!Number.isFinite(value)) throw lost(name)
        this.takes(1)
        break
      case "boolean":
        this.takes(4)
        break
      case "object":
        if (value === null) this.takes(4)
        else this.#object(value, name, isItem)
        break
      case "bigint":
        // Such as it is JSON refuses it; a program may have given it a form.
        break
      default:
        if (isItem) throw lost(name)
    }
  }

  takes(characters: number): void {
    this.#left -= characters
    if (this.#left < 0) throw new TooLong()
  }

  #object(value: object, name: string | number, isItem: boolean): void {
    const usual = isUsual(value)
    if (!usual && isMisread(value)) throw lost(name)
    const { toJSON } = value as { readonly toJSON?: unknown }
    if (typeof toJSON !== "function") {
      this.#parts(value, name, usual)
      return
    }
    const told: unknown = toJSON.call(value, String(name))
    if (typeof told === "object" && told !== null) this.#parts(told, name, isUsual(told))
    else this.value(told, name, isItem)
  }

  #parts(value: object, name: string | number, usual: boolean): void {
    if (!usual && isOf(BOXES, value)) this.value(value.valueOf(), name)
    else if (!usual && isEmptied(value)) throw lost(name)
    else if (Array.isArray(value)) this.#items(value)
    else {
      this.takes(2)
      const parts = value as Readonly<Record<string, unknown>>
      for (const part of Object.keys(parts)) this.value(parts[part], part)
    }
  }

  #items(items: ReadonlyArray<unknown>): void {
    // Brackets and commas.
    this.takes(1 + Math.max(1, items.length))
    for (let i = 0; i < items.length; i++) this.value(items[i], i, true)
  }
}

const lost = (name: string | number): TypeError => new TypeError(`${name} has no form in JSON`)
