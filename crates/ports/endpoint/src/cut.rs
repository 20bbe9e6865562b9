//! Cutting a unit into ranges while it is walked, when its size is not known beforehand.

use crate::SplitTarget;

/// A stretch of a unit between two boundaries of documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stretch<P> {
    pub start: P,
    pub end: P,
    pub documents: u64,
    pub bytes: u64,
}

/// Gathers documents into stretches near a target, and never more stretches than it allows.
///
/// Whenever there are too many, neighbours are joined in pairs and the target doubles, so one pass is enough.
pub(crate) struct Cutter<P> {
    stretches: Vec<Stretch<P>>,
    open: Option<Stretch<P>>,
    documents: u64,
    bytes: u64,
    stretches_max: usize,
}

impl<P: Copy> Cutter<P> {
    pub(crate) fn new(target: &SplitTarget) -> Self {
        Self {
            stretches: Vec::new(),
            open: None,
            documents: target.documents.max(1),
            bytes: target.bytes.max(1),
            stretches_max: target.chunks_max.max(1) as usize,
        }
    }

    /// A document of so many bytes lies between two places.
    pub(crate) fn document(&mut self, start: P, end: P, bytes: u64) {
        let open = self.open.get_or_insert(Stretch { start, end, documents: 0, bytes: 0 });
        open.end = end;
        open.documents += 1;
        open.bytes += bytes;
        if open.documents >= self.documents || open.bytes >= self.bytes {
            self.stretches.extend(self.open.take());
            if self.stretches.len() > self.stretches_max {
                self.join_neighbours();
            }
        }
    }

    /// The stretches, in order; none for a unit without documents.
    pub(crate) fn finish(mut self) -> Vec<Stretch<P>> {
        self.stretches.extend(self.open.take());
        while self.stretches.len() > self.stretches_max {
            self.join_neighbours();
        }
        self.stretches
    }

    fn join_neighbours(&mut self) {
        self.stretches = self
            .stretches
            .chunks(2)
            .map(|pair| Stretch {
                start: pair[0].start,
                end: pair[pair.len() - 1].end,
                documents: pair.iter().map(|stretch| stretch.documents).sum(),
                bytes: pair.iter().map(|stretch| stretch.bytes).sum(),
            })
            .collect();
        self.documents = self.documents.saturating_mul(2);
        self.bytes = self.bytes.saturating_mul(2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(sizes: &[u64], documents: u64, bytes: u64, chunks_max: u32) -> Vec<Stretch<u64>> {
        let mut cutter = Cutter::new(&SplitTarget { documents, bytes, chunks_max });
        let mut at = 0;
        for size in sizes {
            cutter.document(at, at + size, *size);
            at += size;
        }
        cutter.finish()
    }

    #[test]
    fn stretches_touch_cover_all_and_stay_within_the_number_allowed() {
        for sizes in [vec![], vec![5], vec![5; 1_000], (5..200).collect(), vec![5, 5_000, 5, 5, 9_000]] {
            for (documents, bytes, chunks_max) in
                [(1, 1, 1), (1, 1, 7), (10, 1 << 20, 1_000), (1 << 20, 100, 50), (0, 0, 0)]
            {
                let stretches = cut(&sizes, documents, bytes, chunks_max);
                assert!(stretches.len() <= chunks_max.max(1) as usize);
                assert!(stretches.windows(2).all(|pair| pair[0].end == pair[1].start));
                assert_eq!(stretches.iter().map(|s| s.documents).sum::<u64>(), sizes.len() as u64);
                assert_eq!(stretches.last().map_or(0, |s| s.end), sizes.iter().sum::<u64>());
                assert!(stretches.iter().all(|s| s.end - s.start == s.bytes));
            }
        }
    }

    #[test]
    fn a_target_that_fits_is_met() {
        let stretches = cut(&[10; 100], 25, 1 << 20, 100);
        assert_eq!(stretches.iter().map(|s| s.documents).collect::<Vec<_>>(), [25; 4]);
    }
}
