//! Candidates of a fast choice, as many as are compared at a time, and what each is worth.

use crate::kernels::int8_rows::ROWS;

/// Candidates that were met, as many as the kernel compares at a time. Copies of them follow one another.
pub struct Few {
    /// Positions among the candidates.
    pub at: [usize; ROWS],
    /// Which are candidates, and not chosen.
    left: [bool; ROWS],
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
        at: [0; ROWS],
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
    pub fn put(&mut self, place: usize, at: usize, score: f32, copied: Copied) {
        set(&mut self.at, place, at);
        set(&mut self.left, place, true);
        set(&mut self.score, place, score);
        set(&mut self.scale, place, copied.scale);
        set(&mut self.squares, place, copied.squares);
        set(&mut self.worth, place, f32::INFINITY);
    }

    /// Takes the candidate out of those that are left.
    pub fn take(&mut self, place: usize) -> Option<Copied> {
        set(&mut self.left, place, false);
        set(&mut self.score, place, f32::NEG_INFINITY);
        set(&mut self.worth, place, f32::NEG_INFINITY);
        self.bind();
        Some(Copied { scale: *self.scale.get(place)?, squares: *self.squares.get(place)? })
    }

    /// Position and worth of each that is left, and its place among these.
    pub fn each(&self) -> impl Iterator<Item = (usize, usize, f32)> {
        let all = self.at.iter().zip(&self.worth).zip(&self.left).enumerate();
        all.filter_map(|(place, ((at, worth), left))| left.then_some((place, *at, *worth)))
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
    pub fn weigh(&mut self, lambda: f32) {
        for ((worth, score), nearest) in self.worth.iter_mut().zip(self.score).zip(self.nearest) {
            *worth = lambda * score - (1.0 - lambda) * nearest;
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
