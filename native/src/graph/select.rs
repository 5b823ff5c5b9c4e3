//! Which of its nearest rows a node links to: those that are nearer to it than to one another
//! (algorithm 4 of arXiv 1603.09320).

use super::Graph;
use super::nodes::hash;
use crate::kernels::int8_rows::ROWS;
use std::cmp::Reverse;

impl Graph {
    /// Selects up to `most` of the candidates, given as `(score, row)` against row `of`.
    ///
    /// Candidates of the same score are taken in an order of their own for each node: copies of one
    /// vector must not all link to the same few.
    pub fn select(&self, of: u32, candidates: &mut [(f32, u32)], most: usize) -> Vec<u32> {
        let order = |(score, row): &(f32, u32)| (Reverse(crate::select::pack(*score, 0)), hash(of, *row));
        candidates.sort_unstable_by_key(order);
        let mut selected: Vec<u32> = Vec::with_capacity(most);
        let mut scores = Vec::with_capacity(ROWS);
        for (score, row) in candidates.iter() {
            if selected.len() == most {
                break;
            }
            let Some(target) = self.target(*row) else { continue };
            let is_nearer_to_another = selected.chunks(ROWS).any(|others| {
                // SAFETY: the target is a row of the graph.
                unsafe { self.scores(&target, others, &mut scores) };
                scores.iter().any(|other| other > score)
            });
            if !is_nearer_to_another {
                selected.push(*row);
            }
        }
        selected
    }
}
