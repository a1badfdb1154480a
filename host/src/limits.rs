//! What bounds the daemon, each with its unit and its reason. What bounds a delta is in `plugin_api::limits`, what bounds
//! messages to workers in `gmod_compat::protocol::limits`, what bounds the tree in `graftd.conf`.

use std::time::Duration;

/// Events waiting for the core. A full queue holds its senders back: pushes wait, logs are read later.
pub const EVENTS_MAX: usize = 1_024;

/// Files of one log that are followed at a time: each takes a descriptor.
pub const LOG_FILES_MAX: usize = 4_096;

/// Of the descriptors that the system lets the daemon have (`ulimit -n`), the files of all logs together may take one in so many:
/// clients, modules and the database need the others.
pub const LOG_DESCRIPTORS_PART: u64 = 2;

/// How often the daemon's own messages tell of what is wrong with a log, unless all was well in between for as long.
pub const LOG_TROUBLE_EVERY: Duration = Duration::from_secs(60);

/// How long a log's file that cannot be read is left alone; each time it fails anew, twice as long.
pub const LOG_READ_PAUSE: Duration = Duration::from_secs(1);

/// The longest.
pub const LOG_READ_PAUSE_MAX: Duration = Duration::from_secs(60);

/// How often a log's files are all looked at although nothing was heard of them.
pub const LOG_LOOK_SELDOM: Duration = Duration::from_secs(2);

/// How long they are looked at often once something had changed that was not heard of.
pub const LOG_DEAF: Duration = Duration::from_secs(60);

/// How long a packed file that was not whole is left alone: somebody is writing it.
pub const PACKED_PAUSE: Duration = Duration::from_secs(2);

/// And so many times as long as it took to find that out: unpacking it anew takes a twentieth of a processor at most.
pub const PACKED_PAUSE_TIMES: u32 = 20;

/// Blocks of lines waiting for a log's pipes: together with [`BLOCK_BYTES`] it bounds what a slow pipe holds in memory.
pub const LOG_BLOCKS_MAX: usize = 64;

/// How long the daemon waits for its logs at its end: what they have folded is written down.
pub const LOGS_END_MAX: Duration = Duration::from_millis(1_500);

/// Commits that a relay wants sooner than `commit` says are at least so many times as far apart as the last one took: they take a
/// fourth of a processor and of the disk at most.
pub const COMMIT_PAUSE_TIMES: u32 = 4;

/// How long the end of the daemon may take together with its last commit.
pub const LAST_COMMIT_MAX: Duration = Duration::from_secs(4);

/// Bytes read from a log at once: large enough that a call costs nothing a line, small enough for the cache.
pub const BLOCK_BYTES: usize = 256 * 1024;

/// Records handed to a pipe at once: a batch of them stays in the processor's second-level cache.
pub const BATCH_RECORDS: usize = 512;

/// Groups (`by`, or `{vhost}` in a log's prefix) that a pipe keeps apart in a log unless the `.on` says otherwise. Each has an
/// instance of the pipe, with all the memory that its README names, and whoever sends requests chooses their `Host`.
pub const GROUPS: usize = 100;

/// Groups that a `.on` may ask for: a hoster's virtual hosts fit, and the instances of a small pipe stay within megabytes.
pub const GROUPS_MAX: usize = 10_000;

/// Addresses whose country a pipe with `by = ["geo"]` remembers in a log, in about 100 KB. A power of two.
pub const GROUP_ADDRESSES: usize = 4_096;

/// Bytes of a value that names a group; a line with a longer one is in `(other)`. No host name is longer than 253.
pub const GROUP_KEY_BYTES_MAX: usize = 256;

/// The longest line of a log, in bytes; what is beyond is passed over to the next line's start and counted.
pub const LINE_BYTES_MAX: usize = gmod_compat::protocol::limits::FIELD_BYTES_MAX;

/// Bytes of the line of a log that names its columns. IIS's have three hundred.
pub const HEADER_BYTES_MAX: usize = 64 * 1024;

/// How far back from where a log is read on such a line is looked for, in bytes: IIS writes it at each start, and a day's
/// file is rarely larger. That far takes a tenth of a second.
pub const HEADER_SEARCH_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Lines from which the format of a log is guessed.
pub const GUESS_LINES: usize = 1_000;

/// Bytes of them at most: one line of the longest has to fit.
pub const GUESS_BYTES_MAX: usize = 2 * LINE_BYTES_MAX;

/// Threads that may read logs for `graftd ingest`; each has its own pipes, of a few megabytes.
pub const INGEST_THREADS_MAX: u16 = 256;

/// Bytes that zstd may look back over in a packed log, and that unpacking it takes: what `zstd --long` makes, and `zstd -d`
/// reads without being told more.
pub const ZSTD_WINDOW_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// Lines that did not parse that are remembered with their reason, per log and per ingest.
pub const LINE_FAULTS_MAX: usize = 10;

/// Bytes of a body that is pushed, as sent and unpacked: some hundred thousand leaves.
pub const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes of lines that `graftd ingest --push` sends at once: well within a body, and the daemon's other clients get their turn.
pub const PUSH_BLOCK_BYTES: usize = 4 * 1024 * 1024;

/// How long `graftd push` waits for more before it sends what it has.
pub const PUSH_PAUSE: Duration = Duration::from_millis(20);

/// How long it gathers where more keeps coming.
pub const PUSH_GATHER_MAX: Duration = Duration::from_millis(500);

/// The longest line of a push by TCP, in bytes; a document has to fit.
pub const PUSH_LINE_BYTES_MAX: usize = BODY_BYTES_MAX;

/// Connections that push by TCP at a time; more are closed at once and counted.
pub const PUSH_CONNECTIONS_MAX: usize = 16_384;

/// Connections at a time that have to say a token before they push by TCP, beside those that have: for one more, another leaves.
pub const PUSH_STRANGERS_MAX: usize = 2_048;

/// Bytes of a connection that pushes by TCP that are its own: what it sends beyond them takes of the room for all.
pub const PUSH_OWN_BYTES: usize = 512;

