//! Candidates of a fast choice, as many as are compared at a time, and what each is worth.

use crate::kernels::int8_rows::ROWS;

/// Candidates that were met, as many as the kernel compares at a time. Copies of them follow one another.
pub struct Few {
    /// Which are candidates, and not chosen.
    left: [bool; ROWS],
    /// Least of all where there is no candidate.
    score: [f32; ROWS],
    /// What a step of each copy is worth.
    scale: [f32; ROWS],
    /// Squared lengths: 0 but for l2.
    squares: [f32; ROWS],
    /// The largest score that each has against one of the chosen, of those that it was compared with.
    nearest: [f32; ROWS],
    /// How many these are.
    pub compared: usize,
    /// What each was worth then: now it is worth that at most. Least of all where none is left.
    worth: [f32; ROWS],
    /// The most that one of those that are left can be worth.
    pub bound: f32,
}

impl Few {
    /// None of them yet.
    pub const NONE: Few = Few {
        left: [false; ROWS],
        score: [f32::NEG_INFINITY; ROWS],
        scale: [0.0; ROWS],
        squares: [0.0; ROWS],
        nearest: [f32::NEG_INFINITY; ROWS],
        compared: 0,
        worth: [f32::NEG_INFINITY; ROWS],
        bound: f32::INFINITY,
    };

    /// Puts a candidate in a place that has none.
    pub fn put(&mut self, place: usize, score: f32, copied: Copied) {
        set(&mut self.left, place, true);
        set(&mut self.score, place, score);
        set(&mut self.scale, place, copied.scale);
        set(&mut self.squares, place, copied.squares);
        set(&mut self.worth, place, f32::INFINITY);
    }

    pub fn score(&self, place: usize) -> f32 {
        self.score.get(place).copied().unwrap_or(f32::NEG_INFINITY)
    }

    /// Takes the candidate out of those that are left.
    pub fn take(&mut self, place: usize) -> Option<Copied> {
        set(&mut self.left, place, false);
        set(&mut self.worth, place, f32::NEG_INFINITY);
        self.bind();
        Some(Copied { scale: *self.scale.get(place)?, squares: *self.squares.get(place)? })
    }

    /// Takes none of them for chosen or compared.
    pub fn begin_anew(&mut self) {
        let left = self.score.map(|score| score > f32::NEG_INFINITY);
        let worth = left.map(|left| if left { f32::INFINITY } else { f32::NEG_INFINITY });
        *self = Few { left, worth, score: self.score, scale: self.scale, squares: self.squares, ..Few::NONE };
    }

    /// Place and worth of each that is left.
    pub fn each(&self) -> impl Iterator<Item = (usize, f32)> {
        let all = self.worth.iter().zip(&self.left).enumerate();
        all.filter_map(|(place, (worth, left))| left.then_some((place, *worth)))
    }

    /// Takes note of the products with one of the chosen, whose steps are worth `scale`.
    #[inline(never)]
    pub fn compared_with(&mut self, products: [f32; ROWS], scale: f32, squares: f32) {
        let own = self.scale.iter().zip(&self.squares);
        for ((nearest, product), (own_scale, own_squares)) in self.nearest.iter_mut().zip(products).zip(own) {
            let score = product * own_scale * scale - own_squares - squares;
            *nearest = if score > *nearest { score } else { *nearest };
        }
    }

    /// Finds what each is worth now.
    pub fn weigh(&mut self, relevance: f32, novelty: f32) {
        let own = self.score.iter().zip(&self.nearest).zip(&self.left);
        for (worth, ((score, nearest), left)) in self.worth.iter_mut().zip(own) {
            *worth = if *left { relevance * score - novelty * nearest } else { f32::NEG_INFINITY };
        }
        self.bind();
    }

    /// Finds the most that one of those that are left can be worth.
    fn bind(&mut self) {
        self.bound =
            self.worth.iter().fold(f32::NEG_INFINITY, |bound, worth| if *worth > bound { *worth } else { bound });
    }
}

fn set<T>(all: &mut [T; ROWS], place: usize, value: T) {
    if let Some(one) = all.get_mut(place) {
        *one = value;
    }
}

/// What the steps of a copy are worth.
#[derive(Clone, Copy)]
pub struct Copied {
    /// What one of them is worth.
    pub scale: f32,
    /// Squared length: 0 but for l2.
    pub squares: f32,
}
