//! Keys that servers and applications use.

use super::map::{Source, Target, Way};
use plugin_api::Field;
use std::sync::LazyLock;

/// The keys that are known, each field's best first. `>` goes into an object, `/` is as in a map.
///
/// Sources: nginx's variables; Caddy `http.log.access`; Traefik, "Access Logs"; Envoy's JSON examples; Elastic Common Schema.
const KNOWN: [(Target, &str); 13 + 1] = [
    (
        Target::Field(Field::Addr),
        "remote_addr client_ip clientip client_addr remote_ip ClientHost ip request>client_ip request>remote_ip client>ip \
         source>ip client.ip source.ip client remote ClientAddr remoteAddress remote_address",
    ),
    (Target::Field(Field::User), "remote_user user username user_id ClientUsername user>name user.name"),
    (
        Target::Field(Field::Time),
        "msec ts time_iso8601 StartUTC time_local timestamp @timestamp time start_time datetime date",
    ),
    (
        Target::Field(Field::Method),
        "request_method method RequestMethod http_method request>method http>request>method http.request.method verb",
    ),
    (
        Target::Field(Field::Url),
        "request_uri url uri RequestPath request_url request_path request>uri request>url url>original url.original path \
         url>path url.path target document_uri",
    ),
    (
        Target::Field(Field::Protocol),
        "server_protocol protocol proto RequestProtocol request>proto request>protocol http_version",
    ),
    (
        Target::Field(Field::Status),
        "status status_code response_code DownstreamStatus response>status http>response>status_code \
         http.response.status_code statusCode OriginStatus",
    ),
    (
        Target::Field(Field::Bytes),
        "body_bytes_sent bytes_sent bytes size DownstreamContentSize response_size response>size \
         http>response>body>bytes http.response.body.bytes response_bytes",
    ),
    (
        Target::Field(Field::Referer),
        "http_referer referer referrer http_referrer request_Referer request>headers>Referer request>headers>referer \
         http>request>referrer http.request.referrer",
    ),
    (
        Target::Field(Field::Agent),
        "http_user_agent user_agent useragent userAgent user-agent agent request_User-Agent request>headers>User-Agent \
         request>headers>user-agent user_agent>original user_agent.original",
    ),
    (
        Target::Field(Field::RequestTime),
        "request_time duration latency response_time elapsed duration_ms/1000 latency_ms/1000 response_time_ms/1000 \
         elapsed_ms/1000 Duration/1000000000",
    ),
    (
        Target::Field(Field::UpstreamTime),
        "upstream_response_time upstream_time upstream_service_time/1000 OriginDuration/1000000000",
    ),
    (
        Target::Field(Field::Host),
        "host http_host server_name vhost virtual_host authority RequestHost request>host domain url>domain url.domain",
    ),
    (Target::Request, "request request_line"),
];

/// What they are, each with its way, in the order of the ways.
pub(super) fn known() -> &'static [Way] {
    static WAYS: LazyLock<Vec<Way>> = LazyLock::new(|| {
        let mut ways: Vec<Way> = ways().collect();
        ways.sort_by(|(a, _), (b, _)| a.cmp(b));
        ways
    });
    &WAYS
}

fn ways() -> impl Iterator<Item = Way> {
    KNOWN.into_iter().flat_map(|(target, keys)| {
        keys.split_whitespace().enumerate().map(move |(i, written)| {
            let (path, unit) =
                written.split_once('/').map_or((written, None), |(path, unit)| (path, unit.parse().ok()));
            let path = path.split('>').map(str::to_owned).collect();
            // What says one thing is better than what has to be taken apart, but for what has lost its query.
            let whole = target == Target::Request;
            let lost_query = target == Target::Field(Field::Url) && ["uri", "path", "document_uri"].contains(&written);
            let rank = i as u8
                + if whole {
                    50
                } else if lost_query {
                    100
                } else {
                    0
                };
            (path, Source { target, rank, per_second: unit })
        })
    })
}
