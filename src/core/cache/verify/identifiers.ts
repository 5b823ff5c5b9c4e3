/** Code identifiers in a text: what people write with signs or capitals inside. */
import { EMPTY_HASH, extendHash } from "../../embed/fnv1a.ts"
import { isDigit, isLower, isUpper } from "./characters.ts"

const DOT = 46
const COLON = 58
const HYPHEN = 45
const SLASH = 47
const S = "s".charCodeAt(0)
const AT = "@".charCodeAt(0)
const DOLLAR = "$".charCodeAt(0)
const UNDERSCORE = "_".charCodeAt(0)

const isAsciiLetter = (unit: number): boolean => isLower(unit) || isUpper(unit)

const CODE_SIGNS = "-@/$_:."
const codeSign = Uint8Array.from({ length: 128 }, (_, unit) => (CODE_SIGNS.includes(String.fromCharCode(unit)) ? 1 : 0))
/** What stands at the start or within a chunk that is code; a capital behind a small letter makes one too. */
export const isCodeSign = (unit: number): boolean => unit < 128 && codeSign[unit] === 1

/** Quotes, brackets and the marks that end sentences are not part of what they enclose. */
const TRIMMED = "?,.!;:'\"`()[]{}<>*"
const trimmed = Uint8Array.from({ length: 128 }, (_, unit) => (TRIMMED.includes(String.fromCharCode(unit)) ? 1 : 0))
const isTrimmed = (unit: number): boolean => unit < 128 && trimmed[unit] === 1

/** Hash of the chunk `text[start..end)` where it is written as code is; 0 where it is not. */
export const identifierHash = (text: string, start: number, end: number): number => {
  let from = start
  let to = end
  let isCode = false
  while (from < to && isTrimmed(text.charCodeAt(from))) from++
  while (to > from && isTrimmed(text.charCodeAt(to - 1))) to--
  const first = text.charCodeAt(from)
  if ((first === HYPHEN && text.charCodeAt(from + 1) === HYPHEN) || first === AT || first === SLASH)
    isCode = to - from > 2
  if (first === DOLLAR && !isDigit(text.charCodeAt(from + 1))) isCode = to - from > 2
  let slash = false
  for (let i = from + 1; i + 1 < to && !isCode; i++) {
    const before = text.charCodeAt(i - 1)
    const unit = text.charCodeAt(i)
    const after = text.charCodeAt(i + 1)
    if (unit === UNDERSCORE) isCode = true
    else if (unit === COLON && after === COLON) isCode = true
    else if (unit === DOT && isAsciiLetter(before) && isAsciiLetter(after)) isCode = i - from > 1
    else if (unit === SLASH) slash = true
    else if (isLower(before) && isUpper(unit)) isCode = true
    if (slash && unit === DOT) isCode = true
  }
  if (isLower(text.charCodeAt(to - 2)) && isUpper(text.charCodeAt(to - 1))) isCode = true
  if (!isCode) return 0
  let hash = EMPTY_HASH
  let plural = false
  for (let i = from; i < to; i++) {
    const unit = text.charCodeAt(i)
    const lower = isUpper(unit) ? unit + 32 : unit
    if (!isLower(lower) && !isDigit(lower)) continue
    if (plural) hash = extendHash(hash, S)
    plural = lower === S
    if (!plural) hash = extendHash(hash, lower)
  }
  return hash
}
