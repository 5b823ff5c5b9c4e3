/** The rows themselves as an index, for peers that keep nothing else. */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Matrix } from "./peer.ts"

const fileOf = (folder: string, element: string): string => join(folder, `rows.${element}`)

export const writeMatrix = (folder: string, { values }: Matrix): void =>
  writeFileSync(
    fileOf(folder, values instanceof Uint8Array ? "u8" : "f32"),
    new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
  )

export const readMatrix = (folder: string, width: number, element: "f32" | "u8" = "f32"): Matrix => {
  const { buffer, byteOffset, byteLength } = readFileSync(fileOf(folder, element))
  const values =
    element === "u8"
      ? new Uint8Array(buffer, byteOffset, byteLength)
      : new Float32Array(buffer, byteOffset, byteLength / 4)
  return { rows: values.length / width, width, values }
}
