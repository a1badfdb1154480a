//! The page of `stub_status`.

/// What it says (<https://nginx.org/en/docs/http/ngx_http_stub_status_module.html>).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) active: u64,
    pub(crate) accepts: u64,
    pub(crate) handled: u64,
    pub(crate) requests: u64,
    pub(crate) reading: u64,
    pub(crate) writing: u64,
    pub(crate) waiting: u64,
}

impl Status {
    /// Reads the page; none if it is another one. Tengine has a further column, which is left.
    pub(crate) fn read(page: &str) -> Option<Status> {
        let mut lines = page.lines();
        let active = lines.next()?.strip_prefix("Active connections:")?.trim().parse().ok()?;
        if !lines.next()?.trim().starts_with("server accepts handled requests") {
            return None;
        }
        let mut counted = lines.next()?.split_ascii_whitespace().map(str::parse);
        let mut count = || counted.next()?.ok();
        let (accepts, handled, requests) = (count()?, count()?, count()?);
        let words: Vec<&str> = lines.next()?.split_ascii_whitespace().collect();
        let ["Reading:", reading, "Writing:", writing, "Waiting:", waiting] = words.as_slice() else { return None };
        let [reading, writing, waiting] = [reading, writing, waiting].map(|word| word.parse().ok());
        Some(Status { active, accepts, handled, requests, reading: reading?, writing: writing?, waiting: waiting? })
    }

    /// Connections that were accepted and could not be handled, for want of `worker_connections`.
    pub(crate) fn dropped(&self) -> u64 {
        self.accepts.saturating_sub(self.handled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "Active connections: 291 \nserver accepts handled requests\n 16630948 16630940 31070465 \n\
                        Reading: 6 Writing: 179 Waiting: 106 \n";

    #[test]
    fn the_page_is_read() {
        let status = Status::read(PAGE).unwrap();
        let expected = Status {
            active: 291,
            accepts: 16_630_948,
            handled: 16_630_940,
            requests: 31_070_465,
            reading: 6,
            writing: 179,
            waiting: 106,
        };
        assert_eq!((status, status.dropped()), (expected, 8));
        let tengine = PAGE.replace("requests\n", "requests request_time\n").replace("31070465", "31070465 922000");
        assert_eq!(Status::read(&tengine), Some(expected));
    }

    #[test]
    fn another_page_is_not_taken_for_it() {
        for cut in 0..PAGE.trim_end().len() - 2 {
            assert_eq!(Status::read(&PAGE[..cut]), None, "{cut}");
        }
        for (from, to) in [("291", "-1"), ("16630940", "x"), ("Writing", "Riding"), ("handled", "handed"), ("106", "")]
        {
            assert_eq!(Status::read(&PAGE.replace(from, to)), None, "{to}");
        }
    }
}
