//! Each mode's page tells what that mode did.

use super::*;
use serde_json::{Value, json};

/// A page of two collections, one of them a view, with what a report says beyond that.
fn page(more: Value) -> String {
    let proof = json!({ "mode": "hash", "ranges": 64, "missing": 0, "extra": 0, "different": 0, "repaired": 0 });
    let mut report = json!({
        "event": "report", "job": "shop", "state": "completed", "units": 2, "chunks": 9, "documents": 1_234_567,
        "bytes": 5_000_000, "seconds": 2.5, "dead_letters": 0, "verified": proof,
        "by_unit": [
            { "source": "shop.orders", "target": "store.orders", "chunks": 9, "documents": 1_234_567, "finished": true,
              "bytes": 5_000_000, "dead_letters": 0, "planned": { "documents": 77, "bytes": 900 }, "verified": proof },
            { "source": "shop.recent", "target": "store.recent", "chunks": 0, "documents": 0, "bytes": 0,
              "dead_letters": 0, "view": true, "finished": true },
        ],
    });
    for (field, value) in more.as_object().unwrap() {
        report[field] = value.clone();
    }
    let job = v1::Job { spec: "{}".to_owned(), ..Default::default() };
    html(&ReportPage { report: report.to_string(), job, maps: Vec::new(), letters: Vec::new() })
}

fn heads(page: &str) -> Vec<&str> {
    let table = page.split("<thead>").nth(1).unwrap().split("</thead>").next().unwrap();
    table
        .split("</th>")
        .filter_map(|head| head.rsplit_once('>').map(|(_, head)| head))
        .filter(|head| !head.is_empty())
        .collect()
}

#[test]
fn what_ignores_the_order_of_fields_is_not_called_byte_for_byte() {
    let mut proof = json!({ "mode": "hash", "ranges": 64 });
    assert!(
        page(json!({ "verified": proof })).contains("verified: every document compared byte for byte in 64 ranges")
    );

    proof["field_order_ignored"] = json!(true);
    let page = page(json!({ "verified": proof }));

    assert!(page.contains("compared field by field, whatever their order, in 64 ranges"), "{page}");
    assert!(!page.contains("byte for byte"), "{page}");
}

#[test]
fn a_simulation_tells_what_would_be_moved_and_claims_no_proof() {
    let planned = json!({ "mode": "simulate", "documents": 0, "bytes": 0, "verified": { "mode": "none" },
        "planned": { "documents": 77, "bytes": 900 } });

    let page = page(planned);

    for told in ["<dt>Documents to move</dt><dd>77</dd>", "simulated: nothing was written", "<td class=\"n\">77</td>"] {
        assert!(page.contains(told), "{told}: {page}");
    }
    assert_eq!(heads(&page), ["From", "To", "Chunks", "Documents", "Data"]);
    assert!(!page.to_lowercase().contains("verified"), "{page}");
}

#[test]
fn a_verification_tells_what_was_compared_and_what_differs_in_order_alone() {
    let proof = json!({ "mode": "hash", "ranges": 64, "different": 12, "reordered": 12 });

    let page = page(json!({ "mode": "verify", "state": "completed_with_failures", "verified": proof }));

    for told in
        ["<dt>Documents compared</dt><dd>1,234,567</dd>", "class=\"verdict bad\">NOT EQUAL", "all of those that differ"]
    {
        assert!(page.contains(told), "{told}: {page}");
    }
    assert!(!page.contains("<dt>Chunks</dt>"), "{page}");
    assert_eq!(heads(&page)[2..5], ["Compared", "Data", "Found"]);
}

#[test]
fn documents_that_differ_are_named_with_their_collection_and_not_as_set_aside() {
    let found = json!({ "what": "{\"$oid\":\"a\"}", "reason": "different at the target" });
    let unit = json!({ "source": "shop.orders", "target": "store.orders", "examples": [found],
        "verified": { "mode": "hash", "different": 1, "reordered": 1 } });

    let page = page(json!({ "mode": "verify", "by_unit": [unit] }));

    assert!(page.contains("<h2>Documents that were found not to be the same</h2>"), "{page}");
    assert!(page.contains("<td>store.orders: {&quot;$oid&quot;:&quot;a&quot;}</td>"), "{page}");
    assert!(page.contains("<td class=\"n\">1 (1 in order)</td>") && !page.contains("Set aside"), "{page}");
}

#[test]
fn a_kept_dump_is_proved_whole_and_not_compared() {
    let page = page(json!({ "mode": "dump-only", "dump": "nightly" }));

    for told in ["<dt>Documents dumped</dt>", "every part in the spool was read again and is whole", ">whole</span>"] {
        assert!(page.contains(told), "{told}: {page}");
    }
    assert!(!page.contains("compared byte"), "{page}");
}

#[test]
fn a_view_has_no_documents_of_its_own_and_what_was_given_up_says_so() {
    let lost = json!({ "source": "shop.lost", "target": "store.lost", "given_up": true, "verified": null });
    let view = json!({ "source": "shop.recent", "target": "store.recent", "view": true, "finished": true });

    let page = page(json!({ "by_unit": [lost, view] }));

    assert!(page.contains("<td class=\"n\">view</td>"), "{page}");
    assert!(page.contains("<span class=\"bad\">given up</span>"), "{page}");
}

#[test]
fn names_from_outside_are_escaped_in_the_table_too() {
    let unit = json!({ "source": "a.<b>", "target": "a.\"c\"&" });

    let page = page(json!({ "by_unit": [unit] }));

    assert!(page.contains("<td>a.&lt;b&gt;</td><td>a.&quot;c&quot;&amp;</td>"), "{page}");
}

#[test]
fn what_was_mended_is_equal_and_what_was_refused_claims_nothing() {
    let mended = json!({ "mode": "hash", "ranges": 64, "missing": 2, "repaired": 2 });
    let mended_page = page(json!({ "verified": mended }));
    assert!(mended_page.contains("class=\"verdict good\">equal after repair: 2 missing"), "{mended_page}");

    let refused = page(json!({ "state": "failed", "units": 0, "by_unit": [], "verified": { "mode": "none" } }));
    assert!(!refused.contains("class=\"verdict"), "{refused}");
}
