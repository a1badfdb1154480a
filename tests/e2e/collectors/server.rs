//! A real nginx of these tests: one process, in a folder of its own, on loopback.

use crate::gmond::peers::{Peer, await_listener, program};
use graftd_tests::Folders;
use std::path::PathBuf;
use std::process::Command;

/// An nginx that can be ended and started again.
#[derive(Debug)]
pub struct Nginx<'f> {
    program: PathBuf,
    folders: &'f Folders,
    port: u16,
    peer: Option<Peer>,
}

impl<'f> Nginx<'f> {
    /// Starts one with these blocks `server {…}`, one of which listens at the port; none if there is no nginx here.
    pub fn start(folders: &'f Folders, port: u16, servers: &str) -> Option<Nginx<'f>> {
        let program = program("nginx")?;
        let prefix = folders.root().join("nginx");
        std::fs::create_dir_all(&prefix).expect("a folder");
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary: String = temporary.iter().map(|name| format!("{name}_temp_path {name};\n")).collect();
        // One process: so its end is the end of all of it.
        let conf = format!(
            "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log errors.log;\n\
             events {{ worker_connections 64; }}\nhttp {{\n{temporary}access_log off;\n{servers}\n}}\n"
        );
        std::fs::write(prefix.join("nginx.conf"), conf).expect("written");
        let mut nginx = Nginx { program, folders, port, peer: None };
        nginx.begin();
        Some(nginx)
    }

    /// Starts it, and waits until it listens.
    pub fn begin(&mut self) {
        let mut command = Command::new(&self.program);
        command.arg("-p").arg(self.folders.root().join("nginx")).args(["-c", "nginx.conf", "-e", "errors.log"]);
        self.peer = Some(Peer::start(&mut command, self.folders));
        await_listener(self.port, self.folders);
    }

    /// Ends it.
    pub fn end(&mut self) {
        self.peer = None;
    }
}
