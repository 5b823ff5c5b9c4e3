/**
 * Work that is under way, so much of it at one time, for one who begins it piece by piece.
 *
 * Only counted: a `Set` of what comes and goes all the time makes table after table, of which those that grew old keep the
 * younger ones from being collected, and all that these held with them.
 */
export class AtOnce {
  readonly #most: number
  #underWay = 0
  #failure: { readonly error: unknown } | undefined
  #goOn: () => void = () => undefined

  constructor(most: number) {
    this.#most = most
  }

  get hasFailed(): boolean {
    return this.#failure !== undefined
  }

  /** Takes in work that has begun. */
  add(work: Promise<unknown>): void {
    this.#underWay++
    work.then(
      () => this.#ended(),
      (error) => {
        this.#failure ??= { error }
        this.#ended()
      }
    )
  }

  /** Settles when there is room for more; undefined when there is. */
  room(): Promise<void> | undefined {
    return this.#underWay < this.#most ? undefined : this.#change()
  }

  /** Settles when nothing is under way; rejects with the first failure. */
  async all(): Promise<void> {
    while (this.#underWay > 0) await this.#change()
    if (this.#failure !== undefined) throw this.#failure.error
  }

  #change(): Promise<void> {
    return new Promise((go) => {
      this.#goOn = go
    })
  }

  #ended(): void {
    this.#underWay--
    this.#goOn()
  }
}
