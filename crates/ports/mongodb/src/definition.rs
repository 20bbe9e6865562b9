//! What a collection is created with, and what of that a server has kept.

use bson::{Bson, Document, doc};
use capstan_endpoint::{ExtJson, Result, SetAside, Unit, UnitKind};

use crate::fault::{self, Fault};
use crate::listing::{self, Found};
use crate::marks;
use crate::server::Server;

/// Creates a collection or view with its options. Those that the server refuses, or takes and does not keep, are set
/// aside, and the collection is created without them.
pub(crate) async fn create(server: &Server, unit: &Unit) -> Result<Vec<SetAside>> {
    let wanted = unit.options.as_ref().map(ExtJson::to_document).unwrap_or_default();
    let mut options = wanted.clone();
    let mut refused = Vec::new();
    loop {
        let mut command = doc! { "create": &unit.namespace.collection };
        command.extend(options.clone());
        let error = match server.run(&unit.namespace.database, command).await {
            Ok(_) => break,
            Err(error) if fault::code(&error) == Some(fault::NAMESPACE_EXISTS) => break,
            Err(error) => error,
        };
        let said = fault::said(&error);
        match fault::of(&error) {
            Fault::Never | Fault::Refused | Fault::Document
                if !options.is_empty() && said.code != Some(INVALID_NAMESPACE) =>
            {
                let name = blamed(&options, &said.message);
                refused.push(aside(unit, &name, format!("refused: {said}")));
                match (unit.kind, name.as_str()) {
                    // Without these it would be something else of the same name.
                    (UnitKind::View, _) => return Ok(refused),
                    (UnitKind::TimeSeries, "timeseries") => {
                        return Err(server.failed("creating a time-series collection", &error));
                    }
                    _ => {}
                }
                options.remove(&name);
                // What only has a meaning beside it goes with it.
                for (of, with) in BELONG_TOGETHER {
                    for name in with.iter().filter(|_| name == *of) {
                        if options.remove(name).is_some() {
                            refused.push(aside(unit, name, format!("means nothing without {of}")));
                        }
                    }
                }
            }
            _ => return Err(server.failed("creating a collection", &error)),
        }
    }
    let found = listing::collections(server, &unit.namespace.database, Some(&unit.namespace.collection)).await?;
    refused.extend(unkept(unit, &options, found.first()));
    if unit.kind == UnitKind::View && found.first().is_some_and(|found| found.kind != UnitKind::View) {
        // It took the definition of a view and made an empty collection of it.
        marks::drop_collection(server, &unit.namespace.database, &unit.namespace.collection).await?;
    }
    Ok(refused)
}

const INVALID_NAMESPACE: i32 = 73;

/// Options that mean nothing without another one.
const BELONG_TOGETHER: &[(&str, &[&str])] = &[
    ("capped", &["size", "max"]),
    ("validator", &["validationLevel", "validationAction"]),
    ("viewOn", &["pipeline"]),
    ("timeseries", &["expireAfterSeconds"]),
];

/// What lists a collection that is there already differently from what is wanted.
pub(crate) fn differing(unit: &Unit, found: &Found) -> Vec<SetAside> {
    let wanted = unit.options.as_ref().map(ExtJson::to_document).unwrap_or_default();
    unkept(unit, &wanted, Some(found))
}

/// Options that the server does not list as they were given.
fn unkept(unit: &Unit, wanted: &Document, found: Option<&Found>) -> Vec<SetAside> {
    let kept = found.and_then(|found| found.options.as_ref());
    let kept = kept.and_then(|options| Document::try_from(options.as_ref()).ok()).unwrap_or_default();
    let lost = wanted.iter().filter(|(name, value)| !kept.get(*name).is_some_and(|kept| covers(kept, value)));
    lost.map(|(name, _)| aside(unit, name, "the target took it, and lists the collection without it".into())).collect()
}

/// Whether a value shows all that was asked for; a server may add its defaults.
pub(crate) fn covers(kept: &Bson, wanted: &Bson) -> bool {
    match (kept, wanted) {
        (Bson::Document(kept), Bson::Document(wanted)) => {
            wanted.iter().all(|(name, value)| kept.get(name).is_some_and(|kept| covers(kept, value)))
        }
        (kept, wanted) => kept == wanted || number(kept).is_some_and(|kept| number(wanted) == Some(kept)),
    }
}

/// Numbers of definitions come back as other types: 1 as 1.0.
fn number(value: &Bson) -> Option<f64> {
    match value {
        Bson::Int32(number) => Some(f64::from(*number)),
        Bson::Int64(number) => Some(*number as f64),
        Bson::Double(number) => Some(*number),
        Bson::Boolean(value) => Some(f64::from(u8::from(*value))),
        _ => None,
    }
}

/// The option that a message speaks of, or else the last.
fn blamed(options: &Document, message: &str) -> String {
    let named = options.keys().filter(|name| message.contains(name.as_str())).max_by_key(|name| name.len());
    named.or_else(|| options.keys().last()).cloned().unwrap_or_default()
}

fn aside(unit: &Unit, option: &str, reason: String) -> SetAside {
    SetAside { what: format!("option {option} of {}", unit.namespace), reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use capstan_endpoint::Namespace;

    #[test]
    fn the_option_that_is_named_is_blamed_and_the_last_one_otherwise() {
        let options = doc! { "capped": true, "size": 5, "validationLevel": "off" };
        assert_eq!(blamed(&options, "create: support for field \"capped\""), "capped");
        assert_eq!(blamed(&options, "no"), "validationLevel");
    }

    #[test]
    fn options_that_a_server_does_not_list_are_set_aside() {
        let unit = Unit {
            options: Some(ExtJson::parse(r#"{"capped":true,"size":4096.0,"collation":{"locale":"fr"}}"#).unwrap()),
            ..Unit::collection(Namespace::new("a", "b"))
        };
        let options = crate::range::raw(&doc! { "capped": true, "size": 4096, "collation": { "locale": "de" } });
        let found = Found { name: "b".into(), kind: UnitKind::Collection, options: Some(options), uuid: None };

        let set_aside: Vec<String> = differing(&unit, &found).into_iter().map(|aside| aside.what).collect();

        assert_eq!(set_aside, ["option collation of a.b"]);
    }

    #[test]
    fn defaults_that_a_server_adds_do_not_matter() {
        let kept = Bson::Document(doc! { "locale": "fr", "strength": 3 });
        assert!(covers(&kept, &Bson::Document(doc! { "locale": "fr" })));
        assert!(!covers(&kept, &Bson::Document(doc! { "locale": "fr", "strength": 2 })));
    }
}
