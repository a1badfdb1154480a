//! Whether a shared object holds a module of gmond's C interface, told from its bytes alone: nothing of it is run.
//!
//! Such a module is one exported variable, a `struct mmodule`, which the compiler has filled in: the version of the
//! interface stands at its start and a magic number in its midst. Nothing marks it but these two, and no name is
//! agreed on: gmond is told the symbol by `name = "…"` in its configuration.
//!
//! Source of the layout: `gm_metric.h` and `gm_mmn.h` of ganglia 3.7, by the System V ABI of 64-bit machines; it was
//! measured on Debian's ten modules.

use object::elf::FileHeader64;
use object::read::elf::{ElfFile, ElfSymbol};
use object::{Endianness, Object, ObjectSymbol, ReadRef, SymbolKind};

/// The version of the interface that graftd speaks: that of gmond 3.1.2 to 3.7.
pub const VERSION: i32 = 20_080_913;

/// The magic number of that interface, "GM32".
pub const MAGIC: u64 = 0x474d_3332;

/// Bytes of a `struct mmodule`.
pub const MODULE_BYTES: usize = 112;

/// Where the magic number stands in it.
pub const MAGIC_AT: usize = 72;

/// The magic number without its last figure: "GM3". Every interface since gmond 3.1 begins so.
const MAGIC_FAMILY: u64 = MAGIC >> 8;

/// Symbols looked at in one object; more are passed over. Debian's modules export some dozens, and a large library
/// some ten thousand.
const MAX_SYMBOLS: usize = 200_000;

/// Modules told of one object. A file holds one; nothing forbids more.
const MAX_MODULES: usize = 16;

/// Bytes of a symbol's name; a longer one is none that anybody wrote.
const MAX_NAME_BYTES: usize = 250;

/// A module found in a shared object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The symbol: what `name = "…"` in gmond's configuration says.
    pub symbol: String,
    /// The version of gmond's interface that it was built for.
    pub version: i32,
    /// Its magic number.
    pub magic: u64,
}

impl Found {
    /// Why it cannot be run, in words, if it cannot.
    pub fn misfit(&self) -> Option<String> {
        if self.version == VERSION && self.magic == MAGIC {
            return None;
        }
        Some(format!(
            "is a gmond module for another gmond: interface {}, magic {:#x}, and graftd speaks {VERSION}, {MAGIC:#x} \
             (gmond 3.1.2 to 3.7); build it against these",
            self.version, self.magic
        ))
    }
}

/// The modules of gmond's C interface in a shared object, in the order of their symbols' names; none when the bytes
/// are no 64-bit ELF file, or one of something else. Those for another version of the interface are among them: see
/// [`Found::misfit`].
pub fn modules(bytes: &[u8]) -> Vec<Found> {
    let mut out: Vec<Found> = Vec::new();
    if let Ok(file) = ElfFile::<FileHeader64<Endianness>>::parse(bytes) {
        for symbol in file.dynamic_symbols().take(MAX_SYMBOLS) {
            if out.len() == MAX_MODULES {
                break;
            }
            out.extend(module(&file, bytes, &symbol));
        }
    }
    out.sort_unstable_by(|a, b| a.symbol.cmp(&b.symbol));
    out.dedup();
    out
}

/// Whether a shared object needs a symbol of that name from somebody else.
pub fn imports(bytes: &[u8], name: impl Fn(&str) -> bool) -> bool {
    let Ok(file) = ElfFile::<FileHeader64<Endianness>>::parse(bytes) else { return false };
    file.dynamic_symbols().take(MAX_SYMBOLS).any(|symbol| symbol.is_undefined() && symbol.name().is_ok_and(&name))
}

type Elf<'a> = ElfFile<'a, FileHeader64<Endianness>>;

fn module(file: &Elf<'_>, bytes: &[u8], symbol: &ElfSymbol<'_, '_, FileHeader64<Endianness>>) -> Option<Found> {
    let size = usize::try_from(symbol.size()).ok()?;
    if symbol.is_undefined() || symbol.kind() != SymbolKind::Data || size < MODULE_BYTES {
        return None;
    }
    let text = symbol.name().ok().filter(|name| !name.is_empty() && name.len() <= MAX_NAME_BYTES)?;
    let content = content(file, bytes, symbol.address())?;
    let version = content.get(..4)?.try_into().ok()?;
    let magic = content.get(MAGIC_AT..MAGIC_AT + 8)?.try_into().ok()?;
    let (version, magic) = match file.endian() {
        Endianness::Little => (i32::from_le_bytes(version), u64::from_le_bytes(magic)),
        Endianness::Big => (i32::from_be_bytes(version), u64::from_be_bytes(magic)),
    };
    (magic >> 8 == MAGIC_FAMILY).then(|| Found { symbol: text.to_owned(), version, magic })
}

/// The bytes of a variable as the file holds them. What is loaded, and from where, say the segments.
fn content<'a>(file: &Elf<'a>, bytes: &'a [u8], address: u64) -> Option<&'a [u8]> {
    use object::read::elf::ProgramHeader;
    let endian = file.endian();
    file.elf_program_headers().iter().find_map(|segment| {
        let within = address.checked_sub(segment.p_vaddr(endian))?;
        let end = within.checked_add(MODULE_BYTES as u64)?;
        if segment.p_type(endian) != object::elf::PT_LOAD || end > segment.p_filesz(endian) {
            return None;
        }
        bytes.read_bytes_at(segment.p_offset(endian).checked_add(within)?, MODULE_BYTES as u64).ok()
    })
}
