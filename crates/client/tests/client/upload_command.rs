//! `blob put` of a large file: in chunks, and on with an upload that was cut off.

use std::fs::File;

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::program::{run, texts};
use crate::support::{Fake, Step};

const SIZE: u64 = (64 << 20) + 5;
const ID: &str = "4d1f0c7a3be1d248962f5f0c7a3be1d2";

/// A file that takes no room, and its hash.
fn film(folder: &std::path::Path) -> (String, String) {
    let path = folder.join("film");
    File::create(&path).unwrap().set_len(SIZE).unwrap();
    let zeros = vec![0; usize::try_from(SIZE).unwrap()];
    let hash = Sha256::digest(&zeros).iter().map(|byte| format!("{byte:02x}")).collect();
    (path.to_str().unwrap().to_owned(), hash)
}

fn upload(hash: &str, name: &str, received: &str) -> String {
    format!(
        r#"{{"uploadId":"{ID}","chunkBytes":8388608,"size":{SIZE},"name":"{name}","expectedHash":"{hash}","pinned":true,{received}"bytes":67108864,"createdAt":1,"expiresAfterSeconds":1,"committing":false}}"#
    )
}

#[tokio::test]
async fn what_was_cut_off_goes_on_and_only_what_is_missing_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let (file, hash) = film(folder.path());
    let others = [upload(&"0".repeat(64), "film", ""), upload(&hash, "other", "")];
    let stored = format!(r#"{{"hash":"{hash}","size":{SIZE},"created":true}}"#);
    let fake = Fake::start(vec![
        Step::result(&format!(
            r#"{{"items":[{},{}]}}"#,
            others.join(","),
            upload(&hash, "film", "")
        )),
        Step::result(&upload(&hash, "film", r#""received":[{"from":0,"to":7}],"#)),
        // The answer to the chunk is lost.
        Step::Drop,
        Step::Answer(200, r#"{"index":8,"size":5,"hash":"x"}"#.to_owned()),
        Step::result(&stored),
    ]);
    let output = run(&fake.endpoint(), &["blob", "put", &file], "").await;
    assert_eq!(texts(&output), (0, format!("{hash}\n").as_str(), ""));
    let requests = fake.requests();
    assert_eq!(requests.len(), 5);
    for sent in &requests[2..4] {
        assert!(
            sent.head.starts_with(&format!("put /uploads/{ID}/8 http/1.1\r\n")),
            "{}",
            sent.head
        );
        assert_eq!(sent.body, [0; 5]);
    }
    assert_eq!(requests[4].params(), json!({ "uploadId": ID }));
}

#[tokio::test]
async fn what_was_never_begun_is_begun_and_what_is_there_is_not_sent() {
    let folder = tempfile::tempdir().unwrap();
    let (file, hash) = film(folder.path());
    let begun = format!(
        r#"{{"uploadId":"{ID}","chunkBytes":8388608,"expiresAfterSeconds":1,"present":true}}"#
    );
    let stored = format!(r#"{{"hash":"{hash}","size":{SIZE},"created":false}}"#);
    let fake = Fake::start(vec![
        Step::result(r#"{"items":[]}"#),
        Step::result(&begun),
        Step::result(&stored),
    ]);
    let output = run(&fake.endpoint(), &["blob", "put", &file, "--no-pin"], "").await;
    assert_eq!(texts(&output), (0, format!("{hash}\n").as_str(), ""));
    let requests = fake.requests();
    let mut asked = requests[1].params();
    assert!(asked.as_object_mut().unwrap().remove("requestId").is_some(), "so it may be repeated");
    let expected = json!({ "size": SIZE, "name": "film", "expectedHash": hash, "pin": false });
    assert_eq!(asked, expected);
    assert_eq!(requests.len(), 3);
}
