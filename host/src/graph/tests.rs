//! Pictures as a whole: golden files, what four forms have in common, and what nobody's words can do to them.

use super::styles::{COLOURS, STYLES, THEMES};
use super::*;
use proptest::prelude::*;
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{self, roxmltree};
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

/// 2026-01-05T00:00:00Z
const MONDAY: i64 = 1_767_571_200_000;

const HOUR: i64 = 3_600_000;

fn look(form: Form) -> Look {
    Look::new(form)
}

/// A picture that is waited for.
fn draw(picture: &Picture, look: &Look) -> Result<Vec<u8>, Undrawn> {
    super::draw(picture, look, &|| true)
}

fn line(place: usize, name: &str, filled: bool, value: impl Fn(f64) -> f64) -> Line {
    let points = (0..120).map(|i| (MONDAY - HOUR / 2 + i * 30_000, value(i as f64))).collect();
    Line { name: name.to_owned(), colour: COLOURS[place % 8], filled, points }
}

fn time(kind: Kind, lines: Vec<Line>) -> Time {
    let range = (MONDAY - HOUR / 2, MONDAY + HOUR / 2);
    Time { kind, range, most: None, lines, markers: Vec::new(), step_ms: 30_000 }
}

fn picture(title: &str, unit: &str, body: Body) -> Picture {
    Picture { title: title.to_owned(), unit: Unit::new(unit), body, note: String::new() }
}

fn lines() -> Picture {
    let gap = |i: f64| if (40.0..55.0).contains(&i) { f64::NAN } else { 120.0 + 40.0 * (i / 9.0).sin() };
    let mut time = time(
        Kind::Line,
        vec![
            line(0, "web1", false, |i| 100.0 + i),
            line(1, "web2", false, gap),
            line(2, "<b>&\"'", false, |i| 250.0 - i),
        ],
    );
    time.markers = vec![
        Marker { at_ms: MONDAY - HOUR / 4, text: "1.0 → 1.1".to_owned() },
        Marker { at_ms: MONDAY + HOUR * 29 / 60, text: "1.2 with a long remark that is cut".to_owned() },
    ];
    picture("hits,*", "/s", Body::Time(time))
}

fn stacked() -> Picture {
    let keys = ["user", "system", "iowait", "idle"];
    let value = |place: usize| move |i: f64| [20.0 + i / 10.0, 12.0, 3.0, 65.0 - i / 10.0][place];
    let cpu = &STYLES[1];
    let lines = keys.iter().enumerate().map(|(place, name)| Line {
        colour: cpu.key(name).expect("a key").1.colour,
        ..line(place, name, true, value(place))
    });
    let time = Time { most: cpu.most, ..time(Kind::Stacked, lines.collect()) };
    picture("cpu,h1", "%", Body::Time(time))
}

fn bars() -> Picture {
    let mut time = time(Kind::Bar, vec![line(0, "bytes", true, |i| 1e6 * (1.0 + (i / 3.0).cos()))]);
    time.lines[0].points = time.lines[0].points.iter().copied().step_by(4).collect();
    time.step_ms = 120_000;
    picture("bytes,2xx", "bytes", Body::Time(time))
}

fn list(upright: bool) -> Picture {
    let rows = (0..40).map(|i| (format!("/some/page/{i}"), 40_000.0 / f64::from(i + 1))).collect();
    picture("url", "", Body::List(List { upright, rows, colours: vec![COLOURS[0]; 40], more: 60 }))
}

#[test]
fn golden_files() {
    let dark = |mut look: Look| {
        look.theme = &THEMES[1];
        look
    };
    let small = Look { width: 120, height: 40, ..look(Form::Svg) };
    let empty = picture("nothing", "", Body::Time(time(Kind::Line, Vec::new())));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/graph");
    let mut wrong = Vec::new();
    for (name, picture, look) in [
        ("line.svg", lines(), look(Form::Svg)),
        ("line-small.svg", lines(), small.clone()),
        ("stacked-dark.svg", stacked(), dark(look(Form::Svg))),
        ("bar.svg", bars(), look(Form::Svg)),
        ("top.svg", list(false), look(Form::Svg)),
        ("bar-now-dark.svg", list(true), dark(look(Form::Svg))),
        ("empty.svg", empty, look(Form::Svg)),
        ("dense-line-dark.svg", dense(Kind::Line, 1), dark(small.clone())),
        ("dense-stacked.svg", dense(Kind::Stacked, 3), small.clone()),
        ("dense-bar.svg", dense(Kind::Bar, 1), small.clone()),
        ("dense-bars-dark.svg", dense(Kind::Bar, 3), dark(small)),
        ("line.txt", lines(), look(Form::Txt)),
        ("stacked.txt", stacked(), look(Form::Txt)),
        ("top.txt", list(false), look(Form::Txt)),
    ] {
        let drawn = draw(&picture, &look).expect("drawn");
        let file = folder.join(name);
        // `GRAFTD_GOLDEN=write cargo test golden_files` writes them anew, to be looked at.
        if std::env::var_os("GRAFTD_GOLDEN").is_some() {
            std::fs::write(&file, &drawn).expect("written");
        }
        if std::fs::read(&file).ok().as_ref() != Some(&drawn) {
            wrong.push(name);
        }
    }
    assert!(wrong.is_empty(), "not as the golden files in {}: {wrong:?}", folder.display());
}

