//! `search`: what the command line asks for, and what it prints of what was found.

use serde_json::json;

use crate::program::{run, texts};
use crate::support::{Fake, Step};

#[tokio::test]
async fn what_was_found_is_printed_with_its_snippet() {
    let found = r#"{"items":[{"record":{"componentId":"a","name":"Weather","version":"1","type":"backend","manifest":{},"installedAt":0,"blobs":{},"revision":1},"snippet":"the «weather»","score":2.5}]}"#;
    let none = r#"{"items":[]}"#;
    let fake = Fake::start(vec![Step::result(found), Step::result(none)]);
    let output = run(&fake.endpoint(), &["search", "\"weath"], "").await;
    assert_eq!(texts(&output), (0, "a\tWeather\t1\tthe «weather»\n", ""));
    assert_eq!(fake.requests()[0].params(), json!({ "query": "\"weath" }));
    let arguments = ["search", "rain", "--in", "messages", "--limit", "5"];
    let output = run(&fake.endpoint(), &arguments, "").await;
    assert_eq!(texts(&output), (0, "", ""));
    assert_eq!(fake.requests()[1].params(), json!({ "query": "rain", "limit": 5 }));
    for wrong in [&["search"][..], &["search", "x", "--limit", "0"], &["search", "x", "--in", "y"]]
    {
        assert_eq!(texts(&run(&fake.endpoint(), wrong, "").await).0, 2, "{wrong:?}");
    }
}
