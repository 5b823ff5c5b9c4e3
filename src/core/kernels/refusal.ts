/** How a kernel refuses arguments: the codes of `native/src/error.rs`. */

/** An error with the `code` that the addon gives in the same case. */
export const refusal = (code: "Layout" | "Isa", reason: string): Error => Object.assign(new Error(reason), { code })

/** Throws a `Layout` refusal that names what does not fit, unless `holds`. */
export const requireLayout = (holds: boolean, reason: string): void => {
  if (!holds) throw refusal("Layout", reason)
}