/// Bytes of the first line of a push by TCP where a token is asked for: nobody fills the room before saying it.
pub const PUSH_OPENING_BYTES_MAX: usize = 64 * 1024;

/// Bytes that all first lines with a token may take that are longer than [`PUSH_OWN_BYTES`]; as a rule none is.
pub const PUSH_OPENINGS_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Bytes that all pushes by TCP hold at a time: a read for each connection, and some of the longest lines on top. A
/// connection that finds no room is told so and closed; waiting, half lines would wait for each other.
pub const PUSH_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Bytes of pushed lines, and of long documents by HTTP, that are read and merged at a time; others wait their turn. As frames, documents of one leaf
/// each take about seven times the room of their text.
pub const PUSH_MERGE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// How long a client that pushes by TCP may leave an answer lying that does not fit into the socket.
pub const PUSH_WRITE_MAX: Duration = Duration::from_secs(10);

/// How long what a refused client still sends is read and dropped, so that it gets to read why.
pub const PUSH_LINGER_MAX: Duration = Duration::from_secs(1);

/// How often the datagrams that the kernel dropped are counted: it looks through a list of all UDP sockets.
pub const PUSH_DROPS_EVERY: Duration = Duration::from_secs(5);

/// How often they are counted where none is received.
pub const PUSH_DROPS_QUIET_EVERY: Duration = Duration::from_secs(60);

/// How long a line of a push by TCP may take to be whole; slower ones are cut off.
pub const PUSH_LINE_MAX: Duration = Duration::from_secs(60);

/// How long the first line may take where it has to say a token.
pub const PUSH_OPENING_MAX: Duration = Duration::from_secs(10);

/// Connections that are told at a time why they are not let in; others are closed at once.
pub const PUSH_TURNED_AWAY_MAX: usize = 256;

/// Connections of one source to push by TCP, unless it is configured; this host itself may have all.
pub const PUSH_CONNECTIONS_PER_SOURCE: usize = 4_096;

/// Connections of one source over HTTP, unless it is configured; this host itself may have all.
pub const HTTP_CONNECTIONS_PER_SOURCE: usize = 4_096;

/// Sources that are told of each by itself in the tree: those that pushed most of late.
pub const PUSH_ACCOUNTS_MAX: usize = 256;

/// Sources beyond them that are watched, to see whether one has become heavier.
pub const PUSH_CHALLENGERS_MAX: usize = 1_024;

/// After so long what a source has pushed weighs half as much.
pub const PUSH_WEIGHT_HALVES: Duration = Duration::from_secs(300);

/// Sources whose rate is kept each by itself, where one is set: those that have pushed of late.
pub const PUSH_BUCKETS_MAX: usize = 65_536;

/// A source that was silent may push as much at once as in so long.
pub const PUSH_BURST: Duration = Duration::from_secs(2);

/// Events that wait for the core when pushes by HTTP are told to come again: it is behind.
pub const PUSH_EVENTS_WAITING_MAX: usize = EVENTS_MAX / 4 * 3;

/// How long `graftd push` waits for a connection by TCP, and for a handshake.
pub const PUSH_CONNECT_MAX: Duration = Duration::from_secs(10);

/// How long it waits, when all is sent by TCP, for what the daemon says of it.
pub const PUSH_ANSWER_MAX: Duration = Duration::from_secs(60);

/// How long `graftd push` and `graftd ingest --push` come again to a daemon that says when to.
pub const PUSH_AGAIN_MAX: Duration = Duration::from_secs(120);

/// How long pushed lines wait for the pipes to have room before they are to come again.
pub const PUSH_LINES_WAIT_MAX: Duration = Duration::from_secs(2);

/// After how long of silence the kernel asks whether the other side is still there, how often, and how many times.
pub const KEEP_ALIVE_AFTER: Duration = Duration::from_secs(60);
/// See [`KEEP_ALIVE_AFTER`].
pub const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(15);
/// See [`KEEP_ALIVE_AFTER`].
pub const KEEP_ALIVE_TRIES: u32 = 4;

/// How long a connection that pushes may say nothing.
pub const PUSH_IDLE_MAX: Duration = Duration::from_secs(600);

/// Connections over HTTP at a time: each may hold a `/pull/`.
pub const HTTP_CONNECTIONS_MAX: usize = 20_000;

/// How long a client may take for its request's head; slower ones are cut off.
pub const HTTP_HEAD_MAX: Duration = Duration::from_secs(10);

/// How long a client may take for a body.
pub const HTTP_BODY_MAX: Duration = Duration::from_secs(60);

/// How long a kept connection may say nothing between two requests: longer than the usual interval of what pushes.
pub const HTTP_IDLE_MAX: Duration = Duration::from_secs(75);

/// How long a client may leave an answer lying that does not fit into the socket.
pub const HTTP_WRITE_MAX: Duration = Duration::from_secs(60);

/// Bytes of a request's head, and of what is buffered of an answer's end.
pub const HTTP_HEAD_BYTES_MAX: usize = 128 * 1024;

/// Browsers that are remembered to have said a token; past it the one that did so longest ago is asked again.
pub const HTTP_SESSIONS_MAX: usize = 1_000;

/// How long a browser is remembered so.
pub const HTTP_SESSION_MAX: Duration = Duration::from_secs(12 * 3_600);

/// Characters of a token, at least: nobody finds it by trying.
pub const TOKEN_BYTES_MIN: usize = 16;

/// How often certificates are looked at that may have been renewed.
pub const TLS_LOOK_EVERY: Duration = Duration::from_secs(2);

/// How long a handshake may take.
pub const TLS_HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// How long a certificate of `graftd tls` is good, in days: longer ones are not believed by every client.
pub const TLS_CERT_DAYS: i64 = 397;

/// How long the authority is that `graftd tls` makes, in days.
pub const TLS_CA_DAYS: i64 = 3_653;

/// Bytes of the form in which a browser says a token.
pub const LOGIN_BYTES_MAX: usize = 16 * 1024;

