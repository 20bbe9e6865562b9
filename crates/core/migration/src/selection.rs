//! Which collections are moved, and what they are called at the target.

use crate::name::Namespace;
use crate::spec::{Priority, Spec};

/// `db.coll` with `*` for any characters, dots included.
///
/// Where there are several ways to match, each `*` takes as little as it can, from the left; the last takes the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// What stands between the wildcards; always one more than there are wildcards.
    fixed: Vec<Box<str>>,
}

impl Pattern {
    /// Reads a pattern. A name without a dot could mean a database or a collection, so it is refused.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("is empty; write db.coll, db.* or *".into());
        }
        if text != "*" && !text.contains('.') {
            return Err(format!("{text:?} names no collection; write {text}.* for the whole database {text}"));
        }
        if text.starts_with('.') || text.ends_with('.') {
            return Err(format!("{text:?} lacks a database or a collection; write db.coll, db.* or *"));
        }
        Ok(Self { fixed: text.split('*').map(Into::into).collect() })
    }

    /// How many wildcards it has.
    pub fn wildcards(&self) -> usize {
        self.fixed.len() - 1
    }

    /// Whether it matches.
    pub fn matches(&self, name: &str) -> bool {
        self.captures(name).is_some()
    }

    /// What each wildcard matched, if the whole does.
    pub fn captures<'a>(&self, name: &'a str) -> Option<Vec<&'a str>> {
        let (first, rest) = self.fixed.split_first().expect("a pattern has a first part");
        let mut left = name.strip_prefix(&**first)?;
        let Some((last, middle)) = rest.split_last() else { return left.is_empty().then(Vec::new) };
        let mut captures = Vec::with_capacity(rest.len());
        for part in middle {
            let at = left.find(&**part)?;
            captures.push(&left[..at]);
            left = &left[at + part.len()..];
        }
        // As little as possible for all but the last leaves the most for the end to be found in.
        captures.push(left.strip_suffix(&**last)?);
        Some(captures)
    }

    /// The pattern with its wildcards replaced.
    fn filled(&self, captures: &[&str]) -> String {
        let mut text = String::from(&*self.fixed[0]);
        for (capture, part) in captures.iter().zip(&self.fixed[1..]) {
            text.push_str(capture);
            text.push_str(part);
        }
        text
    }
}

/// A specification's choice of collections, ready to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    include: Vec<Pattern>,
    exclude: Vec<Pattern>,
    renames: Vec<(Pattern, Pattern)>,
    filters: Vec<(Pattern, Box<str>)>,
}

impl Selection {
    /// Reads a specification's patterns; `Err` names each that is wrong by its field and place.
    pub fn of(spec: &Spec) -> Result<Self, Vec<(String, String)>> {
        let mut faults = Vec::new();
        let mut read = |field: String, text: &str| match Pattern::parse(text) {
            Ok(pattern) => Some(pattern),
            Err(problem) => {
                faults.push((field, problem));
                None
            }
        };
        let mut list = |field: &str, texts: &[String]| -> Vec<Pattern> {
            let patterns = texts.iter().enumerate();
            patterns.filter_map(|(place, text)| read(format!("{field}[{place}]"), text)).collect()
        };
        let (include, exclude) = (list("include", &spec.include), list("exclude", &spec.exclude));
        let filters: Vec<_> = spec
            .filters
            .iter()
            .enumerate()
            .filter_map(|(place, filter)| {
                let pattern = read(format!("filters[{place}].collection"), &filter.collection)?;
                Some((pattern, filter.query.as_str().into()))
            })
            .collect();
        let mut renames = Vec::new();
        for (place, rename) in spec.renames.iter().enumerate() {
            let from = read(format!("renames[{place}].from"), &rename.from);
            let to = read(format!("renames[{place}].to"), &rename.to);
            if let (Some(from), Some(to)) = (from, to) {
                renames.push((from, to));
            }
        }
        for (place, (from, to)) in renames.iter().enumerate() {
            if to.wildcards() > from.wildcards() {
                let problem = format!("has {} wildcards where `from` has {}", to.wildcards(), from.wildcards());
                faults.push((format!("renames[{place}].to"), problem));
            }
        }
        if faults.is_empty() { Ok(Self { include, exclude, renames, filters }) } else { Err(faults) }
    }

    /// The same for collections that were added to a job: they stand in for what is included. What is excluded stays so.
    pub(crate) fn of_those(spec: &Spec, only: &[String]) -> Result<Self, Vec<(String, String)>> {
        if only.is_empty() {
            return Self::of(spec);
        }
        Self::of(&Spec { include: only.to_vec(), ..spec.clone() })
    }

    /// Whether the collection is moved.
    pub fn takes(&self, source: &Namespace) -> bool {
        let name = source.to_string();
        let included = self.include.is_empty() || self.include.iter().any(|pattern| pattern.matches(&name));
        included && !self.exclude.iter().any(|pattern| pattern.matches(&name))
    }