/// The pixels of a JPEG: by a decoder that has nothing to do with who wrote it.
fn decoded(jpeg: Vec<u8>, width: u32, height: u32) -> Pixmap {
    let mut options = usvg::Options::default();
    let jpeg = Arc::new(jpeg);
    options.image_href_resolver.resolve_string = Box::new(move |_, _| Some(usvg::ImageKind::JPEG(Arc::clone(&jpeg))));
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\">\
         <image href=\"it\" width=\"{width}\" height=\"{height}\" image-rendering=\"optimizeSpeed\"/></svg>"
    );
    let tree = usvg::Tree::from_str(&svg, &options).expect("an SVG");
    let mut pixels = Pixmap::new(width, height).expect("pixels");
    resvg::render(&tree, Transform::identity(), &mut pixels.as_mut());
    pixels
}

#[test]
fn png_and_jpeg_have_the_size_and_the_colours() {
    for (picture, colours) in [
        (lines(), vec![COLOURS[0], COLOURS[1], COLOURS[2], THEMES[0].background]),
        (list(false), vec![COLOURS[0], THEMES[0].background]),
    ] {
        let png = Pixmap::decode_png(&draw(&picture, &look(Form::Png)).expect("drawn")).expect("a PNG");
        assert_eq!((png.width(), png.height()), (640, 240));
        let has =
            |Rgb(r, g, b)| png.pixels().iter().any(|pixel| (pixel.red(), pixel.green(), pixel.blue()) == (r, g, b));
        for colour in colours {
            assert!(has(colour), "{colour}");
        }
        assert!(!has(COLOURS[6]));
        let jpeg = decoded(draw(&picture, &look(Form::Jpg)).expect("drawn"), 640, 240);
        let far: u64 = png.data().iter().zip(jpeg.data()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        let far = far as f64 / png.data().len() as f64;
        assert!(far < 3.0, "the JPEG is {far:.2} levels away from the PNG");
    }
}

#[test]
fn nothing_more_is_made_for_who_has_left() {
    // Asked after the texts are set, after they are laid out, and when there are pixels.
    for (form, asked) in [(Form::Png, 3), (Form::Jpg, 3), (Form::Pdf, 2), (Form::Svg, 0), (Form::Txt, 0_usize)] {
        for stays in 0..=asked {
            let left = std::cell::Cell::new(stays);
            let waited_for = || left.replace(left.get().saturating_sub(1)) > 0;
            let drawn = super::draw(&lines(), &look(form), &waited_for);
            assert_eq!(drawn.as_ref().err(), (stays < asked).then_some(&Undrawn::Left), "{form:?} {stays}");
        }
    }
}

#[test]
fn a_pdf_has_its_size_and_is_the_same_each_time() {
    let pdf = draw(&lines(), &look(Form::Pdf)).expect("drawn");
    assert!(pdf.starts_with(b"%PDF-"));
    let text = String::from_utf8_lossy(&pdf);
    assert!(text.contains("/MediaBox [0 0 640 240]"), "{}", &text[..200]);
    assert_eq!(draw(&lines(), &look(Form::Pdf)).expect("drawn"), pdf);
}

#[test]
fn a_latin_png_reads_no_font_of_the_system() {
    const NAME: &str = "graph::tests::a_latin_png_reads_no_font_of_the_system";
    const ALONE: &str = "GRAFTD_TEST_ALONE";
    // In a process of its own: in this one other tests need them.
    if std::env::var_os(ALONE).is_none() {
        let mut command = std::process::Command::new(std::env::current_exe().expect("a program"));
        let ran = command.args([NAME, "--exact", "--nocapture"]).env(ALONE, "1").output().expect("it runs");
        let said = String::from_utf8_lossy(&ran.stdout);
        return assert!(
            ran.status.success() && said.contains("1 passed"),
            "{said}{}",
            String::from_utf8_lossy(&ran.stderr)
        );
    }
    for form in [Form::Png, Form::Jpg, Form::Pdf] {
        for mut picture in [lines(), stacked(), list(false), list(true)] {
            if let Body::Time(time) = &mut picture.body {
                // An arrow is no letter of Latin.
                time.markers.iter_mut().for_each(|marker| marker.text = marker.text.replace('→', "…"));
            }
            draw(&picture, &look(form)).expect("drawn");
        }
    }
    let kept = picture("Größe … – − Ωμέγα", "µs", list(false).body);
    draw(&kept, &look(Form::Png)).expect("drawn");
    assert!(!fonts::is_large_read());
    draw(&picture("中文", "", list(false).body), &look(Form::Png)).expect("drawn");
    assert!(fonts::is_large_read());
}

/// What an SVG of ours may have.
const ELEMENTS: [&str; 5] = ["svg", "title", "rect", "path", "text"];

const ATTRIBUTES: [&str; 18] = [
    "x",
    "y",
    "width",
    "height",
    "viewBox",
    "role",
    "font-family",
    "fill",
    "fill-opacity",
    "d",
    "stroke",
    "stroke-width",
    "stroke-dasharray",
    "stroke-linejoin",
    "stroke-linecap",
    "font-size",
    "text-anchor",
    "space",
];

/// Checks an SVG; the texts in it.
fn checked(svg: &str, look: &Look) -> Vec<String> {
    let document = roxmltree::Document::parse(svg).unwrap_or_else(|error| panic!("{error} in {svg}"));
    let mut texts = Vec::new();
    for node in document.descendants() {
        if node.is_element() {
            assert!(ELEMENTS.contains(&node.tag_name().name()), "{:?}", node.tag_name());
            for attribute in node.attributes() {
                assert!(ATTRIBUTES.contains(&attribute.name()), "{attribute:?}");
                assert!(!attribute.value().contains("NaN") && !attribute.value().contains("inf"), "{attribute:?}");
            }
        }
        assert!(!node.is_comment() && !node.is_pi());
        if let Some(text) =
            node.text().filter(|_| node.is_element() && ["text", "title"].contains(&node.tag_name().name()))
        {
            assert_eq!(clean(text), text, "nothing wild is left");
            texts.push(text.to_owned());
        }
    }
    let root = document.root_element();
    assert_eq!(root.attribute("width"), Some(&*look.width.to_string()));
    texts
}

#[test]
fn a_long_key_is_cut_and_hostile_ones_are_texts() {
    let hostile = [
        "<script>alert(1)</script>",
        "\u{202e}gnp.exe\u{202c}",
        "]]>&amp;",
        "\u{0}\u{1b}[31m\u{7f}",
        &"k".repeat(10_240),
    ];
    let mut picture = lines();
    let Body::Time(time) = &mut picture.body else { panic!("lines") };
    time.lines = hostile.iter().enumerate().map(|(i, name)| line(i, name, false, |i| i)).collect();
    picture.title = hostile[4].to_owned();
    let look = look(Form::Svg);
    let svg = svg::draw(&picture, &look, None);
    let texts = checked(&svg, &look);
    assert!(texts.iter().any(|text| text == hostile[0]), "{texts:?}");
    assert!(!svg.contains("<script") && svg.len() < 64 * 1024);
    assert!(texts.iter().any(|text| text.starts_with("kkkk") && text.ends_with('…') && text.len() < 120), "{texts:?}");
    let letters = letters::draw(&picture, &self::look(Form::Txt));
    assert!(!letters.contains(|c: char| c.is_control() && c != '\n'), "{letters:?}");
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[<>&\"'/=a-z!\\[\\]-]{0,40}",
        "(\u{202e}|\u{2066}|\u{0}|\u{1b}|\u{feff}|\u{fffe}|\u{ffff}|\u{200d}|مر|中|👩|e\u{301}| |\n){0,30}",
        Just("x".repeat(10_240)),
    ]
}

fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![-1e3..1e3, any::<f64>(), Just(f64::NAN), Just(0.0), Just(f64::MAX), Just(f64::MIN)]
}

