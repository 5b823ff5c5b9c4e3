/** What the harness asks of a process, and what the process prints in answer; `adapters/faiss.py` keeps to the same. */
import type { Configuration, Setting } from "./peer.ts"

/** One process does one of these. */
export type Job =
  | { readonly stage: "list" }
  | {
      readonly stage: "build"
      readonly configuration: Configuration
      readonly data: string
      readonly index: string
      readonly threads: number
    }
  | {
      readonly stage: "open" | "search"
      readonly configuration: Configuration
      readonly data: string
      readonly index: string
      /** Milliseconds that one figure is measured for. */
      readonly turnMs: number
    }

/** What a peer offers. */
export interface Listed {
  readonly stage: "list"
  readonly version: string
  readonly configurations: ReadonlyArray<Configuration>
}

export interface BuildFigures {
  readonly stage: "build"
  /** Wall time of training and adding, without saving. */
  readonly seconds: number
  /** Processor time of the same, of all threads: what else the machine does hardly shows in it. */
  readonly cpuSeconds: number
  readonly threads: number
}

interface OpenFigures {
  readonly stage: "open"
  /** From closed files to the first answer; loading the peer's code is not in it. */
  readonly ms: number
}

/** One setting on one set of queries. */
export interface Point {
  readonly stage: "search"
  readonly setting: Setting
  readonly queries: string
  /** Share of the true ten nearest; null where rows cannot be compared. */
  readonly recall: number | null
  /** Microseconds of single queries, one thread. */
  readonly p50: number
  readonly p99: number
  /** Queries a second at one thread and at two; null where it was not asked. */
  readonly qps1: number | null
  readonly qps2: number | null
}

interface MemoryFigures {
  readonly stage: "memory"
  /** Bytes by which the resident set grew from before opening to after every query had been answered once. */
  readonly residentBytes: number
}

export type Line = Listed | BuildFigures | OpenFigures | Point | MemoryFigures

/** Neighbours that are sought. */
export const K = 10

export const print = (line: Line): void => console.log(JSON.stringify(line))
