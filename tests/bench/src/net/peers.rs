//! How the peers are started.

use super::command;
use crate::peer::{Peer, folder, free_port, program};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// nginx with these lines in its `server`, one worker and no log; what else is said stands before `events`.
pub(super) fn nginx(server: &str, before: &str, files: &[(&str, &[u8])]) -> Result<Option<Peer>, String> {
    let Some(binary) = program("nginx", "nginx") else { return Ok(None) };
    let (folder, port) = (folder()?, free_port()?);
    let root = folder.path().display().to_string();
    let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {root}/{name};\n"))
        .concat();
    let conf = format!(
        "{before}\ndaemon off;\nworker_processes 1;\nworker_rlimit_nofile 20000;\npid {root}/pid;\nerror_log {root}/errors error;\n\
         events {{ worker_connections 15000; }}\n\
         http {{\naccess_log off;\nkeepalive_requests 1000000000;\nopen_file_cache max=10;\n{paths}\
         server {{\nlisten 127.0.0.1:{port} backlog=4096;\nroot {root};\n{server}\n}}\n}}\n"
    );
    write(&folder, "nginx.conf", conf.as_bytes())?;
    for (name, bytes) in files {
        write(&folder, name, bytes)?;
    }
    // Its worker becomes another user where root starts it.
    open_to_all(folder.path())?;
    let mut nginx = command(&binary);
    nginx.args(["-p", &root, "-c", &format!("{root}/nginx.conf"), "-e", &format!("{root}/errors")]);
    Peer::start("nginx", &mut nginx, port, folder).map(Some)
}

/// VictoriaMetrics on an empty folder.
pub(super) fn victoria() -> Result<Option<Peer>, String> {
    let Some(binary) = program("victoria-metrics", "victoria-metrics") else { return Ok(None) };
    let (folder, port) = (folder()?, free_port()?);
    let mut command = command(&binary);
    command.arg(format!("-httpListenAddr=127.0.0.1:{port}")).args(["-storageDataPath=data", "-loggerLevel=ERROR"]);
    Peer::start("victoria-metrics", &mut command, port, folder).map(Some)
}

/// netdata in memory, without what only costs here, and with statsd on the second port.
pub(super) fn netdata() -> Result<Option<(Peer, u16)>, String> {
    let Some(binary) = program("netdata", "netdata-core") else { return Ok(None) };
    let (folder, port, statsd) = (folder()?, free_port()?, free_port()?);
    let root = folder.path().display();
    let off = ["tc", "idlejitter", "diskspace", "cgroups", "timex", "apps", "python.d", "charts.d", "go.d", "slabinfo"];
    let off = off.map(|name| format!("{name} = no\n")).concat();
    let conf = format!(
        "[global]\nrun as user = {}\n[db]\nmode = ram\n[directories]\ncache = {root}/cache\nlib = {root}/lib\nlog = {root}/log\n\
         [logs]\nerror = none\naccess = none\ndebug = none\n[web]\nbind to = 127.0.0.1:{port}\n[ml]\nenabled = no\n\
         [health]\nenabled = no\n[plugins]\n{off}enable running new plugins = no\n[statsd]\nbind to = tcp:127.0.0.1:{statsd}\n\
         max private charts hard limit = 20000\n",
        user()
    );
    write(&folder, "netdata.conf", conf.as_bytes())?;
    for name in ["cache", "lib", "log"] {
        fs::create_dir(folder.path().join(name)).map_err(|error| error.to_string())?;
    }
    let mut command = command(&binary);
    command.args(["-D", "-c"]).arg(folder.path().join("netdata.conf"));
    Ok(Some((Peer::start("netdata", &mut command, port, folder)?, statsd)))
}

fn user() -> String {
    std::env::var("USER").unwrap_or_else(|_| "root".to_owned())
}

fn write(folder: &TempDir, name: &str, bytes: &[u8]) -> Result<(), String> {
    let file = folder.path().join(name);
    fs::write(&file, bytes).map_err(|error| format!("{}: {error}", file.display()))?;
    open_to_all(&file)
}

fn open_to_all(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(|error| format!("{}: {error}", path.display()))
}
