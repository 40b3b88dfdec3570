//! Files changed on purpose, each kind of change by itself: what fails, with which words, and what
//! can still be read.

use super::*;

#[test]
fn a_header_with_a_field_out_of_its_domain_is_refused_for_that_field() {
    let good = seal(&content(5000, 0), 12, 7);
    let what = |changes: &[(usize, &[u8])]| {
        let mut header: [u8; HEADER_LEN] = good[..HEADER_LEN].try_into().unwrap();
        for &(place, bytes) in changes {
            header[place..place + bytes.len()].copy_from_slice(bytes);
        }
        match Header::parse(&header) {
            Err(FormatError::Damaged { what }) => what,
            _ => "nothing",
        }
    };
    assert_eq!(what(&[]), "nothing");
    assert_eq!(what(&[(0, b"OSNBLOB2")]), "the file does not begin with the magic");
    assert_eq!(what(&[(8, &[2])]), "the header names an unknown codec");
    for log2 in [0, 11, 25, 64, 255] {
        assert_eq!(what(&[(9, &[log2])]), "the header's chunk size is out of range");
    }
    assert_eq!(what(&[(10, &[1])]), "the header has unknown flags");
    assert_eq!(what(&[(11, &[1])]), "the header has unknown flags");
    assert_eq!(what(&[(28, &[0, 0, 0, 1])]), "the header's reserved bytes are not zero");
    let unfit = "the header's lengths do not fit together";
    let lens = |plaintext: u64, body: u64| [plaintext.to_be_bytes(), body.to_be_bytes()].concat();
    assert_eq!(what(&[(12, &lens(5000, 5032))]), "nothing");
    for body in [0, 5000, 5031, 5033, u64::MAX] {
        assert_eq!(what(&[(12, &lens(5000, body))]), unfit);
    }
    let most = MAX_PLAINTEXT_LEN;
    let most_body = most + most.div_ceil(4096) * 16;
    assert_eq!(what(&[(12, &lens(most, most_body))]), "nothing");
    let too_long = "the header's content length is out of range";
    assert_eq!(what(&[(12, &lens(most + 1, most_body + 1))]), too_long);
    assert_eq!(what(&[(12, &lens(u64::MAX, u64::MAX))]), too_long);
    // Compressed: from tags and index alone to nothing compressed.
    for (body, expected) in [(55, unfit), (56, "nothing"), (5056, "nothing"), (5057, unfit)] {
        assert_eq!(what(&[(8, &[1]), (12, &lens(5000, body))]), expected);
    }
}

#[test]
fn chunks_can_not_be_swapped_repeated_dropped_or_taken_from_another_file() {
    let content = content(3 * CHUNK, 0);
    let file = seal(&content, 12, 7);
    let [first, second, third] = [0, 1, 2].map(|number| file[chunk_range(number)].to_vec());
    let made_of = |chunks: &[&Vec<u8>]| {
        let mut made = file[..HEADER_LEN].to_vec();
        chunks.iter().for_each(|chunk| made.extend_from_slice(chunk));
        made
    };
    assert!(read(&made_of(&[&first, &second, &third]), &content).unwrap() == content);
    let other = seal(&content, 12, 8)[chunk_range(1)].to_vec();
    for chunks in [
        [&second, &first, &third],
        [&first, &first, &third],
        [&first, &third, &second],
        [&first, &other, &third],
    ] {
        assert_eq!(damaged(&made_of(&chunks), &content), "a chunk does not authenticate");
    }
    assert_eq!(
        damaged(&made_of(&[&first, &second]), &content),
        "the file has not the length its header says"
    );
    // A header of another file: of the same content under another key, and of another content.
    let same_content = seal(&content, 12, 8);
    let with_header = |header: &[u8]| [&header[..HEADER_LEN], &file[HEADER_LEN..]].concat();
    assert_eq!(damaged(&with_header(&same_content), &content), "a chunk does not authenticate");
    let other_content = seal(&self::content(3 * CHUNK, 1), 12, 7);
    assert_eq!(
        damaged(&with_header(&other_content), &content),
        "the header does not authenticate for this hash"
    );
}

/// The lengths in the header are bound by the tag, so a shorter file with a header to match, which
/// anybody can make who holds the file, does not open.
#[test]
fn a_file_cut_at_a_chunk_with_its_header_edited_does_not_open() {
    let content = content(3 * CHUNK, 0);
    let mut file = seal(&content, 12, 7);
    file.truncate(chunk_range(1).end);
    let mut header = Header::parse(file.first_chunk().unwrap()).unwrap();
    header.plaintext_len = 2 * CHUNK as u64;
    header.body_len = 2 * (CHUNK + TAG_LEN) as u64;
    file[..HEADER_LEN].copy_from_slice(&header.to_bytes());
    assert_eq!(damaged(&file, &content), "the header does not authenticate for this hash");
}

