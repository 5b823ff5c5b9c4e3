/**
 * Every failure a caller can meet, once.
 *
 * `status` serves HTTP and MCP, `retryable` serves clients and remote adapters: no server or
 * adapter keeps a table of its own. README.md has a heading for each.
 */
import * as Data from "effect/Data"

/** A vector, query or embedder of another dimension than the collection's. */
export class DimensionMismatch extends Data.TaggedError("DimensionMismatch")<{
  readonly expected: number
  readonly got: number
  /** Position in the batch, where there is one. */
  readonly index?: number
}> {
  readonly status = 400
  readonly retryable = false
  override get message() {
    return `expected ${this.expected} components, got ${this.got}`
  }
}

/** A vector that has no direction or no finite value: nothing was written. */
export class InvalidVector extends Data.TaggedError("InvalidVector")<{
  /** Position in the batch, 0 for a single vector. */
  readonly index: number
  readonly reason: "zero" | "not-a-number" | "infinite" | "out-of-range"
}> {
  readonly status = 400
  readonly retryable = false
  override get message() {
    return `vector ${this.index} is ${this.reason}`
  }
}

/** An option or argument outside its documented range. */
export class InvalidParameter extends Data.TaggedError("InvalidParameter")<{
  readonly parameter: string
  readonly reason: string
}> {
  readonly status = 400
  readonly retryable = false
  override get message() {
    return `${this.parameter}: ${this.reason}`
  }
}

/** The collection keeps product codes without vectors, and no codebook has been trained: nothing was written. */
export class NotTrained extends Data.TaggedError("NotTrained")<{ readonly collection: string }> {
  readonly status = 409
  readonly retryable = false
  override get message() {
    return `collection ${this.collection} has no codebook yet: call train with a sample of vectors`
  }
}

/** A key that `add` or `addMany` met a second time: nothing of the batch was written. */
export class DuplicateKey extends Data.TaggedError("DuplicateKey")<{ readonly key: string }> {
  readonly status = 409
  readonly retryable = false
  override get message() {
    return `key ${JSON.stringify(this.key)} is taken`
  }
}

/** A key that `update` did not find. */
export class KeyNotFound extends Data.TaggedError("KeyNotFound")<{ readonly key: string }> {
  readonly status = 404
  readonly retryable = false
  override get message() {
    return `no entry has the key ${JSON.stringify(this.key)}`
  }
}

/** The collection exists with other settings, or was encoded by another embedder, or items of a pool by another encoder. */
export class CollectionMismatch extends Data.TaggedError("CollectionMismatch")<{
  readonly collection: string
  readonly field: string
  readonly expected: string
  readonly got: string
}> {
  readonly status = 409
  readonly retryable = false
  override get message() {
    return `collection ${this.collection} has ${this.field} ${this.expected}, got ${this.got}`
  }
}

/** A text that the embedder finds no word in. */
export class EmptyEmbedding extends Data.TaggedError("EmptyEmbedding")<{
  /** Position in the batch, 0 for a single text. */
  readonly index: number
  readonly text: string
}> {
  readonly status = 400
  readonly retryable = false
  override get message() {
    return `text ${this.index} has no known word: ${JSON.stringify(String(this.text).slice(0, 80))}`
  }
}

/** A text was given to a collection that has no embedder. */
export class NoEmbedder extends Data.TaggedError("NoEmbedder")<{ readonly collection: string }> {
  readonly status = 400
  readonly retryable = false
  override get message() {
    return `collection ${this.collection} has no embedder: pass a vector`
  }
}

/** The collection's embedder failed, or returned something else than one vector a text. Nothing was written. */
export class EmbedderFailed extends Data.TaggedError("EmbedderFailed")<{
  /** Identity of the embedder. */
  readonly embedder: string
  readonly cause: unknown
}> {
  readonly status = 502
  readonly retryable = true
  override get message() {
    return `embedder ${this.embedder}: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}`
  }
}

/** Why a model behind an embedder gave no vectors. */
export type EmbedderFailureReason =
  | "authentication"
  | "quota"
  | "rate-limited"
  | "rejected"
  | "server"
  | "unreachable"
  | "timeout"
  | "invalid-response"
  | "model-missing"
  | "not-an-embedding-model"

const PASSING: ReadonlySet<EmbedderFailureReason> = new Set(["rate-limited", "server", "unreachable", "timeout"])

/** The model behind an embedder refused, failed, or answered something else than vectors. Nothing was written. */
export class EmbedderRequestFailed extends Data.TaggedError("EmbedderRequestFailed")<{
  /** Identity of the embedder. */
  readonly embedder: string
  readonly reason: EmbedderFailureReason
  /** HTTP status of the answer, absent when there was none. */
  readonly httpStatus?: number | undefined
  /** Milliseconds that the server asked to be left alone for. */
  readonly retryAfter?: number | undefined
  readonly detail: string
  readonly cause?: unknown
}> {
  get status(): 502 | 503 | 504 {
    if (this.reason === "timeout") return 504
    return this.reason === "rate-limited" || this.reason === "unreachable" ? 503 : 502
  }
  get retryable(): boolean {
    return PASSING.has(this.reason)
  }
  override get message() {
    return `embedder ${this.embedder}: ${this.reason}: ${this.detail}`
  }
}

