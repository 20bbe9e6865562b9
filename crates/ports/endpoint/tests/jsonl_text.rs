//! Extended JSON text to BSON and back, against the bson crate and by hand.
#![allow(clippy::unwrap_used, reason = "a test's helpers may fail as tests do")]

mod shared;

use bson::oid::ObjectId;
use bson::raw::RawDocument;
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, DateTime, Decimal128, Document, JavaScriptCodeWithScope, Regex, Timestamp, doc};
use capstan_endpoint::extjson::write_document;
use capstan_endpoint::jsonl::{NESTING_MAX, TextError, parse_document};
use proptest::prelude::*;

fn parsed(text: &str) -> Result<Vec<u8>, TextError> {
    let mut out = b"before".to_vec();
    let taken = parse_document(text.as_bytes(), &mut out);
    assert!(out.starts_with(b"before"), "what stood there is left alone");
    if taken.is_err() {
        assert_eq!(out, b"before", "nothing is left of what was refused");
    }
    assert!(taken.as_ref().is_ok_and(|taken| *taken == text.trim_end().len()) || taken.is_err(), "{text}: {taken:?}");
    taken.map(|_| out.split_off(6))
}

fn written(bytes: &[u8]) -> String {
    let mut text = String::new();
    write_document(&mut text, RawDocument::from_bytes(bytes).unwrap()).unwrap();
    text
}