/// Bytes of all bodies that are under way at a time, as sent and unpacked; who comes then is told to come again.
pub const HTTP_BODIES_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Bodies that are unpacked at a time; others wait their turn. Each may come to the longest there is.
pub const HTTP_UNPACKED_AT_ONCE: usize = 4;

/// Bytes of a refused body that are read and dropped, so that its sender gets to read why.
pub const HTTP_LINGER_BYTES: usize = 256 * 1024 * 1024;

/// How long a refused body is read and dropped.
pub const HTTP_LINGER_MAX: Duration = Duration::from_secs(30);

/// Fields of a form that are documents or lines, at most.
pub const PUSH_FIELDS_MAX: usize = 1_000;

/// Bytes of a body up to which reading it holds up nobody; a larger one has a thread of its own.
pub const BODY_BYTES_SHORT: usize = 64 * 1024;

/// How long an event stream may be silent: a comment keeps proxies from closing it.
pub const STREAM_QUIET_MAX: Duration = Duration::from_secs(15);

/// Streams of one question that are written to before those of another have their turn: about a millisecond.
pub const STREAMS_TOLD_AT_ONCE: usize = 256;

/// Bytes of the daemon's own log that are gathered before they are handed over.
pub const OWN_LOG_BYTES: usize = 64 * 1024;

/// How long lines of the daemon's own log are gathered.
pub const OWN_LOG_PAUSE: Duration = Duration::from_millis(5);

/// Children of a branch that `/metrics` writes under one hold of the tree's lock.
pub const METRICS_CHUNK: usize = 256;

/// The longest that `/pull/` waits.
pub const PULL_WAIT_MAX: Duration = Duration::from_secs(30);

/// Steps that a range of history is divided into unless more are asked for: about what a chart is wide.
pub const TREND_STEPS: i64 = 1_000;

/// Steps of one answer: a day by seconds, and a year by ten minutes.
pub const TREND_STEPS_MAX: i64 = 100_000;

/// Values in one answer of history: a hundred megabytes as JSON.
pub const TREND_VALUES_MAX: usize = 10_000_000;

/// Questions to history that are worked on at a time, whether anybody waits for the answer or not.
pub const TREND_ASKED_AT_ONCE: usize = 4;

/// Pixels of a picture's sides.
pub const GRAPH_SIDE: std::ops::RangeInclusive<u32> = 40..=4_096;

/// Pixels of a picture: 32 MiB while it is drawn.
pub const GRAPH_PIXELS_MAX: u32 = 8 << 20;

/// Columns and lines of a picture made of letters.
pub const GRAPH_COLUMNS: std::ops::RangeInclusive<u32> = 20..=400;
/// See [`GRAPH_COLUMNS`].
pub const GRAPH_ROWS: std::ops::RangeInclusive<u32> = 5..=200;

/// Lines in a picture; of more, the heaviest are drawn.
pub const GRAPH_LINES_MAX: usize = 24;

/// Children of a branch up to which all that ever were there are asked for; of more, the heaviest of now.
pub const GRAPH_CHILDREN_MAX: usize = 1_000;

/// Rows of a list: what the tallest picture has room for.
pub const GRAPH_LIST_MAX: usize = 256;

/// Vertical lines in a picture, the newest.
pub const GRAPH_MARKERS_MAX: usize = 100;

/// Paths of texts whose changes are marked: each is a question of its own.
pub const GRAPH_MARKED_MAX: usize = 8;

/// Changes of all these texts that are looked at.
pub const GRAPH_CHANGES_MAX: usize = 200_000;

/// Points of all lines that a picture is made of.
pub const GRAPH_POINTS_MAX: usize = 2_000_000;

/// Characters of a title or a key in a picture; it is cut to the room that there is besides.
pub const GRAPH_TEXT_CHARS: usize = 256;

/// Characters in a picture that are looked for in all fonts of the system: each look may open each of them.
pub const GRAPH_LOOKS_MAX: usize = 128;

/// Pictures that are made at a time, each on a thread of its own.
pub const GRAPHS_AT_ONCE: usize = 2;

/// How long a picture waits for its turn.
pub const GRAPH_WAIT_MAX: Duration = Duration::from_secs(10);

/// Bytes of what waits to be written to a store of history elsewhere, unless it is told: about 25 million samples.
pub const STORE_BUFFER_BYTES: u64 = 256 << 20;

/// What may be told.
pub const STORE_BUFFER_BYTES_RANGE: std::ops::RangeInclusive<u64> = (64 << 10)..=(1 << 40);

/// Headers that may be sent along with requests to a store.
pub const STORE_HEADERS_MAX: usize = 32;

/// Samples of one request to a store, about, and bytes of it before it is packed: what any takes at once.
pub const STORE_SAMPLES: usize = 10_000;
pub const STORE_BYTES: usize = 4 << 20;

/// Samples of one row that waits for a store: all of it goes with one request.
pub const STORE_ROW_SAMPLES: usize = 2_048;

/// How long a store may take to answer a request.
pub const STORE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a store that cannot be reached, or says that it cannot, is left alone; each time anew twice as long, to the longest.
pub const STORE_PAUSE: Duration = Duration::from_millis(500);
pub const STORE_PAUSE_MAX: Duration = Duration::from_secs(30);

/// The longest that a store is left alone because it wants that itself (`Retry-After`).
pub const STORE_RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// Requests into which what a store refuses of one time is divided, to save what it takes of it: half as many after each time of
/// which nothing was taken, but not fewer than some.
pub const STORE_HALVES_MAX: usize = 64;
pub const STORE_HALVES_LEAST: usize = 4;

/// How long it is told that a store has refused something: all is told again before.
pub const STORE_REFUSAL_TOLD: Duration = Duration::from_secs(600);

/// How often a store is told a value that does not change: Prometheus takes a series for gone that is silent for five minutes.
pub const STORE_FILL: Duration = Duration::from_secs(240);

/// Bytes of an answer of a store: about two million samples.
pub const STORE_ANSWER_BYTES_MAX: u64 = 64 << 20;

/// Bytes of a file of the pages, where they are served from a folder.
pub const WEB_FILE_BYTES_MAX: u64 = 16 << 20;