/** More searches wait than may (`maxQueue`), or run at one moment than there are claims for. Nothing was searched. */
export class Overloaded extends Data.TaggedError("Overloaded")<{
  /** Searches that may wait, or run at one moment. */
  readonly limit: number
}> {
  readonly status = 503
  readonly retryable = true
  override get message() {
    return `more than ${this.limit} searches at once`
  }
}

/** A call took longer than its `timeout`: it was taken out of the queue, or its work was stopped. */
export class DeadlineExceeded extends Data.TaggedError("DeadlineExceeded")<{
  /** The timeout. */
  readonly ms: number
}> {
  readonly status = 504
  readonly retryable = true
  override get message() {
    return `not done within ${this.ms} ms`
  }
}

/** What a collection can hold, or what memory the machine gives, is used up: nothing was written. */
export class CapacityExceeded extends Data.TaggedError("CapacityExceeded")<{
  readonly resource: string
  readonly limit: number
}> {
  readonly status = 507
  readonly retryable = false
  override get message() {
    return `${this.resource} is limited to ${this.limit}`
  }
}

/** A file that is not an image of this collection, or not a whole one: memory is untouched. */
export class ImageInvalid extends Data.TaggedError("ImageInvalid")<{
  readonly path: string
  /** The header field or section at fault, `"checksum"` or `"length"`. */
  readonly field: string
  /** First byte of the range at fault. */
  readonly from: number
  /** Byte after the range at fault. */
  readonly to: number
  readonly reason: string
}> {
  readonly status = 500
  readonly retryable = false
  override get message() {
    return `${this.path}: ${this.field} at bytes ${this.from}..${this.to}: ${this.reason}`
  }
}

/** The log of a database is damaged, or of a newer version: nothing was changed. */
export class LogInvalid extends Data.TaggedError("LogInvalid")<{
  readonly path: string
  readonly reason: string
}> {
  readonly status = 500
  readonly retryable = false
  override get message() {
    return `${this.path}: ${this.reason}`
  }
}

/** An entry that salvaging a damaged database could not bring back. */
export interface LostKey {
  readonly key: string
  /** Absent for entries without a namespace. */
  readonly namespace?: string | undefined
}

/**
 * What salvaging a damaged database could not bring back of a collection, by one cause: the rest is usable. It is not
 * thrown but listed, in `losses`.
 */
export class RowsLost extends Data.TaggedError("RowsLost")<{
  /** Empty where the name cannot be read. */
  readonly collection: string
  /** Entries at most; undefined where nothing tells how many. */
  readonly rows: number | undefined
  /** Keys where they are known: the first 1,000 of them. */
  readonly keys: ReadonlyArray<LostKey>
  readonly reason: string
}> {
  readonly status = 410
  readonly retryable = false
  override get message() {
    return `${this.collection}: ${this.rows ?? "unknown"} entries: ${this.reason}`
  }
}

/** A file that is to be imported, an archive or one of another program, is missing, damaged or of another kind: nothing was. */
export class ImportInvalid extends Data.TaggedError("ImportInvalid")<{
  readonly path: string
  /** The header field at fault, `"file"`, `"length"`, `"checksum"`, or the byte or entry. */
  readonly field: string
  readonly reason: string
}> {
  readonly status = 422
  readonly retryable = false
  override get message() {
    return `${this.path}: ${this.field}: ${this.reason}`
  }
}

/** A caller wanted to be served from the cache alone, and the cache has no answer. */
export class NotCached extends Data.TaggedError("NotCached")<{
  /** What an answer would be kept under. */
  readonly key: string
  /** Why nothing was served: the reason of the miss. */
  readonly reason: string
}> {
  readonly status = 504
  readonly retryable = false
  override get message() {
    return `nothing is served from the cache: ${this.reason}`
  }
}

/** The operating system refused a file operation. */
export class StorageFailure extends Data.TaggedError("StorageFailure")<{
  readonly operation: string
  readonly path: string
  /** The system's code, such as `ENOSPC`. */
  readonly code: string
  readonly cause: unknown
}> {
  readonly status = 500
  readonly retryable = true
  override get message() {
    return `${this.operation} ${this.path}: ${this.code}`
  }
}

/** No checkpoint has the name. */
export class CheckpointNotFound extends Data.TaggedError("CheckpointNotFound")<{ readonly name: string }> {
  readonly status = 404
  readonly retryable = false
  override get message() {
    return `no checkpoint has the name ${JSON.stringify(this.name)}`
  }
}

/** The database went back to a checkpoint since the collection was opened: open it again by its name. */
export class CollectionReplaced extends Data.TaggedError("CollectionReplaced")<{ readonly collection: string }> {
  readonly status = 409
  readonly retryable = false
  override get message() {
    return `collection ${this.collection} was opened before a checkpoint was restored`
  }
}

/** The folder is open in another process, or already in this one. */
export class FolderLocked extends Data.TaggedError("FolderLocked")<{
  readonly path: string
  readonly pid: number
}> {
  readonly status = 423
  readonly retryable = true
  override get message() {
    return `${this.path} is open in process ${this.pid}`
  }
}

