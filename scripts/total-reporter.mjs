/** Closes a run of node:test with one plain line: how many tests passed, failed and were skipped. */

/** A suite counts only when it fails for a reason of its own, such as a hook. */
const isCounted = (type, { error, type: kind }) =>
  type === "test:pass" ? kind !== "suite" : type === "test:fail" && error?.failureType !== "subtestsFailed"

/** Counts in every file; a `todo` test counts as skipped. */
export default async function* total(events) {
  let [passed, failed, skipped] = [0, 0, 0]
  for await (const { type, data } of events) {
    if (!isCounted(type, data?.details ?? {})) continue
    if (data.skip !== undefined || data.todo !== undefined) skipped++
    else if (type === "test:pass") passed++
    else failed++
  }
  yield `${passed} passed, ${failed} failed, ${skipped} skipped\n`
}
