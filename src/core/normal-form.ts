/**
 * Unicode normal forms of texts that anybody may have written. Marks in a row are put in order, which takes the square of
 * their number: half an hour for a megabyte of them. No script has more than 30 (the stream-safe text format of UAX #15),
 * so where there are more the text is cut, and each piece is a text of its own.
 */
const MOST_MARKS = 30
/** Before it no character is a mark. */
const FIRST_MARK = 0x300
const BEYOND = /[\u0300-\uffff]/
const MARK = /^\p{M}$/u

/** 1 for a mark, 2 for anything else, 0 where nobody asked yet. */
const known = new Uint8Array(65_536)

const isMark = (point: number): boolean => {
  if (point >= known.length) return MARK.test(String.fromCodePoint(point))
  if (known[point] === 0) known[point] = MARK.test(String.fromCharCode(point)) ? 1 : 2
  return known[point] === 1
}

export const normalForm = (text: string, form: "NFC" | "NFD" | "NFKD"): string => {
  if (!BEYOND.test(text)) return text.normalize(form)
  let normal = ""
  let from = 0
  let marks = 0
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) < FIRST_MARK) {
      marks = 0
      continue
    }
    const point = text.codePointAt(i)!
    if (point >= known.length) i++
    marks = isMark(point) ? marks + 1 : 0
    if (marks <= MOST_MARKS) continue
    normal += text.slice(from, i + 1).normalize(form)
    from = i + 1
    marks = 0
  }
  return normal + text.slice(from).normalize(form)
}
