//! Load averages and how many tasks run: `load,{host},one`.

use graft_rates::{Folder, PROCFS};
use plugin_api::{Collector, Delta, Error, ParamDecl, Params, export_collector};

/// The names of what stands in `/proc/loadavg`, in its order.
const NAMES: [&str; 5] = ["one", "five", "fifteen", "running", "processes"];

/// The kernel's load averages over one, five and fifteen minutes, and its counts of tasks.
#[derive(Debug)]
pub struct Load {
    procfs: Folder,
}

impl Collector for Load {
    const PARAMS: &'static [ParamDecl] = &[PROCFS];

    fn new(params: &Params) -> Result<Load, Error> {
        Ok(Load { procfs: Folder::new(params, &PROCFS)? })
    }

    fn collect(&mut self, out: &mut Delta) -> Result<(), Error> {
        let values = self.procfs.parse("loadavg", parse)?;
        for (name, value) in NAMES.iter().zip(values) {
            out.set(&[name], value);
        }
        Ok(())
    }
}

/// Reads `0.60 0.79 0.85 2/92 21990` (proc_loadavg(5)). procfs-core reads it too, but in single precision, which makes
/// 0.60000002 of 0.60.
fn parse(text: &str) -> Option<[f64; NAMES.len()]> {
    let mut fields = text.split_ascii_whitespace();
    let mut average = || fields.next()?.parse().ok().filter(|load: &f64| load.is_finite() && *load >= 0.0);
    let (one, five, fifteen) = (average()?, average()?, average()?);
    let (running, processes) = fields.next()?.split_once('/')?;
    let count = |text: &str| text.parse::<u32>().ok().map(f64::from);
    Some([one, five, fifteen, count(running)?, count(processes)?])
}

export_collector!(Load, path = "load,{host}");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_exactly() {
        assert_eq!(parse("0.60 0.79 12.85 2/92 21990\n"), Some([0.6, 0.79, 12.85, 2.0, 92.0]));
    }

    #[test]
    fn what_is_no_such_line_is_refused() {
        for bad in
            ["", "0.6 0.7", "0.6 0.7 0.8 2 9", "nan 0.7 0.8 2/9 1", "-1 0.7 0.8 2/9 1", "inf 0 0 2/9", "0 0 0 -2/9"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
