//! PDF of an SVG whose texts are laid out: a page of its size, with texts that can be searched and copied.

use krilla::geom::Size;
use krilla::metadata::Metadata;
use krilla::page::PageSettings;
use krilla_svg::{SurfaceExt, SvgSettings};
use resvg::usvg::Tree;

/// As PDF; a pixel is a point.
///
/// # Errors
/// It cannot be drawn.
pub(super) fn of(tree: &Tree, title: &str) -> Result<Vec<u8>, String> {
    let (width, height) = (tree.size().width(), tree.size().height());
    let settings = PageSettings::from_wh(width, height).ok_or("the picture has no size")?;
    let size = Size::from_wh(width, height).ok_or("the picture has no size")?;
    let mut document = krilla::Document::new();
    document.set_metadata(Metadata::new().title(title.to_owned()).creator("graftd".to_owned()));
    let mut page = document.start_page_with(settings);
    let mut surface = page.surface();
    let drawn = surface.draw_svg(tree, size, SvgSettings::default());
    surface.finish();
    page.finish();
    drawn.ok_or("the picture cannot be drawn")?;
    document.finish().map_err(|error| format!("the PDF cannot be written: {error:?}"))
}
