//! Views: pages of charts that somebody keeps. They lie in `views.json` of the data folder, as
//! `{"graftd":"views","version":1,"views":[{"name":"web","charts":[{"key":"cpu,,idle"}]}]}`.
//!
//! The file is the truth: it is read at each question, and written whole. What is in its place and is not such a file was not written
//! here, or by a later version: it is told of, and never touched.

use crate::limits::{VIEW_BYTES_MAX, VIEW_CHARTS_MAX, VIEW_NAME_CHARS_MAX, VIEWS_BYTES_MAX, VIEWS_MAX};
use crate::put::put;
use crate::tree::Pattern;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use siphasher::sip::SipHasher13;
use std::fs::{self, File};
use std::hash::Hasher;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// The file's name in the data folder.
const FILE: &str = "views.json";

/// The version of the file's form.
const VERSION: u64 = 1;

/// A view that has been looked at: it has a name, and charts that each have a key that can be asked for. What else it and they have
/// is the pages' own.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct View(Map<String, Value>);

/// All views at one time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Kept {
    /// In their order.
    pub(crate) views: Vec<View>,
    /// What they are known by, as `ETag` has it: another as soon as something of them is another.
    pub(crate) tag: String,
}

/// What is kept.
#[derive(Debug)]
pub(crate) struct Views {
    file: PathBuf,
    /// One writes at a time, from its reading on.
    writing: Mutex<()>,
}

/// Why views cannot be kept or read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ViewError {
    /// What is asked for is no view, or one too many.
    Wrong(String),
    /// There is no view of this name.
    Missing(String),
    /// There is one of this name already.
    Taken(String),
    /// They are not any more what who changes them has seen.
    Changed(String),
    /// What lies in the file's place is not ours to read, and not to be replaced.
    Foreign(String),
    /// The file cannot be written.
    Disk(String),
}

impl View {
    /// Looks at what is to be a view; the name may stand beside it, as in a URL.
    ///
    /// # Errors
    /// [`ViewError::Wrong`] says what is wrong with it.
    pub(crate) fn of(value: Value, name: Option<&str>) -> Result<View, ViewError> {
        let Value::Object(mut view) = value else {
            return wrong("a view is an object, such as {\"name\":\"web\",\"charts\":[{\"key\":\"cpu,,idle\"}]}");
        };
        if let (Some(name), false) = (name, view.contains_key("name")) {
            view.insert("name".to_owned(), name.into());
        }
        let Some(Value::String(name)) = view.get("name") else {
            return wrong("a view has a name, a text");
        };
        check_name(name)?;
        let Some(Value::Array(charts)) = view.get("charts") else {
            return wrong(&format!("the view {name:?} has no charts; a view without any has \"charts\":[]"));
        };
        if charts.len() > VIEW_CHARTS_MAX {
            return wrong(&format!("the view {name:?} has {} charts; at most {VIEW_CHARTS_MAX}", charts.len()));
        }
        for (at, chart) in charts.iter().enumerate() {
            let Some(key) = chart.get("key").and_then(Value::as_str) else {
                return wrong(&format!("chart {} of the view {name:?} has no key, a path as /get/ takes it", at + 1));
            };
            if let Err(error) = Pattern::parse(key) {
                return wrong(&format!("chart {} of the view {name:?}: path {key:?}: {error}", at + 1));
            }
        }
        let bytes = Value::Object(view.clone()).to_string().len();
        if bytes > VIEW_BYTES_MAX {
            return wrong(&format!("a view has {bytes} bytes; at most {VIEW_BYTES_MAX}"));
        }
        Ok(View(view))
    }

    pub(crate) fn name(&self) -> &str {
        self.0.get("name").and_then(Value::as_str).unwrap_or_default()
    }

    /// As the API and the file have it.
    pub(crate) fn json(self) -> Value {
        Value::Object(self.0)
    }
}

/// Several views.
///
/// # Errors
/// As [`View::of`]; or it is no list, two have one name, or there are too many.
pub(crate) fn list_of(value: Value) -> Result<Vec<View>, ViewError> {
    let Value::Array(list) = value else {
        return wrong("all views together are a list, as GET /setting/view answers it");
    };
    if list.len() > VIEWS_MAX {
        return wrong(&format!("there are {} views; at most {VIEWS_MAX}", list.len()));
    }
    let views = list.into_iter().map(|view| View::of(view, None)).collect::<Result<Vec<View>, ViewError>>()?;
    for (at, view) in views.iter().enumerate() {
        if views[..at].iter().any(|other| other.name() == view.name()) {
            return wrong(&format!("two views are called {:?}", view.name()));
        }
    }
    Ok(views)
}

fn wrong<T>(why: &str) -> Result<T, ViewError> {
    Err(ViewError::Wrong(why.to_owned()))
}

