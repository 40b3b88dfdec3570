//! Many small contents: `Client::put_blobs`, and `blob put` of several files and of directories.

use osnova_storage_client::{Client, SmallBlob};

use crate::program::{run, texts};
use crate::support::{Fake, Step};

/// An answer for so many contents, whose hashes begin at a number.
fn answer(from: usize, count: usize) -> Step {
    let item = |at| format!(r#"{{"hash":"{:064x}","size":1,"created":true}}"#, from + at);
    let items: Vec<String> = (0..count).map(item).collect();
    Step::Answer(200, format!(r#"{{"items":[{}]}}"#, items.join(",")))
}

fn texts_of(body: &[u8]) -> Vec<String> {
    let body = String::from_utf8(body.to_vec()).unwrap();
    let delimiter = body.lines().next().unwrap().to_owned();
    let body = body.strip_suffix(&format!("{delimiter}--\r\n")).unwrap();
    let delimiter = format!("{delimiter}\r\n");
    body.split(&delimiter)
        .skip(1)
        .map(|part| part.strip_suffix("\r\n").unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn contents_go_a_thousand_at_a_time_and_again_where_an_answer_is_lost() {
    let fake = Fake::start(vec![Step::Drop, answer(0, 1000), answer(1000, 2)]);
    let client = Client::builder().endpoint(fake.endpoint()).build().unwrap();
    let small = |at: usize| SmallBlob { bytes: at.to_string().into(), ..SmallBlob::default() };
    let stored = client.put_blobs((0..1002).map(small), Some(false)).await.unwrap();
    assert_eq!(stored.len(), 1002);
    assert_eq!(stored[1001].hash.to_string(), format!("{:064x}", 1001));
    let requests = fake.requests();
    assert_eq!(requests.len(), 3);
    assert_eq!(requests[0].body, requests[1].body);
    for sent in &requests {
        assert!(sent.head.starts_with("post /blobs?pin=false http/1.1\r\n"), "{}", sent.head);
    }
    assert_eq!(texts_of(&requests[1].body).len(), 1000);
    assert_eq!(client.put_blobs([], None).await.unwrap(), []);
    let bad = SmallBlob { content_type: Some("a\r\nb".to_owned()), ..SmallBlob::default() };
    assert!(client.put_blobs([bad], None).await.is_err());
}

#[tokio::test]
async fn small_files_of_a_directory_go_together_and_links_are_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::create_dir_all(path("d/sub")).unwrap();
    for (name, text) in [("d/b", "bee"), ("d/sub/a b", "ay"), ("other", "else")] {
        std::fs::write(path(name), text).unwrap();
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink(path("other"), path("d/link")).unwrap();
    let fake = Fake::start(vec![answer(0, 3)]);
    let put = ["blob", "put", "-r", &path("other"), &path("d"), "--type", "text/plain"];
    let output = run(&fake.endpoint(), &put, "").await;
    let lines: String = ["other", "d/b", "d/sub/a b"]
        .iter()
        .enumerate()
        .map(|(at, name)| format!("{at:064x} {}\n", path(name)))
        .collect();
    assert_eq!(texts(&output), (0, lines.as_str(), ""));
    let parts = texts_of(&fake.requests()[0].body);
    for (part, (name, text)) in
        parts.iter().zip([("other", "else"), ("b", "bee"), ("sub%2Fa%20b", "ay")])
    {
        assert!(part.contains("content-type: text/plain\r\n"), "{part}");
        assert!(part.contains(&format!("x-name: {name}\r\n")), "{part}");
        assert!(part.ends_with(&format!("\r\n\r\n{text}")), "{part}");
    }

    let fake = Fake::start(vec![]);
    for put in [
        &["blob", "put", &path("other"), &path("d")][..],
        &["blob", "put", &path("other"), "-"],
        &["blob", "put", &path("other"), &path("d/b"), "--name", "x"],
        &["blob", "put"],
    ] {
        assert_eq!(run(&fake.endpoint(), put, "").await.status.code(), Some(2), "{put:?}");
    }
}
