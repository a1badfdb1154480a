//! Pipes in Python.

use crate::driver::{first_line, module, setup};
use plugin_api::{Access, ErrorKind, Field, Params, Span};

/// Records as an access log has them; `-` is absent.
fn record(line: &'static str, status: u16, bytes: Option<u64>, seconds: Option<f64>) -> Access<'static> {
    let mut record = Access::new(line);
    let fields = [
        Field::Addr,
        Field::User,
        Field::Time,
        Field::Method,
        Field::Url,
        Field::Protocol,
        Field::Status,
        Field::Bytes,
        Field::Referer,
        Field::Agent,
    ];
    let mut at = 0;
    for (field, word) in fields.into_iter().zip(line.split('|')) {
        if word != "-" {
            record.set_span(field, Span::new(at, at + word.len() as u32));
        }
        at += word.len() as u32 + 1;
    }
    record.set_status(status);
    if let Some(bytes) = bytes {
        record.set_bytes(bytes);
    }
    if let Some(seconds) = seconds {
        record.set_request_time(seconds);
    }
    record
}

fn records() -> [Access<'static>; 2] {
    [
        record("192.0.2.1|-|17/May/2015:10:05:03 +0000|GET|/|HTTP/1.1|200|12|-|curl", 200, Some(12), Some(0.25)),
        record("192.0.2.2|ann|17/May/2015:10:05:04 +0000|-|/caf\u{e9}|-|404|-|-|-", 404, None, None),
    ]
}

fn counting(how: &str) -> crate::driver::Setup {
    setup(&module("counting.py")).params(Params::new().with("how", how))
}

#[test]
fn records_come_as_arr_and_what_is_said_is_flushed() {
    let (mut worker, told) = counting("").run();
    assert!(told.is_pipe);
    assert_eq!(told.declared.path, "hits");
    assert_eq!(worker.batch(&records()), Ok(1));
    assert_eq!(worker.batch(&records()), Ok(1));
    assert_eq!(worker.flush().line(), "-=+2 GET=+2");
    assert_eq!(worker.flush().line(), "");
    let (mut worker, _) = counting("arr").run();
    let mut arr = |record: usize| {
        worker.batch(&records()[record..=record]).expect("folded");
        worker.flush().line()
    };
    assert_eq!(
        arr(0),
        "arr=\"['192.0.2.1', None, '17/May/2015:10:05:03 +0000', 'GET', '/', 'HTTP/1.1', 200, 12, None, 'curl', 0.25, None]\""
    );
    assert_eq!(
        arr(1),
        "arr=\"['192.0.2.2', 'ann', '17/May/2015:10:05:04 +0000', None, '/café', None, 404, None, None, None, None, None]\""
    );
    let (status, words) = worker.end();
    assert!(status.success() && words.contains("cleaned up\n"), "{words}");
}

#[test]
fn everything_that_graft_offers_arrives() {
    let (mut worker, _) = counting("all").run();
    worker.batch(&records()[..1]).expect("folded");
    assert_eq!(
        worker.flush().line(),
        "=+1 1,2.5,-,bytes,(empty)=+1 GET,200=+1 a,b,c,d,e,f,g,h,i,j=+1 flag=true gauge=7 Average n=+2.5 \
         release,marker=\"1.2\" text=\"v\" time=quantiles urls=top who=distinct"
    );
}

#[test]
fn a_dictionary_is_a_document() {
    let (mut worker, _) = counting("dict").run();
    worker.batch(&records()).expect("folded");
    assert_eq!(worker.flush().line(), "br,ie,6=+6 br,ie,7=+16 br,ie,7,venders,sogou=+4 g=Max g,a=5 ok=true t=\"x\"");
    let (mut worker, _) = counting("bad").run();
    let error = worker.batch(&records()).expect_err("a NaN");
    assert_eq!(first_line(&error), "process: ValueError: a,b: NaN is no number");
}

#[test]
fn an_exception_tells_the_record() {
    let (mut worker, _) = counting("raise").run();
    let error = worker.batch(&records()).expect_err("raised");
    assert_eq!(error.kind(), ErrorKind::Failed);
    assert_eq!(first_line(&error), "process: ValueError: no such page (counting.py:34)");
    assert!(error.message().contains("    raise ValueError(\"no such page\")\n"), "{error}");
    assert!(error.message().contains("\nThe record: ['192.0.2.2', 'ann', "), "{error}");
    let (mut worker, _) = counting("types").run();
    let error = worker.batch(&records()).expect_err("raised");
    assert!(error.message().contains("TypeError"), "{error}");
}
