//! A connection to a server of NATS, and the stream there.

use super::message::decode;
use crate::conf::NatsConf;
use crate::limits::{NATS_ANSWER_MAX, NATS_DUPLICATES, NATS_QUEUE, RELAY_CONNECT_MAX, RELAY_PING_EVERY};
use crate::relay::secure;
use crate::trend::Place;
use async_nats::jetstream::context::{CreateStreamErrorKind, GetStreamErrorKind, PublishErrorKind, RequestErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{
    Config, DiscardPolicy, LastRawMessageErrorKind, RetentionPolicy, StorageType, Stream,
};
use async_nats::jetstream::{self, Context, ErrorCode};
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event};
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use tokio::sync::watch;

/// What the stream's subjects begin with that entries go to, below what the `.on` says; and where a receiver asks a sender for all that
/// is set.
pub(super) const ENTRY: &str = "entry";
pub(super) const ASK: &str = "ask";

/// A connection. It is not made anew by itself: whoever has it ends with it.
pub(super) struct Link {
    pub(super) client: Client,
    pub(super) stream: Stream,
    context: Context,
    /// Which stream it is: one that was made anew under its name is another.
    pub(super) id: String,
    /// Bytes that a message may have.
    pub(super) payload_max: usize,
    gone: watch::Receiver<bool>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Why a message was not published.
#[derive(Debug)]
pub(super) enum NotPublished {
    /// The last of its subject is another than was thought.
    Another,
    /// In words.
    Failed(String),
}

/// Servers as they are written.
pub(super) fn addresses(conf: &NatsConf) -> Vec<String> {
    let scheme = if conf.tls.is_some() { "tls" } else { "nats" };
    conf.servers.iter().map(|server| format!("{scheme}://{}", crate::relay::send::address(server))).collect()
}

impl Link {
    /// Connects to one of the servers, and makes the stream if it is not there. Files are read anew each time.
    ///
    /// # Errors
    /// In words, and what to do.
    pub(super) async fn open(conf: &NatsConf, host: &str) -> Result<Link, String> {
        let (client, gone) = connect(conf, host).await?;
        let mut context = jetstream::new(client.clone());
        context.set_timeout(NATS_ANSWER_MAX);
        let stream = open_stream(&context, conf).await?;
        let info = stream.cached_info();
        if info.config.retention != RetentionPolicy::Limits {
            return Err(format!(
                "the stream {} drops what one receiver has acknowledged (its retention is not \"limits\"): others would miss it; name \
                 another stream",
                conf.stream
            ));
        }
        if !info.config.subjects.iter().any(|of| takes(of, &format!("{}.{ENTRY}.id.relay", conf.subject))) {
            return Err(format!(
                "the stream {} does not take what is published at {}.{ENTRY}.>; add that to its subjects, or name another stream",
                conf.stream, conf.subject
            ));
        }
        let id = format!("{}@{}", conf.stream, info.created.unix_timestamp_nanos());
        let of_stream = usize::try_from(info.config.max_message_size).ok().filter(|most| *most > 0);
        let payload_max = of_stream.unwrap_or(usize::MAX).min(client.max_payload());
        Ok(Link { client, stream, context, id, payload_max, gone })
    }

    /// Waits until the connection is over.
    pub(super) fn gone(&self) -> impl Future<Output = String> + use<> {
        let mut gone = self.gone.clone();
        async move {
            // The client drops its end when it is over as well.
            let _ = gone.wait_for(|gone| *gone).await;
            "the connection is over".to_owned()
        }
    }

    /// The last message of a subject: where it lies in the stream, and up to which entry all is there with it.
    ///
    /// # Errors
    /// The server does not say.
    pub(super) async fn last(&self, subject: &str) -> Result<Option<(u64, Place)>, String> {
        let last = match self.stream.get_last_raw_message_by_subject(subject).await {
            Ok(message) => message,
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => return Ok(None),
            Err(error) => return Err(format!("the last message at {subject} cannot be read: {}", words(&error))),
        };
        let (head, _) = decode(&last.payload).map_err(|why| format!("at {subject} lies {why}"))?;
        Ok(Some((last.sequence, head.last)))
    }

