//! The macros that make a crate a plugin.

/// Makes this crate (of type `cdylib`) a plugin whose module is a [`Pipe`](crate::Pipe).
///
/// ```
/// # use plugin_api::{Access, Delta, Error, Params, Pipe, export_pipe};
/// # struct RequestTime;
/// # impl Pipe for RequestTime {
/// #     fn new(_: &Params) -> Result<Self, Error> { Ok(RequestTime) }
/// #     fn process(&mut self, _: &[Access<'_>], _: &mut Delta) {}
/// # }
/// export_pipe!(RequestTime, path = "request_time", action = "quantiles");
/// ```
///
/// `path` is where its branch hangs (keys joined by `,`; by default the plugin's name) and `action` is the branch's
/// action (by default `add`). The host catches nothing: everything that the pipe does runs behind a guard that
/// turns a panic into an error.
#[macro_export]
macro_rules! export_pipe {
    ($pipe:ty $(, path = $path:literal)? $(, action = $action:literal)? $(,)?) => {
        $crate::__export_plugin!(
            [$($path)?], [$($action)?], <$pipe as $crate::Pipe>::PARAMS,
            $crate::abi::Make::Pipe {
                wants: <$pipe as $crate::Pipe>::WANTS,
                new: $crate::abi::new_pipe::<$pipe>,
            }
        );
    };
}

/// Makes this crate (of type `cdylib`) a plugin whose module is a [`Collector`](crate::Collector).
///
/// ```
/// # use plugin_api::{Collector, Delta, Error, Params, export_collector};
/// # struct Cpu;
/// # impl Collector for Cpu {
/// #     fn new(_: &Params) -> Result<Self, Error> { Ok(Cpu) }
/// #     fn collect(&mut self, _: &mut Delta) -> Result<(), Error> { Ok(()) }
/// # }
/// export_collector!(Cpu, path = "cpu,{host}");
/// ```
///
/// `path` is where its branch hangs (`{host}` is the daemon's host name; by default `NAME,{host}`) and `action` is the
/// action of the branch's first key (by default `average`).
#[macro_export]
macro_rules! export_collector {
    ($collector:ty $(, path = $path:literal)? $(, action = $action:literal)? $(,)?) => {
        $crate::__export_plugin!(
            [$($path)?], [$($action)?], <$collector as $crate::Collector>::PARAMS,
            $crate::abi::Make::Collector { new: $crate::abi::new_collector::<$collector> }
        );
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_plugin {
    ([$($path:literal)?], [$($action:literal)?], $params:expr, $make:expr) => {
        const _: () = {
            use $crate::__private as private;

            const PLUGIN: &private::WithMetadata<$crate::abi::Plugin> = &private::WithMetadata::new(
                $crate::abi::Plugin {
                    version: private::RStr::from_str(env!("CARGO_PKG_VERSION")),
                    path: private::RStr::from_str(concat!($($path)?)),
                    action: private::RStr::from_str(concat!($($action)?)),
                    params: private::RSlice::from_slice($params),
                    make: $make,
                },
            );

            fn plugin() -> $crate::abi::PluginRef {
                $crate::abi::PluginRef(PLUGIN.static_as_prefix())
            }

            extern "C" fn root() -> private::RootModuleResult {
                private::__call_root_module_loader(plugin)
            }

            // What abi_stable's own attribute writes, without asking the author's crate to depend on it.
            // Safety: the name is abi_stable's (a test holds it to that), so it means nothing else in the plugin;
            // the header describes the very type that `root` gives.
            #[allow(unsafe_code)]
            #[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
            static HEADER: private::LibHeader = unsafe {
                private::LibHeader::from_constructor::<$crate::abi::PluginRef>(
                    root,
                    private::CheckTypeLayout::Yes,
                )
            };
        };
    };
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_exported_name_is_abi_stables() {
        assert_eq!(abi_stable::library::ROOT_MODULE_LOADER_NAME, "_1as_0lib_1header_0root_bmodule_bloader");
    }
}