/// Paths in one `/get/` or `/pull/`.
pub const PATHS_MAX: usize = 256;

/// Nodes in an answer unless `limit=` says otherwise: some megabytes, and some milliseconds of the tree's lock.
pub const ANSWER_NODES: usize = 100_000;

/// Nodes in an answer at most.
pub const ANSWER_NODES_MAX: usize = 4_000_000;

/// Nodes that a page of `/api/ls/` lists, and that `/api/find` finds, unless told otherwise; and at most.
pub const LISTED: usize = 200;

/// See [`LISTED`].
pub const LISTED_MAX: usize = 1_000;

/// Bytes of a list of `/api/ls/` from which on it has no further nodes: a key may have 16 KiB, and six times as much as JSON has it.
pub const LISTED_BYTES_MAX: usize = 2 << 20;

/// Bytes of a text that are shown of it in a list.
pub const LISTED_TEXT_BYTES: usize = 256;

/// Nodes that `/api/ls/` and `/api/find` look at before they let the core at the tree again: half a millisecond or so.
pub const LOOK_NODES: usize = 4_096;

/// What a fold of one node that is listed may cost, in nodes; what costs more is listed without its figure.
pub const LISTED_FOLD_MAX: usize = 4_096;

/// What all folds of an answer may cost together: a few milliseconds.
pub const LISTED_FOLDS_MAX: usize = 65_536;

/// Bytes of all paths that `/api/find` answers with; those that have no room are left out, and it says so.
pub const FOUND_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How long `/api/find` looks: it answers with what it has found by then. A tree of a million leaves takes a tenth of that.
pub const FIND_MAX: Duration = Duration::from_secs(1);

/// Questions of `/api/find`, and long lists of `/api/ls/`, that are looked after at a time: each takes a processor for a moment.
pub const LOOKS_AT_ONCE: usize = 1;

/// How long they wait for their turn, and who reads or changes views.
pub const TURN_WAIT_MAX: Duration = Duration::from_secs(10);

/// Characters of a question: nobody types more.
pub const QUESTION_CHARS_MAX: usize = 256;

/// Changes of modules' states that are kept to be shown.
pub const STATES_KEPT: usize = 500;

/// The same of an agent, which shows no page.
pub const STATES_KEPT_OF_AGENT: usize = 100;

/// The same of one module: whoever else changed is to be seen beside one that comes and goes.
pub const STATES_KEPT_OF_MODULE: usize = 50;

/// Bytes of the reason that are kept of such a change.
pub const STATE_WHY_BYTES: usize = 400;

/// Views that are kept: a page lists them all.
pub const VIEWS_MAX: usize = 500;

/// Bytes of their file.
pub const VIEWS_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of one, as JSON: a hundred charts with long paths and what each is drawn by.
pub const VIEW_BYTES_MAX: usize = 128 * 1024;

/// Who reads or changes them at a time.
pub const VIEWS_AT_ONCE: usize = 1;

/// Bodies of views that wait for that: a quarter of the room for all bodies at the most.
pub const VIEWS_WAITING_MAX: usize = HTTP_BODIES_BYTES_MAX / 4 / VIEWS_BYTES_MAX;

/// Charts of one: more are no page that anybody looks at.
pub const VIEW_CHARTS_MAX: usize = 100;

/// Characters of a view's name.
pub const VIEW_NAME_CHARS_MAX: usize = 100;

/// Metadata in an answer, in bytes: that of a hundred thousand values as they mostly are. Nodes alone are no bound, for each
/// may have 8 KiB of it.
pub const META_ANSWER_BYTES: usize = 32 * 1024 * 1024;

/// Faults named in the answer to a push; by TCP in the answer to what was read at once.
pub const PUSH_FAULTS_MAX: usize = 10;

/// How long a stop may take before threads that do not end are left behind.
pub const STOP_GRACE: Duration = Duration::from_secs(5);

/// How long nothing more must be heard of whole files in `plugins/` and `conf/` before they are looked at: what is put there
/// together is looked at together.
pub const FILES_REST: Duration = Duration::from_millis(5);

/// How long whole files that keep coming put off the look at those before them.
pub const FILES_REST_MAX: Duration = Duration::from_millis(50);

/// How long a file that vanished may take to be back, and a folder that was just made to be filled: an editor's save may take
/// a file away first.
pub const SETTLE: Duration = Duration::from_millis(50);

/// How long nothing must be heard of a file that is being written before it is looked at as it is: a slow link pauses, and
/// whoever writes may never close it.
pub const WRITE_SILENCE_MAX: Duration = Duration::from_secs(2);

/// How long a thread that loads modules waits for another before it ends.
pub const LOADER_REST: Duration = Duration::from_secs(5);

/// How long before the end of a tick collectors are asked whose interval is a whole number of ticks: so long may the slowest of a beat
/// take to be told with the others. A tenth of a tick, where that is less.
pub const BEAT_LEAD: Duration = Duration::from_millis(30);

/// How long after one another the collectors of a beat are asked: a CPU that is done with one has what the next needs in its caches, and
/// who counts what runs does not count the others.
pub const BEAT_STEP: Duration = Duration::from_millis(1);

/// So many are asked after one another; then it begins anew.
pub const BEAT_STEPS: u32 = 16;

/// How long an agent waits, when a collector's delta wakes it from sleeping through ticks, for those of the others, where they do not come
/// before the end of a tick.
pub const BEAT_SPREAD: Duration = Duration::from_millis(10);

/// For how long an agent's ticks are slept through where there is nothing to do at them, at most.
pub const TICKS_SLEPT_MAX: Duration = Duration::from_secs(10);

/// How long a thread of an agent waits for another thing to do that may take its time, such as reading a file: longer than its usual beat
/// of 10 s, or it would be made anew at each.
pub const SMALL_THREADS_REST: Duration = Duration::from_secs(15);

/// How long nothing was loaded when an agent gives back what only starting needed.
pub const SETTLED: Duration = Duration::from_secs(20);

/// So much more of files is mapped than at rest when an agent gives it back.
pub const VISIT_BYTES: u64 = 512 * 1024;

