//! PNG and JPEG of an SVG whose texts are laid out.

use jpeg_encoder::{ColorType, Encoder};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::Tree;

/// How much of a JPEG is kept, in percent: lines and letters have hardly a shadow.
const QUALITY: u8 = 92;

/// The picture itself: what takes the longest of all.
///
/// # Errors
/// It cannot be drawn.
pub(super) fn pixels(tree: &Tree) -> Result<Pixmap, String> {
    let size = tree.size().to_int_size();
    let mut pixels = Pixmap::new(size.width(), size.height()).ok_or("the picture has no size")?;
    resvg::render(tree, Transform::identity(), &mut pixels.as_mut());
    Ok(pixels)
}

/// As PNG.
///
/// # Errors
/// It cannot be packed.
pub(super) fn png(pixels: &Pixmap) -> Result<Vec<u8>, String> {
    pixels.encode_png().map_err(|error| error.to_string())
}

/// As JPEG. The picture's background leaves nothing to be seen through.
///
/// # Errors
/// It cannot be packed.
pub(super) fn jpeg(pixels: &Pixmap) -> Result<Vec<u8>, String> {
    let side = |length: u32| u16::try_from(length).map_err(|_| "the picture is too large for a JPEG".to_owned());
    let (width, height) = (side(pixels.width())?, side(pixels.height())?);
    let mut out = Vec::new();
    let encoder = Encoder::new(&mut out, QUALITY);
    encoder.encode(pixels.data(), width, height, ColorType::Rgba).map_err(|error| error.to_string())?;
    Ok(out)
}
