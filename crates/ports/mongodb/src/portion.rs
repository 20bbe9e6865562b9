//! How many documents a reader asks for at once.

use capstan_endpoint::{BATCH_DOCUMENTS, Estimate};

/// What an answer is to weigh. Whatever documents weigh, a reader holds about one answer and a few batches.
const ANSWER_BYTES: u64 = 8 << 20;
/// No server that cuts its answers itself, as MongoDB does, gives more at once.
const CUT_BYTES: u64 = 17 << 20;
/// An answer that weighs less could have held more documents.
const LIGHT_BYTES: u64 = 1 << 20;
/// So many light answers in a row show that heavy documents lie behind, and not only between, light ones.
const LIGHT_ANSWERS: u32 = 16;

/// Documents in one answer: as many as weigh about 8 MiB, by what is known of them.
///
/// Servers of other makes than MongoDB's give as many as they are asked for, and an answer above 48 MB is received by nobody.
#[derive(Debug)]
pub(crate) struct Portion {
    documents: u32,
    light: u32,
}

impl Portion {
    /// By the average document, or small ones where that is not known.
    pub fn of(estimate: Estimate) -> Self {
        let average = match (estimate.bytes, estimate.documents) {
            (Some(bytes), Some(documents)) if documents > 0 => bytes / documents,
            _ => 0,
        };
        Self { documents: fitting(average), light: 0 }
    }

    pub fn documents(&self) -> u32 {
        self.documents
    }

    /// An answer was too much. Says whether fewer can be asked for.
    pub fn shrink(&mut self) -> bool {
        let before = self.documents;
        (self.documents, self.light) = ((before / 4).max(1), 0);
        self.documents < before
    }

    /// An answer of so many documents and bytes has come. Says whether it is worth asking anew, for fewer or for more.
    pub fn weigh(&mut self, documents: u64, bytes: u64, may_grow: bool) -> bool {
        let before = self.documents;
        let light = bytes < LIGHT_BYTES && documents >= u64::from(before);
        self.light = if light { self.light + 1 } else { 0 };
        if bytes > CUT_BYTES && documents > 1 {
            self.documents = fitting(bytes / documents).min(before.div_ceil(2));
        } else if may_grow && before < BATCH_DOCUMENTS && self.light >= LIGHT_ANSWERS {
            self.documents = before.saturating_mul(4).min(fitting(bytes / documents.max(1)));
            self.light = 0;
        }
        self.documents != before
    }
}

/// How many documents of an average weigh what an answer may.
fn fitting(average: u64) -> u32 {
    let documents = (ANSWER_BYTES / average.max(1)).clamp(1, u64::from(BATCH_DOCUMENTS));
    u32::try_from(documents).expect("a thousand at most")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn of(documents: Option<u64>, bytes: Option<u64>) -> Portion {
        Portion::of(Estimate { documents, bytes })
    }

    #[test]
    fn an_answer_weighs_about_8_mib_by_the_average_document_and_holds_one_at_least() {
        let documents = |documents, bytes| of(documents, bytes).documents();
        assert_eq!(documents(Some(1_000_000), Some(300_000_000)), 1_000);
        assert_eq!(documents(Some(100), Some(100 * 100_000)), 83);
        assert_eq!(documents(Some(24), Some(24 * 16 * MIB)), 1);
        assert_eq!(
            (documents(None, Some(5)), documents(Some(0), Some(5)), documents(None, None)),
            (1_000, 1_000, 1_000)
        );
    }

    #[test]
    fn what_was_too_much_is_quartered_down_to_one_document() {
        let mut portion = of(None, None);
        let asked: Vec<u32> = std::iter::from_fn(|| portion.shrink().then(|| portion.documents())).collect();
        assert_eq!(asked, [250, 62, 15, 3, 1]);
    }

    #[test]
    fn heavy_answers_shrink_what_is_asked_for_and_many_light_ones_let_it_grow_again() {
        let mut portion = of(None, None);
        assert!(!portion.weigh(1_000, 16 * MIB, true), "as much as a server gives that cuts its answers");
        assert!(portion.weigh(1_000, 40 * MIB, true));
        assert_eq!(portion.documents(), 200);
        assert!(!portion.weigh(1, 40 * MIB, true), "one document cannot be fewer");

        let grown = (1..=100).find(|_| portion.weigh(200, MIB / 2, true));
        assert_eq!((grown, portion.documents()), (Some(LIGHT_ANSWERS), 800));
        assert!(
            (1..=100).all(|_| !portion.weigh(800, MIB / 2, false)),
            "where beginning anew costs a count from the start"
        );
    }
}
