/**
 * What the spectrum of a small tensor says of it: the definition, by plain sums over separable transforms.
 *
 * Each channel is the mean over the layers, times a Hann window in both directions; its power spectrum is the squared
 * magnitude of the two-dimensional discrete Fourier transform over the number of cells.
 */
import { requireLayout } from "./refusal.ts"

export const SPECTRAL_FEATURES = 8
const DOMINANT = 3
/** `0.5 - 0.5 cos(2 pi i / n)` at the middle of each cell, so that no cell is left out of account. */
const window = (n: number): Float64Array =>
  Float64Array.from({ length: n }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * (i + 0.5)) / n))

/** The transform of each of `count` signals of `n` numbers that lie `stride` apart and start `step` apart. */
const transform = (
  re: Float64Array,
  im: Float64Array,
  count: number,
  step: number,
  n: number,
  stride: number
): void => {
  const cos = Float64Array.from({ length: n }, (_, i) => Math.cos((2 * Math.PI * i) / n))
  const sin = Float64Array.from({ length: n }, (_, i) => Math.sin((2 * Math.PI * i) / n))
  const outRe = new Float64Array(n)
  const outIm = new Float64Array(n)
  for (let signal = 0; signal < count; signal++) {
    const from = signal * step
    for (let f = 0; f < n; f++) {
      let [sumRe, sumIm] = [0, 0]
      for (let i = 0; i < n; i++) {
        const at = (f * i) % n
        const [x, y] = [re[from + i * stride]!, im[from + i * stride]!]
        sumRe += x * cos[at]! + y * sin[at]!
        sumIm += y * cos[at]! - x * sin[at]!
      }
      outRe[f] = sumRe
      outIm[f] = sumIm
    }
    for (let f = 0; f < n; f++) {
      re[from + f * stride] = outRe[f]!
      im[from + f * stride] = outIm[f]!
    }
  }
}

/** A frequency as its steps from the constant along rows and columns, each times the other side. */
const steps = (at: number, rows: number, columns: number): readonly [number, number] => {
  const [row, column] = [Math.floor(at / columns), at % columns]
  return [Math.min(row, rows - row) * columns, Math.min(column, columns - column) * rows]
}

/** Cycles a cell. */
const radiusOf = (at: number, rows: number, columns: number): number => {
  const [a, b] = steps(at, rows, columns)
  return Math.sqrt(a * a + b * b) / (rows * columns)
}

/** Thirds of the highest radius, told apart by its square: whole numbers, so that no rounding decides. */
const bandOf = (at: number, rows: number, columns: number): number => {
  const [a, b] = steps(at, rows, columns)
  const square = 18 * (a * a + b * b)
  const whole = (rows * columns) ** 2
  return square >= 4 * whole ? 2 : square >= whole ? 1 : 0
}

/** Writes the eight features of a tensor into `out`: see `Kernels.spectralFeatures`. */
export const spectralFeatures = (
  data: Float32Array,
  rows: number,
  columns: number,
  layers: number,
  channels: number,
  out: Float32Array
): void => {
  const cells = rows * columns
  requireLayout(cells > 0 && layers > 0 && channels > 0, "a side of the tensor is 0")
  requireLayout(data.length === cells * layers * channels, "the tensor is not as long as its sides say")
  requireLayout(out.length === SPECTRAL_FEATURES, "the features are eight")
  const ofRows = window(rows)
  const ofColumns = window(columns)
  const power = new Float64Array(cells)
  let entropy = 0
  for (let channel = 0; channel < channels; channel++) {
    const re = new Float64Array(cells)
    const im = new Float64Array(cells)
    for (let cell = 0; cell < cells; cell++) {
      let sum = 0
      for (let layer = 0; layer < layers; layer++) sum += data[(cell * layers + layer) * channels + channel]!
      re[cell] = (sum / layers) * ofRows[Math.floor(cell / columns)]! * ofColumns[cell % columns]!
    }
    transform(re, im, rows, columns, columns, 1)
    transform(re, im, columns, 1, rows, columns)
    const ofChannel = Float64Array.from(re, (x, i) => (x * x + im[i]! * im[i]!) / cells)
    entropy += entropyOf(ofChannel)
    for (let i = 0; i < cells; i++) power[i] = power[i]! + ofChannel[i]! / channels
  }
  out[0] = entropy / channels
  out.set(dominant(power, rows, columns), 1)
  out.set(energies(power, rows, columns), 1 + DOMINANT)
  out[7] = power.reduce((sum, x) => sum + x, 0) / cells
}

/** Entropy over that of a flat spectrum; 0 where there is no power, or one frequency. */
const entropyOf = (power: Float64Array): number => {
  const total = power.reduce((sum, x) => sum + x, 0)
  if (!(total > 0) || power.length === 1) return 0
  let sum = 0
  for (const x of power) {
    const share = x / total
    if (share > 0) sum -= share * Math.log(share)
  }
  return sum / Math.log(power.length)
}

/**
 * Radii of the three strongest frequencies but the constant. Of a frequency and its mirror, which real numbers make equal,
 * the first counts. Where two are equal within a millionth, so that rounding would decide, the lower position wins.
 */
const dominant = (power: Float64Array, rows: number, columns: number): Float64Array => {
  const radii = new Float64Array(DOMINANT)
  const taken = new Set<number>([0])
  for (let rank = 0; rank < DOMINANT; rank++) {
    let best = 0
    for (let i = 1; i < power.length; i++) {
      const [row, column] = [Math.floor(i / columns), i % columns]
      const mirror = ((rows - row) % rows) * columns + ((columns - column) % columns)
      if (mirror < i || taken.has(i)) continue
      if (power[i]! > (best === 0 ? 0 : power[best]! * (1 + 1e-6))) best = i
    }
    if (best === 0) break
    taken.add(best)
    radii[rank] = radiusOf(best, rows, columns)
  }
  return radii
}

/** Shares of the power in three bands of equal width around the constant; zeros where there is none. */
const energies = (power: Float64Array, rows: number, columns: number): Float64Array => {
  const bands = new Float64Array(3)
  for (let i = 0; i < power.length; i++) {
    const band = bandOf(i, rows, columns)
    bands[band] = bands[band]! + power[i]!
  }
  const total = bands.reduce((sum, x) => sum + x, 0)
  return total > 0 ? bands.map((x) => x / total) : bands
}
