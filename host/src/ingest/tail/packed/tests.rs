//! Packed files that grow, end and are damaged.

use super::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

fn gzip(text: &str) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap()
}

/// A file that others write meanwhile.
fn file() -> (File, Arc<File>) {
    let path =
        std::env::temp_dir().join(format!("graftd-packed-{}-{:?}", std::process::id(), std::thread::current().id()));
    let file = File::create(&path).unwrap();
    let open = Arc::new(File::open(&path).unwrap());
    std::fs::remove_file(path).unwrap();
    (file, open)
}

fn lines(from: u32, to: u32) -> String {
    (from..to).map(|n| format!("line {n} {}\n", n.wrapping_mul(2_654_435_761))).collect()
}

/// Reads all that is there.
fn read(packed: &mut Packed, file: &Arc<File>, offset: &mut u64, into: &mut String) {
    packed.ended = false;
    while !packed.ended {
        let (lines, passed) = packed.read(file, *offset, &mut false).unwrap();
        *offset += passed;
        if let ReadLines::Whole(lines) = lines {
            into.push_str(&String::from_utf8(lines).unwrap());
        }
    }
}

#[test]
fn a_file_that_grows_by_members_is_read_on_from_the_last_one() {
    let (mut written, file) = file();
    let (mut packed, mut offset, mut found) = (Packed::default(), 0, String::new());
    let mut all = String::new();
    for turn in 0..20 {
        let more = lines(turn * 1_000, (turn + 1) * 1_000);
        all.push_str(&more);
        written.write_all(&gzip(&more)).unwrap();
        read(&mut packed, &file, &mut offset, &mut found);
        assert_eq!(found, all, "{turn}");
        assert_eq!(packed.members.len(), 1, "only the last is kept");
        assert_eq!((packed.members[0].plain, packed.at), (offset, offset), "what was read is not unpacked again");
        assert!(!packed.is_resting());
    }
    // What another life has read is passed over.
    let (mut again, mut from, mut rest) = (Packed::default(), 7, String::new());
    read(&mut again, &file, &mut from, &mut rest);
    assert_eq!((rest.as_str(), from), (&all[7..], offset));
}

#[test]
fn a_member_that_is_still_being_written_is_left_alone_for_a_while() {
    let (mut written, file) = file();
    let all = lines(0, 200_000);
    let bytes = [gzip(&all[..500]), gzip(&all[500..])].concat();
    let (mut packed, mut offset, mut found) = (Packed::default(), 0, String::new());
    for piece in bytes.chunks(bytes.len() / 9 + 1) {
        written.write_all(piece).unwrap();
        packed.ended = false;
        read(&mut packed, &file, &mut offset, &mut found);
        assert!(all.starts_with(&found));
        assert_eq!(packed.is_resting(), found.len() < all.len());
    }
    assert!(found == all && offset == all.len() as u64);
}

#[test]
fn what_follows_the_last_member_is_none_of_it_and_damage_is_told_of() {
    let (mut written, file) = file();
    let all = lines(0, 10);
    written.write_all(&[gzip(&all), vec![0; 512]].concat()).unwrap();
    let (mut packed, mut offset, mut found) = (Packed::default(), 0, String::new());
    read(&mut packed, &file, &mut offset, &mut found);
    assert_eq!(found, all);
    let (mut written, file) = self::file();
    let mut bytes = gzip(&lines(0, 10_000));
    let end = bytes.len() - 5;
    bytes[end] ^= 1;
    written.write_all(&bytes).unwrap();
    let mut packed = Packed::default();
    let mut offset = 0;
    let error = loop {
        match packed.read(&file, offset, &mut false) {
            Ok((_, passed)) => offset += passed,
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("checksum"), "{error}");
    assert!(packed.at <= offset);
}
