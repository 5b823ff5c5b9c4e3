/**
 * NumPy's `standard_normal(dtype=float32)`: the ziggurat of 256 strips over 23-bit draws, with
 * every product and sum rounded to f32 as there.
 *
 * NumPy ships the tables as constants; the formula gives the same bits with room to spare (the
 * nearest value is 1e-11 away from a rounding boundary), so it is the formula that is kept. The
 * logarithm of the tail is correctly rounded; NumPy takes the C library's, which in older ones is
 * one unit in the last place off for one number in a million.
 */
import type { Uint32Source } from "./pcg64.ts"

const STRIPS = 256
/** Where the tail starts, and the area of each strip. */
const TAIL = 3.6541528853610088
const AREA = 0.00492867323399
const TAIL_F32 = Math.fround(TAIL)
const TAIL_INVERSE_F32 = Math.fround(0.27366123732975828)
const DRAW_SCALE = 0x800000

interface Ziggurat {
  /** Draws below this lie inside the strip whatever their height. */
  readonly inside: Uint32Array
  /** Width of a strip a unit of draw. */
  readonly width: Float32Array
  /** Density at the right end of a strip. */
  readonly density: Float32Array
}

const ziggurat = (): Ziggurat => {
  const inside = new Uint32Array(STRIPS)
  const width = new Float32Array(STRIPS)
  const density = new Float32Array(STRIPS)
  const gauss = (x: number): number => Math.exp(-0.5 * x * x)
  const base = AREA / gauss(TAIL)
  inside[0] = Math.round((TAIL / base) * DRAW_SCALE)
  width[0] = base / DRAW_SCALE
  density[0] = 1
  for (let i = STRIPS - 1, x = TAIL; i > 0; i--) {
    width[i] = x / DRAW_SCALE
    density[i] = gauss(x)
    const next = i === 1 ? 0 : Math.sqrt(-2 * Math.log(AREA / x + gauss(x)))
    inside[i] = Math.round((next / x) * DRAW_SCALE)
    x = next
  }
  return { inside, width, density }
}

/** Fills `out` with standard normals, as NumPy would from the same source. */
export const fillStandardNormal = (source: Uint32Source, out: Float32Array): Float32Array => {
  const { inside, width, density } = ziggurat()
  const uniform = (): number => (source() >>> 8) / 0x1000000
  const exponential = (): number => -Math.fround(Math.log1p(-uniform()))
  const tail = (): number => {
    for (;;) {
      const x = Math.fround(TAIL_INVERSE_F32 * exponential())
      const y = exponential()
      if (Math.fround(y + y) > Math.fround(x * x)) return Math.fround(TAIL_F32 + x)
    }
  }
  const draw = (): number => {
    for (;;) {
      const bits = source()
      const strip = bits & 0xff
      const distance = bits >>> 9
      const magnitude = Math.fround(distance * width[strip]!)
      const x = bits & 0x100 ? -magnitude : magnitude
      if (distance < inside[strip]!) return x
      if (strip === 0) return (distance >>> 8) & 1 ? -tail() : tail()
      const right = density[strip]!
      const rise = Math.fround(Math.fround(density[strip - 1]! - right) * uniform())
      if (Math.fround(rise + right) < Math.exp(-0.5 * x * x)) return x
    }
  }
  for (let i = 0; i < out.length; i++) out[i] = draw()
  return out
}