fn any_picture() -> impl Strategy<Value = Picture> {
    let points = proptest::collection::vec((MONDAY - 2 * HOUR..MONDAY + 2 * HOUR, any_value()), 0..40);
    let line = (any_text(), points, any::<bool>(), 0_usize..8).prop_map(|(name, mut points, filled, place)| {
        points.sort_by_key(|(at, _)| *at);
        points.dedup_by_key(|(at, _)| *at);
        Line { name, colour: COLOURS[place], filled, points }
    });
    let marker = (MONDAY - 2 * HOUR..MONDAY + 2 * HOUR, any_text()).prop_map(|(at_ms, text)| Marker { at_ms, text });
    let kind = proptest::sample::select(vec![Kind::Line, Kind::Stacked, Kind::Bar]);
    let time = (kind, proptest::collection::vec(line, 0..6), proptest::collection::vec(marker, 0..4), 0_i64..100_000)
        .prop_map(|(kind, lines, mut markers, step_ms)| {
            markers.sort_by_key(|marker| marker.at_ms);
            Body::Time(Time { markers, step_ms, ..time(kind, lines) })
        });
    let rows = proptest::collection::vec((any_text(), any_value()), 0..30);
    let list = (any::<bool>(), rows, 0_usize..10).prop_map(|(upright, rows, more)| {
        Body::List(List { upright, colours: vec![COLOURS[3]; rows.len()], rows, more })
    });
    (any_text(), any_text(), prop_oneof![time, list])
        .prop_map(|(title, unit, body)| picture(&title, &clean(&unit), body))
}

