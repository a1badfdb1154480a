//! XML out.

use super::{Cluster, Host, Metric, UNSPECIFIED, allowed};
use std::fmt::Write;

/// The declaration and the document type. The declarations are those that gmond has in front of its XML, and the slope
/// `derivative`, which gmond prints and does not declare.
const HEAD: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<!DOCTYPE GANGLIA_XML [
   <!ELEMENT GANGLIA_XML (GRID|CLUSTER|HOST)*>
      <!ATTLIST GANGLIA_XML VERSION CDATA #REQUIRED>
      <!ATTLIST GANGLIA_XML SOURCE CDATA #REQUIRED>
   <!ELEMENT GRID (CLUSTER | GRID | HOSTS | METRICS)*>
      <!ATTLIST GRID NAME CDATA #REQUIRED>
      <!ATTLIST GRID AUTHORITY CDATA #REQUIRED>
      <!ATTLIST GRID LOCALTIME CDATA #IMPLIED>
   <!ELEMENT CLUSTER (HOST | HOSTS | METRICS)*>
      <!ATTLIST CLUSTER NAME CDATA #REQUIRED>
      <!ATTLIST CLUSTER OWNER CDATA #IMPLIED>
      <!ATTLIST CLUSTER LATLONG CDATA #IMPLIED>
      <!ATTLIST CLUSTER URL CDATA #IMPLIED>
      <!ATTLIST CLUSTER LOCALTIME CDATA #REQUIRED>
   <!ELEMENT HOST (METRIC)*>
      <!ATTLIST HOST NAME CDATA #REQUIRED>
      <!ATTLIST HOST IP CDATA #REQUIRED>
      <!ATTLIST HOST LOCATION CDATA #IMPLIED>
      <!ATTLIST HOST TAGS CDATA #IMPLIED>
      <!ATTLIST HOST REPORTED CDATA #REQUIRED>
      <!ATTLIST HOST TN CDATA #IMPLIED>
      <!ATTLIST HOST TMAX CDATA #IMPLIED>
      <!ATTLIST HOST DMAX CDATA #IMPLIED>
      <!ATTLIST HOST GMOND_STARTED CDATA #IMPLIED>
   <!ELEMENT METRIC (EXTRA_DATA*)>
      <!ATTLIST METRIC NAME CDATA #REQUIRED>
      <!ATTLIST METRIC VAL CDATA #REQUIRED>
      <!ATTLIST METRIC TYPE (string | int8 | uint8 | int16 | uint16 | int32 | uint32 | float | double | timestamp) #REQUIRED>
      <!ATTLIST METRIC UNITS CDATA #IMPLIED>
      <!ATTLIST METRIC TN CDATA #IMPLIED>
      <!ATTLIST METRIC TMAX CDATA #IMPLIED>
      <!ATTLIST METRIC DMAX CDATA #IMPLIED>
      <!ATTLIST METRIC SLOPE (zero | positive | negative | both | derivative | unspecified) #IMPLIED>
      <!ATTLIST METRIC SOURCE (gmond) 'gmond'>
   <!ELEMENT EXTRA_DATA (EXTRA_ELEMENT*)>
   <!ELEMENT EXTRA_ELEMENT EMPTY>
      <!ATTLIST EXTRA_ELEMENT NAME CDATA #REQUIRED>
      <!ATTLIST EXTRA_ELEMENT VAL CDATA #REQUIRED>
   <!ELEMENT HOSTS EMPTY>
      <!ATTLIST HOSTS UP CDATA #REQUIRED>
      <!ATTLIST HOSTS DOWN CDATA #REQUIRED>
      <!ATTLIST HOSTS SOURCE (gmond | gmetad) #REQUIRED>
   <!ELEMENT METRICS (EXTRA_DATA*)>
      <!ATTLIST METRICS NAME CDATA #REQUIRED>
      <!ATTLIST METRICS SUM CDATA #REQUIRED>
      <!ATTLIST METRICS NUM CDATA #REQUIRED>
      <!ATTLIST METRICS TYPE (string | int8 | uint8 | int16 | uint16 | int32 | uint32 | float | double | timestamp) #REQUIRED>
      <!ATTLIST METRICS UNITS CDATA #IMPLIED>
      <!ATTLIST METRICS SLOPE (zero | positive | negative | both | derivative | unspecified) #IMPLIED>
      <!ATTLIST METRICS SOURCE (gmond) 'gmond'>
]>
<GANGLIA_XML VERSION="3.7.2" SOURCE="gmond">
"#;

/// The types that the document type knows.
const KINDS: [&str; 10] =
    ["string", "int8", "uint8", "int16", "uint16", "int32", "uint32", "float", "double", "timestamp"];

