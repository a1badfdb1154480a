//! A module in C as a collector.

use crate::c::{CModule, Opening};
use crate::orders::{Made, Module, Order};
use crate::sampler::{Fault, Sampler, Source};
use gmod_compat::conf::{Item, Pos, Section, Set, Tree, Warnings, Word};
use gmod_compat::descriptor::Value;
use plugin_api::{Error, Value as Param};
use std::path::Path;

/// Opens the module.
///
/// # Errors
/// It is none, or cannot run here.
pub(crate) fn make(order: &Order<'_>) -> Result<Made, Error> {
    let start = &order.start;
    let param: Vec<(String, String)> =
        order.params.iter().map(|(name, value)| (name.to_owned(), text(value))).collect();
    let config = config(start.symbol.as_deref(), start.c_params.as_deref(), &param);
    let opening = Opening {
        symbol: start.symbol.as_deref(),
        params: start.c_params.as_deref(),
        param: &param,
        config: Some(config.as_bytes()),
        debug_level: start.debug_level,
    };
    let module = CModule::open(Path::new(&order.image_path), &opening)
        .map_err(|error| Error::new(error.kind(), format_args!("{}: {}", start.file, error.message())))?;
    let (descriptors, remarks) = (module.descriptors().to_vec(), module.remarks().to_vec());
    let (sampler, declared) = Sampler::new(start, descriptors, Box::new(Opened(Some(module))), remarks);
    Ok(Made { module: Module::Collector(Box::new(sampler)), declared, keep: None, life: None })
}

fn text(value: &Param) -> String {
    match value {
        Param::Bool(flag) => if *flag { "yes" } else { "no" }.to_owned(),
        Param::Integer(n) => n.to_string(),
        Param::Float(x) => x.to_string(),
        Param::Text(text) => text.to_string(),
        Param::List(list) => list.iter().map(text).collect::<Vec<_>>().join(","),
        Param::Table(_) => String::new(),
    }
}

/// None once it is closed.
struct Opened(Option<CModule>);

impl Source for Opened {
    fn value(&mut self, metric: usize) -> Result<Value, Fault> {
        let value = match &mut self.0 {
            Some(module) => module.value(metric),
            None => Err("the module is closed".to_owned()),
        };
        value.map_err(|what| Fault { what, ..Fault::default() })
    }

    fn cleanup(&mut self) {
        if let Some(module) = self.0.take() {
            module.close();
        }
    }
}

/// gmond's configuration for the few modules that read it themselves: their own block, and gmond's defaults.
fn config(symbol: Option<&str>, params: Option<&str>, param: &[(String, String)]) -> String {
    let pos = || Pos { file: "".into(), line: 0, column: 0 };
    let set = |key: &str, text: &str| {
        let values = vec![Word { text: text.to_owned(), pos: pos() }];
        Item::Set(Set { key: key.to_owned(), values, list: false, append: false, pos: pos() })
    };
    let section = |name: &str, title: Option<&str>, items: Vec<Item>| {
        Item::Section(Section { name: name.to_owned(), title: title.map(str::to_owned), items, pos: pos() })
    };
    let mut module: Vec<Item> = symbol.map(|symbol| set("name", symbol)).into_iter().collect();
    module.extend(params.map(|params| set("params", params)));
    module.extend(param.iter().map(|(name, value)| section("param", Some(name), vec![set("value", value)])));
    let items = vec![section("modules", None, vec![section("module", None, module)])];
    Tree { items, warnings: Warnings::default(), tokens: 0 }.to_string()
}
