//! `/proc/meminfo` (proc_meminfo(5)): `MemTotal:  24683656 kB`.
//!
//! procfs-core has a parser too. It wants some fifteen fields that are of no use here and that not every sandbox
//! writes, and it panics on a name that ends in a character of several bytes.

/// Bytes in the kernel's `kB`, which is a KiB.
const KB: f64 = 1_024.0;

/// The lines of the file.
#[derive(Debug)]
pub(crate) struct Meminfo<'a> {
    text: &'a str,
}

impl<'a> Meminfo<'a> {
    pub(crate) fn parse(text: &'a str) -> Meminfo<'a> {
        Meminfo { text }
    }

    /// The bytes on the line of this name; `None` if there is none, or no size on it.
    pub(crate) fn get(&self, name: &str) -> Option<f64> {
        let value = self.text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let kib: u64 = value.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
        Some(kib as f64 * KB)
    }

    /// What is neither free nor can be freed without swapping, as free(1) has it since procps 4.0. Kernels before 3.14
    /// do not say what is available: then, as before, what is neither free nor a cache.
    pub(crate) fn used(&self) -> Option<f64> {
        let unused = match self.get("MemAvailable") {
            Some(available) => available,
            None => self.get("MemFree")? + self.get("Buffers")? + self.get("Cached")?,
        };
        Some((self.get("MemTotal")? - unused).max(0.0))
    }

    /// Swap that is in use.
    pub(crate) fn swap_used(&self) -> Option<f64> {
        Some((self.get("SwapTotal")? - self.get("SwapFree")?).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_whole_name() {
        let info = Meminfo::parse("SwapCached:  1 kB\nActive(anon):  2 kB\nCached:\t3 kB\n");
        assert_eq!(info.get("Cached"), Some(3_072.0));
        assert_eq!(info.get("Active"), None);
    }

    #[test]
    fn what_is_no_size_is_left_out() {
        for bad in
            ["Slab:", "Slab: kB", "Slab: -1 kB", "Slab: 1 MB", "Slab: 1", "Slab 1 kB", "Slab: 99999999999999999999 kB"]
        {
            assert_eq!(Meminfo::parse(bad).get("Slab"), None, "{bad}");
        }
    }

    #[test]
    fn used_is_what_is_not_available() {
        let old = "MemTotal: 100 kB\nMemFree: 10 kB\nBuffers: 20 kB\nCached: 30 kB\n";
        assert_eq!(Meminfo::parse(old).used(), Some(40.0 * KB));
        let new = format!("{old}MemAvailable: 55 kB\n");
        assert_eq!(Meminfo::parse(&new).used(), Some(45.0 * KB));
        // In a container the total may be the container's, and what is available the machine's.
        let container = format!("{old}MemAvailable: 500 kB\n");
        assert_eq!(Meminfo::parse(&container).used(), Some(0.0));
    }
}