/// What a file's content is known by.
fn tag_of(text: &[u8]) -> String {
    let mut hasher = SipHasher13::new();
    hasher.write(text);
    format!("\"{:016x}\"", hasher.finish())
}

/// Whether one of the tags of an `If-Match` is this one; without one, whatever is kept may be changed.
///
/// # Errors
/// [`ViewError::Changed`].
fn check_seen(seen: Option<&str>, tag: &str) -> Result<(), ViewError> {
    // A proxy that packs answers says so in their tags.
    let plain = |tag: &str| {
        let tag = tag.trim().trim_start_matches("W/").trim_matches('"');
        ["-gzip", ";gzip", "-br"].iter().find_map(|end| tag.strip_suffix(end)).unwrap_or(tag).to_owned()
    };
    let fits = |one: &str| one.trim() == "*" || plain(one) == plain(tag);
    if seen.is_none_or(|seen| seen.split(',').any(fits)) {
        return Ok(());
    }
    let why = "the views were changed meanwhile, and nothing was kept; look at them as they are now, and try again";
    Err(ViewError::Changed(why.to_owned()))
}

fn check_name(name: &str) -> Result<(), ViewError> {
    let chars = name.chars().count();
    let why = match name {
        _ if chars == 0 || chars > VIEW_NAME_CHARS_MAX => {
            format!("a view's name has {chars} characters; 1 to {VIEW_NAME_CHARS_MAX}")
        }
        _ if name.trim() != name => format!("the name {name:?} begins or ends with a space"),
        // A browser makes another URL of these.
        "." | ".." => format!("a view cannot be called {name:?}"),
        _ if name.contains(char::is_control) => format!("the name {name:?} has a control character"),
        _ => return Ok(()),
    };
    Err(ViewError::Wrong(why))
}

impl Views {
    /// Those of this data folder.
    pub(crate) fn of(data: &Path) -> Views {
        Views { file: data.join(FILE), writing: Mutex::default() }
    }

