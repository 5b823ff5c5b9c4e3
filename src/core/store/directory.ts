/**
 * The words every thread of a store shares: counters and reader epochs.
 *
 * One thread writes the counters. Readers claim an epoch word for each search, on any thread;
 * a slot or record that was freed in epoch `e` is reused once no claimed word holds `e` or less
 * (epoch-based reclamation, Fraser 2004). A reader publishes its epoch before it reads anything,
 * so what it can see was either freed after that or is already whole again.
 */

import { fence } from "../kernels/seqlock.ts"

/** Moves when the owner has new buffers to hand over. */
const GROWTH = 0
const EPOCH = 1
/** Slots ever used: scans stop here. */
const ROWS = 2
const LIVE = 3
/** Moves with every change that a search can see; wraps. */
const CHANGES = 4
/** Names the codes in force: moves when training replaces it. */
const CODE_SET = 5
/** Odd while the key index is being changed. */
const KEY_SEQUENCE = 6
/** Next reader number. */
const READERS = 7
/** Texts in the dictionary. */
const TAGS = 8
/** Not 0 once a row was published in a namespace. */
const NAMESPACED = 9
/** Odd while a compaction moves rows; searches that it was changed under are run again. */
const MOVES = 10
/** Entries that compactions and updates have moved to another row; wraps. */
const MOVED = 11
/** One more than the place of the field that is written in place, which counts as no change; 0 where none is. */
const IN_PLACE = 12

const CLAIMS = 16
/** Searches that can run at one moment over all threads. */
export const MAX_CLAIMS = 1024
/** Words of a claim: the epoch it reads in, the reader that holds it, and its cancel flag. */
const CLAIM_EPOCH = 0
const CLAIM_READER = 1
const CLAIM_CANCEL = 2
const CLAIM_WORDS = 3
const WORDS = CLAIMS + CLAIM_WORDS * MAX_CLAIMS

export const OWNER = 1

export class Directory {
  readonly words: Int32Array

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(WORDS * 4)) {
    this.words = new Int32Array(buffer)
    Atomics.compareExchange(this.words, EPOCH, 0, 1)
    Atomics.compareExchange(this.words, READERS, 0, OWNER + 1)
  }

  get buffer(): SharedArrayBuffer {
    return this.words.buffer as SharedArrayBuffer
  }
  get growth(): number {
    return Atomics.load(this.words, GROWTH)
  }
  get epoch(): number {
    return Atomics.load(this.words, EPOCH)
  }
  get rows(): number {
    return Atomics.load(this.words, ROWS)
  }
  get live(): number {
    return Atomics.load(this.words, LIVE)
  }
  get changes(): number {
    return Atomics.load(this.words, CHANGES)
  }
  get codeSet(): number {
    return Atomics.load(this.words, CODE_SET)
  }
  get keySequence(): number {
    return Atomics.load(this.words, KEY_SEQUENCE)
  }

  get tags(): number {
    return Atomics.load(this.words, TAGS)
  }
  /** Whether there may be rows in namespaces: the others are to be told from them. */
  get isNamespaced(): boolean {
    return Atomics.load(this.words, NAMESPACED) !== 0
  }

  get moves(): number {
    return Atomics.load(this.words, MOVES)
  }
  get moved(): number {
    return Atomics.load(this.words, MOVED) >>> 0
  }

  /** Place of the field that is written in place; -1 where none is. */
  get inPlace(): number {
    return Atomics.load(this.words, IN_PLACE) - 1
  }

  setInPlace(field: number): void {
    Atomics.store(this.words, IN_PLACE, field + 1)
  }

  publishTags(count: number): void {
    Atomics.store(this.words, TAGS, count)
  }
  setNamespaced(): void {
    Atomics.store(this.words, NAMESPACED, 1)
  }
  grown(): number {
    return Atomics.add(this.words, GROWTH, 1) + 1
  }
  setRows(rows: number): void {
    Atomics.store(this.words, ROWS, rows)
  }
  countLive(difference: number): void {
    Atomics.add(this.words, LIVE, difference)
    Atomics.add(this.words, CHANGES, 1)
  }
  switchCodes(): number {
    return Atomics.add(this.words, CODE_SET, 1) + 1
  }
  /** Call in pairs around a change of the key index. */
  stepKeySequence(): void {
    Atomics.add(this.words, KEY_SEQUENCE, 1)
    fence()
  }
  /** Call in pairs around the moves of some rows. */
  stepMoves(): void {
    Atomics.add(this.words, MOVES, 1)
    fence()
  }
  countMoved(): void {
    Atomics.add(this.words, MOVED, 1)
  }
  /** A number for a thread that attaches; its claims can be released by that number. */
  newReader(): number {
    return Atomics.add(this.words, READERS, 1)
  }

  /** Publishes that `reader` reads from now on; pass the result to `release`. -1 when all are taken. */
  claim(reader: number): number {
    for (let at = CLAIMS; at < WORDS; at += CLAIM_WORDS) {
      if (Atomics.compareExchange(this.words, at + CLAIM_READER, 0, reader) === 0) {
        Atomics.store(this.words, at + CLAIM_CANCEL, 0)
        Atomics.store(this.words, at + CLAIM_EPOCH, this.epoch)
        return at
      }
    }
    return -1
  }

  /** Ends a claim of `reader`; one that was released for it before, and may be another's now, is left alone. */
  release(claim: number, reader: number): void {
    if (Atomics.load(this.words, claim + CLAIM_READER) !== reader) return
    Atomics.store(this.words, claim + CLAIM_EPOCH, 0)
    Atomics.store(this.words, claim + CLAIM_READER, 0)
  }

  /** Index in `words` of the flag that stops the native work done under a claim. */
  cancelWord(claim: number): number {
    return claim + CLAIM_CANCEL
  }

  cancel(claim: number): void {
    Atomics.store(this.words, claim + CLAIM_CANCEL, 1)
  }

  /** Releases what a thread that ended still held. */
  releaseReader(reader: number): void {
    for (let at = CLAIMS; at < WORDS; at += CLAIM_WORDS) {
      if (Atomics.load(this.words, at + CLAIM_READER) === reader) this.release(at, reader)
    }
  }

  /**
   * Starts a new epoch and returns the newest one that no reader is in any more. Epochs wrap and
   * skip 0, which marks a free word: compare them with `notAfter`.
   */
  advance(): number {
    const ended = this.epoch
    Atomics.store(this.words, EPOCH, ended === -1 ? 1 : ended + 1)
    let newest = ended
    for (let at = CLAIMS; at < WORDS; at += CLAIM_WORDS) {
      const epoch = Atomics.load(this.words, at + CLAIM_EPOCH)
      if (epoch !== 0 && notAfter(epoch, newest)) newest = (epoch - 1) | 0
    }
    return newest
  }
}

/** Whether epoch `a` is `b` or before it, with wrap-around. */
export const notAfter = (a: number, b: number): boolean => ((a - b) | 0) <= 0
