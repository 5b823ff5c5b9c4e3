/** Arguments as callers give them, also callers without types: what is wrong is an `InvalidParameter` that says so. */
import { InvalidParameter } from "./errors.ts"

/** A value in a message, whatever it is. */
export const shown = (value: unknown): string => (typeof value === "string" ? JSON.stringify(value) : String(value))

export const wholeNumber = (parameter: string, value: unknown, least: number, most: number): number => {
  if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) return value
  const reason = `wanted a whole number from ${least} to ${most}, got ${shown(value)}`
  throw new InvalidParameter({ parameter, reason })
}

export const finite = (parameter: string, value: unknown): number => {
  if (typeof value === "number" && Number.isFinite(value)) return value
  throw new InvalidParameter({ parameter, reason: `wanted a finite number, got ${shown(value)}` })
}

export const oneOf = <T extends string>(parameter: string, value: unknown, allowed: ReadonlyArray<T>): T => {
  const found = allowed.find((name) => name === value)
  if (found !== undefined) return found
  throw new InvalidParameter({ parameter, reason: `wanted one of ${allowed.join(", ")}, got ${shown(value)}` })
}

/** An object that holds what its type says or nothing: the options of a call, an entry of a batch. */
export const object = <T extends object>(parameter: string, value: T): T => {
  if (isRecord(value)) return value
  const got = Array.isArray(value) ? "an array" : shown(value)
  throw new InvalidParameter({ parameter, reason: `wanted an object, got ${got}` })
}

/** A function, or undefined where there may be none. */
export const optionalFunction = <T>(parameter: string, value: T): T => {
  if (value === undefined || typeof value === "function") return value
  throw new InvalidParameter({ parameter, reason: `wanted a function, got ${shown(value)}` })
}

/** True or false, or undefined where it may be absent. */
export const optionalBoolean = (parameter: string, value: boolean | undefined): boolean | undefined => {
  if (value === undefined || typeof value === "boolean") return value
  throw new InvalidParameter({ parameter, reason: `wanted true or false, got ${shown(value)}` })
}

/** Whether a value that was read, of whatever type, has properties that may be looked at. */
export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)