#[test]
fn a_damaged_chunk_fails_only_the_ranges_that_need_it() {
    let content = content(4 * CHUNK, 0);
    let mut file = seal(&content, 12, 7);
    file[chunk_range(2).start] ^= 1;
    let chunk = CHUNK as u64;
    assert!(read_range(&file, &content, 0, 2 * chunk).unwrap() == content[..2 * CHUNK]);
    assert!(read_range(&file, &content, 3 * chunk, chunk).unwrap() == content[3 * CHUNK..]);
    assert!(read_range(&file, &content, 2 * chunk - 1, 2).is_err());
    // A reader that has met the damage hands out what is before it, and never goes past.
    let blob = BlobReader::open(file, &sha256(&content), &[&keys(1)]).unwrap();
    let mut whole = blob.whole();
    let mut out = vec![0; content.len()];
    assert_eq!(whole.fill(&mut out).unwrap(), 2 * CHUNK);
    assert!(
        out[..2 * CHUNK] == content[..2 * CHUNK] && out[2 * CHUNK..].iter().all(|&byte| byte == 0)
    );
    for _ in 0..3 {
        assert!(matches!(whole.fill(&mut out), Err(FormatError::Damaged { .. })));
    }
}

#[test]
fn an_index_that_lies_is_refused() {
    let content = content(3 * CHUNK, 0);
    let chunks = compressed(&content);
    let lie = |tamper: fn(&mut Vec<u8>)| damaged(&seal_zstd(&content, &chunks, tamper), &content);
    assert_eq!(
        lie(|lens| lens[..4].copy_from_slice(&u32::MAX.to_be_bytes())),
        "the index has a chunk of impossible length"
    );
    assert_eq!(
        lie(|lens| lens[..4].copy_from_slice(&15_u32.to_be_bytes())),
        "the index has a chunk of impossible length"
    );
    assert_eq!(lie(|lens| lens[3] ^= 1), "the lengths in the index do not fill the body");
    assert_eq!(lie(|lens| lens.truncate(8)), "the index does not authenticate");
    let swapped = lie(|lens| {
        // Moves a byte from one chunk to the next: the sum stays.
        lens[3] -= 1;
        lens[7] += 1;
    });
    assert_eq!(swapped, "a chunk does not authenticate");
}

#[test]
fn a_chunk_that_decompresses_to_more_or_less_is_refused() {
    let content = content(CHUNK, 0);
    for other in [vec![0; 100 * CHUNK], vec![0; CHUNK - 1], vec![0; CHUNK + 1]] {
        let bomb = zstd::bulk::compress(&other, 3).unwrap();
        let file = seal_zstd(&content, &[bomb], |_| ());
        assert_eq!(damaged(&file, &content), "a chunk does not decompress to its length");
    }
    let file = seal_zstd(&content, &[b"not zstd".to_vec()], |_| ());
    assert_eq!(damaged(&file, &content), "a chunk does not decompress to its length");
}

#[test]
fn a_file_wrapped_under_two_keys_opens_with_either_and_survives_a_torn_slot() {
    let content = content(100, 0);
    let file = tempfile::tempfile().unwrap();
    let (old, new) = (keys(1), keys(2));
    let sealed = seal_stream(&mut content.as_slice(), &file, &old, u64::MAX).unwrap();
    let open = |keys: &[&KeySet]| BlobReader::open(file.try_clone().unwrap(), &sealed.sha256, keys);
    assert!(matches!(open(&[&new]), Err(FormatError::UnknownKey)));

    assert!(open(&[&old]).unwrap().rewrap(&new, &[&old]).unwrap());
    assert!(!open(&[&old]).unwrap().rewrap(&new, &[&old]).unwrap(), "wrapped already");
    assert_eq!(open(&[&new]).unwrap().key_id(), new.key_id());
    assert_eq!(open(&[&old]).unwrap().key_id(), old.key_id());
    assert_eq!(open(&[&new, &old]).unwrap().key_id(), new.key_id());

    // The next rotation takes the place of the oldest key.
    let newest = keys(3);
    assert!(open(&[&new, &old]).unwrap().rewrap(&newest, &[&new, &old]).unwrap());
    assert!(open(&[&new]).is_ok() && open(&[&newest]).is_ok());
    assert!(matches!(open(&[&old]), Err(FormatError::UnknownKey)));

    // A slot that names a known key and does not open is passed over for the other.
    WriteAt::write_all_at(&file, &[0xff; 40], 32 + 30).unwrap();
    assert_eq!(open(&[&newest, &new]).unwrap().key_id(), new.key_id());
    assert!(matches!(open(&[&newest]), Err(FormatError::Damaged { .. })));
}
