/** How good scores of look-ups are: duplicates that are found within a budget of wrong answers. */

/** What a look-up would serve, and how sure that is; nothing when the score is absent. */
export interface Scored {
  readonly score: number | undefined
  readonly right: boolean
  readonly duplicate: boolean
}

/** Share of the duplicates that the lowest cut finds whose wrong answers are within `budget` of all look-ups. */
export const foundWithin = (lookUps: ReadonlyArray<Scored>, budget: number): number => {
  const order = lookUps.filter(({ score }) => score !== undefined).sort((a, b) => b.score! - a.score!)
  let right = 0
  let wrong = 0
  let most = 0
  for (const [i, one] of order.entries()) {
    if (one.right) right++
    else wrong++
    if (wrong > budget * lookUps.length) break
    if (order[i + 1]?.score !== one.score) most = right
  }
  return most / lookUps.filter(({ duplicate }) => duplicate).length
}

/** What serving everything of at least `least` does. */
export const servedFrom = (lookUps: ReadonlyArray<Scored>, least: number) => {
  const served = lookUps.filter(({ score }) => score !== undefined && score >= least)
  const right = served.filter((one) => one.right).length
  return {
    served: served.length,
    wrong: served.length - right,
    found: right / lookUps.filter(({ duplicate }) => duplicate).length
  }
}
