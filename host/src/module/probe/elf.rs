//! A look at the header of a shared object, before anything of it is run.
//!
//! Source: the System V ABI, "ELF Header" (elf(5)).

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Bytes of the header of a 64-bit object.
const HEADER_BYTES: usize = 64;

/// Where the header says how wide its numbers are and in which order, for which machine the object is, and of which type.
const CLASS_AT: usize = 4;
const ORDER_AT: usize = 5;
const TYPE_AT: usize = 16;
const MACHINE_AT: usize = 18;
const SHARED_OBJECT: u16 = 3;
const CLASS_64: u8 = 2;

/// Where the header of a 64-bit object says where its table of sections is, the size of one row and how many there are. The
/// table is what a linker writes last.
const SECTIONS_AT: usize = 0x28;
const SECTION_BYTES_AT: usize = 0x3a;
const SECTION_COUNT_AT: usize = 0x3c;

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
    let mut read = || -> io::Result<u64> {
        let open = File::open(file)?;
        let bytes = open.metadata()?.len();
        open.take(HEADER_BYTES as u64).read_to_end(&mut header)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => format!("may not be read: chmod u+r {}", file.display()),
        _ => format!("cannot be read: {error}"),
    })?;
    if header.is_empty() {
        return Err("is empty; copy or build it again".to_owned());
    }
    if !header.starts_with(b"\x7fELF") {
        return Err("is no shared object (no ELF header); build it with crate-type = [\"cdylib\"]".to_owned());
    }
    let (Some(half), true) = (half_at(&header), header.len() == HEADER_BYTES) else {
        return Err("is cut off within its ELF header: copy or build it again".to_owned());
    };
    if half(TYPE_AT) != SHARED_OBJECT {
        return Err("is an ELF file but no shared object; build it with crate-type = [\"cdylib\"]".to_owned());
    }
    if let Some(own) = own_machine().filter(|own| *own != half(MACHINE_AT)) {
        return Err(format!(
            "is for {}, and this is {}; build it for this machine",
            machine_name(half(MACHINE_AT)),
            machine_name(own)
        ));
    }
    match whole(&header, half) {
        Some(whole) if bytes < whole => {
            Err(format!("is cut off: it has {bytes} bytes of {whole}; copy or build it again"))
        }
        _ => Ok(()),
    }
}

/// How many bytes the object has as a whole, by where its last table ends; `None` for one without, or of 32 bits.
fn whole(header: &[u8], half: impl Fn(usize) -> u16) -> Option<u64> {
    if header.get(CLASS_AT) != Some(&CLASS_64) {
        return None;
    }
    let little = header.get(ORDER_AT) == Some(&1);
    let start = header.get(SECTIONS_AT..SECTIONS_AT + 8)?.try_into().ok()?;
    let start = if little { u64::from_le_bytes(start) } else { u64::from_be_bytes(start) };
    start.checked_add(u64::from(half(SECTION_BYTES_AT)) * u64::from(half(SECTION_COUNT_AT)))
}

/// Reads two bytes in the order that the header says; `None` when it says neither order.
fn half_at(header: &[u8]) -> Option<impl Fn(usize) -> u16 + '_> {
    let little = match header.get(ORDER_AT)? {
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
        // Two sections of 64 bytes behind the header.
        let mut object = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0".to_vec();
        object.resize(HEADER_BYTES, 0);
        object[SECTIONS_AT] = HEADER_BYTES as u8;
        object[SECTION_BYTES_AT] = 64;
        object[SECTION_COUNT_AT] = 2;
        object.resize(HEADER_BYTES + 2 * 64, 0);
        if let Some(own) = own_machine() {
            object[MACHINE_AT..][..2].copy_from_slice(&own.to_le_bytes());
            assert_eq!(said(&object), Ok(()));
            assert!(said(&object[..191]).unwrap_err().starts_with("is cut off: it has 191 bytes of 192;"));
        }
        assert!(said(b"").unwrap_err().starts_with("is empty"));
        assert!(said(b"#!/bin/sh\n").unwrap_err().starts_with("is no shared object (no ELF header)"));
        for within in [4, 19, 63] {
            assert!(said(&object[..within]).unwrap_err().starts_with("is cut off within its ELF header"));
        }
        object[MACHINE_AT] = 8;
        assert!(said(&object).unwrap_err().starts_with("is for machine number 8"));
        object[TYPE_AT] = 2;
        assert!(said(&object).unwrap_err().contains("no shared object"));
        assert!(check(Path::new("/nowhere/x.so")).unwrap_err().starts_with("cannot be read"));
    }
}