/// So many pages are missed at least for that to be mapped: the kernel maps 64 KiB at a time. Where as many are missed between two
/// looks, somebody is still there.
pub const VISIT_PAGES: u64 = VISIT_BYTES / (64 * 1024);

/// How long an agent waits at most before it gives back again; each time it waits twice as long.
pub const SETTLED_PAUSE_MAX: Duration = Duration::from_secs(3_600);

/// How often is looked where not all can be heard: where a link leads nowhere, a folder is not there, other machines may change it
/// or the system cannot watch. Twice of it is a second, in which a change has to be noticed.
pub const FOLDERS_LOOK: Duration = Duration::from_millis(400);

/// Links on the way to a file, each of which is watched; the kernel follows as many.
pub const WAY_LINKS_MAX: usize = 40;

/// Things heard of files that wait to be understood; where more are lost, the folders are looked through instead.
pub const FILES_HEARD_MAX: usize = 1_024;

/// Files that are being written at a time, as far as they are waited for; beyond, all are looked at as they are.
pub const FILES_WRITTEN_MAX: usize = 4_096;

/// How often it is looked, although nothing was heard, whether the files in the folders look as they did: an event can be lost.
pub const RESCAN: Duration = Duration::from_secs(60);

/// So many times in a row that is enough; then the folders are looked through all the same, for what does not show in how files look.
pub const RESCANS_SPARED: u32 = 2;

/// The size of a `.on` in bytes; a larger one is a mistake.
pub const CONF_BYTES_MAX: u64 = 1024 * 1024;

/// Bytes of a plugin's file: it is copied aside before it is loaded. Ours have half a million to a million.
pub const PLUGIN_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Bytes of a module in Python. The largest that people have are of some hundred thousand.
pub const PYTHON_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// How long a gmond module's start may take unless its `.on` says otherwise: there are some that sleep half a minute in it.
pub const GMOD_INIT_MAX: Duration = Duration::from_secs(60);

/// Bytes of a traceback that is shown of a module's fault.
pub const DETAIL_BYTES_MAX: usize = 8 * 1024;

/// How long a probe may take in all: a module's `new` may read a database.
pub const PROBE_TIME_MAX: Duration = Duration::from_secs(10);

/// Address space of a probe's process, in bytes.
pub const PROBE_MEMORY_BYTES: u64 = 1024 * 1024 * 1024;

/// The interval of a collector unless its `.on` says otherwise.
pub const COLLECT_EVERY: Duration = Duration::from_secs(10);

/// How long a batch or a flush of a pipe may take unless its `.on` says otherwise: thousands of times what it needs. The
/// log waits that long for it; for one in a process of its own as long as for all that it was handed.
pub const BATCH_TIME_MAX: Duration = Duration::from_secs(5);

/// How long a collect may take unless the `.on` says otherwise: its thread is its own, so only its branch waits.
pub const COLLECT_TIME_MAX: Duration = Duration::from_secs(30);

/// Bytes of the reason that is shown of a module's state: foreign code may have said it.
pub const WHY_BYTES_MAX: usize = 2_000;

/// Address space of a module in a process of its own, in bytes, unless its `.on` says otherwise.
pub const WORKER_MEMORY_BYTES: u64 = 512 * 1024 * 1024;

/// How much longer than its module's time limit a worker's end may take before the thread that waits for it is given up.
pub const WORKER_GRACE: Duration = Duration::from_secs(5);

/// How long dropping a module and unloading its library may take; others that are done with wait for it.
pub const DROP_TIME_MAX: Duration = Duration::from_secs(5);

/// How long making a module may take after it has been probed, whatever its `.on` says of calls: as long as the probe.
pub const NEW_TIME_MAX: Duration = PROBE_TIME_MAX;

/// How long the logs wait at the start for modules that cannot be made: a probe and a making.
pub const START_PATIENCE: Duration = Duration::from_secs(15);

/// The first pause of a module that is to be made anew; it doubles.
pub const BACKOFF: Duration = Duration::from_secs(1);

/// A module that has run for so long has recovered: its next pause is the first again.
pub const BACKOFF_FORGET: Duration = Duration::from_secs(60);

/// The longest pause of a module that keeps failing.
pub const BACKOFF_MAX: Duration = Duration::from_secs(600);

/// Batches that a worker may be behind: it folds one while the next is made; more would only hide that it is slow.
pub const WORKER_BATCHES_AHEAD: usize = 8;

/// Processes and threads of a worker, its own first one among them: enough for a helper or a small pool.
pub const WORKER_PROCESSES_MAX: u64 = 32;

/// Descriptors of a worker's process.
pub const WORKER_DESCRIPTORS_MAX: u64 = 256;

/// Processes and threads of a worker that several modules share: a few for each.
pub const WORKER_SHARED_PROCESSES_MAX: u64 = 512;

/// Descriptors of a worker that several modules share.
pub const WORKER_SHARED_DESCRIPTORS_MAX: u64 = 1024;

/// Bytes of the name of a worker that several modules share.
pub const WORKER_NAME_BYTES_MAX: usize = 64;

/// Bytes of a file that a worker writes: a cache fits, a disk is not filled by one.
pub const WORKER_FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// How much sooner than others the kernel takes a worker when memory runs out; from -1000 to 1000.
pub const WORKER_OOM_SCORE: i32 = 500;

/// Users for workers of a daemon that runs as root, two a worker. systemd (UIDS-GIDS) and Debian (policy 9.2.2) give these
/// numbers to nobody, and they fit into a container's usual 65,536.
pub const WORKER_USERS: std::ops::RangeInclusive<u32> = 60_706..=61_183;

/// How long a worker may take to end by itself when it is no longer needed: its module's `drop` may have something to save.
pub const WORKER_END_MAX: Duration = Duration::from_secs(1);

/// How long it is tried to end all that a worker had started.
pub const WORKER_SWEEP_MAX: Duration = Duration::from_secs(5);

/// How long the daemon waits to be told how a worker ended that has gone silent.
pub const WORKER_LAST_WORDS_MAX: Duration = Duration::from_secs(1);