    /// What it is called at the target. `Err` says why the renamed name is none.
    pub fn target(&self, source: &Namespace) -> Result<Namespace, String> {
        let name = source.to_string();
        let renamed = self.renames.iter().find_map(|(from, to)| Some(to.filled(&from.captures(&name)?)));
        match renamed {
            None => Ok(source.clone()),
            Some(renamed) => Namespace::parse(&renamed)
                .ok_or_else(|| format!("{name} would become {renamed:?}, which is no database.collection")),
        }
    }

    /// Which documents of it are moved; none means all.
    pub fn filter(&self, source: &Namespace) -> Option<&str> {
        let name = source.to_string();
        self.filters.iter().find(|(pattern, _)| pattern.matches(&name)).map(|(_, query)| &**query)
    }
}

/// Which collections go before others; the first that matches is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranking(Vec<(Pattern, i16)>);

/// How far one step of a collection's priority lifts its items: above every difference between stages.
const STEP: i16 = 100;

impl Ranking {
    /// Reads patterns that were checked when they came in; what is none ranks nothing.
    pub fn of(priorities: &[Priority]) -> Self {
        let known = |ranked: &Priority| Some((Pattern::parse(&ranked.collection).ok()?, ranked.priority));
        Self(priorities.iter().filter_map(known).collect())
    }

    /// What is added to the priority of a stage, where something is said of the collection.
    pub fn of_collection(&self, name: &str) -> Option<i16> {
        let (_, priority) = self.0.iter().find(|(pattern, _)| pattern.matches(name))?;
        Some(priority.saturating_mul(STEP))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Rename;

    #[test]
    fn wildcards_match_as_the_table_says() {
        for (pattern, name, captures) in [
            ("shop.orders", "shop.orders", Some(vec![])),
            ("shop.orders", "shop.orders2", None),
            ("shop.*", "shop.orders", Some(vec!["orders"])),
            ("shop.*", "shop.a.b", Some(vec!["a.b"])),
            ("shop.*", "shopping.a", None),
            ("*.orders", "shop.orders", Some(vec!["shop"])),
            ("*.orders", "shop.old.orders", Some(vec!["shop.old"])),
            ("*", "a.b", Some(vec!["a.b"])),
            ("*.*", "a.b.c", Some(vec!["a", "b.c"])),
            ("a*.b*c", "ax.bcc", Some(vec!["x", "c"])),
            ("a.x*y*z", "a.xyyzz", Some(vec!["", "yz"])),
            ("a.**", "a.bc", Some(vec!["", "bc"])),
            ("a.ab*ba", "a.aba", None),
            ("ä.*ß", "ä.größ", Some(vec!["grö"])),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().captures(name), captures, "{pattern} on {name}");
        }
    }

    #[test]
    fn what_could_mean_two_things_is_refused() {
        for bad in ["", "shop", ".orders", "shop.", "sh*p"] {
            assert!(Pattern::parse(bad).is_err(), "{bad:?}");
        }
    }

    fn renaming(pairs: &[(&str, &str)]) -> Selection {
        let renames = pairs.iter().map(|(from, to)| Rename { from: (*from).into(), to: (*to).into() }).collect();
        Selection::of(&Spec { renames, ..Spec::default() }).unwrap()
    }

    #[test]
    fn renames_fill_their_wildcards_and_the_first_that_matches_is_taken() {
        let renames = renaming(&[("shop.orders", "shop.o"), ("shop.*", "store.s_*"), ("*.log", "logs.*")]);
        for (from, to) in
            [("shop.orders", "shop.o"), ("shop.users", "store.s_users"), ("web.log", "logs.web"), ("web.x", "web.x")]
        {
            let target = renames.target(&Namespace::parse(from).unwrap()).unwrap();
            assert_eq!(target.to_string(), to, "{from}");
        }
    }

    #[test]
    fn a_rename_with_more_wildcards_than_it_matched_is_refused() {
        let renames = vec![Rename { from: "a.*".into(), to: "*.*".into() }];
        let faults = Selection::of(&Spec { renames, include: vec!["shop".into()], ..Spec::default() }).unwrap_err();
        let fields: Vec<_> = faults.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(fields, ["include[0]", "renames[0].to"]);
    }

    #[test]
    fn what_is_excluded_is_left_out_of_what_is_included() {
        let spec = Spec { include: vec!["shop.*".into()], exclude: vec!["*.tmp_*".into()], ..Spec::default() };
        let selection = Selection::of(&spec).unwrap();
        for (name, taken) in [("shop.orders", true), ("shop.tmp_1", false), ("web.orders", false)] {
            assert_eq!(selection.takes(&Namespace::parse(name).unwrap()), taken, "{name}");
        }
    }
}
