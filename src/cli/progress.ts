/** How far a command is: a bar on a terminal, a line now and then elsewhere, on standard error either way. */

/** Steps of the bar. */
const STEPS = 100
/** Between two lines where there is no terminal, in milliseconds. */
const LINE_MS = 2000

interface Progress {
  /** What is done of all there is. */
  readonly update: (done: number, total: number) => void
  readonly stop: (message: string) => void
}

/** Starts showing how far something is. */
export const showProgress = async (message: string): Promise<Progress> => {
  const { stderr } = process
  if (!stderr.isTTY) return lines(message)
  // Loaded where it is seen.
  const { progress } = await import("@clack/prompts")
  const bar = progress({ max: STEPS, output: stderr })
  bar.start(message)
  let shown = 0
  return {
    update: (done, total) => {
      const step = Math.floor((STEPS * done) / Math.max(total, 1))
      bar.advance(step - shown)
      shown = step
    },
    stop: (end) => bar.stop(end)
  }
}

const lines = (message: string): Progress => {
  let last = performance.now()
  return {
    update: (done, total) => {
      if (performance.now() - last < LINE_MS) return
      last = performance.now()
      process.stderr.write(`${message}: ${Math.floor((100 * done) / Math.max(total, 1))} %\n`)
    },
    stop: (end) => void process.stderr.write(`${end}\n`)
  }
}