fn value(text: &str) -> Bson {
    let bytes = parsed(&format!(r#"{{"v":{text}}}"#)).unwrap_or_else(|e| panic!("{text}: {e}"));
    Document::from_reader(&bytes[..]).unwrap().get("v").unwrap().clone()
}

fn refused(text: &str) -> TextError {
    match parsed(&format!(r#"{{"v":{text}}}"#)) {
        Ok(bytes) => panic!("{text} was read as {:?}", Document::from_reader(&bytes[..])),
        Err(error) => error,
    }
}

#[test]
fn a_number_is_the_narrowest_that_holds_it() {
    for (text, expected) in [
        ("0", Bson::Int32(0)),
        ("-0", Bson::Int32(0)),
        ("2147483647", Bson::Int32(i32::MAX)),
        ("2147483648", Bson::Int64(1 << 31)),
        ("-2147483648", Bson::Int32(i32::MIN)),
        ("-2147483649", Bson::Int64(-(1 << 31) - 1)),
        ("9223372036854775807", Bson::Int64(i64::MAX)),
        ("-9223372036854775808", Bson::Int64(i64::MIN)),
        ("9223372036854775808", Bson::Double(9_223_372_036_854_775_808.0)),
        ("-9223372036854775809", Bson::Double(-9_223_372_036_854_775_808.0)),
        ("123456789012345678901234567890", Bson::Double(123_456_789_012_345_678_901_234_567_890.0)),
        ("1.0", Bson::Double(1.0)),
        ("1e3", Bson::Double(1000.0)),
        ("1E+3", Bson::Double(1000.0)),
        ("-0.0", Bson::Double(-0.0)),
        ("2.1", Bson::Double(2.1)),
        // Half-way cases that a careless reader rounds wrongly.
        ("9007199254740993.0", Bson::Double(9_007_199_254_740_992.0)),
        ("9007199254740993.00000000000000000000000000001", Bson::Double(9_007_199_254_740_994.0)),
        ("2.2250738585072011e-308", Bson::Double(2.225_073_858_507_201e-308)),
        ("5e-324", Bson::Double(5e-324)),
        ("1e-400", Bson::Double(0.0)),
        ("1.7976931348623157e308", Bson::Double(f64::MAX)),
        ("Infinity", Bson::Double(f64::INFINITY)),
        ("-Infinity", Bson::Double(f64::NEG_INFINITY)),
    ] {
        let found = value(text);
        assert_eq!(found, expected, "{text}");
        if let (Bson::Double(found), Bson::Double(expected)) = (found, expected) {
            assert_eq!(found.to_bits(), expected.to_bits(), "{text}");
        }
    }
    assert!(matches!(value("NaN"), Bson::Double(n) if n.is_nan()));
}

#[test]
fn every_form_that_mongoimport_reads_is_read() {
    let oid = ObjectId::parse_str("55a0f1d420a4d760b5fbdbd6").unwrap();
    let binary = |subtype, bytes: &[u8]| Bson::Binary(Binary { subtype, bytes: bytes.to_vec() });
    let date = |ms| Bson::DateTime(DateTime::from_millis(ms));
    let regex = |pattern: &str, options: &str| {
        Bson::RegularExpression(Regex { pattern: pattern.try_into().unwrap(), options: options.try_into().unwrap() })
    };
    let uuid = bson::Uuid::parse_str("c8edabc3-f738-4ca3-b68d-ab92a91478a3").unwrap();
    for (text, expected) in [
        (r#"{"$oid":"55a0f1d420a4d760b5fbdbd6"}"#, Bson::ObjectId(oid)),
        (r#"{ "$oid" : "55A0F1D420A4D760B5FBDBD6" }"#, Bson::ObjectId(oid)),
        (r#"{"$date":{"$numberLong":"-1"}}"#, date(-1)),
        (r#"{"$date":"2012-11-20T20:02:24.386Z"}"#, date(1_353_441_744_386)),
        (r#"{"$date":"2012-11-20T15:02:24.386-0500"}"#, date(1_353_441_744_386)),
        (r#"{"$date":1353441744386}"#, date(1_353_441_744_386)),
        (r#"{"$date":-5}"#, date(-5)),
        (r#"{"$numberInt":"-7"}"#, Bson::Int32(-7)),
        (r#"{"$numberLong":"7"}"#, Bson::Int64(7)),
        (r#"{"$numberLong":7}"#, Bson::Int64(7)),
        (r#"{"$numberDouble":"7"}"#, Bson::Double(7.0)),
        (r#"{"$numberDouble":"-1.5E+3"}"#, Bson::Double(-1500.0)),
        (r#"{"$numberDouble":"-Infinity"}"#, Bson::Double(f64::NEG_INFINITY)),
        (r#"{"$numberDecimal":"1.50"}"#, Bson::Decimal128("1.50".parse().unwrap())),
        (r#"{"$numberDecimal":"NaN"}"#, Bson::Decimal128("NaN".parse().unwrap())),
        (r#"{"$numberDecimal":"-Infinity"}"#, Bson::Decimal128("-Infinity".parse().unwrap())),
        (r#"{"$binary":{"base64":"AQID","subType":"00"}}"#, binary(BinarySubtype::Generic, &[1, 2, 3])),
        (r#"{"$binary":{"subType":"0","base64":"AQID"}}"#, binary(BinarySubtype::Generic, &[1, 2, 3])),
        (r#"{"$binary":{"base64":"AQID","subType":"02"}}"#, binary(BinarySubtype::BinaryOld, &[1, 2, 3])),
        (r#"{"$binary":"AQID","$type":"05"}"#, binary(BinarySubtype::Md5, &[1, 2, 3])),
        (r#"{"$type":"80","$binary":"AQID"}"#, binary(BinarySubtype::UserDefined(0x80), &[1, 2, 3])),
        (r#"{"$binary":"AQID","$type":0}"#, binary(BinarySubtype::Generic, &[1, 2, 3])),
        (r#"{"$uuid":"c8edabc3-f738-4ca3-b68d-ab92a91478a3"}"#, binary(BinarySubtype::Uuid, &uuid.bytes())),
        (r#"{"$regex":"^a/","$options":"mi"}"#, regex("^a/", "im")),
        (r#"{"$options":"","$regex":"^a"}"#, regex("^a", "")),
        (r#"{"$regularExpression":{"pattern":"^a","options":"i"}}"#, regex("^a", "i")),
        (r#"{"$regularExpression":{"options":"i","pattern":"^a"}}"#, regex("^a", "i")),
        (r#"{"$timestamp":{"t":4294967295,"i":1}}"#, Bson::Timestamp(Timestamp { time: u32::MAX, increment: 1 })),
        (r#"{"$undefined":true}"#, Bson::Undefined),
        (r#"{"$minKey":1}"#, Bson::MinKey),
        (r#"{"$maxKey":1}"#, Bson::MaxKey),
        (r#"{"$code":"f()"}"#, Bson::JavaScriptCode("f()".into())),
        (
            r#"{"$scope":{"x":{"$oid":"55a0f1d420a4d760b5fbdbd6"}},"$code":"f()"}"#,
            Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope { code: "f()".into(), scope: doc! { "x": oid } }),
        ),
        (r#"{"$symbol":"s"}"#, Bson::Symbol("s".into())),
    ] {
        assert_eq!(value(text), expected, "{text}");
    }
    let pointer = r#"{"v":{"$dbPointer":{"$ref":"a.b","$id":{"$oid":"55a0f1d420a4d760b5fbdbd6"}}}}"#;
    assert_eq!(written(&parsed(pointer).unwrap()), pointer);
}

#[test]
fn what_is_a_document_stays_one() {
    for (text, expected) in [
        (r#"{"$ref":"c","$id":{"$oid":"55a0f1d420a4d760b5fbdbd6"},"$db":"d"}"#, 3),
        (r#"{"$regex":"^a"}"#, 1),
        (r#"{"$regex":{"$regularExpression":{"pattern":"a","options":""}},"$options":"i"}"#, 2),
        (r#"{"$type":"string"}"#, 1),
        (r#"{"$type":2,"$exists":true}"#, 2),
        (r#"{"$options":1}"#, 1),
        (r#"{"$exists":true}"#, 1),
        (r#"{"$":1,"":2}"#, 2),
        (r#"{"a":1,"$oid":"x"}"#, 2),
        (r#"{"a.b":1,"$x.y":2,"a.b":3}"#, 3),
    ] {
        match value(text) {
            Bson::Document(_) => {}
            other => panic!("{text} was read as {other:?}"),
        }
        let bytes = parsed(&format!(r#"{{"v":{text}}}"#)).unwrap();
        let raw = RawDocument::from_bytes(&bytes).unwrap().get_document("v").unwrap();
        assert_eq!(raw.iter().count(), expected, "{text}: every field, in order, the repeated ones too");
    }
}

#[test]
fn a_form_with_more_or_other_in_it_is_refused() {
    for text in [
        r#"{"$oid":"55a0f1d420a4d760b5fbdbd"}"#,
        r#"{"$oid":"55a0f1d420a4d760b5fbdbdg"}"#,
        r#"{"$oid":1}"#,
        r#"{"$oid":"55a0f1d420a4d760b5fbdbd6","x":1}"#,
        r#"{"$date":"yesterday"}"#,
        r#"{"$date":1.5}"#,
        r#"{"$numberInt":"2147483648"}"#,
        r#"{"$numberInt":"+1"}"#,
        r#"{"$numberInt":""}"#,
        r#"{"$numberLong":"9223372036854775808"}"#,
        r#"{"$numberDouble":"inf"}"#,
        r#"{"$numberDouble":"1e999"}"#,
        r#"{"$numberDecimal":"one"}"#,
        r#"{"$numberDecimal":1}"#,
        r#"{"$binary":{"base64":"AQI","subType":"00"}}"#,
        r#"{"$binary":{"base64":"AQID"}}"#,
        r#"{"$binary":{"base64":"AQID","subType":"100"}}"#,
        r#"{"$binary":{"base64":"AQID","subType":"00","x":1}}"#,
        r#"{"$binary":"AQID"}"#,
        r#"{"$binary":"AQID","$type":"zz"}"#,
        r#"{"$uuid":"c8edabc3f7384ca3b68dab92a91478a3"}"#,
        r#"{"$timestamp":{"t":-1,"i":1}}"#,
        r#"{"$timestamp":{"t":4294967296,"i":1}}"#,
        r#"{"$timestamp":{"t":1}}"#,
        r#"{"$regularExpression":{"pattern":"a"}}"#,
        r#"{"$regularExpression":{"pattern":"a\u0000","options":""}}"#,
        r#"{"$undefined":false}"#,
        r#"{"$minKey":2}"#,
        r#"{"$code":1}"#,
        r#"{"$code":"f","$scope":1}"#,
        r#"{"$symbol":1}"#,
        r#"{"$dbPointer":{"$ref":"a","$id":"b"}}"#,
    ] {
        let error = refused(text);
        assert!(!error.ended, "{text}: {error:?}");
        assert_eq!(error.at, 5, "{text}: the object is pointed at");
    }
    assert!(parsed(r#"{"$oid":"55a0f1d420a4d760b5fbdbd6"}"#).unwrap_err().expected.contains("a document"));
}

#[test]
fn errors_say_where_what_was_expected_and_what_was_found() {
    for (text, at, expected, found) in [
        (r#"{"a" 1}"#, 5, "a colon", "\"1}\""),
        (r#"{"a":1,}"#, 7, "a field name in double quotes", "\"}\""),
        (r#"{a:1}"#, 1, "a field name in double quotes", "\"a:1}\""),
        (r#"{"a":[1 2]}"#, 8, "a comma or ]", "\"2]}\""),
        (r#"{"a":01}"#, 5, "a number without leading zeros", "\"01}\""),
        (r#"{"a":-}"#, 6, "a digit", "\"}\""),
        (r#"{"a":1.}"#, 7, "a digit", "\"}\""),
        (r#"{"a":tru}"#, 5, "true", "\"tru}\""),
        (r#"{"a":'x'}"#, 5, "a value", "\"'x'}\""),
        (r#"{"a":"\x"}"#, 7, "one of \" \\ / b f n r t u after a backslash", "\"x\\\"}\""),
        (r#"{"a":"\ud800x"}"#, 6, "both halves of a surrogate pair", "\"\\\\ud800x\\\"}\""),
        (r#"{"a":"\udc00"}"#, 6, "both halves of a surrogate pair", "\"\\\\udc00\\\"}\""),
        (r#"{"a":"\u12g4"}"#, 10, "four hexadecimal digits after \\u", "\"g4\\\"}\""),
        (r#"{"a\u0000b":1}"#, 2, "a field name without NUL, which BSON cannot hold", "\"a\\\\u0000b\\\":1}\""),
        ("{\"a\":\"x\ty\"}", 7, "an escape such as \\n in place of a control character", "\"\\ty\\\"}\""),
        ("[1]", 0, "a document, which begins with {", "\"[1]\""),
        (r#"{"a":1e999}"#, 5, "a number that a double can hold", "\"1e999}\""),
        ("", 0, "a document, which begins with {", "the end"),
    ] {
        let error = parsed(text).unwrap_err();
        assert_eq!((error.at, &*error.expected, &*error.found), (at, expected, found), "{text}");
    }
}

#[test]
fn escapes_and_surrogates_become_characters() {
    for (text, expected) in [
        (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
        (r#""\u00fc\u20AC""#, "ü€"),
        (r#""\ud83d\ude00 and 😀""#, "😀 and 😀"),
        (r#""\u0000""#, "\0"),
        (r#""\uffff""#, "\u{ffff}"),
        ("\"\u{7f}\"", "\u{7f}"),
        ("\"0123456é\"", "0123456é"),
        (r#""01234567\n01234567\n""#, "01234567\n01234567\n"),
    ] {
        assert_eq!(value(text), Bson::String(expected.into()), "{text}");
    }
}

#[test]
fn bytes_that_are_no_utf8_are_refused_where_they_stand() {
    for bad in [&b"\xff"[..], b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf"] {
        let text = [b"{\"a\":\"ok ", bad, b"\"}"].concat();
        let error = parse_document(&text, &mut Vec::new()).unwrap_err();
        assert_eq!((error.at, &*error.expected, error.ended), (9, "UTF-8", false), "{bad:?}");
    }
}

#[test]
fn nesting_has_a_limit_and_so_has_a_document() {
    let nested = |levels: usize| format!("{{\"v\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
    assert!(parsed(&nested(NESTING_MAX)).is_ok());
    assert!(parsed(&nested(NESTING_MAX + 1)).unwrap_err().expected.contains("200 levels"));

    let large = |bytes: usize| format!("{{\"v\":\"{}\"}}", "x".repeat(bytes));
    assert!(parsed(&large(16 << 20)).is_ok());
    assert!(parsed(&large((16 << 20) + (17 << 10))).unwrap_err().expected.contains("bytes of BSON"));
}

#[test]
fn the_hard_values_come_through_unchanged() {
    let Some(types) = shared::data("the_hard_values_come_through_unchanged", "dump/types") else { return };
    for file in ["values", "ids", "checked"] {
        let bytes = std::fs::read(types.join(file).with_extension("bson")).unwrap();
        for document in capstan_endpoint::bson_frames::walk(&bytes) {
            let text = written(document);
            let back = parsed(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert!(back == document, "{text}");
        }
    }
}

fn scalars() -> impl Strategy<Value = Bson> {
    prop_oneof![
        any::<i32>().prop_map(Bson::Int32),
        any::<i64>().prop_map(Bson::Int64),
        any::<f64>().prop_map(|n| Bson::Double(if n.is_nan() { f64::NAN } else { n })),
        Just(Bson::Double(f64::INFINITY)),
        any::<bool>().prop_map(Bson::Boolean),
        Just(Bson::Null),
        Just(Bson::Undefined),
        Just(Bson::MinKey),
        Just(Bson::MaxKey),
        any::<String>().prop_map(Bson::String),
        "[\\x00-\\x20\"\\\\a-z]{0,40}".prop_map(Bson::String),
        any::<String>().prop_map(Bson::Symbol),
        any::<String>().prop_map(Bson::JavaScriptCode),
        any::<[u8; 12]>().prop_map(|id| Bson::ObjectId(ObjectId::from_bytes(id))),
        any::<i64>().prop_map(|ms| Bson::DateTime(DateTime::from_millis(ms))),
        (any::<u32>(), any::<u32>()).prop_map(|(time, increment)| Bson::Timestamp(Timestamp { time, increment })),
        (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(subtype, bytes)| { Bson::Binary(Binary { subtype: BinarySubtype::from(subtype), bytes }) }),
        ("[^\\x00]{0,12}", proptest::sample::subsequence(vec!["i", "l", "m", "s", "u", "x"], 0..=6)).prop_map(
            |(pattern, options)| {
                let options = options.concat();
                Bson::RegularExpression(Regex {
                    pattern: pattern.as_str().try_into().unwrap(),
                    options: options.as_str().try_into().unwrap(),
                })
            }
        ),
        (any::<i64>(), -6176_i32..6111).prop_map(|(digits, exponent)| {
            Bson::Decimal128(format!("{digits}E{exponent}").parse::<Decimal128>().unwrap_or("0".parse().unwrap()))
        }),
    ]
}

fn names() -> impl Strategy<Value = String> {
    // Not the $ forms themselves: of a document that looks like one, extended JSON cannot tell.
    prop_oneof!["[a-zäöü_.]{0,8}", "\\$[x-z.]{0,3}", "[^\\x00$][^\\x00]{0,5}"]
}

fn documents() -> impl Strategy<Value = Document> {
    let values = scalars().prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Bson::Array),
            proptest::collection::vec((names(), inner.clone()), 0..6)
                .prop_map(|fields| Bson::Document(fields.into_iter().collect())),
            (any::<String>(), proptest::collection::vec((names(), inner), 0..3)).prop_map(|(code, scope)| {
                Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope { code, scope: scope.into_iter().collect() })
            }),
        ]
    });
    proptest::collection::vec((names(), values), 0..8).prop_map(|fields| fields.into_iter().collect())
}

/// What bare JSON leaves of a value: every int64 that an int32 can hold as that, and no number where JSON has none.
fn narrowed(value: Bson) -> Bson {
    let fields = |document: Document| document.into_iter().map(|(name, value)| (name, narrowed(value))).collect();
    match value {
        Bson::Int64(n) => i32::try_from(n).map_or(Bson::Int64(n), Bson::Int32),
        Bson::Double(n) if !n.is_finite() => Bson::Null,
        Bson::Array(values) => Bson::Array(values.into_iter().map(narrowed).collect()),
        Bson::Document(document) => Bson::Document(fields(document)),
        Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope { code, scope }) => {
            Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope { code, scope: fields(scope) })
        }
        other => other,
    }
}

/// The same without plain binaries: inside other values the crate writes those as arrays of numbers.
fn without_plain_binaries(value: Bson) -> Bson {
    let fields = |document: Document| document.into_iter().map(|(k, v)| (k, without_plain_binaries(v))).collect();
    match value {
        Bson::Binary(mut binary) => {
            if binary.subtype == BinarySubtype::Generic {
                binary.subtype = BinarySubtype::UserDefined(0x81);
            }
            Bson::Binary(binary)
        }
        Bson::Array(values) => Bson::Array(values.into_iter().map(without_plain_binaries).collect()),
        Bson::Document(document) => Bson::Document(fields(document)),
        Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope { code, scope }) => {
            Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope { code, scope: fields(scope) })
        }
        other => other,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_document_comes_back_byte_for_byte(document in documents()) {
        let bytes = document.to_vec().unwrap();
        let text = written(&bytes);

        prop_assert_eq!(parsed(&text).unwrap(), bytes, "{}", text);
    }

    #[test]
    fn the_bson_crate_reads_what_we_write(document in documents()) {
        let bytes = document.to_vec().unwrap();
        let theirs: Document = serde_json::from_str(&written(&bytes)).unwrap();

        prop_assert_eq!(theirs.to_vec().unwrap(), bytes);
    }

    #[test]
    fn we_read_what_the_bson_crate_writes(document in documents()) {
        let Bson::Document(document) = without_plain_binaries(Bson::Document(document)) else { unreachable!() };
        // The crate writes bare integers, which do not say how wide they were.
        let text = serde_json::to_string(&document).unwrap();

        let Bson::Document(expected) = narrowed(Bson::Document(document)) else { unreachable!() };
        prop_assert_eq!(parsed(&text).unwrap(), expected.to_vec().unwrap(), "{}", text);
    }

    #[test]
    fn no_text_is_a_panic(text in "[\\[\\]{}\",:0-9eE.+\\-$a-z\\\\ u]{0,60}") {
        let _ = parse_document(text.as_bytes(), &mut Vec::new());
    }

    #[test]
    fn a_text_cut_anywhere_has_ended_and_is_not_wrong(document in documents(), cut in any::<prop::sample::Index>()) {
        let text = written(&document.to_vec().unwrap());
        let cut = cut.index(text.len());

        let error = parse_document(&text.as_bytes()[..cut], &mut Vec::new()).unwrap_err();

        prop_assert!(error.ended, "{} cut at {}: {:?}", text, cut, error);
    }
}
