//! Servers for tests: each on a free port of the loopback interface, with a folder of its own, and
//! stopped by its process id.
//!
//! A test without its server's program is skipped with a message, unless the environment variable
//! `STREAM_PROCESSOR_SERVERS` is `required`, as under `cargo xtask test`.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A running server.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
    program: PathBuf,
    arguments: Vec<String>,
    user: Option<(u32, u32)>,
    folder: TempDir,
}

impl Server {
    /// Stops the server and its processes at once, as `kill -9` does. A process of PostgreSQL that
    /// serves a connection would answer for a while without its parent.
    pub(crate) fn kill(&mut self) {
        let id = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let children = children.unwrap_or_default();
        let children: Vec<&str> = children.split_whitespace().collect();
        // Some of them may have ended already.
        let _ = Command::new("kill").arg("-9").args(&children).stderr(Stdio::null()).status();
        let has_ended = |child: &&str| {
            let stat = std::fs::read_to_string(format!("/proc/{child}/stat"));
            stat.map_or(true, |stat| stat.contains(") Z"))
        };
        let deadline = Instant::now() + Duration::from_secs(30);
        while !children.iter().all(has_ended) {
            assert!(Instant::now() < deadline, "{} does not end", self.program.display());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Starts the server again, with the same port and folder.
    pub(crate) fn restart(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            self.child = spawn(&self.program, &self.arguments, self.user, self.folder.path());
            if wait_for_port(&mut self.child, self.port) {
                return;
            }
            // PostgreSQL refuses to start until the workers of its killed self have ended.
            assert!(Instant::now() < deadline, "{} does not start", self.program.display());
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts Redis with further arguments, such as `--appendonly yes`.
pub(crate) fn redis(further: &[&str]) -> Option<Server> {
    let program = find("redis-server", &["/usr/bin", "/usr/local/bin"])?;
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut arguments: Vec<String> =
        ["--bind", "127.0.0.1", "--save", "", "--dir"].into_iter().map(String::from).collect();
    arguments.push(folder.path().display().to_string());
    arguments.extend(["--port".into(), port.to_string()]);
    arguments.extend(further.iter().map(|it| (*it).to_string()));
    Some(start(program, arguments, None, port, folder))
}

/// Starts PostgreSQL with a new database.
pub(crate) fn postgres(further: &[&str]) -> Option<Server> {
    postgres_in(&std::env::temp_dir(), further)
}

/// Starts PostgreSQL with a new database in a folder of its own under `place`.
pub(crate) fn postgres_in(place: &Path, further: &[&str]) -> Option<Server> {
    let folders: Vec<String> =
        (13..=18).rev().map(|version| format!("/usr/lib/postgresql/{version}/bin")).collect();
    let folders: Vec<&str> = folders.iter().map(String::as_str).collect();
    let program = find("postgres", &folders)?;
    let folder = tempfile::tempdir_in(place).unwrap();
    let user = postgres_user();
    if let Some((uid, gid)) = user {
        std::os::unix::fs::chown(folder.path(), Some(uid), Some(gid)).unwrap();
    }
    let data = folder.path().join("data").display().to_string();
    let arguments =
        ["-D", &data, "-A", "trust", "-U", "tester", "-E", "UTF8", "--locale=C", "--no-sync"];
    let arguments = arguments.map(String::from);
    let mut initdb = spawn(&program.with_file_name("initdb"), &arguments, user, folder.path());
    assert!(initdb.wait().unwrap().success(), "initdb fails");
    let port = free_port();
    let mut arguments: Vec<String> =
        ["-D", &data, "-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1", "-k", ""]
            .into_iter()
            .map(String::from)
            .collect();
    arguments.extend(further.iter().map(|it| (*it).to_string()));
    let is_ready = program.with_file_name("pg_isready");
    let server = start(program, arguments, user, port, folder);
    // The port is open before the server accepts logins.
    let deadline = Instant::now() + Duration::from_secs(60);
    let port = port.to_string();
    let mut command = Command::new(is_ready);
    command.args(["--quiet", "--host", "127.0.0.1", "--port", &port]);
    while !command.status().unwrap().success() {
        assert!(Instant::now() < deadline, "PostgreSQL accepts no logins after a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
    Some(server)
}

/// Starts pgbouncer in front of a PostgreSQL server, with at most `connections` to it, each of which
/// serves one transaction after another.
pub(crate) fn pgbouncer(server: &Server, connections: u32) -> Option<Server> {
    let program = find("pgbouncer", &["/usr/sbin", "/usr/bin", "/usr/local/bin"])?;
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let settings = folder.path().join("pgbouncer.ini");
    let text = format!(
        "[databases]\npostgres = host=127.0.0.1 port={} user=tester\n[pgbouncer]\n\
         listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
         pool_mode = transaction\ndefault_pool_size = {connections}\nmax_client_conn = 100\n",
        server.port
    );
    std::fs::write(&settings, text).unwrap();
    let user = postgres_user();
    if let Some((uid, gid)) = user {
        std::os::unix::fs::chown(folder.path(), Some(uid), Some(gid)).unwrap();
    }
    Some(start(program, vec![settings.display().to_string()], user, port, folder))
}

/// Returns the ids of a user to run PostgreSQL as, which refuses to run as root. `None`: this user
/// is not root.
pub(crate) fn postgres_user() -> Option<(u32, u32)> {
    is_root().then(|| user("postgres").or_else(|| user("nobody")).unwrap())
}

fn start(
    program: PathBuf,
    arguments: Vec<String>,
    user: Option<(u32, u32)>,
    port: u16,
    folder: TempDir,
) -> Server {
    let mut child = spawn(&program, &arguments, user, folder.path());
    assert!(wait_for_port(&mut child, port), "{} does not start", program.display());
    Server { child, port, program, arguments, user, folder }
}

fn spawn(program: &Path, arguments: &[String], user: Option<(u32, u32)>, folder: &Path) -> Child {
    use std::os::unix::process::CommandExt as _;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command.spawn().unwrap()
}

/// Returns false if the server ends before it listens.
fn wait_for_port(child: &mut Child, port: u16) -> bool {
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("port {port} is not open after a minute");
}

/// Returns a port that no server uses.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn find(program: &str, folders: &[&str]) -> Option<PathBuf> {
    let found = folders.iter().map(|it| Path::new(it).join(program)).find(|path| path.exists());
    if found.is_none() {
        let required = std::env::var_os("STREAM_PROCESSOR_SERVERS").is_some();
        assert!(!required, "{program} is not installed");
        eprintln!("skipped: {program} is not installed (cargo xtask test installs it)");
    }
    found
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    // The owner of a file that this process has made.
    tempfile::tempfile().unwrap().metadata().unwrap().uid() == 0
}

/// Returns the ids of a user and its group.
fn user(name: &str) -> Option<(u32, u32)> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}
