/**
 * How much of each window of the address space of records is in use. A window is as long as a chunk.
 *
 * Windows that are mostly dead are closed, so that nothing is written into them any more; once the last record of one is
 * gone its memory goes back to the system, and its addresses are handed out again like those of a new chunk.
 */

/** Share of a window that is in use when it is closed, at most. */
const SPARSE = 0.5

export class RecordSpace {
  readonly #windowUnits: number
  /** Gives the memory of a window back. */
  readonly #release: (window: number) => void
  /** Units in use, and those handed out since the window was empty. */
  readonly #used: Array<number> = []
  readonly #touched: Array<number> = []
  readonly #closed = new Set<number>()
  readonly #empty: Array<number> = []

  constructor(windowUnits: number, release: (window: number) => void) {
    this.#windowUnits = windowUnits
    this.#release = release
  }

  /** Units handed out since their windows were empty, in use or not. */
  get touched(): number {
    return this.#touched.reduce((sum, units) => sum + units, 0)
  }

  /** Counts units that are handed out for the first time. */
  touch(address: number, units: number): void {
    this.#forEach(address, units, (window, part) => {
      this.#touched[window] = (this.#touched[window] ?? 0) + part
    })
  }

  /** Counts a record. */
  fill(address: number, units: number): void {
    this.#forEach(address, units, (window, part) => {
      this.#used[window] = (this.#used[window] ?? 0) + part
    })
  }

  /** Counts a record no more; whether its units can be used again as they are. */
  clear(address: number, units: number): boolean {
    const isOpen = !this.isClosed(address, units)
    this.#forEach(address, units, (window, part) => {
      this.#used[window]! -= part
      if (this.#closed.has(window)) this.#endWhenEmpty(window)
    })
    return isOpen
  }

  /** Whether some of these units lie in a window that was closed. */
  isClosed(address: number, units: number): boolean {
    if (this.#closed.size === 0) return false
    let isClosed = false
    this.#forEach(address, units, (window) => {
      isClosed ||= this.#closed.has(window)
    })
    return isClosed
  }

  /** Closes every window that is sparse; how many are closed now. */
  closeSparse(): number {
    for (const [window, touched] of this.#touched.entries()) {
      if (touched === 0 || this.#used[window]! > SPARSE * touched) continue
      this.#closed.add(window)
      this.#endWhenEmpty(window)
    }
    return this.#closed.size
  }

  /** Whether the windows of these units are written: neither closed nor empty. */
  isOpen(address: number, units = 1): boolean {
    let isOpen = true
    this.#forEach(address, units, (window) => {
      isOpen &&= !this.#closed.has(window) && this.#touched[window] !== 0
    })
    return isOpen
  }

  /** A window that was emptied, to be filled again; undefined when there is none. */
  takeEmpty(): number | undefined {
    return this.#empty.pop()
  }

  #endWhenEmpty(window: number): void {
    if (this.#used[window] !== 0) return
    this.#closed.delete(window)
    this.#touched[window] = 0
    this.#empty.push(window)
    this.#release(window)
  }

  #forEach(address: number, units: number, visit: (window: number, part: number) => void): void {
    for (let at = address; at < address + units; ) {
      const window = Math.floor(at / this.#windowUnits)
      const end = Math.min(address + units, (window + 1) * this.#windowUnits)
      visit(window, end - at)
      at = end
    }
  }
}
