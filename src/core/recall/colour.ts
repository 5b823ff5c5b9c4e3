/** Tensors seen as pictures: their first three channels are red, green and blue, 0 to 1. */
import { FeatureUnavailable } from "../errors.ts"
import { forEachSliced } from "../slice.ts"
import type { OwnTensor } from "./tensor.ts"

const RGB = 3

export const requireColour = (feature: string, tensor: OwnTensor | undefined): OwnTensor => {
  if (tensor !== undefined && tensor.channels >= RGB) return tensor
  const reason =
    tensor === undefined ? "the item has no tensor" : `its tensor has ${tensor.channels} channels, not three`
  throw new FeatureUnavailable({ feature, reason })
}

export type Rgb = readonly [red: number, green: number, blue: number]

/** Calls `visit` with the colour of each cell of each layer. */
const forEachColour = (
  { data, channels }: Pick<OwnTensor, "data" | "channels">,
  visit: (red: number, green: number, blue: number) => void
): void => {
  for (let at = 0; at < data.length; at += channels) visit(data[at]!, data[at + 1]!, data[at + 2]!)
}

export const meanColour = (tensor: OwnTensor): Rgb => {
  let [red, green, blue] = [0, 0, 0]
  forEachColour(tensor, (r, g, b) => {
    red += r
    green += g
    blue += b
  })
  const cells = tensor.data.length / tensor.channels
  return [red / cells, green / cells, blue / cells]
}

/** Degrees, 0 up to 360; undefined for a grey. */
export const hueOf = (red: number, green: number, blue: number): number | undefined => {
  const most = Math.max(red, green, blue)
  const span = most - Math.min(red, green, blue)
  if (span === 0) return undefined
  const sixth =
    most === red ? (green - blue) / span : most === green ? 2 + (blue - red) / span : 4 + (red - green) / span
  return (60 * sixth + 360) % 360
}

/** Cells whose hues are looked at in a fraction of a millisecond. */
const CELLS_A_LOOK = 2 ** 12

/** Circular standard deviation of the hues of all cells that have one, degrees; 0 where none has. Of many, in turns. */
export const hueDeviation = async ({ data, channels }: OwnTensor): Promise<number> => {
  let [x, y, count] = [0, 0, 0]
  const add = (red: number, green: number, blue: number) => {
    const hue = hueOf(red, green, blue)
    if (hue === undefined) return
    x += Math.cos((hue * Math.PI) / 180)
    y += Math.sin((hue * Math.PI) / 180)
    count++
  }
  const step = CELLS_A_LOOK * channels
  const addSome = (i: number) => forEachColour({ data: data.subarray(i * step, (i + 1) * step), channels }, add)
  await forEachSliced(Math.ceil(data.length / step), undefined, addSome, 1)
  if (count === 0) return 0
  const length = Math.min(1, Math.hypot(x, y) / count)
  return (Math.sqrt(-2 * Math.log(length)) * 180) / Math.PI
}
