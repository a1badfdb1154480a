//! What a worker's module finds is what it would find in process.

use super::kit::{Start, collected, flushed, line, now, plugin, read, with_records};
use graftd::module::Library;
use graftd::worker::WorkerError;
use plugin_api::{ErrorKind, Fields, Params};

/// Lines of many kinds: absent fields, escapes, other scripts, long ones.
fn lines() -> String {
    let mut all = String::new();
    for i in 0..3_000 {
        all.push_str(&line(&format!("/page/{}?q={i}", i % 17), if i % 5 == 0 { 404 } else { 200 }));
    }
    all.push_str("2001:db8::7 - ann [17/May/2015:10:05:03 +0000] \"POST /käse HTTP/2.0\" 302 0 \"https://shop.example/\" \"Ünïcode \\x22agent\\x22\" 0.120 0.001, 0.119\n");
    all.push_str("192.0.2.9 - - [17/May/2015:10:05:04 +0000] \"-\" 400 - \"-\" \"-\" 0.001 -\n");
    all.push_str(&line(&format!("/{}", "long".repeat(100_000)), 200));
    all.push_str(&line("/last", 503));
    all
}

#[test]
fn every_pipe_finds_in_a_worker_what_it_finds_in_process() {
    let lines = lines();
    for name in
        ["status", "bytes", "browser", "os", "url", "error", "request-time", "upstream-time", "visitors", "wild"]
    {
        let library = Library::load(&plugin(name)).expect("loaded");
        let mut pipe = library.pipe(&Params::new()).expect("made");
        let mut worker = Start::new(name).up();
        assert!(worker.is_pipe());
        assert_eq!(worker.wants(), library.wants(), "{name}");
        with_records(&lines, Fields::ALL, |records| {
            for (i, batch) in records.chunks(512).enumerate() {
                pipe.process(now(), batch).expect("folded");
                worker.process(now(), batch).expect("folded");
                if i % 3 == 2 {
                    let mut frame = Vec::new();
                    pipe.flush(now(), &mut frame).expect("flushed");
                    assert!(!frame.is_empty());
                    assert_eq!(flushed(&mut worker).expect("flushed"), read(&frame), "{name}");
                }
            }
        });
        let mut frame = Vec::new();
        pipe.flush(now(), &mut frame).expect("flushed");
        assert_eq!(flushed(&mut worker).expect("flushed"), read(&frame), "{name}");
        // There is nothing more to say.
        assert!(flushed(&mut worker).expect("flushed").is_empty());
    }
}

#[test]
fn a_collector_samples_and_outlives_its_own_failures() {
    let mut worker = Start::new("wild-collector").with("does", "once").up();
    assert!(!worker.is_pipe());
    let WorkerError::Module(error) = collected(&mut worker).expect_err("a panic") else { panic!("no module's error") };
    assert_eq!(error.kind(), ErrorKind::Panic);
    assert!(error.message().contains("told to, once"), "{error}");
    assert_eq!(collected(&mut worker).expect("a sample")["samples"], "2");
    assert_eq!(collected(&mut worker).expect("a sample")["samples"], "3");
    assert!(worker.usage().is_some_and(|usage| usage.rss_bytes > 0));

    let mut worker = Start::new("wild-collector").with("does", "no_data").up();
    let WorkerError::Module(error) = collected(&mut worker).expect_err("none") else { panic!("no module's error") };
    assert_eq!((error.kind(), error.message()), (ErrorKind::NoData, "nothing here"));
}

#[test]
fn what_cannot_be_made_says_why() {
    let error = Start::new("wild").with("does", "panic").with("at", "new").go().expect_err("a panic");
    assert!(matches!(&error, WorkerError::Module(error) if error.kind() == ErrorKind::Panic), "{error:?}");
    let mut start = Start::new("wild");
    start.params = Params::new().with("does", 7);
    let error = start.go().expect_err("a wrong parameter");
    assert!(matches!(&error, WorkerError::Module(error) if error.kind() == ErrorKind::Config), "{error:?}");
    assert_eq!(error.to_string(), "params: \"does\" must be text, not a whole number");
    start.plugin = super::kit::exe();
    let error = start.go().expect_err("no plugin");
    assert!(matches!(&error, WorkerError::Module(error) if error.kind() == ErrorKind::Config), "{error:?}");
    start.plugin = "/nowhere/lib.so".into();
    let error = start.go().expect_err("no file").to_string();
    assert!(error.contains("/nowhere/lib.so") && error.contains("No such file"), "{error}");
}
