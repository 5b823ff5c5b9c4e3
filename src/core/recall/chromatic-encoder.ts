/**
 * Tensors as colours: mean red, green and blue, the spectral features, the colour class, utility and bias, and waves of the
 * first eleven that tell near colours apart, in 64 components of mean 0 and variance 1.
 */
import { hueOf, meanColour, type Rgb, requireColour } from "./colour.ts"
import type { Encodable, Encoder } from "./encoder.ts"
import type { SpectralFeatures } from "./spectral.ts"

const DIMENSIONS = 64
/** Octaves of the waves of a channel of the mean colour. */
const OCTAVES = 4

/** Classes of colour: greys by their brightness, all others by their hue. */
export const COLOUR_CLASSES = [
  "black",
  "grey",
  "white",
  "red",
  "orange",
  "yellow",
  "green",
  "cyan",
  "blue",
  "magenta"
] as const
export type ColourClass = (typeof COLOUR_CLASSES)[number]

/** Largest span of the channels of a grey. */
const GREY_SPAN = 0.1
/** Brightness below which a grey is black, and from which on it is white. */
const DARK = 0.2
const LIGHT = 0.8
/** Where each hue ends, degrees; what is beyond the last is red again. */
const HUES: ReadonlyArray<readonly [end: number, name: ColourClass]> = [
  [15, "red"],
  [45, "orange"],
  [75, "yellow"],
  [165, "green"],
  [195, "cyan"],
  [265, "blue"],
  [345, "magenta"]
]

/** The class of a colour. */
const colourClassOf = ([red, green, blue]: Rgb): ColourClass => {
  const hue = hueOf(red, green, blue)
  const most = Math.max(red, green, blue)
  if (hue === undefined || most - Math.min(red, green, blue) < GREY_SPAN) {
    const brightness = (red + green + blue) / 3
    return brightness < DARK ? "black" : brightness < LIGHT ? "grey" : "white"
  }
  return most < DARK ? "black" : (HUES.find(([end]) => hue < end)?.[1] ?? "red")
}

const spectralNumbers = ({ entropy, dominant, energies, meanPower }: SpectralFeatures): ReadonlyArray<number> => [
  entropy,
  ...dominant,
  ...energies,
  // Power has no bound: its logarithm is of the size of the others.
  Math.log1p(meanPower)
]

export const chromaticEncoder = (): Encoder => ({
  id: "chromatic-64",
  dimensions: DIMENSIONS,
  encode: ({ tensor, spectrum, utility, bias }: Encodable) => {
    const mean = meanColour(requireColour("the chromatic encoder", tensor))
    const label = colourClassOf(mean)
    const spectral = spectralNumbers(spectrum)
    const waves = (x: number, octaves: number) =>
      Array.from({ length: octaves }, (_, octave) => {
        const angle = 2 ** octave * Math.PI * x
        return [Math.sin(angle), Math.cos(angle)]
      }).flat()
    return normalisedLayer([
      ...mean,
      ...spectral,
      ...COLOUR_CLASSES.map((name) => (name === label ? 1 : 0)),
      utility,
      bias,
      tensor.certainty,
      ...mean.flatMap((channel) => waves(channel, OCTAVES)),
      ...spectral.flatMap((number) => waves(number, 1))
    ])
  }
})

/** The numbers less their mean, over their deviation. */
const normalisedLayer = (numbers: ReadonlyArray<number>): Float32Array => {
  const mean = numbers.reduce((sum, x) => sum + x, 0) / numbers.length
  const variance = numbers.reduce((sum, x) => sum + (x - mean) ** 2, 0) / numbers.length
  return Float32Array.from(numbers, (x) => (x - mean) / Math.sqrt(variance + 1e-6))
}