    /// All of them; none where there is no file.
    ///
    /// # Errors
    /// [`ViewError::Foreign`]: what is there cannot be read.
    pub(crate) fn kept(&self) -> Result<Kept, ViewError> {
        let foreign = |why: &dyn std::fmt::Display| {
            let file = self.file.display();
            ViewError::Foreign(format!("{file}: {why}; it is left as it is: mend it, or move it away"))
        };
        match fs::symlink_metadata(&self.file) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(Kept { views: Vec::new(), tag: tag_of(b"") });
            }
            Err(error) => return Err(foreign(&error)),
            // A pipe would be waited for, and a link would be replaced by what it is not.
            Ok(meta) if !meta.is_file() => return Err(foreign(&"is no regular file")),
            Ok(_) => {}
        }
        let mut text = Vec::new();
        let file = File::open(&self.file).map_err(|error| foreign(&error))?;
        file.take(VIEWS_BYTES_MAX as u64 + 1).read_to_end(&mut text).map_err(|error| foreign(&error))?;
        if text.len() > VIEWS_BYTES_MAX {
            return Err(foreign(&format_args!("has more than {VIEWS_BYTES_MAX} bytes")));
        }
        let mut kept: Value =
            serde_json::from_slice(&text).map_err(|error| foreign(&format_args!("is not JSON: {error}")))?;
        if kept.get("graftd").and_then(Value::as_str) != Some("views") {
            return Err(foreign(&"is not a file of graftd's views"));
        }
        if kept.get("version").and_then(Value::as_u64) != Some(VERSION) {
            return Err(foreign(&"is of another version of graftd"));
        }
        let views = kept.get_mut("views").map(Value::take).unwrap_or_default();
        let views = list_of(views).map_err(|error| match error {
            ViewError::Wrong(why) => foreign(&why),
            other => other,
        })?;
        Ok(Kept { views, tag: tag_of(&text) })
    }

    /// What is kept, to be changed by who has `seen` it so.
    fn kept_as(&self, seen: Option<&str>) -> Result<Vec<View>, ViewError> {
        let kept = self.kept()?;
        check_seen(seen, &kept.tag)?;
        Ok(kept.views)
    }

    /// Makes a view, or changes the one of this name: it may be called otherwise from now on. Whether it is new, and the tag of all from
    /// then on. `seen` has the tags of what may be changed, as `If-Match` has them; none is any.
    ///
    /// # Errors
    /// There is no room for it, another one has its new name, what is kept is not what was seen, or as [`Views::kept`]; or it cannot be
    /// written.
    pub(crate) fn put(&self, name: &str, view: View, seen: Option<&str>) -> Result<(bool, String), ViewError> {
        let _alone = self.writing.lock();
        let mut views = self.kept_as(seen)?;
        if view.name() != name && views.iter().any(|other| other.name() == view.name()) {
            return Err(ViewError::Taken(format!("there is a view {:?} already", view.name())));
        }
        let place = views.iter().position(|other| other.name() == name);
        match place {
            Some(place) => views[place] = view,
            None if views.len() >= VIEWS_MAX => {
                return wrong(&format!("there are {VIEWS_MAX} views already; remove one"));
            }
            None => views.push(view),
        }
        Ok((place.is_none(), self.write(views)?))
    }

    /// Keeps these in place of all that were kept; the tag of all from then on.
    ///
    /// # Errors
    /// As [`Views::put`].
    pub(crate) fn replace(&self, views: Vec<View>, seen: Option<&str>) -> Result<String, ViewError> {
        let _alone = self.writing.lock();
        self.kept_as(seen)?;
        self.write(views)
    }

    /// Forgets a view; the tag of all from then on.
    ///
    /// # Errors
    /// There is none of this name, or as [`Views::put`].
    pub(crate) fn remove(&self, name: &str, seen: Option<&str>) -> Result<String, ViewError> {
        let _alone = self.writing.lock();
        let mut views = self.kept_as(seen)?;
        let at = views.iter().position(|view| view.name() == name);
        let at = at.ok_or_else(|| ViewError::Missing(format!("there is no view {name:?}")))?;
        views.remove(at);
        self.write(views)
    }

    fn write(&self, views: Vec<View>) -> Result<String, ViewError> {
        let views: Vec<Value> = views.into_iter().map(View::json).collect();
        let text = format!("{:#}\n", json!({ "graftd": "views", "version": VERSION, "views": views }));
        // What is written is read again.
        if text.len() > VIEWS_BYTES_MAX {
            return wrong(&format!("all views together have {} bytes; at most {VIEWS_BYTES_MAX}", text.len()));
        }
        put(&self.file, text.as_bytes(), 0o644)
            .map_err(|error| ViewError::Disk(format!("{} cannot be written: {error}", self.file.display())))?;
        Ok(tag_of(text.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(name: &str, key: &str) -> View {
        View::of(json!({ "name": name, "charts": [{ "key": key, "style": 1 }] }), None).unwrap()
    }

    fn list(views: &Views) -> Result<Vec<View>, ViewError> {
        views.kept().map(|kept| kept.views)
    }

    fn put(views: &Views, name: &str, view: View) -> Result<bool, ViewError> {
        views.put(name, view, None).map(|(new, _)| new)
    }

    fn names(views: &Views) -> Vec<String> {
        list(views).unwrap().iter().map(|view| view.name().to_owned()).collect()
    }

    #[test]
    fn views_are_made_changed_renamed_ordered_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let views = Views::of(folder.path());
        assert_eq!(list(&views), Ok(vec![]));
        assert_eq!(put(&views, "a", view("a", "cpu")), Ok(true));
        assert_eq!(put(&views, "b", view("b", "os,*")), Ok(true));
        assert_eq!(put(&views, "a", view("a", "cpu,,idle")), Ok(false));
        assert_eq!(list(&views), Ok(vec![view("a", "cpu,,idle"), view("b", "os,*")]));
        assert_eq!(put(&views, "a", view("b", "x")), Err(ViewError::Taken("there is a view \"b\" already".to_owned())));
        assert_eq!(put(&views, "a", view("c/d", "x")), Ok(false));
        assert_eq!(names(&views), ["c/d", "b"]);
        views.replace(vec![view("b", "y"), view("c/d", "x")], None).unwrap();
        assert_eq!(names(&views), ["b", "c/d"]);
        views.remove("b", None).unwrap();
        assert_eq!(views.remove("b", None), Err(ViewError::Missing("there is no view \"b\"".to_owned())));
        // Another daemon of this folder has what was kept.
        assert_eq!(list(&Views::of(folder.path())), Ok(vec![view("c/d", "x")]));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn nobody_replaces_what_he_has_not_seen() {
        let folder = tempfile::tempdir().unwrap();
        let views = Views::of(folder.path());
        let empty = views.kept().unwrap().tag;
        let (_, first) = views.put("a", view("a", "x"), Some(&empty)).unwrap();
        assert_eq!(views.kept().unwrap().tag, first);
        let (_, second) = views.put("b", view("b", "x"), Some(&format!("\"other\", {first}"))).unwrap();
        assert!(first != empty && second != first);
        for seen in [&first, &empty, "", "x", "\"", "W/"] {
            for done in [
                views.put("a", view("a", "y"), Some(seen)).map(drop),
                views.replace(vec![], Some(seen)).map(drop),
                views.remove("a", Some(seen)).map(drop),
            ] {
                assert!(matches!(done, Err(ViewError::Changed(_))), "{seen}: {done:?}");
            }
        }
        assert_eq!(views.kept(), Ok(Kept { views: vec![view("a", "x"), view("b", "x")], tag: second.clone() }));
        let tag = views.remove("a", Some(&second)).unwrap();
        // As proxies that pack have it.
        let tag = views.put("c", view("c", "x"), Some(&format!("W/{tag}"))).unwrap().1;
        let tag = tag.trim_end_matches('"');
        views.replace(vec![], Some(&format!("{tag}-gzip\""))).unwrap();
        views.put("c", view("c", "x"), Some("*")).unwrap();
        assert_eq!(names(&views), ["c"]);
    }

    #[test]
    fn what_is_no_view_is_told() {
        let long = "x".repeat(VIEW_NAME_CHARS_MAX + 1);
        let charts = vec![json!({ "key": "a" }); VIEW_CHARTS_MAX + 1];
        for (value, why) in [
            (json!([]), "is an object"),
            (json!({ "charts": [] }), "has a name"),
            (json!({ "name": 7, "charts": [] }), "has a name"),
            (json!({ "name": "", "charts": [] }), "0 characters"),
            (json!({ "name": long, "charts": [] }), "101 characters"),
            (json!({ "name": " a", "charts": [] }), "space"),
            (json!({ "name": "..", "charts": [] }), "cannot be called"),
            (json!({ "name": "a\u{7}", "charts": [] }), "control character"),
            (json!({ "name": "a" }), "no charts"),
            (json!({ "name": "a", "charts": {} }), "no charts"),
            (json!({ "name": "a", "charts": charts }), "at most"),
            (json!({ "name": "a", "charts": [{ "key": "a" }, {}] }), "chart 2 of the view \"a\" has no key"),
            (json!({ "name": "a", "charts": ["a"] }), "has no key"),
            (json!({ "name": "a", "charts": [{ "key": "a,%zz" }] }), "key 2"),
            (json!({ "name": "a", "charts": [], "x": "y".repeat(VIEW_BYTES_MAX) }), "bytes"),
        ] {
            let Err(ViewError::Wrong(said)) = View::of(value.clone(), None) else { panic!("{value}") };
            assert!(said.contains(why), "{said}");
        }
        assert_eq!(View::of(json!({ "charts": [] }), Some("a")).unwrap().name(), "a");
        let twice = list_of(json!([{ "name": "a", "charts": [] }, { "name": "a", "charts": [] }]));
        assert_eq!(twice, wrong("two views are called \"a\""));
        assert!(list_of(vec![json!({}); VIEWS_MAX + 1].into()).is_err());
    }

    #[test]
    fn a_file_that_is_not_ours_is_told_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (views, file) = (Views::of(folder.path()), folder.path().join(FILE));
        let full = " ".repeat(VIEWS_BYTES_MAX + 1);
        for (text, why) in [
            ("", "is not JSON"),
            ("{\"graftd\":\"views\",\"version\":1,\"views\":[{]}", "line 1 column"),
            ("[]", "is not a file of graftd's"),
            (r#"{"graftd":"views","version":2,"views":[]}"#, "another version"),
            (r#"{"graftd":"views","version":1,"views":{}}"#, "a list"),
            (r#"{"graftd":"views","version":1,"views":[{"name":"a"}]}"#, "no charts"),
            (&full, "more than"),
        ] {
            fs::write(&file, text).unwrap();
            for done in [
                list(&views).map(drop),
                put(&views, "a", view("a", "x")).map(drop),
                views.replace(vec![], None).map(drop),
                views.remove("a", None).map(drop),
            ] {
                let Err(ViewError::Foreign(said)) = done else { panic!("{text:.80}: {done:?}") };
                assert!(said.contains(why) && said.contains("views.json"), "{said}");
            }
            assert_eq!(fs::read_to_string(&file).unwrap(), text, "{text:.80}");
        }
        // A link is not replaced, and nobody waits for a pipe.
        let elsewhere = folder.path().join("elsewhere");
        fs::rename(&file, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
        assert!(matches!(views.replace(vec![], None).map(drop), Err(ViewError::Foreign(_))));
        assert!(file.symlink_metadata().unwrap().is_symlink());
        fs::remove_file(&file).unwrap();
        assert_eq!(put(&views, "a", view("a", "x")), Ok(true));
    }

    #[test]
    fn what_could_not_be_read_again_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let views = Views::of(folder.path());
        let large = |n: usize| {
            View::of(json!({ "name": n.to_string(), "charts": [], "x": "y".repeat(VIEW_BYTES_MAX - 60) }), None)
        };
        let many = (0..VIEWS_BYTES_MAX / VIEW_BYTES_MAX + 1).map(|n| large(n).unwrap()).collect();
        assert!(matches!(views.replace(many, None), Err(ViewError::Wrong(_))));
        assert_eq!(list(&views), Ok(vec![]));
    }
}
