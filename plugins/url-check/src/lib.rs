//! Whether URLs answer, and how fast: `url-check,{host},NAME,up`.

mod check;
mod config;
mod limits;
mod report;
mod tls;
mod turn;

use check::Check;
use plugin_api::{Collector, Delta, Error, ParamDecl, Params, export_collector};
use report::Told;

/// Asks each URL in a list, and says what came of it.
#[derive(Debug)]
pub struct UrlCheck {
    checks: Vec<Check>,
    /// What the tree has of each.
    told: Vec<Told>,
    parallel: usize,
    /// The check with which the next turn begins.
    first: usize,
}

impl Collector for UrlCheck {
    const PARAMS: &'static [ParamDecl] = &[
        ParamDecl::new("urls", "", "what to check: a list of URLs, or of tables with url, name, expect, contains, …"),
        ParamDecl::new("timeout", "\"5s\"", "how long a check may take, 10ms to 8s, unless its table says otherwise"),
        ParamDecl::new("parallel", "16", "checks at the same time, 1 to 64"),
    ];

    fn new(params: &Params) -> Result<UrlCheck, Error> {
        let (checks, parallel) = config::read(params)?;
        let told = checks.iter().map(|_| Told::default()).collect();
        Ok(UrlCheck { checks, told, parallel, first: 0 })
    }

    fn collect(&mut self, out: &mut Delta) -> Result<(), Error> {
        let done = turn::turn(&self.checks, self.first, self.parallel, limits::TURN_MAX);
        self.first = (self.first + done.len()) % self.checks.len();
        for (i, outcome) in &done {
            report::tell(out, &self.checks[*i].name, outcome, &mut self.told[*i]);
        }
        Ok(())
    }
}

export_collector!(UrlCheck, path = "url-check,{host}");
