//! Options and indexes of every kind reach a server that has them all, and lose nothing on their way.

#![allow(clippy::unwrap_used, reason = "a failing test panics")]

mod keeper;
mod wire;

use bson::{Document, doc};
use capstan_endpoint::{Adapter, ExtJson, Unit, UnitKind, WritePlan};
use capstan_mongodb::MongoAdapter;

use keeper::{Instead, Keeper, unit};

fn json(text: &str) -> ExtJson {
    ExtJson::parse(text).unwrap()
}

const INDEXES: [&str; 14] = [
    r#"{"v":2,"key":{"_id":1},"name":"_id_"}"#,
    r#"{"v":2,"key":{"b":1,"a":-1},"name":"order"}"#,
    r#"{"v":2,"key":{"u":1},"name":"unique","unique":true}"#,
    r#"{"v":2,"key":{"p":1},"name":"partial","partialFilterExpression":{"p":{"$gt":5},"q":{"$exists":true}}}"#,
    r#"{"v":2,"key":{"s":1},"name":"sparse","sparse":true}"#,
    r#"{"v":2,"key":{"t":1},"name":"ttl","expireAfterSeconds":3600}"#,
    r#"{"v":2,"key":{"_fts":"text","_ftsx":1},"name":"text","weights":{"body":1,"title":10},"default_language":"german","language_override":"lang","textIndexVersion":3}"#,
    r#"{"v":2,"key":{"h":"hashed"},"name":"hashed"}"#,
    r#"{"v":2,"key":{"g":"2dsphere"},"name":"sphere","2dsphereIndexVersion":3}"#,
    r#"{"v":2,"key":{"f":"2d"},"name":"flat","bits":20,"min":-10.5,"max":10.5}"#,
    r#"{"v":2,"key":{"$**":1},"name":"wildcard","wildcardProjection":{"a":1,"b":1}}"#,
    r#"{"v":2,"key":{"hidden":1},"name":"hidden","hidden":true}"#,
    r#"{"v":2,"key":{"c":1},"name":"collated","collation":{"locale":"fr","strength":2}}"#,
    r#"{"v":2,"key":{"w":1},"name":"prepared","prepareUnique":true}"#,
];