fn any_size() -> impl Strategy<Value = (u32, u32)> {
    prop_oneof![(40_u32..300, 40_u32..300), Just((640, 240)), Just((40, 40)), Just((4_096, 40))]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn no_words_and_no_numbers_break_an_svg(picture in any_picture(), (width, height) in any_size(), dark in any::<bool>(),
        legend in any::<Option<bool>>()) {
        let theme = &THEMES[usize::from(dark)];
        let look = Look { width, height, theme, legend, ..look(Form::Svg) };
        checked(&svg::draw(&picture, &look, None), &look);
    }

    #[test]
    fn nor_a_picture_of_letters(picture in any_picture(), width in 20_u32..200, height in 5_u32..60) {
        let look = Look { width, height, ..look(Form::Txt) };
        let letters = letters::draw(&picture, &look);
        prop_assert!(!letters.contains(|c: char| c.is_control() && c != '\n'));
        prop_assert!(letters.lines().count() <= height as usize + 1, "{}", letters);
        for line in letters.lines() {
            prop_assert!(text::width_cells(line) <= width as usize, "{line:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn what_can_be_written_can_be_drawn(picture in any_picture(), (width, height) in any_size()) {
        for form in [Form::Png, Form::Jpg, Form::Pdf] {
            let look = Look { width, height, ..look(form) };
            prop_assert!(draw(&picture, &look).is_ok_and(|bytes| bytes.len() > 100));
        }
    }
}

/// More than there are pixels for, with gaps, a peak and what lies below nothing.
fn dense(kind: Kind, lines: usize) -> Picture {
    let value = |i: i64| match i {
        i if i % 5 == 0 || (12_000..13_000).contains(&i) => f64::NAN,
        3_333 => 60.0,
        6_667 => -20.0,
        i => 20.0 + 10.0 * (i as f64 / 900.0).sin() + (i % 7) as f64,
    };
    let points: Vec<(i64, f64)> = (0..20_000).map(|i| (MONDAY - HOUR / 2 + i * 180, value(i))).collect();
    let line = |place: usize| Line { points: points.clone(), ..line(place, ["a", "b", "c"][place], false, |i| i) };
    let time = Time { step_ms: 0, ..time(kind, (0..lines).map(line).collect()) };
    picture("dense", "", Body::Time(time))
}

#[test]
fn no_picture_is_larger_for_more_points_than_there_are_pixels() {
    for (kind, lines) in [(Kind::Line, 1), (Kind::Line, 3), (Kind::Stacked, 3), (Kind::Bar, 1), (Kind::Bar, 3)] {
        let svg = svg::draw(&dense(kind, lines), &look(Form::Svg), None);
        assert!(svg.len() < 160 * 1024 * lines.min(2), "{kind:?} {lines}: {}", svg.len());
    }
}

#[test]
fn an_empty_list_of_letters_is_no_wider_than_asked_for() {
    let empty = picture("", "", Body::List(List { upright: false, rows: Vec::new(), colours: Vec::new(), more: 0 }));
    let letters = letters::draw(&empty, &Look { width: 20, height: 5, ..look(Form::Txt) });
    assert!(letters.contains("there are") && letters.lines().all(|line| text::width_cells(line) <= 20), "{letters}");
}

#[test]
fn names_are_told_apart() {
    let all = Form::NAMES.iter().map(|(name, _)| *name).chain(Kind::NAMES.iter().map(|(name, _)| *name));
    let all = all.chain(STYLES.iter().map(|style| style.name)).chain(THEMES.iter().map(|theme| theme.name));
    let all: Vec<&str> = all.collect();
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
    let mut look = look(Form::Svg);
    for (name, value, words) in [
        ("style", "cpus", "must be one of default, cpu, net, url"),
        ("theme", "grey", "must be one of light, dark"),
        ("type", "pie", "must be one of line, stacked, bar, top"),
        ("size", "640", "must be pixels such as 640x240, from 40x40 to 4096x4096, and not more than 8388608 of them"),
        ("size", "4096x4096", "must be pixels"),
        ("size", "+64x64", "must be pixels"),
        ("size", "1x1", "must be pixels"),
        ("legend", "yes", "must be one of on, off"),
    ] {
        assert!(look.set(name, value).is_err_and(|why| why.starts_with(words)), "{name}={value}");
    }
    assert_eq!((look.set("size", "4096x2048"), look.width, look.height), (Ok(()), 4_096, 2_048));
}
