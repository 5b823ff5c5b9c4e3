/** A store as another thread of the process reads it: the same memory, no copy. */
import { type MessagePort, receiveMessageOnPort } from "node:worker_threads"
import { OwnerUnavailable } from "../errors.ts"
import type { Kernels } from "../kernels/contract.ts"
import { fence } from "../kernels/seqlock.ts"
import { Directory } from "./directory.ts"
import {
  type MemoryHandle,
  type SearchColumns,
  type Segment,
  type StoreShape,
  searchColumns,
  segmentViews
} from "./memory.ts"
import { RecordReader } from "./records.ts"
import { type EncodedKey, rowOfKey } from "./rows.ts"
import type { Searchable } from "./searchable.ts"
import { TagReader } from "./tags.ts"

/** Tries in a row while another core finishes a change. */
const SPINS = 1000
/** After those, sleeps of a millisecond before a reader gives up: the owner may have lost its core. */
const SLEEPS = 2000
const bed = new Int32Array(new SharedArrayBuffer(4))

/** Passes the time between two tries; fails with `OwnerUnavailable` when there were enough. */
const pause = (tries: number): void => {
  if (tries === SPINS + SLEEPS) throw new OwnerUnavailable()
  if (tries >= SPINS) Atomics.wait(bed, 0, 0, 1)
}

/** The last of the handles that wait: each stands for all before it. */
const newestOn = (port: MessagePort): MemoryHandle | undefined => {
  let newest: MemoryHandle | undefined
  for (let got = receiveMessageOnPort(port); got !== undefined; got = receiveMessageOnPort(port)) newest = got.message
  return newest
}

export class AttachedMemory implements Searchable {
  readonly kernels: Kernels
  readonly shape: StoreShape
  readonly directory: Directory
  readonly segments: Array<Segment> = []
  readonly records = new RecordReader(() => this.sync())
  readonly tags = new TagReader(
    () => this.directory.tags,
    () => this.sync()
  )
  readonly reader: number
  readonly moveLog: Uint32Array
  columns: SearchColumns
  readonly #port: MessagePort
  #handle: MemoryHandle

  constructor(kernels: Kernels, handle: MemoryHandle, reader: number, port: MessagePort) {
    this.kernels = kernels
    this.shape = handle.shape
    this.directory = new Directory(handle.directory)
    this.moveLog = new Uint32Array(handle.moveLog)
    this.reader = reader
    this.#port = port
    this.#handle = handle
    this.columns = this.#adopt(handle)
  }

  /** The newest handle this thread has taken in. */
  handle(): MemoryHandle {
    return this.#handle
  }

  /**
   * Takes in the buffers that the owner made since, so that everything published can be read, and waits while it moves
   * rows.
   */
  sync(): void {
    for (let tries = 0; this.#isBehind() || (this.directory.moves & 1) === 1; tries++) {
      const newest = newestOn(this.#port)
      if (newest !== undefined) this.columns = this.#adopt(newest)
      else pause(tries)
    }
  }

  /** The row of a key, or -1: a sequence-locked read of the key index. */
  find(key: EncodedKey): number {
    for (let tries = 0; ; pause(tries++)) {
      this.sync()
      const handle = this.#handle
      const before = this.directory.keySequence
      if ((before & 1) === 1) continue
      const { current, previous } = handle.keys
      const tables = { current: new Uint32Array(current), previous: previous && new Uint32Array(previous) }
      const row = rowOfKey(this, tables, key)
      fence()
      // Records catch up in mid-lookup, so the tables may be old although the handle is not.
      if (this.directory.keySequence === before && this.#handle === handle && !this.#isBehind()) return row
    }
  }

  #isBehind(): boolean {
    return ((this.directory.growth - this.#handle.growth) | 0) > 0
  }

  #adopt(handle: MemoryHandle): SearchColumns {
    for (const buffers of handle.segments.slice(this.segments.length)) {
      this.segments.push(segmentViews(this.kernels, this.shape, buffers))
    }
    this.records.adopt(handle.chunks)
    this.tags.adopt(handle.tags)
    this.#handle = handle
    return searchColumns(this.kernels, handle, this.segments)
  }
}