/// Each option of a collection that `listCollections` shows, in collections that may have them together.
const OPTIONS: [(&str, UnitKind); 6] = [
    (
        r#"{"validator":{"$jsonSchema":{"required":["z","a"],"properties":{"z":{"bsonType":"int"}}}},"validationLevel":"moderate","validationAction":"warn"}"#,
        UnitKind::Collection,
    ),
    (r#"{"capped":true,"size":{"$numberLong":"1048576"},"max":{"$numberInt":"100"}}"#, UnitKind::Collection),
    (r#"{"collation":{"locale":"de","strength":1,"caseLevel":false}}"#, UnitKind::Collection),
    (
        r#"{"clusteredIndex":{"v":2,"key":{"_id":1},"name":"_id_","unique":true},"expireAfterSeconds":{"$numberLong":"60"},"changeStreamPreAndPostImages":{"enabled":true}}"#,
        UnitKind::Collection,
    ),
    (
        r#"{"timeseries":{"timeField":"t","metaField":"m","granularity":"minutes","bucketMaxSpanSeconds":86400},"expireAfterSeconds":{"$numberLong":"60"}}"#,
        UnitKind::TimeSeries,
    ),
    (r#"{"viewOn":"base","pipeline":[{"$match":{"z":1,"a":2}}],"collation":{"locale":"fr"}}"#, UnitKind::View),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_index_is_built_as_it_was_listed() {
    let keeper = Keeper::default();
    let serving = keeper.serve().await;
    let sink = MongoAdapter.sink(&serving.url.parse().unwrap(), "job").await.unwrap();
    let unit = Unit { indexes: INDEXES.map(json).into(), ..unit("b") };

    sink.prepare(&unit, &WritePlan::default()).await.unwrap();
    assert_eq!(sink.finish_unit(&unit, &WritePlan::default(), &[]).await.unwrap(), []);

    let held = keeper.0.lock().unwrap();
    for wanted in INDEXES.map(|index| json(index).to_document()) {
        let built = held.indexes["b"].iter().filter(|index| index.get("name") == wanted.get("name"));
        let built: Vec<&Document> = built.collect();
        assert_eq!(built.len(), 1, "{wanted}");
        for (name, value) in &wanted {
            // Versions are the target's own affair.
            if name != "v" && !name.ends_with("IndexVersion") {
                assert_eq!(built[0].get(name), Some(value), "{name} of {wanted}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_option_of_a_collection_arrives_as_it_was_listed() {
    for (options, kind) in OPTIONS {
        let keeper = Keeper::default();
        let serving = keeper.serve().await;
        let sink = MongoAdapter.sink(&serving.url.parse().unwrap(), "job").await.unwrap();
        let unit = Unit { options: Some(json(options)), kind, ..unit("b") };

        assert_eq!(sink.prepare(&unit, &WritePlan::default()).await.unwrap(), [], "{options}");

        let held = keeper.0.lock().unwrap();
        let created = held.collections["b"].get_document("options").unwrap();
        assert_eq!(*created, json(options).to_document());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_compares_bytes_keeps_doing_so_in_a_collection_with_a_collation() {
    let keeper = Keeper::default();
    let serving = keeper.serve().await;
    let sink = MongoAdapter.sink(&serving.url.parse().unwrap(), "job").await.unwrap();
    let unit = Unit {
        options: Some(json(r#"{"collation":{"locale":"de"}}"#)),
        indexes: [
            r#"{"v":2,"key":{"_id":1},"name":"_id_","collation":{"locale":"de"}}"#,
            r#"{"v":2,"key":{"a":1},"name":"bytes"}"#,
            r#"{"v":2,"key":{"b":1},"name":"words","collation":{"locale":"de"}}"#,
        ]
        .map(json)
        .into(),
        ..unit("b")
    };

    sink.prepare(&unit, &WritePlan::default()).await.unwrap();
    assert_eq!(sink.finish_unit(&unit, &WritePlan::default(), &[]).await.unwrap(), []);

    let held = keeper.0.lock().unwrap();
    let locale = |name: &str| {
        let index =
            held.indexes["b"].iter().find(|index| index.get_str("name").is_ok_and(|found| found == name)).unwrap();
        index.get_document("collation").ok().map(|collation| collation.get_str("locale").unwrap().to_owned())
    };
    assert_eq!((locale("bytes").as_deref(), locale("words").as_deref()), (Some("simple"), Some("de")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_refuses_is_listed_and_everything_else_is_there() {
    let keeper = Keeper::default();
    let no = |what: &str| Instead::Answer(doc! { "ok": 0, "code": 67, "errmsg": format!("{what} is not supported") });
    let serving = keeper
        .serve_but(move |command| {
            if command.contains_key("create") && command.contains_key("validator") {
                return Some(no("validator"));
            }
            let indexes = command.get_array("indexes").ok()?;
            let text = indexes.iter().any(|index| index.as_document().unwrap().contains_key("weights"));
            text.then(|| no("a text index"))
        })
        .await;
    let sink = MongoAdapter.sink(&serving.url.parse().unwrap(), "job").await.unwrap();
    let options = r#"{"capped":true,"size":4096,"validator":{"a":1},"validationLevel":"off"}"#;
    let unit = Unit { options: Some(json(options)), indexes: INDEXES.map(json).into(), ..unit("b") };

    let mut aside = sink.prepare(&unit, &WritePlan::default()).await.unwrap();
    aside.extend(sink.finish_unit(&unit, &WritePlan::default(), &[]).await.unwrap());

    let told: Vec<&str> = aside.iter().map(|aside| aside.what.as_str()).collect();
    assert_eq!(told, ["option validator of a.b", "option validationLevel of a.b", "index text of a.b"]);
    assert!(aside.iter().all(|aside| !aside.reason.is_empty()));
    let held = keeper.0.lock().unwrap();
    assert_eq!(held.indexes["b"].len(), INDEXES.len() - 1);
    assert!(held.collections["b"].get_document("options").unwrap().contains_key("capped"));
}