/// Bytes that are kept of the end of what a worker writes to its standard error: `graftd probe` shows them.
pub const WORKER_LAST_WORDS_BYTES: usize = 8 * 1024;

/// How long `graftd modules on` and its like wait for a switch to take effect before they show how far it is.
pub const SWITCH_WAIT_MAX: Duration = Duration::from_secs(15);

/// Addresses that ganglia's packets are taken at, and as many where its XML is given out.
pub const GMOND_SOCKETS_MAX: usize = 16;

/// Networks from which ganglia may be spoken: each is looked at for every packet.
pub const GMOND_ALLOW_MAX: usize = 64;

/// Hosts whose ganglia XML is fetched.
pub const GMOND_POLLED_MAX: usize = 256;

/// How often it is fetched unless the `.on` says otherwise: as gmetad does.
pub const GMOND_POLL_EVERY: Duration = Duration::from_secs(15);

/// How long connecting to one whose XML is fetched may take, and as long the fetching; who is slower is tried again later.
pub const GMOND_POLL_TIME_MAX: Duration = Duration::from_secs(10);

/// XML documents that are fetched at a time: each may take 128 MiB.
pub const GMOND_POLLS_AT_ONCE: usize = 2;

/// Clusters that are known at a time; hosts of others are not taken and counted.
pub const GMOND_CLUSTERS_MAX: usize = 256;

/// Hosts of ganglia that are known at a time, in all clusters; others are not taken and counted.
pub const GMOND_HOSTS_MAX: usize = 16_384;

/// Metrics of a host of ganglia; others are not taken and counted. gmond itself has some 35, modules add hundreds.
pub const GMOND_HOST_METRICS_MAX: usize = 8_192;

/// Bytes of what is remembered of ganglia's hosts and metrics beside the tree: some hundred a metric, and each different
/// metadata once. What does not fit is not taken and counted.
pub const GMOND_TABLE_BYTES_MAX: usize = 512 * 1024 * 1024;

/// Bytes of a value that is kept until its metadata comes.
pub const GMOND_PENDING_BYTES_MAX: usize = 1_024;

/// How long a text waits for metadata that says whether it is a number; then it hangs as the text that it is.
pub const GMOND_PENDING_MAX: Duration = Duration::from_secs(60);

/// Bytes of a frame at which what ganglia said goes to the core although the tick is not over.
pub const GMOND_FRAME_BYTES: usize = 256 * 1024;

/// The shortest pause between two requests for the metadata of the same metric; it doubles.
pub const GMOND_ASK_PAUSE: Duration = Duration::from_secs(10);

/// The longest.
pub const GMOND_ASK_PAUSE_MAX: Duration = Duration::from_secs(600);

/// Requests for metadata a second: after a restart a fleet is asked in some time, and nobody is flooded.
pub const GMOND_ASKS_A_SECOND: u32 = 200;

/// Bytes of the kernel's room for packets that wait at a socket; the system may grant less. gmonds of a fleet that was
/// switched on at once speak at once.
pub const GMOND_SOCKET_BYTES: usize = 8 * 1024 * 1024;

/// Connections that read XML at a time; for one more that gives way which has stood still for longest, or it is closed at once.
pub const GMOND_XML_CONNECTIONS_MAX: usize = 64;

/// How long a reader of XML may leave it lying that does not fit into the socket.
pub const GMOND_XML_WRITE_MAX: Duration = Duration::from_secs(30);

/// How long it must have stood still to give way to another: a crowd of new ones does not drive out who reads.
pub const GMOND_XML_STILL_MIN: Duration = Duration::from_secs(1);

/// Metrics that are copied out of the tree under one hold of its lock, but for the last host's: it is copied whole.
pub const GMOND_XML_METRICS_AT_ONCE: usize = 2_048;

/// Hosts whose metrics are copied so.
pub const GMOND_XML_HOSTS_AT_ONCE: usize = 32;

/// Metrics of this host's own modules that are shown in the XML.
pub const GMOND_XML_OWN_METRICS_MAX: usize = 200_000;

/// How often hosts are looked through for those that are to be forgotten.
pub const GMOND_SWEEP_EVERY: Duration = Duration::from_secs(5);

/// Hosts that are looked at under one hold of the table's lock.
pub const GMOND_SWEEP_HOSTS: usize = 64;

/// How long the line that says the daemon is ready waits for built-in modules to listen: binding takes no time, but the
/// folder that names them may lie far away.
pub const BUILT_INS_READY_MAX: Duration = Duration::from_secs(5);

/// How long a host of ganglia may have been silent that has no lifetime, where there is hardly room for others.
pub const GMOND_SILENT_MAX: Duration = Duration::from_secs(3_600);

/// Files of one folder of a ganglia installation that are looked at. The largest collections of modules have some hundred.
pub const IMPORT_FILES_MAX: usize = 10_000;

/// Packages inside each other in a folder of Python modules; deeper ones are left out.
pub const IMPORT_DEPTH_MAX: usize = 8;

/// How long a data folder that is taken is waited for, and how often it is looked at: what is left of a daemon that was killed gives it
/// free within milliseconds, another daemon does not.
pub const LOCK_PATIENCE: Duration = Duration::from_secs(1);
/// See [`LOCK_PATIENCE`].
pub const LOCK_AGAIN: Duration = Duration::from_millis(20);

/// Bytes of a relay's hello and of an answer to it: names, a version and a token.
pub const RELAY_HELLO_BYTES_MAX: usize = 8 * 1024;

/// Bytes of an entry that a relay sends, packed. What is larger than [`RELAY_FRAME_BYTES_MAX`] is none, so zstd's overhead is all
/// that may come on top of it.
pub const RELAY_ENTRY_BYTES_MAX: usize = RELAY_FRAME_BYTES_MAX + 64 * 1024;

/// Bytes of the frame in an entry, unpacked: half a megabyte as a rule; a sketch of a million keys stands alone in one.
pub const RELAY_FRAME_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Bytes of entries, packed, that all senders together may have under way here: each waits for room.
pub const RELAY_BYTES_MAX: usize = 96 * 1024 * 1024;

