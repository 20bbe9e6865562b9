//! Names of pipelines and what they are sorted by, checked once where they enter.

use capstan_ids::{name, printable};
use std::collections::BTreeMap;

name!(
    /// Which pipeline: nobody else's while it is registered.
    PipelineId, "pipeline id", "1 to 256 bytes without control characters, and not blank",
    |t| (1..=256).contains(&t.len()) && printable(t) && !t.trim().is_empty()
);
name!(
    /// What people call a pipeline; two may have the same.
    PipelineName, "pipeline name", "1 to 100 printable characters, and not blank",
    |t| (1..=100).contains(&t.chars().count()) && printable(t) && !t.trim().is_empty()
);
name!(
    /// A team, project or namespace that pipelines are listed by.
    PipelineGroup, "pipeline group", "1 to 100 printable characters, and not blank",
    |t| (1..=100).contains(&t.chars().count()) && printable(t) && !t.trim().is_empty()
);
name!(
    /// What a label says something about.
    LabelKey, "label key", "1 to 63 characters of A-Z a-z 0-9 . _ - /",
    |t| (1..=63).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/".contains(&b))
);
name!(
    /// What a label says.
    LabelValue, "label value", "at most 256 bytes without control characters",
    |t| t.len() <= 256 && printable(t)
);

/// What else is known of a pipeline, in words of its owner; the registry only keeps them.
pub type Labels = BTreeMap<LabelKey, LabelValue>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_to_a_hundred_printable_characters_and_not_blank() {
        for good in ["User Events Pipeline", "x", "ünïcode → ✓", &"é".repeat(100)] {
            assert_eq!(PipelineName::new(good).unwrap().as_str(), good);
        }
        for bad in ["", " ", "\u{a0}\t", "a\nb", "a\u{0}", &"x".repeat(101)] {
            assert!(PipelineName::new(bad).is_err(), "{bad:?}");
        }
        assert_eq!(
            PipelineName::new(" ").unwrap_err().to_string(),
            "pipeline name must be 1 to 100 printable characters, and not blank, found \" \""
        );
    }

    #[test]
    fn an_id_that_cannot_be_is_refused_where_it_is_read_too() {
        let bytes = minicbor::to_vec("").unwrap();
        assert!(minicbor::decode::<PipelineId>(&bytes).is_err());
        for bad in ["", "  ", "a\u{7}", &"x".repeat(257)] {
            assert!(PipelineId::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn labels_have_plain_keys_and_may_have_empty_values() {
        assert!(LabelKey::new("team.example/owner").is_ok());
        assert!(LabelKey::new("with space").is_err());
        assert!(LabelValue::new("").is_ok());
        assert!(LabelValue::new("x".repeat(257)).is_err());
    }
}
