//! What came of what was pushed, by way and by source. The heaviest sources have an account each; all others share one.

use super::{Source, Way};
use crate::limits::{PUSH_ACCOUNTS_MAX, PUSH_CHALLENGERS_MAX, PUSH_WEIGHT_HALVES};
use std::collections::HashMap;
use std::ops::AddAssign;
use std::time::Instant;

/// What came of pushes, counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Documents that were good.
    pub(crate) documents: u64,
    /// Lines of access logs that were.
    pub(crate) lines: u64,
    /// Leaves of the documents.
    pub(crate) leaves: u64,
    /// Bytes, unpacked.
    pub(crate) bytes: u64,
    /// Documents and lines that were not good.
    pub(crate) errors: u64,
    /// Pushes and connections that were not let in: for their token, their number, their rate or their size.
    pub(crate) refused: u64,
}

impl Figures {
    /// One that was not let in.
    pub(crate) const REFUSED: Figures = Figures { documents: 0, lines: 0, leaves: 0, bytes: 0, errors: 0, refused: 1 };

    /// Each with its name.
    pub(crate) fn each(&self) -> [(&'static str, u64); 6] {
        let Figures { documents, lines, leaves, bytes, errors, refused } = *self;
        [
            ("documents", documents),
            ("lines", lines),
            ("leaves", leaves),
            ("bytes", bytes),
            ("errors", errors),
            ("refused", refused),
        ]
    }
}

impl AddAssign for Figures {
    fn add_assign(&mut self, more: Figures) {
        self.documents += more.documents;
        self.lines += more.lines;
        self.leaves += more.leaves;
        self.bytes += more.bytes;
        self.errors += more.errors;
        self.refused += more.refused;
    }
}

/// How much came of late. What came later weighs more, rather than what came earlier less (forward decay; Cormode, Shkapenyuk,
/// Srivastava and Xu 2009): so weights are compared as they stand.
type Weight = f64;

/// When what comes weighs so much more than at the beginning, all weights are taken down by that.
const SCALE_MAX: f64 = 1e30;

/// What a push weighs that has no bytes.
const WEIGHT_MIN: f64 = 64.0;

#[derive(Debug, Default)]
struct Account {
    figures: Figures,
    weight: Weight,
    changed: bool,
}

/// What is to be told of accounts.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// By way.
    pub(crate) ways: [Figures; 3],
    /// Those that changed.
    pub(crate) sources: Vec<(Source, Figures)>,
    /// All sources that have no account.
    pub(crate) others: Figures,
    /// Sources that have none any more.
    pub(crate) gone: Vec<Source>,
}

#[derive(Debug, Default)]
pub(super) struct Accounts {
    ways: [Figures; 3],
    known: HashMap<Source, Account>,
    others: Figures,
    /// Sources without an account, and what they weigh: the heaviest of them takes the place of the lightest account.
    challengers: HashMap<Source, Weight>,
    /// When a byte weighs 1.
    begin: Option<Instant>,
    gone: Vec<Source>,
}

impl Accounts {
    pub(super) fn count(&mut self, way: Way, from: Source, figures: Figures, now: Instant) {
        self.ways[way as usize] += figures;
        let weight = (WEIGHT_MIN + figures.bytes as f64) * self.scale(now);
        if !self.known.contains_key(&from) && !self.admit(from, weight) {
            self.others += figures;
            return;
        }
        let account = self.known.entry(from).or_default();
        account.figures += figures;
        account.weight += weight;
        account.changed = true;
    }

    /// What a byte weighs now.
    fn scale(&mut self, now: Instant) -> f64 {
        let begin = *self.begin.get_or_insert(now);
        let scale = (now.saturating_duration_since(begin).as_secs_f64() / PUSH_WEIGHT_HALVES.as_secs_f64()).exp2();
        if scale < SCALE_MAX {
            return scale;
        }
        self.known.values_mut().for_each(|account| account.weight /= scale);
        self.challengers.values_mut().for_each(|weight| *weight /= scale);
        self.begin = Some(now);
        1.0
    }