/// How long a large entry may take in all, at the rate at which it comes, while others wait for its room.
pub const RELAY_ENTRY_TIME_MAX: Duration = Duration::from_secs(60);

/// How long it is under way before that is looked at.
pub const RELAY_ENTRY_PATIENCE: Duration = Duration::from_secs(10);

/// How often who waits for room looks who is too slow.
pub const RELAY_ROOM_LOOK_EVERY: Duration = Duration::from_secs(1);

/// Bytes of a message of a relay's for which no room is waited for. Each connection may have so many.
pub const RELAY_STEP_BYTES: usize = 16 * 1024;

/// Bytes of the frame in an entry, unpacked, that is not unpacked alone; as nearly all are.
pub const RELAY_SMALL_FRAME_BYTES: usize = 4 * 1024 * 1024;

/// Small frames that are unpacked, or wait to be merged, at a time; of larger ones there is one.
pub const RELAY_SMALL_FRAMES_MAX: usize = 8;

/// Bytes to which zstd may look back in an entry. Those that are sent here need an eighth of it.
pub const RELAY_PACK_WINDOW_BYTES: u64 = 1024 * 1024;

/// A peer that sends fewer bytes in the time in which a sign of life is due, and no whole message, is given up.
pub const RELAY_SLOW_BYTES: usize = 4 * 1024;

/// How often an entry is sent that its receiver refuses; then it is dropped, and those behind it go on.
pub const RELAY_REFUSED_MAX: u32 = 5;

/// Entries that a receiver is promised and has not acknowledged yet. Once promised, an entry is not folded any more.
pub const RELAY_WINDOW_ENTRIES: i64 = 64;

/// Entries of a spool; past it the oldest are folded into each other, as they are past its limit of bytes. Hours of an agent.
pub const RELAY_SPOOL_ENTRIES_MAX: u64 = 10_000;

/// Bytes that a spool may have where it is read on the one thread that serves, which an agent has.
pub const RELAY_READ_ALONE_BYTES: usize = 64 * 1024;

/// Bytes of entries that are read from the spool at once.
pub const RELAY_READ_BYTES: usize = 4 * 1024 * 1024;

/// Bytes, packed, of the oldest entries that are folded into each other at once where a spool is full.
pub const RELAY_FOLD_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of a relay's spool unless its `.on` says otherwise: days of an agent, hours of a busy server.
pub const RELAY_SPOOL_BYTES: u64 = 256 * 1024 * 1024;

/// The smallest and the largest spool.
pub const RELAY_SPOOL_BYTES_RANGE: std::ops::RangeInclusive<u64> = 64 * 1024..=1024 * 1024 * 1024 * 1024;

/// Bytes of entries that wait in memory while the database cannot be written.
pub const RELAY_UNWRITTEN_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Bytes of changes that are folded between two commits; past it new paths are dropped and counted. The database has not been
/// written for long then.
pub const RELAY_OUTBOX_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Daemons whose deltas a relay may send on, by the beginnings of their ids: they fit into a hello, so that a ring is seen. One that
/// sends here what others send it is refused past it.
pub const RELAY_VIA_MAX: usize = 500;

/// Digits of a daemon's id by which it is named there.
pub const RELAY_VIA_DIGITS: usize = 12;

/// Lives of a daemon that its spool remembers, to know its own entries again.
pub const RELAY_LINEAGE_MAX: i64 = 1_000;

/// Receivers that a relay may name, one of which it sends to.
pub const RELAY_TARGETS_MAX: usize = 16;

/// Branches that a relay may name.
pub const RELAY_BRANCHES_MAX: usize = 256;

/// How often a host with a relay commits, unless the relay's `.on` says otherwise.
pub const RELAY_EVERY: Duration = Duration::from_secs(1);

/// How long a connection to a receiver may take, name lookup included.
pub const RELAY_CONNECT_MAX: Duration = Duration::from_secs(10);

/// How long each side waits for the other's hello; a receiver with all that comes before it, such as a handshake.
pub const RELAY_HELLO_MAX: Duration = Duration::from_secs(10);

/// How often who is kept waiting, or keeps others waiting, says that it is alive.
pub const RELAY_PING_EVERY: Duration = Duration::from_secs(5);

/// After so long in which it has heard nothing, or said nothing, a sender asks for a sign of life. Longer than the usual beat of 10 s: who
/// sends at that, and is told each time that it has arrived, need not ask. By more than 4,096 ms, which is as coarse as tokio sets a timer
/// of more than 4 s at first: one that is set anew at each beat then as good as never wakes.
pub const RELAY_ASK_AFTER: Duration = Duration::from_millis(14_500);

/// Whoever sends less often than this is at rest: it need not hear at once that its one entry has arrived.
pub const RELAY_REST_BEAT: Duration = Duration::from_secs(5);

/// How long a relay that is told to stop may take to hear what has been said to it.
pub const RELAY_LAST_WORDS_MAX: Duration = Duration::from_millis(100);

/// After so long without a sign of life the connection is given up.
pub const RELAY_IDLE_MAX: Duration = Duration::from_secs(20);

/// How long a message may take to be written.
pub const RELAY_WRITE_MAX: Duration = Duration::from_secs(20);

/// How long a receiver waits for a sign of life of a sender whose name another one claims.
pub const RELAY_CLAIM_MAX: Duration = Duration::from_secs(3);

/// How long a refused peer has to read why.
pub const RELAY_LINGER_MAX: Duration = Duration::from_secs(1);

/// The pause before the first attempt to connect anew; it doubles, and each is longer or shorter by up to a half.
pub const RELAY_PAUSE: Duration = Duration::from_millis(250);

/// The longest pause.
pub const RELAY_PAUSE_MAX: Duration = Duration::from_secs(15);

/// Senders connected at a time.
pub const RELAY_CONNECTIONS_MAX: usize = 4_096;

/// Connections at a time that have not said the hello of a relay yet, beside those that have: for one more, another leaves.
pub const RELAY_STRANGERS_MAX: usize = 1_024;

