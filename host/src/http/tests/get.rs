use crate::http::testing::{Server, TICK_BASE, merge, say, tick};
use std::sync::Arc;

const TREE: &str = r#"[{"br":{"ie":{"6":3,"7":[8,{"venders":{"sogou":2}}]},"ff":{"6":1}},"os":{"win":5},"a,b":{"x y":1}},
    {"took":{"/":[1,2,3]},"defaultaction":"quantiles"},
    {"seen":{"v":["x","y","x"]},"defaultaction":"distinct"},
    {"load":{"a":2,"b":4},"defaultaction":"average"}]"#;

async fn check(query: &str, want: &str) {
    let server = Server::still(None).await;
    merge(&server.shared, TREE);
    let reply = server.get(&format!("/get/?{query}")).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, want), "{query}");
    assert_eq!(reply.tick(), TICK_BASE);
}

#[tokio::test]
async fn an_object_a_key_and_a_member_a_match() {
    check("key-br,ie&key-os", r#"[{"br,ie":{"6":3,"7":{"":8,"venders":{"sogou":2}}}},{"os":{"win":5}}]"#).await;
    check("key=br,ie,6", r#"[{"br,ie,6":3}]"#).await;
    check("key-br,*,6", r#"[{"br,ie,6":3,"br,ff,6":1}]"#).await;
    check("key-br,,6", r#"[{"br,,6":4}]"#).await;
    check("key-br,,7", r#"[{"br,,7":{"":8,"venders":{"sogou":2}}}]"#).await;
    check("key-a%252Cb,x+y", r#"[{"a%2Cb,x y":1}]"#).await;
}

#[tokio::test]
async fn what_is_not_there_is_null_or_no_member() {
    check("key-br,ie,9&key-no,,way&key-no,*&key-br,*,9", r#"[{"br,ie,9":null},{"no,,way":null},{},{}]"#).await;
}

#[tokio::test]
async fn one_figure_rather_than_the_subtree() {
    check("key-br,ie,7&key-br&key-br,,6&as=value", r#"[{"br,ie,7":8},{"br":12},{"br,,6":4}]"#).await;
    check("key-load,*&key-load&as=value", r#"[{"load,a":2,"load,b":4},{"load":3}]"#).await;
    check("key-took,/&as=count", r#"[{"took,/":3}]"#).await;
    check("key-took,/&as=sum&window=1m", r#"[{"took,/":6}]"#).await;
    check("key-took,/&as=max", r#"[{"took,/":3}]"#).await;
    check("key-took,/&as=min&key-os,win", r#"[{"took,/":1},{"os,win":null}]"#).await;
    check("key-seen,v&window=1m&key-os,win", r#"[{"seen,v":2},{"os,win":5}]"#).await;
    check("key-os,win&key-nil&as=error", r#"[{"os,win":0},{"nil":null}]"#).await;
    check("key-load,a&as=rate", r#"[{"load,a":null}]"#).await;
    check("key-br&as=value&depth=1", r#"[{"br":{"ie":11,"ff":1}}]"#).await;
}

#[tokio::test]
async fn the_p50_is_a_sketchs_value() {
    let server = Server::still(None).await;
    merge(&server.shared, TREE);
    let p50 = server.get("/get/?key-took,/&as=p50").await.body;
    assert_eq!(server.get("/get/?key-took,/&as=value").await.body, p50);
    let x: f64 = p50.trim_start_matches("[{\"took,/\":").trim_end_matches("}]").parse().unwrap();
    assert!((1.98..2.02).contains(&x), "{p50}");
}

#[tokio::test]
async fn a_rate_is_growth_per_second_over_closed_ticks() {
    let server = Server::still(None).await;
    for _ in 0..4 {
        merge(&server.shared, r#"{"hits":{"a":6,"b":2}}"#);
        tick(&server.shared);
    }
    assert_eq!(server.get("/get/?key-hits,a&key-hits&as=rate").await.body, r#"[{"hits,a":6},{"hits":8}]"#);
    assert_eq!(server.get("/get/?key-hits&as=rate&depth=1").await.body, r#"[{"hits":{"a":6,"b":2}}]"#);
}

#[tokio::test]
async fn depth_and_limit_bound_an_answer() {
    check("key-br&depth=1", r#"[{"br":{"ie":11,"ff":1}}]"#).await;
    check("key-br&depth=0", r#"[{"br":12}]"#).await;
    let server = Server::still(None).await;
    merge(&server.shared, TREE);
    for (query, want, cut) in [
        ("key-br,ie&limit=2", r#"[{"br,ie":{"6":3}}]"#, true),
        ("key-br,ie&limit=5", r#"[{"br,ie":{"6":3,"7":{"":8,"venders":{"sogou":2}}}}]"#, false),
        ("key-br,ie,6&key-os,win&limit=1", r#"[{"br,ie,6":3},{"os,win":null}]"#, true),
        ("key-load,*&as=value&limit=1", r#"[{"load,a":2}]"#, true),
        ("key-load,*&as=value&limit=2", r#"[{"load,a":2,"load,b":4}]"#, false),
        ("key-load,*&limit=1", r#"[{"load,a":2}]"#, true),
    ] {
        let reply = server.get(&format!("/get/?{query}")).await;
        assert_eq!(reply.header("x-truncated").is_some(), cut, "{query}");
        if !query.contains("key-os") {
            assert_eq!(reply.body, want, "{query}");
        }
    }
}

#[tokio::test]
async fn the_api_answers_the_subtree_of_all_the_rest_of_the_url() {
    let server = Server::still(None).await;
    merge(&server.shared, r#"{"url":{"/a/b.html":3,"x y+z":{"c.json":1}},"a,b":7,"br":{"ie":{"n":1},"ff":{"n":2}}}"#);
    for (target, status, want) in [
        ("/api/q/url,/a/b.html.json", 200, "3"),
        ("/api/q/url,/a/b.html", 200, "3"),
        ("/api/q/url,%2Fa%2Fb.html", 200, "3"),
        ("/api/q/url,x%20y+z", 200, r#"{"c.json":1}"#),
        ("/api/q/url,x%20y+z,c.json.json", 200, "1"),
        ("/api/q/a%252Cb.json", 200, "7"),
        ("/api/q/br,,n", 200, "3"),
        ("/api/q/br.json?depth=1", 200, r#"{"ie":1,"ff":2}"#),
        ("/api/q/.json?depth=1&limit=2", 200, r#"{"url":4}"#),
        (
            "/api/q/nil.json",
            404,
            r#"{"error":"there is no \"nil\" in the tree; /get/?key-&depth=1 shows its branches"}"#,
        ),
        ("/api/q/br,*", 400, r#"{"error":"/api/q/ answers one subtree; /get/?key-br,* lists what a * matches"}"#),
        (
            "/api/q/a%25zz",
            400,
            "{\"error\":\"/api/q/: path \\\"a%zz\\\": key 1: a % must be followed by two hexadecimal digits (a % itself is %25)\"}",
        ),
        (
            "/api/q/a?dept=1",
            400,
            "{\"error\":\"/api/q/: unknown argument \\\"dept\\\"; did you mean \\\"depth\\\"?; known are depth, limit, meta\"}",
        ),
    ] {
        let reply = server.get(target).await;
        assert_eq!((reply.status, reply.body.as_str()), (status, want), "{target}");
    }
}

#[tokio::test]
async fn metadata_stands_beside_the_values_where_it_is_asked_for() {
    let server = Server::still(None).await;
    merge(&server.shared, r#"{"redis":{"h1":{"up":1},"h2":{"up":2}},"meta":{"":3,"x":4}}"#);
    say(&server.shared, |out| {
        for host in ["h1", "h2"] {
            out.meta(&["redis", host, "up"], &[("units", "s"), ("group", "redis"), ("tmax", "60")]);
            out.meta(&["redis", host, "new"], &[("units", "none yet")]);
        }
        out.meta(&["redis", "h1"], &[("ip", "10.0.0.1")]);
        out.meta(&["meta"], &[("title", "<b>")]);
    });
    let up = r#"{"units":"s","group":["redis"],"tmax":60}"#;
    let ip = r#"{"ip":"10.0.0.1"}"#;
    let both = format!(r#""redis,h1":{ip},"redis,h1,up":{up}"#);
    for (target, want) in [
        ("/get/?key-redis,h1", r#"[{"redis,h1":{"up":1}}]"#.to_owned()),
        ("/get/?key-redis,h1&meta=0", r#"[{"redis,h1":{"up":1}}]"#.to_owned()),
        ("/get/?key-redis,h1&meta=1", format!(r#"[{{"redis,h1":{{"up":1}},"meta":{{{both}}}}}]"#)),
        ("/get/?key-redis,h1&meta=1&depth=0", format!(r#"[{{"redis,h1":1,"meta":{{"redis,h1":{ip}}}}}]"#)),
        ("/get/?key-redis,h1,up&meta=1&as=value", format!(r#"[{{"redis,h1,up":1,"meta":{{"redis,h1,up":{up}}}}}]"#)),
        ("/get/?key-redis,h1&meta=1&as=value", format!(r#"[{{"redis,h1":1,"meta":{{"redis,h1":{ip}}}}}]"#)),
        ("/get/?key-redis,h1&meta=1&as=p50", format!(r#"[{{"redis,h1":null,"meta":{{"redis,h1":{ip}}}}}]"#)),
        (
            "/get/?key-redis,*,up&meta=1",
            format!(r#"[{{"redis,h1,up":1,"redis,h2,up":2,"meta":{{"redis,h1,up":{up},"redis,h2,up":{up}}}}}]"#),
        ),
        (
            "/get/?key-redis,,up&key-no&key-no,*&meta=1",
            r#"[{"redis,,up":3,"meta":{}},{"no":null,"meta":{}},{"meta":{}}]"#.to_owned(),
        ),
        ("/get/?key-meta&meta=1", r#"[{"%6Deta":{"":3,"x":4},"meta":{"meta":{"title":"<b>"}}}]"#.to_owned()),
        ("/get/?key-%256Deta,x&meta=1", r#"[{"meta,x":4,"meta":{}}]"#.to_owned()),
        ("/api/q/redis,h1.json?meta=1", format!(r#"{{"value":{{"up":1}},"meta":{{"":{ip},"up":{up}}}}}"#)),
        ("/api/q/redis,h1,up.json?meta=1", format!(r#"{{"value":1,"meta":{{"":{up}}}}}"#)),
        ("/api/q/redis?meta=1&depth=1", format!(r#"{{"value":{{"h1":1,"h2":2}},"meta":{{"h1":{ip}}}}}"#)),
        ("/api/q/redis,,up?meta=1", r#"{"value":3,"meta":{}}"#.to_owned()),
    ] {
        let reply = server.get(target).await;
        assert_eq!((reply.status, reply.body.as_str()), (200, want.as_str()), "{target}");
        assert_eq!(reply.header("x-truncated"), None, "{target}");
    }
    let cut = server.get("/api/q/redis,h1?meta=1&limit=1").await;
    assert_eq!(cut.body, format!(r#"{{"value":{{}},"meta":{{"":{ip}}}}}"#));
    assert_eq!(cut.header("x-truncated"), Some("1"));
}

#[tokio::test]
async fn many_readers_do_not_stop_each_other() {
    let server = Arc::new(Server::still(None).await);
    merge(&server.shared, r#"{"a":{"b":1}}"#);
    let asks = (0..64).map(|_| {
        let server = Arc::clone(&server);
        tokio::spawn(async move { server.get("/get/?key-a,b").await.body })
    });
    for ask in asks.collect::<Vec<_>>() {
        assert_eq!(ask.await.unwrap(), r#"[{"a,b":1}]"#);
    }
}