    /// Publishes a message behind the one that lies at `behind`, and waits until the stream has it: where.
    ///
    /// # Errors
    /// It may be there all the same, unless it is [`NotPublished::Another`].
    pub(super) async fn publish(
        &self,
        subject: &str,
        id: &str,
        behind: u64,
        payload: Vec<u8>,
    ) -> Result<u64, NotPublished> {
        let message = PublishMessage::build().message_id(id).expected_last_subject_sequence(behind);
        let sent = async {
            let ack = self.context.send_publish(subject.to_owned(), message.payload(payload.into())).await?;
            ack.await
        };
        let acked = tokio::select! {
            acked = sent => acked,
            why = self.gone() => return Err(NotPublished::Failed(why)),
        };
        match acked {
            Ok(ack) => Ok(ack.sequence),
            Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => Err(NotPublished::Another),
            Err(error) => Err(NotPublished::Failed(format!("the stream does not take an entry: {}", words(&error)))),
        }
    }
}

async fn connect(conf: &NatsConf, host: &str) -> Result<(Client, watch::Receiver<bool>), String> {
    let (gone, going) = watch::channel(false);
    let gone = Arc::new(gone);
    let mut options = ConnectOptions::new()
        .name(format!("graftd {host}"))
        .connection_timeout(RELAY_CONNECT_MAX)
        .request_timeout(Some(NATS_ANSWER_MAX))
        .ping_interval(RELAY_PING_EVERY)
        .subscription_capacity(NATS_QUEUE)
        .client_capacity(NATS_QUEUE)
        // Who has the connection begins anew, with what is in the files then.
        .max_reconnects(conf.servers.len())
        .reconnect_delay_callback(|_| std::time::Duration::ZERO)
        .ignore_discovered_servers()
        .event_callback(move |event| {
            let gone = Arc::clone(&gone);
            async move {
                match event {
                    Event::Disconnected | Event::Closed | Event::ClientError(_) => {
                        gone.send_replace(true);
                    }
                    Event::SlowConsumer(_) => {
                        gone.send_replace(true);
                    }
                    Event::ServerError(error) => tracing::warn!("NATS: {error}"),
                    Event::Connected | Event::LameDuckMode | Event::Draining => {}
                }
            }
        });
    match (conf.read_token()?, &conf.user) {
        (Some(password), Some(user)) => options = options.user_and_password(user.clone(), password),
        (Some(token), None) => options = options.token(token),
        (None, _) => {}
    }
    if let Some(text) = conf.read_credentials()? {
        let wrong = |error| format!("credentials_file: {error}; it is to be as nsc makes it");
        options = options.credentials(&text).map_err(wrong)?;
    }
    if let Some(connector) = secure::open(conf.tls.as_ref()).await? {
        options = options.require_tls(true).tls_client_config(connector.config());
    }
    let client = options.connect(addresses(conf)).await.map_err(|error| not_connected(&error, conf))?;
    Ok((client, going))
}

fn not_connected(error: &async_nats::ConnectError, conf: &NatsConf) -> String {
    match error.kind() {
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
            let has = [&conf.token_file, &conf.credentials_file].iter().any(|file| file.is_some());
            let what = if has { "what token_file or credentials_file has is not right" } else { "it asks who this is" };
            format!(
                "{what}: name a file with what the server's conf says: token_file (with user, if it is a password) or credentials_file"
            )
        }
        _ => words(error),
    }
}

async fn open_stream(context: &Context, conf: &NatsConf) -> Result<Stream, String> {
    let none = |error: &(dyn Error + 'static)| {
        format!(
            "it has no JetStream, or none for this user ({}): start nats-server with -js, or write jetstream {{}} into its conf",
            words(error)
        )
    };
    let missing = match context.get_stream(&conf.stream).await {
        Ok(stream) => return Ok(stream),
        Err(error) => error,
    };
    match missing.kind() {
        GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {}
        GetStreamErrorKind::JetStream(error)
            if [ErrorCode::JETSTREAM_NOT_ENABLED, ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT]
                .contains(&error.error_code()) =>
        {
            return Err(none(&missing));
        }
        GetStreamErrorKind::Request if answers_nobody(&missing) => return Err(none(&missing)),
        _ => return Err(format!("the stream {} is not told of: {}", conf.stream, words(&missing))),
    }
    let limits = conf.limits;
    let config = Config {
        name: conf.stream.clone(),
        description: Some("entries of graftd's relays".to_owned()),
        subjects: vec![format!("{}.{ENTRY}.>", conf.subject)],
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        discard: DiscardPolicy::Old,
        max_bytes: i64::try_from(limits.bytes).unwrap_or(i64::MAX),
        max_age: limits.age,
        num_replicas: limits.replicas,
        duplicate_window: NATS_DUPLICATES,
        ..Config::default()
    };
    match context.create_stream(config).await {
        Ok(stream) => {
            tracing::info!("NATS: the stream {} was made, of {} bytes and {:?}", conf.stream, limits.bytes, limits.age);
            Ok(stream)
        }
        Err(error) => {
            // Another may have made it at the same moment, by other limits.
            if let Ok(stream) = context.get_stream(&conf.stream).await {
                return Ok(stream);
            }
            let full = matches!(error.kind(), CreateStreamErrorKind::JetStream(error)
                if [ErrorCode::STORAGE_RESOURCES_EXCEEDED, ErrorCode::INSUFFICIENT_RESOURCES].contains(&error.error_code()));
            let hint =
                if full { "; write less into stream_bytes, or give the server more room (max_file_store)" } else { "" };
            Err(format!("the stream {} cannot be made: {}{hint}", conf.stream, words(&error)))
        }
    }
}

/// Whether a subject is one of those that a pattern stands for.
fn takes(pattern: &str, subject: &str) -> bool {
    let mut tokens = subject.split('.');
    for of in pattern.split('.') {
        match (of, tokens.next()) {
            (">", Some(_)) => return true,
            (_, None) => return false,
            ("*", Some(_)) => {}
            (of, Some(token)) if of == token => {}
            _ => return false,
        }
    }
    tokens.next().is_none()
}

/// Whether nobody answers to what JetStream would.
fn answers_nobody(error: &(dyn Error + 'static)) -> bool {
    let mut inner = error.source();
    while let Some(error) = inner {
        if let Some(request) = error.downcast_ref::<jetstream::context::RequestError>() {
            return request.kind() == RequestErrorKind::NoResponders;
        }
        inner = error.source();
    }
    false
}

/// What an error says, and what it comes from, unless that is said already.
pub(super) fn words(error: &(dyn Error + 'static)) -> String {
    let mut all = error.to_string();
    let mut inner = error.source();
    while let Some(error) = inner {
        let text = error.to_string();
        if !all.contains(&text) {
            all.push_str(": ");
            all.push_str(&text);
        }
        inner = error.source();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_takes_what_its_patterns_stand_for() {
        for pattern in ["a.entry.>", "a.>", ">", "a.*.id.*", "a.entry.id.relay"] {
            assert!(takes(pattern, "a.entry.id.relay"), "{pattern}");
        }
        for pattern in ["a.entry.*", "b.>", "a.entry.id.relay.>", "a.entry.id.relay.x", "a.ask.>", "a"] {
            assert!(!takes(pattern, "a.entry.id.relay"), "{pattern}");
        }
    }
}
