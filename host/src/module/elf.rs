//! A look at the first bytes of a shared object, before anything of it is run.
//!
//! Source: the System V ABI, "ELF Header" (elf(5)).

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Bytes of the header that are looked at.
const HEADER_BYTES: usize = 20;

/// Where the header says for which machine the object is, and of which type it is.
const TYPE_AT: usize = 16;
const MACHINE_AT: usize = 18;
const SHARED_OBJECT: u16 = 3;

/// The machine that this daemon runs on, as an ELF header spells it.
const fn own_machine() -> Option<u16> {
    if cfg!(target_arch = "x86_64") {
        Some(62)
    } else if cfg!(target_arch = "aarch64") {
        Some(183)
    } else if cfg!(target_arch = "riscv64") {
        Some(243)
    } else {
        None
    }
}

fn machine_name(machine: u16) -> String {
    match machine {
        3 => "x86 (32 bit)".to_owned(),
        40 => "ARM (32 bit)".to_owned(),
        62 => "x86-64".to_owned(),
        183 => "AArch64".to_owned(),
        243 => "RISC-V".to_owned(),
        other => format!("machine number {other}"),
    }
}

/// Refuses what is no shared object for this machine.
///
/// # Errors
/// Says what it is instead, in one line.
pub(crate) fn check(file: &Path) -> Result<(), String> {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    let read = File::open(file).and_then(|open| open.take(HEADER_BYTES as u64).read_to_end(&mut header));
    match read {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Err(format!("may not be read: chmod u+r {}", file.display()));
        }
        Err(error) => return Err(format!("cannot be read: {error}")),
        Ok(_) => {}
    }
    if header.is_empty() {
        return Err("is empty".to_owned());
    }
    if !header.starts_with(b"\x7fELF") {
        return Err("is no shared object (no ELF header)".to_owned());
    }
    let (Some(half), true) = (half_at(&header), header.len() == HEADER_BYTES) else {
        return Err("is cut off within its ELF header".to_owned());
    };
    if half(TYPE_AT) != SHARED_OBJECT {
        return Err("is an ELF file but no shared object; build it with crate-type = [\"cdylib\"]".to_owned());
    }
    match own_machine() {
        Some(own) if own != half(MACHINE_AT) => Err(format!(
            "is for {}, and this is {}; build it for this machine",
            machine_name(half(MACHINE_AT)),
            machine_name(own)
        )),
        _ => Ok(()),
    }
}

/// Reads two bytes in the order that the header says; `None` when it says neither order.
fn half_at(header: &[u8]) -> Option<impl Fn(usize) -> u16 + '_> {
    let little = match header.get(5)? {
        1 => true,
        2 => false,
        _ => return None,
    };
    Some(move |at: usize| {
        let bytes = [header.get(at).copied().unwrap_or(0), header.get(at + 1).copied().unwrap_or(0)];
        if little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(bytes: &[u8]) -> Result<(), String> {
        let file = std::env::temp_dir().join(format!("graftd-elf-{}-{}", std::process::id(), bytes.len()));
        std::fs::write(&file, bytes).unwrap();
        let said = check(&file);
        std::fs::remove_file(&file).unwrap();
        said
    }

    #[test]
    fn what_is_no_shared_object_is_told_apart() {
        let mut header = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0".to_vec();
        if cfg!(target_arch = "x86_64") {
            assert_eq!(said(&header), Ok(()));
        }
        assert_eq!(said(b""), Err("is empty".into()));
        assert_eq!(said(b"#!/bin/sh\n"), Err("is no shared object (no ELF header)".into()));
        assert_eq!(said(&header[..19]), Err("is cut off within its ELF header".into()));
        assert_eq!(said(&header[..4]), Err("is cut off within its ELF header".into()));
        header[MACHINE_AT] = 8;
        assert!(said(&header).unwrap_err().starts_with("is for machine number 8"));
        header[TYPE_AT] = 2;
        assert!(said(&header).unwrap_err().contains("no shared object"));
        assert!(check(Path::new("/nowhere/x.so")).unwrap_err().starts_with("cannot be read"));
    }
}
