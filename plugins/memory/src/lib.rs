//! How much memory and swap there is and what it is used for, in bytes: `memory,{host},available`.

mod meminfo;

use graft_rates::{Folder, PROCFS};
use meminfo::Meminfo;
use plugin_api::{Collector, Delta, Error, ParamDecl, Params, export_collector};

/// The kernel's own figures by their names in `/proc/meminfo`, and two sums. What a kernel does not tell is left out.
#[derive(Debug)]
pub struct Memory {
    procfs: Folder,
}

impl Collector for Memory {
    const PARAMS: &'static [ParamDecl] = &[PROCFS];

    fn new(params: &Params) -> Result<Memory, Error> {
        Ok(Memory { procfs: Folder::new(params, &PROCFS)? })
    }

    fn collect(&mut self, out: &mut Delta) -> Result<(), Error> {
        self.procfs.parse("meminfo", |text| {
            let info = Meminfo::parse(text);
            // Any meminfo has these two.
            let (_, _) = (info.get("MemTotal")?, info.get("MemFree")?);
            for (name, bytes) in [
                ("total", info.get("MemTotal")),
                ("free", info.get("MemFree")),
                ("available", info.get("MemAvailable")),
                ("buffers", info.get("Buffers")),
                ("cached", info.get("Cached")),
                ("slab", info.get("Slab")),
                ("shared", info.get("Shmem")),
                ("used", info.used()),
                ("swap_total", info.get("SwapTotal")),
                ("swap_free", info.get("SwapFree")),
                ("swap_used", info.swap_used()),
            ] {
                if let Some(bytes) = bytes {
                    out.set(&[name], bytes);
                }
            }
            Some(())
        })
    }
}

export_collector!(Memory, path = "memory,{host}");
