//! Options and indexes: one of each kind that servers build, on the collection where a shop would have it.

/// Options and indexes of one collection, as text of a metadata file.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Definition {
    pub capped: bool,
    pub options: &'static str,
    /// Each with a comma in front.
    pub indexes: &'static str,
}

pub(super) const VIEW: &str = "open_orders";
pub(super) const VIEW_OPTIONS: &str = r#"{"viewOn":"orders","pipeline":[{"$match":{"status":{"$in":["placed","paid"]}}},{"$project":{"lines":{"$numberInt":"0"}}}]}"#;

pub(super) fn of(name: &str) -> Definition {
    let (options, indexes) = match name {
        "customers" => (
            r#"{"validator":{"$jsonSchema":{"bsonType":"object","required":["name","email","since"]}},"validationLevel":"strict","validationAction":"error"}"#,
            concat!(
                r#",{"v":{"$numberInt":"2"},"unique":true,"key":{"email":{"$numberInt":"1"}},"name":"email_1"}"#,
                r#",{"v":{"$numberInt":"2"},"sparse":true,"key":{"loyalty_card":{"$numberInt":"1"}},"name":"loyalty_card_1"}"#,
                r#",{"v":{"$numberInt":"2"},"key":{"address.location":"2dsphere"},"name":"address.location_2dsphere","2dsphereIndexVersion":{"$numberInt":"3"}}"#,
            ),
        ),
        "products" => (
            "",
            concat!(
                r#",{"v":{"$numberInt":"2"},"key":{"_fts":"text","_ftsx":{"$numberInt":"1"}},"name":"name_text_description_text","weights":{"name":{"$numberInt":"10"},"description":{"$numberInt":"1"}},"default_language":"english","language_override":"language","textIndexVersion":{"$numberInt":"3"}}"#,
                r#",{"v":{"$numberInt":"2"},"key":{"tags":{"$numberInt":"1"},"price":{"$numberInt":"-1"}},"name":"tags_1_price_-1"}"#,
            ),
        ),
        "orders" => (
            "",
            concat!(
                r#",{"v":{"$numberInt":"2"},"key":{"customer":{"$numberInt":"1"},"placed":{"$numberInt":"-1"}},"name":"of a customer, newest first"}"#,
                r#",{"v":{"$numberInt":"2"},"key":{"status":{"$numberInt":"1"}},"name":"status_1","partialFilterExpression":{"total":{"$gt":{"$numberDecimal":"100.00"}}}}"#,
            ),
        ),
        "order_events" => ("", r#",{"v":{"$numberInt":"2"},"key":{"order":"hashed"},"name":"order_hashed"}"#),
        "carts" => (
            "",
            // Thirty years: no server's clean-up may take anything while the data are looked at.
            r#",{"v":{"$numberInt":"2"},"key":{"touched":{"$numberInt":"1"}},"name":"touched_1","expireAfterSeconds":{"$numberInt":"1000000000"}}"#,
        ),
        "reviews" => (
            "",
            r#",{"v":{"$numberInt":"2"},"key":{"_id.product":{"$numberInt":"1"},"stars":{"$numberInt":"-1"}},"name":"_id.product_1_stars_-1"}"#,
        ),
        "recent_searches" => return Definition { capped: true, ..Definition::default() },
        _ => ("", ""),
    };
    Definition { capped: false, options, indexes }
}