    /// Whether a source is to have an account from now on.
    fn admit(&mut self, from: Source, weight: Weight) -> bool {
        if self.known.len() < PUSH_ACCOUNTS_MAX {
            return true;
        }
        if !self.challengers.contains_key(&from) && self.challengers.len() >= PUSH_CHALLENGERS_MAX {
            let lightest = self.challengers.iter().min_by(|a, b| a.1.total_cmp(b.1)).map(|(source, _)| *source);
            lightest.map(|lightest| self.challengers.remove(&lightest));
        }
        let own = self.challengers.entry(from).or_default();
        *own += weight;
        let own = *own;
        // Twice as heavy: two that weigh the same would change places for ever.
        let lightest = self.known.iter().min_by(|a, b| a.1.weight.total_cmp(&b.1.weight));
        let Some(lightest) = lightest.filter(|(_, account)| own > 2.0 * account.weight).map(|(source, _)| *source)
        else {
            return false;
        };
        if let Some(account) = self.known.remove(&lightest) {
            self.others += account.figures;
        }
        self.gone.push(lightest);
        self.challengers.remove(&from);
        true
    }

    /// What has changed since this was asked last.
    pub(super) fn told(&mut self) -> Told {
        let mut told = Told { ways: self.ways, others: self.others, ..Told::default() };
        for (source, account) in &mut self.known {
            if std::mem::take(&mut account.changed) {
                told.sources.push((*source, account.figures));
            }
        }
        told.gone = std::mem::take(&mut self.gone);
        // Some may be back.
        told.gone.retain(|source| !self.known.contains_key(source));
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Duration;

    fn source(n: u32) -> Source {
        Source::from(IpAddr::from(Ipv4Addr::from_bits(n)))
    }

    fn bytes(bytes: u64) -> Figures {
        Figures { documents: 1, bytes, ..Figures::default() }
    }

    #[test]
    fn the_heaviest_have_an_account_and_the_sum_is_exact() {
        let mut accounts = Accounts::default();
        let now = Instant::now();
        // One of a hundred is heavy; there are many more than there is room for.
        let mut all = Figures::default();
        for round in 0..10 {
            for n in 0..20_000 {
                let figures = bytes(if n % 100 == 0 { 10_000 } else { 1 });
                all += figures;
                accounts.count(Way::Udp, source(n), figures, now + Duration::from_millis(round));
            }
        }
        assert_eq!((accounts.known.len(), accounts.challengers.len()), (PUSH_ACCOUNTS_MAX, PUSH_CHALLENGERS_MAX));
        let heavy = accounts.known.keys().filter(|key| (0..200).any(|n| **key == source(n * 100))).count();
        assert!(heavy >= 190, "{heavy}");
        let mut sum = accounts.others;
        accounts.known.values().for_each(|account| sum += account.figures);
        assert_eq!((sum, accounts.ways[Way::Udp as usize]), (all, all));
        let told = accounts.told();
        assert_eq!(told.sources.len(), PUSH_ACCOUNTS_MAX);
        assert!(told.gone.iter().all(|gone| !accounts.known.contains_key(gone)) && !told.gone.is_empty());
        assert_eq!(accounts.told().sources, []);
    }

    #[test]
    fn who_was_heavy_once_makes_room() {
        let mut accounts = Accounts::default();
        let now = Instant::now();
        for n in 0..PUSH_ACCOUNTS_MAX as u32 {
            accounts.count(Way::Tcp, source(n), bytes(100_000), now);
        }
        let late = now + PUSH_WEIGHT_HALVES * 20;
        accounts.count(Way::Tcp, source(1_000_001), bytes(1_000), now);
        assert!(!accounts.known.contains_key(&source(1_000_001)), "they are heavy");
        accounts.count(Way::Tcp, source(1_000_000), bytes(1_000), late);
        assert!(accounts.known.contains_key(&source(1_000_000)));
        // Much later all weights are taken down, and it is as it was.
        accounts.count(Way::Tcp, source(1_000_002), bytes(1_000), late + PUSH_WEIGHT_HALVES * 200);
        assert!(accounts.known.contains_key(&source(1_000_002)) && accounts.known.len() == PUSH_ACCOUNTS_MAX);
        assert!(accounts.known.values().all(|account| account.weight < 1e6));
    }
}