/// The slopes that it knows.
const SLOPES: [&str; 6] = ["zero", "positive", "negative", "both", "derivative", "unspecified"];

/// Writes a document, element by element, as gmond writes its own; but as UTF-8, and with every text escaped. Whoever calls it
/// opens and closes elements in order.
///
/// ```
/// use gmod_compat::xml::{Cluster, Writer};
///
/// let mut xml = Writer::new();
/// xml.cluster(&Cluster { name: "web".into(), localtime: 1_795_351_788, ..Cluster::default() });
/// xml.end_cluster();
/// xml.end();
/// assert!(xml.take().ends_with("</CLUSTER>\n</GANGLIA_XML>\n"));
/// ```
#[derive(Debug)]
pub struct Writer {
    out: String,
}

impl Default for Writer {
    fn default() -> Writer {
        Writer::new()
    }
}

impl Writer {
    /// Begins a document.
    #[must_use]
    pub fn new() -> Writer {
        Writer { out: HEAD.to_owned() }
    }

    /// Begins a cluster.
    pub fn cluster(&mut self, cluster: &Cluster<'_>) {
        self.out.push_str("<CLUSTER");
        self.text("NAME", or_unspecified(&cluster.name));
        self.number("LOCALTIME", cluster.localtime);
        self.text("OWNER", or_unspecified(&cluster.owner));
        self.text("LATLONG", or_unspecified(&cluster.latlong));
        self.text("URL", or_unspecified(&cluster.url));
        self.out.push_str(">\n");
    }

    /// Ends it.
    pub fn end_cluster(&mut self) {
        self.out.push_str("</CLUSTER>\n");
    }

    /// Begins a host.
    pub fn host(&mut self, host: &Host<'_>) {
        self.out.push_str("<HOST");
        self.text("NAME", &host.name);
        self.text("IP", &host.ip);
        self.text("TAGS", &host.tags);
        self.number("REPORTED", host.reported);
        self.number("TN", host.tn);
        self.number("TMAX", i64::from(host.tmax));
        self.number("DMAX", i64::from(host.dmax));
        self.text("LOCATION", or_unspecified(&host.location));
        self.number("GMOND_STARTED", host.gmond_started);
        self.out.push_str(">\n");
    }

    /// Ends it.
    pub fn end_host(&mut self) {
        self.out.push_str("</HOST>\n");
    }

    /// Writes a metric. A type or a slope that nobody knows is written as `string` and `unspecified`.
    pub fn metric(&mut self, metric: &Metric<'_>) {
        let known = |word: &str, known: &[&'static str], other: &'static str| {
            known.iter().copied().find(|name| *name == word).unwrap_or(other)
        };
        self.out.push_str("<METRIC");
        self.text("NAME", &metric.name);
        self.text("VAL", &metric.val);
        self.text("TYPE", known(&metric.kind, &KINDS, "string"));
        self.text("UNITS", &metric.units);
        self.number("TN", metric.tn);
        self.number("TMAX", i64::from(metric.tmax));
        self.number("DMAX", i64::from(metric.dmax));
        self.text("SLOPE", known(&metric.slope, &SLOPES, UNSPECIFIED));
        self.out.push_str(">\n<EXTRA_DATA>\n");
        for (name, value) in metric.extra.iter().rev() {
            self.out.push_str("<EXTRA_ELEMENT");
            self.text("NAME", name);
            self.text("VAL", value);
            self.out.push_str("/>\n");
        }
        self.out.push_str("</EXTRA_DATA>\n</METRIC>\n");
    }

    /// Ends the document.
    pub fn end(&mut self) {
        self.out.push_str("</GANGLIA_XML>\n");
    }

    /// Bytes written and not taken.
    #[must_use]
    pub fn written(&self) -> usize {
        self.out.len()
    }

    /// What was written since it was taken last.
    pub fn take(&mut self) -> String {
        std::mem::take(&mut self.out)
    }

    fn number(&mut self, name: &str, value: i64) {
        // Writing to a string cannot fail.
        let _ = write!(self.out, " {name}=\"{value}\"");
    }

    fn text(&mut self, name: &str, value: &str) {
        let _ = write!(self.out, " {name}=\"");
        escape(value, &mut self.out);
        self.out.push('"');
    }
}

fn or_unspecified(text: &str) -> &str {
    if text.is_empty() { UNSPECIFIED } else { text }
}

/// Appends a text as it stands in XML and in HTML: between elements, and as an attribute's value in either quotes. What XML cannot hold is
/// replaced (U+FFFD).
pub fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Unescaped, a reader would take them for blanks.
            '\t' => out.push_str("&#9;"),
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            c if allowed(c) => out.push(c),
            _ => out.push('\u{fffd}'),
        }
    }
}
