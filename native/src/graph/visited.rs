//! The rows that a walk has met: a tag a row, so that a new walk forgets them all at once.

/// Tags by row, kept by a thread from walk to walk.
#[derive(Default)]
pub struct Visited {
    tags: Vec<u16>,
    tag: u16,
}

impl Visited {
    /// Forgets everything and makes room for `rows`.
    pub fn begin(&mut self, rows: usize) {
        if self.tags.len() < rows {
            self.tags.resize(rows, self.tag);
        }
        self.tag = self.tag.checked_add(1).unwrap_or_else(|| {
            self.tags.fill(0);
            1
        });
    }

    /// Marks a row; whether it was new, which a row without room is not.
    #[inline(always)]
    pub fn insert(&mut self, row: u32) -> bool {
        self.tags.get_mut(row as usize).is_some_and(|tag| std::mem::replace(tag, self.tag) != self.tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_walk_starts_afresh_over_the_wrap() {
        let mut visited = Visited::default();
        for walk in 0..70_000 {
            visited.begin(3 + walk / 30_000);
            assert!(visited.insert(1) && !visited.insert(1) && visited.insert(2), "{walk}");
            assert!(!visited.insert(900));
        }
    }
}
