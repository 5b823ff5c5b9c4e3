/** Vectors as keys: one finds another when no component differs by more than a tolerance. */

/**
 * Vectors with nearly the same first component share a bucket, so a look-up compares few of them, and those mostly by
 * one component. Two tolerances wide, at most two buckets can hold what is near enough.
 */
export class VectorKeys {
  readonly #tolerance: number
  readonly #width: number
  readonly #buckets = new Map<number, Array<Float32Array>>()

  constructor(tolerance: number) {
    this.#tolerance = tolerance
    this.#width = tolerance > 0 ? 2 * tolerance : 1
  }

  /** The key that `vector` stands for. */
  find(vector: Float32Array): Float32Array | undefined {
    const low = this.#bucketOf(vector, -this.#tolerance)
    const high = this.#bucketOf(vector, this.#tolerance)
    return this.#findIn(low, vector) ?? (high === low ? undefined : this.#findIn(high, vector))
  }

  add(key: Float32Array): void {
    const bucket = this.#bucketOf(key, 0)
    const keys = this.#buckets.get(bucket)
    if (keys === undefined) this.#buckets.set(bucket, [key])
    else keys.push(key)
  }

  delete(key: Float32Array): void {
    const bucket = this.#bucketOf(key, 0)
    const others = this.#buckets.get(bucket)?.filter((other) => other !== key) ?? []
    if (others.length === 0) this.#buckets.delete(bucket)
    else this.#buckets.set(bucket, others)
  }

  #bucketOf(vector: Float32Array, offset: number): number {
    return Math.floor(((vector[0] ?? 0) + offset) / this.#width)
  }

  #findIn(bucket: number, vector: Float32Array): Float32Array | undefined {
    return this.#buckets.get(bucket)?.find((key) => this.#isNear(key, vector))
  }

  #isNear(a: Float32Array, b: Float32Array): boolean {
    const most = this.#tolerance
    const { length } = a
    if (length !== b.length) return false
    // Four at a time takes half as long, and a hit compares all.
    let c = 0
    for (; c + 3 < length; c += 4) {
      const isNear =
        Math.abs(a[c]! - b[c]!) <= most &&
        Math.abs(a[c + 1]! - b[c + 1]!) <= most &&
        Math.abs(a[c + 2]! - b[c + 2]!) <= most &&
        Math.abs(a[c + 3]! - b[c + 3]!) <= most
      if (!isNear) return false
    }
    for (; c < length; c++) if (!(Math.abs(a[c]! - b[c]!) <= most)) return false
    return true
  }
}
