/**
 * Unicode normal forms of texts that anybody may have written. Marks in a row are put in order, which takes the square of
 * their number: minutes for a megabyte of them. No script has more than 30 (the stream-safe text format of UAX #15), so
 * where there are more the text is cut, and each piece is a text of its own.
 */
const MOST_MARKS = 30
/** Before it no character is a mark. */
const FIRST_MARK = 0x300
const BEYOND = /[\u0300-\uffff]/
/** The voice marks of halfwidth kana are letters, which NFKD makes marks of. */
const MARK = /^[\p{M}\uff9e\uff9f]$/u

const OTHER = 2
/** 1 for a mark, 2 for anything else, 0 where nobody asked yet. */
const known = new Uint8Array(0x110000).fill(OTHER, 0, FIRST_MARK)

const isMark = (point: number): boolean => {
  if (known[point] === 0) known[point] = MARK.test(String.fromCodePoint(point)) ? 1 : OTHER
  return known[point] === 1
}

export const normalForm = (text: string, form: "NFC" | "NFD" | "NFKD"): string => {
  if (!BEYOND.test(text)) return text.normalize(form)
  let normal = ""
  let from = 0
  let marks = 0
  for (let i = 0; i < text.length; i++) {
    const point = text.codePointAt(i)!
    if (point > 0xffff) i++
    marks = isMark(point) ? marks + 1 : 0
    if (marks <= MOST_MARKS) continue
    normal += text.slice(from, i + 1).normalize(form)
    from = i + 1
    marks = 0
  }
  return normal + text.slice(from).normalize(form)
}
