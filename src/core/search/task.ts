/** What travels between a thread that searches or writes and its pool workers. */
import type { Filter, Hits, SearchPlan } from "../kernels/contract.ts"
import type { MemoryHandle } from "../store/memory.ts"
import type { Asked, Found, Truth } from "./truth.ts"

/** The memory a task works on; `memory` is sent when a worker turns out not to have it. */
export interface OnMemory {
  readonly id: string
  readonly growth: number
  readonly memory?: MemoryHandle
}

/** `stale` when the worker has not seen this memory. */
export type Reply<A> = { readonly stale: true } | { readonly stale: false; readonly value: A }

export interface SearchTask extends OnMemory {
  readonly plan: SearchPlan
  readonly queries: Float32Array
  readonly filter: Filter | undefined
}

export interface SearchDone {
  readonly hits: Hits
  readonly microseconds: number
}

/** Searches exactly, to know what others should find. The answer is a `Truth`. */
export interface TruthTask extends OnMemory {
  readonly plan: SearchPlan
  readonly queries: Float32Array
  readonly asked: Asked
}

/** Searches, to know what is found at each depth. */
export interface MeasureTask extends OnMemory {
  readonly plan: SearchPlan
  readonly queries: Float32Array
  readonly truth: Truth
  readonly depths: ReadonlyArray<number>
}

export interface MeasureDone {
  readonly found: Found
  /** Candidates of all queries. */
  readonly candidates: number
  /** Microseconds a query. */
  readonly queryUs: number
}

/** Finds the margins by which queries visit so many lists; the answer is their sums. */
export interface MarginsTask extends OnMemory {
  readonly queries: Float32Array
  readonly counts: ReadonlyArray<number>
}

/** Writes vector `i` of `vectors` (in shared memory) to `rows[i]`; the answer is their lists, where there are any. */
export interface WriteTask extends OnMemory {
  readonly rows: Uint32Array
  readonly vectors: Float32Array
}

/** Encodes the first `slots` stored vectors of a segment into another codes buffer. */
export interface EncodeTask extends OnMemory {
  readonly segment: number
  readonly slots: number
  readonly parameters: Float32Array
  readonly factorScale: number
  /** Components of a rotated vector, 0 without a rotation. */
  readonly rotated: number
  readonly column: SharedArrayBuffer
}

/** Finds the lists of rows whose codes are written. */
export interface AssignTask extends OnMemory {
  readonly rows: Uint32Array
  /** As `centroidViews` reads them. */
  readonly centroids: SharedArrayBuffer
}

/** Links rows into the graph. */
export interface LinkTask extends OnMemory {
  readonly rows: Uint32Array
  readonly efConstruction: number
  /** Index in the directory's words of the flag that stops the task. */
  readonly cancel: number
}

/** Replaces links of live rows in `[from, to)` to dead ones. */
export interface RepairTask extends OnMemory {
  readonly from: number
  readonly to: number
  readonly efConstruction: number
  readonly cancel: number
}

/** Copies the vectors of a segment's slots that `linked` has a bit for, and marks them as linked. */
export interface CopyTask extends OnMemory {
  readonly segment: number
  readonly linked: Uint8Array
}
