/** The Effect door: services with layers, methods that return Effects, failures in the error channel. */
export { Attached } from "./core/collection/attached.ts"
export type { Collection, NamespaceView } from "./core/collection/collection.ts"
export type { Reading } from "./core/collection/reading.ts"
export type { Writing } from "./core/collection/writing.ts"
export { Database } from "./core/database.ts"
export { readBinarySemanticCache } from "./core/import/binary-semantic-cache.ts"
export { verify } from "./core/salvage/verify.ts"
export * from "./public.ts"