/// Relays of one source that are connected at a time: half, so that nobody takes all places alone.
pub const RELAY_CONNECTIONS_PER_SOURCE: usize = RELAY_CONNECTIONS_MAX / 2;

/// Hosts of which is told what was received of them; what others send is told as `(other)`'s.
pub const RELAY_RECEIVED_MAX: usize = 4_096;

/// Bytes of lines that make an entry of a spool, not packed: large enough to be packed well.
pub const RAW_ENTRY_BYTES: usize = 1024 * 1024;

/// Places in logs at which lines of an entry begin.
pub const RAW_PIECES_MAX: usize = 64;

/// Bytes of what is said of lines: their log, its prefix and format, and a header.
pub const RAW_HEAD_BYTES_MAX: usize = 256 * 1024;

/// Formats that the lines of a log may be in, and bytes of one.
pub const RAW_FORMATS_MAX: usize = 8;
/// See [`RAW_FORMATS_MAX`].
pub const RAW_FORMAT_BYTES_MAX: usize = 16 * 1024;

/// Bytes of lines on their way to other daemons that are on the disk nowhere but in their files; past it their logs are read later.
/// One block may be beyond it.
pub const RAW_WAITING_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Blocks of lines of a log that wait for room among these.
pub const RAW_BLOCKS_MAX: usize = 4;

/// Bytes of these at which there is a commit although none is due.
pub const RAW_COMMIT_BYTES: u64 = 4 * 1024 * 1024;

/// Entries of a spool at which logs whose lines are not folded are read later: hours of one that is written each second.
pub const RAW_SPOOL_ENTRIES_MAX: u64 = 2 * RELAY_SPOOL_ENTRIES_MAX;

/// Logs here of lines that others have sent; those that are read alike and hang at the same place are one. Each has a thread and
/// an instance of each pipe.
pub const RAW_LOGS_MAX: usize = 256;

/// Those of one host that has logs, whoever sends its lines.
pub const RAW_LOGS_PER_HOST: usize = 64;

/// Entries of lines that are unpacked, or folded, at a time.
pub const RAW_ENTRIES_MAX: usize = 16;

/// After so long without a line one makes room for another.
pub const RAW_LOG_IDLE: Duration = Duration::from_secs(600);

/// Senders whose last entry is remembered. A new one past it is refused.
pub const RELAY_SENDERS_MAX: usize = 100_000;

/// Bytes that a message to NATS aims at, where the server takes so many: several small entries, or a part of one that is larger.
pub const NATS_MESSAGE_BYTES: usize = 512 * 1024;

/// Bytes that a server or a stream of NATS has to take in a message: a list of the parts of the largest entry fits in as well.
pub const NATS_PAYLOAD_MIN: usize = 64 * 1024;

/// Bytes of what stands before the body of such a message at most: names, and the daemons whose deltas are sent on in it.
pub const NATS_HEAD_BYTES_MAX: usize = 8 * 1024;

/// Parts of an entry that is larger than a message: so many has the largest in the smallest messages.
pub const NATS_PARTS_MAX: usize =
    RELAY_ENTRY_BYTES_MAX.div_ceil(NATS_PAYLOAD_MIN - NATS_HEADER_BYTES - NATS_HEAD_BYTES_MAX);

/// Bytes of a message's headers, an id and a number, beside its payload.
pub const NATS_HEADER_BYTES: usize = 1024;

/// Bytes of messages that a receiver asks a server of NATS for at once; more where one message may be larger.
pub const NATS_FETCH_BYTES: usize = 4 * 1024 * 1024;

/// Messages that a receiver asks for at once.
pub const NATS_FETCH_MESSAGES: usize = 256;

/// How long a server of NATS holds a question for messages while there are none.
pub const NATS_FETCH_EXPIRES: Duration = Duration::from_secs(30);

/// Messages that a receiver has taken and not acknowledged yet; past half of them it does not wait for the next commit.
pub const NATS_PENDING_MAX: usize = 8 * 1024;

/// After so long a server of NATS takes what was not acknowledged for lost, and gives it out again. A commit takes less.
pub const NATS_ACK_WAIT: Duration = Duration::from_secs(600);

/// Daemons whose deltas one sender may send on by streams, of the [`RELAY_VIA_MAX`] that there may be in all.
pub const NATS_VIA_MAX: usize = RELAY_VIA_MAX / 2;

/// So long a daemon whose deltas came by a stream is named where they are sent on, after it was heard last.
pub const NATS_VIA_AGE: Duration = Duration::from_secs(3_600);

/// Operations and messages that wait between a connection to NATS and who uses it.
pub const NATS_QUEUE: usize = 1_024;

/// How long a server of NATS has to answer.
pub const NATS_ANSWER_MAX: Duration = Duration::from_secs(10);

/// How often a receiver looks which senders it has to ask for all that is set, and how many it asks at a time.
pub const NATS_ASK_EVERY: Duration = Duration::from_secs(2);
/// See [`NATS_ASK_EVERY`].
pub const NATS_ASK_MAX: usize = 16;

/// A sender tells all that is set no more often than that, however many ask.
pub const NATS_TELL_EVERY: Duration = Duration::from_secs(5);

/// Within this time a server of NATS knows a message again by its id.
pub const NATS_DUPLICATES: Duration = Duration::from_secs(120);

/// What a stream of NATS may hold that graftd makes, unless the `.on` says otherwise.
pub const NATS_STREAM_BYTES: u64 = 8 * 1024 * 1024 * 1024;

/// The least that it may be told to hold.
pub const NATS_STREAM_BYTES_MIN: u64 = 64 * 1024 * 1024;

/// How old an entry gets in such a stream, unless the `.on` says otherwise.
pub const NATS_STREAM_AGE: Duration = Duration::from_secs(7 * 86_400);

/// The least that may be told: NATS keeps ids of messages for two minutes, and no longer than the messages.
pub const NATS_STREAM_AGE_MIN: Duration = Duration::from_secs(120);

/// Servers on which each entry of a stream may be: what NATS takes.
pub const NATS_REPLICAS_MAX: u64 = 5;
