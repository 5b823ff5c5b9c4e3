/** What a peer must be able to do to be measured: one adapter each, in `adapters/`. */

/** Rows of 32-bit floats, or of bits packed into bytes. */
export interface Matrix {
  readonly rows: number
  /** Elements of a row. */
  readonly width: number
  /** Row-major. */
  readonly values: Float32Array | Uint8Array
}

/**
 * What is asked of a configuration.
 *
 * - `approximate`: the ten nearest of the vectors, at several settings.
 * - `codes`: the same, by product codes alone, without vectors beside them.
 * - `exact`: the same, by scoring every vector in f32.
 * - `hamming`: the ten nearest of the codes.
 */
export type Task = "approximate" | "codes" | "exact" | "hamming"

/** What a search of one configuration can be told, such as `{ efSearch: 64 }`. */
export type Setting = Readonly<Record<string, number>>

export interface Configuration {
  readonly name: string
  readonly task: Task
  /** Folder of the index below the peer's; configurations that share it share one build. Default: made from the name. */
  readonly index?: string
  /** From quick to thorough. Default: one without parameters. */
  readonly settings?: ReadonlyArray<Setting>
  /** What was chosen that is not in the name: parameters of the build, and what a figure includes. */
  readonly note?: string
  /** Only how long it takes to open is asked: its searches are those of another configuration. */
  readonly opensOnly?: boolean
}

/** What stands for a found row: its number, or the key made of it. */
export type Found = ArrayLike<number | bigint | string>

export interface Opened {
  /** The nearest rows, best first; empty when the peer's own codes make them incomparable. */
  readonly search: (query: Float32Array | Uint8Array, k: number) => Found | Promise<Found>
  /** Searches many queries with the threads it was opened for. Without it threads of the harness search one by one. */
  readonly searchMany?: (queries: Matrix, k: number) => unknown
  /** Puts a setting in force. */
  readonly tune?: (setting: Setting) => void | Promise<void>
  readonly close?: () => void | Promise<void>
}

interface Built {
  /** Threads that worked on it. */
  readonly threads: number
  /** Writes the index into its folder; peers that build in place have none. */
  readonly save?: () => void | Promise<void>
}

export interface Adapter {
  readonly version: string
  readonly configurations: ReadonlyArray<Configuration>
  /** Trains on and adds every row; row `i` is found as `i`. The folder exists and is empty. */
  readonly build: (
    configuration: Configuration,
    base: Matrix,
    folder: string,
    threads: number
  ) => Built | Promise<Built>
  /** Opens what `build` left in the folder. */
  readonly open: (configuration: Configuration, folder: string, opening: Opening) => Opened | Promise<Opened>
}

interface Opening {
  /** Elements of a row. */
  readonly width: number
  /** Threads that may search at once. */
  readonly threads: number
}

/** The rows as floats, for peers and configurations that index no codes. */
export const floats = ({ values }: Pick<Matrix, "values">): Float32Array => {
  if (values instanceof Float32Array) return values
  throw new Error("wanted vectors, got codes")
}

/** The rows as packed bits. */
export const codes = ({ values }: Pick<Matrix, "values">): Uint8Array => {
  if (values instanceof Uint8Array) return values
  throw new Error("wanted codes, got vectors")
}

/** One row, without a copy. */
export const rowOf = ({ values, width }: Matrix, row: number): Float32Array | Uint8Array =>
  values.subarray(row * width, (row + 1) * width)