/** The database was closed, or is being closed. */
export class Closed extends Data.TaggedError("Closed")<Record<never, never>> {
  readonly status = 503
  readonly retryable = false
  override get message() {
    return "the database is closed"
  }
}

/** The caller's AbortSignal fired. */
export class Cancelled extends Data.TaggedError("Cancelled")<Record<never, never>> {
  readonly status = 499
  readonly retryable = true
  override get message() {
    return "cancelled by the caller"
  }
}

/** A worker thread died twice on the same task. */
export class WorkerCrashed extends Data.TaggedError("WorkerCrashed")<{ readonly cause: unknown }> {
  readonly status = 500
  readonly retryable = true
  override get message() {
    return `a worker died: ${String(this.cause)}`
  }
}

/** An attached thread asked for memory that the owner has not handed over in time. */
export class OwnerUnavailable extends Data.TaggedError("OwnerUnavailable")<Record<never, never>> {
  readonly status = 503
  readonly retryable = true
  override get message() {
    return "the thread that owns the collection has not shared its newest memory"
  }
}

/** `SABINE_ISA` names an instruction set that this machine lacks. */
export class IsaUnavailable extends Data.TaggedError("IsaUnavailable")<{
  readonly wanted: string
  readonly available: ReadonlyArray<string>
}> {
  readonly status = 500
  readonly retryable = false
  override get message() {
    return `SABINE_ISA=${this.wanted} is not on this machine: ${this.available.join(", ")}`
  }
}

/** Options that a pool cannot be made with, or weights that say nothing: nothing was opened or changed. */
export class InvalidConfiguration extends Data.TaggedError("InvalidConfiguration")<{
  readonly parameter: string
  readonly reason: string
}> {
  readonly status = 400
  readonly retryable = false
  override get message() {
    return `${this.parameter}: ${this.reason}`
  }
}

/** A call asks for an index by name that has not been made yet. */
export class IndexNotBuilt extends Data.TaggedError("IndexNotBuilt")<{ readonly index: string }> {
  readonly status = 409
  readonly retryable = true
  override get message() {
    return `there is no index ${this.index} yet: call buildIndex, or leave the choice to the pool`
  }
}

/** An index no longer finds what it holds. It was taken down and is made anew; searches scan meanwhile. */
export class IndexCorrupted extends Data.TaggedError("IndexCorrupted")<{
  readonly index: string
  readonly reason: string
}> {
  readonly status = 500
  readonly retryable = true
  override get message() {
    return `index ${this.index}: ${this.reason}`
  }
}

/** What was asked for needs at least one item, and there is none. */
export class EmptyCollection extends Data.TaggedError("EmptyCollection")<{ readonly collection: string }> {
  readonly status = 409
  readonly retryable = false
  override get message() {
    return `collection ${this.collection} is empty`
  }
}

/** One item alone takes more memory than the whole budget: nothing was written and nothing gave way. */
export class MemoryExceeded extends Data.TaggedError("MemoryExceeded")<{
  /** Bytes that the item takes. */
  readonly bytes: number
  /** The budget. */
  readonly limit: number
}> {
  readonly status = 413
  readonly retryable = false
  override get message() {
    return `an item of ${this.bytes} bytes is more than the budget of ${this.limit}`
  }
}

/** What was asked for needs something that an item or a pool lacks, such as a tensor or an encoder. */
export class FeatureUnavailable extends Data.TaggedError("FeatureUnavailable")<{
  readonly feature: string
  readonly reason: string
}> {
  readonly status = 400
  readonly retryable = false
  override get message() {
    return `${this.feature}: ${this.reason}`
  }
}

/** A measure of coherence, or a policy, writes to a pool whose writer waits for it: they would wait for one another. */
export class Deadlock extends Data.TaggedError("Deadlock")<Record<never, never>> {
  readonly status = 409
  readonly retryable = false
  override get message() {
    return "a writer of the pool waits for the measure or policy that this write was begun in"
  }
}

export type SabineError =
  | DimensionMismatch
  | InvalidVector
  | InvalidParameter
  | NotTrained
  | DuplicateKey
  | KeyNotFound
  | CollectionMismatch
  | EmptyEmbedding
  | NoEmbedder
  | EmbedderFailed
  | EmbedderRequestFailed
  | Overloaded
  | DeadlineExceeded
  | CapacityExceeded
  | ImageInvalid
  | LogInvalid
  | RowsLost
  | ImportInvalid
  | NotCached
  | StorageFailure
  | CheckpointNotFound
  | CollectionReplaced
  | FolderLocked
  | Closed
  | Cancelled
  | WorkerCrashed
  | OwnerUnavailable
  | IsaUnavailable
  | InvalidConfiguration
  | IndexNotBuilt
  | IndexCorrupted
  | EmptyCollection
  | MemoryExceeded
  | FeatureUnavailable
  | Deadlock

export const isSabineError = (error: unknown): error is SabineError =>
  error instanceof Error && "_tag" in error && "retryable" in error
