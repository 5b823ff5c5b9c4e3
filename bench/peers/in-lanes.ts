/** Batches of peers that answer one query at a time, on threads of their own. */

/** Runs `count` tasks, `lanes` of them at a time. */
export const inLanes = async (
  lanes: number,
  count: number,
  run: (index: number) => Promise<unknown>
): Promise<void> => {
  let next = 0
  const lane = async () => {
    while (next < count) await run(next++)
  }
  await Promise.all(Array.from({ length: lanes }, lane))
}
