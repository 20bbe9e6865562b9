//! The small collections that break tools: types, hard values, odd `_id`s, odd names.

use crate::raw::{self, Fields};

/// All documents of a collection.
type Write = fn() -> Vec<Vec<u8>>;

/// The small collections with their documents.
pub(super) fn collections() -> [(&'static str, Write); 6] {
    [
        ("specimens", values),
        ("odd_ids", ids),
        ("nothing_yet", Vec::new),
        ("grüße 😀", few),
        ("a name with spaces.and.dots", few),
        ("100% / \u{3b1}+&=?#", few),
    ]
}

/// One document for each BSON type and for each value that is easily changed on the way.
fn values() -> Vec<Vec<u8>> {
    let decimal = |text: &str| text.parse::<bson::Decimal128>().expect("a decimal number").bytes();
    let simple: [(&str, u8, Vec<u8>); 34] = [
        ("double", 0x01, 1.5_f64.to_le_bytes().into()),
        ("double that is whole", 0x01, 3.0_f64.to_le_bytes().into()),
        ("double, not a number", 0x01, f64::NAN.to_le_bytes().into()),
        ("double, infinite", 0x01, f64::INFINITY.to_le_bytes().into()),
        ("double, infinite below", 0x01, f64::NEG_INFINITY.to_le_bytes().into()),
        ("double, negative zero", 0x01, (-0.0_f64).to_le_bytes().into()),
        ("double, smallest", 0x01, 5e-324_f64.to_le_bytes().into()),
        ("double, largest", 0x01, f64::MAX.to_le_bytes().into()),
        ("double beyond 2^53", 0x01, 9_007_199_254_740_994.0_f64.to_le_bytes().into()),
        ("binary, empty", 0x05, vec![0, 0, 0, 0, 0]),
        ("binary, old", 0x05, vec![7, 0, 0, 0, 2, 3, 0, 0, 0, 1, 2, 3]),
        ("binary, a function", 0x05, vec![2, 0, 0, 0, 1, 0xff, 0x00]),
        ("binary, of a user", 0x05, vec![1, 0, 0, 0, 0x80, 9]),
        ("undefined", 0x06, vec![]),
        ("object id, all ones", 0x07, vec![0xff; 12]),
        ("true", 0x08, vec![1]),
        ("date before 1970", 0x09, (-1_i64).to_le_bytes().into()),
        ("date of the year 1", 0x09, (-62_135_596_800_000_i64).to_le_bytes().into()),
        ("date, last", 0x09, i64::MAX.to_le_bytes().into()),
        ("null", 0x0a, vec![]),
        ("regular expression", 0x0b, b"^a/\"b\\d+\0imsx\0".to_vec()),
        ("pointer", 0x0c, [b"\x07\0\0\0orders\0".as_slice(), &[7; 12]].concat()),
        ("int32, least", 0x10, i32::MIN.to_le_bytes().into()),
        ("int32, most", 0x10, i32::MAX.to_le_bytes().into()),
        ("timestamp, most", 0x11, u64::MAX.to_le_bytes().into()),
        ("timestamp", 0x11, (1_u64 << 32 | 2).to_le_bytes().into()),
        ("int64 that is small", 0x12, 1_i64.to_le_bytes().into()),
        ("int64, least", 0x12, i64::MIN.to_le_bytes().into()),
        ("decimal, zeros behind", 0x13, decimal("1.500").into()),
        ("decimal, not a number", 0x13, decimal("NaN").into()),
        ("decimal, most", 0x13, decimal("9.999999999999999999999999999999999E+6144").into()),
        ("decimal, least", 0x13, decimal("-1E-6176").into()),
        ("least key", 0xff, vec![]),
        ("greatest key", 0x7f, vec![]),
    ];
    let others: [fn(&mut Fields<'_>); 8] = [
        |f| {
            f.string("value", "a\0b \u{7f} \u{2028} é e\u{301} 😀 \u{feff}");
        },
        |f| {
            f.text(0x0d, "value", "function () { return 1; }").text(0x0e, "symbol", "sym");
        },
        |f| {
            let mut code = Vec::new();
            raw::document(&mut code, |scope| {
                scope.int32("x", 1);
            });
            let text = b"\x0b\0\0\0f(x) + \"1\"\0".as_slice();
            let length = (4 + text.len() + code.len()) as u32;
            f.value(0x0f, "value", &[&length.to_le_bytes(), text, &code].concat());
        },
        |f| {
            f.document("value", |inner| {
                inner.int32("", 1).int32("a.b", 2).int32("$c", 3).int32("ü", 4).int32(" ", 5);
            });
        },
        |f| {
            f.array("value", |items| {
                items.push(|field, index| field.null(index)).push(|field, index| field.array(index, |_| {}));
                items.push(|field, index| field.document(index, |_| {}));
            });
        },
        |f| {
            // Fields of one name in another order are another document.
            f.document("value", |inner| {
                inner.int32("b", 1).int32("a", 2);
            });
            f.document("other", |inner| {
                inner.int32("a", 2).int32("b", 1);
            });
        },
        |f| deep(f, 40),
        |f| {
            f.string("value", &"long ".repeat(40_000));
        },
    ];
    let named = simple.into_iter().map(|(name, tag, value)| {
        document_of(name, |f| {
            f.value(tag, "value", &value);
        })
    });
    let numbered = others.into_iter().zip(1..).map(|(fill, number)| document_of(&format!("other {number}"), fill));
    named.chain(numbered).collect()
}

fn deep(fields: &mut Fields<'_>, levels: u32) {
    if levels > 0 {
        fields.document("value", |inner| deep(inner, levels - 1));
    }
}

fn document_of(id: &str, fill: impl FnOnce(&mut Fields<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    raw::document(&mut out, |fields| {
        fields.string("_id", id);
        fill(fields);
    });
    out
}

/// `_id`s of every type that may be one, no two of them equal to a server.
fn ids() -> Vec<Vec<u8>> {
    let fills: [fn(&mut Fields<'_>); 33] = [
        |f| _ = f.value(0xff, "_id", &[]),
        |f| _ = f.null("_id"),
        |f| _ = f.double("_id", f64::NAN),
        |f| _ = f.double("_id", f64::NEG_INFINITY),
        |f| _ = f.int64("_id", i64::MIN),
        |f| _ = f.double("_id", -0.0),
        |f| _ = f.int32("_id", 1),
        |f| _ = f.double("_id", 1.5),
        |f| _ = f.hundredths("_id", 175),
        |f| _ = f.int64("_id", 1 << 53),
        |f| _ = f.int64("_id", (1 << 53) + 1),
        |f| _ = f.int64("_id", i64::MAX),
        |f| _ = f.double("_id", f64::INFINITY),
        |f| _ = f.string("_id", ""),
        |f| _ = f.string("_id", "$minKey"),
        |f| _ = f.string("_id", "\u{10ffff}"),
        |f| _ = f.string("_id", "a\0b"),
        |f| _ = f.string("_id", "Straße"),
        |f| _ = f.string("_id", "STRASSE"),
        |f| _ = f.document("_id", |_| {}),
        |f| {
            _ = f.document("_id", |id| {
                id.int32("a", 1).int32("b", 2);
            })
        },
        |f| {
            _ = f.document("_id", |id| {
                id.int32("b", 2).int32("a", 1);
            })
        },
        |f| _ = f.binary("_id", 0, b"one"),
        |f| _ = f.binary("_id", 5, b"one"),
        |f| _ = f.binary("_id", 0x80, b""),
        |f| _ = f.object_id("_id", [0; 12]),
        |f| _ = f.object_id("_id", [0xff; 12]),
        |f| _ = f.boolean("_id", false),
        |f| _ = f.boolean("_id", true),
        |f| _ = f.date("_id", -1),
        |f| _ = f.date("_id", i64::MAX),
        |f| _ = f.value(0x11, "_id", &7_u64.to_le_bytes()),
        |f| _ = f.value(0x7f, "_id", &[]),
    ];
    let with_place = fills.into_iter().zip(0..).map(|(fill, place)| {
        let mut out = Vec::new();
        raw::document(&mut out, |fields| {
            fill(fields);
            fields.int32("place", place);
        });
        out
    });
    with_place.collect()
}

/// For collections that are remarkable for their names.
fn few() -> Vec<Vec<u8>> {
    let names = ["one", "two", "three"];
    let document = |name: &&str| {
        document_of(name, |f| {
            f.boolean("here", true);
        })
    };
    names.iter().map(document).collect()
}
